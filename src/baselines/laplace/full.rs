//! The dense precision: `Q = L L^T`, `R = L^{-T}`. Also that of the last layer.

use rayon::prelude::*;

use super::structure::{Precision, StructuredCurvature};
use crate::error::{Error, Result};
use crate::linalg::Cholesky;

/// `H`, `[q, q]`.
pub(super) struct FullCurvature {
    matrix: Vec<f64>,
}

impl FullCurvature {
    pub(super) fn new(matrix: Vec<f64>) -> Self {
        Self { matrix }
    }
}

impl StructuredCurvature for FullCurvature {
    fn with_prior(&self, scale: f64, prior: &[f64]) -> Result<Box<dyn Precision>> {
        let q = prior.len();
        if self.matrix.len() != q * q {
            let expected = format!("a prior for a matrix of {} numbers", self.matrix.len());
            return Err(Error::shape("Laplace", expected, q));
        }
        let entry = |i: usize, j: usize| {
            let prior = if i == j { prior[i] } else { 0.0 };
            scale * self.matrix[i * q + j] + prior
        };
        Ok(Box::new(FullPrecision(Cholesky::of_entries(q, entry)?)))
    }
}

struct FullPrecision(Cholesky);

/// Columns of the identity that are solved for at once.
const COLUMNS: usize = 32;

impl Precision for FullPrecision {
    fn log_det(&self) -> f64 {
        self.0.log_det()
    }

    /// `(Q^{-1})_ii = |L^{-1} e_i|^2`, columns in parallel.
    fn variances(&self) -> Vec<f64> {
        let q = self.0.dim();
        let solve = |first: usize| {
            let count = COLUMNS.min(q - first);
            // what is above the first of the ones stays 0
            let left = q - first;
            let mut rows = vec![0.0; count * left];
            for (i, row) in rows.chunks_exact_mut(left).enumerate() {
                row[i] = 1.0;
            }
            self.0.solve_lower_rows_behind(first, &mut rows);
            let square = |row: &[f64]| row.iter().map(|x| x * x).sum::<f64>();
            rows.chunks_exact(left).map(square).collect::<Vec<f64>>()
        };
        let starts = (0..q.div_ceil(COLUMNS)).into_par_iter();
        let parts: Vec<Vec<f64>> = starts.map(|i| solve(i * COLUMNS)).collect();
        parts.concat()
    }

    fn root(&self, z: &mut [f64]) {
        self.0.solve_transposed(z);
    }

    fn root_transposed(&self, rows: &mut [f64]) {
        self.0.solve_lower_rows(rows);
    }
}
