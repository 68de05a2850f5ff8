//! The result of a walk: kept points and diagnostics.

use super::kernel::StepStatistics;
use super::observe::Trace;
use crate::error::{Error, Result};
use crate::model::PointsOf;
use crate::scalar::Scalar;

/// The kept points of a walk, and its diagnostics.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Walk<T> {
    /// Number of parameters.
    pub dim: usize,
    /// Steps that each particle took, warm-up included.
    pub steps: usize,
    /// Of these, the steps of the warm-up. No point of the warm-up is kept.
    pub warm_up: usize,
    /// True if the warm-up ended because the walk had forgotten its start, or if the number of
    /// steps was given, so that nothing was tested. Where nothing was observed, at most one step in
    /// a hundred diverged after it.
    pub forgotten: bool,
    /// The viable points that were kept, `[len, dim]` row-major, ordered by step, then by particle.
    pub points: Vec<T>,
    /// Points that left `points` before those it still holds: see
    /// [`Run::drain`](super::Run::drain).
    pub drained: usize,
    /// The particle of each kept point, drained points included.
    pub particle: Vec<usize>,
    /// The energy at each kept point, in nats, drained points included.
    pub energies: Vec<f64>,
    /// Sums over the steps of each particle, warm-up included.
    pub tallies: Vec<StepStatistics>,
    /// Sums over all steps after the warm-up. If the walk was ended during the warm-up: sums over
    /// the last block.
    pub sampling: StepStatistics,
    /// Distance of each particle from its start, at the end of the walk.
    pub distances: Vec<f64>,
    /// True if the walk was ended before all its steps were taken: see
    /// [`Run::finish_early`](super::Run::finish_early).
    pub cut_short: bool,
    /// Points that were due to be kept but were not viable.
    pub discarded: usize,
    /// What was recorded after each block that followed the warm-up.
    pub trace: Trace,
}

impl<T: Scalar> Walk<T> {
    /// The last point in memory of each particle that has one, `[*, dim]`, by particle.
    pub fn ends(&self) -> Vec<T> {
        let mut last = vec![None; self.tallies.len()];
        let in_memory = self.particle.iter().skip(self.drained);
        for (row, &particle) in in_memory.enumerate() {
            if let Some(end) = last.get_mut(particle) {
                *end = Some(row);
            }
        }
        let rows = last.into_iter().flatten();
        let rows = rows.filter_map(|row| self.points.get(row * self.dim..(row + 1) * self.dim));
        rows.flatten().copied().collect()
    }

    /// Number of points.
    pub fn len(&self) -> usize {
        self.particle.len()
    }

    /// True if no point was viable.
    pub fn is_empty(&self) -> bool {
        self.particle.is_empty()
    }

    /// Point `i` of all kept points.
    ///
    /// # Errors
    /// If there is no such point, or it was drained.
    pub fn point(&self, i: usize) -> Result<&[T]> {
        let start = i
            .checked_sub(self.drained)
            .map(|at| at.saturating_mul(self.dim));
        let point = start.and_then(|at| self.points.get(at..at.saturating_add(self.dim)));
        point.ok_or_else(|| {
            let expected = format!("a point in {}..{}", self.drained, self.len());
            Error::shape("Walk::point", expected, i)
        })
    }

    /// The points that are held (not those that were drained), and the particle of each.
    ///
    /// # Errors
    /// If the lengths of `points` and `particle` do not fit.
    pub fn points_of(&self) -> Result<PointsOf<'_, T>> {
        let particles = self.particle.get(self.drained..).unwrap_or_default();
        PointsOf::new(&self.points, self.dim, particles)
    }

    /// Number of particles.
    pub fn particles(&self) -> usize {
        self.tallies.len()
    }

    /// Sums over all steps of all particles.
    pub fn total(&self) -> StepStatistics {
        let mut sum = StepStatistics::default();
        self.tallies.iter().for_each(|t| sum.merge(t));
        sum
    }

    /// Share of all steps that ended at a viable point.
    pub fn viability(&self) -> f64 {
        let total = self.total();
        total.viable as f64 / total.steps.max(1) as f64
    }

    /// Share of all steps that diverged: they could not be taken as intended.
    pub fn divergence_rate(&self) -> f64 {
        let total = self.total();
        total.divergences as f64 / total.steps.max(1) as f64
    }

    /// Gradients that the whole walk computed.
    pub fn gradients(&self) -> usize {
        self.total().gradients
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_that_is_not_held_is_an_error_that_says_which_are() {
        let walk = Walk {
            dim: 2,
            points: vec![3.0, 4.0, 5.0, 6.0],
            drained: 1,
            particle: vec![0, 1, 0],
            ..Walk::default()
        };
        assert_eq!(walk.point(1).unwrap(), [3.0, 4.0]);
        assert_eq!(walk.point(2).unwrap(), [5.0, 6.0]);
        for i in [0, 3, usize::MAX] {
            let said = walk.point(i).unwrap_err().to_string();
            let expected = format!("Walk::point: expected a point in 1..3, got {i}");
            assert_eq!(said, expected);
        }
    }
}
