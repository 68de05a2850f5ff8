//! A draw on its way through kinetic layers.

use rand_chacha::ChaCha8Rng;

use crate::error::Result;
use crate::model::LogDensity;
use crate::rng::fill_normal;
use crate::scalar::Scalar;
use crate::walk::{InverseMassMatrix, kick, normalise};

/// Most times that a layer is halved: into 256 steps.
const HALVINGS: u8 = 8;

/// A step of twice the length has eight times the error. Halvings are taken back where twice as
/// much again is within the tolerance.
const EASY: f64 = 1.0 / 16.0;

/// A particle on its way. Velocity and force are lifted ([`InverseMassMatrix`]).
#[derive(Clone)]
pub(super) struct Particle<T> {
    pub theta: Vec<T>,
    pub velocity: Vec<T>,
    /// `-S^T grad U`.
    force: Vec<T>,
    pub energy: f64,
    /// Memory for the next position.
    next: Vec<T>,
}

/// Memory for the evaluation of an energy.
pub(super) struct Scratch<T, W> {
    density: W,
    gradient: Vec<T>,
    pub along: [Vec<f64>; 2],
}

/// What a layer did.
pub(super) struct Passed {
    pub log_det: f64,
    /// The largest energy error of its steps, without its sign.
    pub error: f64,
    /// How often it was halved.
    pub halvings: u8,
    pub gradients: usize,
}

impl<T: Scalar> Particle<T> {
    pub fn new(mass: &InverseMassMatrix<T>) -> Self {
        let zeros = |n| vec![T::ZERO; n];
        Self {
            theta: zeros(mass.dim()),
            velocity: zeros(mass.lifted_len()),
            force: zeros(mass.lifted_len()),
            energy: f64::NAN,
            next: zeros(mass.dim()),
        }
    }

    /// A particle at `theta` with a random velocity.
    pub fn start<D: LogDensity<T>>(
        &mut self,
        mass: &InverseMassMatrix<T>,
        (density, theta): (&D, &[T]),
        rng: &mut ChaCha8Rng,
        scratch: &mut Scratch<T, D::Workspace>,
    ) -> Result<()> {
        let dim = mass.dim();
        fill_normal(rng, &mut self.velocity[..dim]);
        mass.lift(&mut self.velocity, &mut scratch.along[0]);
        normalise(&mut self.velocity);
        self.theta.copy_from_slice(theta);
        self.evaluate(mass, density, scratch)
    }

    /// Energy and force at `theta`.
    pub fn evaluate<D: LogDensity<T>>(
        &mut self,
        mass: &InverseMassMatrix<T>,
        density: &D,
        scratch: &mut Scratch<T, D::Workspace>,
    ) -> Result<()> {
        let ws = &mut scratch.density;
        let value = density.log_density_and_grad(&self.theta, &mut scratch.gradient, ws)?;
        self.energy = -value;
        let along = scratch.along.each_mut().map(|a| &mut a[..]);
        mass.pull_back(&scratch.gradient, &mut self.force, None, along);
        Ok(())
    }

    /// One step; returns its log-determinant.
    fn step<D: LogDensity<T>>(
        &mut self,
        mass: &InverseMassMatrix<T>,
        density: &D,
        time: f64,
        scratch: &mut Scratch<T, D::Workspace>,
    ) -> Result<f64> {
        let dim = mass.dim();
        let first = kick(0.5 * time, dim, &self.force, &mut self.velocity);
        mass.drift(time, &self.velocity, &self.theta, &mut self.next);
        std::mem::swap(&mut self.theta, &mut self.next);
        self.evaluate(mass, density, scratch)?;
        let second = kick(0.5 * time, dim, &self.force, &mut self.velocity);
        Ok(-(first + second))
    }

    /// `2^halvings` steps that take `time` together. Ends early if the error of one is above
    /// `tolerance`.
    pub fn steps<D: LogDensity<T>>(
        &mut self,
        mass: &InverseMassMatrix<T>,
        density: &D,
        (time, halvings, tolerance): (f64, u8, f64),
        scratch: &mut Scratch<T, D::Workspace>,
    ) -> Result<Passed> {
        let count = 1usize << halvings.min(HALVINGS);
        let mut passed = Passed {
            log_det: 0.0,
            error: 0.0,
            halvings,
            gradients: 0,
        };
        for _ in 0..count {
            let before = self.energy;
            let log_det = self.step(mass, density, time / count as f64, scratch)?;
            let error = (self.energy - before - log_det).abs();
            passed.log_det += log_det;
            passed.gradients += 1;
            passed.error = if error.is_nan() {
                f64::INFINITY
            } else {
                passed.error.max(error)
            };
            if passed.error > tolerance {
                break;
            }
        }
        Ok(passed)
    }

    /// One layer, halved as the tolerance asks: `halvings` times at first, and on return as often
    /// as the next layer may begin with.
    pub fn layer<D: LogDensity<T>>(
        &mut self,
        mass: &InverseMassMatrix<T>,
        density: &D,
        (time, tolerance): (f64, f64),
        halvings: &mut u8,
        (saved, scratch): (&mut Self, &mut Scratch<T, D::Workspace>),
    ) -> Result<Passed> {
        saved.copy(self);
        let mut gradients = 0;
        loop {
            let last = *halvings >= HALVINGS;
            let limit = if last { f64::INFINITY } else { tolerance };
            let passed = self.steps(mass, density, (time, *halvings, limit), scratch)?;
            gradients += passed.gradients;
            if last || passed.error <= tolerance {
                if passed.error < EASY * tolerance {
                    *halvings = halvings.saturating_sub(1);
                }
                return Ok(Passed {
                    gradients,
                    ..passed
                });
            }
            self.copy(saved);
            *halvings += 1;
        }
    }

    fn copy(&mut self, other: &Self) {
        self.theta.copy_from_slice(&other.theta);
        self.velocity.copy_from_slice(&other.velocity);
        self.force.copy_from_slice(&other.force);
        self.energy = other.energy;
    }

    pub fn turn(&mut self) {
        self.velocity.iter_mut().for_each(|u| *u = -*u);
    }
}

impl<T: Scalar, W> Scratch<T, W> {
    pub fn new<D: LogDensity<T, Workspace = W>>(mass: &InverseMassMatrix<T>, density: &D) -> Self {
        Self {
            density: density.workspace(),
            gradient: vec![T::ZERO; mass.dim()],
            along: [(); 2].map(|()| vec![0.0; mass.directions()]),
        }
    }
}
