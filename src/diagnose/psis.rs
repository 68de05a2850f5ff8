//! Pareto-smoothed importance sampling: the largest weights are smoothed by a fit to their tail.
//!
//! The shape of that tail measures how far the weights can be trusted.
//!
//! Vehtari, Simpson, Gelman, Yao & Gabry, "Pareto smoothed importance sampling", JMLR 25 (2024),
//! arXiv 1507.02646. The fit is that of Zhang & Stephens, "A new and efficient estimation method
//! for the generalized Pareto distribution", Technometrics 51 (2009), with the weak prior on the
//! shape that Vehtari et al. add. For weights `w_1 <= ... <= w_S`, scaled so that the largest is 1:
//!
//! ```text
//! M = ceil(min(S/5, 3 sqrt(S/r))),  u = w_{S-M}     the tail: the weights above u, n <= M of them
//! F(x) = 1 - (1 + k x / sigma)^{-1/k}               generalised Pareto, for exceedances x = w - u
//! w_{S-n+z} <- min(u + F^{-1}((z - 1/2) / n), 1),  z = 1 ... n
//! ```
//!
//! With `theta = -k / sigma`, the likelihood of `k` given `theta` has its maximum at
//! `k(theta) = mean_i log(1 - theta x_i)`. This leaves
//!
//! ```text
//! l(theta)  = n (log(-theta / k(theta)) - k(theta) - 1)
//! theta_j   = 1/x_n + (1 - sqrt(m / (j - 1/2))) / (3 x_q),  j = 1 ... m
//!             m = 30 + floor(sqrt n),  x_q the lower quartile
//! theta^    = sum_j theta_j exp l(theta_j) / sum_j exp l(theta_j)
//! sigma     = -k(theta^) / theta^,   k^ = (n k(theta^) + 10/2) / (n + 10)
//! ```
//!
//! `k^` estimates how many moments the weights have: `1/k`. Above 1/2 their variance is infinite,
//! above 1 their mean. `r` is the relative efficiency of the draws: their effective number over
//! their number. It is 1 for independent draws; draws of a slow chain get a longer tail.

use std::cmp::Ordering;

use crate::error::{Error, Result};
use crate::linalg::{LogMean, log_mean_exp};

/// The fewest draws that can be smoothed. They leave a tail of five.
pub const MIN_DRAWS: usize = 21;

/// The fewest weights to which a tail is fitted.
const MIN_TAIL: usize = 5;
/// Strength of the prior on the shape, in number of weights. Its centre is a half.
const PRIOR_WEIGHTS: f64 = 10.0;
/// A tail whose log weights differ by no more than this has equal weights; the differences are
/// rounding.
const EQUAL: f64 = 1e-10;

/// Smoothed importance weights.
#[derive(Clone, Debug, PartialEq)]
pub struct ParetoSmoothed {
    /// Log weights after smoothing, in the order of the draws, normalised so that `sum_s exp = 1`.
    /// `-inf` where the weight is 0.
    pub log_weights: Vec<f64>,
    /// The shape `k^` of the weights' tail.
    ///
    /// `-inf` if the whole tail equals the largest weight: the weights are bounded and there is
    /// nothing to fit. `+inf` if fewer than five weights stand above the rest, or no shape fits
    /// them. Then nothing is smoothed, and nothing is known of the tail.
    pub k_hat: f64,
    /// Effective number of draws, `1 / sum_s w_s^2` of the smoothed normalised weights. It is too
    /// large if `k_hat` is high.
    pub ess: f64,
    /// The mean of the smoothed weights, on their original scale: [`ParetoSmoothed::log_mean`].
    mean: LogMean,
}

impl ParetoSmoothed {
    /// Smooths weights given as log weights, `log p - log q` at independent draws of `q`. Both
    /// densities may lack a constant. `-inf` is a weight of 0.
    ///
    /// # Errors
    /// If there are fewer than [`MIN_DRAWS`] weights, one is NaN or `+inf`, or none is above 0.
    pub fn new(log_weights: &[f64]) -> Result<Self> {
        Self::with_efficiency(log_weights, 1.0)
    }

    /// The same for draws of a Markov chain, each worth `efficiency` independent ones. That is the
    /// effective number of draws over their number (for example [`ess_mean`](super::ess_mean) of
    /// the weights), and above 1 for draws that are better than independent. It sets only the
    /// length of the tail: [`ParetoSmoothed::ess`] and the error of [`ParetoSmoothed::log_mean`]
    /// are still those of independent draws.
    ///
    /// # Errors
    /// Those of [`ParetoSmoothed::new`], or an efficiency that is not positive and finite.
    pub fn with_efficiency(log_weights: &[f64], efficiency: f64) -> Result<Self> {
        Self::check_efficiency(efficiency)?;
        let largest = check(log_weights)?;
        let mut smoothed: Vec<f64> = log_weights.iter().map(|w| w - largest).collect();
        let k_hat = smooth(&mut smoothed, efficiency);
        let mean = log_mean_exp(&smoothed);
        let log_sum = mean.value + (smoothed.len() as f64).ln();
        smoothed.iter_mut().for_each(|w| *w -= log_sum);
        Ok(Self {
            log_weights: smoothed,
            k_hat,
            ess: mean.effective,
            mean: LogMean {
                value: mean.value + largest,
                ..mean
            },
        })
    }

    /// Checks that an efficiency gives a tail length.
    pub(super) fn check_efficiency(efficiency: f64) -> Result<()> {
        if efficiency > 0.0 && efficiency.is_finite() {
            return Ok(());
        }
        let requirement = "must be positive and finite";
        Err(Error::config("efficiency", efficiency, requirement))
    }

    /// `log mean_s w_s` of the smoothed weights, with its standard error, in nats.
    ///
    /// If `q` is normalised and `p` is not, this is the log of the integral of `p`. The error is
    /// that of the delta method ([`LogMean::std_error`]), which assumes that the weights have a
    /// variance. It is too small as `k_hat` approaches 0.7, and meaningless above.
    pub fn log_mean(&self) -> LogMean {
        self.mean
    }

    /// The largest trusted `k_hat` for this number of draws: `min(1 - 1 / log10 S, 0.7)`, and 0 up
    /// to 10. (Vehtari et al.)
    pub fn threshold(draws: usize) -> f64 {
        if draws <= 10 {
            return 0.0;
        }
        (1.0 - (draws as f64).log10().recip()).min(MAX_K)
    }
}

/// Above this, no affordable number of draws makes up for the tail.
pub(super) const MAX_K: f64 = 0.7;

/// The largest log weight, if the weights are usable.
fn check(log_weights: &[f64]) -> Result<f64> {
    if log_weights.len() < MIN_DRAWS {
        let expected = format!("at least {MIN_DRAWS} log weights");
        return Err(Error::shape("ParetoSmoothed", expected, log_weights.len()));
    }
    let unusable = |w: &f64| w.is_nan() || *w == f64::INFINITY;
    if let Some(index) = log_weights.iter().position(unusable) {
        let what = "log weights (only -inf may be among them)";
        return Err(Error::NonFinite { what, index });
    }
    let largest = log_weights
        .iter()
        .copied()
        .fold(f64::NEG_INFINITY, f64::max);
    if largest == f64::NEG_INFINITY {
        return Err(Error::data("log weights: all are -inf, no draw has weight"));
    }
    Ok(largest)
}

/// Smooths log weights, the largest of which is 0, in place. Returns the shape.
fn smooth(log_weights: &mut [f64], efficiency: f64) -> f64 {
    let size = log_weights.len() as f64;
    let longest = 3.0 * (size / efficiency).sqrt();
    let length = (0.2 * size).min(longest).ceil() as usize;
    let mut order: Vec<usize> = (0..log_weights.len()).collect();
    // break ties by draw index, so that equal weights are smoothed the same way everywhere
    let by_weight = |&a: &usize, &b: &usize| -> Ordering {
        let weights = log_weights[a].total_cmp(&log_weights[b]);
        weights.then(a.cmp(&b))
    };
    order.sort_unstable_by(by_weight);
    // below the smallest normal number, weights have too few digits for a fit
    let cut = log_weights[order[order.len() - length - 1]].max(f64::MIN_POSITIVE.ln());
    if cut > -EQUAL {
        return f64::NEG_INFINITY;
    }
    let first = order.partition_point(|&i| log_weights[i] <= cut);
    let tail = &order[first..];
    let n = tail.len();
    if n < MIN_TAIL {
        return f64::INFINITY;
    }
    let threshold = cut.exp();
    let exceedances: Vec<f64> = tail
        .iter()
        .map(|&i| threshold * (log_weights[i] - cut).exp_m1())
        .collect();
    let Some(pareto) = Pareto::fit(&exceedances) else {
        return f64::INFINITY;
    };
    for (z, &i) in tail.iter().enumerate() {
        let quantile = pareto.quantile((z as f64 + 0.5) / n as f64);
        log_weights[i] = (threshold + quantile).ln().min(0.0);
    }
    pareto.k
}

/// The generalised Pareto distribution of exceedances over a threshold.
struct Pareto {
    k: f64,
    sigma: f64,
}

impl Pareto {
    /// Fits exceedances in increasing order, all above 0; `None` if a value is not finite.
    fn fit(x: &[f64]) -> Option<Self> {
        let n = x.len() as f64;
        let quartile = x.get(((n / 4.0 + 0.5) as usize).checked_sub(1)?)?;
        let largest = x.last()?;
        let shape = |theta: f64| x.iter().map(|x| (-theta * x).ln_1p()).sum::<f64>() / n;
        let count = 30 + n.sqrt() as usize;
        let grid: Vec<f64> = (0..count)
            .map(|j| {
                let spread = 1.0 - (count as f64 / (j as f64 + 0.5)).sqrt();
                largest.recip() + spread / (3.0 * quartile)
            })
            .collect();
        // 1 / sigma; theta = 0 is the limit, an exponential distribution
        let rate = |theta: f64, k: f64| match theta == 0.0 {
            true => n / x.iter().sum::<f64>(),
            false => -theta / k,
        };
        let profile = |&theta: &f64| {
            let k = shape(theta);
            n * (rate(theta, k).ln() - k - 1.0)
        };
        let likelihood: Vec<f64> = grid.iter().map(profile).collect();
        let best = likelihood.iter().copied().fold(f64::NAN, f64::max);
        let (mut theta, mut total) = (0.0, 0.0);
        for (point, l) in grid.iter().zip(&likelihood) {
            let weight = (l - best).exp();
            theta += weight * point;
            total += weight;
        }
        theta /= total;
        let k = shape(theta);
        let sigma = rate(theta, k).recip();
        let k = (n * k + 0.5 * PRIOR_WEIGHTS) / (n + PRIOR_WEIGHTS);
        (k.is_finite() && sigma.is_finite() && sigma > 0.0).then_some(Self { k, sigma })
    }

    /// `F^{-1}(p)`.
    fn quantile(&self, p: f64) -> f64 {
        let exponential = -(-p).ln_1p();
        if self.k.abs() < f64::EPSILON {
            return self.sigma * exponential;
        }
        self.sigma * (self.k * exponential).exp_m1() / self.k
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fit_finds_the_distribution_of_its_own_quantiles() {
        // 4,000 quantiles instead of draws: only the prior and the fit's bias, of order 1/n, move k
        for (k, sigma) in [(0.6, 2.0), (0.2, 1e-6), (-0.4, 3e5)] {
            let exact = Pareto { k, sigma };
            let n = 4000;
            let x: Vec<f64> = (0..n)
                .map(|i| exact.quantile((i as f64 + 0.5) / n as f64))
                .collect();
            let fit = Pareto::fit(&x).unwrap();
            let expected = (n as f64 * k + 5.0) / (n as f64 + 10.0);
            assert!((fit.k - expected).abs() < 5e-3, "{k}: {}", fit.k);
            assert!((fit.sigma / sigma - 1.0).abs() < 5e-3, "{}", fit.sigma);
        }
    }

    #[test]
    fn quantiles_invert_the_distribution_function() {
        for k in [-0.7, 0.0, 1e-9, 0.8] {
            let pareto = Pareto { k, sigma: 2.5 };
            for p in [0.01, 0.5, 0.99] {
                let x = pareto.quantile(p) / 2.5;
                let above = if k == 0.0 {
                    (-x).exp()
                } else {
                    (-(k * x).ln_1p() / k).exp()
                };
                assert!((1.0 - above - p).abs() < 1e-12, "{k} {p}");
            }
        }
    }

    #[test]
    fn an_exponential_tail_is_no_division_of_zero_by_zero() {
        // m = 34, j = 9: sqrt(m / (j - 1/2)) = 2; theta = 0 is on the grid if the quartile is a
        // third of the maximum
        let mut x = vec![1.0; 8];
        x.extend([3.0; 8]);
        let fit = Pareto::fit(&x).unwrap();
        assert!(fit.k.is_finite() && fit.sigma > 0.0);
    }
}
