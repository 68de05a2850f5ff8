//! What a model predicts for rows, and how good that is.
//!
//! A regression by one model with Gaussian noise is a mixture of Gaussians
//! ([`RegressionPredictions`]). Everything else, mixtures of several models too, is a mixture of
//! laws ([`MixedPredictions`]).

use serde::Serialize;

use super::fitted::{Fitted, scaled_head};
use super::model::{Draws, Model};
use super::task::TaskSpec;
use crate::data::{Dataset, Standardizer};
use crate::error::{Error, Result};
use crate::metrics::{ClassificationMetrics, RegressionMetrics};
use crate::model::Observation;
use crate::nn::LinearHead;
use crate::predict::{
    ClassPredictions, MemberLaws, MixedPredictions, Outputs, Own, RegressionPredictions,
    RegressionSummary, law_of, linearised_outputs, network_outputs,
};
use crate::rng::Streams;
use crate::scalar::Scalar;

/// Rows that the models of a mixture predict at once.
const BLOCK: usize = 1024;

/// Predictive distributions, a row per input.
#[derive(Clone, Debug, PartialEq)]
pub enum Predictions {
    /// Of a class.
    Classes(ClassPredictions),
    /// Of a real target, or a count.
    Real(Vec<RegressionSummary>),
}

/// Scores of predictions.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Scores {
    /// Of class probabilities.
    Classification(ClassificationMetrics),
    /// Of predictive mixtures.
    Regression(RegressionMetrics),
}

/// A model, or one of a mixture, ready to predict.
struct Source<'a, T> {
    weight: f64,
    model: &'a Model<T>,
    draws: Draws<T>,
    network: Box<dyn LinearHead>,
    features: Standardizer,
}

impl<'a, T: Scalar> Source<'a, T> {
    fn new(weight: f64, model: &'a Model<T>, count: usize, streams: Streams) -> Result<Self> {
        Ok(Self {
            weight,
            model,
            draws: model.draws(count, streams)?,
            network: model.metadata.build_network()?,
            features: model.metadata.standardizer()?,
        })
    }

    /// Outputs for raw feature rows, in blocks.
    fn outputs(
        &self,
        features: &[f64],
        mut use_block: impl FnMut(&Outputs) -> Result<()>,
    ) -> Result<()> {
        let x = self.features.transform(features)?;
        let (network, samples) = (self.network.as_ref(), &self.draws.theta);
        let observation = self.model.metadata.task.observation();
        let use_block = |block: &Outputs| match observation {
            Observation::Bernoulli => use_block(&block.two_logits()),
            _ => use_block(block),
        };
        if self.model.metadata.linearised {
            return linearised_outputs(network, &self.model.map, samples, &x, use_block);
        }
        network_outputs(network, samples, &x, use_block)
    }

    /// All blocks as one.
    fn all_outputs(&self, features: &[f64]) -> Result<Outputs> {
        let mut all: Option<Outputs> = None;
        self.outputs(features, |block| {
            match &mut all {
                None => all = Some(block.clone()),
                Some(all) => {
                    all.rows += block.rows;
                    all.values.extend_from_slice(&block.values);
                }
            }
            Ok(())
        })?;
        all.ok_or_else(|| Error::shape("predict", "at least one row", 0))
    }

    fn laws(&self, outputs: &Outputs) -> Result<MemberLaws> {
        let task = &self.model.metadata.task;
        let (observation, draws) = (task.observation(), &self.draws);
        let (common, base_rate) = match task {
            TaskSpec::Regression {
                noise_std,
                base_rate,
                ..
            } => (*noise_std, base_rate.unwrap_or(1.0)),
            TaskSpec::Classification { .. } => (1.0, 1.0),
        };
        let each = outputs.values.chunks_exact(outputs.width).enumerate();
        let laws = each.map(|(i, outputs_of_one)| {
            let sample = i % outputs.samples;
            let own = Own {
                noise_std: draws.noise_std.get(sample).copied().unwrap_or(common),
                dof: draws.dof.get(sample).copied().unwrap_or(f64::NAN),
                base_rate,
            };
            law_of(observation, outputs_of_one, &own)
        });
        Ok(MemberLaws {
            weight: self.weight,
            target: task.target_map(),
            samples: outputs.samples,
            laws: laws.collect::<Result<_>>()?,
        })
    }
}

impl<T: Scalar> Model<T> {
    /// Predictive distributions for raw feature rows (`[n, d]`, row-major, in the training file's
    /// units), with posterior samples as in [`Model::samples`]; of an atlas and a regression, with
    /// the exact mixture over `count` anchors; of a mixture of models, with `count` samples in all,
    /// each model's share rounded up.
    ///
    /// # Errors
    /// If the rows do not fit the model, a draw fails, or an output is not finite.
    pub fn predict(&self, features: &[f64], count: usize, streams: Streams) -> Result<Predictions> {
        if let Some(classes) = self.metadata.task.classes() {
            let all = self.class_predictions(classes, features, count, streams)?;
            return Ok(Predictions::Classes(all));
        }
        let mut all = Vec::new();
        if self.is_plain() {
            self.mixtures(features, count, streams, |block| {
                all.extend(block.summaries()?);
                Ok(())
            })?;
        } else {
            self.laws(features, count, streams, |block| {
                all.extend(block.summaries()?);
                Ok(())
            })?;
        }
        Ok(Predictions::Real(all))
    }

    /// Scores on rows with known targets, with posterior samples as in [`Model::predict`].
    ///
    /// # Errors
    /// If the data are for another task, do not fit the model, or a draw fails.
    pub fn evaluate(&self, data: &Dataset, count: usize, streams: Streams) -> Result<Scores> {
        self.check_task("evaluate", data)?;
        if let Some(classes) = self.metadata.task.classes() {
            let all = self.class_predictions(classes, data.features(), count, streams)?;
            let labels = data.labels()?;
            let scores = ClassificationMetrics::compute(&all.probabilities, classes, &labels)?;
            return Ok(Scores::Classification(scores));
        }
        let (mut parts, mut done) = (Vec::new(), 0);
        if self.is_plain() {
            self.mixtures(data.features(), count, streams, |block| {
                let rows = block.means.len() / block.samples.max(1);
                let y = &data.targets()[done..done + rows];
                parts.push(RegressionMetrics::of(block, y)?);
                done += rows;
                Ok(())
            })?;
        } else {
            self.laws(data.features(), count, streams, |block| {
                let y = &data.targets()[done..done + block.rows];
                parts.push(RegressionMetrics::of_laws(block, y)?);
                done += block.rows;
                Ok(())
            })?;
        }
        let none = || Error::shape("evaluate", "at least one row", 0);
        RegressionMetrics::pooled(&parts)
            .map(Scores::Regression)
            .ok_or_else(none)
    }

    /// The logarithm of the predictive density, or probability, of every row's target, `[n]`, with
    /// posterior samples as in [`Model::predict`].
    ///
    /// # Errors
    /// Those of [`Model::evaluate`].
    pub fn log_densities(
        &self,
        data: &Dataset,
        count: usize,
        streams: Streams,
    ) -> Result<Vec<f64>> {
        self.check_task("log_densities", data)?;
        if let Some(classes) = self.metadata.task.classes() {
            let all = self.class_predictions(classes, data.features(), count, streams)?;
            let rows = all.probabilities.chunks_exact(classes).zip(data.labels()?);
            return Ok(rows.map(|(p, label)| p[label].ln()).collect());
        }
        let mut all = Vec::new();
        self.laws(data.features(), count, streams, |block| {
            let y = &data.targets()[all.len()..all.len() + block.rows];
            all.extend(block.each(|row, mixture| Ok(mixture.log_density(y[row])))?);
            Ok(())
        })?;
        Ok(all)
    }

    /// That the data have the targets that the model predicts.
    fn check_task(&self, op: &'static str, data: &Dataset) -> Result<()> {
        let (expected, got) = (self.metadata.data_task(), data.task());
        if expected == got {
            return Ok(());
        }
        let (expected, got) = (format!("{expected:?}"), format!("{got:?}"));
        Err(Error::shape(op, expected, got))
    }

    /// True of one model with Gaussian noise around a target that is only shifted and scaled.
    fn is_plain(&self) -> bool {
        let task = &self.metadata.task;
        !matches!(self.fitted, Fitted::Mixture(_))
            && task.observation() == Observation::Gaussian
            && task.target_map().warp.is_none()
    }

    /// The models that predict, with their shares and their draws, `count` in all.
    fn sources(&self, count: usize, streams: Streams) -> Result<Vec<Source<'_, T>>> {
        let Fitted::Mixture(members) = &self.fitted else {
            return Ok(vec![Source::new(1.0, self, count, streams)?]);
        };
        let sources = members.iter().map(|member| {
            // rounded up: a model of small weight has a draw at least
            let share = (member.weight * count as f64).ceil() as usize;
            Source::new(member.weight, &member.model, share.min(count), streams)
        });
        sources.collect()
    }

    fn class_predictions(
        &self,
        classes: usize,
        features: &[f64],
        count: usize,
        streams: Streams,
    ) -> Result<ClassPredictions> {
        let sources = self.sources(count, streams)?;
        let mut all = ClassPredictions::empty(classes);
        if let [source] = &sources[..] {
            source.outputs(features, |block| all.extend(block))?;
            return Ok(all);
        }
        for rows in self.blocks(features)? {
            let each = sources
                .iter()
                .map(|s| Ok((s.weight, s.all_outputs(rows)?)))
                .collect::<Result<Vec<_>>>()?;
            all.extend_weighted(&each)?;
        }
        Ok(all)
    }

    /// Rows in blocks that the models of a mixture predict one after the other.
    fn blocks<'x>(&self, features: &'x [f64]) -> Result<std::slice::Chunks<'x, f64>> {
        let d = self.metadata.feature_names.len();
        if !features.len().is_multiple_of(d) {
            let got = format!("{} numbers", features.len());
            return Err(Error::shape(
                "predict",
                format!("rows of {d} features"),
                got,
            ));
        }
        Ok(features.chunks(BLOCK * d))
    }

    /// The laws of a real target, block by block.
    fn laws(
        &self,
        features: &[f64],
        count: usize,
        streams: Streams,
        mut use_block: impl FnMut(&MixedPredictions) -> Result<()>,
    ) -> Result<()> {
        let sources = self.sources(count, streams)?;
        for rows in self.blocks(features)? {
            let members = sources
                .iter()
                .map(|source| source.laws(&source.all_outputs(rows)?))
                .collect::<Result<Vec<_>>>()?;
            let rows = rows.len() / self.metadata.feature_names.len();
            use_block(&MixedPredictions { rows, members })?;
        }
        Ok(())
    }

    /// The predictive mixtures of a regression, in the target's own units, block by block. An atlas
    /// knows its components in closed form.
    fn mixtures(
        &self,
        features: &[f64],
        count: usize,
        streams: Streams,
        mut use_block: impl FnMut(&RegressionPredictions) -> Result<()>,
    ) -> Result<()> {
        let TaskSpec::Regression {
            noise_std,
            target_mean,
            target_scale,
            ..
        } = self.metadata.task
        else {
            return Err(Error::shape("mixtures", "a regression", "a classification"));
        };
        let Fitted::Atlas { atlas, .. } = &self.fitted else {
            let source = Source::new(1.0, self, count, streams)?;
            let own = &source.draws.noise_std;
            return source.outputs(features, |block| {
                let mixtures = if own.is_empty() {
                    RegressionPredictions::new(block, noise_std, target_mean, target_scale)
                } else {
                    RegressionPredictions::with_noise_stds(block, own, target_mean, target_scale)
                };
                use_block(&mixtures?)
            });
        };
        let x = self.metadata.standardizer()?.transform(features)?;
        let network = self.metadata.build_network()?;
        let head = scaled_head(&self.metadata, network.as_ref())?;
        let network: &dyn LinearHead = match &head {
            None => network.as_ref(),
            Some((head, _)) => head,
        };
        atlas.components(network, &x, count, |c| {
            let outputs = Outputs {
                rows: c.rows,
                samples: c.anchors,
                width: 1,
                values: c.means.clone(),
            };
            let mixtures = RegressionPredictions::analytic(
                &outputs,
                &c.stds,
                noise_std,
                target_mean,
                target_scale,
            )?;
            if head.is_none() {
                return use_block(&mixtures);
            }
            use_block(&mixtures.with_noise(&c.noise_stds, target_scale)?)
        })
    }
}
