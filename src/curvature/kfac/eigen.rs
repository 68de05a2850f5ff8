//! `scale A (x) B + alpha I` in the eigenbasis of the factors, where it is diagonal.
//!
//! So the prior enters exactly, without damping of the factors. With `A = U_a diag(l) U_a^T` and
//! `B = U_b diag(m) U_b^T`, the eigenvalues are `scale l_i m_j + alpha` and the eigenvectors
//! `U_a (x) U_b`.

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};

use super::KroneckerBlock;
use crate::error::Result;
use crate::linalg::{SymmetricEigen, symmetric_eigen};

/// The factors of a block, decomposed.
#[derive(Clone, Debug)]
pub(crate) struct KroneckerEigen {
    pub index: Vec<usize>,
    a: SymmetricEigen,
    b: SymmetricEigen,
}

/// `scale A (x) B + alpha I`.
#[derive(Clone, Debug)]
pub(crate) struct ShiftedKronecker<'a> {
    eigen: &'a KroneckerEigen,
    /// `[a, b]`.
    values: Vec<f64>,
}

impl KroneckerEigen {
    /// Decomposes a block.
    ///
    /// # Errors
    /// If an entry is not finite or the iteration fails.
    pub fn new(block: &KroneckerBlock) -> Result<Self> {
        let [a, b] = block.orders();
        Ok(Self {
            index: block.index.clone(),
            a: symmetric_eigen(&block.input_factor, a)?,
            b: symmetric_eigen(&block.output_factor, b)?,
        })
    }

    /// Returns `scale A (x) B + alpha I`. Negative eigenvalues of the factors, which come from
    /// rounding, count as zero.
    pub fn shifted(&self, scale: f64, alpha: f64) -> ShiftedKronecker<'_> {
        let outputs = || self.b.values.iter();
        let row = |l: &f64| {
            let l = scale * l.max(0.0);
            outputs().map(move |m| l * m.max(0.0) + alpha)
        };
        ShiftedKronecker {
            eigen: self,
            values: self.a.values.iter().flat_map(row).collect(),
        }
    }
}

impl ShiftedKronecker<'_> {
    /// The log-determinant.
    pub fn log_det(&self) -> f64 {
        self.values.iter().map(|v| v.ln()).sum()
    }

    /// Writes the diagonal of the inverse to the block's positions in `out`.
    pub fn variances(&self, out: &mut [f64]) {
        let [a, b] = [&self.eigen.a, &self.eigen.b];
        let square = |e: &SymmetricEigen| e.vectors.iter().map(|x| x * x).collect::<Vec<f64>>();
        let inverse: Vec<f64> = self.values.iter().map(|v| 1.0 / v).collect();
        let both = sandwich(&square(a), &inverse, &square(b), true);
        for (&at, v) in self.eigen.index.iter().zip(both) {
            out[at] = v;
        }
    }

    /// `z[index] <- R z[index]` with `R = (U_a (x) U_b) values^{-1/2}`, so that `R R^T` is the
    /// inverse.
    pub fn root(&self, z: &mut [f64]) {
        let e = self.eigen;
        let scaled = e.index.iter().zip(&self.values);
        let scaled: Vec<f64> = scaled.map(|(&at, v)| z[at] / v.sqrt()).collect();
        let out = sandwich(&e.a.vectors, &scaled, &e.b.vectors, true);
        for (&at, v) in e.index.iter().zip(out) {
            z[at] = v;
        }
    }

    /// `v[index] <- R^T v[index]` for every row `v` of `rows`, `[m, dim]`.
    pub fn root_transposed(&self, rows: &mut [f64], dim: usize) {
        let e = self.eigen;
        let m = rows.len() / dim.max(1);
        let (a, b) = (e.a.values.len(), e.b.values.len());
        // layout [a, m, b], so that each of the two products is one product for all rows
        let mut own = vec![0.0; a * m * b];
        let place = |i: usize, row: usize| (i * m + row) * b;
        for (row, v) in rows.chunks_exact(dim).enumerate() {
            for (i, index) in e.index.chunks_exact(b).enumerate() {
                let to = &mut own[place(i, row)..][..b];
                to.iter_mut().zip(index).for_each(|(to, &at)| *to = v[at]);
            }
        }
        let out = sandwich(&e.a.vectors, &own, &e.b.vectors, false);
        let scales: Vec<f64> = self.values.iter().map(|v| 1.0 / v.sqrt()).collect();
        for (row, v) in rows.chunks_exact_mut(dim).enumerate() {
            let each = e.index.chunks_exact(b).zip(scales.chunks_exact(b));
            for (i, (index, scales)) in each.enumerate() {
                let from = &out[place(i, row)..][..b];
                for ((&at, x), s) in index.iter().zip(from).zip(scales) {
                    v[at] = x * s;
                }
            }
        }
    }
}

/// For `U_a` `[a, a]`, `U_b` `[b, b]` and `X` `[a, m, b]`, the value `U_a X_r U_b^T` for each `r`
/// in `m`. With `back`, it is `U_a^T X_r U_b`.
fn sandwich(ua: &[f64], x: &[f64], ub: &[f64], back: bool) -> Vec<f64> {
    let (a, b) = (ua.len().isqrt(), ub.len().isqrt());
    let m = x.len() / (a * b).max(1);
    let (mut half, mut out) = (vec![0.0; x.len()], vec![0.0; x.len()]);
    let ua = MatRef::from_row_major_slice(ua, a, a);
    let ub = MatRef::from_row_major_slice(ub, b, b);
    let (left, right) = if back {
        (ua.transpose(), ub)
    } else {
        (ua, ub.transpose())
    };
    let x = MatRef::from_row_major_slice(x, a, m * b);
    let to = MatMut::from_row_major_slice_mut(&mut half, a, m * b);
    matmul(to, Accum::Replace, left, x, 1.0, Par::Seq);
    let half = MatRef::from_row_major_slice(&half, a * m, b);
    let to = MatMut::from_row_major_slice_mut(&mut out, a * m, b);
    matmul(to, Accum::Replace, half, right, 1.0, Par::Seq);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Compares with the dense matrix: determinant, diagonal of the inverse, and a root whose
    /// square is the inverse.
    #[test]
    fn a_shifted_product_is_the_dense_matrix() {
        let (a, b) = (
            [2.0, 0.5, 0.5, 1.0],
            [3.0, 1.0, 0.2, 1.0, 2.0, -0.3, 0.2, -0.3, 1.0],
        );
        // positions in mixed order, among 7
        let index = vec![6, 0, 3, 2, 5, 1];
        let block = KroneckerBlock {
            index: index.clone(),
            input_factor: a.to_vec(),
            output_factor: b.to_vec(),
        };
        let (scale, alpha) = (0.7, 0.4);
        let eigen = KroneckerEigen::new(&block).unwrap();
        let shifted = eigen.shifted(scale, alpha);
        let mut dense = vec![0.0; 36];
        for i in 0..6 {
            for j in 0..6 {
                let product = a[i / 3 * 2 + j / 3] * b[i % 3 * 3 + j % 3];
                dense[i * 6 + j] = scale * product + if i == j { alpha } else { 0.0 };
            }
        }
        let factor = crate::linalg::Cholesky::new(&dense, 6).unwrap();
        assert!((shifted.log_det() - factor.log_det()).abs() < 1e-13);
        let mut variances = vec![f64::NAN; 7];
        shifted.variances(&mut variances);
        for i in 0..6 {
            let mut inverse = vec![0.0; 6];
            inverse[i] = 1.0;
            factor.solve(&mut inverse);
            assert!((variances[index[i]] - inverse[i]).abs() < 1e-14);
            // R R^T e_i
            let mut v = vec![0.0; 7];
            v[index[i]] = 1.0;
            shifted.root_transposed(&mut v, 7);
            shifted.root(&mut v);
            for j in 0..6 {
                assert!((v[index[j]] - inverse[j]).abs() < 1e-14, "{i} {j}");
            }
        }
        assert!(variances[4].is_nan(), "a place that is not the block's");
        // all rows together agree with one row at a time
        let mut rows: Vec<f64> = (0..21).map(|i| (1.3 * f64::from(i)).sin()).collect();
        let mut single = rows.clone();
        shifted.root_transposed(&mut rows, 7);
        for (row, v) in rows.chunks_exact(7).zip(single.chunks_exact_mut(7)) {
            shifted.root_transposed(v, 7);
            v.iter()
                .zip(row)
                .for_each(|(a, b)| assert!((a - b).abs() < 1e-15));
        }
    }
}
