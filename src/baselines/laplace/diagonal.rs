//! The diagonal of the curvature: `Q = diag(scale h + prior)`, `R = Q^{-1/2}`.
//!
//! It drops every correlation.

use super::structure::{Precision, StructuredCurvature};
use crate::error::{Error, Result};

/// The diagonal `h`, `[q]`.
pub(super) struct DiagonalCurvature {
    diagonal: Vec<f64>,
}

impl DiagonalCurvature {
    pub(super) fn new(diagonal: Vec<f64>) -> Self {
        Self { diagonal }
    }
}

impl StructuredCurvature for DiagonalCurvature {
    fn with_prior(&self, scale: f64, prior: &[f64]) -> Result<Box<dyn Precision>> {
        let sum = self.diagonal.iter().zip(prior).map(|(h, p)| scale * h + p);
        let values: Vec<f64> = sum.collect();
        let bad = |v: &f64| !(*v > 0.0 && v.is_finite());
        match values.iter().position(bad) {
            None => Ok(Box::new(DiagonalPrecision(values))),
            Some(pivot) => Err(Error::NotPositiveDefinite {
                dim: prior.len(),
                pivot,
            }),
        }
    }
}

struct DiagonalPrecision(Vec<f64>);

impl Precision for DiagonalPrecision {
    fn log_det(&self) -> f64 {
        self.0.iter().map(|v| v.ln()).sum()
    }

    fn variances(&self) -> Vec<f64> {
        self.0.iter().map(|v| 1.0 / v).collect()
    }

    fn root(&self, z: &mut [f64]) {
        z.iter_mut().zip(&self.0).for_each(|(z, v)| *z /= v.sqrt());
    }

    fn root_transposed(&self, rows: &mut [f64]) {
        rows.chunks_exact_mut(self.0.len())
            .for_each(|row| self.root(row));
    }
}
