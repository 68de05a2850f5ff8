//! One transition of Hamiltonian Monte Carlo.
//!
//! Neal 2011 (see `state`), section 3. The momentum is drawn anew. `L` leapfrog steps lead from
//! `(theta, r)` to `(theta', r')`, and `theta'` is accepted with probability
//!
//! `min(1, exp(H(theta, r) - H(theta', r')))`.
//!
//! `L` is drawn before the trajectory, independently of it. A trajectory ends where the log density
//! is infinite or NaN, and is rejected. From its other end it would be rejected too.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::chain::Mover;
use super::chains::{DIVERGENCE, Transition};
use super::options::{HmcOptions, Trajectory};
use super::state::{Dynamics, State};
use crate::error::Result;
use crate::model::LogDensity;
use crate::scalar::Scalar;

pub(super) struct Metropolis<T> {
    trajectory: Trajectory,
    jitter: f64,
    proposed: State<T>,
}

impl<T: Scalar> Metropolis<T> {
    pub fn new(dim: usize, options: &HmcOptions) -> Self {
        Self {
            trajectory: options.trajectory,
            jitter: options.jitter,
            proposed: State::new(dim),
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

impl<T: Scalar, D: LogDensity<T>> Mover<T, D> for Metropolis<T> {
    fn transition(
        &mut self,
        dynamics: &Dynamics<T, D>,
        at: &mut State<T>,
        rng: &mut ChaCha8Rng,
        ws: &mut D::Workspace,
    ) -> Result<Transition> {
        let steps = self.steps(dynamics.step_size, rng.random());
        let toss: f64 = rng.random();
        let before = at.hamiltonian();
        let proposed = &mut self.proposed;
        proposed.set(at);
        let mut taken = 0;
        while taken < steps && proposed.log_density.is_finite() {
            dynamics.leapfrog(proposed, true, ws)?;
            taken += 1;
        }
        let after = proposed.hamiltonian();
        let acceptance = (before - after).exp().min(1.0);
        let accepted = toss < acceptance;
        if accepted {
            std::mem::swap(at, proposed);
        }
        Ok(Transition {
            hamiltonian: if accepted { after } else { before },
            potential: -at.log_density,
            acceptance,
            leapfrog_steps: taken,
            tree_depth: 0,
            diverged: after - before > DIVERGENCE,
        })
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
            Metropolis::<f64>::new(1, &options)
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
