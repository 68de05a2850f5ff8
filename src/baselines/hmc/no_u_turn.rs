//! A transition of the No-U-Turn Sampler.
//!
//! Hoffman & Gelman, JMLR 15 (2014), with the multinomial draws and the criterion of M. Betancourt, "A Conceptual Introduction to Hamiltonian Monte
//! Carlo" (2017, arXiv 1701.02434), appendix A. From `(theta, r)`, `r` new, the trajectory is doubled again and again, each time forward or backward in time by
//! the toss of a coin:
//!
//! - a stretch of as many states as there are is built at that end. If it diverges, or one of the subtrees it is made of turns, it is discarded and the
//!   transition is over;
//! - each state of the trajectory has the weight `w = exp(H_0 - H)`. Of the new stretch one is drawn by its weight, state by state: the `n`-th takes the place of the
//!   one drawn so far with probability `w_n / (w_1 + ... + w_n)`, which is the same as to draw it in the end;
//! - it replaces the one drawn of the old trajectory with probability `min(1, W_new / W_old)`: away from where the chain was;
//! - if the trajectory as a whole turns (see `tree`), it is over.
//!
//! The acceptance by which the step size is tuned is the mean of `min(1, exp(H_0 - H))` over the states that were visited, as in Stan.
//!
//! A subtree is built recursively from two of half its size; the memory for each depth is there beforehand, and vectors change places, so that nothing
//! is allocated. The states themselves are not kept.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::chain::Mover;
use super::chains::{DIVERGENCE, Transition};
use super::options::NutsOptions;
use super::state::{Dynamics, State};
use super::tree::Branch;
use crate::error::Result;
use crate::model::LogDensity;
use crate::scalar::Scalar;

/// Memory of the trees of one chain.
pub(super) struct NoUTurn<T> {
    /// The two ends of the trajectory, in time: `[backward, forward]`.
    ends: [State<T>; 2],
    /// The state drawn of the new stretch, and its energy.
    proposal: Drawn<T>,
    whole: Branch<T>,
    stretch: Branch<T>,
    joined: Branch<T>,
    /// The two halves of a subtree of depth `d + 1`.
    halves: Vec<[Branch<T>; 2]>,
    max_depth: usize,
}

/// A state that may become the next of the chain.
struct Drawn<T> {
    state: State<T>,
    hamiltonian: f64,
}

impl<T: Scalar> NoUTurn<T> {
    pub fn new(dim: usize, options: &NutsOptions) -> Self {
        let branch = || Branch::new(dim);
        Self {
            ends: [State::new(dim), State::new(dim)],
            proposal: Drawn {
                state: State::new(dim),
                hamiltonian: f64::NAN,
            },
            whole: branch(),
            stretch: branch(),
            joined: branch(),
            halves: (1..options.max_tree_depth)
                .map(|_| [branch(), branch()])
                .collect(),
            max_depth: options.max_tree_depth,
        }
    }
}

/// What a stretch is built with.
struct Extension<'a, T, D: LogDensity<T>>
where
    T: Scalar,
{
    dynamics: &'a Dynamics<'a, T, D>,
    rng: &'a mut ChaCha8Rng,
    ws: &'a mut D::Workspace,
    /// The end that moves.
    end: &'a mut State<T>,
    forward: bool,
    proposal: &'a mut Drawn<T>,
    /// `log sum w` of the stretch.
    log_weight: f64,
    initial: f64,
    tally: &'a mut Tally,
}

/// Sums over the states that were visited.
#[derive(Default)]
struct Tally {
    states: usize,
    acceptance: f64,
    diverged: bool,
}

impl<T: Scalar, D: LogDensity<T>> Extension<'_, T, D> {
    /// A subtree of `2^d` states, `d` the number of `halves`, into `out`. False if it diverged or turned.
    fn build(&mut self, halves: &mut [[Branch<T>; 2]], out: &mut Branch<T>) -> Result<bool> {
        let Some(([first, second], lower)) = halves.split_last_mut() else {
            return self.step(out);
        };
        Ok(self.build(lower, first)? && self.build(lower, second)? && out.join(first, second))
    }

    /// One state.
    fn step(&mut self, out: &mut Branch<T>) -> Result<bool> {
        self.dynamics.leapfrog(self.end, self.forward, self.ws)?;
        let hamiltonian = self.end.hamiltonian();
        let log_weight = self.initial - hamiltonian;
        self.tally.states += 1;
        self.tally.acceptance += log_weight.exp().min(1.0);
        if -log_weight > DIVERGENCE {
            self.tally.diverged = true;
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

impl<T: Scalar, D: LogDensity<T>> Mover<T, D> for NoUTurn<T> {
    fn transition(
        &mut self,
        dynamics: &Dynamics<T, D>,
        at: &mut State<T>,
        rng: &mut ChaCha8Rng,
        ws: &mut D::Workspace,
    ) -> Result<Transition> {
        let initial = at.hamiltonian();
        self.ends.iter_mut().for_each(|end| end.set(at));
        self.whole.set(&at.momentum);
        // which end of time `whole.end` is
        let mut facing_forward = true;
        let (mut hamiltonian, mut log_weight) = (initial, 0.0);
        let mut tally = Tally::default();
        let mut depth = 0;
        while depth < self.max_depth {
            let forward = rng.random::<bool>();
            let mut extension = Extension {
                dynamics,
                rng,
                ws,
                end: &mut self.ends[usize::from(forward)],
                forward,
                proposal: &mut self.proposal,
                log_weight: f64::NEG_INFINITY,
                initial,
                tally: &mut tally,
            };
            if !extension.build(&mut self.halves[..depth], &mut self.stretch)? {
                break;
            }
            let new_weight = extension.log_weight;
            depth += 1;
            if rng.random::<f64>() < (new_weight - log_weight).exp() {
                at.place(&self.proposal.state);
                hamiltonian = self.proposal.hamiltonian;
            }
            log_weight = log_add_exp(log_weight, new_weight);
            if facing_forward != forward {
                self.whole.turn();
                facing_forward = forward;
            }
            let goes_on = self.joined.join(&mut self.whole, &mut self.stretch);
            std::mem::swap(&mut self.whole, &mut self.joined);
            if !goes_on {
                break;
            }
        }
        Ok(Transition {
            hamiltonian,
            potential: -at.log_density,
            acceptance: tally.acceptance / tally.states as f64,
            leapfrog_steps: tally.states,
            tree_depth: depth,
            diverged: tally.diverged,
        })
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
