//! What a model file holds of its calibration: maps and thresholds from held-out rows.

use serde::{Deserialize, Serialize};

use crate::calibrate::Recalibration;
use crate::calibrate::conformal::cross::FoldScore;
use crate::calibrate::conformal::{Interval, SetScore, rank_of};
use crate::error::{Error, Result};

/// Draws that each fit of a CV+ has at least: its regions are made from each fit by itself.
const CROSSED: usize = 64;

/// Draws of a model of a mixture that has `count` in all. Rounded up: even a model of small weight
/// has one.
pub(super) fn share(weight: f64, count: usize, crossed: bool) -> usize {
    let least = if crossed { CROSSED } else { 1 };
    let share = (weight * count as f64).ceil() as usize;
    share.max(least).min(count)
}

/// The calibration of a model.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// The map of its predictions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recalibration: Option<Recalibration>,
    /// Its conformal sets or intervals.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conformal: Option<Conformal>,
}

/// Conformal sets or intervals.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Conformal {
    /// The coverage that is promised.
    pub level: f64,
    /// The score.
    pub score: ConformalScore,
    /// The threshold, or one for each class. `None` is infinite: too few rows. Empty with `folds`.
    pub thresholds: Vec<Option<f64>>,
    /// The score of each row under the fit without its fold, for CV+; the models of the mixture are
    /// these fits. Empty if rows were held out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub folds: Vec<FoldScore>,
    /// Held-out rows that the thresholds are from.
    pub rows: usize,
    /// The seed of the numbers that break ties.
    pub seed: u64,
}

/// The score of a target.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ConformalScore {
    /// Of a class.
    Set(SetScore),
    /// Of a real target.
    Interval(Interval),
}

impl ConformalScore {
    /// The name on the command line.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Set(SetScore::Aps) => "aps",
            Self::Set(SetScore::Raps { .. }) => "raps",
            Self::Interval(Interval::Absolute) => "absolute",
            Self::Interval(Interval::Normalised) => "normalised",
            Self::Interval(Interval::Cqr) => "cqr",
        }
    }
}

impl Conformal {
    /// True for CV+: the models of the mixture are fits without a fold each.
    pub fn is_crossed(&self) -> bool {
        !self.folds.is_empty()
    }

    /// True if each class has its own threshold.
    pub fn is_class_conditional(&self) -> bool {
        matches!(self.score, ConformalScore::Set(_)) && self.thresholds.len() > 1
    }

    /// Thresholds that are infinite.
    pub fn infinite(&self) -> usize {
        let few = self.is_crossed() && rank_of(self.folds.len(), self.level).is_none();
        self.thresholds.iter().filter(|q| q.is_none()).count() + usize::from(few)
    }

    fn check(&self, classes: Option<usize>, models: usize) -> Result<()> {
        let thresholds = self.thresholds.len();
        let crossed = self.is_crossed();
        let fits = match (self.score, classes) {
            (ConformalScore::Set(score), Some(k)) => {
                score.is_proper() && (crossed || thresholds == 1 || thresholds == k)
            }
            (ConformalScore::Interval(_), None) => crossed || thresholds == 1,
            _ => false,
        };
        let known = |s: &FoldScore| s.fold < models && s.score.is_finite();
        let fits = fits && crossed == (thresholds == 0) && self.folds.iter().all(known);
        // each row has its score
        let fits = fits && (!crossed || self.folds.len() == self.rows);
        let finite = self.thresholds.iter().flatten().all(|q| q.is_finite());
        if fits && finite && self.level > 0.0 && self.level < 1.0 {
            return Ok(());
        }
        let requirement = "does not go with the target, or has numbers out of range";
        Err(Error::config("conformal", self.score.name(), requirement))
    }
}

impl Calibration {
    /// True for CV+: see [`Conformal::is_crossed`].
    pub fn is_crossed(&self) -> bool {
        self.conformal.as_ref().is_some_and(Conformal::is_crossed)
    }

    /// Checks it, for `classes` classes or, with `None`, a real target. `stretches` says whether
    /// the predictions of a real target may be stretched, `models` how many models a mixture has.
    ///
    /// # Errors
    /// If it is for other targets, or a number is out of range.
    pub fn check(&self, classes: Option<usize>, stretches: bool, models: usize) -> Result<()> {
        if let Some(map) = &self.recalibration {
            map.check(classes)?;
            if matches!(map, Recalibration::Spread(_)) && !stretches {
                let requirement = "is not for counts, nor for a target with a transform";
                return Err(Error::config("calibration", "spread", requirement));
            }
        }
        if self.is_crossed() && self.recalibration.is_some() {
            let requirement = "does not go with folds: no rows were held out for a map";
            return Err(Error::config("calibration", "a map", requirement));
        }
        let mut conformal = self.conformal.iter();
        conformal.try_for_each(|c| c.check(classes, models))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calibrate::Temperature;

    #[test]
    fn a_fit_of_many_has_enough_draws() {
        assert_eq!(share(0.1, 256, true), 64);
        assert_eq!(share(0.5, 256, true), 128);
        assert_eq!(share(0.1, 20, true), 20);
        // other mixtures have the shares that they always had
        assert_eq!((share(0.1, 256, false), share(1e-9, 256, false)), (26, 1));
    }

    #[test]
    fn folds_have_a_score_for_each_row_and_no_map() {
        let score = |fold| FoldScore { fold, score: 0.5 };
        let good = Calibration {
            recalibration: None,
            conformal: Some(Conformal {
                level: 0.9,
                score: ConformalScore::Set(SetScore::Aps),
                thresholds: Vec::new(),
                folds: vec![score(0), score(1), score(1)],
                rows: 3,
                seed: 0,
            }),
        };
        let said = |calibration: &Calibration| match calibration.check(Some(2), false, 2) {
            Ok(()) => String::new(),
            Err(error) => error.to_string(),
        };
        assert_eq!(said(&good), "");
        let mut mapped = good.clone();
        mapped.recalibration = Some(Recalibration::Temperature(Temperature { temperature: 1.5 }));
        assert!(
            said(&mapped).contains("does not go with folds"),
            "{}",
            said(&mapped)
        );
        for change in [
            |c: &mut Conformal| c.rows = 4,
            |c: &mut Conformal| c.folds[0].fold = 2,
            |c: &mut Conformal| c.thresholds = vec![None],
        ] {
            let mut bad = good.clone();
            bad.conformal.iter_mut().for_each(change);
            assert!(said(&bad).contains("aps"), "{bad:?}");
        }
    }
}
