//! Compares methods: each is fitted to the same rows and scored on the same others, over seeds.

use std::time::Instant;

use serde::Serialize;

use super::{FitOptions, Fits, Progress, fit};
use crate::artifact::Scores;
use crate::data::Dataset;
use crate::error::Result;
use crate::linalg::vector::scale_of;
use crate::rng::Streams;

/// One fit, and its scores.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Measured {
    /// Name of the method.
    pub method: &'static str,
    /// Seed of the fit.
    pub seed: u64,
    /// Scores on the test rows.
    #[serde(flatten)]
    pub scores: Scores,
    /// Seconds of the fit, the MAP estimate included.
    pub fit_seconds: f64,
    /// Seconds of the predictions and their scores.
    pub predict_seconds: f64,
    /// Cost of the fit, in gradients of all training rows
    /// ([`FitReport::gradients`](super::FitReport::gradients)).
    pub gradients: f64,
    /// Leave-one-out of the training rows, in nats, for methods that draw from the posterior.
    pub elpd_loo: Option<f64>,
    /// Standard error of `elpd_loo`.
    pub elpd_loo_se: Option<f64>,
    /// Peak memory of the process during the measurement, in MiB, if the caller knows it.
    pub peak_mib: Option<f64>,
}

/// Fits `options.method` to `train` and scores it on `test` with `samples` posterior samples.
///
/// # Errors
/// Those of [`fit`] and of predictions.
pub fn measure<T: Fits>(
    train: &Dataset,
    test: &Dataset,
    options: &FitOptions,
    samples: usize,
    progress: &dyn Progress,
) -> Result<Measured> {
    let started = Instant::now();
    let fitted = fit::<T>(train, options, progress)?;
    let fit_seconds = started.elapsed().as_secs_f64();
    let started = Instant::now();
    let scores = fitted
        .model
        .evaluate(test, samples, Streams::new(options.seed))?;
    Ok(Measured {
        method: options.method.method().name(),
        seed: options.seed,
        scores,
        fit_seconds,
        predict_seconds: started.elapsed().as_secs_f64(),
        gradients: fitted.report.gradients(),
        elpd_loo: fitted.loo.as_ref().map(|loo| loo.elpd_loo),
        elpd_loo_se: fitted.loo.as_ref().map(|loo| loo.se),
        peak_mib: None,
    })
}

/// A mean over seeds and its standard error.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Statistic {
    /// The mean.
    pub mean: f64,
    /// `s / n^{1/2}` with the sample standard deviation `s`; `None` for a single seed.
    pub error: Option<f64>,
}

impl Statistic {
    /// The statistic of at least one value.
    pub fn of(values: &[f64]) -> Self {
        let n = values.len() as f64;
        let scale = scale_of(values.iter().copied().map(f64::abs).fold(0.0, f64::max));
        let scaled = || values.iter().map(|v| v * scale);
        let mean = scaled().sum::<f64>() / n;
        let squares: f64 = scaled().map(|v| (v - mean).powi(2)).sum();
        let error = (values.len() > 1).then(|| (squares / (n - 1.0) / n).sqrt() / scale);
        let mean = mean / scale;
        Self { mean, error }
    }
}

/// A method's scores and costs over its seeds, by name.
#[derive(Clone, Debug, PartialEq)]
pub struct MethodScores {
    /// Name of the method.
    pub method: &'static str,
    /// Name and statistic of each column.
    pub columns: Vec<(&'static str, Statistic)>,
}

/// The rows of a table: methods in the order in which they first appear.
pub fn by_method(all: &[Measured]) -> Vec<MethodScores> {
    let mut methods: Vec<&'static str> = Vec::new();
    for one in all {
        if !methods.contains(&one.method) {
            methods.push(one.method);
        }
    }
    let row = |method: &'static str| {
        let seeds: Vec<Vec<(&'static str, f64)>> = all
            .iter()
            .filter(|m| m.method == method)
            .map(Measured::columns)
            .collect();
        let names = seeds.first().into_iter().flatten().map(|c| c.0);
        let columns = names.map(|name| {
            let of =
                |seed: &Vec<(&'static str, f64)>| seed.iter().find(|c| c.0 == name).map(|c| c.1);
            let values: Vec<f64> = seeds.iter().filter_map(of).collect();
            (name, Statistic::of(&values))
        });
        MethodScores {
            method,
            columns: columns.collect(),
        }
    };
    methods.into_iter().map(row).collect()
}

impl Measured {
    fn columns(&self) -> Vec<(&'static str, f64)> {
        let mut all = match &self.scores {
            Scores::Classification(m) => vec![
                ("nll", m.nll),
                ("accuracy", m.accuracy),
                ("ece", m.ece),
                ("brier", m.brier),
            ],
            Scores::Regression(m) => vec![
                ("nll", m.nll),
                ("rmse", m.rmse),
                ("crps", m.crps),
                ("coverage_90", m.coverage_90),
            ],
        };
        all.extend([
            ("elpd_loo", self.elpd_loo.unwrap_or(f64::NAN)),
            ("gradients", self.gradients),
            ("fit_seconds", self.fit_seconds),
            ("predict_seconds", self.predict_seconds),
        ]);
        all.extend(self.peak_mib.map(|mib| ("peak_mib", mib)));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::RegressionMetrics;
    use crate::pipeline::Method;

    #[test]
    fn a_statistic_does_not_depend_on_the_unit() {
        for unit in [1e300, 1.0, 1e-300] {
            let of = Statistic::of(&[1.0, 2.0, 4.0].map(|x| x * unit));
            assert!((of.mean / unit - 7.0 / 3.0).abs() < 1e-12, "{of:?}");
            let error = of.error.unwrap() / unit;
            assert!((error - (7.0f64 / 9.0).sqrt()).abs() < 1e-12, "{of:?}");
        }
        assert!(Statistic::of(&[f64::NAN]).mean.is_nan());
    }

    #[test]
    fn rows_are_means_over_seeds_with_their_errors() {
        let one = |method: Method, seed: u64, nll: f64| Measured {
            method: method.name(),
            seed,
            scores: Scores::Regression(RegressionMetrics {
                n: 5,
                nll,
                rmse: 1.0,
                crps: 0.5,
                coverage_90: 0.9,
            }),
            fit_seconds: 2.0,
            predict_seconds: 0.1,
            gradients: 10.0,
            elpd_loo: None,
            elpd_loo_se: None,
            peak_mib: None,
        };
        let all = [
            one(Method::Walk, 0, 1.0),
            one(Method::Map, 0, 7.0),
            one(Method::Walk, 1, 2.0),
            one(Method::Walk, 2, 4.0),
        ];
        let rows = by_method(&all);
        let nll = |row: usize| rows[row].columns[0].1;
        assert_eq!([rows[0].method, rows[1].method], ["walk", "map"]);
        // 1, 2, 4: mean 7/3, variance 7/3
        assert!((nll(0).mean - 7.0 / 3.0).abs() < 1e-12);
        assert!((nll(0).error.unwrap() - (7.0f64 / 9.0).sqrt()).abs() < 1e-12);
        assert_eq!(
            nll(1),
            Statistic {
                mean: 7.0,
                error: None
            }
        );
        assert_eq!(rows[0].columns.len(), 8);
        let json = serde_json::to_string(&all[0]).unwrap();
        assert!(json.contains(r#""method":"walk""#) && json.contains(r#""rmse":1.0"#));
    }
}
