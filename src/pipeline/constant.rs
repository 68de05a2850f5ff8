//! Whether the predictions of a fitted model depend on the features at all.
//!
//! Training can end where a network ignores its inputs, for example with many layers and few rows:
//! evidence then prefers a prior so narrow that every row is predicted alike. Scores of such a model
//! are those of no model, and no other check sees it. This one asks the model itself, so it holds
//! for every method:
//!
//! ```text
//! spread = (sum_k var_i p_k(x_i) / sum_k var_i t_k(y_i))^{1/2}
//! ```
//!
//! over training rows `i`. For a real target, `p` is the predicted mean and `t` the target. For
//! classes, `p` are the probabilities, and `t` is 1 for the class of the row, else 0.

use super::{FitReport, Fits};
use crate::artifact::{FittedModel, Predictions};
use crate::error::Result;
use crate::linalg::vector::scale_of;

/// Most rows that are predicted, and posterior samples that predict them.
const ROWS: usize = 256;
const DRAWS: usize = 16;

/// Spread below which predictions count as constant. A linear model would explain a ten-thousandth
/// of the target's variance.
const LEAST: f64 = 0.01;

/// Some training rows, as they came.
pub(super) struct SomeRows {
    /// Features `[n, d]`.
    features: Vec<f64>,
    /// Targets `[n]`; of classes, their indices.
    targets: Vec<f64>,
}

impl SomeRows {
    /// Rows that are spread over all of them.
    pub(super) fn of(features: &[f64], targets: &[f64]) -> Self {
        let n = targets.len();
        let d = features.len() / n.max(1);
        let row = |i: usize| features[i * d..(i + 1) * d].iter().copied();
        Self {
            features: some_of(n).flat_map(row).collect(),
            targets: some_of(n).map(|i| targets[i]).collect(),
        }
    }
}

/// Indices of rows that are spread over all `n`.
fn some_of(n: usize) -> impl Iterator<Item = usize> {
    let rows = n.min(ROWS);
    (0..rows).map(move |i| i * n / rows)
}

/// Notes in the report, and in the model's, that predictions for these rows are constant.
pub(super) fn judge<T: Fits>(model: &mut FittedModel<T>, rows: &SomeRows, report: &mut FitReport) {
    let spread = spread(model, rows);
    // a model that cannot predict says so when it is asked to; its fit does not depend on it
    let found = spread.ok().flatten().filter(|s| *s < LEAST);
    report.constant_predictions = found;
    if let Some(own) = &mut model.metadata.report {
        own.constant_predictions = found;
    }
}

/// The spread of predictions as a share of the targets'; `None` if the targets do not vary.
fn spread<T: Fits>(model: &FittedModel<T>, rows: &SomeRows) -> Result<Option<f64>> {
    let predictor = model.predictor(DRAWS, model.metadata.seed)?;
    let predictor = predictor.with_quantiles(&[])?;
    Ok(match predictor.rows(&rows.features)? {
        Predictions::Real(real) => {
            let means: Vec<f64> = real.moments.iter().map(|m| m.mean).collect();
            ratio(deviation(&means), deviation(&rows.targets))
        }
        Predictions::Classes(classes) => {
            let count = classes.classes;
            let of_class = |k: usize| -> Vec<f64> {
                let all = classes.probabilities.iter().skip(k);
                all.step_by(count).copied().collect()
            };
            let is_class = |k: usize| -> Vec<f64> {
                let same = |y: &f64| f64::from(u8::from(*y == k as f64));
                rows.targets.iter().map(same).collect()
            };
            let whole = |column: &dyn Fn(usize) -> Vec<f64>| {
                let squares = (0..count).map(|k| deviation(&column(k)).powi(2));
                squares.sum::<f64>().sqrt()
            };
            ratio(whole(&of_class), whole(&is_class))
        }
    })
}

fn ratio(of_predictions: f64, of_targets: f64) -> Option<f64> {
    let ratio = of_predictions / of_targets;
    (of_targets > 0.0 && ratio.is_finite()).then_some(ratio)
}

/// The standard deviation, in any unit.
fn deviation(values: &[f64]) -> f64 {
    let n = values.len().max(1) as f64;
    let origin = values.first().copied().unwrap_or(0.0);
    let offset = values.iter().map(|v| v - origin).sum::<f64>() / n;
    let off = || values.iter().map(|v| v - origin - offset);
    let scale = scale_of(off().fold(0.0, |m: f64, x| m.max(x.abs())));
    (off().map(|x| (x * scale).powi(2)).sum::<f64>() / n).sqrt() / scale
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deviation_does_not_depend_on_unit_and_offset() {
        let expected = 1.25f64.sqrt();
        for (unit, offset) in [(1.0, 0.0), (1e200, 0.0), (1e-200, 0.0), (1.0, 1e9)] {
            let values = [0.0, 1.0, 2.0, 3.0].map(|x| x * unit + offset);
            assert!(
                (deviation(&values) / unit - expected).abs() < 1e-6,
                "{unit}"
            );
        }
        assert_eq!(deviation(&[7.0; 3]), 0.0);
        assert_eq!(deviation(&[]), 0.0);
    }

    #[test]
    fn rows_are_spread_over_all() {
        assert_eq!(some_of(3).collect::<Vec<_>>(), [0, 1, 2]);
        let rows: Vec<usize> = some_of(1_000).collect();
        assert_eq!((rows.len(), rows[0], rows[255]), (256, 0, 996));
        assert_eq!(some_of(0).count(), 0);
    }
}
