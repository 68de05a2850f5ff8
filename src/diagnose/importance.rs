//! Importance weights `w = p / q` at draws of `q`: how good `q` is, and the integral of `p`.
//!
//! ```text
//! ELBO         = mean_s log w_s  <=  log Z,  Z = integral of p          the gap is KL(q | p/Z)
//! log Z^       = log mean_s w_s, the weights Pareto-smoothed            see psis
//! sd(log Z^)   = sd(w) / (sqrt S mean w)                                delta method
//! refused if     k^ >= min(1 - 1 / log10 S, 0.7)
//! ```
//!
//! For `k^`, and where it is too high: Vehtari et al., arXiv 1507.02646. For the use on a fitted
//! `q`: Yao, Vehtari, Simpson & Gelman, "Yes, but did it work?: Evaluating variational inference",
//! ICML 2018. `q` must be normalised, constants included; `p` need not be.
//!
//! The ELBO is always available, but it says nothing of the mass of `p` where `q` does not draw.
//! Nor do the weights, if no draw came near that mass: `k^` sees only the sampled tail.

use super::psis::{MAX_K, ParetoSmoothed};
use crate::error::Result;

/// How far a density `q` that can be sampled is from an unnormalised `p`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ImportanceSummary {
    /// Number of draws of `q`.
    pub draws: usize,
    /// `mean log w`, in nats: a lower bound of the log evidence. `-inf` if `p` is 0 at a draw.
    pub elbo: f64,
    /// Standard error of the ELBO, `sd(log w) / sqrt S`; infinite if the ELBO is.
    pub elbo_error: f64,
    /// Shape of the weights' tail: see [`ParetoSmoothed::k_hat`].
    pub k_hat: f64,
    /// Effective number of draws of `p` that the weighted draws of `q` are worth. It is too large
    /// if `k_hat` is high.
    pub ess: f64,
    /// `log Z`, or why there is no estimate.
    pub log_evidence: std::result::Result<LogEvidence, Refusal>,
}

/// The logarithm of the integral of `p`, in nats.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LogEvidence {
    /// `log mean w` of the smoothed weights. It is low by about half the squared error, as the
    /// logarithm of an unbiased mean is.
    pub value: f64,
    /// Its standard error by the delta method, for independent draws and weights that have a
    /// variance (`k_hat` below 1/2). From 1/2 to 0.7 the estimate still converges, but more slowly
    /// than this says.
    pub std_error: f64,
}

/// Why there is no estimate of the evidence.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Refusal {
    /// The tail is too heavy for any affordable number of draws: `q` is too narrow somewhere.
    HeavyTail {
        /// Shape of the tail.
        k_hat: f64,
        /// The bound of `k_hat`: 0.7.
        limit: f64,
    },
    /// The tail can be averaged over, but not with so few draws.
    FewDraws {
        /// Shape of the tail.
        k_hat: f64,
        /// The bound of `k_hat` for this number of draws: `1 - 1 / log10 S`.
        limit: f64,
        /// The number of draws.
        draws: usize,
        /// The number of draws that admits this shape, if the shape stays: `10^{1 / (1 - k)}`.
        needed: usize,
    },
}

impl Refusal {
    /// The refusal for this number of draws and this shape, if any.
    fn of(k_hat: f64, draws: usize) -> Option<Self> {
        let limit = ParetoSmoothed::threshold(draws);
        if k_hat < limit {
            return None;
        }
        if k_hat < MAX_K {
            let needed = 10f64.powf((1.0 - k_hat).recip()).floor() as usize + 1;
            return Some(Refusal::FewDraws {
                k_hat,
                limit,
                draws,
                needed,
            });
        }
        let limit = MAX_K;
        Some(Refusal::HeavyTail { k_hat, limit })
    }
}

impl ImportanceSummary {
    /// The summary of `log p - log q`, in nats, at independent draws of `q`; `-inf` where `p` is 0.
    ///
    /// # Errors
    /// Those of [`ParetoSmoothed::new`].
    pub fn new(log_weights: &[f64]) -> Result<Self> {
        let smoothed = ParetoSmoothed::new(log_weights)?;
        let draws = log_weights.len();
        let size = draws as f64;
        let elbo = log_weights.iter().sum::<f64>() / size;
        let squares: f64 = log_weights.iter().map(|w| (w - elbo).powi(2)).sum();
        let elbo_error = match elbo.is_finite() {
            true => (squares / (size * (size - 1.0))).sqrt(),
            false => f64::INFINITY,
        };
        let mean = smoothed.log_mean();
        let log_evidence = match Refusal::of(smoothed.k_hat, draws) {
            Some(refusal) => Err(refusal),
            None => Ok(LogEvidence {
                value: mean.value,
                std_error: mean.std_error,
            }),
        };
        Ok(Self {
            draws,
            elbo,
            elbo_error,
            k_hat: smoothed.k_hat,
            ess: smoothed.ess,
            log_evidence,
        })
    }
}
