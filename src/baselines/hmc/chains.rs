//! The results of Hamiltonian chains: draws and diagnostics.

use crate::error::{Error, Result};
use crate::model::Points;
use crate::scalar::Scalar;
use crate::walk::Divergence;

/// A trajectory has diverged if its energy rises by more than this, in nats (Stan's bound).
pub(super) const DIVERGENCE: f64 = 1_000.0;

/// Diagnostics of one transition.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Transition {
    /// `H` after the transition: that of the chain's new state, with the momentum it arrived with,
    /// in nats. [`e_bfmi`](crate::diagnose::e_bfmi) is computed from it.
    pub hamiltonian: f64,
    /// `U` at the new state, in nats.
    pub potential: f64,
    /// HMC: the probability of accepting the end of the trajectory. NUTS: the mean of
    /// `min(1, exp(H_0 - H))` over all states.
    pub acceptance: f64,
    /// Leapfrog steps taken. Each takes one gradient.
    pub leapfrog_steps: usize,
    /// Doublings of the trajectory (0 for HMC).
    pub tree_depth: usize,
    /// Set if the energy rose by more than 1,000 nats, or was infinite or NaN. The density is too
    /// narrow there for the step size.
    pub divergence: Option<Divergence>,
}

impl Transition {
    /// That of a chain which has made none.
    pub fn none() -> Self {
        Self {
            hamiltonian: f64::NAN,
            potential: f64::NAN,
            acceptance: f64::NAN,
            leapfrog_steps: 0,
            tree_depth: 0,
            divergence: None,
        }
    }

    /// True if the trajectory diverged.
    pub fn diverged(&self) -> bool {
        self.divergence.is_some()
    }
}

/// One chain.
#[derive(Clone, Debug, PartialEq)]
pub struct Chain<T> {
    /// The kept draws, `[keep, P]` row-major, in order.
    pub points: Vec<T>,
    /// The transitions of all draws, `[draws]`.
    pub transitions: Vec<Transition>,
    /// The step size of the draws.
    pub step_size: f64,
    /// The diagonal of the inverse mass matrix of the draws, `[P]`.
    pub inverse_mass: Vec<f64>,
    /// Transitions of the warm-up that diverged; most chains have some.
    pub warm_up_divergences: usize,
    /// Gradients computed, warm-up included.
    pub gradients: usize,
}

/// The draws and diagnostics of several chains of equal length.
#[derive(Clone, Debug, PartialEq)]
pub struct Chains<T> {
    /// `P`.
    pub dim: usize,
    /// In the order of their starts.
    pub chains: Vec<Chain<T>>,
}

impl<T: Scalar> Chains<T> {
    /// Number of chains.
    pub fn count(&self) -> usize {
        self.chains.len()
    }

    /// Points kept per chain.
    pub fn kept(&self) -> usize {
        self.chains.first().map_or(0, |c| c.points.len() / self.dim)
    }

    /// All points, chain by chain, each `[P]`.
    pub fn points(&self) -> impl Iterator<Item = &[T]> {
        let all = self.chains.iter().map(|c| c.points.as_slice());
        all.flat_map(|p| p.chunks_exact(self.dim))
    }

    /// Evaluates `of` at each kept point, `[chains, keep]`: for
    /// [`diagnose::Chains`](crate::diagnose::Chains).
    pub fn quantity(&self, of: impl FnMut(&[T]) -> f64) -> Vec<f64> {
        self.points().map(of).collect()
    }

    /// Evaluates `of` on each transition of the draws, `[chains, draws]`.
    pub fn transitions(&self, of: impl FnMut(&Transition) -> f64) -> Vec<f64> {
        let all = self.chains.iter().flat_map(|c| &c.transitions);
        all.map(of).collect()
    }

    /// `H` of each draw, `[chains, draws]`.
    pub fn hamiltonians(&self) -> Vec<f64> {
        self.transitions(|t| t.hamiltonian)
    }

    /// `U` of each draw, `[chains, draws]`.
    pub fn potentials(&self) -> Vec<f64> {
        self.transitions(|t| t.potential)
    }

    /// Number of draws whose trajectories diverged. If there are any, a part of the posterior may
    /// be missing.
    pub fn divergences(&self) -> usize {
        let all = self.chains.iter().flat_map(|c| &c.transitions);
        all.filter(|t| t.diverged()).count()
    }

    /// Mean acceptance of the draws.
    pub fn mean_acceptance(&self) -> f64 {
        let all = self.transitions(|t| t.acceptance);
        all.iter().sum::<f64>() / all.len() as f64
    }

    /// Gradients computed by all chains, warm-up included.
    pub fn gradients(&self) -> usize {
        self.chains.iter().map(|c| c.gradients).sum()
    }

    /// The kept points as a [`Posterior`](crate::Posterior).
    ///
    /// # Errors
    /// If there are no points.
    pub fn into_points(self) -> Result<Points<T>> {
        let mut chains = self.chains.into_iter();
        let mut values = chains.next().map(|c| c.points).unwrap_or_default();
        chains.for_each(|c| values.extend(c.points));
        Points::new(self.dim, values)
    }
}

impl<T: Scalar> TryFrom<Chains<T>> for Points<T> {
    type Error = Error;

    fn try_from(chains: Chains<T>) -> Result<Self> {
        chains.into_points()
    }
}
