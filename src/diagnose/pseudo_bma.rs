//! Pseudo-BMA+: weights of models by how well each predicts on its own.
//!
//! The chance in the choice of rows is averaged out.
//!
//! Yao, Vehtari, Simpson & Gelman, "Using stacking to average Bayesian predictive distributions",
//! Bayesian Analysis 13(3) (2018), section 3.4. With `l_ik = log p(y_i | y_-i, M_k)`, rows
//! `i = 1 ... n`, models `k = 1 ... K`, and replicates `b = 1 ... B` of the Bayesian bootstrap
//! (Rubin, Annals of Statistics 9, 1981):
//!
//! ```text
//! a_b  ~ Dirichlet(1, ..., 1)                           shares of the rows
//! w_bk = exp(n sum_i a_bi l_ik) / sum_j exp(n sum_i a_bi l_ij)
//! w_k  = (1/B) sum_b w_bk
//! ```
//!
//! Without the bootstrap (`a = 1/n`) these are Akaike's weights. They put nearly all weight on one
//! model as soon as it is ahead by a few nats, even by chance. Stacking
//! ([`Stacking`](super::Stacking)) asks what the *mixture* predicts; these weights say which model
//! is best.
//!
//! The shares are exponential numbers, divided by their sum. The largest log density of each row is
//! subtracted first. This changes no weight and saves digits.

use rand_distr::{Distribution, Exp1};

use super::log_densities::LogDensities;
use crate::error::{Error, Result};
use crate::linalg::log_mean_exp;
use crate::parallel;
use crate::rng::{Phase, Streams};

/// Weights of models, `[models]` with sum 1, from log predictive densities `[rows, models]`
/// row-major, in nats, of rows that the models have not seen.
///
/// Replicate `b` draws from stream `b` of [`Phase::BOOTSTRAP`]. The finite number of replicates
/// adds a standard error of at most `1 / (2 sqrt(replicates))`. ArviZ takes 1,000.
///
/// ```
/// use fiberwalk::Streams;
/// use fiberwalk::diagnose::pseudo_bma_plus;
/// // two rows, on average 1 nat apart: Akaike's weight is 1 / (1 + e^-2) = 0.88
/// let weights = pseudo_bma_plus(&[0.0, -3.0, 0.0, 1.0], 2, 4000, Streams::new(1))?;
/// assert!((weights[0] - 0.735).abs() < 0.03);
/// # Ok::<(), fiberwalk::Error>(())
/// ```
///
/// # Errors
/// If there are no models or no rows, the length is not a multiple of `models`, a value is not
/// finite, or there are no replicates.
pub fn pseudo_bma_plus(
    log_density: &[f64],
    models: usize,
    replicates: usize,
    streams: Streams,
) -> Result<Vec<f64>> {
    let densities = LogDensities::new("pseudo_bma_plus", log_density, models)?;
    if replicates == 0 {
        return Err(Error::config("replicates", replicates, "at least 1"));
    }
    let of_replicate = |b: usize| -> Vec<f64> {
        let mut rng = streams.rng(Phase::BOOTSTRAP, b as u64);
        let mut sums = vec![0.0; models];
        let mut total = 0.0;
        for row in densities.below.chunks_exact(models) {
            let share: f64 = Exp1.sample(&mut rng);
            total += share;
            for (sum, l) in sums.iter_mut().zip(row) {
                *sum += share * l;
            }
        }
        let n = densities.tops.len() as f64;
        sums.iter_mut().for_each(|sum| *sum *= n / total);
        let log_total = log_mean_exp(&sums).value + (models as f64).ln();
        sums.iter().map(|sum| (sum - log_total).exp()).collect()
    };
    let all: Vec<Vec<f64>> = parallel::map(replicates, of_replicate);
    // in order: the sum is the same bit for bit for any number of threads
    let mut weights = vec![0.0; models];
    for of_replicate in &all {
        for (weight, w) in weights.iter_mut().zip(of_replicate) {
            *weight += w / replicates as f64;
        }
    }
    Ok(weights)
}
