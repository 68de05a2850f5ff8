//! Symmetric matrices that are known by their products.

use crate::error::{Error, Result, counted};
use crate::linalg::orthogonal::project_out;
use crate::linalg::vector::{dot, first_non_finite};
use crate::scalar::Scalar;

/// A symmetric linear map of `dim` dimensions. Implementations own the memory that a product needs.
pub trait SymmetricOperator<T: Scalar> {
    /// Order of the matrix.
    fn dim(&self) -> usize;

    /// `out = A v`; both have length [`SymmetricOperator::dim`].
    ///
    /// # Errors
    /// If a length is wrong, or the computation behind the product fails.
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

/// A symmetric matrix in memory, row-major, for small problems and reference results.
#[derive(Clone, Debug)]
pub struct DenseOperator<T> {
    dim: usize,
    entries: Vec<T>,
}

impl<T: Scalar> DenseOperator<T> {
    /// A matrix from `[dim, dim]` row-major entries, both triangles. Mirrored entries may differ by
    /// `100 + dim` rounding errors of the largest entry: sums in a different order differ by as
    /// much.
    ///
    /// # Errors
    /// If the number of entries is wrong, an entry is not finite, or the matrix is not symmetric.
    /// Solvers for symmetric matrices would otherwise solve for a different matrix.
    pub fn new(dim: usize, entries: Vec<T>) -> Result<Self> {
        if dim.checked_mul(dim) != Some(entries.len()) {
            let expected = format!("{dim} x {dim} entries");
            return Err(Error::shape("DenseOperator", expected, entries.len()));
        }
        if let Some(index) = first_non_finite(&entries) {
            let what = "entries of DenseOperator";
            return Err(Error::NonFinite { what, index });
        }
        let largest = entries.iter().fold(0.0f64, |a, x| a.max(x.to_f64().abs()));
        let tolerance = (100 + dim) as f64 * T::EPSILON.to_f64() * largest;
        for i in 0..dim {
            for j in 0..i {
                let (a, b) = (entries[i * dim + j].to_f64(), entries[j * dim + i].to_f64());
                if (a - b).abs() > tolerance {
                    let value = format!("{a} in row {i}, column {j}, and {b} across the diagonal");
                    let requirement = "must be those of a symmetric matrix";
                    return Err(Error::config("entries", value, requirement));
                }
            }
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

/// `A + diag(shift)`: for example a Gauss-Newton matrix plus the precision of the prior.
pub struct ShiftedOperator<'a, T, A> {
    inner: A,
    shift: &'a [T],
}

impl<'a, T: Scalar, A: SymmetricOperator<T>> ShiftedOperator<'a, T, A> {
    /// The sum. A shift of one value is a multiple of the identity.
    ///
    /// # Errors
    /// If `shift` has neither one nor `dim` values.
    pub fn new(inner: A, shift: &'a [T]) -> Result<Self> {
        if shift.len() != 1 && shift.len() != inner.dim() {
            let expected = format!("1 or {}", counted(inner.dim(), "number"));
            return Err(Error::shape("ShiftedOperator", expected, shift.len()));
        }
        Ok(Self { inner, shift })
    }
}

impl<T: Scalar, A: SymmetricOperator<T>> SymmetricOperator<T> for ShiftedOperator<'_, T, A> {
    fn dim(&self) -> usize {
        self.inner.dim()
    }

    fn apply(&mut self, v: &[T], out: &mut [T]) -> Result<()> {
        self.inner.apply(v, out)?;
        let shift = self.shift.iter().cycle();
        for ((o, &v), &s) in out.iter_mut().zip(v).zip(shift) {
            *o += s * v;
        }
        Ok(())
    }
}

/// `(I - B^T B) A (I - B^T B)` with orthonormal rows `B`: the rest of `A` once leading eigenvectors
/// are known.
pub struct DeflatedOperator<'a, T, A> {
    inner: A,
    basis: &'a [T],
    projected: Vec<T>,
}

impl<'a, T: Scalar, A: SymmetricOperator<T>> DeflatedOperator<'a, T, A> {
    /// The operator without the rows of `basis`, `[k, dim]` row-major.
    ///
    /// # Errors
    /// If the dimension is 0, or the basis does not consist of whole rows.
    pub fn new(inner: A, basis: &'a [T]) -> Result<Self> {
        let n = inner.dim();
        if n == 0 || !basis.len().is_multiple_of(n) {
            let expected = format!("rows of {}", counted(n, "number"));
            return Err(Error::shape("DeflatedOperator", expected, basis.len()));
        }
        let projected = vec![T::ZERO; n];
        Ok(Self {
            inner,
            basis,
            projected,
        })
    }
}

impl<T: Scalar, A: SymmetricOperator<T>> SymmetricOperator<T> for DeflatedOperator<'_, T, A> {
    fn dim(&self) -> usize {
        self.inner.dim()
    }

    fn apply(&mut self, v: &[T], out: &mut [T]) -> Result<()> {
        if v.len() != self.projected.len() {
            return Err(Error::shape(
                "DeflatedOperator::apply",
                self.projected.len(),
                v.len(),
            ));
        }
        self.projected.copy_from_slice(v);
        project_out(self.basis, &mut self.projected);
        self.inner.apply(&self.projected, out)?;
        project_out(self.basis, out);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_matrix_that_is_not_symmetric_is_refused_with_its_place() {
        let entries = vec![1.0, 2.0, 0.0, 2.0, 5.0, 3.0, 0.0, 3.5, 1.0];
        let said = DenseOperator::new(3, entries).unwrap_err().to_string();
        assert!(said.contains("3.5 in row 2, column 1"), "{said}");
        // half the tolerance passes as rounding, twice the tolerance is refused
        let with = |e: f64| DenseOperator::new(2, vec![4.0, 1.0, 1.0 + e, 4.0]);
        let tolerance = 102.0 * f64::EPSILON * 4.0;
        assert!(with(0.5 * tolerance).is_ok() && with(2.0 * tolerance).is_err());
        let not_finite = DenseOperator::new(1, vec![f64::NAN]);
        assert!(matches!(not_finite, Err(Error::NonFinite { index: 0, .. })));
        assert!(DenseOperator::new(2, vec![1.0; 3]).is_err());
    }
}
