//! Differences of two models on the same rows.
//!
//! The rows that are hard for one model are mostly hard for the other. So the difference of two
//! scores is known far better than either: its error is that of the mean of the rows' differences.

use super::weights::check_optional;
use crate::error::{Error, Result, counted};
use crate::linalg::vector::scale_of;

/// The mean of paired differences, and its standard error.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "safetensors", derive(serde::Serialize))]
pub struct PairedDifference {
    /// Mean of the differences.
    pub mean: f64,
    /// Standard error of the mean over rows; `None` for a single row.
    pub error: Option<f64>,
    /// Number of different rows with a weight above 0.
    pub rows: usize,
}

impl PairedDifference {
    /// The mean of `a - b`, where both hold the losses `[n]` of the same rows in the same order.
    ///
    /// The squared error is `n / (n - 1) sum_i w_i^2 (d_i - mean)^2` with weights of sum 1. Without
    /// weights that is the sample variance over `n`.
    ///
    /// # Errors
    /// No rows, different lengths, a difference that is not finite, or weights that do not fit.
    pub fn new(a: &[f64], b: &[f64], weights: Option<&[f64]>) -> Result<Self> {
        if a.len() != b.len() {
            let expected = counted(a.len(), "loss");
            return Err(Error::shape("PairedDifference", expected, b.len()));
        }
        let differences: Vec<f64> = a.iter().zip(b).map(|(a, b)| a - b).collect();
        let rows: Vec<usize> = (0..a.len()).collect();
        Self::clustered(&differences, &rows, weights)
    }

    /// The same from `differences` `[n]` of which several may belong to one row, as when it was
    /// scored under several seeds: `rows` `[n]` numbers the row of each. Such differences are not
    /// independent. Each row counts as one (the variance of clusters, Liang & Zeger 1986).
    ///
    /// # Errors
    /// Those of [`PairedDifference::new`].
    pub fn clustered(differences: &[f64], rows: &[usize], weights: Option<&[f64]>) -> Result<Self> {
        let op = "PairedDifference";
        if differences.is_empty() || rows.len() != differences.len() {
            let expected = format!("{}, at least 1", counted(rows.len(), "difference"));
            return Err(Error::shape(op, expected, differences.len()));
        }
        if let Some(index) = differences.iter().position(|d| !d.is_finite()) {
            let what = "differences of losses";
            return Err(Error::NonFinite { what, index });
        }
        check_optional(op, differences.len(), weights)?;
        let mean = super::weights::average(differences.len(), weights, |i| differences[i]);
        let total = super::weights::total(weights, differences.len());
        let mut terms: Vec<(usize, f64)> = Vec::with_capacity(rows.len());
        for (i, &row) in rows.iter().enumerate() {
            let w = super::weights::at(weights, i) / total;
            if w > 0.0 {
                terms.push((row, w * (differences[i] - mean)));
            }
        }
        // stable: the terms of a row are added in their order
        terms.sort_by_key(|term| term.0);
        let of_row = terms.chunk_by(|a, b| a.0 == b.0);
        let sums: Vec<f64> = of_row.map(|t| t.iter().map(|t| t.1).sum()).collect();
        let n = sums.len() as f64;
        let scale = scale_of(sums.iter().fold(0.0, |m: f64, s| m.max(s.abs())));
        let squares: f64 = sums.iter().map(|s| (s * scale).powi(2)).sum();
        Ok(Self {
            mean,
            error: (sums.len() > 1).then(|| (n / (n - 1.0) * squares).sqrt() / scale),
            rows: sums.len(),
        })
    }
}

#[cfg(test)]
#[path = "tests/paired.rs"]
mod tests;
