//! How often conformal sets and intervals hold their target, and how large they are.

use fiberwalk::Result;
use fiberwalk::artifact::{ConformalRegions, Predictor};
use fiberwalk::data::Dataset;
use serde::Serialize;

use crate::numbers::rounded;

/// Coverage and size beside what was promised.
#[derive(Serialize)]
pub struct Promise {
    level: f64,
    score: &'static str,
    coverage: f64,
    /// Binomial standard error of the coverage.
    coverage_se: f64,
    /// Mean width, or number of classes, of the regions that are not infinite.
    size: Option<f64>,
    size_se: Option<f64>,
    /// Intervals that are the real line, or sets that hold all classes.
    unlimited: usize,
    /// Sets without a class.
    empty: usize,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    by_class: Vec<OfClass>,
}

/// The coverage of a class.
#[derive(Serialize)]
struct OfClass {
    class: String,
    n: usize,
    coverage: f64,
    coverage_se: f64,
}

impl Promise {
    /// Of these rows; `None` if the model makes no promise.
    pub fn of(predictor: &Predictor, data: &Dataset) -> Result<Option<Self>> {
        let held = predictor.calibration().and_then(|c| c.conformal.as_ref());
        let Some(conformal) = held else {
            return Ok(None);
        };
        let Some(regions) = predictor.conformal(data.features())? else {
            return Ok(None);
        };
        let targets = data.targets();
        let each = targets.iter().enumerate();
        let holds: Vec<bool> = each.map(|(i, &y)| regions.holds(i, y)).collect();
        let sizes: Vec<f64> = (0..targets.len()).map(|i| regions.size(i)).collect();
        let finite: Vec<f64> = sizes.iter().copied().filter(|s| s.is_finite()).collect();
        let (size, size_se) = mean(&finite);
        let (coverage, coverage_se) = share(&holds);
        let mut by_class = Vec::new();
        let all = match regions {
            ConformalRegions::Intervals(_) => f64::INFINITY,
            ConformalRegions::Sets { classes, .. } => {
                let names = data.schema().target().classes.clone();
                for k in 0..classes {
                    let own = targets.iter().zip(&holds).filter(|(y, _)| **y == k as f64);
                    let own: Vec<bool> = own.map(|(_, held)| *held).collect();
                    let (coverage, coverage_se) = share(&own);
                    by_class.push(OfClass {
                        class: names.get(k).cloned().unwrap_or_else(|| k.to_string()),
                        n: own.len(),
                        coverage,
                        coverage_se,
                    });
                }
                classes as f64
            }
        };
        let of_size = |size: f64| sizes.iter().filter(|s| **s == size).count();
        Ok(Some(Self {
            level: conformal.level,
            score: conformal.score.name(),
            coverage,
            coverage_se,
            size,
            size_se,
            unlimited: of_size(all),
            empty: if all.is_finite() { of_size(0.0) } else { 0 },
            by_class,
        }))
    }

    pub fn text(&self) -> String {
        let with = |x: f64, error: f64| format!("{} +- {}", rounded(x, 4), rounded(error, 4));
        let (level, score) = (100.0 * self.level, self.score);
        let mut text = format!("\nconformal          {level} % promised, by {score}\n");
        let mut add = |name: &str, cell: String| text += &format!("{name:<18} {cell}\n");
        add("coverage", with(self.coverage, self.coverage_se));
        if let (Some(size), Some(error)) = (self.size, self.size_se) {
            add("mean size", with(size, error));
        }
        add("unlimited", self.unlimited.to_string());
        if !self.by_class.is_empty() {
            add("empty", self.empty.to_string());
        }
        for of in &self.by_class {
            let cell = match of.n {
                0 => "- of 0 rows".into(),
                n => format!("{} of {n} rows", with(of.coverage, of.coverage_se)),
            };
            add(&format!("coverage of {}", of.class), cell);
        }
        text
    }
}

/// A share, and its binomial standard error.
fn share(holds: &[bool]) -> (f64, f64) {
    let n = holds.len() as f64;
    let share = holds.iter().filter(|held| **held).count() as f64 / n;
    (share, (share * (1.0 - share) / n).sqrt())
}

/// A mean, and its standard error; none of no numbers.
fn mean(values: &[f64]) -> (Option<f64>, Option<f64>) {
    let n = values.len() as f64;
    if values.is_empty() {
        return (None, None);
    }
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
    let error = (values.len() > 1).then(|| (squares / (n - 1.0) / n).sqrt());
    (Some(mean), error)
}
