//! How often conformal sets and intervals hold their target, and how large they are. Rows with
//! weights count by them; standard errors are then those of `(sum w)^2 / sum w^2` rows (Kish 1965).

use serde::Serialize;

use super::calibrated::ConformalRegions;
use super::{Predictions, Predictor};
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::metrics::{INTERVAL_ENDS, RealRows, ScoredRows};
use crate::predict::{RealMoments, RealPredictions};

/// Coverage and size beside what was promised.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Promise {
    /// The coverage that is promised.
    pub level: f64,
    /// The name of the score.
    pub score: &'static str,
    /// Share of the rows whose target is inside.
    pub coverage: f64,
    /// Binomial standard error of the coverage.
    pub coverage_se: f64,
    /// Mean number of classes of all sets, or mean width of the intervals that are finite; `None`
    /// if none is.
    pub size: Option<f64>,
    /// Its standard error; `None` of fewer than two rows.
    pub size_se: Option<f64>,
    /// Intervals with an infinite end; `None` for classes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unlimited: Option<usize>,
    /// Sets that hold all classes; `None` for a real target.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub all_classes: Option<usize>,
    /// Sets without a class; `None` for a real target.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub empty: Option<usize>,
    /// The coverage of each class; empty for a real target.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub by_class: Vec<OfClass>,
}

/// The coverage of a class.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OfClass {
    /// Its name.
    pub class: String,
    /// Its rows.
    pub n: usize,
    /// Share of them whose set holds it; NaN without rows.
    pub coverage: f64,
    /// Binomial standard error of the coverage.
    pub coverage_se: f64,
}

impl Predictor {
    /// How the model's conformal regions do on rows with known targets, `scored` by this predictor;
    /// `None` if the model has none.
    ///
    /// # Errors
    /// Those of [`Predictor::conformal`], and if the rows are others than those that were scored.
    pub fn promise(&self, data: &Dataset, scored: &ScoredRows) -> Result<Option<Promise>> {
        let held = self.calibration().and_then(|c| c.conformal.as_ref());
        let Some(conformal) = held else {
            return Ok(None);
        };
        let x = data.features();
        let regions = match scored {
            // these are the predictions that were scored
            ScoredRows::Classes { predictions, .. } => {
                self.conformal_of(x, &Predictions::Classes(predictions.clone()))?
            }
            ScoredRows::Real(rows) => self.conformal_of(x, &Predictions::Real(predicted(rows)))?,
        };
        let Some(regions) = regions else {
            return Ok(None);
        };
        let targets = data.targets();
        if regions.len() != targets.len() {
            return Err(Error::shape("promise", targets.len(), regions.len()));
        }
        let schema = data.schema();
        let names = &schema.target().classes;
        let (level, score) = (conformal.level, conformal.score.name());
        let rows = (targets, data.weights());
        Ok(Some(Promise::of(&regions, rows, names, (level, score))))
    }
}

/// The predictions that were scored. They have the quantiles of 90 % intervals.
fn predicted(rows: &RealRows) -> RealPredictions {
    let each = rows.means().iter().zip(rows.stds());
    let moments = each.map(|(&mean, &std)| RealMoments {
        mean,
        std,
        // no score is about it
        epistemic_std: f64::NAN,
    });
    let (lower, upper) = rows.intervals();
    RealPredictions {
        moments: moments.collect(),
        probabilities: INTERVAL_ENDS.to_vec(),
        quantiles: lower
            .iter()
            .zip(upper)
            .flat_map(|(&l, &u)| [l, u])
            .collect(),
    }
}

impl Promise {
    fn of(
        regions: &ConformalRegions,
        (targets, weights): (&[f64], Option<&[f64]>),
        names: &[String],
        (level, score): (f64, &'static str),
    ) -> Self {
        let each = targets.iter().enumerate();
        let holds: Vec<bool> = each.map(|(i, &y)| regions.holds(i, y)).collect();
        let sizes: Vec<f64> = (0..targets.len()).map(|i| regions.size(i)).collect();
        let weight = |i: usize| weights.map_or(1.0, |w| w[i]);
        let all = holds.iter().enumerate().map(|(i, &held)| (held, weight(i)));
        let (coverage, coverage_se) = share(&all.collect::<Vec<_>>());
        let finite = sizes.iter().enumerate().filter(|(_, s)| s.is_finite());
        let finite: Vec<(f64, f64)> = finite.map(|(i, &s)| (s, weight(i))).collect();
        let (size, size_se) = mean(&finite);
        let of_size = |size: f64| sizes.iter().filter(|s| **s == size).count();
        let mut promise = Self {
            level,
            score,
            coverage,
            coverage_se,
            size,
            size_se,
            unlimited: None,
            all_classes: None,
            empty: None,
            by_class: Vec::new(),
        };
        match regions {
            ConformalRegions::Intervals(_) => {
                promise.unlimited = Some(sizes.len() - finite.len());
            }
            ConformalRegions::Sets { classes, .. } => {
                promise.all_classes = Some(of_size(*classes as f64));
                promise.empty = Some(of_size(0.0));
                let of_class = |k: usize| {
                    let own = targets.iter().enumerate();
                    let own = own.filter(|(i, y)| **y == k as f64 && weight(*i) > 0.0);
                    let own: Vec<(bool, f64)> = own.map(|(i, _)| (holds[i], weight(i))).collect();
                    let (coverage, coverage_se) = share(&own);
                    OfClass {
                        class: names.get(k).cloned().unwrap_or_else(|| k.to_string()),
                        n: own.len(),
                        coverage,
                        coverage_se,
                    }
                };
                promise.by_class = (0..*classes).map(of_class).collect();
            }
        }
        promise
    }
}

/// Sum of weights, and the number of rows of equal weight that are worth as much.
fn effective(weights: impl Iterator<Item = f64> + Clone) -> (f64, f64) {
    let sum: f64 = weights.clone().sum();
    (sum, sum * sum / weights.map(|w| w * w).sum::<f64>())
}

/// A share, and its binomial standard error.
fn share(holds: &[(bool, f64)]) -> (f64, f64) {
    let (sum, n) = effective(holds.iter().map(|row| row.1));
    let held = holds.iter().filter(|row| row.0).map(|row| row.1);
    let share = held.sum::<f64>() / sum;
    (share, (share * (1.0 - share) / n).sqrt())
}

/// A mean, and its standard error; none of no numbers.
fn mean(values: &[(f64, f64)]) -> (Option<f64>, Option<f64>) {
    let (sum, n) = effective(values.iter().map(|row| row.1));
    if sum.is_nan() || sum <= 0.0 {
        return (None, None);
    }
    let mean = values.iter().map(|(v, w)| w * v).sum::<f64>() / sum;
    let squares: f64 = values.iter().map(|(v, w)| w * (v - mean).powi(2)).sum();
    let error = (n > 1.0).then(|| (squares / sum / (n - 1.0)).sqrt());
    (Some(mean), error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_by_hand() {
        let (low, high) = (f64::NEG_INFINITY, f64::INFINITY);
        let regions =
            ConformalRegions::Intervals(vec![[0.0, 1.0], [0.0, 3.0], [low, high], [2.0, high]]);
        let p = Promise::of(
            &regions,
            (&[0.5, 4.0, 9.0, 1.0], None),
            &[],
            (0.9, "absolute"),
        );
        // two of four are inside: the root of 1/16
        assert_eq!((p.coverage, p.coverage_se), (0.5, 0.25));
        // widths 1 and 3: variance 2, of two rows
        assert_eq!((p.size, p.size_se), (Some(2.0), Some(1.0)));
        assert_eq!((p.unlimited, p.all_classes, p.empty), (Some(2), None, None));
        assert!(p.by_class.is_empty());
    }

    #[test]
    fn sets_by_hand() {
        let regions = ConformalRegions::Sets {
            classes: 2,
            inside: vec![true, true, true, false, false, false],
        };
        let names = ["no".to_string(), "yes".to_string()];
        let p = Promise::of(&regions, (&[1.0, 1.0, 1.0], None), &names, (0.9, "aps"));
        assert!((p.coverage - 1.0 / 3.0).abs() < 1e-15);
        assert_eq!(p.size, Some(1.0));
        assert_eq!(
            (p.unlimited, p.all_classes, p.empty),
            (None, Some(1), Some(1))
        );
        assert_eq!((p.by_class[0].n, p.by_class[1].n), (0, 3));
        assert!(p.by_class[0].coverage.is_nan());
        assert_eq!(p.by_class[1].class, "yes");
    }

    /// Weights 2 and 1 are shares by hand, and a weight of 0 is no row.
    #[test]
    fn rows_count_by_their_weights() {
        let regions = ConformalRegions::Intervals(vec![[0.0, 1.0], [0.0, 3.0], [0.0, 9.0]]);
        let weights = [2.0, 1.0, 0.0];
        let rows = (&[0.5, 4.0, 0.0][..], Some(&weights[..]));
        let p = Promise::of(&regions, rows, &[], (0.9, "absolute"));
        assert!((p.coverage - 2.0 / 3.0).abs() < 1e-15);
        // 9 / 5 rows
        assert!((p.coverage_se - (2.0 / 9.0 / 1.8_f64).sqrt()).abs() < 1e-15);
        assert!((p.size.unwrap() - 5.0 / 3.0).abs() < 1e-15);
        // variance (2 (2/3)^2 + (4/3)^2) / 3, over 9/5 - 1
        assert!((p.size_se.unwrap() - (8.0 / 9.0 / 0.8_f64).sqrt()).abs() < 1e-15);
    }
}
