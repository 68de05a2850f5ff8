//! One transition of the No-U-Turn Sampler.
//!
//! Hoffman & Gelman, JMLR 15 (2014), with the multinomial draws and the criterion of M. Betancourt,
//! "A Conceptual Introduction to Hamiltonian Monte Carlo" (2017, arXiv 1701.02434), appendix A.
//! From `(theta, r)`, with a fresh `r`, the trajectory is doubled again and again, forward or
//! backward in time by the toss of a coin:
//!
//! - A stretch is built at that end, of as many states as the trajectory has. If it diverges, or
//!   one of its subtrees turns, it is discarded and the transition is over.
//! - Each state of the trajectory has the weight `w = exp(H_0 - H)`. One state of the new stretch
//!   is drawn by weight, state by state: the `n`-th replaces the one drawn so far with probability
//!   `w_n / (w_1 + ... + w_n)`. This equals a draw from all of them at the end.
//! - That state replaces the one drawn from the old trajectory with probability
//!   `min(1, W_new / W_old)`. This favours states away from where the chain was.
//! - If the trajectory as a whole turns (see `tree`), the transition is over.
//!
//! The step size is tuned by the mean of `min(1, exp(H_0 - H))` over the visited states, as in
//! Stan.
//!
//! A subtree is built recursively from two of half its size. The memory for each depth is allocated
//! beforehand and vectors are swapped, so a transition allocates nothing. The states themselves are
//! not kept.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::chains::{DIVERGENCE, Transition};
use super::kernel::{Dynamics, Trajectories};
use super::options::NutsOptions;
use super::tree::Branch;
use crate::error::Result;
use crate::model::LogDensity;
use crate::scalar::Scalar;
use crate::walk::{Divergence, DivergenceCause, PhasePoint};

/// How far trajectories are doubled.
#[derive(Clone, Debug)]
pub struct NoUTurn {
    max_depth: usize,
}

impl NoUTurn {
    pub(super) fn new(options: &NutsOptions) -> Self {
        Self {
            max_depth: options.max_tree_depth,
        }
    }
}

/// Memory of the trees of one chain.
pub struct Trees<T> {
    /// The two ends of the trajectory, in time: `[backward, forward]`.
    ends: [PhasePoint<T>; 2],
    /// The state drawn from the new stretch, and its energy.
    proposal: Drawn<T>,
    whole: Branch<T>,
    stretch: Branch<T>,
    joined: Branch<T>,
    /// The two halves of a subtree of depth `d + 1`.
    halves: Vec<[Branch<T>; 2]>,
}

/// A state that may become the chain's next.
struct Drawn<T> {
    state: PhasePoint<T>,
    hamiltonian: f64,
}

impl<T: Scalar> Trees<T> {
    fn new(dim: usize, max_depth: usize) -> Self {
        let branch = || Branch::new(dim);
        Self {
            ends: [PhasePoint::new(dim), PhasePoint::new(dim)],
            proposal: Drawn {
                state: PhasePoint::new(dim),
                hamiltonian: f64::NAN,
            },
            whole: branch(),
            stretch: branch(),
            joined: branch(),
            halves: (1..max_depth).map(|_| [branch(), branch()]).collect(),
        }
    }
}

/// The extension of a trajectory by one stretch.
struct Extension<'a, T, D: LogDensity<T>>
where
    T: Scalar,
{
    dynamics: &'a Dynamics<'a, T, D>,
    rng: &'a mut ChaCha8Rng,
    ws: &'a mut D::Workspace,
    /// The end of the trajectory that moves.
    end: &'a mut PhasePoint<T>,
    /// Its distance from the start, in steps.
    reach: &'a mut isize,
    forward: bool,
    proposal: &'a mut Drawn<T>,
    /// `log sum w` of the stretch.
    log_weight: f64,
    /// `H`, and `U`, where the trajectory began.
    initial: f64,
    start_energy: f64,
    tally: &'a mut Tally,
}

/// Sums over the visited states.
#[derive(Default)]
struct Tally {
    states: usize,
    acceptance: f64,
    divergence: Option<Divergence>,
}

impl<T: Scalar, D: LogDensity<T>> Extension<'_, T, D> {
    /// Builds a subtree of `2^d` states into `out`; `d` is the number of `halves`. False if it
    /// diverged or turned.
    fn build(&mut self, halves: &mut [[Branch<T>; 2]], out: &mut Branch<T>) -> Result<bool> {
        let Some(([first, second], lower)) = halves.split_last_mut() else {
            return self.step(out);
        };
        Ok(self.build(lower, first)? && self.build(lower, second)? && out.join(first, second))
    }

    /// Builds a subtree of one state.
    fn step(&mut self, out: &mut Branch<T>) -> Result<bool> {
        self.dynamics.step(self.end, self.forward, self.ws)?;
        *self.reach += 1;
        let hamiltonian = self.end.hamiltonian();
        let log_weight = self.initial - hamiltonian;
        self.tally.states += 1;
        self.tally.acceptance += log_weight.exp().min(1.0);
        if -log_weight > DIVERGENCE {
            self.tally.divergence = Some(Divergence {
                cause: DivergenceCause::at(self.end.log_density, &self.end.gradient),
                start_energy: self.start_energy,
                energy_error: -log_weight,
                step_size: self.dynamics.leapfrog.step_size,
                after: match self.forward {
                    true => *self.reach,
                    false => -*self.reach,
                },
            });
            return Ok(false);
        }
        self.log_weight = log_add_exp(self.log_weight, log_weight);
        if self.rng.random::<f64>() < (log_weight - self.log_weight).exp() {
            self.proposal.state.place(self.end);
            self.proposal.hamiltonian = hamiltonian;
        }
        out.set(&self.end.momentum);
        Ok(true)
    }
}

impl Trajectories for NoUTurn {
    type Memory<T: Scalar> = Trees<T>;

    fn memory<T: Scalar>(&self, dim: usize) -> Trees<T> {
        Trees::new(dim, self.max_depth)
    }

    fn transition<T: Scalar, D: LogDensity<T>>(
        &self,
        dynamics: &Dynamics<'_, T, D>,
        at: &mut PhasePoint<T>,
        rng: &mut ChaCha8Rng,
        trees: &mut Trees<T>,
        ws: &mut D::Workspace,
    ) -> Result<(Transition, f64)> {
        let (initial, start_energy) = (at.hamiltonian(), -at.log_density);
        trees.ends.iter_mut().for_each(|end| end.set(at));
        trees.whole.set(&at.momentum);
        // whether `whole.end` is the end forward in time
        let mut facing_forward = true;
        let (mut hamiltonian, mut log_weight) = (initial, 0.0);
        let (mut tally, mut reach) = (Tally::default(), [0, 0]);
        let mut depth = 0;
        while depth < self.max_depth {
            let forward = rng.random::<bool>();
            let mut extension = Extension {
                dynamics,
                rng,
                ws,
                end: &mut trees.ends[usize::from(forward)],
                reach: &mut reach[usize::from(forward)],
                forward,
                proposal: &mut trees.proposal,
                log_weight: f64::NEG_INFINITY,
                initial,
                start_energy,
                tally: &mut tally,
            };
            if !extension.build(&mut trees.halves[..depth], &mut trees.stretch)? {
                break;
            }
            let new_weight = extension.log_weight;
            depth += 1;
            if rng.random::<f64>() < (new_weight - log_weight).exp() {
                at.place(&trees.proposal.state);
                hamiltonian = trees.proposal.hamiltonian;
            }
            log_weight = log_add_exp(log_weight, new_weight);
            if facing_forward != forward {
                trees.whole.turn();
                facing_forward = forward;
            }
            let goes_on = trees.joined.join(&mut trees.whole, &mut trees.stretch);
            std::mem::swap(&mut trees.whole, &mut trees.joined);
            if !goes_on {
                break;
            }
        }
        let transition = Transition {
            hamiltonian,
            potential: -at.log_density,
            acceptance: tally.acceptance / tally.states as f64,
            leapfrog_steps: tally.states,
            tree_depth: depth,
            divergence: tally.divergence,
        };
        Ok((transition, hamiltonian - initial))
    }
}

/// `log(e^a + e^b)`; `b` is finite.
fn log_add_exp(a: f64, b: f64) -> f64 {
    let (low, high) = (a.min(b), a.max(b));
    high + (low - high).exp().ln_1p()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_of_exponentials() {
        assert_eq!(log_add_exp(f64::NEG_INFINITY, 3.0), 3.0);
        assert!((log_add_exp(2.0, 3.0) - (2.0f64.exp() + 3.0f64.exp()).ln()).abs() < 1e-15);
        assert_eq!(log_add_exp(-2000.0, 900.0), 900.0);
    }
}
