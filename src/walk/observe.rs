//! What a walk records besides its points: a few numbers of each particle after each block.
//!
//! They show whether the walk has forgotten its start.

use super::kernel::Fields;
use crate::error::Result;
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
    pub fn energies_after(&self, block: usize) -> &[f64] {
        let n = self.particles();
        &self.energies[block * n..(block + 1) * n]
    }

    /// What was observed after block `block`: `[particles, len]`.
    pub fn observed_after(&self, block: usize) -> &[f64] {
        let n = self.particles() * self.len;
        &self.observed[block * n..(block + 1) * n]
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
