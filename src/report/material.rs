//! What pictures are made of: a model with its draws, and test rows with their predictions.

use crate::artifact::{AnyModel, Draws, Metadata, Predictions, Predictor};
use crate::data::{Dataset, Task};
use crate::error::Result;
use crate::metrics::ScoredRows;
use crate::model::Observation;
use crate::predict::Outputs;

/// Most numbers of parameters that the draws of a report hold.
const NUMBERS: usize = 1 << 26;

/// Most draws that are made of a deformation.
const MADE: usize = 64;

/// A model and test rows.
pub(super) struct Material<'a> {
    /// The model's description.
    pub metadata: &'a Metadata,
    /// The model, ready to predict.
    pub predictor: &'a Predictor,
    /// The test rows.
    pub test: &'a Dataset,
    /// Their predictions beside their targets.
    pub scored: &'a ScoredRows,
    /// Parameters of the network.
    pub parameters: usize,
    /// Names of the classes; empty for a regression.
    pub classes: Vec<String>,
    /// The draws, if the model has some and they are not too many.
    pub draws: Option<Draws<f64>>,
    /// Particles of the walk, if the draws are its kept points, step by step.
    pub particles: Option<usize>,
}

impl<'a> Material<'a> {
    /// # Errors
    /// Those of draws.
    pub fn new(
        model: &'a AnyModel,
        predictor: &'a Predictor,
        test: &'a Dataset,
        scored: &'a ScoredRows,
        (samples, seed): (usize, u64),
    ) -> Result<Self> {
        let metadata = model.metadata();
        let walk = metadata.report.as_ref().and_then(|r| r.walk.as_ref());
        let stored = walk.filter(|_| metadata.method == "walk");
        let said = metadata.report.as_ref().and_then(|r| r.network.as_ref());
        let said = said.map(|n| n.parameters);
        let built = metadata.build_network().ok().map(|network| network.dim());
        let parameters = built.or(said).unwrap_or(usize::MAX);
        // a draw of a deformation costs a fit of the last layer; these are for pictures only
        let made = ["atlas", "flow"].contains(&&metadata.method[..]) && !metadata.frozen;
        let samples = if made { samples.min(MADE) } else { samples };
        let count = stored.map_or(samples, |walk| walk.kept.max(1));
        let fits = parameters.saturating_mul(count) <= NUMBERS;
        let has = metadata.members.is_empty() && metadata.method != "map";
        let draws = match fits && has {
            true => Some(model.draws(count, seed)?),
            false => None,
        };
        // points that are missing would shift all that follow
        let whole = |p: usize, kept: usize| p > 0 && kept.is_multiple_of(p) && kept == count;
        let particles = stored
            .filter(|w| w.discarded == 0 && whole(w.particles, w.kept))
            .map(|w| w.particles)
            .filter(|_| draws.is_some());
        Ok(Self {
            metadata,
            predictor,
            test,
            scored,
            parameters,
            classes: class_names(metadata),
            draws,
            particles,
        })
    }

    /// The target's name.
    pub fn target(&self) -> &str {
        &self.metadata.target_name
    }

    /// What the draws say of rows of raw features `[n, d]`: for each row, draw and class a
    /// probability, or for each row and draw the expected target (the median for a transformed
    /// target), `[n, draws, width]`. `None` where a model does not predict by draws.
    ///
    /// # Errors
    /// Those of predictions.
    pub fn by_draw(&self, x: &[f64]) -> Result<Option<Outputs>> {
        let task = &self.metadata.task;
        let observation = task.observation();
        if !self.metadata.members.is_empty() || observation == Observation::Own {
            return Ok(None);
        }
        if self.metadata.method == "atlas" && !self.metadata.frozen && task.classes().is_none() {
            return Ok(None);
        }
        let mut outputs = self.predictor.outputs(x)?;
        if observation.is_of_classes() {
            outputs
                .values
                .chunks_mut(outputs.width.max(1))
                .for_each(softmax);
            return Ok(Some(outputs));
        }
        let map = task.target_map();
        let base = self.base_rate();
        let of = |o: &[f64]| match observation {
            Observation::Poisson => base * o[0].exp(),
            _ => map.inverse(o[0]),
        };
        outputs.values = outputs
            .values
            .chunks(outputs.width.max(1))
            .map(of)
            .collect();
        outputs.width = 1;
        Ok(Some(outputs))
    }

    fn base_rate(&self) -> f64 {
        match self.metadata.task {
            crate::artifact::TaskSpec::Regression { base_rate, .. } => base_rate.unwrap_or(1.0),
            crate::artifact::TaskSpec::Classification { .. } => 1.0,
        }
    }

    /// The mean prediction of rows `[n, d]`: `[n, width]`.
    ///
    /// # Errors
    /// Those of predictions.
    pub fn means(&self, x: &[f64]) -> Result<(Vec<f64>, usize)> {
        Ok(match self.predictor.rows(x)? {
            Predictions::Classes(p) => (p.probabilities, p.classes),
            Predictions::Real(p) => (p.moments.iter().map(|m| m.mean).collect(), 1),
        })
    }
}

/// Names of the classes in order.
pub(super) fn class_names(metadata: &Metadata) -> Vec<String> {
    let Task::Classification { classes } = metadata.data_task() else {
        return Vec::new();
    };
    let schema = metadata.schema();
    let named = &schema.target().classes;
    let name = |k: usize| named.get(k).cloned().unwrap_or_else(|| k.to_string());
    (0..classes).map(name).collect()
}

fn softmax(logits: &mut [f64]) {
    let top = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    logits.iter_mut().for_each(|l| *l = (*l - top).exp());
    let sum: f64 = logits.iter().sum();
    logits.iter_mut().for_each(|l| *l /= sum);
}
