//! One model with its draws, compiled: alone, or as a member of a mixture.

use std::sync::Arc;

use super::core::Plain;
use crate::artifact::fitted::{Fitted, scaled_head};
use crate::artifact::model::FittedModel;
use crate::data::{Standardizer, TargetMap};
use crate::deform::AtlasRows;
use crate::error::{Error, Result};
use crate::linalg::log_mean_exp;
use crate::model::{Likelihood, Predictive, RowLikelihood};
use crate::nn::LinearHead;
use crate::parallel;
use crate::predict::{MemberLaws, Outputs, RegressionPredictions, SampleOutputs};
use crate::rng::Streams;
use crate::scalar::Scalar;

/// What computes the outputs of a member.
pub(super) enum Engine<T: Scalar> {
    /// The network at every sample.
    Samples(Box<SampleOutputs<'static, T>>),
    /// The anchors of an atlas, with the last layer integrated out.
    Anchors(Box<AtlasRows<T>>),
}

/// One model, ready to predict.
pub(super) struct Member<T: Scalar> {
    pub weight: f64,
    pub engine: Engine<T>,
    pub features: Standardizer,
    pub likelihood: Arc<dyn Likelihood>,
    pub(super) target: TargetMap,
    /// Noise of each sample, for a mixture of Gaussians; empty if all have the same.
    pub noise_stds: Vec<f64>,
    /// The likelihood's parameters, `[samples, own]`.
    params: Vec<f64>,
    own: usize,
}

/// The likelihood that a model predicts with, and the number of its parameters.
fn likelihood_of<T: Scalar>(model: &FittedModel<T>) -> Result<(Arc<dyn Likelihood>, usize)> {
    if let Some(parts) = &model.parts {
        return Ok((parts.shared_likelihood(), parts.own_params()));
    }
    let task = &model.metadata.task;
    let sampled = model.metadata.scales.as_ref().is_some_and(|s| s.noise_std);
    let own = if sampled { task.observation().own() } else { 0 };
    Ok((task.likelihood(sampled)?.into(), own))
}

/// The error of a user's likelihood without a law.
fn no_law() -> Error {
    let requirement = "says no law of its targets (`Likelihood::predictive`): take outputs, or log \
                       densities";
    Error::config("likelihood", "own", requirement)
}

/// Log probability of class `label`.
pub(crate) fn log_softmax(logits: &[f64], label: usize) -> f64 {
    let top = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = logits.iter().map(|o| (o - top).exp()).sum();
    logits.get(label).map_or(f64::NAN, |o| o - top - sum.ln())
}

impl<T: Scalar> Member<T> {
    /// A member with `count` samples of the model. `closed` lets an atlas predict without draws.
    pub(super) fn new(
        weight: f64,
        model: &FittedModel<T>,
        count: usize,
        streams: Streams,
        closed: bool,
    ) -> Result<Self> {
        let metadata = &model.metadata;
        let network = model.network()?;
        let (mut likelihood, mut own) = likelihood_of(model)?;
        let (engine, noise_stds, params) = match &model.fitted {
            Fitted::Atlas { atlas, .. } if closed => {
                let head = scaled_head(metadata, network.as_ref())?;
                let (network, sampled): (&dyn LinearHead, bool) = match &head {
                    None => (network.as_ref(), false),
                    Some((head, own)) => (head, *own > 0),
                };
                let rows = AtlasRows::new(atlas.as_ref().clone(), network, count)?;
                let noises = if sampled { rows.noise_stds() } else { &[] };
                let noises = noises.to_vec();
                (Engine::Anchors(Box::new(rows)), noises, Vec::new())
            }
            fitted => {
                let draws = model.draw(count, streams)?;
                if matches!(fitted, Fitted::Map) && own > 0 && draws.params.is_empty() {
                    // the estimate has no noise of its own: use that of the file
                    (likelihood, own) = (metadata.task.likelihood(false)?.into(), 0);
                }
                let engine = match metadata.linearised {
                    true => SampleOutputs::linearised(network.as_ref(), &model.map, &draws.theta)?,
                    false => SampleOutputs::new(network.as_ref(), draws.theta)?,
                };
                (
                    Engine::Samples(Box::new(engine)),
                    draws.noise_std,
                    draws.params,
                )
            }
        };
        Ok(Self {
            weight,
            engine,
            features: metadata.standardizer()?,
            likelihood,
            target: metadata.task.target_map(),
            noise_stds,
            params,
            own,
        })
    }

    /// True if outputs are the logit of class 1 of two classes.
    pub(super) fn one_logit(&self) -> bool {
        self.predictive(0, &[0.0]) == Predictive::Logit
    }

    /// The predictive of a target under sample `sample`.
    fn predictive(&self, sample: usize, outputs: &[f64]) -> Predictive {
        self.predictive_of(0, sample, outputs)
    }

    /// The same of one of several targets.
    fn predictive_of(&self, target: usize, sample: usize, outputs: &[f64]) -> Predictive {
        let own = sample * self.own..(sample + 1) * self.own;
        let params = self.params.get(own).unwrap_or(&[]);
        self.likelihood.predictive_of(target, outputs, params)
    }

    /// Number of components of a prediction.
    pub(super) fn samples(&self) -> usize {
        match &self.engine {
            Engine::Samples(samples) => samples.samples(),
            Engine::Anchors(anchors) => anchors.count(),
        }
    }

    /// Outputs for rows of raw features, in blocks. A single logit becomes two.
    pub(super) fn outputs(
        &self,
        x: &[f64],
        mut use_block: impl FnMut(&Outputs) -> Result<()>,
    ) -> Result<()> {
        let Engine::Samples(engine) = &self.engine else {
            return Err(Error::shape("outputs", "samples", "an atlas"));
        };
        let one_logit = self.one_logit();
        engine.blocks(&self.features.transform(x)?, |block| match one_logit {
            true => use_block(&block.two_logits()),
            false => use_block(block),
        })
    }

    /// The outputs of all blocks together.
    pub(super) fn all_outputs(&self, x: &[f64]) -> Result<Outputs> {
        let mut all: Option<Outputs> = None;
        self.outputs(x, |block| {
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

    /// `log mean_s p(y | outputs_s, params_s)` of every row, computed by the likelihood itself.
    pub(super) fn log_densities(&self, x: &[f64], y: &[f64]) -> Result<Vec<f64>> {
        if self.target != TargetMap::IDENTITY {
            let requirement = "is for targets as the likelihood takes them: take `log_densities`";
            return Err(Error::config(
                "log_densities_of",
                "a transformed target",
                requirement,
            ));
        }
        let outputs = match self.one_logit() {
            true => {
                let value = "one logit";
                let requirement = "is not for it: take `log_densities`";
                return Err(Error::config("log_densities_of", value, requirement));
            }
            false => self.all_outputs(x)?,
        };
        let rows = RowLikelihood::new(self.likelihood.as_ref(), outputs.width, y)?;
        if rows.rows() != outputs.rows {
            return Err(Error::shape("log_densities_of", outputs.rows, rows.rows()));
        }
        parallel::try_map_with(
            outputs.rows,
            || rows.workspace(),
            |ws, row| {
                let samples = outputs.row(row).chunks_exact(outputs.width).enumerate();
                let logs = samples.map(|(s, one)| {
                    let own = s * self.own..(s + 1) * self.own;
                    let params = self.params.get(own).unwrap_or(&[]);
                    rows.log_density(row, one, params, ws)
                });
                Ok(log_mean_exp(&logs.collect::<Result<Vec<f64>>>()?).value)
            },
        )
    }

    /// `log mean_s p(y | s)^w` of every row with weight `w`, by the likelihood's law.
    pub(super) fn log_weighted_densities(
        &self,
        x: &[f64],
        y: &[f64],
        weights: &[f64],
    ) -> Result<Vec<f64>> {
        // two logits in place of one are the same probabilities
        let outputs = self.all_outputs(x)?;
        let one_logit = self.one_logit();
        parallel::try_map(outputs.rows, |row| {
            let y = y[row];
            let (z, slope) = (self.target.forward(y), self.target.log_slope(y));
            let samples = outputs.row(row).chunks_exact(outputs.width).enumerate();
            let logs = samples.map(|(s, one)| {
                let predictive = match one_logit {
                    true => Predictive::Logits,
                    false => self.predictive(s, one),
                };
                let log_density = match predictive {
                    Predictive::Logits => log_softmax(one, y as usize),
                    Predictive::Law(law) => law.log_density(z) + slope,
                    _ => return Err(no_law()),
                };
                Ok(weights[row] * log_density)
            });
            Ok(log_mean_exp(&logs.collect::<Result<Vec<f64>>>()?).value)
        })
    }

    /// The laws of a real target or a count.
    pub(super) fn laws(&self, outputs: &Outputs) -> Result<MemberLaws> {
        self.laws_of(0, outputs)
    }

    /// The laws of one of several targets.
    pub(super) fn laws_of(&self, target: usize, outputs: &Outputs) -> Result<MemberLaws> {
        let each = outputs.values.chunks_exact(outputs.width).enumerate();
        let laws =
            each.map(
                |(i, one)| match self.predictive_of(target, i % outputs.samples, one) {
                    Predictive::Law(law) => Ok(law),
                    _ => Err(no_law()),
                },
            );
        Ok(MemberLaws {
            weight: self.weight,
            target: self.target,
            samples: outputs.samples,
            laws: laws.collect::<Result<_>>()?,
        })
    }

    /// The Gaussian mixtures of a regression, in the target's units, block by block.
    pub(super) fn mixtures(
        &self,
        plain: Plain,
        x: &[f64],
        mut use_block: impl FnMut(&RegressionPredictions) -> Result<()>,
    ) -> Result<()> {
        let Plain {
            noise_std,
            mean,
            scale,
        } = plain;
        let with_noise = |mixtures: RegressionPredictions| match self.noise_stds.is_empty() {
            true => Ok(mixtures),
            false => mixtures.with_noise(&self.noise_stds, scale),
        };
        let mut done = 0;
        // rows of a block are counted from its first
        let mut pass_on = |rows: usize, mixtures: Result<RegressionPredictions>| {
            let used = mixtures.and_then(with_noise).and_then(|m| use_block(&m));
            used.map_err(|e| e.rows_from(done))?;
            done += rows;
            Ok(())
        };
        match &self.engine {
            Engine::Samples(_) => self.outputs(x, |block| {
                let mixtures = RegressionPredictions::new(block, noise_std, mean, scale);
                pass_on(block.rows, mixtures)
            }),
            Engine::Anchors(anchors) => anchors.blocks(&self.features.transform(x)?, |c| {
                let outputs = Outputs {
                    rows: c.rows,
                    samples: c.anchors,
                    width: 1,
                    values: c.means.clone(),
                };
                let mixtures =
                    RegressionPredictions::analytic(&outputs, &c.stds, noise_std, mean, scale);
                pass_on(c.rows, mixtures)
            }),
        }
    }
}
