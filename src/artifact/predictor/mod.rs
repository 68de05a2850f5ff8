//! Predictions of a fitted model: draws, programs and memory are made once, for many rows.
//!
//! A regression by one model with Gaussian noise is a mixture of Gaussians. Everything else is a
//! mixture of laws ([`MixedPredictions`]), including mixtures of several models.

mod member;
mod row;

use std::fmt;

use serde::Serialize;

use super::compiled::Compiled;
use super::fitted::Fitted;
use super::model::Model;
use super::task::TaskSpec;
use crate::data::{Dataset, Task};
use crate::error::{Error, Result};
use crate::metrics::{ClassificationMetrics, RegressionMetrics};
use crate::model::Observation;
use crate::predict::{
    ClassPredictions, MixedPredictions, Outputs, RealPredictions, RegressionPredictions,
};
use crate::rng::Streams;
use crate::scalar::Scalar;
use member::Member;
use row::Pool;
pub use row::RowPrediction;

/// Rows that the models of a mixture predict at once.
const BLOCK: usize = 1024;

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

/// Scores of predictions.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Scores {
    /// For class probabilities.
    Classification(ClassificationMetrics),
    /// For predictive mixtures.
    Regression(RegressionMetrics),
}

/// A fitted model that is ready to predict.
///
/// It holds the posterior draws, the compiled network and the memory of a row. It is `Send` and
/// `Sync`, so threads may share one. A single row is computed by the thread that asks for it. Many
/// rows are computed in parallel, in the caller's rayon pool.
pub struct Predictor {
    rows: Box<dyn Rows>,
    probabilities: Vec<f64>,
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
    fn row(&self, x: &[f64], probabilities: &[f64], out: &mut RowPrediction) -> Result<()>;
    fn rows(&self, x: &[f64], probabilities: &[f64]) -> Result<Predictions>;
    fn evaluate(&self, data: &Dataset) -> Result<Scores>;
    fn log_densities(&self, data: &Dataset) -> Result<Vec<f64>>;
    fn log_densities_of(&self, x: &[f64], y: &[f64]) -> Result<Vec<f64>>;
    fn outputs(&self, x: &[f64]) -> Result<Outputs>;
}

impl Predictor {
    /// The predictive distribution of one row of raw features (`[d]`, in the units of the training
    /// file).
    ///
    /// # Errors
    /// If the row has another length, a feature is not finite, or an output is not.
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
        self.rows.row(x, &self.probabilities, out)
    }

    /// Predictive distributions of many rows of raw features (`[n, d]`, row-major).
    ///
    /// # Errors
    /// If the rows do not fit the model, a feature is not finite, or an output is not (the row is
    /// named).
    pub fn rows(&self, x: &[f64]) -> Result<Predictions> {
        self.rows.rows(x, &self.probabilities)
    }

    /// Scores on rows with known targets.
    ///
    /// # Errors
    /// If the data are for another task, or do not fit the model.
    pub fn evaluate(&self, data: &Dataset) -> Result<Scores> {
        self.rows.evaluate(data)
    }

    /// The log predictive density, or log probability, of every row's target, `[n]`.
    ///
    /// # Errors
    /// Those of [`Predictor::evaluate`].
    pub fn log_densities(&self, data: &Dataset) -> Result<Vec<f64>> {
        self.rows.log_densities(data)
    }

    /// The log predictive density, or log probability, of every row of targets, from raw features
    /// `x` (`[n, d]`) and targets `y` (`[n, target_dim]`). The likelihood itself computes it, so it
    /// also works for a program's own likelihood that states no law.
    ///
    /// # Errors
    /// If lengths do not fit, a target is impossible, the model is a mixture of models or has a
    /// transformed target, or an output is not finite.
    pub fn log_densities_of(&self, x: &[f64], y: &[f64]) -> Result<Vec<f64>> {
        self.rows.log_densities_of(x, y)
    }

    /// Network outputs for rows of raw features (`[n, d]`) and every posterior sample.
    ///
    /// # Errors
    /// Those of [`Predictor::rows`], and if the model is a mixture of models, or an atlas that
    /// predicts without draws.
    pub fn outputs(&self, x: &[f64]) -> Result<Outputs> {
        self.rows.outputs(x)
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

impl<T: Compiled> Model<T> {
    /// This model, ready to predict, with `draws` posterior samples as in [`Model::samples`]. An
    /// atlas of a regression predicts with the exact mixture over `draws` anchors instead. A
    /// mixture of models has `draws` samples in all; each model's share is rounded up.
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
        })
    }

    /// [`Predictor::rows`] of a predictor made for this one call.
    ///
    /// # Errors
    /// Those of [`Model::predictor`] and [`Predictor::rows`].
    pub fn predict(&self, features: &[f64], count: usize, streams: Streams) -> Result<Predictions> {
        self.predictor_from(count, streams)?.rows(features)
    }

    /// [`Predictor::evaluate`] of a predictor made for this one call.
    ///
    /// # Errors
    /// Those of [`Model::predictor`] and [`Predictor::evaluate`].
    pub fn evaluate(&self, data: &Dataset, count: usize, streams: Streams) -> Result<Scores> {
        check_task("evaluate", self.metadata.data_task(), data)?;
        self.predictor_from(count, streams)?.evaluate(data)
    }

    /// [`Predictor::log_densities`] of a predictor made for this one call.
    ///
    /// # Errors
    /// Those of [`Model::predictor`] and [`Predictor::log_densities`].
    pub fn log_densities(
        &self,
        data: &Dataset,
        count: usize,
        streams: Streams,
    ) -> Result<Vec<f64>> {
        check_task("log_densities", self.metadata.data_task(), data)?;
        self.predictor_from(count, streams)?.log_densities(data)
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

/// How a regression's outputs become its target, if by a shift and a scale.
#[derive(Clone, Copy, Debug)]
struct Plain {
    noise_std: f64,
    mean: f64,
    scale: f64,
}

impl Plain {
    /// For one model with Gaussian noise and a target that is only shifted and scaled.
    fn of<T>(model: &Model<T>) -> Option<Self> {
        let task = &model.metadata.task;
        let TaskSpec::Regression {
            noise_std,
            target_mean,
            target_scale,
            ..
        } = *task
        else {
            return None;
        };
        let is_plain = !matches!(model.fitted, Fitted::Mixture(_))
            && task.observation() == Observation::Gaussian
            && task.target_map().warp.is_none();
        is_plain.then_some(Self {
            noise_std,
            mean: target_mean,
            scale: target_scale,
        })
    }
}

/// The models that predict, with their shares.
pub(super) struct Core<T: Scalar> {
    task: Task,
    features: usize,
    plain: Option<Plain>,
    members: Vec<Member<T>>,
    pool: Pool<T>,
}

impl<T: Scalar> Core<T> {
    pub(super) fn new(model: &Model<T>, count: usize, streams: Streams) -> Result<Self> {
        let plain = Plain::of(model);
        let members = match &model.fitted {
            Fitted::Mixture(members) => {
                let each = members.iter().map(|member| {
                    // rounded up: even a model of small weight has a draw
                    let share = (member.weight * count as f64).ceil() as usize;
                    Member::new(
                        member.weight,
                        &member.model,
                        share.min(count),
                        streams,
                        false,
                    )
                });
                each.collect::<Result<_>>()?
            }
            _ => vec![Member::new(1.0, model, count, streams, plain.is_some())?],
        };
        Ok(Self {
            task: model.metadata.data_task(),
            features: model.metadata.feature_names.len(),
            plain,
            members,
            pool: Pool::default(),
        })
    }

    /// The only model; an error for a mixture.
    fn single(&self, what: &'static str) -> Result<&Member<T>> {
        match &self.members[..] {
            [member] => Ok(member),
            all => {
                let value = format!("{} models", all.len());
                Err(Error::config(
                    what,
                    value,
                    "are of one model, not of a mixture",
                ))
            }
        }
    }

    /// Rows in blocks. The models of a mixture predict each block in turn.
    fn blocks<'x>(&self, x: &'x [f64]) -> Result<std::slice::Chunks<'x, f64>> {
        let d = self.features;
        if !x.len().is_multiple_of(d) {
            let (expected, got) = (
                format!("rows of {d} features"),
                format!("{} numbers", x.len()),
            );
            return Err(Error::shape("predict", expected, got));
        }
        Ok(x.chunks(BLOCK * d))
    }

    fn classes(&self, classes: usize, x: &[f64]) -> Result<ClassPredictions> {
        let mut all = ClassPredictions::empty(classes);
        if let [member] = &self.members[..] {
            member.outputs(x, |block| all.extend(block))?;
            return Ok(all);
        }
        for rows in self.blocks(x)? {
            let each = self
                .members
                .iter()
                .map(|m| Ok((m.weight, m.all_outputs(rows)?)))
                .collect::<Result<Vec<_>>>()?;
            all.extend_weighted(&each)?;
        }
        Ok(all)
    }

    /// The laws of a real target, block by block.
    fn laws(
        &self,
        x: &[f64],
        mut use_block: impl FnMut(&MixedPredictions) -> Result<()>,
    ) -> Result<()> {
        for rows in self.blocks(x)? {
            let members = self
                .members
                .iter()
                .map(|member| member.laws(&member.all_outputs(rows)?))
                .collect::<Result<Vec<_>>>()?;
            let rows = rows.len() / self.features;
            use_block(&MixedPredictions { rows, members })?;
        }
        Ok(())
    }

    /// The predictive mixtures of a regression, in the target's units, block by block.
    fn mixtures(
        &self,
        plain: Plain,
        x: &[f64],
        use_block: impl FnMut(&RegressionPredictions) -> Result<()>,
    ) -> Result<()> {
        match self.members.first() {
            Some(member) => member.mixtures(plain, x, use_block),
            None => Ok(()),
        }
    }
}

impl<T: Scalar> Rows for Core<T> {
    fn task(&self) -> Task {
        self.task
    }

    fn row(&self, x: &[f64], probabilities: &[f64], out: &mut RowPrediction) -> Result<()> {
        self.predict_row(x, probabilities, out)
    }

    fn rows(&self, x: &[f64], probabilities: &[f64]) -> Result<Predictions> {
        if let Task::Classification { classes } = self.task {
            return Ok(Predictions::Classes(self.classes(classes, x)?));
        }
        let mut all = RealPredictions::empty(probabilities);
        match self.plain {
            Some(plain) => self.mixtures(plain, x, |block| {
                all.extend(&block.summaries(probabilities)?);
                Ok(())
            })?,
            None => self.laws(x, |block| {
                all.extend(&block.summaries(probabilities)?);
                Ok(())
            })?,
        }
        Ok(Predictions::Real(all))
    }

    fn evaluate(&self, data: &Dataset) -> Result<Scores> {
        check_task("evaluate", self.task, data)?;
        if let Task::Classification { classes } = self.task {
            let all = self.classes(classes, data.features())?;
            let labels = data.labels()?;
            let scores = ClassificationMetrics::compute(&all.probabilities, classes, &labels)?;
            return Ok(Scores::Classification(scores));
        }
        let (mut parts, mut done) = (Vec::new(), 0);
        match self.plain {
            Some(plain) => self.mixtures(plain, data.features(), |block| {
                let rows = block.means.len() / block.samples.max(1);
                let y = &data.targets()[done..done + rows];
                parts.push(RegressionMetrics::of(block, y)?);
                done += rows;
                Ok(())
            })?,
            None => self.laws(data.features(), |block| {
                let y = &data.targets()[done..done + block.rows];
                parts.push(RegressionMetrics::of_laws(block, y)?);
                done += block.rows;
                Ok(())
            })?,
        }
        let none = || Error::shape("evaluate", "at least one row", 0);
        RegressionMetrics::pooled(&parts)
            .map(Scores::Regression)
            .ok_or_else(none)
    }

    fn log_densities(&self, data: &Dataset) -> Result<Vec<f64>> {
        check_task("log_densities", self.task, data)?;
        if let Task::Classification { classes } = self.task {
            let all = self.classes(classes, data.features())?;
            let rows = all.probabilities.chunks_exact(classes).zip(data.labels()?);
            return Ok(rows.map(|(p, label)| p[label].ln()).collect());
        }
        let mut all = Vec::new();
        let y = data.targets();
        match self.plain {
            Some(plain) => self.mixtures(plain, data.features(), |block| {
                let targets = &y[all.len()..];
                all.extend(block.log_densities(targets)?);
                Ok(())
            })?,
            None => self.laws(data.features(), |block| {
                let targets = &y[all.len()..all.len() + block.rows];
                all.extend(block.each(|row, mixture| Ok(mixture.log_density(targets[row])))?);
                Ok(())
            })?,
        }
        Ok(all)
    }

    fn log_densities_of(&self, x: &[f64], y: &[f64]) -> Result<Vec<f64>> {
        self.single("log densities by the likelihood")?
            .log_densities(x, y)
    }

    fn outputs(&self, x: &[f64]) -> Result<Outputs> {
        self.single("outputs")?.all_outputs(x)
    }
}
