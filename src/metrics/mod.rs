//! Quality of predictions: scores, calibration, and their summaries.

mod calibration;
mod classification;
mod regression;
mod summary;

pub use calibration::{CalibrationBin, DEFAULT_BINS, ece, mce, reliability};
pub use classification::{accuracy, brier, nll};
pub use regression::{coverage, mixture_crps, mixture_nll, rmse};
pub use summary::{ClassificationMetrics, RegressionMetrics};
