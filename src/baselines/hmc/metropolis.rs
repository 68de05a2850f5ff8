//! One transition of Hamiltonian Monte Carlo.
//!
//! R. M. Neal, "MCMC using Hamiltonian dynamics", Handbook of Markov Chain Monte Carlo (2011),
//! section 3. The momentum is drawn anew. `L` leapfrog steps lead from
//! `(theta, r)` to `(theta', r')`, and `theta'` is accepted with probability
//!
//! `min(1, exp(H(theta, r) - H(theta', r')))`.
//!
//! `L` is drawn before the trajectory, independently of it. A trajectory ends where the log density
//! is infinite or NaN, and is rejected. From its other end it would be rejected too. The cause of a
//! divergence is the one seen where the trajectory ended.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::chains::{DIVERGENCE, Transition};
use super::kernel::{Dynamics, Trajectories};
use super::options::{HmcOptions, Trajectory};
use crate::error::Result;
use crate::model::LogDensity;
use crate::scalar::Scalar;
use crate::walk::{Divergence, DivergenceCause, PhasePoint};

/// How long trajectories are.
#[derive(Clone, Debug)]
pub struct Metropolis {
    trajectory: Trajectory,
    jitter: f64,
}

impl Metropolis {
    pub(super) fn new(options: &HmcOptions) -> Self {
        Self {
            trajectory: options.trajectory,
            jitter: options.jitter,
        }
    }

    /// `L`, for a uniform number in `[0, 1)`.
    fn steps(&self, step_size: f64, uniform: f64) -> usize {
        let (mean, most) = match self.trajectory {
            Trajectory::Time { length, max_steps } => (length / step_size, max_steps),
            Trajectory::LeapfrogSteps(steps) => (steps as f64, usize::MAX),
        };
        let mean = mean.min(most as f64);
        let steps = mean * (1.0 + self.jitter * (2.0 * uniform - 1.0));
        (steps.round() as usize).clamp(1, most)
    }
}

impl Trajectories for Metropolis {
    /// The proposed point.
    type Memory<T: Scalar> = PhasePoint<T>;

    fn memory<T: Scalar>(&self, dim: usize) -> PhasePoint<T> {
        PhasePoint::new(dim)
    }

    fn transition<T: Scalar, D: LogDensity<T>>(
        &self,
        dynamics: &Dynamics<'_, T, D>,
        at: &mut PhasePoint<T>,
        rng: &mut ChaCha8Rng,
        proposed: &mut PhasePoint<T>,
        ws: &mut D::Workspace,
    ) -> Result<(Transition, f64)> {
        let step_size = dynamics.leapfrog.step_size;
        let steps = self.steps(step_size, rng.random());
        let toss: f64 = rng.random();
        let (before, start_energy) = (at.hamiltonian(), -at.log_density);
        proposed.set(at);
        let mut taken = 0;
        while taken < steps && proposed.log_density.is_finite() {
            dynamics.step(proposed, true, ws)?;
            taken += 1;
        }
        let after = proposed.hamiltonian();
        let diverged = after - before > DIVERGENCE;
        let divergence = diverged.then(|| Divergence {
            cause: DivergenceCause::at(proposed.log_density, &proposed.gradient),
            start_energy,
            energy_error: after - before,
            step_size,
            after: taken as isize,
        });
        let acceptance = (before - after).exp().min(1.0);
        let accepted = toss < acceptance;
        if accepted {
            std::mem::swap(at, proposed);
        }
        let transition = Transition {
            hamiltonian: if accepted { after } else { before },
            potential: -at.log_density,
            acceptance,
            leapfrog_steps: taken,
            tree_depth: 0,
            divergence,
        };
        Ok((transition, after - before))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_steps_is_about_its_mean() {
        let of = |trajectory, jitter| {
            let options = HmcOptions {
                trajectory,
                jitter,
                ..HmcOptions::default()
            };
            Metropolis::new(&options)
        };
        let fixed = of(Trajectory::LeapfrogSteps(10), 0.0);
        assert!([0.0, 0.5, 0.999].iter().all(|&u| fixed.steps(0.3, u) == 10));
        let jittered = of(Trajectory::LeapfrogSteps(10), 0.2);
        let steps = [0.0, 0.5, 0.999].map(|u| jittered.steps(0.3, u));
        assert_eq!(steps, [8, 10, 12]);
        let length = Trajectory::Time {
            length: 2.0,
            max_steps: 50,
        };
        let timed = of(length, 0.0);
        assert_eq!(
            [1.0, 0.1, 9.0, 1e-9].map(|s| timed.steps(s, 0.5)),
            [2, 20, 1, 50]
        );
    }
}
