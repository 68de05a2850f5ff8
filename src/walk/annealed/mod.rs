//! The evidence by annealed importance sampling: a long reference run, independent of any fit.
//!
//! R. M. Neal, "Annealed importance sampling", Statistics and Computing 11 (2001). Densities `pi_k`
//! lead from a Gaussian `q` that can be drawn from to the joint density `p(D, theta)`:
//!
//! ```text
//! pi_k(theta) = q(theta)^{1 - b_k} p(D, theta)^{b_k},   b_k = (k/K)^power,  k = 0 ... K
//! theta_0 ~ q,   theta_k from theta_{k-1} by a transition that leaves pi_k invariant
//! log w = sum_{k=1}^{K} (b_k - b_{k-1}) (log p(D, theta_{k-1}) - log q(theta_{k-1}))
//! ```
//!
//! Then `E[w] = p(D)`, for any number of temperatures and however badly the transitions mix. If `q`
//! is the prior, the bracket is the log-likelihood. Temperatures that crowd at 0 as a power are
//! those of Friel & Pettitt, "Marginal likelihood estimation via power posteriors", JRSS B 70
//! (2008).
//!
//! The transition is Hamiltonian Monte Carlo: a new momentum, a few leapfrog steps (`leapfrog`) in
//! the coordinates in which `q` is standard, and a Metropolis test. A pilot run of other particles
//! tunes the step size at each temperature; it is fixed after that. So nothing that a
//! particle does depends on what it or another has done, and the weights are independent.

mod bracket;
mod path;

use crate::error::{Error, Result};
use crate::linalg::{LogMean, log_mean_exp};
use crate::model::LogDensity;
use crate::parallel;
use crate::rng::{Phase, Streams};
use crate::scalar::Scalar;
use path::{Annealed, Path};

pub use bracket::{Bound, EvidenceBracket, evidence_bracket};

/// How many particles are annealed, and how slowly.
#[derive(Clone, Debug, PartialEq)]
pub struct AnnealedOptions {
    /// Number of particles, each an independent estimate.
    pub particles: usize,
    /// Number of temperatures `K` above 0. Doubling it halves the variance of `log w`, once
    /// transitions keep up.
    pub temperatures: usize,
    /// How strongly temperatures crowd at the prior: `b_k = (k/K)^power`.
    pub power: f64,
    /// Leapfrog steps of a transition, one gradient each. For a network, few temperatures with long
    /// trajectories are better than many with short ones. The stiffest direction sets the step
    /// size, and whatever a trajectory does not reach is left behind.
    pub leapfrog_steps: usize,
    /// The mean acceptance to which step sizes are tuned, between 0 and 1.
    pub acceptance: f64,
    /// Particles of the pilot run.
    pub pilot: usize,
}

impl Default for AnnealedOptions {
    fn default() -> Self {
        Self {
            particles: 64,
            temperatures: 1_000,
            power: 5.0,
            leapfrog_steps: 32,
            acceptance: 0.8,
            pilot: 16,
        }
    }
}

impl AnnealedOptions {
    /// Checks the settings.
    ///
    /// # Errors
    /// If one is outside its domain.
    pub fn validate(&self) -> Result<()> {
        let counts = [
            ("particles", self.particles, 2),
            ("temperatures", self.temperatures, 1),
            ("leapfrog_steps", self.leapfrog_steps, 1),
            ("pilot", self.pilot, 1),
        ];
        for (field, value, least) in counts {
            if value < least {
                let requirement = format!("must be at least {least}");
                return Err(Error::config(field, value, &requirement));
            }
        }
        if !(self.power >= 1.0 && self.power.is_finite()) {
            let requirement = "must be at least 1 and finite";
            return Err(Error::config("power", self.power, requirement));
        }
        if !(self.acceptance > 0.0 && self.acceptance < 1.0) {
            let requirement = "must be between 0 and 1";
            return Err(Error::config("acceptance", self.acceptance, requirement));
        }
        Ok(())
    }

    fn temperature(&self, k: usize) -> f64 {
        (k as f64 / self.temperatures as f64).powf(self.power)
    }
}

/// The evidence by annealed importance sampling.
#[derive(Clone, Debug, PartialEq)]
pub struct AnnealedEvidence {
    /// `log mean w`, in nats: an estimate of `log p(D)`, too low by about half its squared error.
    pub log_evidence: f64,
    /// Its standard error by the delta method ([`LogMean::std_error`]). Trust it only while it is
    /// well below 1 and many weights count.
    pub std_error: f64,
    /// Effective sample size: how many particles of equal weight these are worth. If it is a small
    /// part of all particles, do not trust the error; take more temperatures.
    pub ess: f64,
    /// The logarithms of the weights, `[particles]`. They are independent, and `E[w] = p(D)`.
    pub log_weights: Vec<f64>,
    /// Mean acceptance of the transitions at each temperature below the last, `[temperatures - 1]`.
    pub acceptance: Vec<f64>,
    /// Gradients computed, those of the pilot run included.
    pub gradients: usize,
}

/// Annealed importance sampling from `q = N(0, 1 / prior_precision)` to `density`; it estimates the
/// integral of `density`. `prior_precision` is `[P]` (for a posterior:
/// [`Curved::prior_precision`](crate::model::Curved::prior_precision)).
///
/// The estimate is right even if `q` is not the prior, but the temperatures are efficient only if
/// it is. Where `density` is 0 at a start (`-inf`), the weight is 0. Particle `i` draws from stream
/// `i` of [`Phase::ANNEAL`].
///
/// # Errors
/// If a setting is outside its domain, or `prior_precision` has the wrong length or is not
/// positive. Also if the density is NaN or `+inf` at a draw of `q`, or 0 at all draws of the pilot
/// run.
pub fn annealed_evidence<T: Scalar, D: LogDensity<T>>(
    density: &D,
    prior_precision: &[f64],
    options: &AnnealedOptions,
    streams: Streams,
) -> Result<AnnealedEvidence> {
    options.validate()?;
    let path = Path::new(density, prior_precision, options)?;
    let on_temperature = || Ok(());
    let (step_sizes, pilot_gradients) = path.tune(streams, &on_temperature)?;
    let particles: Vec<Annealed> = parallel::try_map(options.particles, |index| {
        let rng = streams.rng(Phase::ANNEAL, index as u64);
        path.anneal(&step_sizes, rng, &on_temperature)
    })?;
    let log_weights: Vec<f64> = particles.iter().map(|p| p.log_weight).collect();
    let LogMean {
        value,
        std_error,
        effective,
    } = log_mean_exp(&log_weights);
    let mut acceptance = vec![0.0; step_sizes.len()];
    for particle in &particles {
        for (sum, a) in acceptance.iter_mut().zip(&particle.acceptance) {
            *sum += a / options.particles as f64;
        }
    }
    let gradients = particles.iter().map(|p| p.gradients).sum::<usize>();
    Ok(AnnealedEvidence {
        log_evidence: value,
        std_error,
        ess: effective,
        log_weights,
        acceptance,
        gradients: gradients + pilot_gradients,
    })
}
