//! The density of a [`ScaledHead`](super::ScaledHead), over rows in hidden-first order.

use crate::error::{Error, Result, counted};
use crate::model::{Curved, LogDensity, PosteriorDensity};
use crate::scalar::Scalar;

/// The posterior density of a [`ScaledHead`](super::ScaledHead) over hidden-first rows. The
/// likelihood's own parameters are last in a [`PosteriorDensity`]; here they come before the last
/// layer.
#[derive(Clone, Debug)]
pub struct HiddenFirst<T> {
    density: PosteriorDensity<T>,
    /// Index at which the likelihood's own parameters begin, and their number.
    at: usize,
    own: usize,
}

impl<T: Scalar> HiddenFirst<T> {
    /// `density` is of a network with `hidden` hidden parameters, and its likelihood has `own`
    /// parameters.
    ///
    /// # Errors
    /// If `density` has fewer than `hidden + own` coordinates.
    pub fn new(density: PosteriorDensity<T>, hidden: usize, own: usize) -> Result<Self> {
        if density.dim() < hidden + own {
            let expected = format!("at least {}", counted(hidden + own, "coordinate"));
            return Err(Error::shape("HiddenFirst", expected, density.dim()));
        }
        Ok(Self {
            density,
            at: hidden,
            own,
        })
    }

    /// A row in the order of the [`PosteriorDensity`]: the likelihood's own parameters last.
    pub fn inner_order(&self, row: &[T]) -> Vec<T> {
        let mut row = row.to_vec();
        if let Some(tail) = row.get_mut(self.at..) {
            tail.rotate_left(self.own.min(tail.len()));
        }
        row
    }

    /// Rows `[n, P]` in the order of the [`PosteriorDensity`], with the hidden values first.
    pub fn outer_order(&self, rows: &[T]) -> Vec<T> {
        let mut rows = rows.to_vec();
        for row in rows.chunks_exact_mut(self.density.dim().max(1)) {
            row[self.at..].rotate_right(self.own);
        }
        rows
    }

    /// Curvature of the prior, one value for each number of a row.
    pub fn prior_precision(&self) -> Vec<f64> {
        let mut all = self.density.prior_precision().to_vec();
        all[self.at..].rotate_right(self.own);
        all
    }
}

impl<T: Scalar> LogDensity<T> for HiddenFirst<T> {
    type Workspace = (<PosteriorDensity<T> as LogDensity<T>>::Workspace, Vec<T>);

    fn dim(&self) -> usize {
        self.density.dim()
    }

    fn workspace(&self) -> Self::Workspace {
        (self.density.workspace(), vec![T::ZERO; self.dim()])
    }

    fn log_density(&self, row: &[T], (ws, memory): &mut Self::Workspace) -> Result<f64> {
        self.reorder(row, memory)?;
        self.density.log_density(memory, ws)
    }

    fn log_density_and_grad(
        &self,
        row: &[T],
        grad: &mut [T],
        (ws, memory): &mut Self::Workspace,
    ) -> Result<f64> {
        self.reorder(row, memory)?;
        let value = self.density.log_density_and_grad(memory, grad, ws)?;
        grad[self.at..].rotate_right(self.own);
        Ok(value)
    }
}

impl<T: Scalar> HiddenFirst<T> {
    fn reorder(&self, row: &[T], memory: &mut [T]) -> Result<()> {
        if row.len() != memory.len() {
            return Err(Error::shape("HiddenFirst", memory.len(), row.len()));
        }
        memory.copy_from_slice(row);
        memory[self.at..].rotate_left(self.own);
        Ok(())
    }
}
