//! Predictions of a fitted model: draws, programs and memory are made once, for many rows.
//!
//! A regression by one model with Gaussian noise is a mixture of Gaussians. Everything else is a
//! mixture of laws ([`MixedPredictions`]), including mixtures of several models.

mod calibrated;
mod core;
mod crossed;
mod draws;
mod mapped_draws;
mod member;
mod predictive;
mod promise;
mod row;

use std::fmt;

pub(super) use self::core::Core;
use super::calibration::Calibration;
use super::compiled::Compiled;
use super::model::FittedModel;
use crate::data::{Dataset, Task};
use crate::error::{Error, Result};
use crate::metrics::{ScoredRows, Scores};
use crate::predict::{
    ClassPredictions, DrawOptions, MemberLaws, Outputs, PredictiveDraws, RealPredictions,
};
use crate::rng::Streams;
pub use calibrated::ConformalRegions;
pub(crate) use member::log_softmax;
pub use predictive::interval_ends;
pub use promise::{OfClass, Promise};
pub use row::RowPrediction;

/// The probabilities of the quantiles, unless the caller asks for others.
const QUANTILES: [f64; 2] = [0.05, 0.95];

/// Predictive distributions, one row per input.
#[derive(Clone, Debug, PartialEq)]
pub enum Predictions {
    /// For classes.
    Classes(ClassPredictions),
    /// For a real target or a count.
    Real(RealPredictions),
}

/// A fitted model that is ready to predict.
///
/// It holds the posterior draws, the compiled network and the memory of a row. It is `Send` and
/// `Sync`, so threads may share one. A single row is computed by the thread that asks for it. Many
/// rows are computed in parallel, in the caller's rayon pool.
pub struct Predictor {
    rows: Box<dyn Rows>,
    probabilities: Vec<f64>,
    calibration: Option<Calibration>,
}

impl fmt::Debug for Predictor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Predictor")
            .field("task", &self.rows.task())
            .field("quantiles", &self.probabilities)
            .finish_non_exhaustive()
    }
}

/// A predictor's operations, in the precision of its model.
pub trait Rows: Send + Sync {
    fn task(&self) -> Task;
    /// Number of features of a row.
    fn width(&self) -> usize;
    fn row(&self, x: &[f64], probabilities: &[f64], out: &mut RowPrediction) -> Result<()>;
    fn rows(&self, x: &[f64], probabilities: &[f64]) -> Result<Predictions>;
    /// Number of classes; `None` for a real target.
    fn classes(&self) -> Option<usize> {
        match self.task() {
            Task::Classification { classes } => Some(classes),
            Task::Regression => None,
        }
    }
    /// Number of models.
    fn models(&self) -> usize;
    /// Predictions of one of the models alone.
    fn rows_of(&self, model: usize, x: &[f64], probabilities: &[f64]) -> Result<Predictions>;
    /// True if predictions may be stretched around their means.
    fn stretches(&self) -> bool;
    fn score_rows(&self, data: &Dataset, stretch: f64) -> Result<ScoredRows>;
    fn log_densities(&self, data: &Dataset, stretch: f64) -> Result<Vec<f64>>;
    fn log_weighted_densities(&self, data: &Dataset) -> Result<Vec<f64>>;
    /// The negative log likelihood of all rows for each factor, sums by their weights in nats.
    fn stretched_losses(&self, data: &Dataset, factors: &[f64]) -> Result<Vec<f64>>;
    fn log_densities_of(&self, x: &[f64], y: &[f64]) -> Result<Vec<f64>>;
    fn outputs(&self, x: &[f64]) -> Result<Outputs>;
    fn targets(&self, x: &[f64], probabilities: &[f64]) -> Result<Vec<RealPredictions>>;
    fn draws(&self, x: &[f64], how: &DrawOptions) -> Result<PredictiveDraws>;
    fn laws(&self, x: &[f64]) -> Result<MemberLaws>;
}

impl Predictor {
    /// The predictive distribution of one row of raw features (`[d]`, in the units of the training
    /// file).
    ///
    /// # Errors
    /// If the row has another length. [`Error::NonFiniteData`] names a feature that is not finite,
    /// or an output that is not.
    pub fn row(&self, x: &[f64]) -> Result<RowPrediction> {
        let mut out = RowPrediction::empty();
        self.row_into(x, &mut out)?;
        Ok(out)
    }

    /// The same, into reused memory. After a thread's first row it allocates nothing. The
    /// exceptions are mixtures of models, likelihoods other than Gaussian or of classes, and
    /// transformed targets.
    ///
    /// # Errors
    /// Those of [`Predictor::row`].
    pub fn row_into(&self, x: &[f64], out: &mut RowPrediction) -> Result<()> {
        self.rows.row(x, &self.probabilities, out)?;
        if let Some(calibration) = &self.calibration {
            calibration.row(out);
        }
        Ok(())
    }

    /// Predictive distributions of many rows of raw features (`[n, d]`, row-major).
    ///
    /// # Errors
    /// If the rows do not fit the model. [`Error::NonFiniteData`] names row and feature where a
    /// feature is not finite, and the row where an output is not.
    pub fn rows(&self, x: &[f64]) -> Result<Predictions> {
        Ok(self.calibrated(self.rows.rows(x, &self.probabilities)?))
    }

    /// Scores on rows with known targets.
    ///
    /// # Errors
    /// If the data are for another task, or do not fit the model.
    pub fn evaluate(&self, data: &Dataset) -> Result<Scores> {
        self.score_rows(data)?.scores()
    }

    /// Predictions of rows with known targets beside these, for scores with intervals, or to
    /// compare models row by row. If the data have weights, each row counts by its weight.
    ///
    /// # Errors
    /// If the data are for another task, or do not fit the model.
    pub fn score_rows(&self, data: &Dataset) -> Result<ScoredRows> {
        let mut scored = self.rows.score_rows(data, self.stretch())?;
        let map = self
            .calibration
            .as_ref()
            .and_then(|c| c.recalibration.as_ref());
        if let (ScoredRows::Classes { predictions, .. }, Some(map)) = (&mut scored, map) {
            calibrated::recalibrate(map, predictions);
        }
        Ok(scored)
    }

    /// The factor of the predictive standard deviation.
    fn stretch(&self) -> f64 {
        self.calibration.as_ref().map_or(1.0, Calibration::stretch)
    }

    /// The log predictive density, or log probability, of every row's target, `[n]`.
    ///
    /// # Errors
    /// Those of [`Predictor::evaluate`].
    pub fn log_densities(&self, data: &Dataset) -> Result<Vec<f64>> {
        let map = self
            .calibration
            .as_ref()
            .and_then(|c| c.recalibration.as_ref());
        if let (Some(_), Some(classes)) = (map, self.rows.classes()) {
            check_task("log_densities", self.rows.task(), data)?;
            let (all, labels) = (self.rows(data.features())?, data.labels()?);
            if let Predictions::Classes(all) = all {
                let rows = all.probabilities.chunks_exact(classes).zip(labels);
                return Ok(rows.map(|(p, label)| p[label].ln()).collect());
            }
        }
        self.rows.log_densities(data, self.stretch())
    }

    /// `log mean_s p(y | s)^w` of every row with weight `w` under draws `s`, `[n]`: how probable
    /// `w` rows are together. They share the draw, so it is not `w` times the log density. Rows
    /// without weights count once. This is before a calibration of the model.
    ///
    /// # Errors
    /// Those of [`Predictor::evaluate`], and if the model is a mixture of models, or an atlas that
    /// predicts without draws.
    pub fn log_weighted_densities(&self, data: &Dataset) -> Result<Vec<f64>> {
        self.rows.log_weighted_densities(data)
    }

    /// The log predictive density, or log probability, of every row of targets, from raw features
    /// `x` (`[n, d]`) and targets `y` (`[n, target_dim]`). The likelihood itself computes it, so it
    /// also works for a program's own likelihood that states no law. This is before a calibration
    /// of the model.
    ///
    /// # Errors
    /// If lengths do not fit, a target is impossible, the model is a mixture of models or has a
    /// transformed target, or an output is not finite.
    pub fn log_densities_of(&self, x: &[f64], y: &[f64]) -> Result<Vec<f64>> {
        self.rows.log_densities_of(x, y)
    }

    /// Network outputs for rows of raw features (`[n, d]`) and every posterior sample, before a
    /// calibration of the model.
    ///
    /// # Errors
    /// Those of [`Predictor::rows`], and if the model is a mixture of models, or an atlas that
    /// predicts without draws.
    pub fn outputs(&self, x: &[f64]) -> Result<Outputs> {
        self.rows.outputs(x)
    }

    /// The law of a real target, or of a count, for rows of raw features (`[n, d]`) under every
    /// posterior sample, before a calibration of the model.
    ///
    /// # Errors
    /// Those of [`Predictor::outputs`], and if the targets are classes.
    pub fn laws(&self, x: &[f64]) -> Result<MemberLaws> {
        self.rows.laws(x)
    }

    /// The same predictor with quantiles of real targets at `probabilities`, not at 0.05 and 0.95.
    /// An empty list saves the time that quantiles take.
    ///
    /// # Errors
    /// If a probability is not strictly between 0 and 1.
    pub fn with_quantiles(mut self, probabilities: &[f64]) -> Result<Self> {
        if let Some(p) = probabilities.iter().find(|p| !(**p > 0.0 && **p < 1.0)) {
            let requirement = "must lie strictly between 0 and 1";
            return Err(Error::config("quantiles", p, requirement));
        }
        self.probabilities = probabilities.to_vec();
        Ok(self)
    }
}

impl<T: Compiled> FittedModel<T> {
    /// This model, ready to predict, with `draws` posterior samples as in [`FittedModel::samples`].
    /// An atlas of a regression predicts with the exact mixture over `draws` anchors instead. A
    /// mixture of models has `draws` samples in all; each model's share is rounded up. The fits of
    /// a CV+ have at least 64 each, or `draws` if these are fewer.
    ///
    /// # Errors
    /// If there are no draws or one fails.
    pub fn predictor(&self, draws: usize, seed: u64) -> Result<Predictor> {
        self.predictor_from(draws, Streams::new(seed))
    }

    fn predictor_from(&self, draws: usize, streams: Streams) -> Result<Predictor> {
        Ok(Predictor {
            rows: T::rows(self, draws, streams)?,
            probabilities: QUANTILES.to_vec(),
            calibration: self.metadata.calibration.clone(),
        })
    }

    /// [`Predictor::rows`] of a predictor made for this one call.
    ///
    /// # Errors
    /// Those of [`FittedModel::predictor`] and [`Predictor::rows`].
    pub fn predict(&self, features: &[f64], count: usize, streams: Streams) -> Result<Predictions> {
        self.predictor_from(count, streams)?.rows(features)
    }

    /// [`Predictor::evaluate`] of a predictor made for this one call.
    ///
    /// # Errors
    /// Those of [`FittedModel::predictor`] and [`Predictor::evaluate`].
    pub fn evaluate(&self, data: &Dataset, count: usize, streams: Streams) -> Result<Scores> {
        check_task("evaluate", self.metadata.data_task(), data)?;
        self.predictor_from(count, streams)?.evaluate(data)
    }

    /// [`Predictor::score_rows`] of a predictor made for this one call.
    ///
    /// # Errors
    /// Those of [`FittedModel::predictor`] and [`Predictor::score_rows`].
    pub fn score_rows(&self, data: &Dataset, count: usize, streams: Streams) -> Result<ScoredRows> {
        check_task("score_rows", self.metadata.data_task(), data)?;
        self.predictor_from(count, streams)?.score_rows(data)
    }

    /// [`Predictor::log_densities`] of a predictor made for this one call.
    ///
    /// # Errors
    /// Those of [`FittedModel::predictor`] and [`Predictor::log_densities`].
    pub fn log_densities(
        &self,
        data: &Dataset,
        count: usize,
        streams: Streams,
    ) -> Result<Vec<f64>> {
        check_task("log_densities", self.metadata.data_task(), data)?;
        self.predictor_from(count, streams)?.log_densities(data)
    }

    /// [`Predictor::log_weighted_densities`] of a predictor made for this one call.
    ///
    /// # Errors
    /// Those of [`FittedModel::predictor`] and [`Predictor::log_weighted_densities`].
    pub fn log_weighted_densities(
        &self,
        data: &Dataset,
        count: usize,
        streams: Streams,
    ) -> Result<Vec<f64>> {
        check_task("log_weighted_densities", self.metadata.data_task(), data)?;
        let predictor = self.predictor_from(count, streams)?;
        predictor.log_weighted_densities(data)
    }
}

/// Checks that the data have the targets that the model predicts.
fn check_task(op: &'static str, expected: Task, data: &Dataset) -> Result<()> {
    let got = data.task();
    if expected == got {
        return Ok(());
    }
    let (expected, got) = (format!("{expected:?}"), format!("{got:?}"));
    Err(Error::shape(op, expected, got))
}
