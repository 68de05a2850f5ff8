//! The state of a Hamiltonian chain.

use super::adaptation::Adaptation;
use super::chains::Transition;
use crate::error::Result;
use crate::scalar::Scalar;
use crate::walk::{Fields, Particle, PhasePoint};

/// A particle of [`Hmc`](super::Hmc) or [`Nuts`](super::Nuts), with what it has learned.
#[derive(Clone, Debug)]
pub struct HamiltonianState<T> {
    /// Its momentum is drawn anew in every step.
    pub(super) at: PhasePoint<T>,
    pub(super) adaptation: Adaptation<T>,
    /// A record: no step depends on it.
    pub(super) last: Transition,
}

impl<T: Scalar> HamiltonianState<T> {
    /// The step size of the last transition or, in the warm-up, of the next.
    pub fn step_size(&self) -> f64 {
        self.adaptation.step_size()
    }

    /// The diagonal of the inverse mass matrix, `[P]`.
    pub fn inverse_mass(&self) -> &[f64] {
        self.adaptation.inverse_mass()
    }

    /// The last transition. It is not stored: until a restored particle takes a step, it is
    /// [`Transition::none`].
    pub fn transition(&self) -> &Transition {
        &self.last
    }
}

impl<T: Scalar> Particle<T> for HamiltonianState<T> {
    fn theta(&self) -> &[T] {
        &self.at.theta
    }

    fn fields(&mut self, fields: &mut dyn Fields<T>) -> Result<()> {
        fields.fixed_vector("theta", &mut self.at.theta)?;
        fields.fixed_vector("gradient", &mut self.at.gradient)?;
        fields.number("log_density", &mut self.at.log_density)?;
        self.adaptation.fields(fields)
    }
}
