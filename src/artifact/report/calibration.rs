//! What was done with the rows that were held out.

use serde::{Deserialize, Serialize};

use super::text::Lines;
use crate::error::counted;

/// What was done with the rows that were held out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct CalibrationFit {
    /// Number of these rows.
    pub rows: usize,
    /// Sum of their weights; `None` if every row counts once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight: Option<f64>,
    /// The map of the predictions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub map: Option<MapFit>,
    /// True if predictions could not be stretched, so that there is no map.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub unstretched: bool,
    /// Conformal sets or intervals.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conformal: Option<ConformalFit>,
}

/// The map of the predictions.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct MapFit {
    /// Its name.
    pub name: String,
    /// Rows that it was fitted to.
    pub rows: usize,
    /// The temperature, or the factor of the standard deviation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub factor: Option<f64>,
    /// True if none made the rows more probable, so that predictions stay as they are.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub unchanged: bool,
    /// Mean negative log likelihood of these rows without the map, nats.
    pub nll_before: f64,
    /// The same with it.
    pub nll_after: f64,
}

/// Conformal sets or intervals.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ConformalFit {
    /// The coverage that is promised.
    pub level: f64,
    /// The score.
    pub score: String,
    /// Rows that the thresholds are from.
    pub rows: usize,
    /// Sum of their weights; `None` if every row counts once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight: Option<f64>,
    /// The threshold, or one for each class; `None` is infinite.
    pub thresholds: Vec<Option<f64>>,
    /// Fits without a fold each, if no rows were held out.
    #[serde(skip_serializing_if = "is_zero")]
    pub folds: usize,
    /// The fewest rows that give a finite threshold.
    pub rows_needed: usize,
}

impl ConformalFit {
    /// Thresholds that are infinite.
    pub fn infinite(&self) -> usize {
        let few = self.folds > 0 && self.rows < self.rows_needed;
        self.thresholds.iter().filter(|q| q.is_none()).count() + usize::from(few)
    }
}

// serde passes a reference
#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_zero(n: &usize) -> bool {
    *n == 0
}

pub(super) fn calibration(fit: &CalibrationFit, lines: &mut Lines) {
    if fit.rows > 0 {
        let rows = counted(fit.rows, "row");
        let weight = fit.weight.map_or(String::new(), |weight| {
            format!("; each counts by its weight, {weight:.4} in all")
        });
        let text = format!("{rows} held out, which the fit has not seen{weight}");
        lines.add("calibrate", &text);
    }
    if fit.unstretched {
        let text = "no map: counts and transformed targets cannot be stretched";
        lines.add("calibrate", text);
    }
    if let Some(map) = &fit.map {
        let rows = counted(map.rows, "row");
        let (name, before, after) = (&map.name, map.nll_before, map.nll_after);
        let factor = map.factor.map_or(String::new(), |f| format!(" {f:.3}"));
        let text = match map.unchanged || (map.factor.is_none() && after >= before) {
            true => format!(
                "no {name} makes {rows} of them more probable (nll {before:.4} a row): predictions \
                 stay as they are"
            ),
            false => {
                format!("{name}{factor} from {rows}: nll {before:.4} a row becomes {after:.4}")
            }
        };
        lines.add("calibrate", &text);
    }
    if let Some(conformal) = &fit.conformal {
        let each = conformal.thresholds.iter().map(|q| match q {
            Some(q) => format!("{q:.4}"),
            None => "infinite".into(),
        });
        let each: Vec<String> = each.collect();
        let (level, rows) = (100.0 * conformal.level, counted(conformal.rows, "row"));
        let (score, plural) = (&conformal.score, if each.len() > 1 { "s" } else { "" });
        let text = match conformal.folds {
            0 => format!(
                "{level} % by {score} from {rows}, threshold{plural} {}",
                each.join(", ")
            ),
            folds => format!(
                "{level} % by {score} and CV+ from {rows}: the model is a mixture of {folds} fits, \
                 each without a fold"
            ),
        };
        lines.add("conformal", &text);
        if conformal.weight.is_some() {
            let text = "the promise is for rows that occur as often as the weights say";
            lines.add("conformal", text);
        }
    }
}
