//! Simulation-based calibration: is the posterior right on average over the prior?
//!
//! Talts, Betancourt, Simpson, Vehtari & Gelman, "Validating Bayesian inference algorithms with
//! simulation-based calibration" (2018). For `theta ~ p(theta)`, `y ~ p(y | theta)` and independent
//! draws `theta_1 .. theta_L ~ p(theta | y)`, the rank of a quantity,
//!
//! ```text
//! r = #{l: f(theta_l, y) < f(theta, y)}  in 0 ..= L
//! ```
//!
//! is uniform, whatever `f`: `theta` is one more draw of the posterior. If a sampler is too narrow,
//! ranks pile up at both ends; if it is too wide, in the middle; if it is biased, at one end.
//! [`RankTests`] looks for each of these, and for any other shape.
//!
//! *What it does not see.* A sampler that ignores the data and draws from the prior passes for
//! every `f` of `theta` alone. A quantity that depends on the data, such as the log likelihood,
//! exposes it (Modrák et al. 2023). Draws must be independent: thin a chain until they are.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::chi_square::goodness_of_fit;
use super::outcome::TestOutcome;
use super::rank_tests::RankTests;
use crate::error::{Error, Result, counted};
use crate::parallel;
use crate::rng::{Phase, Streams};

/// Settings of a simulation-based calibration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SbcOptions {
    /// Number of data sets.
    pub replications: usize,
    /// Posterior draws per data set, `L`. Bins have equal width if their number divides `L + 1`.
    pub draws: usize,
}

impl Default for SbcOptions {
    fn default() -> Self {
        Self {
            replications: 500,
            draws: 99,
        }
    }
}

/// Ranks of several quantities.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ranks {
    /// Posterior draws per replication: ranks are in `0..=draws`.
    pub draws: usize,
    /// The ranks of each quantity, `[quantities][replications]`.
    pub ranks: Vec<Vec<usize>>,
}

impl Ranks {
    /// [`RankTests`] of each quantity: four tests that ranks are uniform, with one p-value.
    ///
    /// # Errors
    /// Those of [`uniformity`].
    pub fn uniformity(&self, bins: usize) -> Result<Vec<RankTests>> {
        let of = |ranks: &Vec<usize>| RankTests::new(ranks, self.draws, bins);
        self.ranks.iter().map(of).collect()
    }
}

/// Pearson's test that ranks in `0..=draws` are uniform, in `bins` bins of nearly equal width.
///
/// One test of counts sees little of a bias. [`RankTests`] joins it with three others.
///
/// Rank `r` falls into bin `r bins / (draws + 1)`, rounded down. The expected count of a bin is
/// proportional to its width, so bins need not be equally wide.
///
/// # Errors
/// If there are fewer than 2 bins or more than possible ranks, a rank is above `draws`, or a bin
/// expects fewer than 5 ranks.
pub fn uniformity(ranks: &[usize], draws: usize, bins: usize) -> Result<TestOutcome> {
    if bins < 2 || bins > draws + 1 {
        let requirement = format!("from 2 to the {} possible ranks", draws + 1);
        return Err(Error::config("bins", bins, &requirement));
    }
    let bin = |rank: usize| (rank as u128 * bins as u128 / (draws as u128 + 1)) as usize;
    let mut observed = vec![0; bins];
    for &rank in ranks {
        if rank > draws {
            return Err(Error::shape(
                "uniformity",
                format!("ranks up to {draws}"),
                rank,
            ));
        }
        observed[bin(rank)] += 1;
    }
    let mut width = vec![0usize; bins];
    for rank in 0..=draws {
        width[bin(rank)] += 1;
    }
    let share = ranks.len() as f64 / (draws + 1) as f64;
    let expected: Vec<f64> = width.iter().map(|&w| w as f64 * share).collect();
    goodness_of_fit(&observed, &expected)
}

/// Draws from the prior, simulates data, samples the posterior, and ranks the truth, `replications`
/// times in parallel.
///
/// `quantities` maps a parameter and the data to the values to be ranked, always the same number.
/// Replication `i` uses stream `i` of [`Phase::SYNTHETIC`] for `prior`, `data` and the order of
/// ties. (Ties are broken at random, so that quantities with atoms have uniform ranks too.)
/// `posterior` gets its own [`Streams`], seeded from that stream.
///
/// Put your sampler into `posterior`. In this example it draws `theta | y` for `theta ~ N(0, 1)`,
/// `y ~ N(theta, 1)`, which is `N(y/2, 1/2)`. The test also finds a wrong deviation.
///
/// ```
/// use fiberwalk::diagnose::{SbcOptions, simulate_ranks};
/// use fiberwalk::{Phase, Streams};
/// use rand_distr::{Distribution, Normal, StandardNormal};
/// let p_value = |deviation: f64| -> fiberwalk::Result<f64> {
///     let ranks = simulate_ranks(
///         &SbcOptions::default(),
///         Streams::new(1),
///         |rng| Ok(StandardNormal.sample(rng)),
///         |theta: &f64, rng| {
///             let noise: f64 = StandardNormal.sample(rng);
///             Ok(theta + noise)
///         },
///         |y, draws, streams| {
///             let own = Normal::new(0.5 * y, deviation).unwrap();
///             Ok(own.sample_iter(streams.rng(Phase::USER, 0)).take(draws).collect())
///         },
///         // the parameter, and a quantity that depends on the data
///         |&theta, y| vec![theta, -0.5 * (y - theta).powi(2)],
///     )?;
///     Ok(ranks.uniformity(20)?[0].p_value)
/// };
/// assert!(p_value(0.5f64.sqrt())? > 1e-3);
/// assert!(p_value(0.5)? < 1e-3);
/// # Ok::<(), fiberwalk::Error>(())
/// ```
///
/// # Errors
/// Those of the closures, from the first replication that fails. If there are no replications or no
/// draws, `posterior` returns the wrong number of draws, the number of quantities varies, or a
/// quantity is NaN.
pub fn simulate_ranks<P, D>(
    options: &SbcOptions,
    streams: Streams,
    prior: impl Fn(&mut ChaCha8Rng) -> Result<P> + Sync,
    data: impl Fn(&P, &mut ChaCha8Rng) -> Result<D> + Sync,
    posterior: impl Fn(&D, usize, Streams) -> Result<Vec<P>> + Sync,
    quantities: impl Fn(&P, &D) -> Vec<f64> + Sync,
) -> Result<Ranks> {
    for (field, value) in [
        ("replications", options.replications),
        ("draws", options.draws),
    ] {
        if value == 0 {
            return Err(Error::config(field, value, "must be positive"));
        }
    }
    let replicate = |index: usize| -> Result<Vec<usize>> {
        let mut rng = streams.rng(Phase::SYNTHETIC, index as u64);
        let truth = prior(&mut rng)?;
        let y = data(&truth, &mut rng)?;
        let sample = posterior(&y, options.draws, Streams::new(rng.random()))?;
        if sample.len() != options.draws {
            return Err(Error::shape(
                "simulate_ranks",
                counted(options.draws, "draw"),
                sample.len(),
            ));
        }
        let at = quantities(&truth, &y);
        let mut below = vec![0; at.len()];
        let mut tied = vec![0; at.len()];
        for theta in &sample {
            let values = quantities(theta, &y);
            if values.len() != at.len() {
                return Err(Error::shape(
                    "simulate_ranks",
                    counted(at.len(), "quantity"),
                    values.len(),
                ));
            }
            for (q, (value, truth)) in values.iter().zip(&at).enumerate() {
                match value.partial_cmp(truth) {
                    Some(order) => {
                        below[q] += usize::from(order.is_lt());
                        tied[q] += usize::from(order.is_eq());
                    }
                    None => {
                        let what = "quantities of simulate_ranks";
                        return Err(Error::NonFinite { what, index: q });
                    }
                }
            }
        }
        let broken = below
            .iter()
            .zip(&tied)
            .map(|(b, &t)| b + rng.random_range(0..=t));
        Ok(broken.collect())
    };
    let outcomes: Vec<Vec<usize>> = parallel::try_map(options.replications, replicate)?;
    let mut ranks: Vec<Vec<usize>> = Vec::new();
    for (index, row) in outcomes.into_iter().enumerate() {
        if index == 0 {
            ranks.resize(row.len(), Vec::with_capacity(options.replications));
        }
        if row.len() != ranks.len() {
            return Err(Error::shape(
                "simulate_ranks",
                counted(ranks.len(), "quantity"),
                row.len(),
            ));
        }
        for (column, rank) in ranks.iter_mut().zip(row) {
            column.push(rank);
        }
    }
    Ok(Ranks {
        draws: options.draws,
        ranks,
    })
}
