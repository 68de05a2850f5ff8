//! The parts of the Brier score (Murphy 1973), added up over classes.
//!
//! Rows are grouped by the probability of a class into bins. Let bin `b` hold the share `w_b` of
//! the rows, with mean probability `p_b` and frequency `o_b`; `o` is the frequency in all rows.
//!
//! ```text
//! reliability = sum_b w_b (p_b - o_b)^2     0 if calibrated
//! resolution  = sum_b w_b (o_b - o)^2       how far the forecasts part the rows; more is better
//! uncertainty = o (1 - o)                   of the labels alone, whatever the model
//! Brier       = reliability - resolution + uncertainty + within_bins
//! ```
//!
//! The last part is due to probabilities that differ within a bin (Stephenson, Coelho & Jolliffe
//! 2008). It is 0 if all rows of a bin state the same probability.

use super::calibration::{Diagram, mean};
use super::weights::Weights;

/// The parts of the Brier score, each added up over classes.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "safetensors", derive(serde::Serialize))]
pub struct BrierParts {
    /// Loss through wrong probabilities. 0 if calibrated.
    pub reliability: f64,
    /// Gain through telling rows apart.
    pub resolution: f64,
    /// The Brier score of the labels' frequencies as the forecast of every row.
    pub uncertainty: f64,
    /// What the bins hide, of either sign.
    pub within_bins: f64,
}

impl BrierParts {
    /// The parts of the score `brier`, by the diagrams of the classes.
    pub(super) fn of(diagrams: &[Diagram], brier: f64, weights: Weights<'_>) -> Self {
        let mut parts = Self {
            reliability: 0.0,
            resolution: 0.0,
            uncertainty: 0.0,
            within_bins: 0.0,
        };
        for diagram in diagrams {
            let (bins, all) = (diagram.bins(weights), diagram.frequency(weights));
            parts.reliability += mean(&bins, |b| (b.confidence - b.accuracy).powi(2));
            parts.resolution += mean(&bins, |b| (b.accuracy - all).powi(2));
            parts.uncertainty += all * (1.0 - all);
        }
        parts.within_bins = brier - (parts.reliability - parts.resolution + parts.uncertainty);
        parts
    }
}

#[cfg(test)]
#[path = "tests/brier.rs"]
mod tests;
