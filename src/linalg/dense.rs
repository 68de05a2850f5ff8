//! Dense symmetric eigenvalues, by faer's sequential routine.
//!
//! The result of faer's parallel routine depends on the number of threads.

use faer::diag::Diag;
use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::evd::{ComputeEigenvectors, self_adjoint_evd, self_adjoint_evd_scratch};
use faer::{Mat, MatRef, Par, Spec};

use crate::error::{Error, Result};

/// Eigenvalues in ascending order, smallest first, and the orthonormal eigenvectors as rows. The
/// [`Eigenpairs`](crate::linalg::Eigenpairs) of Lanczos have the opposite order, largest first.
#[derive(Clone, Debug)]
pub struct SymmetricEigen {
    /// `[n]`, ascending.
    pub values: Vec<f64>,
    /// `[n, n]` row-major; row `i` belongs to `values[i]`.
    pub vectors: Vec<f64>,
}

/// Eigen-decomposition of a symmetric matrix, `[n, n]` row-major; eigenvalues ascend. Only entries
/// on and below the diagonal are read.
///
/// # Errors
/// If the length is not `n * n`, an entry is not finite, or the iteration fails.
pub fn symmetric_eigen(entries: &[f64], n: usize) -> Result<SymmetricEigen> {
    if entries.len() != n * n {
        return Err(Error::shape("symmetric_eigen", n * n, entries.len()));
    }
    if let Some(index) = entries.iter().position(|x| !x.is_finite()) {
        let what = "symmetric_eigen";
        return Err(Error::NonFinite { what, index });
    }
    if n == 0 {
        return Ok(SymmetricEigen {
            values: Vec::new(),
            vectors: Vec::new(),
        });
    }
    let mut vectors: Mat<f64> = Mat::zeros(n, n);
    let mut values: Diag<f64> = Diag::zeros(n);
    let parameters = Spec::default();
    let request =
        self_adjoint_evd_scratch::<f64>(n, ComputeEigenvectors::Yes, Par::Seq, parameters);
    let mut memory = MemBuffer::new(request);
    self_adjoint_evd(
        MatRef::from_row_major_slice(entries, n, n),
        values.as_mut(),
        Some(vectors.as_mut()),
        Par::Seq,
        MemStack::new(&mut memory),
        parameters,
    )
    .map_err(|_| Error::NoConvergence {
        what: "symmetric_eigen",
        iterations: 30 * n,
        residual: f64::NAN,
        tolerance: f64::EPSILON,
    })?;
    let column = values.column_vector();
    Ok(SymmetricEigen {
        values: (0..n).map(|i| column[i]).collect(),
        vectors: (0..n * n).map(|at| vectors[(at % n, at / n)]).collect(),
    })
}

/// The `min(m, n)` singular values of a small matrix `[m, n]` (row-major), descending. They are
/// accurate to rounding of the largest, because they are the positive half of the spectrum of
/// `[[0, A], [A^T, 0]]`. The spectrum of `A^T A` would lose half the digits.
///
/// # Errors
/// As for [`symmetric_eigen`].
pub fn singular_values(entries: &[f64], m: usize, n: usize) -> Result<Vec<f64>> {
    if entries.len() != m * n {
        return Err(Error::shape("singular_values", m * n, entries.len()));
    }
    let order = m + n;
    let mut double = vec![0.0; order * order];
    for i in 0..m {
        for j in 0..n {
            double[i * order + m + j] = entries[i * n + j];
            double[(m + j) * order + i] = entries[i * n + j];
        }
    }
    let mut values = symmetric_eigen(&double, order)?.values;
    values.reverse();
    values.truncate(m.min(n));
    values.iter_mut().for_each(|v| *v = v.max(0.0));
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn singular_values_small_and_large() {
        // diag(3, 1e-12) between two rotations by 45 degrees, and a column of zeros
        let (a, b) = (0.5 * (3.0 + 1e-12), 0.5 * (3.0 - 1e-12));
        let values = singular_values(&[a, b, 0.0, b, a, 0.0], 2, 3).unwrap();
        assert!(
            (values[0] - 3.0).abs() < 1e-14 && (values[1] - 1e-12).abs() < 2e-15,
            "{values:?}"
        );
        assert!(singular_values(&[1.0], 1, 2).is_err());
        assert!(singular_values(&[], 0, 2).unwrap().is_empty());
    }

    #[test]
    fn a_two_by_two_matrix() {
        let eigen = symmetric_eigen(&[2.0, 1.0, 1.0, 2.0], 2).unwrap();
        assert!((eigen.values[0] - 1.0).abs() < 1e-15 && (eigen.values[1] - 3.0).abs() < 1e-15);
        let (x, y) = (eigen.vectors[2], eigen.vectors[3]);
        assert!((x - y).abs() < 1e-15 && (x * x + y * y - 1.0).abs() < 1e-15);
        assert!(symmetric_eigen(&[f64::NAN], 1).is_err());
        assert!(symmetric_eigen(&[], 0).unwrap().values.is_empty());
    }
}
