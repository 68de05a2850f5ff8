//! One step of a microcanonical walk, with and without a Metropolis test.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::isokinetic::{kick, normalise, refresh};
use super::state::{MicrocanonicalState, MicrocanonicalWorkspace, Point};
use super::{Microcanonical, NAME};
use crate::error::Result;
use crate::linalg::vector::distance;
use crate::model::LogDensity;
use crate::rng::fill_normal;
use crate::scalar::Scalar;
use crate::walk::batches::Refresh;
use crate::walk::divergence::{Divergence, DivergenceCause};
use crate::walk::kernel::{Info, same_dim};

/// An energy error of this much per dimension, in nats, is a divergence: nothing after it can be
/// trusted. For a trajectory, the range of the error counts.
pub(super) const DIVERGENCE: f64 = 1.0;

/// Most sub-steps of a trajectory, on average: a step size tuned down to almost nothing must not
/// take for ever.
const LONGEST: f64 = 1_000.0;

impl<T: Scalar> Microcanonical<'_, T> {
    /// Half kick, drift by `time`, half kick. Starts from `theta`, `force` and the velocity, and
    /// leaves the end point in `ws`. Returns the point, the energy error and the length of the
    /// move. The error is not finite where the energy of the point is not. With `noise`, also lifts
    /// `ws.noise`.
    pub(super) fn leap<D: LogDensity<T>>(
        &self,
        density: &D,
        (theta, force, energy): (&[T], &[T], f64),
        velocity: &mut [T],
        (time, noise): (f64, bool),
        ws: &mut MicrocanonicalWorkspace<T, D::Workspace>,
    ) -> Result<(Point, f64, f64)> {
        let dim = self.inverse_mass.dim();
        let first = kick(0.5 * time, dim, force, velocity);
        let displacement = self
            .inverse_mass
            .drift(time, velocity, theta, &mut ws.theta);
        let point = self.evaluate(density, noise, ws)?;
        let second = kick(0.5 * time, dim, &ws.force, velocity);
        let error = first + second + point.energy - energy;
        Ok((point, error, displacement))
    }

    /// Energy and force at `ws.theta`. With `noise`, also lifts `ws.noise`, which costs little
    /// along with a force.
    pub(super) fn evaluate<D: LogDensity<T>>(
        &self,
        density: &D,
        noise: bool,
        ws: &mut MicrocanonicalWorkspace<T, D::Workspace>,
    ) -> Result<Point> {
        let log_density =
            density.log_density_and_grad(&ws.theta, &mut ws.gradient, &mut ws.density)?;
        let fiber_distance = self.inverse_mass.pull_back(
            &ws.gradient,
            &mut ws.force,
            noise.then_some(&mut ws.noise[..]),
            ws.along.each_mut().map(|a| &mut a[..]),
        );
        Ok(Point {
            energy: -log_density,
            fiber_distance,
        })
    }

    /// A velocity of uniform direction.
    pub(super) fn fresh_velocity<W>(
        &self,
        rng: &mut ChaCha8Rng,
        velocity: &mut [T],
        ws: &mut MicrocanonicalWorkspace<T, W>,
    ) {
        fill_normal(rng, &mut velocity[..self.inverse_mass.dim()]);
        self.inverse_mass.lift(velocity, &mut ws.along[0]);
        normalise(velocity);
    }

    pub(super) fn unadjusted<D: LogDensity<T>>(
        &self,
        density: &D,
        state: &mut MicrocanonicalState<T>,
        rng: &mut ChaCha8Rng,
        ws: &mut MicrocanonicalWorkspace<T, D::Workspace>,
    ) -> Result<Info> {
        let dim = state.theta.len();
        let start = (&state.theta[..], &state.force[..], state.energy);
        let time = self.step_size.value();
        fill_normal(rng, &mut ws.noise[..dim]);
        let (point, error, displacement) =
            self.leap(density, start, &mut state.velocity, (time, true), ws)?;
        let diverged = !error.is_finite() || error.abs() > DIVERGENCE * dim as f64;
        let divergence = diverged.then(|| Divergence {
            cause: DivergenceCause::at(point.energy, &ws.gradient),
            start_energy: state.energy,
            energy_error: error,
            step_size: time,
            after: 1,
        });
        if diverged {
            // the particle stays and tries another direction
            state.velocity.copy_from_slice(&ws.noise);
            normalise(&mut state.velocity);
        } else {
            state.moved_to(&point, ws);
            let length = self.decoherence_length;
            refresh(time, length, dim, &ws.noise, &mut state.velocity);
        }
        Ok(Info {
            energy_error: if diverged { 0.0 } else { error },
            displacement: if diverged { 0.0 } else { displacement },
            fiber_distance: state.fiber_distance,
            viable: !diverged,
            divergence,
            ..Info::moved(state.energy, 0.0)
        })
    }

    pub(super) fn adjusted<D: LogDensity<T>>(
        &self,
        density: &D,
        state: &mut MicrocanonicalState<T>,
        rng: &mut ChaCha8Rng,
        ws: &mut MicrocanonicalWorkspace<T, D::Workspace>,
    ) -> Result<Info> {
        // drawn before anything that depends on the position, so the kernel is a mixture of
        // reversible ones
        let time = self.step_size.value();
        let mean = (self.decoherence_length / time).min(LONGEST);
        let steps = (2.0 * rng.random::<f64>() * mean).ceil().max(1.0) as usize;
        self.fresh_velocity(rng, &mut state.velocity, ws);
        let toss: f64 = rng.random();
        let (mut error, mut divergence, mut gradients) = (0.0f64, None, 0);
        let (mut low, mut high) = (0.0f64, 0.0f64);
        let take = |from: &mut Vec<T>, start: &[T]| {
            let mut taken = std::mem::take(from);
            taken.copy_from_slice(start);
            taken
        };
        let mut velocity = take(&mut ws.velocity, &state.velocity);
        let mut at = take(&mut ws.at, &state.theta);
        let mut slope = take(&mut ws.slope, &state.force);
        let mut energy = state.energy;
        let mut last = None;
        for _ in 0..steps {
            let start = (&at[..], &slope[..], energy);
            let (point, lost, _) = self.leap(density, start, &mut velocity, (time, false), ws)?;
            gradients += 1;
            error += lost;
            // the range of the error is the same there and back, but its size is not: a test of the
            // size would not be reversible
            (low, high) = (low.min(error), high.max(error));
            if !lost.is_finite() || high - low > DIVERGENCE * state.theta.len() as f64 {
                divergence = Some(Divergence {
                    cause: DivergenceCause::at(point.energy, &ws.gradient),
                    start_energy: state.energy,
                    energy_error: error,
                    step_size: time,
                    after: gradients as isize,
                });
                break;
            }
            std::mem::swap(&mut at, &mut ws.theta);
            std::mem::swap(&mut slope, &mut ws.force);
            energy = point.energy;
            last = Some(point);
        }
        let diverged = divergence.is_some();
        let acceptance = if diverged {
            0.0
        } else {
            (-error).exp().min(1.0)
        };
        let mut displacement = 0.0;
        if let (true, Some(point)) = (toss < acceptance, last) {
            std::mem::swap(&mut ws.theta, &mut at);
            std::mem::swap(&mut ws.force, &mut slope);
            displacement = distance(&ws.theta, &state.theta);
            state.moved_to(&point, ws);
        }
        (ws.velocity, ws.at, ws.slope) = (velocity, at, slope);
        Ok(Info {
            energy_error: if diverged { 0.0 } else { error },
            acceptance,
            displacement,
            fiber_distance: state.fiber_distance,
            divergence,
            gradients,
            ..Info::moved(state.energy, 0.0)
        })
    }
}

impl<T: Scalar, D: LogDensity<T>> Refresh<T, D> for Microcanonical<'_, T> {
    fn refresh(
        &self,
        density: &D,
        state: &mut Self::State,
        ws: &mut Self::Workspace,
    ) -> Result<()> {
        let dim = self.inverse_mass.dim();
        same_dim(NAME, dim, state.theta.len(), ws.theta.len())?;
        ws.fit(self.inverse_mass.directions());
        ws.theta.copy_from_slice(&state.theta);
        let point = self.evaluate(density, false, ws)?;
        state.moved_to(&point, ws);
        let lifted = self.inverse_mass.lifted_len();
        if state.frame != self.frame || state.velocity.len() != lifted {
            // a plain vector, from before the new frame
            state.velocity.resize(self.inverse_mass.dim(), T::ZERO);
            state.velocity.resize(lifted, T::ZERO);
            self.inverse_mass
                .lift(&mut state.velocity, &mut ws.along[0]);
            normalise(&mut state.velocity);
        }
        state.frame = self.frame;
        Ok(())
    }
}
