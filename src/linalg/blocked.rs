//! Cholesky factorisation of a large matrix, one block of columns after the other:
//!
//! `A_11 = L_11 L_11^T`, `L_21 = A_21 L_11^{-T}`, `A_22 <- A_22 - L_21 L_21^T`.
//!
//! The rows of `L_21` and the columns of `A_22` are computed in parallel, in parts. The borders of
//! the parts depend only on the order of the matrix, so any number of threads gives the same
//! result, bit for bit. (That is why faer's own parallel routine is not used.)

use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::cholesky::llt::factor::{LltError, LltRegularization, cholesky_in_place};
use faer::linalg::matmul::matmul;
use faer::linalg::triangular_solve::solve_lower_triangular_in_place;
use faer::{Accum, MatMut, Par, Spec};

use crate::parallel;

/// Columns of a block. `PART` is the number of rows or columns of a part.
pub(super) const BLOCK: usize = 128;
const PART: usize = 96;

/// Smallest order with work for several threads.
pub(super) const LARGE: usize = 4 * BLOCK;

/// Factorises the lower triangle of `a` in place. `memory` is the scratch space for order
/// [`BLOCK`]. Entries above the diagonal are overwritten with arbitrary values. The lists of parts
/// are allocated anew for every block.
///
/// # Errors
/// The index of the first pivot that is not positive.
pub(super) fn factorise(mut a: MatMut<'_, f64>, memory: &mut MemBuffer) -> Result<(), usize> {
    let n = a.nrows();
    for first in (0..n).step_by(BLOCK) {
        let width = BLOCK.min(n - first);
        let corner = a.as_mut().submatrix_mut(first, first, n - first, n - first);
        let (panel, trailing) = corner.split_at_col_mut(width);
        let (mut top, mut below) = panel.split_at_row_mut(width);
        let outcome = cholesky_in_place(
            top.as_mut(),
            LltRegularization::default(),
            Par::Seq,
            MemStack::new(memory),
            Spec::default(),
        );
        if let Err(LltError::NonPositivePivot { index }) = outcome {
            return Err(first + index);
        }
        let top = top.as_ref();
        parallel::for_each(rows(below.as_mut()), |_, part| {
            solve_lower_triangular_in_place(top, part.transpose_mut(), Par::Seq);
        });
        let below = below.as_ref();
        // the first columns are the longest
        parallel::for_each(columns(trailing), |_, (part, at)| {
            let (count, height) = (part.ncols(), below.nrows() - at);
            let part = part.subrows_mut(width + at, height);
            let (left, right) = (below.subrows(at, height), below.subrows(at, count));
            matmul(part, Accum::Add, left, right.transpose(), -1.0, Par::Seq);
        });
    }
    Ok(())
}

/// Parts of [`PART`] rows.
fn rows(mut rest: MatMut<'_, f64>) -> Vec<MatMut<'_, f64>> {
    let mut parts = Vec::new();
    while rest.nrows() > 0 {
        let count = PART.min(rest.nrows());
        let (part, behind) = rest.split_at_row_mut(count);
        parts.push(part);
        rest = behind;
    }
    parts
}

/// Parts of [`PART`] columns, and where they start.
fn columns(mut rest: MatMut<'_, f64>) -> Vec<(MatMut<'_, f64>, usize)> {
    let (mut parts, mut at) = (Vec::new(), 0);
    while rest.ncols() > 0 {
        let count = PART.min(rest.ncols());
        let (part, behind) = rest.split_at_col_mut(count);
        parts.push((part, at));
        at += count;
        rest = behind;
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linalg::Cholesky;
    use faer::Mat;
    use faer::linalg::cholesky::llt::factor::cholesky_in_place_scratch;

    fn memory() -> MemBuffer {
        MemBuffer::new(cholesky_in_place_scratch::<f64>(
            BLOCK,
            Par::Seq,
            Spec::default(),
        ))
    }

    fn entry(i: usize, j: usize) -> f64 {
        let near = 1.0 / (1.0 + i.abs_diff(j) as f64);
        near + if i == j { 1.0 + 1e-3 * i as f64 } else { 0.0 }
    }

    /// `L L^T` is the matrix, for orders around those of blocks and parts, whatever is above the
    /// diagonal.
    #[test]
    fn the_factor_is_of_the_matrix() {
        for n in [1, 127, 128, 129, 225, 300] {
            let mut a = Mat::from_fn(n, n, |i, j| if i < j { f64::NAN } else { entry(i, j) });
            factorise(a.as_mut(), &mut memory()).unwrap();
            for i in 0..n {
                for j in 0..=i {
                    let product: f64 = (0..=j).map(|l| a[(i, l)] * a[(j, l)]).sum();
                    // entries of at most 2.3 from 300 products
                    assert!((product - entry(i, j)).abs() < 1e-13, "{n}: {i} {j}");
                }
            }
        }
    }

    #[test]
    fn a_pivot_is_named_and_threads_change_nothing() {
        let n = LARGE + 70;
        let bad = |i: usize, j: usize| entry(i, j) - if (i, j) == (400, 400) { 9.0 } else { 0.0 };
        let mut a = Mat::from_fn(n, n, bad);
        assert_eq!(factorise(a.as_mut(), &mut memory()), Err(400));
        let with = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
            let pool = pool.build().unwrap();
            pool.install(|| Cholesky::of_entries(n, entry).unwrap())
        };
        let (one, three) = (with(1), with(3));
        assert_eq!(one.log_det(), three.log_det());
        let solved = |c: &Cholesky| {
            let mut x: Vec<f64> = (0..n).map(|i| (i as f64).sin()).collect();
            c.solve(&mut x);
            x
        };
        assert_eq!(solved(&one), solved(&three));
        let x = solved(&one);
        for i in [0, 200, n - 1] {
            let got: f64 = (0..n).map(|j| entry(i, j) * x[j]).sum();
            assert!((got - (i as f64).sin()).abs() < 1e-13);
        }
    }
}
