//! What a deformation is learned from.

use crate::deform::LastLayer;
use crate::error::Result;
use crate::model::{HiddenFirst, LogDensity, PointsOf, ScaledHead};
use crate::nn::UnitBlock;
use crate::scalar::Scalar;
use crate::walk::InverseMassMatrix;

/// What a deformation is learned from. Rows hold the hidden values first, then the last layer.
pub(super) struct Material<'m, T, D> {
    /// The points of the walk in this order, and their energies.
    pub points: PointsOf<'m, T>,
    pub energies: &'m [f64],
    /// Number of hidden values.
    pub hidden: usize,
    /// The units that they belong to.
    pub blocks: Vec<UnitBlock>,
    /// The last layer given the hidden values.
    pub last: LastLayer<T>,
    /// The density over rows in this order.
    pub density: &'m D,
    /// The MAP estimate, if scales are given.
    pub map: Option<&'m [T]>,
    /// The coordinates, and the number of likelihood parameters, if scales are sampled.
    pub scaled: Option<(&'m ScaledHead<'m>, usize)>,
    /// A typical noise, for regression.
    pub noise_std: Option<f64>,
    /// The same density, for kinetic layers, and their coordinates.
    pub energy: HiddenFirst<T>,
    pub mass: InverseMassMatrix<T>,
    /// Gradients that a walker took, and the number of walkers.
    pub gradients: (usize, usize),
}

impl<T: Scalar, D: LogDensity<T>> Material<'_, T, D> {
    /// Rows in the form of model files.
    pub(super) fn stored(&self, rows: Vec<T>) -> Result<Vec<T>> {
        match self.scaled {
            None => Ok(rows),
            Some((head, own)) => head.stored(&rows, own),
        }
    }

    /// The network's parameters in rows, `[n, P]`.
    pub(super) fn thetas(&self, rows: Vec<T>, dim: usize) -> Result<Vec<T>> {
        let width = self.density.dim();
        let stored = self.stored(rows)?;
        if width == dim {
            return Ok(stored);
        }
        let rows = stored.chunks_exact(width);
        Ok(rows.flat_map(|row| &row[..dim]).copied().collect())
    }
}
