//! Fits with every likelihood, and with warped columns, against the truth behind the data.

use crate::common::{normals, short};
use fiberwalk::Law;
use fiberwalk::artifact::{FittedModel, Predictions, Scores};
use fiberwalk::data::{Dataset, Task, banana};
use fiberwalk::metrics::RegressionMetrics;
use fiberwalk::pipeline::{FeatureTransform, FitOptions, FitResult, Method, TargetTransform, fit};
use fiberwalk::{Observation, Streams};

pub fn regression(x: Vec<f64>, y: Vec<f64>) -> Dataset {
    Dataset::new(x, y, vec!["x".into()], "y", Task::Regression).unwrap()
}

/// A linear model: the truth is within reach, so any loss is due to the likelihood.
fn linear(likelihood: Option<Observation>) -> FitOptions {
    FitOptions {
        hidden: Vec::new(),
        likelihood,
        method: short(Method::Walk, 8, 300, 64),
        ..FitOptions::default()
    }
}

pub fn fitted(data: &Dataset, options: &FitOptions) -> FitResult<f32> {
    fit::<f32>(data, options, &|_, _, _| ()).unwrap()
}

fn regression_scores(model: &FittedModel<f32>, test: &Dataset) -> RegressionMetrics {
    match model.evaluate(test, 64, Streams::new(0)).unwrap() {
        Scores::Regression(scores) => scores,
        Scores::Classification(_) => panic!("a regression"),
    }
}

/// Counts of log rate `3 + 0.8 x`, drawn by inversion. The rate is so large that a base rate of 1
/// would be far off.
pub fn counts(n: usize, seed: u64) -> (Dataset, f64) {
    let x = normals(n, seed);
    let (mut y, mut nll) = (Vec::new(), 0.0);
    for (i, x) in x.iter().enumerate() {
        let law = Law::Poisson {
            rate: (3.0 + 0.8 * x).exp(),
        };
        let uniform = (i as f64 + 0.5) * 0.618_033_988_749_894_9 % 1.0;
        let mut count = 0.0;
        while law.cdf(count) < uniform {
            count += 1.0;
        }
        nll -= law.log_density(count) / n as f64;
        y.push(count);
    }
    (regression(x, y), nll)
}

#[test]
fn counts_are_predicted_as_well_as_their_truth_can() {
    let ((train, _), (test, best)) = (counts(150, 1), counts(300, 2));
    let result = fitted(&train, &linear(Some(Observation::Poisson)));
    let scores = regression_scores(&result.model, &test);
    // two parameters cost about 1/150 of a nat per row
    assert!(scores.nll < best + 0.05, "{scores:?} {best}");
    assert!((0.86..=0.97).contains(&scores.coverage_90), "{scores:?}");
    let predictions = result.model.predict(&[0.0], 64, Streams::new(0)).unwrap();
    let Predictions::Real(rows) = predictions else {
        panic!("a count")
    };
    assert!(
        (rows.moments[0].mean / 3f64.exp() - 1.0).abs() < 0.08,
        "{rows:?}"
    );
    assert!((rows.moments[0].std / rows.moments[0].mean.sqrt() - 1.0).abs() < 0.1);
    assert!(rows.quantiles.iter().all(|q| q.fract() == 0.0));
    // what is not a count is refused by its row
    let halves = regression(vec![0.0, 1.0, 2.0], vec![1.0, 0.5, 2.0]);
    let error = fit::<f32>(&halves, &linear(Some(Observation::Poisson)), &|_, _, _| ());
    let message = error.err().unwrap().to_string();
    assert!(message.contains("row 1 is 0.5, not a count"), "{message}");
}

/// The conditional last layer of counts knows the rate at an output of 0: without it, predictions
/// would be off by a factor of 20.
#[test]
fn an_atlas_and_a_flow_of_counts_predict_as_the_walk_does() {
    let ((train, _), (test, best)) = (counts(150, 1), counts(300, 2));
    let dir = tempfile::tempdir().unwrap();
    for method in [Method::Walk, Method::Atlas, Method::Flow] {
        let options = FitOptions {
            hidden: vec![6],
            method: short(method, 16, 300, 64),
            ..linear(Some(Observation::Poisson))
        };
        let model = fitted(&train, &options).model;
        let scores = regression_scores(&model, &test);
        assert!(scores.nll < best + 0.12, "{method}: {scores:?} {best}");
        let path = dir.path().join(method.name());
        model.save(&path).unwrap();
        let loaded = FittedModel::<f32>::load(&path).unwrap();
        assert_eq!(regression_scores(&loaded, &test), scores, "{method}");
    }
}

/// Heavy tails: noise of Student's t with three degrees of freedom, by a ratio of normals.
fn outliers(n: usize, seed: u64) -> Dataset {
    let (x, e) = (normals(n, seed), normals(4 * n, seed + 7));
    let y = x.iter().zip(e.chunks_exact(4)).map(|(x, e)| {
        let chi = (e[1] * e[1] + e[2] * e[2] + e[3] * e[3]) / 3.0;
        2.0 * x + 0.3 * e[0] / chi.sqrt()
    });
    let y = y.collect();
    regression(x, y)
}

#[test]
fn student_t_noise_finds_the_tails_and_gains_by_it() {
    let (train, test) = (outliers(200, 3), outliers(400, 4));
    let heavy = fitted(&train, &linear(Some(Observation::StudentT)));
    let normal = fitted(&train, &linear(None));
    let (heavy_scores, normal_scores) = (
        regression_scores(&heavy.model, &test),
        regression_scores(&normal.model, &test),
    );
    assert!(
        heavy_scores.nll < normal_scores.nll - 0.05,
        "{heavy_scores:?} {normal_scores:?}"
    );
    let draws = heavy.model.draws(64, Streams::new(0)).unwrap();
    let dof = draws.dof.iter().sum::<f64>() / 64.0;
    assert!(draws.dof.len() == 64 && dof > 2.0 && dof < 7.0, "{dof}");
    // a normal law does not have that parameter
    assert!(
        normal
            .model
            .draws(64, Streams::new(0))
            .unwrap()
            .dof
            .is_empty()
    );
}

#[test]
fn noise_that_changes_from_row_to_row_is_found() {
    let rows = |n: usize, seed: u64| {
        let (x, e) = (normals(n, seed), normals(n, seed + 7));
        let y = x.iter().zip(&e).map(|(x, e)| x + 0.3 * (0.9 * x).exp() * e);
        let y = y.collect();
        regression(x, y)
    };
    let (train, test) = (rows(200, 5), rows(400, 6));
    let varying = fitted(&train, &linear(Some(Observation::Heteroscedastic)));
    let constant = fitted(&train, &linear(None));
    let gain = regression_scores(&constant.model, &test).nll
        - regression_scores(&varying.model, &test).nll;
    // the mean of log noise and the log of its mean square differ by 0.81
    assert!(gain > 0.4, "{gain}");
    let ends = varying
        .model
        .predict(&[-1.0, 1.0], 64, Streams::new(0))
        .unwrap();
    let Predictions::Real(ends) = ends else {
        panic!("a regression")
    };
    let ratio = ends.moments[1].std / ends.moments[0].std;
    assert!((ratio / 1.8f64.exp() - 1.0).abs() < 0.35, "{ratio}");
    let names = &varying.model.metadata.scales.as_ref().unwrap().names;
    assert!(names.iter().any(|n| n.contains(".outputs.1")), "{names:?}");
}

#[test]
fn a_target_on_a_logarithmic_scale_keeps_its_density() {
    let rows = |n: usize, seed: u64| {
        let (x, e) = (normals(n, seed), normals(n, seed + 7));
        let y = x
            .iter()
            .zip(&e)
            .map(|(x, e)| (2.0 + 1.2 * x + 0.4 * e).exp());
        let y: Vec<f64> = y.collect();
        // log-normal: the density of log y, and 1 / y
        let truth = y.iter().zip(&x).map(|(y, x)| {
            let t = (y.ln() - 2.0 - 1.2 * x) / 0.4;
            0.5 * t * t + (0.4 * (2.0 * std::f64::consts::PI).sqrt()).ln() + y.ln()
        });
        let truth = truth.sum::<f64>() / n as f64;
        (regression(x, y), truth)
    };
    let ((train, _), (test, truth)) = (rows(150, 8), rows(400, 9));
    let mut nll = Vec::new();
    for transform in TargetTransform::ALL {
        let options = FitOptions {
            target_transform: transform,
            ..linear(None)
        };
        let result = fitted(&train, &options);
        let scores = regression_scores(&result.model, &test);
        if transform == TargetTransform::Log {
            assert!((0.86..=0.94).contains(&scores.coverage_90), "{scores:?}");
            let loo = result.loo.unwrap();
            let each = -loo.elpd_loo / 150.0;
            // on other rows: their standard errors are 0.1
            assert!((each - truth).abs() < 0.35, "{each} {truth}");
        }
        nll.push(scores.nll);
    }
    assert!((nll[1] - truth).abs() < 0.05, "{nll:?} {truth}");
    // a power near 0 is nearly a logarithm; no map is far off
    assert!(
        nll[2] < truth + 0.3 && nll[0] > truth + 0.7,
        "{nll:?} {truth}"
    );
    let log = FitOptions {
        target_transform: TargetTransform::Log,
        ..linear(None)
    };
    let zero = regression(vec![0.0, 1.0, 2.0], vec![1.0, 0.0, 2.0]);
    let message = fit::<f32>(&zero, &log, &|_, _, _| ())
        .err()
        .unwrap()
        .to_string();
    assert!(message.contains("row 1 is 0"), "{message}");
}

#[test]
fn one_logit_is_as_good_as_two() {
    let (train, test) = (
        banana(120, &Streams::new(1)).unwrap(),
        banana(200, &Streams::new(2)).unwrap(),
    );
    let probabilities = |likelihood| {
        let options = FitOptions {
            hidden: vec![12],
            likelihood,
            method: short(Method::Walk, 8, 200, 64),
            ..FitOptions::default()
        };
        let model = fitted(&train, &options).model;
        match model.predict(test.features(), 64, Streams::new(0)).unwrap() {
            Predictions::Classes(p) => p.probabilities,
            Predictions::Real(_) => panic!("classes"),
        }
    };
    let (one, two) = (
        probabilities(Some(Observation::Bernoulli)),
        probabilities(None),
    );
    let squares: f64 = one.iter().zip(&two).map(|(a, b)| (a - b).powi(2)).sum();
    let rms = (squares / one.len() as f64).sqrt();
    // the priors differ: the difference of two logits has twice the variance
    assert!(rms < 0.06, "{rms}");
}

#[test]
fn what_does_not_go_together_is_said_before_anything_takes_time() {
    let real = regression(normals(20, 1), normals(20, 2));
    let classes = banana(20, &Streams::new(1)).unwrap();
    let plain = FitOptions::default;
    let cases: Vec<(&Dataset, FitOptions, &str)> = vec![
        (
            &classes,
            linear(Some(Observation::Poisson)),
            "this one has classes",
        ),
        (
            &real,
            linear(Some(Observation::Bernoulli)),
            "is for classes",
        ),
        (
            &real,
            FitOptions {
                method: Method::Map.into(),
                ..linear(Some(Observation::StudentT))
            },
            "needs sampled scales",
        ),
        (
            &real,
            FitOptions {
                noise_std: Some(0.3),
                ..linear(Some(Observation::StudentT))
            },
            "samples its noise",
        ),
        (
            &real,
            FitOptions {
                target_transform: TargetTransform::YeoJohnson,
                ..linear(Some(Observation::StudentT))
            },
            "would have no mean",
        ),
        (
            &classes,
            FitOptions {
                target_transform: TargetTransform::Log,
                ..plain()
            },
            "is for real targets",
        ),
        (
            &real,
            FitOptions {
                method: Method::Swag.into(),
                ..linear(Some(Observation::Poisson))
            },
            "is not known to method swag",
        ),
        (
            &real,
            FitOptions {
                method: Method::Auto.into(),
                noise_std: Some(0.1),
                ..plain()
            },
            "is chosen by method auto",
        ),
        (
            &real,
            FitOptions {
                method: Method::Auto.into(),
                feature_transform: FeatureTransform::YeoJohnson,
                ..plain()
            },
            "is chosen by method auto",
        ),
        (
            &real,
            FitOptions {
                method: Method::Auto.into(),
                hidden: vec![7],
                ..plain()
            },
            "hidden = [7]: is chosen by method auto",
        ),
    ];
    for (data, options, words) in cases {
        let error = fit::<f32>(data, &options, &|_, _, _| panic!("it took time"));
        let message = error.err().unwrap().to_string();
        assert!(message.contains(words), "{message}");
    }
}
