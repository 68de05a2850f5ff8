//! One model with its draws, compiled: alone, or as a member of a mixture.

use super::Plain;
use crate::artifact::fitted::{Fitted, scaled_head};
use crate::artifact::model::{Draws, Model};
use crate::artifact::task::TaskSpec;
use crate::data::{Standardizer, TargetMap};
use crate::deform::AtlasRows;
use crate::error::{Error, Result};
use crate::model::Observation;
use crate::nn::LinearHead;
use crate::predict::{Law, MemberLaws, Outputs, Own, RegressionPredictions, SampleOutputs, law_of};
use crate::rng::Streams;
use crate::scalar::Scalar;

/// What computes the outputs of a member.
pub(super) enum Engine<T: Scalar> {
    /// The network at every sample.
    Samples(SampleOutputs<'static, T>),
    /// The anchors of an atlas, the last layer integrated out.
    Anchors(Box<AtlasRows<T>>),
}

/// One model, ready to predict.
pub(super) struct Member<T: Scalar> {
    pub weight: f64,
    pub engine: Engine<T>,
    pub features: Standardizer,
    pub observation: Observation,
    target: TargetMap,
    /// Noise and degrees of freedom of each sample; empty where all have the same.
    pub noise_stds: Vec<f64>,
    dofs: Vec<f64>,
    common: Own,
}

impl<T: Scalar> Member<T> {
    /// With `count` samples of the model. `closed` says whether an atlas may predict without draws.
    pub(super) fn new(
        weight: f64,
        model: &Model<T>,
        count: usize,
        streams: Streams,
        closed: bool,
    ) -> Result<Self> {
        let metadata = &model.metadata;
        let task = &metadata.task;
        let (noise_std, base_rate) = match task {
            TaskSpec::Regression {
                noise_std,
                base_rate,
                ..
            } => (*noise_std, base_rate.unwrap_or(1.0)),
            TaskSpec::Classification { .. } => (1.0, 1.0),
        };
        let network = metadata.build_network()?;
        let (engine, noise_stds, dofs) = match &model.fitted {
            Fitted::Atlas { atlas, .. } if closed => {
                let head = scaled_head(metadata, network.as_ref())?;
                let (network, sampled): (&dyn LinearHead, bool) = match &head {
                    None => (network.as_ref(), false),
                    Some((head, own)) => (head, *own > 0),
                };
                let rows = AtlasRows::new(atlas.as_ref().clone(), network, count)?;
                let own = if sampled { rows.noise_stds() } else { &[] };
                let own = own.to_vec();
                (Engine::Anchors(Box::new(rows)), own, Vec::new())
            }
            _ => {
                let Draws {
                    theta,
                    noise_std,
                    dof,
                    ..
                } = model.draw(count, streams)?;
                let engine = match metadata.linearised {
                    true => SampleOutputs::linearised(network.as_ref(), &model.map, &theta)?,
                    false => SampleOutputs::new(network.as_ref(), theta)?,
                };
                (Engine::Samples(engine), noise_std, dof)
            }
        };
        Ok(Self {
            weight,
            engine,
            features: metadata.standardizer()?,
            observation: task.observation(),
            target: task.target_map(),
            noise_stds,
            dofs,
            common: Own {
                noise_std,
                dof: f64::NAN,
                base_rate,
            },
        })
    }

    /// Components of a prediction.
    pub(super) fn samples(&self) -> usize {
        match &self.engine {
            Engine::Samples(samples) => samples.samples(),
            Engine::Anchors(anchors) => anchors.count(),
        }
    }

    /// Outputs for raw feature rows, in blocks; a single logit as two.
    pub(super) fn outputs(
        &self,
        x: &[f64],
        mut use_block: impl FnMut(&Outputs) -> Result<()>,
    ) -> Result<()> {
        let Engine::Samples(engine) = &self.engine else {
            return Err(Error::shape("outputs", "samples", "an atlas"));
        };
        engine.blocks(&self.features.transform(x)?, |block| {
            match self.observation {
                Observation::Bernoulli => use_block(&block.two_logits()),
                _ => use_block(block),
            }
        })
    }

    /// All blocks as one.
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

    /// The law of a target under sample `sample`.
    fn law(&self, sample: usize, outputs: &[f64]) -> Result<Law> {
        let own = Own {
            noise_std: *self
                .noise_stds
                .get(sample)
                .unwrap_or(&self.common.noise_std),
            dof: *self.dofs.get(sample).unwrap_or(&self.common.dof),
            ..self.common
        };
        law_of(self.observation, outputs, &own)
    }

    /// The laws of a real target or a count.
    pub(super) fn laws(&self, outputs: &Outputs) -> Result<MemberLaws> {
        let each = outputs.values.chunks_exact(outputs.width).enumerate();
        let laws = each.map(|(i, one)| self.law(i % outputs.samples, one));
        Ok(MemberLaws {
            weight: self.weight,
            target: self.target,
            samples: outputs.samples,
            laws: laws.collect::<Result<_>>()?,
        })
    }

    /// The mixtures of Gaussians of a regression, in the target's own units, block by block.
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
        match &self.engine {
            Engine::Samples(_) => self.outputs(x, |block| {
                let mixtures = RegressionPredictions::new(block, noise_std, mean, scale)?;
                use_block(&with_noise(mixtures)?)
            }),
            Engine::Anchors(anchors) => anchors.blocks(&self.features.transform(x)?, |c| {
                let outputs = Outputs {
                    rows: c.rows,
                    samples: c.anchors,
                    width: 1,
                    values: c.means.clone(),
                };
                let mixtures =
                    RegressionPredictions::analytic(&outputs, &c.stds, noise_std, mean, scale)?;
                use_block(&with_noise(mixtures)?)
            }),
        }
    }
}
