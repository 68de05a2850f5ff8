//! One step of a microcanonical walk, with and without a Metropolis test.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::Microcanonical;
use super::isokinetic::{fresh_velocity, kick, refresh};
use super::state::{MicrocanonicalState, MicrocanonicalWorkspace, Point};
use crate::error::Result;
use crate::linalg::vector::{axpy, distance, norm};
use crate::model::LogDensity;
use crate::scalar::Scalar;
use crate::walk::kernel::Info;

/// An energy error of this much per dimension, in nats, is a divergence (over a trajectory: its range): nothing that follows it is to be trusted.
const DIVERGENCE: f64 = 1.0;

/// Mean number of sub-steps of a trajectory, at most: a step that was tuned down to next to nothing must not take for ever.
const LONGEST: f64 = 1_000.0;

impl<T: Scalar> Microcanonical<'_, T> {
    /// Half kick, drift by `step_size`, half kick: from `theta`, `gradient` and the velocity in `ws` to where `ws` then is. Gives the point, the
    /// energy error, and the length of the move.
    fn leap<D: LogDensity<T>>(
        &self,
        density: &D,
        (theta, gradient, energy): (&[T], &[T], f64),
        velocity: &mut [T],
        ws: &mut MicrocanonicalWorkspace<T, D::Workspace>,
    ) -> Result<(Point, f64, f64)> {
        let time = self.step_size.value();
        let mut error = kick(0.5 * time, gradient, norm(gradient), velocity);
        self.inverse_mass
            .apply(velocity, &mut ws.buffer, &mut ws.coefficients);
        let displacement = time * norm(&ws.buffer);
        ws.theta.copy_from_slice(theta);
        axpy(time, &ws.buffer, &mut ws.theta);
        let point = self.evaluate(density, ws)?;
        if point.finite {
            error += kick(0.5 * time, &ws.gradient, norm(&ws.gradient), velocity);
            error += point.energy - energy;
        }
        Ok((point, error, displacement))
    }

    /// Energy and gradient at `ws.theta`.
    pub(super) fn evaluate<D: LogDensity<T>>(
        &self,
        density: &D,
        ws: &mut MicrocanonicalWorkspace<T, D::Workspace>,
    ) -> Result<Point> {
        let log_density =
            density.log_density_and_grad(&ws.theta, &mut ws.buffer, &mut ws.density)?;
        let fiber_distance =
            self.inverse_mass
                .pull_back(&ws.buffer, &mut ws.gradient, &mut ws.coefficients);
        for g in &mut ws.gradient {
            *g = -*g;
        }
        Ok(Point {
            energy: -log_density,
            fiber_distance,
            finite: log_density.is_finite() && norm(&ws.gradient).is_finite(),
        })
    }

    pub(super) fn unadjusted<D: LogDensity<T>>(
        &self,
        density: &D,
        state: &mut MicrocanonicalState<T>,
        rng: &mut ChaCha8Rng,
        ws: &mut MicrocanonicalWorkspace<T, D::Workspace>,
    ) -> Result<Info> {
        let start = (&state.theta[..], &state.gradient[..], state.energy);
        let (point, error, displacement) = self.leap(density, start, &mut state.velocity, ws)?;
        let diverged = !point.finite || error.abs() > DIVERGENCE * state.theta.len() as f64;
        if diverged {
            // it stays, and tries another direction
            fresh_velocity(rng, &mut state.velocity);
        } else {
            state.moved_to(&point, ws);
            let (time, length) = (self.step_size.value(), self.decoherence_length);
            refresh(time, length, rng, &mut state.velocity, &mut ws.buffer);
        }
        Ok(Info {
            energy_error: if diverged { 0.0 } else { error },
            displacement: if diverged { 0.0 } else { displacement },
            fiber_distance: state.fiber_distance,
            viable: !diverged,
            diverged,
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
        // drawn before anything that depends on where the particle is: the kernel is a mixture of reversible ones
        let mean = (self.decoherence_length / self.step_size.value()).min(LONGEST);
        let steps = (2.0 * rng.random::<f64>() * mean).ceil().max(1.0) as usize;
        fresh_velocity(rng, &mut state.velocity);
        let toss: f64 = rng.random();
        let (mut error, mut diverged, mut gradients) = (0.0f64, false, 0);
        let (mut low, mut high) = (0.0f64, 0.0f64);
        let take = |from: &mut Vec<T>, start: &[T]| {
            let mut taken = std::mem::take(from);
            taken.copy_from_slice(start);
            taken
        };
        let mut velocity = take(&mut ws.velocity, &state.velocity);
        let mut at = take(&mut ws.at, &state.theta);
        let mut slope = take(&mut ws.slope, &state.gradient);
        let mut energy = state.energy;
        let mut last = None;
        for _ in 0..steps {
            let start = (&at[..], &slope[..], energy);
            let (point, lost, _) = self.leap(density, start, &mut velocity, ws)?;
            gradients += 1;
            error += lost;
            // the range of the error is the same there and back, its size is not: a test of the size would not be reversible
            (low, high) = (low.min(error), high.max(error));
            diverged = !point.finite || high - low > DIVERGENCE * state.theta.len() as f64;
            if diverged {
                break;
            }
            std::mem::swap(&mut at, &mut ws.theta);
            std::mem::swap(&mut slope, &mut ws.gradient);
            energy = point.energy;
            last = Some(point);
        }
        let acceptance = if diverged {
            0.0
        } else {
            (-error).exp().min(1.0)
        };
        let mut displacement = 0.0;
        if let (true, Some(point)) = (toss < acceptance, last) {
            std::mem::swap(&mut ws.theta, &mut at);
            std::mem::swap(&mut ws.gradient, &mut slope);
            displacement = distance(&ws.theta, &state.theta);
            state.moved_to(&point, ws);
        }
        (ws.velocity, ws.at, ws.slope) = (velocity, at, slope);
        Ok(Info {
            energy_error: if diverged { 0.0 } else { error },
            acceptance,
            displacement,
            fiber_distance: state.fiber_distance,
            diverged,
            gradients,
            ..Info::moved(state.energy, 0.0)
        })
    }
}
