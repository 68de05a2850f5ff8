//! What pictures are made of: a model with its draws, and test rows with their predictions.

use crate::artifact::{AnyModel, Draws, Metadata, Predictions, Predictor, TrainingRows};
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
    /// The training rows, if the file has them or they were given.
    pub training: Option<TrainingRows<f64>>,
    /// Hidden parameters and scales of the points of the walk that a flow is made of.
    pub walk_points: Option<Draws<f64>>,
}

impl<'a> Material<'a> {
    /// For pictures: at most 64 draws are made of a deformation.
    ///
    /// # Errors
    /// Those of draws.
    pub fn new(
        model: &'a AnyModel,
        predictor: &'a Predictor,
        test: &'a Dataset,
        scored: &'a ScoredRows,
        (samples, seed): (usize, u64),
    ) -> Result<Self> {
        Self::with_most(model, predictor, test, scored, (samples, seed, MADE))
    }

    /// With `samples` draws by `seed`, but at most `most` where they have to be made first.
    ///
    /// # Errors
    /// Those of draws.
    pub fn with_most(
        model: &'a AnyModel,
        predictor: &'a Predictor,
        test: &'a Dataset,
        scored: &'a ScoredRows,
        (samples, seed, most): (usize, u64, usize),
    ) -> Result<Self> {
        let metadata = model.metadata();
        let walk = metadata.report.as_ref().and_then(|r| r.walk.as_ref());
        let stored = walk.filter(|_| metadata.method == "walk");
        let said = metadata.report.as_ref().and_then(|r| r.network.as_ref());
        let said = said.map(|n| n.parameters);
        let built = metadata.build_network().ok().map(|network| network.dim());
        let parameters = built.or(said).unwrap_or(usize::MAX);
        // a draw of a deformation costs a fit of the last layer
        let made = ["atlas", "flow"].contains(&&metadata.method[..]) && !metadata.frozen;
        let samples = if made { samples.min(most) } else { samples };
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
            training: model.training_rows(),
            walk_points: model.walk_points()?,
        })
    }

    /// True if the training rows are those of the model's file.
    pub fn carries_rows(&self) -> bool {
        self.metadata.method != "walk" && !self.metadata.frozen
    }

    /// The target's name.
    pub fn target(&self) -> &str {
        &self.metadata.target_name
    }

    /// The factor of the predictive standard deviation, if the model is calibrated by one; else 1.
    pub fn stretch(&self) -> f64 {
        let map = self
            .predictor
            .calibration()
            .and_then(|c| c.recalibration.as_ref());
        map.map_or(1.0, |map| map.spread())
    }

    /// True if the model maps class probabilities, after the average over draws.
    pub fn maps_classes(&self) -> bool {
        let map = self
            .predictor
            .calibration()
            .and_then(|c| c.recalibration.as_ref());
        map.is_some() && !self.classes.is_empty()
    }

    /// True if draws of the target are medians: it is transformed, and the model has draws.
    pub fn draws_medians(&self) -> bool {
        self.predicts_by_draw() && self.metadata.task.target_map().warp.is_some()
    }

    fn predicts_by_draw(&self) -> bool {
        let task = &self.metadata.task;
        let own = task.observation() == Observation::Own;
        let whole = self.metadata.method == "atlas" && !self.metadata.frozen;
        self.metadata.members.is_empty() && !own && !(whole && task.classes().is_none())
    }

    /// [`Material::by_draw`] after a calibration that stretches: each row's draws around their
    /// mean. A map of class probabilities is one of their average over draws, so those stay.
    ///
    /// # Errors
    /// Those of predictions.
    pub fn stretched_by_draw(&self, x: &[f64]) -> Result<Option<Outputs>> {
        let (mut found, factor) = (self.by_draw(x)?, self.stretch());
        if let Some(outputs) = found.as_mut().filter(|_| factor != 1.0) {
            let samples = outputs.samples.max(1);
            outputs
                .values
                .chunks_mut(samples)
                .for_each(|row| stretch(row, factor));
        }
        Ok(found)
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
        if !self.predicts_by_draw() {
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

/// Moves the draws of a row to `mean + factor (draw - mean)`.
fn stretch(row: &mut [f64], factor: f64) {
    let middle = super::chance::mean(row);
    row.iter_mut()
        .for_each(|v| *v = middle + factor * (*v - middle));
}

fn softmax(logits: &mut [f64]) {
    let top = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    logits.iter_mut().for_each(|l| *l = (*l - top).exp());
    let sum: f64 = logits.iter().sum();
    logits.iter_mut().for_each(|l| *l /= sum);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stretched_draws_keep_their_mean_and_order() {
        let mut row = [1.0, 3.0, 8.0];
        stretch(&mut row, 0.5);
        assert_eq!(row, [2.5, 3.5, 6.0]);
    }
}
