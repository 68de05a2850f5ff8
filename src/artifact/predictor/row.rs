//! Prediction of a single row, in memory that is reused.

use super::core::{Core, Plain};
use super::member::{Engine, Member};
use crate::data::Task;
use crate::deform::AtlasWorkspace;
use crate::error::Result;
use crate::predict::{
    ClassSums, GaussianMixture, MixedPredictions, MixtureStds, Outputs, OutputsWorkspace,
    RealMoments,
};
use crate::scalar::Scalar;

/// The predictive distribution of one row.
#[derive(Clone, Debug, PartialEq)]
pub enum RowPrediction {
    /// For a class.
    Class {
        /// Class probabilities, `[classes]`.
        probabilities: Vec<f64>,
        /// Entropy of the predictive distribution, in nats, after a map of the probabilities.
        entropy: f64,
        /// Mutual information between label and parameters, in nats. It is about the draws, which
        /// no map changes, so with a map that sharpens it may exceed the entropy.
        mutual_information: f64,
    },
    /// For a real target or a count, in its units.
    Real {
        /// Predictive mean.
        mean: f64,
        /// Predictive standard deviation, noise included.
        std: f64,
        /// Standard deviation without the noise.
        epistemic_std: f64,
        /// Quantiles at the predictor's probabilities, to 1e-6 of `std`; exact for counts.
        quantiles: Vec<f64>,
    },
}

impl RowPrediction {
    /// Memory for [`Predictor::row_into`](super::Predictor::row_into).
    pub fn empty() -> Self {
        Self::Real {
            mean: f64::NAN,
            std: f64::NAN,
            epistemic_std: f64::NAN,
            quantiles: Vec::new(),
        }
    }

    /// Class probabilities; `None` for a real target.
    pub fn probabilities(&self) -> Option<&[f64]> {
        match self {
            Self::Class { probabilities, .. } => Some(probabilities),
            Self::Real { .. } => None,
        }
    }

    /// The predictive mean of a real target; `None` for a class.
    pub fn mean(&self) -> Option<f64> {
        match self {
            Self::Class { .. } => None,
            Self::Real { mean, .. } => Some(*mean),
        }
    }

    fn set_class(&mut self, sums: &ClassSums) {
        let (entropy, mutual_information) = sums.uncertainty();
        let mut probabilities = match self {
            Self::Class { probabilities, .. } => std::mem::take(probabilities),
            Self::Real { .. } => Vec::new(),
        };
        probabilities.clear();
        probabilities.extend_from_slice(sums.probabilities());
        *self = Self::Class {
            probabilities,
            entropy,
            mutual_information,
        };
    }

    fn set_real(
        &mut self,
        moments: RealMoments,
        count: usize,
        fill: impl FnOnce(&mut [f64]) -> Result<()>,
    ) -> Result<()> {
        let mut quantiles = match self {
            Self::Class { .. } => Vec::new(),
            Self::Real { quantiles, .. } => std::mem::take(quantiles),
        };
        quantiles.resize(count, f64::NAN);
        fill(&mut quantiles)?;
        *self = Self::Real {
            mean: moments.mean,
            std: moments.std,
            epistemic_std: moments.epistemic_std,
            quantiles,
        };
        Ok(())
    }
}

/// The memory of one row.
pub(super) struct Memory<T> {
    members: Vec<MemberMemory<T>>,
    sums: ClassSums,
}

struct MemberMemory<T> {
    engine: EngineMemory<T>,
    features: Vec<f64>,
    /// `[samples, width]`.
    outputs: Vec<f64>,
    /// `[samples]`: for an atlas, the standard deviations of its components.
    own_stds: Vec<f64>,
    /// `[samples]`: standard deviations, noise included.
    stds: Vec<f64>,
}

enum EngineMemory<T> {
    Samples(OutputsWorkspace<T>),
    Anchors(AtlasWorkspace<T>),
}

impl<T: Scalar> MemberMemory<T> {
    fn new(member: &Member<T>) -> Self {
        let samples = member.samples();
        let (engine, width, own) = match &member.engine {
            Engine::Samples(e) => (EngineMemory::Samples(e.workspace()), e.width(), 0),
            Engine::Anchors(e) => (EngineMemory::Anchors(e.workspace()), 1, samples),
        };
        Self {
            engine,
            features: vec![0.0; member.features.columns()],
            outputs: vec![0.0; samples * width],
            own_stds: vec![0.0; own],
            stds: vec![0.0; samples],
        }
    }

    /// Computes the outputs of the row and, for an atlas, their standard deviations.
    fn run(&mut self, member: &Member<T>, x: &[f64]) -> Result<()> {
        member.features.transform_row(x, &mut self.features)?;
        match (&member.engine, &mut self.engine) {
            (Engine::Samples(engine), EngineMemory::Samples(ws)) => {
                engine.row(&self.features, ws, &mut self.outputs)
            }
            (Engine::Anchors(engine), EngineMemory::Anchors(ws)) => {
                engine.row(&self.features, ws, &mut self.outputs, &mut self.own_stds)
            }
            // a member's memory always fits its engine
            _ => Ok(()),
        }
    }

    /// Converts to the target's units: means, their own deviations, and deviations with the noise.
    fn in_units(&mut self, member: &Member<T>, plain: Plain) {
        for mean in &mut self.outputs {
            *mean = plain.mean + plain.scale * *mean;
        }
        for std in &mut self.own_stds {
            *std *= plain.scale;
        }
        for (i, std) in self.stds.iter_mut().enumerate() {
            let noise = *member.noise_stds.get(i).unwrap_or(&plain.noise_std);
            let noise = noise * plain.scale;
            *std = self.own_stds.get(i).map_or(noise, |own| noise.hypot(*own));
        }
    }
}

impl<T: Scalar> Core<T> {
    pub(super) fn predict_row(
        &self,
        x: &[f64],
        probabilities: &[f64],
        out: &mut RowPrediction,
    ) -> Result<()> {
        self.pool.with(
            || self.memory(),
            |memory| self.predict_in(x, probabilities, out, memory),
        )
    }

    fn memory(&self) -> Memory<T> {
        let classes = match self.task {
            Task::Classification { classes } => classes,
            Task::Regression => 0,
        };
        Memory {
            members: self.members.iter().map(MemberMemory::new).collect(),
            sums: ClassSums::new(classes),
        }
    }

    fn predict_in(
        &self,
        x: &[f64],
        probabilities: &[f64],
        out: &mut RowPrediction,
        memory: &mut Memory<T>,
    ) -> Result<()> {
        let Memory { members, sums } = memory;
        sums.clear();
        for (member, memory) in self.members.iter().zip(members.iter_mut()) {
            self.named(memory.run(member, x))?;
            if let Task::Classification { .. } = self.task {
                match member.one_logit() {
                    true => sums.add_logits_of_one(member.weight, &memory.outputs),
                    false => sums.add(member.weight, &memory.outputs),
                }
            }
        }
        if let Task::Classification { .. } = self.task {
            out.set_class(sums);
            return Ok(());
        }
        match (self.plain, members.first_mut(), self.members.first()) {
            (Some(plain), Some(memory), Some(member)) => {
                memory.in_units(member, plain);
                let common = member.noise_stds.is_empty() && memory.own_stds.is_empty();
                let stds = match memory.stds.first() {
                    Some(&std) if common => MixtureStds::Common(std),
                    _ => MixtureStds::Each(&memory.stds),
                };
                let mixture = GaussianMixture::of(&memory.outputs, stds)?;
                let moments = RealMoments::of(&mixture, &memory.own_stds)?;
                out.set_real(moments, probabilities.len(), |quantiles| {
                    moments.quantiles(&mixture, probabilities, quantiles)
                })
            }
            _ => self.row_of_laws(members, probabilities, out),
        }
    }

    /// Builds the mixture of laws anew for every row.
    fn row_of_laws(
        &self,
        memory: &[MemberMemory<T>],
        probabilities: &[f64],
        out: &mut RowPrediction,
    ) -> Result<()> {
        let members = self.members.iter().zip(memory).map(|(member, memory)| {
            let samples = member.samples();
            member.laws(&Outputs {
                rows: 1,
                samples,
                width: memory.outputs.len() / samples.max(1),
                values: memory.outputs.clone(),
            })
        });
        let members = members.collect::<Result<Vec<_>>>()?;
        let row = MixedPredictions { rows: 1, members };
        let mixture = row.row(0)?;
        let moments = RealMoments::of_laws(&mixture);
        out.set_real(moments, probabilities.len(), |quantiles| {
            for (q, &p) in quantiles.iter_mut().zip(probabilities) {
                *q = mixture.quantile(p)?;
            }
            Ok(())
        })
    }
}
