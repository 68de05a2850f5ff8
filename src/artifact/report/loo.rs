//! Leave-one-out cross-validation of the training rows.

use serde::{Deserialize, Serialize};

use super::number;

/// Leave-one-out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LeaveOneOut {
    /// Number of rows.
    pub rows: usize,
    /// Sum of the log densities of rows left out, in nats.
    #[serde(with = "number")]
    pub elpd: f64,
    /// Its standard error.
    #[serde(with = "number")]
    pub se: f64,
    /// Effective number of parameters.
    #[serde(with = "number")]
    pub p_loo: f64,
    /// Rows whose `k` is too large: what is said of them is too good.
    pub unreliable_rows: usize,
    /// The bound of `k`.
    #[serde(with = "number")]
    pub threshold: f64,
    /// Rows by their `k`: below 0, then in tenths up to 1, then above. Older files have none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub k_counts: Vec<usize>,
    /// Fits without such a row.
    pub refits: Option<Refits>,
}

/// Fits without a row, for rows whose `k` is too large.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Refits {
    /// Rows that need one.
    pub needed: usize,
    /// Fits that were allowed; if fewer than needed, none was made.
    pub allowed: usize,
    /// Fits that were made.
    pub done: usize,
    /// The elpd before them.
    #[serde(with = "number")]
    pub elpd_before: f64,
    /// Gradients that they took.
    #[serde(with = "number")]
    pub gradients: f64,
    /// Rows without which no fit could be made.
    pub failed: Vec<FailedRefit>,
}

/// A row without which no fit could be made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct FailedRefit {
    /// The row, from 0.
    pub row: usize,
    /// Why.
    pub why: String,
}
