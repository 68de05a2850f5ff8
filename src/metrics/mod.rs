//! Quality of predictions: scores, calibration, and how sure one can be of them.
//!
//! | question | classes | real targets |
//! |---|---|---|
//! | how good is all of it? | [`ClassRows::nll`], [`ClassRows::brier`] | [`RealRows::log_losses`], [`RealRows::crps`] |
//! | how often, or how far, is it wrong? | [`ClassRows::accuracy`], [`ClassRows::balanced_accuracy`] | [`rmse`] |
//! | are its probabilities right? | [`ece`], [`mce`], [`ClassRows::smooth_ece`], [`BrierParts`] | [`coverage`], [`RealRows::pits`] |
//! | how much does it commit itself? | [`BrierParts::resolution`] | [`mean_width`], [`interval_scores`] |
//! | does it order rows rightly? | [`ClassRows::roc_auc`] | |
//! | does it know where it is wrong? | [`RiskCoverage`] | [`RiskCoverage`] |
//! | does it know where it knows nothing? | [`OutOfDistribution`] | [`OutOfDistribution`] |
//!
//! Every score takes weights of rows. So [`Bootstrap`] gives any of them a confidence interval.
//! [`PairedDifference`] compares two models on the same rows. `docs/uncertainty.md` says how to
//! read the numbers.

mod bootstrap;
mod brier;
mod calibration;
mod classification;
mod detection;
mod paired;
mod pit;
mod ranking;
mod real_rows;
mod real_summary;
mod regression;
mod scored;
mod selective;
mod smooth;
mod summary;
#[cfg(test)]
mod tests;
mod weights;

pub use bootstrap::{Bootstrap, Interval, IntervalKind};
pub use brier::BrierParts;
pub use calibration::{
    Binning, CalibrationBin, DEFAULT_BINS, ece, mce, overconfidence, underconfidence,
};
pub use classification::ClassRows;
pub use detection::{Detector, OutOfDistribution, class_uncertainties};
pub use paired::PairedDifference;
pub use pit::Pit;
pub use real_rows::{INTERVAL_ENDS, INTERVAL_LEVEL, RealRows};
pub use real_summary::RegressionMetrics;
pub use regression::{
    coverage, crps_of_draws, crps_of_mixtures, interval_scores, log_losses_of_mixtures, mean_width,
    rmse,
};
pub use scored::{ScoredRows, Scores};
pub use selective::{RiskCoverage, RiskPoint};
pub use smooth::smooth_calibration_error;
pub use summary::ClassificationMetrics;
pub use weights::weighted_mean;
