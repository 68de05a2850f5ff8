//! Fits with every likelihood, warped columns, and mixtures of models, against the truth that the data come from.

use crate::common::normals;
use crate::common::program::{csv_rows, ok, refused, scores};
use fiberwalk::artifact::{Fitted, Model, Predictions, Scores};
use fiberwalk::data::{Dataset, Task, banana};
use fiberwalk::metrics::RegressionMetrics;
use fiberwalk::pipeline::{FeatureTransform, FitOptions, FitResult, Method, TargetTransform, fit};
use fiberwalk::predict::Law;
use fiberwalk::{Observation, Streams};

fn regression(x: Vec<f64>, y: Vec<f64>) -> Dataset {
    Dataset::new(x, y, vec!["x".into()], "y", Task::Regression).unwrap()
}

/// A linear model: the truth is within reach, so what is lost is due to the likelihood.
fn linear(likelihood: Option<Observation>) -> FitOptions {
    FitOptions {
        hidden: Vec::new(),
        likelihood,
        particles: Some(8),
        steps: Some(300),
        samples: 64,
        ..FitOptions::default()
    }
}

fn fitted(data: &Dataset, options: &FitOptions) -> FitResult<f32> {
    fit::<f32>(data, options, &|_, _, _| ()).unwrap()
}

fn regression_scores(model: &Model<f32>, test: &Dataset) -> RegressionMetrics {
    match model.evaluate(test, 64, Streams::new(0)).unwrap() {
        Scores::Regression(scores) => scores,
        Scores::Classification(_) => panic!("a regression"),
    }
}

/// Counts of log rate `3 + 0.8 x`: large enough that a base rate of 1 would be far off. Drawn by
/// inversion.
fn counts(n: usize, seed: u64) -> (Dataset, f64) {
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
    // two parameters cost 1/150 of a nat a row, about
    assert!(scores.nll < best + 0.05, "{scores:?} {best}");
    assert!((0.86..=0.97).contains(&scores.coverage_90), "{scores:?}");
    let predictions = result.model.predict(&[0.0], 64, Streams::new(0)).unwrap();
    let Predictions::Real(rows) = predictions else {
        panic!("a count")
    };
    assert!((rows[0].mean / 3f64.exp() - 1.0).abs() < 0.08, "{rows:?}");
    assert!((rows[0].std / rows[0].mean.sqrt() - 1.0).abs() < 0.1);
    assert!(rows[0].q05.fract() == 0.0 && rows[0].q95.fract() == 0.0);
    // what is not a count is refused by its row
    let halves = regression(vec![0.0, 1.0, 2.0], vec![1.0, 0.5, 2.0]);
    let error = fit::<f32>(&halves, &linear(Some(Observation::Poisson)), &|_, _, _| ());
    let message = error.err().unwrap().to_string();
    assert!(message.contains("row 1 is 0.5, not a count"), "{message}");
}

/// Heavy tails: quantiles of Student's t with three degrees of freedom, by a ratio of normals.
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
    // a normal law has no such parameter
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
    let ratio = ends[1].std / ends[0].std;
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
            // of other rows: their standard errors are 0.1
            assert!((each - truth).abs() < 0.35, "{each} {truth}");
        }
        nll.push(scores.nll);
    }
    assert!((nll[1] - truth).abs() < 0.05, "{nll:?} {truth}");
    // a power near 0 is nearly a logarithm; no map at all is far off
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
            particles: Some(8),
            steps: Some(200),
            samples: 64,
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
    // the priors differ: two logits have a difference of twice the variance
    assert!(rms < 0.06, "{rms}");
}

/// A small portfolio, and everything that holds of other models.
fn portfolio(data: &Dataset, threads: usize) -> FitResult<f32> {
    let options = FitOptions {
        method: Method::Auto,
        particles: Some(4),
        steps: Some(30),
        samples: 16,
        ..FitOptions::default()
    };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    pool.unwrap().install(|| fitted(data, &options))
}

#[test]
fn a_mixture_of_models_is_saved_loaded_and_the_same_for_any_threads() {
    let dir = tempfile::tempdir().unwrap();
    let x: Vec<f64> = (0..60).map(|i| 0.1 * f64::from(i)).collect();
    let noise = normals(60, 3);
    let y: Vec<f64> = x
        .iter()
        .zip(&noise)
        .map(|(x, e)| (x.sin() + 1.5 + 0.1 * e).exp())
        .collect();
    let data = regression(x, y);
    let mut files = Vec::new();
    for threads in [1, 2] {
        let model = portfolio(&data, threads).model;
        let path = dir.path().join(format!("{threads}.fw"));
        model.save(&path).unwrap();
        files.push(std::fs::read(&path).unwrap());
        let loaded = Model::<f32>::load(&path).unwrap();
        let streams = || Streams::new(4);
        let (a, b) = (
            model.predict(data.features(), 32, streams()).unwrap(),
            loaded.predict(data.features(), 32, streams()).unwrap(),
        );
        assert_eq!(a, b);
        let Fitted::Mixture(members) = &loaded.fitted else {
            panic!("a mixture")
        };
        let total: f64 = members.iter().map(|m| m.weight).sum();
        assert!((total - 1.0).abs() < 1e-12 && !members.is_empty());
        assert_eq!(loaded.metadata.format_version, 3);
        // the density of a mixture is the mixture of densities
        let all = loaded.log_densities(&data, 1_000, streams()).unwrap();
        let each: Vec<Vec<f64>> = members
            .iter()
            .map(|m| m.model.log_densities(&data, 1_000, streams()).unwrap())
            .collect();
        for (row, got) in all.iter().enumerate() {
            let want: f64 = members
                .iter()
                .zip(&each)
                .map(|(m, l)| m.weight * l[row].exp())
                .sum();
            assert!((got - want.ln()).abs() < 1e-9, "{got} {}", want.ln());
        }
        let message = loaded.samples(3, streams()).unwrap_err().to_string();
        assert!(message.contains("no parameters in common"), "{message}");
    }
    assert!(files[0] == files[1], "bytes differ");
}

#[test]
fn classes_can_be_a_mixture_too() {
    let (train, test) = (
        banana(90, &Streams::new(1)).unwrap(),
        banana(200, &Streams::new(2)).unwrap(),
    );
    let result = portfolio(&train, 2);
    let scores = result.model.evaluate(&test, 64, Streams::new(0)).unwrap();
    let Scores::Classification(scores) = scores else {
        panic!("classes")
    };
    assert!(scores.nll < 0.35, "{scores:?}\n{}", result.summary);
    let Predictions::Classes(p) = result
        .model
        .predict(test.features(), 64, Streams::new(0))
        .unwrap()
    else {
        panic!("classes")
    };
    for (p, (h, i)) in p
        .probabilities
        .chunks_exact(2)
        .zip(p.entropy.iter().zip(&p.mutual_information))
    {
        assert!((p[0] + p[1] - 1.0).abs() < 1e-12 && *i >= 0.0 && i <= h);
    }
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
                method: Method::Map,
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
                method: Method::Atlas,
                ..linear(Some(Observation::Poisson))
            },
            "is not known to method atlas",
        ),
        (
            &real,
            FitOptions {
                method: Method::Auto,
                noise_std: Some(0.1),
                ..plain()
            },
            "is chosen by method auto",
        ),
        (
            &real,
            FitOptions {
                method: Method::Auto,
                feature_transform: FeatureTransform::None,
                ..plain()
            },
            "is chosen by method auto",
        ),
    ];
    for (data, options, words) in cases {
        let error = fit::<f32>(data, &options, &|_, _, _| panic!("it took time"));
        let message = error.err().unwrap().to_string();
        assert!(message.contains(words), "{message}");
    }
}

#[test]
fn the_command_line_has_all_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name).to_str().unwrap().to_string();
    let (table, model, out) = (at("counts.csv"), at("counts.fw"), at("p.csv"));
    let (data, _) = counts(80, 1);
    let rows = data.features().iter().zip(data.targets());
    // a text of many different numbers: the target is not taken for classes
    let text: String = rows.map(|(x, y)| format!("{x},{y}\n")).collect();
    std::fs::write(&table, format!("x,count\n{text}")).unwrap();
    let short = [
        "--hidden",
        "4",
        "--steps",
        "20",
        "--particles",
        "4",
        "--samples",
        "8",
    ];
    let fit = [
        &["fit", &table, "--out", &model, "--likelihood", "poisson"],
        &short[..],
    ]
    .concat();
    let said = ok(&fit);
    assert!(said.contains("likelihood poisson"), "{said}");
    ok(&["predict", &model, &table, "--out", &out]);
    for row in csv_rows(std::path::Path::new(&out)) {
        assert!(
            row[3].fract() == 0.0 && row[4].fract() == 0.0 && row[3] <= row[4],
            "{row:?}"
        );
    }
    let nll = scores(std::path::Path::new(&model), std::path::Path::new(&table))["nll"].as_f64();
    assert!(nll.unwrap() > 0.0, "probabilities are below 1");
    let short = &short[2..];
    let auto = [&["fit", &table, "--out", &model, "--method", "auto"], short].concat();
    let said = ok(&auto);
    for word in ["stacking", "model", "elpd"] {
        assert!(said.contains(word), "{said}");
    }
    ok(&["predict", &model, &table, "--out", &out]);
    let compare = [&["compare", &table, "--methods", "auto,walk"], short].concat();
    let said = ok(&compare);
    assert!(said.lines().count() == 3 && said.contains("auto"), "{said}");
    let refusal = ["fit", &table, "--out", &model, "--likelihood", "normal"];
    refused(&refusal, &["student-t", "poisson"]);
    let resume = [
        "fit", &table, "--out", &model, "--method", "auto", "--resume",
    ];
    refused(&resume, &["single walks"]);
}
