//! The dense precision: `Q = L L^T`, `R = L^{-T}`. It also serves the last layer.

use super::structure::{Precision, StructuredCurvature};
use crate::error::{Error, Result, counted};
use crate::linalg::Cholesky;

/// The curvature `H`, `[q, q]`.
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
            let expected = format!(
                "a prior for a matrix of {}",
                counted(self.matrix.len(), "number")
            );
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

impl Precision for FullPrecision {
    fn log_det(&self) -> f64 {
        self.0.log_det()
    }

    fn variances(&self) -> Vec<f64> {
        self.0.inverse_diagonal()
    }

    fn root(&self, z: &mut [f64]) {
        self.0.solve_transposed(z);
    }

    fn root_transposed(&self, rows: &mut [f64]) {
        self.0.solve_lower_rows(rows);
    }
}
