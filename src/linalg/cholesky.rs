//! Cholesky factorisation `A = L L^T`, by faer's sequential routine.
//!
//! Large matrices are factorised in blocks ([`blocked`]).

use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::cholesky::llt::factor::{
    LltError, LltRegularization, cholesky_in_place, cholesky_in_place_scratch,
};
use faer::linalg::triangular_solve::{
    solve_lower_triangular_in_place, solve_upper_triangular_in_place,
};
use faer::{Mat, MatMut, Par, Spec};

use super::blocked;
use crate::error::{Error, Result};
use crate::parallel;

/// Columns of the identity that are solved for at once.
const COLUMNS: usize = 32;

/// The factor of a positive definite matrix.
#[derive(Clone, Debug)]
pub struct Cholesky {
    factor: Mat<f64>,
}

impl Cholesky {
    /// Factorises a symmetric matrix, `[n, n]` row-major; only its lower triangle is read.
    ///
    /// # Errors
    /// [`Error::NotPositiveDefinite`] with the pivot that failed; a shape error if the length is
    /// not `n * n`.
    pub fn new(entries: &[f64], n: usize) -> Result<Self> {
        let mut factoriser = Factoriser::new(n);
        factoriser.factorise(entries)?;
        Ok(factoriser.factor)
    }

    /// Factorises the matrix with the entries `entry(i, j)`. Only entries of the lower triangle are
    /// requested.
    ///
    /// # Errors
    /// Those of [`Cholesky::new`].
    pub fn of_entries(n: usize, entry: impl Fn(usize, usize) -> f64) -> Result<Self> {
        let mut factoriser = Factoriser::new(n);
        factoriser.factorise_entries(entry)?;
        Ok(factoriser.factor)
    }

    /// Order of the matrix.
    pub fn dim(&self) -> usize {
        self.factor.nrows()
    }

    /// `log det A`.
    pub fn log_det(&self) -> f64 {
        (0..self.dim())
            .map(|i| 2.0 * self.factor[(i, i)].ln())
            .sum()
    }

    /// The diagonal of `A^{-1}`, `(A^{-1})_ii = |L^{-1} e_i|^2`. Columns are computed in parallel;
    /// any number of threads gives the same result, bit for bit.
    pub fn inverse_diagonal(&self) -> Vec<f64> {
        let n = self.dim();
        let solve = |first: usize| {
            let count = COLUMNS.min(n - first);
            // rows above `first` stay 0, so they are left out
            let left = n - first;
            let mut rows = vec![0.0; count * left];
            for (i, row) in rows.chunks_exact_mut(left).enumerate() {
                row[i] = 1.0;
            }
            self.solve_lower_rows_behind(first, &mut rows);
            let square = |row: &[f64]| row.iter().map(|x| x * x).sum::<f64>();
            rows.chunks_exact(left).map(square).collect::<Vec<f64>>()
        };
        parallel::map(n.div_ceil(COLUMNS), |i| solve(i * COLUMNS)).concat()
    }

    /// `x <- A^{-1} x`.
    ///
    /// # Panics
    /// If `x` is not of length [`Cholesky::dim`].
    pub fn solve(&self, x: &mut [f64]) {
        self.solve_lower(x);
        self.solve_transposed(x);
    }

    /// `x <- L^{-1} x`. This turns a draw with mean 0 and covariance `A` into a standard normal
    /// vector.
    ///
    /// # Panics
    /// If `x` is not of length [`Cholesky::dim`].
    pub fn solve_lower(&self, x: &mut [f64]) {
        let rhs = MatMut::from_column_major_slice_mut(x, self.dim(), 1);
        solve_lower_triangular_in_place(self.factor.as_ref(), rhs, Par::Seq);
    }

    /// `x <- L^{-T} x`. This turns a standard normal vector into a draw with covariance `A^{-1}`.
    ///
    /// # Panics
    /// If `x` is not of length [`Cholesky::dim`].
    pub fn solve_transposed(&self, x: &mut [f64]) {
        let rhs = MatMut::from_column_major_slice_mut(x, self.dim(), 1);
        solve_upper_triangular_in_place(self.factor.transpose(), rhs, Par::Seq);
    }

    /// `x <- L^{-1} x` for all rows `x` of `rows` at once, `[m, dim]` row-major.
    ///
    /// # Panics
    /// If `rows` does not consist of whole rows of length [`Cholesky::dim`].
    pub fn solve_lower_rows(&self, rows: &mut [f64]) {
        let count = rows.len() / self.dim().max(1);
        let rhs = MatMut::from_column_major_slice_mut(rows, self.dim(), count);
        solve_lower_triangular_in_place(self.factor.as_ref(), rhs, Par::Seq);
    }

    /// `x <- L^{-1} x` for vectors whose first `zeros` elements are 0. These stay 0, so `rows`
    /// holds only the other elements, `[m, dim - zeros]`.
    ///
    /// # Panics
    /// If `zeros` is more than [`Cholesky::dim`], or `rows` does not consist of whole rows.
    pub fn solve_lower_rows_behind(&self, zeros: usize, rows: &mut [f64]) {
        let n = self.dim() - zeros;
        let count = rows.len() / n.max(1);
        let factor = self.factor.as_ref().submatrix(zeros, zeros, n, n);
        let rhs = MatMut::from_column_major_slice_mut(rows, n, count);
        solve_lower_triangular_in_place(factor, rhs, Par::Seq);
    }

    /// `out = L x`. This turns a standard normal vector into a draw with covariance `A`.
    ///
    /// # Panics
    /// If `x` is shorter than [`Cholesky::dim`].
    pub fn multiply(&self, x: &[f64], out: &mut [f64]) {
        for (i, out) in out.iter_mut().enumerate().take(self.dim()) {
            *out = (0..=i).map(|j| self.factor[(i, j)] * x[j]).sum();
        }
    }

    /// `out = L^T x`, the inverse of [`Cholesky::solve_transposed`].
    ///
    /// # Panics
    /// If `x` is shorter than [`Cholesky::dim`].
    pub fn multiply_transposed(&self, x: &[f64], out: &mut [f64]) {
        for (j, out) in out.iter_mut().enumerate().take(self.dim()) {
            *out = (j..self.dim()).map(|i| self.factor[(i, j)] * x[i]).sum();
        }
    }
}

/// Order of the tiles in which a matrix is copied.
const TILE: usize = 32;

/// Factorises matrices of one order, one after the other, in the same memory. Small matrices need
/// no further allocation.
pub struct Factoriser {
    factor: Cholesky,
    memory: MemBuffer,
}

impl Factoriser {
    /// For matrices of order `n`. Until the first one is factorised, the factor is that of the
    /// identity.
    pub fn new(n: usize) -> Self {
        let most = if n < blocked::LARGE {
            n
        } else {
            blocked::BLOCK
        };
        let request = cholesky_in_place_scratch::<f64>(most, Par::Seq, Spec::default());
        Self {
            factor: Cholesky {
                factor: Mat::identity(n, n),
            },
            memory: MemBuffer::new(request),
        }
    }

    /// Factorises a symmetric matrix, `[n, n]` row-major; only its lower triangle is read.
    ///
    /// # Errors
    /// Those of [`Cholesky::new`]. The factor is then invalid.
    pub fn factorise(&mut self, entries: &[f64]) -> Result<&Cholesky> {
        let n = self.factor.dim();
        if entries.len() != n * n {
            return Err(Error::shape("Cholesky", n * n, entries.len()));
        }
        self.factorise_entries(|i, j| entries[i * n + j])
    }

    /// Factorises the matrix with the entries `entry(i, j)`. Only entries of the lower triangle are
    /// requested.
    ///
    /// # Errors
    /// Those of [`Cholesky::new`]. The factor is then invalid.
    pub fn factorise_entries(&mut self, entry: impl Fn(usize, usize) -> f64) -> Result<&Cholesky> {
        let n = self.factor.dim();
        let factor = &mut self.factor.factor;
        // tile by tile: rows are read and columns written, and following either alone would miss
        // the cache
        for left in (0..n).step_by(TILE) {
            for j in left..(left + TILE).min(n) {
                factor.col_as_slice_mut(j)[..j].fill(0.0);
            }
            for top in (left..n).step_by(TILE) {
                for j in left..(left + TILE).min(n) {
                    let rows = top.max(j)..(top + TILE).min(n);
                    let column = &mut factor.col_as_slice_mut(j)[rows.clone()];
                    for (i, x) in rows.zip(column) {
                        *x = entry(i, j);
                    }
                }
            }
        }
        if n >= blocked::LARGE {
            blocked::factorise(factor.as_mut(), &mut self.memory)
                .map_err(|pivot| Error::NotPositiveDefinite { dim: n, pivot })?;
            for j in 0..n {
                factor.col_as_slice_mut(j)[..j].fill(0.0);
            }
        } else {
            let outcome = cholesky_in_place(
                factor.as_mut(),
                LltRegularization::default(),
                Par::Seq,
                MemStack::new(&mut self.memory),
                Spec::default(),
            );
            if let Err(LltError::NonPositivePivot { index: pivot }) = outcome {
                return Err(Error::NotPositiveDefinite { dim: n, pivot });
            }
        }
        // a NaN passes the routine's comparisons with zero
        if let Some(pivot) = (0..n).find(|&i| !factor[(i, i)].is_finite()) {
            return Err(Error::NotPositiveDefinite { dim: n, pivot });
        }
        Ok(&self.factor)
    }

    /// The factor of the last matrix.
    pub fn factor(&self) -> &Cholesky {
        &self.factor
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_factor() {
        // L = [[2, 0], [1, 3]]
        let c = Cholesky::new(&[4.0, 2.0, 2.0, 10.0], 2).unwrap();
        assert!((c.log_det() - 36f64.ln()).abs() < 1e-14);
        let mut x = [8.0, 22.0];
        c.solve(&mut x);
        assert!((x[0] - 1.0).abs() < 1e-14 && (x[1] - 2.0).abs() < 1e-14);
        let mut w = [2.0, 7.0];
        c.solve_lower(&mut w);
        assert!((w[0] - 1.0).abs() < 1e-14 && (w[1] - 2.0).abs() < 1e-14);
        let mut rows = [2.0, 7.0, 4.0, 14.0];
        c.solve_lower_rows(&mut rows);
        for (x, want) in rows.iter().zip([1.0, 2.0, 2.0, 4.0]) {
            assert!((x - want).abs() < 1e-14);
        }
        let mut y = [0.0; 2];
        c.multiply_transposed(&[1.0, 2.0], &mut y);
        assert_eq!(y, [4.0, 6.0]);
        c.solve_transposed(&mut y);
        assert!((y[0] - 1.0).abs() < 1e-14 && (y[1] - 2.0).abs() < 1e-14);
    }

    /// Orders around that of the tiles, from the lower triangle alone; and vectors that begin with
    /// zeros.
    #[test]
    fn matrices_of_several_tiles() {
        for n in [1, 31, 32, 33, 70] {
            let entry = |i: usize, j: usize| {
                let near = 1.0 / (1.0 + i.abs_diff(j) as f64);
                near + if i == j { 1.0 + 0.1 * i as f64 } else { 0.0 }
            };
            let lower = |i: usize, j: usize| if i < j { f64::NAN } else { entry(i, j) };
            let factor = Cholesky::of_entries(n, lower).unwrap();
            let entries: Vec<f64> = (0..n * n).map(|at| lower(at / n, at % n)).collect();
            assert_eq!(
                factor.log_det(),
                Cholesky::new(&entries, n).unwrap().log_det()
            );
            let x: Vec<f64> = (0..n).map(|i| (i as f64).sin()).collect();
            let row = |i: usize| (0..n).map(|j| entry(i, j) * x[j]).sum();
            let mut b: Vec<f64> = (0..n).map(row).collect();
            factor.solve(&mut b);
            // the condition number is at most 9 (1 + 2 H_70), over 1
            assert!(b.iter().zip(&x).all(|(b, x)| (b - x).abs() < 1e-13));
            let zeros = n / 2;
            let mut all = x.clone();
            all[..zeros].fill(0.0);
            let mut rest = all[zeros..].to_vec();
            factor.solve_lower(&mut all);
            factor.solve_lower_rows_behind(zeros, &mut rest);
            let same = all[zeros..].iter().zip(&rest);
            assert!(same.into_iter().all(|(a, b)| (a - b).abs() < 1e-14));
        }
    }

    #[test]
    fn an_indefinite_matrix_names_its_pivot() {
        let error = Cholesky::new(&[1.0, 2.0, 2.0, 1.0], 2);
        assert!(matches!(
            error,
            Err(Error::NotPositiveDefinite { dim: 2, pivot: 1 })
        ));
        assert!(Cholesky::new(&[f64::NAN], 1).is_err());
    }
}
