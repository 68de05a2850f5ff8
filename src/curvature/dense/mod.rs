//! Curvatures as dense matrices over a range of parameters, for networks of some thousand.
//!
//! With the vectors `c_nr` of the likelihood's curvature, `G = S^T S` with rows
//! `s_nr = J_n^T c_nr`. If all parameters belong to linear layers and it is less work, the matrix
//! is built from products of their inputs and derivatives ([`linear`]). Otherwise the rows are
//! computed in parallel, a few hundred at a time. Their products are added up panel by panel, each
//! panel in the order of the rows.

mod compiled;
mod linear;
#[cfg(test)]
mod tests;

use std::ops::Range;

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};

pub use compiled::DenseCurvature;
use linear::LinearLayers;

use super::jacobian::JacobianRows;
use super::roots::{OutputRoots, RowFisher, RowOutputs, Supervised};
use crate::error::Result;
use crate::linalg::SymmetricOperator;
use crate::parallel;
use crate::scalar::Scalar;

/// Values in the rows that are in memory at once, and the bounds on the number of rows.
const NUMBERS: usize = 1 << 21;
const LEAST: usize = 64;
const MOST: usize = 1024;

/// Rows of the matrix that one task adds to.
const PANEL: usize = 96;

/// The Gauss-Newton matrix of the likelihood (or the empirical Fisher matrix) for the parameters
/// `range`, `[q, q]` row-major.
///
/// # Errors
/// If lengths do not fit or an output is not finite.
pub fn dense_curvature<T: Scalar>(
    data: &Supervised<'_>,
    theta: &[T],
    range: Range<usize>,
    fisher: RowFisher,
) -> Result<Vec<f64>> {
    let outputs = RowOutputs::new(data, theta)?;
    let roots = OutputRoots::new(data, &outputs, fisher)?;
    dense_from_roots(data, theta, range, &roots)
}

/// [`dense_curvature`] with the output curvature of the likelihood already computed.
pub(crate) fn dense_from_roots<T: Scalar>(
    data: &Supervised<'_>,
    theta: &[T],
    range: Range<usize>,
    roots: &OutputRoots,
) -> Result<Vec<f64>> {
    match LinearLayers::find(data, range.clone(), roots.rank) {
        Some(layers) => layers.matrix(data, theta, roots),
        None => by_rows(data, range, &JacobianRows::new(data.network, theta)?, roots),
    }
}

/// `S^T S` from the rows of `S`, for any network.
fn by_rows<T: Scalar>(
    data: &Supervised<'_>,
    range: Range<usize>,
    jacobian: &JacobianRows<T>,
    roots: &OutputRoots,
) -> Result<Vec<f64>> {
    let (q, rank) = (range.len(), roots.rank.max(1));
    let mut matrix = vec![0.0; q * q];
    let at_once = (NUMBERS / q.max(1)).clamp(LEAST, MOST).div_ceil(rank);
    let mut rows = vec![0.0; at_once * rank * q];
    for first in (0..data.rows()).step_by(at_once) {
        let here = at_once.min(data.rows() - first);
        if roots.rank == 0 || q == 0 {
            break;
        }
        let rows = &mut rows[..here * rank * q];
        parallel::try_for_each_with(
            rows.chunks_mut(rank * q),
            || jacobian.memory(),
            |memory, i, out| {
                let x = data.row(first + i);
                for (r, out) in out.chunks_exact_mut(q).enumerate() {
                    let c = roots.vector(first + i, r);
                    let (row, _) = jacobian.pull_back(x, c, memory)?;
                    for (to, from) in out.iter_mut().zip(&row[range.clone()]) {
                        *to = from.to_f64();
                    }
                }
                Ok(())
            },
        )?;
        add_gram(rows, q, &mut matrix);
    }
    mirror(&mut matrix, q);
    Ok(matrix)
}

/// Adds the lower triangle of `S^T S` for rows `S` `[m, q]`. Each panel also writes some entries
/// above the diagonal.
fn add_gram(rows: &[f64], q: usize, matrix: &mut [f64]) {
    let m = rows.len() / q;
    let s = MatRef::from_row_major_slice(rows, m, q);
    // the last panels are the longest
    let panels = matrix.chunks_mut(PANEL * q).enumerate().rev();
    parallel::for_each(panels, |_, (panel, out)| {
        let (start, count) = (panel * PANEL, out.len() / q);
        let end = start + count;
        let out = MatMut::from_row_major_slice_mut(out, count, q).subcols_mut(0, end);
        let (left, right) = (s.subcols(start, count).transpose(), s.subcols(0, end));
        matmul(out, Accum::Add, left, right, 1.0, Par::Seq);
    });
}

/// Copies the lower triangle to the upper one.
fn mirror(matrix: &mut [f64], q: usize) {
    for i in 0..q {
        for j in 0..i {
            matrix[j * q + i] = matrix[i * q + j];
        }
    }
}

/// The dense matrix of an operator for the parameters `range`, `[q, q]` row-major, from `q`
/// products. It is exactly symmetric.
///
/// # Errors
/// If the operator fails.
pub fn dense_operator<T: Scalar>(
    op: &mut dyn SymmetricOperator<T>,
    range: Range<usize>,
) -> Result<Vec<f64>> {
    let (n, q) = (op.dim(), range.len());
    let (mut unit, mut image) = (vec![T::ZERO; n], vec![T::ZERO; n]);
    let mut matrix = Vec::with_capacity(q * q);
    for i in range.clone() {
        unit[i] = T::ONE;
        op.apply(&unit, &mut image)?;
        unit[i] = T::ZERO;
        matrix.extend(image[range.clone()].iter().map(|x| x.to_f64()));
    }
    mirror(&mut matrix, q);
    Ok(matrix)
}
