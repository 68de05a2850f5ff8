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
//! The transition is Hamiltonian Monte Carlo: a new momentum, a few leapfrog steps in the
//! coordinates in which `q` is standard, and a Metropolis test. A pilot run of other particles
//! tunes the step size at each temperature; it is fixed after that. So nothing that a
//! particle does depends on what it or another has done, and the weights are independent.

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

/// The result of one particle.
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

/// A particle with its random generator and workspace.
struct Traveller<T, W> {
    at: Point,
    proposed: Point,
    momentum: Vec<f64>,
    theta: Vec<T>,
    gradient: Vec<T>,
    rng: ChaCha8Rng,
    ws: W,
}

/// The densities that lead from `q` to the joint one.
struct Path<'a, D> {
    density: &'a D,
    options: &'a AnnealedOptions,
    /// Standard deviations of `q`.
    scale: Vec<f64>,
    /// The maximum of `log q`.
    log_peak: f64,
}

/// First stream of the pilot run.
const PILOT: u64 = 1 << 40;
/// Transitions of the pilot run at the first temperature, before it moves on.
const SETTLE: usize = 40;
/// Gain with which the logarithm of a step size follows the acceptance.
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

    /// Computes the density at the proposed point.
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

    /// One transition that leaves `pi` at `b` invariant. Returns the probability of acceptance.
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
        // with one fixed length, a trajectory would return to its start along directions of a
        // matching period
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
        // a trajectory whose end is not finite is rejected
        let acceptance = match after.is_finite() {
            true => (after - before).exp().min(1.0),
            false => 0.0,
        };
        if toss < acceptance {
            std::mem::swap(&mut t.at, &mut t.proposed);
        }
        Ok(acceptance)
    }

    /// A step size for each temperature between 0 and the last, and the number of gradients spent
    /// on them.
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
        // a leapfrog step that is accepted often enough where the density is about standard normal,
        // in this many dimensions
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

    /// One particle from `q` to the joint density.
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
            // the last temperature has no step size: the weight is complete, so no move is needed
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
