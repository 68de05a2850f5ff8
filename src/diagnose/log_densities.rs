//! Log predictive densities of rows under several models, from which model weights are made.
//!
//! The largest of each row is subtracted.

use crate::error::{Error, Result, counted};

/// Lower bound of a log density relative to the largest. Lower ones are 0 for any purpose, and sums
/// of them must not overflow.
const LOWEST: f64 = -1e290;

/// Validated log densities.
pub(super) struct LogDensities {
    /// `l_ik - max_j l_ij`, `[rows, models]`.
    pub(super) below: Vec<f64>,
    /// `max_j l_ij`, `[rows]`.
    pub(super) tops: Vec<f64>,
    pub(super) models: usize,
}

impl LogDensities {
    /// From `l_ik`, `[rows, models]` row-major. `op` is the operation that errors name.
    pub(super) fn new(op: &'static str, log_density: &[f64], models: usize) -> Result<Self> {
        if models == 0 || log_density.is_empty() || !log_density.len().is_multiple_of(models) {
            let expected = format!(
                "log densities [rows, {}], both at least 1",
                counted(models, "model")
            );
            let got = counted(log_density.len(), "number");
            return Err(Error::shape(op, expected, got));
        }
        if let Some(at) = log_density.iter().position(|l| !l.is_finite()) {
            return Err(Error::data(format!(
                "log predictive density of row {} by model {}: expected a finite number, got {}",
                at / models,
                at % models,
                log_density[at]
            )));
        }
        let mut below = log_density.to_vec();
        let mut tops = Vec::with_capacity(below.len() / models);
        for row in below.chunks_exact_mut(models) {
            let top = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            row.iter_mut().for_each(|l| *l = (*l - top).max(LOWEST));
            tops.push(top);
        }
        Ok(Self {
            below,
            tops,
            models,
        })
    }
}
