//! The scores reported for a test set, and their confidence intervals.

use super::bootstrap::{Bootstrap, Interval, IntervalKind};
use super::brier::BrierParts;
use super::calibration::{
    Binning, DEFAULT_BINS, Diagram, class_wise, ece, mce, overconfidence, underconfidence,
};
use super::classification::ClassRows;
use super::ranking::Ranking;
use super::selective::area;
use super::smooth::smooth_error;
use crate::error::Result;

/// Scores of predicted class probabilities. Calibration errors have 10 bins.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "safetensors", derive(serde::Serialize))]
pub struct ClassificationMetrics {
    /// Number of rows.
    pub n: usize,
    /// Mean negative log likelihood, nats.
    pub nll: f64,
    /// Fraction of rows whose most probable class is right.
    pub accuracy: f64,
    /// Expected calibration error of the most probable class, bins of equal width.
    pub ece: f64,
    /// Maximum calibration error of the same bins.
    pub mce: f64,
    /// Brier score, 0 to 2.
    pub brier: f64,
    /// Mean over classes of the fraction of a class's rows that are right.
    pub balanced_accuracy: f64,
    /// Area under the ROC curve; several classes: one against the rest, averaged. `None` if all
    /// rows are of one class.
    pub roc_auc: Option<f64>,
    /// Area under the risk-coverage curve: error rate of the surest rows, over all coverages.
    pub aurc: f64,
    /// The part of `ece` from bins that state too high a probability.
    pub overconfidence: f64,
    /// The part of `ece` from bins that state too low a probability.
    pub underconfidence: f64,
    /// Expected calibration error of the most probable class, bins of equal mass.
    pub ece_equal_mass: f64,
    /// Mean over classes of the calibration error of the class's probability, bins of equal width.
    pub ece_class_wise: f64,
    /// Smooth calibration error of the most probable class, which has no bins.
    pub ece_smooth: f64,
    /// Part of the Brier score through wrong probabilities, bins of equal width.
    pub brier_reliability: f64,
    /// Part of the Brier score gained by telling rows apart.
    pub brier_resolution: f64,
    /// The Brier score of the labels' frequencies.
    pub brier_uncertainty: f64,
    /// Number of bins.
    pub bins: usize,
}

impl ClassificationMetrics {
    /// Scores of `probabilities`, row-major `[n, k]`, against `labels` `[n]`.
    ///
    /// # Errors
    /// Those of [`ClassRows::new`].
    pub fn compute(probabilities: &[f64], k: usize, labels: &[usize]) -> Result<Self> {
        Self::of(&ClassRows::new(probabilities, k, labels)?)
    }

    /// Scores of rows, with their weights.
    ///
    /// # Errors
    /// None for rows that were built with [`ClassRows::new`].
    pub fn of(rows: &ClassRows<'_>) -> Result<Self> {
        let prepared = Prepared::new(rows)?;
        let ece_smooth = smooth_error(&prepared.confidences, &prepared.hits, rows.weights());
        let others = prepared.scores(rows);
        Ok(ClassificationMetrics {
            ece_smooth,
            ..others
        })
    }

    /// The scores by name, with the kind of interval that suits each. NaN for one that is not
    /// defined.
    pub fn named(&self) -> Vec<(&'static str, f64, IntervalKind)> {
        use IntervalKind::{Basic, BiasCorrected};
        vec![
            ("nll", self.nll, BiasCorrected),
            ("accuracy", self.accuracy, BiasCorrected),
            ("ece", self.ece, Basic),
            ("mce", self.mce, Basic),
            ("brier", self.brier, BiasCorrected),
            ("balanced_accuracy", self.balanced_accuracy, BiasCorrected),
            ("roc_auc", self.roc_auc.unwrap_or(f64::NAN), BiasCorrected),
            ("aurc", self.aurc, BiasCorrected),
            ("overconfidence", self.overconfidence, Basic),
            ("underconfidence", self.underconfidence, Basic),
            ("ece_equal_mass", self.ece_equal_mass, Basic),
            ("ece_class_wise", self.ece_class_wise, Basic),
            ("ece_smooth", self.ece_smooth, Basic),
            ("brier_reliability", self.brier_reliability, Basic),
            ("brier_resolution", self.brier_resolution, BiasCorrected),
            ("brier_uncertainty", self.brier_uncertainty, BiasCorrected),
        ]
    }

    /// The interval of every score, by name. `ece_smooth` has none: where it is small it takes a second
    /// to compute, and a bootstrap would take it a thousand times.
    ///
    /// # Errors
    /// Those of [`Bootstrap::intervals`].
    pub fn intervals(
        rows: &ClassRows<'_>,
        bootstrap: &Bootstrap,
    ) -> Result<Vec<(&'static str, Option<Interval>)>> {
        let prepared = Prepared::new(rows)?;
        let scores = |w: &[f64]| prepared.scores(&rows.reweighted(Some(w))).named();
        named_intervals(bootstrap, rows.len(), rows.weights(), scores)
    }
}

type Named = Vec<(&'static str, f64, IntervalKind)>;

/// Bootstrap intervals of scores that are named with each value.
pub(super) fn named_intervals(
    bootstrap: &Bootstrap,
    rows: usize,
    weights: Option<&[f64]>,
    scores: impl Fn(&[f64]) -> Named + Sync,
) -> Result<Vec<(&'static str, Option<Interval>)>> {
    let whole = scores(&vec![1.0; rows]);
    let kinds: Vec<IntervalKind> = whole.iter().map(|s| s.2).collect();
    let values = |w: &[f64]| scores(w).iter().map(|s| s.1).collect();
    let intervals = bootstrap.intervals(&[rows], weights, &kinds, values)?;
    Ok(whole.iter().map(|s| s.0).zip(intervals).collect())
}

/// What does not depend on the weights of rows.
struct Prepared {
    log_losses: Vec<f64>,
    brier_losses: Vec<f64>,
    confidences: Vec<f64>,
    hits: Vec<f64>,
    misses: Vec<f64>,
    by_doubt: Ranking,
    by_class: Vec<(usize, Ranking)>,
    equal_width: Diagram,
    equal_mass: Diagram,
    of_classes: Vec<Diagram>,
}

impl Prepared {
    fn new(rows: &ClassRows<'_>) -> Result<Self> {
        let equal_width = Binning::EqualWidth(DEFAULT_BINS);
        Ok(Self {
            log_losses: rows.log_losses(),
            brier_losses: rows.brier_losses(),
            confidences: rows.confidences(),
            hits: rows.hits(),
            misses: rows.misses(),
            by_doubt: rows.by_doubt(),
            by_class: rows.rankings(),
            equal_width: rows.diagram(equal_width)?,
            equal_mass: rows.diagram(Binning::EqualMass(DEFAULT_BINS))?,
            of_classes: rows.class_diagrams(equal_width)?,
        })
    }

    /// The scores of the rows that this was made of, whatever their weights, but for `ece_smooth`.
    fn scores(&self, rows: &ClassRows<'_>) -> ClassificationMetrics {
        let w = rows.weights();
        let mean = |losses: &[f64]| super::weights::average(losses.len(), w, |i| losses[i]);
        let (equal_width, brier) = (self.equal_width.bins(w), mean(&self.brier_losses));
        let parts = BrierParts::of(&self.of_classes, brier, w);
        ClassificationMetrics {
            n: rows.len(),
            nll: mean(&self.log_losses),
            accuracy: mean(&self.hits),
            ece: ece(&equal_width),
            mce: mce(&equal_width),
            brier,
            balanced_accuracy: rows.balanced_accuracy_of(&self.hits),
            roc_auc: rows.macro_auroc(&self.by_class),
            aurc: area(&self.by_doubt, &self.misses, w),
            overconfidence: overconfidence(&equal_width),
            underconfidence: underconfidence(&equal_width),
            ece_equal_mass: ece(&self.equal_mass.bins(w)),
            ece_class_wise: class_wise(&self.of_classes, w),
            ece_smooth: f64::NAN,
            brier_reliability: parts.reliability,
            brier_resolution: parts.resolution,
            brier_uncertainty: parts.uncertainty,
            bins: DEFAULT_BINS,
        }
    }
}

#[cfg(test)]
#[path = "tests/summary.rs"]
mod tests;
