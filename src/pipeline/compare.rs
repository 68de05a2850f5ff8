//! Compares methods: each is fitted to the same rows and scored on the same others, over seeds.

use std::time::Instant;

use serde::Serialize;

use super::{Differences, FitOptions, Fits, Progress, RowLosses, fit};
use crate::artifact::report::{Finding, Severity};
use crate::data::Dataset;
use crate::error::Result;
use crate::linalg::vector::scale_of;
use crate::metrics::{ScoredRows, Scores};
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
    /// Warnings of the fit's verdict.
    pub warnings: Vec<Finding>,
    /// Leave-one-out of the training rows, in nats, for methods that draw from the posterior.
    pub elpd_loo: Option<f64>,
    /// Standard error of `elpd_loo`.
    pub elpd_loo_se: Option<f64>,
    /// Peak memory of the process during the measurement, in MiB, if the caller knows it.
    pub peak_mib: Option<f64>,
    /// The scores less those of the best method under the same seed, if [`compare_to_best`] was
    /// called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub differences: Option<Differences>,
    /// The losses of the test rows. A caller whose fits differ in their test rows says in
    /// [`RowLosses::rows`] which ones they are.
    #[serde(skip)]
    pub losses: RowLosses,
    /// The test rows beside their predictions, for pictures.
    #[serde(skip)]
    pub scored: Option<ScoredRows>,
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
    let scored = fitted
        .model
        .score_rows(test, samples, Streams::new(options.seed))?;
    let scores = scored.scores()?;
    let warnings = fitted.report.verdict().into_iter();
    let warnings = warnings.filter(|finding| finding.severity() == Severity::Warning);
    Ok(Measured {
        method: options.method.method().name(),
        seed: options.seed,
        scores,
        fit_seconds,
        predict_seconds: started.elapsed().as_secs_f64(),
        losses: RowLosses::of(&scored)?,
        gradients: fitted.report.gradients(),
        warnings: warnings.collect(),
        elpd_loo: fitted.loo.as_ref().map(|loo| loo.elpd_loo),
        elpd_loo_se: fitted.loo.as_ref().map(|loo| loo.se),
        peak_mib: None,
        differences: None,
        scored: Some(scored),
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
    /// Scores less those of the best method, over all seeds that both have. `None` for the best
    /// method itself, and where there is no other.
    pub differences: Option<Differences>,
}

/// The rows of a table: methods in the order in which they first appear.
pub fn by_method(all: &[Measured]) -> Vec<MethodScores> {
    let best = best_method(all);
    let row = |method: &'static str| {
        let fits: Vec<&Measured> = all.iter().filter(|m| m.method == method).collect();
        let seeds: Vec<Vec<(&'static str, f64)>> = fits.iter().map(|m| m.columns()).collect();
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
            differences: best.and_then(|best| differences(&fits, all, best)),
        }
    };
    methods(all).into_iter().map(row).collect()
}

/// The methods in the order in which they first appear.
fn methods(all: &[Measured]) -> Vec<&'static str> {
    let mut methods: Vec<&'static str> = Vec::new();
    for one in all {
        if !methods.contains(&one.method) {
            methods.push(one.method);
        }
    }
    methods
}

/// The method with the lowest mean NLL among those that have fits under most seeds.
fn best_method(all: &[Measured]) -> Option<&'static str> {
    let of = |method: &'static str| {
        let fits = all.iter().filter(|m| m.method == method);
        let nll: Vec<f64> = fits.map(|m| m.scores.nll()).collect();
        // a NaN of either sign is not the best
        let mean = Some(Statistic::of(&nll).mean).filter(|mean| !mean.is_nan());
        (method, nll.len(), mean.unwrap_or(f64::INFINITY))
    };
    let each: Vec<_> = methods(all).into_iter().map(of).collect();
    let most = each.iter().map(|m| m.1).max()?;
    let complete = each.into_iter().filter(|m| m.1 == most);
    complete.min_by(|a, b| a.2.total_cmp(&b.2)).map(|m| m.0)
}

/// Scores of the fits of one method less those of `best`, over the seeds that both have.
fn differences(fits: &[&Measured], all: &[Measured], best: &'static str) -> Option<Differences> {
    if fits.iter().any(|m| m.method == best) {
        return None;
    }
    let of_best = |seed: u64| all.iter().find(|m| m.method == best && m.seed == seed);
    let pairs: Vec<(&RowLosses, &RowLosses)> = fits
        .iter()
        .filter_map(|m| Some((&m.losses, &of_best(m.seed)?.losses)))
        .collect();
    (!pairs.is_empty()).then(|| Differences::of(best, &pairs))
}

/// Gives every fit but those of the best method its differences to that method under the same seed.
pub fn compare_to_best(all: &mut [Measured]) {
    let Some(best) = best_method(all) else {
        return;
    };
    let each = all.iter().map(|m| differences(&[m], all, best));
    let each: Vec<Option<Differences>> = each.collect();
    for (one, differences) in all.iter_mut().zip(each) {
        one.differences = differences;
    }
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

    /// A fit whose log losses are `nll` and `nll + 2`.
    fn one(method: Method, seed: u64, nll: f64) -> Measured {
        let mut metrics = RegressionMetrics::compute(&[0.0], 1, 1.0, &[0.0]).unwrap();
        metrics.nll = nll + 1.0;
        Measured {
            method: method.name(),
            seed,
            scores: Scores::Regression(metrics),
            fit_seconds: 2.0,
            predict_seconds: 0.1,
            gradients: 10.0,
            warnings: Vec::new(),
            elpd_loo: None,
            elpd_loo_se: None,
            peak_mib: None,
            scored: None,
            differences: None,
            losses: RowLosses {
                columns: vec![("nll", vec![nll, nll + 2.0])],
                ..RowLosses::default()
            },
        }
    }

    #[test]
    fn rows_are_means_over_seeds_with_their_errors() {
        let all = [
            one(Method::Walk, 0, 1.0),
            one(Method::Map, 0, 7.0),
            one(Method::Walk, 1, 2.0),
            one(Method::Walk, 2, 4.0),
        ];
        let rows = by_method(&all);
        let nll = |row: usize| rows[row].columns[0].1;
        assert_eq!([rows[0].method, rows[1].method], ["walk", "map"]);
        // 2, 3, 5: mean 10/3, variance 7/3
        assert!((nll(0).mean - 10.0 / 3.0).abs() < 1e-12);
        assert!((nll(0).error.unwrap() - (7.0f64 / 9.0).sqrt()).abs() < 1e-12);
        assert_eq!(
            nll(1),
            Statistic {
                mean: 8.0,
                error: None
            }
        );
        assert_eq!(rows[0].columns.len(), 8);
        let json = serde_json::to_string(&all[0]).unwrap();
        assert!(json.contains(r#""method":"walk""#) && json.contains(r#""rmse":0.0"#));
        assert!(!json.contains("losses") && !json.contains("differences"));
        // only the seed that both have is compared: 7 and 9 against 1 and 3
        assert_eq!(rows[0].differences, None);
        let found = rows[1].differences.as_ref().unwrap();
        assert_eq!(
            (found.best, found.columns["nll"].unwrap().mean),
            ("walk", 6.0)
        );
    }

    #[test]
    fn the_best_method_has_the_lowest_nll_and_most_seeds() {
        let mut all = vec![
            one(Method::Walk, 0, 1.0),
            one(Method::Map, 0, 0.5),
            one(Method::Walk, 1, 2.0),
            one(Method::Map, 1, 3.0),
            // the best of all, but it failed under the other seed
            one(Method::Vi, 0, 0.0),
        ];
        compare_to_best(&mut all);
        let of = |i: usize| {
            all[i]
                .differences
                .as_ref()
                .map(|d| (d.best, d.columns["nll"].unwrap().mean))
        };
        assert_eq!([of(0), of(2)], [None, None]);
        assert_eq!(
            [of(1), of(3), of(4)],
            [
                Some(("walk", -0.5)),
                Some(("walk", 1.0)),
                Some(("walk", -1.0))
            ]
        );
        let rows = by_method(&all);
        let map = rows[1].differences.as_ref().unwrap().columns["nll"].unwrap();
        // the differences of both rows are the same: no error left
        assert_eq!((map.mean, map.error, map.rows), (0.25, Some(0.0), 2));
        compare_to_best(&mut []);
        assert!(by_method(&[]).is_empty());
        // an NLL that is no number is never the best
        let mut broken = vec![one(Method::Walk, 0, f64::NAN), one(Method::Map, 0, 1.0)];
        compare_to_best(&mut broken);
        assert_eq!(broken[1].differences, None);
    }
}
