//! The scores reported for real targets, and their confidence intervals.

use super::bootstrap::{Bootstrap, Interval, IntervalKind};
use super::pit::{PitRanking, coverage_at};
use super::ranking::Ranking;
use super::real_rows::RealRows;
use super::selective::area;
use super::summary::named_intervals;
use super::weights::{Weights, average, root_mean_square};
use crate::error::Result;
use crate::predict::{MixedPredictions, MixtureStds, RegressionPredictions};

/// Scores of predictive distributions of real targets.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "safetensors", derive(serde::Serialize))]
pub struct RegressionMetrics {
    /// Number of rows.
    pub n: usize,
    /// Mean negative log likelihood, nats.
    pub nll: f64,
    /// Root mean squared error of the predictive means, in units of the target.
    pub rmse: f64,
    /// Mean continuous ranked probability score, in units of the target.
    pub crps: f64,
    /// Fraction of targets between the 5 % and 95 % quantiles of their predictions. 0.9 if
    /// calibrated.
    pub coverage_90: f64,
    /// Fraction of targets between the 25 % and 75 % quantiles. 0.5 if calibrated.
    pub coverage_50: f64,
    /// Mean width of the 90 % intervals, in units of the target.
    pub width_90: f64,
    /// Mean interval score of the 90 % intervals, in units of the target.
    pub interval_score_90: f64,
    /// Mean predictive standard deviation, in units of the target. Smaller is better among models
    /// that are calibrated.
    pub sharpness: f64,
    /// Largest gap between stated probabilities and frequencies: the distance of the probability
    /// integral transforms from a uniform distribution, 0 to 1.
    pub pit_distance: f64,
    /// Area under the risk-coverage curve, in units of the target: mean absolute error of the
    /// surest rows, over all coverages.
    pub aurc: f64,
}

impl RegressionMetrics {
    /// Scores of `predictions` against targets `y` `[n]`, in the targets' units.
    ///
    /// # Errors
    /// Those of [`RealRows::of`].
    pub fn of(predictions: &RegressionPredictions, y: &[f64]) -> Result<Self> {
        Self::of_rows(&RealRows::of(predictions, y)?)
    }

    /// Scores of `predictions` by laws against targets `y` `[n]`, in the targets' units.
    ///
    /// # Errors
    /// Those of [`RealRows::of_laws`].
    pub fn of_laws(predictions: &MixedPredictions, y: &[f64]) -> Result<Self> {
        Self::of_rows(&RealRows::of_laws(predictions, y)?)
    }

    /// Scores of mixtures of Gaussians.
    ///
    /// # Errors
    /// Those of [`RealRows::of_mixtures`].
    pub fn compute<'a>(
        means: &[f64],
        samples: usize,
        stds: impl Into<MixtureStds<'a>>,
        y: &[f64],
    ) -> Result<Self> {
        Self::of_rows(&RealRows::of_mixtures(means, samples, stds, y)?)
    }

    /// Scores of rows, with their weights.
    ///
    /// # Errors
    /// If there are no rows.
    pub fn of_rows(rows: &RealRows) -> Result<Self> {
        Ok(Prepared::new(rows)?.scores(rows.weights()))
    }

    /// The scores by name, with the kind of interval that suits each.
    pub fn named(&self) -> Vec<(&'static str, f64, IntervalKind)> {
        use IntervalKind::{Basic, BiasCorrected};
        vec![
            ("nll", self.nll, BiasCorrected),
            ("rmse", self.rmse, BiasCorrected),
            ("crps", self.crps, BiasCorrected),
            ("coverage_90", self.coverage_90, BiasCorrected),
            ("coverage_50", self.coverage_50, BiasCorrected),
            ("width_90", self.width_90, BiasCorrected),
            ("interval_score_90", self.interval_score_90, BiasCorrected),
            ("sharpness", self.sharpness, BiasCorrected),
            ("pit_distance", self.pit_distance, Basic),
            ("aurc", self.aurc, BiasCorrected),
        ]
    }

    /// The interval of every score, by name.
    ///
    /// # Errors
    /// If there are no rows, and those of [`Bootstrap::intervals`].
    pub fn intervals(
        rows: &RealRows,
        bootstrap: &Bootstrap,
    ) -> Result<Vec<(&'static str, Option<Interval>)>> {
        let prepared = Prepared::new(rows)?;
        let scores = |w: &[f64]| prepared.scores(Some(w)).named();
        named_intervals(bootstrap, rows.len(), rows.weights(), scores)
    }
}

/// What does not depend on the weights of rows.
struct Prepared<'a> {
    rows: &'a RealRows,
    errors: Vec<f64>,
    absolute: Vec<f64>,
    interval_scores: Vec<f64>,
    by_std: Ranking,
    pits: PitRanking,
}

impl<'a> Prepared<'a> {
    fn new(rows: &'a RealRows) -> Result<Self> {
        rows.check_len("RegressionMetrics")?;
        Ok(Self {
            errors: rows.errors(),
            absolute: rows.absolute_errors(),
            interval_scores: rows.interval_scores()?,
            by_std: Ranking::new(rows.stds()),
            pits: PitRanking::new(rows.pits()),
            rows,
        })
    }

    fn scores(&self, w: Weights<'_>) -> RegressionMetrics {
        let (rows, n) = (self.rows, self.rows.len());
        let mean = |values: &[f64]| average(n, w, |i| values[i]);
        let (lower, upper) = rows.intervals();
        RegressionMetrics {
            n,
            nll: mean(rows.log_losses()),
            rmse: root_mean_square(n, w, |i| self.errors[i]),
            crps: mean(rows.crps()),
            coverage_90: average(n, w, |i| f64::from(u8::from(rows.inside(i)))),
            coverage_50: coverage_at(rows.pits(), 0.5, w),
            width_90: average(n, w, |i| upper[i] - lower[i]),
            interval_score_90: mean(&self.interval_scores),
            sharpness: mean(rows.stds()),
            pit_distance: self.pits.distance(rows.pits(), w),
            aurc: area(&self.by_std, &self.absolute, w),
        }
    }
}

#[cfg(test)]
#[path = "tests/real_summary.rs"]
mod tests;
