//! What a fit says of its conformal regions, and the score that they have by default.

use super::FitReport;
use super::options::ConformalSettings;
use crate::artifact::report::{CalibrationFit, ConformalFit};
use crate::artifact::{Conformal, ConformalScore};
use crate::calibrate::conformal::{Interval, SetScore, rank_of};
use crate::error::counted;

/// The score that is asked for, or that suits the target.
pub(super) fn score_of(how: &ConformalSettings, classes: Option<usize>) -> ConformalScore {
    how.score.unwrap_or(match classes {
        Some(_) => ConformalScore::Set(SetScore::Aps),
        None => ConformalScore::Interval(Interval::Normalised),
    })
}

pub(super) fn reported(found: &Conformal, weights: Option<&[f64]>) -> ConformalFit {
    ConformalFit {
        level: found.level,
        score: found.score.name().into(),
        rows: found.rows,
        weight: weights.map(|w| w.iter().sum()),
        thresholds: found.thresholds.clone(),
        folds: found.folds.iter().map(|s| s.fold + 1).max().unwrap_or(0),
        rows_needed: (1..1_000_000)
            .find(|n| rank_of(*n, found.level).is_some())
            .unwrap_or(usize::MAX),
    }
}

impl FitReport {
    pub(super) fn calibrated(&mut self, said: CalibrationFit) {
        if let Some(conformal) = said.conformal.as_ref().filter(|c| c.infinite() > 0) {
            let level = percent(conformal.level);
            let needed = match conformal.weight {
                None => counted(conformal.rows_needed, "row").to_string(),
                Some(_) => format!("rows of weight {} in all", conformal.rows_needed),
            };
            let had = match conformal.weight {
                None => conformal.rows.to_string(),
                Some(weight) => format!("{weight:.4}"),
            };
            self.warnings.push(match conformal.thresholds.len() {
                0 | 1 => format!(
                    "conformal prediction at {level} % needs {needed}, and had {had}: its sets \
                     hold all classes, its intervals are infinite"
                ),
                all => format!(
                    "conformal prediction at {level} % needs {needed} of each class, and {} of \
                     {all} classes had fewer: they are in every set",
                    conformal.infinite()
                ),
            });
        }
        self.calibration = Some(said);
    }
}

/// As a percentage, without the rounding of the product.
fn percent(level: f64) -> f64 {
    (1e10 * level).round() / 1e8
}
