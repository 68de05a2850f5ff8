//! A symmetric matrix, known by its products.

use crate::error::{Error, Result};
use crate::linalg::vector::dot;
use crate::scalar::Scalar;

/// A symmetric linear map of `dim` dimensions. Implementations own the memory that a product needs.
pub trait SymmetricOperator<T: Scalar> {
    /// Order of the matrix.
    fn dim(&self) -> usize;

    /// `out = A v`; both have length [`SymmetricOperator::dim`].
    ///
    /// # Errors
    /// If a length is wrong, or what the product is made of refuses.
    fn apply(&mut self, v: &[T], out: &mut [T]) -> Result<()>;
}

impl<T: Scalar, A: SymmetricOperator<T> + ?Sized> SymmetricOperator<T> for &mut A {
    fn dim(&self) -> usize {
        (**self).dim()
    }

    fn apply(&mut self, v: &[T], out: &mut [T]) -> Result<()> {
        (**self).apply(v, out)
    }
}

/// A symmetric matrix in memory, row-major: small problems and oracles.
#[derive(Clone, Debug)]
pub struct DenseOperator<T> {
    dim: usize,
    entries: Vec<T>,
}

impl<T: Scalar> DenseOperator<T> {
    /// A matrix from `dim * dim` entries.
    ///
    /// # Errors
    /// If there are not as many.
    pub fn new(dim: usize, entries: Vec<T>) -> Result<Self> {
        if entries.len() != dim * dim {
            return Err(Error::shape("DenseOperator", dim * dim, entries.len()));
        }
        Ok(Self { dim, entries })
    }
}

impl<T: Scalar> SymmetricOperator<T> for DenseOperator<T> {
    fn dim(&self) -> usize {
        self.dim
    }

    fn apply(&mut self, v: &[T], out: &mut [T]) -> Result<()> {
        if v.len() != self.dim || out.len() != self.dim {
            return Err(Error::shape("DenseOperator::apply", self.dim, v.len()));
        }
        if self.dim > 0 {
            for (o, row) in out.iter_mut().zip(self.entries.chunks_exact(self.dim)) {
                *o = T::from_f64(dot(row, v));
            }
        }
        Ok(())
    }
}
