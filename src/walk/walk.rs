//! What a walk gives.

use super::kernel::Tally;
use super::observe::Trace;
use crate::scalar::Scalar;

/// The points of a walk, and what there is to know about it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Walk<T> {
    /// Number of parameters.
    pub dim: usize,
    /// Steps that each particle took, warm-up included.
    pub steps: usize,
    /// Those of the warm-up, of which nothing is kept.
    pub warm_up: usize,
    /// True if the warm-up ended because the walk had forgotten its start, or was not asked to find out.
    pub forgotten: bool,
    /// The viable points that were kept, `[len, dim]` row-major, in the order of their steps and particles.
    pub points: Vec<T>,
    /// Points that were handed away before those in `points`: see [`Run::drain`](super::Run::drain).
    pub drained: usize,
    /// The particle of each point, of those that were handed away too.
    pub particle: Vec<usize>,
    /// The energy at each point, in nats.
    pub energies: Vec<f64>,
    /// Sums over the steps of each particle, warm-up included.
    pub tallies: Vec<Tally>,
    /// Sums over all steps after the warm-up; over those of the last block if the walk was ended before.
    pub sampling: Tally,
    /// Distance of each particle from its start, at its end.
    pub distances: Vec<f64>,
    /// True if the walk was ended before all its steps were taken: see [`Run::finish_early`](super::Run::finish_early).
    pub cut_short: bool,
    /// Points that were due to be kept and were not viable.
    pub discarded: usize,
    /// What was recorded after the warm-up, block by block.
    pub trace: Trace,
}

impl<T: Scalar> Walk<T> {
    /// Number of points.
    pub fn len(&self) -> usize {
        self.particle.len()
    }

    /// True if no point was viable.
    pub fn is_empty(&self) -> bool {
        self.particle.is_empty()
    }

    /// Point `i` of all that were kept.
    ///
    /// # Panics
    /// If there is none, or it was handed away.
    pub fn point(&self, i: usize) -> &[T] {
        let at = i - self.drained;
        &self.points[at * self.dim..(at + 1) * self.dim]
    }

    /// Number of particles.
    pub fn particles(&self) -> usize {
        self.tallies.len()
    }

    /// Sums over all steps of all particles.
    pub fn total(&self) -> Tally {
        let mut sum = Tally::default();
        self.tallies.iter().for_each(|t| sum.merge(t));
        sum
    }

    /// Share of all steps that ended at a viable point.
    pub fn viability(&self) -> f64 {
        let total = self.total();
        total.viable as f64 / total.steps.max(1) as f64
    }

    /// Share of all steps that diverged: could not be taken as they were meant.
    pub fn divergence_rate(&self) -> f64 {
        let total = self.total();
        total.divergences as f64 / total.steps.max(1) as f64
    }

    /// Gradients that the whole walk computed.
    pub fn gradients(&self) -> usize {
        self.total().gradients
    }
}
