//! What the calibration of a model does to its predictions, and its conformal sets and intervals.

use super::{Predictions, Predictor, RowPrediction};
use crate::artifact::calibration::{Calibration, Conformal, ConformalScore};
use crate::calibrate::Recalibration;
use crate::calibrate::conformal::{
    Ends, Interval, interval, interval_score, prediction_set, set_score, uniform_of,
};
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::predict::{ClassPredictions, RealMoments, RealPredictions, entropy};

use super::predictive::interval_ends;

/// Conformal regions of some rows.
#[derive(Clone, Debug, PartialEq)]
pub enum ConformalRegions {
    /// Of a real target: both ends of each row's interval, in its units; infinite where there were
    /// too few rows.
    Intervals(Vec<[f64; 2]>),
    /// Of a class.
    Sets {
        /// Number of classes.
        classes: usize,
        /// Which classes are in, `[n, classes]`, row-major.
        inside: Vec<bool>,
    },
}

impl ConformalRegions {
    /// Number of rows.
    pub fn len(&self) -> usize {
        match self {
            Self::Intervals(ends) => ends.len(),
            Self::Sets { classes, inside } => inside.len() / classes.max(&1),
        }
    }

    /// True if there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the target of row `i` is inside. Ends are.
    ///
    /// # Panics
    /// If there is no such row, as slices do.
    pub fn holds(&self, i: usize, target: f64) -> bool {
        match self {
            Self::Intervals(ends) => ends[i][0] <= target && target <= ends[i][1],
            Self::Sets { classes, inside } => inside[i * classes + target as usize],
        }
    }

    /// The width of row `i`, in the target's units, or its number of classes.
    ///
    /// # Panics
    /// If there is no such row, as slices do.
    pub fn size(&self, i: usize) -> f64 {
        match self {
            Self::Intervals(ends) => ends[i][1] - ends[i][0],
            Self::Sets { classes, inside } => {
                let row = &inside[i * classes..(i + 1) * classes];
                row.iter().filter(|is| **is).count() as f64
            }
        }
    }
}

/// Maps probabilities and computes their entropy anew. The mutual information and the entropy of
/// single draws stay: they are about the draws, which no map changes.
pub(super) fn recalibrate(map: &Recalibration, all: &mut ClassPredictions) {
    let rows = all.probabilities.chunks_exact_mut(all.classes.max(1));
    for (p, h) in rows.zip(&mut all.entropy) {
        map.apply(p);
        *h = entropy(p);
    }
}

impl Calibration {
    pub(super) fn stretch(&self) -> f64 {
        self.recalibration.as_ref().map_or(1.0, |map| map.spread())
    }

    pub(super) fn predictions(&self, predictions: Predictions) -> Predictions {
        match (predictions, &self.recalibration) {
            (Predictions::Classes(mut all), Some(map)) => {
                recalibrate(map, &mut all);
                Predictions::Classes(all)
            }
            (Predictions::Real(all), Some(map)) if map.spread() != 1.0 => {
                Predictions::Real(all.stretched(map.spread()))
            }
            (other, _) => other,
        }
    }

    pub(super) fn row(&self, out: &mut RowPrediction) {
        let Some(map) = &self.recalibration else {
            return;
        };
        match out {
            RowPrediction::Class {
                probabilities,
                entropy: h,
                ..
            } => {
                map.apply(probabilities);
                *h = entropy(probabilities);
            }
            RowPrediction::Real {
                mean,
                std,
                epistemic_std,
                quantiles,
            } if map.spread() != 1.0 => {
                let plain = RealMoments {
                    mean: *mean,
                    std: *std,
                    epistemic_std: *epistemic_std,
                };
                let factor = map.spread();
                for q in quantiles {
                    *q = plain.stretched_quantile(*q, factor);
                }
                let stretched = plain.stretched(factor);
                (*std, *epistemic_std) = (stretched.std, stretched.epistemic_std);
            }
            RowPrediction::Real { .. } => {}
        }
    }
}

impl Predictor {
    /// The calibration of the model, if it has one. Predictions and scores are calibrated.
    pub fn calibration(&self) -> Option<&Calibration> {
        self.calibration.as_ref()
    }

    /// The same predictor with another calibration, or none.
    ///
    /// # Errors
    /// If it is for other targets.
    pub fn with_calibration(mut self, calibration: Option<Calibration>) -> Result<Self> {
        if let Some(calibration) = &calibration {
            let (classes, models) = (self.rows.classes(), self.rows.models());
            calibration.check(classes, self.rows.stretches(), models)?;
        }
        self.calibration = calibration;
        Ok(self)
    }

    /// Conformal intervals or sets of rows `x` (`[n, d]`, raw features); `None` if the model has
    /// none.
    ///
    /// # Errors
    /// Those of [`Predictor::rows`].
    pub fn conformal(&self, x: &[f64]) -> Result<Option<ConformalRegions>> {
        let Some(conformal) = self.calibration.as_ref().and_then(|c| c.conformal.as_ref()) else {
            return Ok(None);
        };
        if conformal.is_crossed() {
            return self.crossed(conformal, x).map(Some);
        }
        let predictions = self.rows.rows(x, &quantiles_of(conformal)?)?;
        self.conformal_of(x, &self.calibrated(predictions))
    }

    /// The same from predictions of these rows by this predictor, which saves their time unless
    /// quantiles are needed that they lack.
    ///
    /// # Errors
    /// Those of [`Predictor::rows`], and if there are more or fewer predictions than rows.
    pub fn conformal_of(
        &self,
        x: &[f64],
        predictions: &Predictions,
    ) -> Result<Option<ConformalRegions>> {
        let Some(conformal) = self.calibration.as_ref().and_then(|c| c.conformal.as_ref()) else {
            return Ok(None);
        };
        if conformal.is_crossed() {
            return self.crossed(conformal, x).map(Some);
        }
        let q = conformal.thresholds.first().copied().flatten();
        match (conformal.score, predictions) {
            (ConformalScore::Set(score), Predictions::Classes(p)) => {
                let rows = p.probabilities.chunks_exact(p.classes.max(1));
                let features = x.chunks_exact(self.rows.width());
                if rows.len() != features.len() {
                    return Err(Error::shape("conformal", features.len(), rows.len()));
                }
                let of_row = |(p, x): (&[f64], &[f64])| {
                    let u = uniform_of(x, conformal.seed);
                    prediction_set(score, &conformal.thresholds, p, u)
                };
                Ok(Some(ConformalRegions::Sets {
                    classes: p.classes,
                    inside: rows.zip(features).flat_map(of_row).collect(),
                }))
            }
            (ConformalScore::Interval(kind), Predictions::Real(p)) => {
                let ends = self.ends(kind, conformal.level, x, p)?;
                let each = ends.iter().map(|row| interval(kind, row, q));
                Ok(Some(ConformalRegions::Intervals(each.collect())))
            }
            _ => Err(Error::shape(
                "conformal",
                conformal.score.name(),
                "another target",
            )),
        }
    }

    /// The conformal scores of rows with known targets, `[n]`.
    ///
    /// # Errors
    /// Those of [`Predictor::rows`], and if the score is for other targets.
    pub fn conformal_scores(
        &self,
        data: &Dataset,
        score: ConformalScore,
        level: f64,
        seed: u64,
    ) -> Result<Vec<f64>> {
        let x = data.features();
        match (score, self.rows(x)?) {
            (ConformalScore::Set(kind), Predictions::Classes(p)) => {
                let rows = p.probabilities.chunks_exact(p.classes.max(1));
                let rows = rows.zip(x.chunks_exact(self.rows.width()));
                let each = rows.zip(data.labels()?);
                let of_row = |((p, x), y): ((&[f64], &[f64]), usize)| {
                    set_score(kind, p, y, uniform_of(x, seed))
                };
                Ok(each.map(of_row).collect())
            }
            (ConformalScore::Interval(kind), Predictions::Real(p)) => {
                let ends = self.ends(kind, level, x, &p)?;
                let each = ends.iter().zip(data.targets());
                Ok(each.map(|(row, &y)| interval_score(kind, row, y)).collect())
            }
            _ => Err(Error::config(
                "conformal",
                score.name(),
                "is for other targets",
            )),
        }
    }

    /// What the predictions say of each row. For `cqr`, quantiles that they lack are computed.
    fn ends(
        &self,
        kind: Interval,
        level: f64,
        x: &[f64],
        p: &RealPredictions,
    ) -> Result<Vec<Ends>> {
        let rows = x.len() / self.rows.width();
        if rows != p.len() {
            return Err(Error::shape("conformal", rows, p.len()));
        }
        let at = interval_ends(level)?;
        let place = |end: f64| p.probabilities.iter().position(|p| *p == end);
        let quantiles: Vec<[f64; 2]> = match (kind, at.map(place)) {
            (Interval::Absolute | Interval::Normalised, _) => vec![[f64::NAN; 2]; rows],
            (Interval::Cqr, [Some(low), Some(high)]) => {
                let row = |i| [p.quantiles_of(i)[low], p.quantiles_of(i)[high]];
                (0..rows).map(row).collect()
            }
            (Interval::Cqr, _) => match self.calibrated(self.rows.rows(x, &at)?) {
                Predictions::Real(p) => p.quantiles.as_chunks().0.to_vec(),
                Predictions::Classes(_) => Vec::new(),
            },
        };
        let each = p.moments.iter().zip(quantiles);
        let ends = each.map(|(m, quantiles)| Ends {
            mean: m.mean,
            std: m.std,
            quantiles,
        });
        Ok(ends.collect())
    }

    /// Predictions after the model's map.
    pub(super) fn calibrated(&self, predictions: Predictions) -> Predictions {
        match &self.calibration {
            Some(calibration) => calibration.predictions(predictions),
            None => predictions,
        }
    }
}

/// The quantiles that conformal intervals need.
pub(super) fn quantiles_of(conformal: &Conformal) -> Result<Vec<f64>> {
    Ok(match conformal.score {
        ConformalScore::Interval(Interval::Cqr) => interval_ends(conformal.level)?.to_vec(),
        _ => Vec::new(),
    })
}
