//! The evidence by annealed importance sampling: a long reference that owes nothing to a fit.
//!
//! R. M. Neal, "Annealed importance sampling", Statistics and Computing 11 (2001). Between a Gaussian `q` that can be drawn from and the joint density
//! `p(D, theta)` stand
//!
//! ```text
//! pi_k(theta) = q(theta)^{1 - b_k} p(D, theta)^{b_k},   b_k = (k/K)^power,  k = 0 ... K
//! theta_0 ~ q,   theta_k from theta_{k-1} by a transition that leaves pi_k as it is
//! log w = sum_{k=1}^{K} (b_k - b_{k-1}) (log p(D, theta_{k-1}) - log q(theta_{k-1}))
//! ```
//!
//! and `E[w] = p(D)`, for any number of temperatures and however badly the transitions mix. With `q` the prior the bracket is the log-likelihood.
//! Temperatures that crowd at 0 as a power are those of Friel & Pettitt, "Marginal likelihood estimation via power posteriors", JRSS B 70 (2008).
//!
//! The transition is Hamiltonian Monte Carlo: a new momentum, a few leapfrog steps in the coordinates in which `q` is standard, and a
//! Metropolis test. Its step size at each temperature is tuned beforehand by a pilot of other particles, and fixed then: nothing that a particle does
//! depends on what it or another has done, and the weights are independent.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::linalg::vector::{dot, fill_normal};
use crate::linalg::{LogMean, log_mean_exp};
use crate::model::LogDensity;
use crate::rng::{Phase, Streams};
use crate::scalar::Scalar;

/// How many particles are annealed, and how slowly.
#[derive(Clone, Debug, PartialEq)]
pub struct AnnealedOptions {
    /// Number of particles: of independent estimates.
    pub particles: usize,
    /// Number of temperatures `K` above 0. Twice as many halve the variance of `log w`, once transitions keep up.
    pub temperatures: usize,
    /// How much temperatures crowd at the prior: `b_k = (k/K)^power`.
    pub power: f64,
    /// Leapfrog steps of a transition, one gradient each. For a network fewer temperatures with long trajectories are better than many with short ones: the
    /// step size is that of the stiffest direction, and what a trajectory does not reach is left behind.
    pub leapfrog_steps: usize,
    /// The mean acceptance that step sizes are tuned to, between 0 and 1.
    pub acceptance: f64,
    /// Particles of the pilot.
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
    /// `log mean w`, in nats: an estimate of `log p(D)`, low by about half its squared error.
    pub log_evidence: f64,
    /// Its standard error by the delta method ([`LogMean::std_error`]): to be trusted while it is small against 1 and many weights count.
    pub std_error: f64,
    /// How many particles of equal weight these are worth. With few of many the error is not to be trusted: take more temperatures.
    pub ess: f64,
    /// The logarithms of the weights, `[particles]`: independent, and the mean of `w` is `p(D)`.
    pub log_weights: Vec<f64>,
    /// Mean acceptance of the transitions, at each temperature below the last, `[temperatures - 1]`.
    pub acceptance: Vec<f64>,
    /// Gradients computed, the pilot's included.
    pub gradients: usize,
}

/// Annealed importance sampling from `q = N(0, 1 / prior_precision)` to `density`, whose integral is estimated. `prior_precision` is `[P]` (for a posterior:
/// [`Curved::prior_precision`](crate::model::Curved::prior_precision)).
///
/// `q` need not be the prior for the estimate to be right; the temperatures are efficient if it is. Where `density` is 0 at a start (`-inf`), the weight is 0.
/// Particle `i` draws from stream `i` of [`Phase::ANNEAL`].
///
/// # Errors
/// If a setting is outside its domain, `prior_precision` has the wrong length or is not positive, the density is NaN or `+inf` at a draw of `q`, or 0 at all draws
/// of the pilot.
pub fn annealed_evidence<T: Scalar, D: LogDensity<T>>(
    density: &D,
    prior_precision: &[f64],
    options: &AnnealedOptions,
    streams: Streams,
) -> Result<AnnealedEvidence> {
    options.validate()?;
    let path = Path::new(density, prior_precision, options)?;
    let (step_sizes, pilot_gradients) = path.tune(streams)?;
    let particles: Vec<Annealed> = (0..options.particles)
        .into_par_iter()
        .map(|index| path.anneal(&step_sizes, streams.rng(Phase::ANNEAL, index as u64)))
        .collect::<Result<_>>()?;
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

/// What a particle brings back.
struct Annealed {
    log_weight: f64,
    acceptance: Vec<f64>,
    gradients: usize,
}

/// A point in the coordinates `z = sqrt(prior_precision) theta`, with the density there.
#[derive(Clone)]
struct Point {
    z: Vec<f64>,
    /// `log p(D, theta)`.
    joint: f64,
    /// Its gradient with respect to `z`.
    gradient: Vec<f64>,
}

/// A particle with its generator and its memory.
struct Traveller<T, W> {
    at: Point,
    proposed: Point,
    momentum: Vec<f64>,
    theta: Vec<T>,
    gradient: Vec<T>,
    rng: ChaCha8Rng,
    ws: W,
}

/// The densities from `q` to the joint one.
struct Path<'a, D> {
    density: &'a D,
    options: &'a AnnealedOptions,
    /// Standard deviations of `q`.
    scale: Vec<f64>,
    /// `log q` where it is largest.
    log_peak: f64,
}

/// Streams of the pilot begin here.
const PILOT: u64 = 1 << 40;
/// Transitions of the pilot at the first temperature, before it moves on.
const SETTLE: usize = 40;
/// How fast the logarithm of a step size follows the acceptance.
const GAIN: f64 = 0.5;

impl<'a, D> Path<'a, D> {
    fn new<T: Scalar>(
        density: &'a D,
        prior_precision: &[f64],
        options: &'a AnnealedOptions,
    ) -> Result<Self>
    where
        D: LogDensity<T>,
    {
        if prior_precision.len() != density.dim() {
            let expected = format!("{} prior precisions", density.dim());
            let got = prior_precision.len();
            return Err(Error::shape("annealed_evidence", expected, got));
        }
        let unusable = |a: &&f64| !(**a > 0.0 && a.is_finite());
        if let Some(&precision) = prior_precision.iter().find(unusable) {
            let requirement = "must be positive and finite";
            return Err(Error::config("prior_precision", precision, requirement));
        }
        let term = |a: &f64| 0.5 * (a / std::f64::consts::TAU).ln();
        Ok(Self {
            density,
            options,
            scale: prior_precision.iter().map(|a| a.sqrt().recip()).collect(),
            log_peak: prior_precision.iter().map(term).sum(),
        })
    }

    fn log_q(&self, z: &[f64]) -> f64 {
        self.log_peak - 0.5 * dot(z, z)
    }

    /// `log pi` at inverse temperature `b`.
    fn tempered(&self, b: f64, point: &Point) -> f64 {
        (1.0 - b) * self.log_q(&point.z) + b * point.joint
    }

    /// A particle at a draw of `q`.
    fn start<T: Scalar>(&self, mut rng: ChaCha8Rng) -> Result<Traveller<T, D::Workspace>>
    where
        D: LogDensity<T>,
    {
        let dim = self.scale.len();
        let mut z = vec![0.0; dim];
        fill_normal(&mut rng, &mut z);
        let point = Point {
            z,
            joint: 0.0,
            gradient: vec![0.0; dim],
        };
        let mut traveller = Traveller {
            at: point.clone(),
            proposed: point,
            momentum: vec![0.0; dim],
            theta: vec![T::ZERO; dim],
            gradient: vec![T::ZERO; dim],
            rng,
            ws: self.density.workspace(),
        };
        self.evaluate(&mut traveller)?;
        std::mem::swap(&mut traveller.at, &mut traveller.proposed);
        let joint = traveller.at.joint;
        if joint.is_nan() || joint == f64::INFINITY {
            let what = "the log density at a draw of the prior";
            return Err(Error::NonFinite { what, index: 0 });
        }
        Ok(traveller)
    }

    /// The density at the point proposed.
    fn evaluate<T: Scalar>(&self, t: &mut Traveller<T, D::Workspace>) -> Result<()>
    where
        D: LogDensity<T>,
    {
        let point = &mut t.proposed;
        for ((theta, z), scale) in t.theta.iter_mut().zip(&point.z).zip(&self.scale) {
            *theta = T::from_f64(z * scale);
        }
        point.joint = self
            .density
            .log_density_and_grad(&t.theta, &mut t.gradient, &mut t.ws)?;
        for ((g, theta), scale) in point.gradient.iter_mut().zip(&t.gradient).zip(&self.scale) {
            *g = theta.to_f64() * scale;
        }
        Ok(())
    }

    /// One transition that leaves `pi` at `b` as it is; the probability with which it was accepted.
    fn transition<T: Scalar>(
        &self,
        b: f64,
        step_size: f64,
        t: &mut Traveller<T, D::Workspace>,
    ) -> Result<f64>
    where
        D: LogDensity<T>,
    {
        fill_normal(&mut t.rng, &mut t.momentum);
        // trajectories of one length would return to where they came from along a direction whose period fits
        let step = step_size * (0.8 + 0.4 * t.rng.random::<f64>());
        let toss: f64 = t.rng.random();
        let before = self.tempered(b, &t.at) - 0.5 * dot(&t.momentum, &t.momentum);
        t.proposed.z.copy_from_slice(&t.at.z);
        t.proposed.gradient.copy_from_slice(&t.at.gradient);
        for _ in 0..self.options.leapfrog_steps {
            kick(0.5 * step, b, &t.proposed, &mut t.momentum);
            for (z, r) in t.proposed.z.iter_mut().zip(&t.momentum) {
                *z += step * r;
            }
            self.evaluate(t)?;
            kick(0.5 * step, b, &t.proposed, &mut t.momentum);
        }
        let after = self.tempered(b, &t.proposed) - 0.5 * dot(&t.momentum, &t.momentum);
        // a trajectory that left the arithmetic is rejected
        let acceptance = match after.is_finite() {
            true => (after - before).exp().min(1.0),
            false => 0.0,
        };
        if toss < acceptance {
            std::mem::swap(&mut t.at, &mut t.proposed);
        }
        Ok(acceptance)
    }

    /// A step size for each temperature between 0 and the last, and the gradients that they cost.
    fn tune<T: Scalar>(&self, streams: Streams) -> Result<(Vec<f64>, usize)>
    where
        D: LogDensity<T>,
    {
        let mut pilot: Vec<Traveller<T, D::Workspace>> = (0..self.options.pilot)
            .into_par_iter()
            .map(|index| self.start(streams.rng(Phase::ANNEAL, PILOT + index as u64)))
            .collect::<Result<_>>()?;
        pilot.retain(|t| t.at.joint.is_finite());
        if pilot.is_empty() {
            let what = "annealed_evidence: the density is 0 at all draws of the prior";
            return Err(Error::data(what));
        }
        let count = pilot.len();
        let mut gradients = self.options.pilot;
        // a leapfrog step that is accepted often enough in so many dimensions, where the density is about standard
        let mut log_step = -0.25 * (self.scale.len().max(1) as f64).ln();
        let mut step_sizes = Vec::with_capacity(self.options.temperatures - 1);
        for k in 1..self.options.temperatures {
            let b = self.options.temperature(k);
            for _ in 0..if k == 1 { SETTLE } else { 1 } {
                let step = log_step.exp();
                let accepted: Vec<f64> = pilot
                    .par_iter_mut()
                    .map(|t| self.transition(b, step, t))
                    .collect::<Result<_>>()?;
                let mean = accepted.iter().sum::<f64>() / count as f64;
                log_step += GAIN * (mean - self.options.acceptance);
                gradients += count * self.options.leapfrog_steps;
            }
            step_sizes.push(log_step.exp());
        }
        Ok((step_sizes, gradients))
    }

    /// One particle from `q` to the end.
    fn anneal<T: Scalar>(&self, step_sizes: &[f64], rng: ChaCha8Rng) -> Result<Annealed>
    where
        D: LogDensity<T>,
    {
        let mut traveller = self.start(rng)?;
        let mut annealed = Annealed {
            log_weight: 0.0,
            acceptance: vec![0.0; step_sizes.len()],
            gradients: 1,
        };
        let mut cold = 0.0;
        for k in 1..=self.options.temperatures {
            let b = self.options.temperature(k);
            let point = &traveller.at;
            if point.joint == f64::NEG_INFINITY {
                annealed.log_weight = f64::NEG_INFINITY;
                break;
            }
            annealed.log_weight += (b - cold) * (point.joint - self.log_q(&point.z));
            cold = b;
            // the last temperature has no step size: what would move there is weighed already
            if let Some(&step) = step_sizes.get(k - 1) {
                annealed.acceptance[k - 1] = self.transition(b, step, &mut traveller)?;
                annealed.gradients += self.options.leapfrog_steps;
            }
        }
        Ok(annealed)
    }
}

/// `r += s grad log pi` at inverse temperature `b`.
fn kick(s: f64, b: f64, point: &Point, momentum: &mut [f64]) {
    for ((r, z), g) in momentum.iter_mut().zip(&point.z).zip(&point.gradient) {
        *r += s * (b * g - (1.0 - b) * z);
    }
}
