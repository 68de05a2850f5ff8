//! The densities on the way from the Gaussian `q` to the joint one, and the particles that take it.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::AnnealedOptions;
use crate::error::{Error, Result, counted};
use crate::linalg::vector::dot;
use crate::model::LogDensity;
use crate::optim::Descent;
use crate::parallel;
use crate::rng::{Phase, Streams, fill_normal};
use crate::scalar::Scalar;
use crate::walk::leapfrog::{Leapfrog, PhasePoint};

/// Called before each temperature of each particle; an error ends the annealing.
pub(super) type OnTemperature<'a> = &'a (dyn Fn() -> Result<()> + Sync);

/// The result of one particle.
pub(super) struct Annealed {
    pub log_weight: f64,
    pub acceptance: Vec<f64>,
    pub gradients: usize,
}

/// A point in the coordinates `z = sqrt(prior_precision) theta`, with the joint density there.
#[derive(Clone)]
struct Point {
    /// `z`, the momentum, and `log pi` with its gradient at some temperature.
    phase: PhasePoint<f64>,
    /// `log p(D, theta)`.
    joint: f64,
    /// Its gradient with respect to `z`.
    slope: Vec<f64>,
}

/// A particle with its random generator and workspace.
struct Traveller<T, W> {
    at: Point,
    proposed: Point,
    memory: Memory<T, W>,
    rng: ChaCha8Rng,
}

/// Memory for an evaluation.
struct Memory<T, W> {
    theta: Vec<T>,
    gradient: Vec<T>,
    density: W,
}

/// The densities that lead from `q` to the joint one.
pub(super) struct Path<'a, D> {
    density: &'a D,
    options: &'a AnnealedOptions,
    /// Standard deviations of `q`.
    scale: Vec<f64>,
    /// The leapfrog's scale: `q` is standard in `z`.
    unit: Vec<f64>,
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
    pub fn new<T: Scalar>(
        density: &'a D,
        prior_precision: &[f64],
        options: &'a AnnealedOptions,
    ) -> Result<Self>
    where
        D: LogDensity<T>,
    {
        if prior_precision.len() != density.dim() {
            let expected = counted(density.dim(), "prior precision");
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
            unit: vec![1.0; prior_precision.len()],
            log_peak: prior_precision.iter().map(term).sum(),
        })
    }

    fn log_q(&self, z: &[f64]) -> f64 {
        self.log_peak - 0.5 * dot(z, z)
    }

    /// `log pi` at inverse temperature `b`, and its gradient, where the joint density is known.
    fn tempered(
        &self,
        b: f64,
        z: &[f64],
        (joint, slope): (f64, &[f64]),
        gradient: &mut [f64],
    ) -> f64 {
        for ((out, z), g) in gradient.iter_mut().zip(z).zip(slope) {
            *out = b * g - (1.0 - b) * z;
        }
        (1.0 - b) * self.log_q(z) + b * joint
    }

    /// The joint density at `z`; its gradient goes to `slope`.
    fn joint<T: Scalar>(
        &self,
        z: &[f64],
        slope: &mut [f64],
        memory: &mut Memory<T, D::Workspace>,
    ) -> Result<f64>
    where
        D: LogDensity<T>,
    {
        for ((theta, z), scale) in memory.theta.iter_mut().zip(z).zip(&self.scale) {
            *theta = T::from_f64(z * scale);
        }
        let (theta, gradient) = (&memory.theta, &mut memory.gradient);
        let joint = self
            .density
            .log_density_and_grad(theta, gradient, &mut memory.density)?;
        for ((s, g), scale) in slope.iter_mut().zip(gradient).zip(&self.scale) {
            *s = g.to_f64() * scale;
        }
        Ok(joint)
    }

    /// A particle at a draw of `q`.
    fn start<T: Scalar>(&self, mut rng: ChaCha8Rng) -> Result<Traveller<T, D::Workspace>>
    where
        D: LogDensity<T>,
    {
        let mut z = vec![0.0; self.scale.len()];
        fill_normal(&mut rng, &mut z);
        self.traveller(&z, "log density at a draw of the prior", rng)
    }

    /// A particle at `z`.
    fn traveller<T: Scalar>(
        &self,
        z: &[f64],
        what: &'static str,
        rng: ChaCha8Rng,
    ) -> Result<Traveller<T, D::Workspace>>
    where
        D: LogDensity<T>,
    {
        let dim = self.scale.len();
        let mut memory = Memory {
            theta: vec![T::ZERO; dim],
            gradient: vec![T::ZERO; dim],
            density: self.density.workspace(),
        };
        let mut at = Point {
            phase: PhasePoint::new(dim),
            joint: 0.0,
            slope: vec![0.0; dim],
        };
        at.phase.theta.copy_from_slice(z);
        at.joint = self.joint(&at.phase.theta, &mut at.slope, &mut memory)?;
        if at.joint.is_nan() || at.joint == f64::INFINITY {
            let at = Descent::start("annealed importance sampling");
            return Err(at.diverged(what));
        }
        Ok(Traveller {
            proposed: at.clone(),
            at,
            memory,
            rng,
        })
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
        let (at, proposed) = (&mut t.at, &mut t.proposed);
        let phase = &mut at.phase;
        let known = (at.joint, &at.slope[..]);
        phase.log_density = self.tempered(b, &phase.theta, known, &mut phase.gradient);
        fill_normal(&mut t.rng, &mut phase.momentum);
        // with one fixed length, a trajectory would return to its start along directions of a
        // matching period
        let leapfrog = Leapfrog {
            scale: &self.unit,
            step_size: step_size * (0.8 + 0.4 * t.rng.random::<f64>()),
        };
        let toss: f64 = t.rng.random();
        let before = phase.hamiltonian();
        proposed.phase.set(phase);
        for _ in 0..self.options.leapfrog_steps {
            leapfrog.step(&mut proposed.phase, true, |z, gradient| {
                proposed.joint = self.joint(z, &mut proposed.slope, &mut t.memory)?;
                let known = (proposed.joint, &proposed.slope[..]);
                Ok(self.tempered(b, z, known, gradient))
            })?;
        }
        // a trajectory whose end is not finite has infinite energy, and is rejected
        let acceptance = (before - proposed.phase.hamiltonian()).exp().min(1.0);
        if toss < acceptance {
            std::mem::swap(at, proposed);
        }
        Ok(acceptance)
    }

    /// A step size for each temperature between 0 and the last, and the number of gradients spent
    /// on them.
    pub fn tune<T: Scalar>(
        &self,
        streams: Streams,
        progress: OnTemperature<'_>,
    ) -> Result<(Vec<f64>, usize)>
    where
        D: LogDensity<T>,
    {
        let mut pilot: Vec<Traveller<T, D::Workspace>> =
            parallel::try_map(self.options.pilot, |index| {
                self.start(streams.rng(Phase::ANNEAL, PILOT + index as u64))
            })?;
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
        let mut accepted = vec![0.0; count];
        for k in 1..self.options.temperatures {
            progress()?;
            let b = self.options.temperature(k);
            for _ in 0..if k == 1 { SETTLE } else { 1 } {
                let step = log_step.exp();
                parallel::try_for_each(pilot.iter_mut().zip(&mut accepted), |_, (t, accepted)| {
                    *accepted = self.transition(b, step, t)?;
                    Ok(())
                })?;
                let mean = accepted.iter().sum::<f64>() / count as f64;
                log_step += GAIN * (mean - self.options.acceptance);
                gradients += count * self.options.leapfrog_steps;
            }
            step_sizes.push(log_step.exp());
        }
        Ok((step_sizes, gradients))
    }

    /// One particle from `q` to the joint density.
    pub fn anneal<T: Scalar>(
        &self,
        step_sizes: &[f64],
        rng: ChaCha8Rng,
        progress: OnTemperature<'_>,
    ) -> Result<Annealed>
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
            progress()?;
            let b = self.options.temperature(k);
            let point = &traveller.at;
            if point.joint == f64::NEG_INFINITY {
                annealed.log_weight = f64::NEG_INFINITY;
                break;
            }
            annealed.log_weight += (b - cold) * (point.joint - self.log_q(&point.phase.theta));
            cold = b;
            // the last temperature has no step size: the weight is complete, so no move is needed
            if let Some(&step) = step_sizes.get(k - 1) {
                annealed.acceptance[k - 1] = self.transition(b, step, &mut traveller)?;
                annealed.gradients += self.options.leapfrog_steps;
            }
        }
        Ok(annealed)
    }

    /// One particle from a draw `theta` of the joint density to `q`: the way of
    /// [`Path::anneal`] in reverse. Its weight is that of the same way taken forwards.
    pub fn recede<T: Scalar>(
        &self,
        theta: &[T],
        step_sizes: &[f64],
        rng: ChaCha8Rng,
        progress: OnTemperature<'_>,
    ) -> Result<Annealed>
    where
        D: LogDensity<T>,
    {
        let z = theta.iter().zip(&self.scale);
        let z: Vec<f64> = z.map(|(t, scale)| t.to_f64() / scale).collect();
        let what = "log density at a draw of the posterior";
        let mut traveller = self.traveller(&z, what, rng)?;
        if traveller.at.joint == f64::NEG_INFINITY {
            let at = Descent::start("annealed importance sampling");
            return Err(at.diverged(what));
        }
        let mut annealed = Annealed {
            log_weight: 0.0,
            acceptance: vec![0.0; step_sizes.len()],
            gradients: 1,
        };
        for k in (1..=self.options.temperatures).rev() {
            progress()?;
            let (b, colder) = (self.options.temperature(k), self.options.temperature(k - 1));
            let point = &traveller.at;
            annealed.log_weight += (b - colder) * (point.joint - self.log_q(&point.phase.theta));
            if let Some(&step) = k.checked_sub(2).and_then(|at| step_sizes.get(at)) {
                annealed.acceptance[k - 2] = self.transition(colder, step, &mut traveller)?;
                annealed.gradients += self.options.leapfrog_steps;
            }
        }
        Ok(annealed)
    }
}
