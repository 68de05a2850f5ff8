//! The leading eigenpairs of the curvature: `Q = D + scale U^T diag(l) U`.
//!
//! `D` is the prior, and `U`, `[k, q]`, has orthonormal rows.
//!
//! Let `W = D^{-1/2} U^T (scale l)^{1/2}`, so `Q = D^{1/2} (I + W W^T) D^{1/2}`. The eigenpairs
//! `m_i`, `E` of the small matrix `W^T W` give everything, for any prior:
//! `log det Q = log det D + sum_i log(1 + m_i)`, and with the columns of `F = W E`
//!
//! `R = D^{-1/2} (I - F diag(c) F^T)`, `c = (1 - (1 + m)^{-1/2}) / m = 1 / (s (s + 1))`,
//! `s = (1 + m)^{1/2}`.
//!
//! What it drops: the curvature along all other directions, where the posterior equals the prior.
//! With `k = q` it is the full one.

use super::structure::{Precision, StructuredCurvature};
use crate::error::{Error, Result};
use crate::linalg::vector::{axpy, dot};
use crate::linalg::{LanczosOptions, SymmetricOperator, leading_eigenpairs, symmetric_eigen};
use crate::rng::{Phase, Streams};
use crate::scalar::Scalar;

/// Eigenvalues `[k]` and eigenvectors `[k, q]`.
pub(super) struct LowRankCurvature {
    values: Vec<f64>,
    vectors: Vec<f64>,
}

impl LowRankCurvature {
    pub(super) fn new<T: Scalar>(
        op: &mut dyn SymmetricOperator<T>,
        rank: usize,
        lanczos: &LanczosOptions,
        streams: Streams,
    ) -> Result<Self> {
        if rank == 0 || rank > op.dim() {
            let requirement = format!("must be in 1..={}", op.dim());
            return Err(Error::config("rank", rank, &requirement));
        }
        let options = LanczosOptions {
            count: rank,
            ..lanczos.clone()
        };
        let mut rng = streams.rng(Phase::LANCZOS, 0);
        let pairs = leading_eigenpairs(op, &options, &mut rng)?;
        Ok(Self {
            values: pairs.values.iter().map(|v| v.max(0.0)).collect(),
            vectors: pairs.vectors.iter().map(|v| v.to_f64()).collect(),
        })
    }
}

impl StructuredCurvature for LowRankCurvature {
    fn with_prior(&self, scale: f64, prior: &[f64]) -> Result<Box<dyn Precision>> {
        let (k, q) = (self.values.len(), prior.len());
        // rows of W^T
        let mut w = self.vectors.clone();
        for (row, l) in w.chunks_exact_mut(q).zip(&self.values) {
            for (x, p) in row.iter_mut().zip(prior) {
                *x *= (scale * l / p).sqrt();
            }
        }
        let row = |i: usize| &w[i * q..(i + 1) * q];
        let gram: Vec<f64> = (0..k * k).map(|at| dot(row(at / k), row(at % k))).collect();
        let small = symmetric_eigen(&gram, k)?;
        let mut columns = vec![0.0; k * q];
        for (column, e) in columns
            .chunks_exact_mut(q)
            .zip(small.vectors.chunks_exact(k))
        {
            for (i, &e) in e.iter().enumerate() {
                axpy(e, row(i), column);
            }
        }
        Ok(Box::new(LowRankPrecision {
            prior: prior.to_vec(),
            more: small.values.iter().map(|m| m.max(0.0)).collect(),
            columns,
        }))
    }
}

struct LowRankPrecision {
    prior: Vec<f64>,
    /// `m`, `[k]`.
    more: Vec<f64>,
    /// `F^T`, `[k, q]`.
    columns: Vec<f64>,
}

impl LowRankPrecision {
    /// `v <- (I - F diag(c) F^T) v`.
    fn shrink(&self, v: &mut [f64]) {
        // the columns are orthogonal, so one after the other gives the same as all at once
        for (column, m) in self.columns.chunks_exact(v.len()).zip(&self.more) {
            let s = (1.0 + m).sqrt();
            axpy(-dot(column, v) / (s * (s + 1.0)), column, v);
        }
    }

    fn scale(&self, v: &mut [f64]) {
        v.iter_mut()
            .zip(&self.prior)
            .for_each(|(v, p)| *v /= p.sqrt());
    }
}

impl Precision for LowRankPrecision {
    fn log_det(&self) -> f64 {
        let prior: f64 = self.prior.iter().map(|p| p.ln()).sum();
        prior + self.more.iter().map(|m| m.ln_1p()).sum::<f64>()
    }

    /// `(1 - sum_i F_ji^2 / (1 + m_i)) / D_j`.
    fn variances(&self) -> Vec<f64> {
        let mut left = vec![1.0; self.prior.len()];
        for (column, m) in self.columns.chunks_exact(left.len()).zip(&self.more) {
            for (l, f) in left.iter_mut().zip(column) {
                *l -= f * f / (1.0 + m);
            }
        }
        left.iter().zip(&self.prior).map(|(l, p)| l / p).collect()
    }

    fn root(&self, z: &mut [f64]) {
        self.shrink(z);
        self.scale(z);
    }

    fn root_transposed(&self, rows: &mut [f64]) {
        for row in rows.chunks_exact_mut(self.prior.len()) {
            self.scale(row);
            self.shrink(row);
        }
    }
}
