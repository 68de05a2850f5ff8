//! What a walk records besides its points: a few numbers of each particle after each block.
//!
//! They show whether the walk has forgotten its start.

use super::kernel::Fields;
use crate::error::{Error, Result};
use crate::scalar::Scalar;

/// Numbers that depend on the parameters, for instance predictions for a few inputs.
pub trait Observable<T: Scalar>: Sync {
    /// Number of observed numbers.
    fn len(&self) -> usize;

    /// True if there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Writes them for `theta`; `out` has length [`Observable::len`].
    ///
    /// # Errors
    /// If `theta` has the wrong length.
    fn observe(&self, theta: &[T], out: &mut [f64]) -> Result<()>;
}

/// Observes nothing; the walk still records the energy.
impl<T: Scalar> Observable<T> for () {
    fn len(&self) -> usize {
        0
    }

    fn observe(&self, _: &[T], _: &mut [f64]) -> Result<()> {
        Ok(())
    }
}

/// What was recorded after the blocks of a walk, in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Trace {
    /// Steps taken by the end of each block.
    pub steps: Vec<usize>,
    /// Energies, `[blocks, particles]`, in nats.
    pub energies: Vec<f64>,
    /// Observed numbers, `[blocks, particles, len]`.
    pub observed: Vec<f64>,
    /// Numbers observed per particle.
    pub len: usize,
}

impl Trace {
    /// Number of blocks.
    pub fn blocks(&self) -> usize {
        self.steps.len()
    }

    /// Number of particles.
    pub fn particles(&self) -> usize {
        self.energies.len() / self.blocks().max(1)
    }

    /// The energy after block `block` of each particle.
    ///
    /// # Errors
    /// If there is no such block, or the lengths of the fields do not fit.
    pub fn energies_after(&self, block: usize) -> Result<&[f64]> {
        self.after(block, &self.energies, self.particles())
    }

    /// What was observed after block `block`: `[particles, len]`.
    ///
    /// # Errors
    /// Those of [`Trace::energies_after`].
    pub fn observed_after(&self, block: usize) -> Result<&[f64]> {
        self.after(
            block,
            &self.observed,
            self.particles().saturating_mul(self.len),
        )
    }

    /// Block `block` of numbers of which each block has `n`.
    fn after<'a>(&self, block: usize, all: &'a [f64], n: usize) -> Result<&'a [f64]> {
        let start = block.saturating_mul(n);
        let part = all.get(start..start.saturating_add(n));
        part.filter(|_| block < self.blocks()).ok_or_else(|| {
            let expected = format!("a block below {}", self.blocks());
            Error::shape("Trace", expected, block)
        })
    }

    /// True if the arrays hold whole blocks of exactly `particles` particles.
    pub(super) fn is_of(&self, particles: usize) -> bool {
        let all = self.steps.len().checked_mul(particles);
        let observed = all.and_then(|all| all.checked_mul(self.len));
        all == Some(self.energies.len()) && observed == Some(self.observed.len())
    }

    /// Visits all fields.
    ///
    /// # Errors
    /// Those of `fields`.
    pub fn fields<T>(&mut self, fields: &mut dyn Fields<T>) -> Result<()> {
        fields.counts("trace_steps", &mut self.steps)?;
        fields.numbers("trace_energies", &mut self.energies)?;
        fields.numbers("trace_observed", &mut self.observed)?;
        fields.count("trace_len", &mut self.len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_that_was_not_recorded_is_an_error() {
        let mut trace = Trace {
            steps: vec![5, 10],
            energies: vec![1.0, 2.0, 3.0, 4.0],
            observed: vec![5.0, 6.0, 7.0, 8.0],
            len: 1,
        };
        assert_eq!(trace.energies_after(1).unwrap(), [3.0, 4.0]);
        assert_eq!(trace.observed_after(1).unwrap(), [7.0, 8.0]);
        for block in [2, usize::MAX] {
            let said = trace.energies_after(block).unwrap_err().to_string();
            assert_eq!(
                said,
                format!("Trace: expected a block below 2, got {block}")
            );
        }
        // fields that do not fit one another
        trace.len = 3;
        assert!(trace.observed_after(1).is_err());
        assert!(Trace::default().energies_after(0).is_err());
    }
}
