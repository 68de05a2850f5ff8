//! Kinetic layers with the energy that they step in: what a flow needs to draw through them.

use super::{Kinetic, Passage, same_dim};
use crate::error::{Error, Result, counted};
use crate::model::{HiddenFirst, LogDensity};
use crate::parallel;
use crate::rng::{Phase, Streams};
use crate::scalar::Scalar;

/// Kinetic layers in the energy of a posterior whose rows hold the hidden numbers first.
#[derive(Clone, Debug)]
pub struct Layers<T> {
    kinetic: Kinetic<T>,
    energy: HiddenFirst<T>,
}

impl<T: Scalar> Layers<T> {
    /// `kinetic` in `energy`.
    ///
    /// # Errors
    /// If their dimensions differ.
    pub fn new(kinetic: Kinetic<T>, energy: HiddenFirst<T>) -> Result<Self> {
        same_dim(kinetic.dim(), energy.dim())?;
        Ok(Self { kinetic, energy })
    }

    /// The layers.
    pub fn kinetic(&self) -> &Kinetic<T> {
        &self.kinetic
    }

    /// Carries rows `[n, P]` through the layers, in place. Row `i` starts with a velocity that
    /// depends only on the seed and `i`. A row whose energy is lost on the way stays where it was.
    ///
    /// # Errors
    /// If `theta` is not rows of `P` numbers.
    pub fn carry(&self, theta: &mut [T], streams: Streams) -> Result<Vec<Passage>> {
        let dim = self.kinetic.dim();
        if !theta.len().is_multiple_of(dim) {
            let expected = format!("rows of {}", counted(dim, "number"));
            return Err(Error::shape("Layers", expected, theta.len()));
        }
        let mut passages = vec![Passage::default(); theta.len() / dim];
        let each = theta.chunks_exact_mut(dim).zip(&mut passages);
        parallel::try_for_each_with(
            each,
            || self.kinetic.workspace(&self.energy),
            |ws, i, (row, passage)| {
                let mut rng = streams.rng(Phase::KINETIC, i as u64);
                let before = row.to_vec();
                *passage = self.kinetic.carry(&self.energy, row, &mut rng, ws)?;
                if !passage.energy_error().is_finite() {
                    row.copy_from_slice(&before);
                }
                Ok(())
            },
        )?;
        Ok(passages)
    }
}
