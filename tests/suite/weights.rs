//! Weights of rows: a weight of 2 is the row twice.

use std::sync::Arc;

use fiberwalk::artifact::FittedModel;
use fiberwalk::data::{Dataset, Task};
use fiberwalk::deform::LastLayer;
use fiberwalk::model::Weighted;
use fiberwalk::nn::LinearHead;
use fiberwalk::pipeline::{
    ClassWeights, FitOptions, FitResult, Method, MethodOptions, PointsSettings, fit,
};
use fiberwalk::{Activation, Categorical, Gaussian, Likelihood, Mlp, Streams};

use crate::common::{normals, short};

const WEIGHTS: [f64; 8] = [1.0, 3.0, 0.0, 2.0, 1.0, 1.0, 2.0, 4.0];

/// Rows that occur as often as their weights say.
fn often(rows: &[f64], width: usize) -> Vec<f64> {
    let rows = rows.chunks(width).zip(WEIGHTS);
    rows.flat_map(|(row, w)| row.repeat(w as usize)).collect()
}

/// The exact conditional for a Gaussian likelihood, and the one by its graph for classes.
#[test]
fn a_conditional_last_layer_counts_rows_by_their_weights() {
    let gaussian: Arc<dyn Likelihood> = Arc::new(Gaussian::new(0.4).unwrap());
    let classes: Arc<dyn Likelihood> = Arc::new(Categorical);
    let n = WEIGHTS.len();
    for (likelihood, k, m) in [(gaussian.clone(), 1, 1), (gaussian, 2, 2), (classes, 3, 1)] {
        let net = Mlp::new(&[2, 3, k], Activation::Tanh).unwrap();
        let x = normals(2 * n, 1);
        let y = match m == k {
            true => normals(n * m, 2),
            false => (0..n).map(|i| (i % 3) as f64).collect(),
        };
        let theta = normals(net.hidden_params(), 3);
        let weighted = Weighted::new(likelihood.clone(), k).unwrap();
        let rows = Weighted::join(&y, &WEIGHTS).unwrap();
        let once = LastLayer::<f64>::new(&net, &weighted, 0.7, &x, &rows).unwrap();
        let (x, y) = (often(&x, 2), often(&y, m));
        let twice = LastLayer::<f64>::new(&net, &likelihood, 0.7, &x, &y).unwrap();
        let (mut a, mut b) = (once.workspace(), twice.workspace());
        let close = |p: f64, q: f64| (p - q).abs() < 1e-7 * (1.0 + q.abs());
        let evidence = once.log_evidence(&theta, &mut a).unwrap();
        let want = twice.log_evidence(&theta, &mut b).unwrap();
        assert!(close(evidence, want), "{evidence} {want}");
        assert!(close(a.log_det(), b.log_det()));
        let pairs = a.conditional().centre.iter().zip(b.conditional().centre);
        for (p, q) in pairs {
            assert!(close(*p, *q), "{p} {q}");
        }
    }
}

/// A table of two features, with real targets or two classes.
fn table(n: usize, task: Task) -> Dataset {
    let x = normals(2 * n, 4);
    let noise = normals(n, 5);
    let y = (0..n).map(|i| {
        let signal = x[2 * i] - (2.0 * x[2 * i + 1]).sin() + 0.5 * noise[i];
        match task {
            Task::Regression => signal,
            Task::Classification { .. } => f64::from(signal > 0.0),
        }
    });
    let names = vec!["a".into(), "b".into()];
    Dataset::new(x.clone(), y.collect(), names, "y", task).unwrap()
}

fn run(data: Dataset, method: Method) -> FitResult<f64> {
    let options = FitOptions {
        hidden: vec![4],
        method: short(method, 6, 10, 8),
        ..FitOptions::default()
    };
    fit::<f64>(&data, &options, &()).unwrap()
}

/// The whole way of a fit. Scales of columns do not change when a table is doubled, so everything
/// must agree up to rounding: the evidence's scales, curvatures, draws, leave-one-out.
#[test]
fn a_weight_of_two_is_the_table_twice() {
    let n = 30;
    let all: Vec<usize> = (0..n).chain(0..n).collect();
    for task in [Task::Regression, Task::Classification { classes: 2 }] {
        let data = table(n, task);
        let inputs = data.features()[..12].to_vec();
        for method in [
            Method::Map,
            Method::Laplace,
            Method::LaplaceGlm,
            Method::LaplaceLast,
            Method::Atlas,
        ] {
            let weighted = data.clone().with_weights("w", vec![2.0; n]).unwrap();
            let once = run(weighted, method);
            let twice = run(data.select(&all).unwrap(), method);
            let draw = |model: &FittedModel<f64>| {
                let predictor = model.predictor(8, 3).unwrap();
                let one = |x: &[f64]| {
                    let row = predictor.row(x).unwrap();
                    row.mean()
                        .or_else(|| Some(row.probabilities()?[0]))
                        .unwrap()
                };
                inputs.chunks_exact(2).map(one).collect::<Vec<f64>>()
            };
            let close = |p: f64, q: f64, what: &str| {
                let miss = (p - q).abs();
                assert!(miss < 1e-5 * (1.0 + q.abs()), "{method} {what}: {p} {q}");
            };
            for (p, q) in draw(&once.model).iter().zip(draw(&twice.model)) {
                close(*p, q, "prediction");
            }
            if let (Some(p), Some(q)) = (&once.report.scales, &twice.report.scales) {
                close(p.prior_precision, q.prior_precision, "prior precision");
                close(
                    p.noise_std.unwrap_or(0.0),
                    q.noise_std.unwrap_or(0.0),
                    "noise",
                );
            }
            let evidence = |of: &FitResult<f64>| of.report.estimate.as_ref()?.log_evidence;
            if let (Some(p), Some(q)) = (evidence(&once), evidence(&twice)) {
                close(p, q, "log evidence");
            }
        }
    }
}

/// A walk with weights: its points are scored by leave-one-out, and its file keeps them apart from
/// the targets.
#[test]
fn files_keep_weights() {
    let n = 30;
    for task in [Task::Regression, Task::Classification { classes: 2 }] {
        for method in [Method::Walk, Method::Atlas, Method::Flow, Method::Laplace] {
            let weights = (0..n).map(|i| 0.5 + (i % 3) as f64).collect();
            let data = table(n, task).with_weights("times", weights).unwrap();
            let inputs = data.features()[..12].to_vec();
            let result = run(data, method);
            let said = result.report.to_string();
            assert!(said.contains("column 'times'; sum 45.0"), "{said}");
            assert_eq!(result.model.metadata.format_version, 6);
            let bytes = result.model.to_bytes().unwrap();
            let again = FittedModel::<f64>::from_bytes(&bytes).unwrap();
            let draws = |model: &FittedModel<f64>| {
                let rows = model.predictor(16, 3).unwrap().rows(&inputs);
                format!("{:?}", rows.unwrap())
            };
            assert_eq!(draws(&again), draws(&result.model), "{method}");
        }
    }
}

/// Scores of a data set with weights are those of the table with its rows repeated, and the rows'
/// losses are the same ones.
#[test]
fn scores_count_rows_by_their_weights() {
    let n = 30;
    let weights: Vec<f64> = (0..n).map(|i| (i % 3) as f64).collect();
    let often: Vec<usize> = (0..n).flat_map(|i| vec![i; i % 3]).collect();
    for task in [Task::Regression, Task::Classification { classes: 2 }] {
        let data = table(n, task);
        let model = run(data.clone(), Method::Walk).model;
        let predictor = model.predictor(8, 3).unwrap();
        let weighted = data.clone().with_weights("w", weights.clone()).unwrap();
        let scored = predictor.score_rows(&weighted).unwrap();
        assert_eq!(scored.weights(), Some(&weights[..]));
        let repeated = predictor.evaluate(&data.select(&often).unwrap()).unwrap();
        for (a, b) in scored
            .scores()
            .unwrap()
            .named()
            .iter()
            .zip(repeated.named())
        {
            assert!((a.1 - b.1).abs() < 1e-9 || a.0 == "n", "{a:?} {b:?}");
        }
        assert_ne!(
            scored.scores().unwrap().nll(),
            predictor.evaluate(&data).unwrap().nll()
        );
    }
}

/// `log mean_s p(y | s)^w` by hand, from the outputs of every draw.
#[test]
fn densities_of_weighted_rows_share_a_draw() {
    let n = 30;
    let weights: Vec<f64> = (0..n).map(|i| 0.5 * (i % 4) as f64).collect();
    let log_mean = |logs: &[f64]| {
        let sum: f64 = logs.iter().map(|l| l.exp()).sum();
        (sum / logs.len() as f64).ln()
    };
    let data = table(n, Task::Classification { classes: 2 });
    let model = run(data.clone(), Method::Walk).model;
    let predictor = model.predictor(8, 3).unwrap();
    let weighted = data.clone().with_weights("w", weights.clone()).unwrap();
    let got = predictor.log_weighted_densities(&weighted).unwrap();
    let outputs = predictor.outputs(data.features()).unwrap();
    for (i, got) in got.iter().enumerate() {
        let logs = outputs.row(i).chunks_exact(outputs.width).map(|o| {
            let total: f64 = o.iter().map(|o| o.exp()).sum();
            weights[i] * (o[data.targets()[i] as usize] - total.ln())
        });
        let want = log_mean(&logs.collect::<Vec<f64>>());
        assert!((got - want).abs() < 1e-9, "{i}: {got} {want}");
    }
    // of rows that count once it is the log density, in the target's units
    for task in [Task::Regression, Task::Classification { classes: 2 }] {
        let data = table(n, task);
        let model = run(data.clone(), Method::Walk).model;
        let predictor = model.predictor(8, 3).unwrap();
        let pairs = predictor.log_weighted_densities(&data).unwrap();
        let want = predictor.log_densities(&data).unwrap();
        for (a, b) in pairs.iter().zip(want) {
            assert!((a - b).abs() < 1e-9, "{a} {b}");
        }
    }
}

/// A refit without a row that counts twice is a refit without both copies.
#[test]
fn leave_one_out_refits_without_a_row_and_its_weight() {
    let n = 24;
    let mut x = normals(n, 4);
    x[7] = 6.0;
    let y: Vec<f64> = x.iter().map(|x| 0.5 * x + 0.1 * (9.0 * x).sin()).collect();
    let mut y = y;
    y[7] = -9.0;
    let mut weights = vec![1.0; n];
    (weights[7], weights[3]) = (2.0, 0.5);
    let data = Dataset::new(x, y, vec!["x".into()], "y", Task::Regression).unwrap();
    let data = data.with_weights("w", weights).unwrap();
    let MethodOptions::Walk(points) = short(Method::Walk, 8, 60, 64) else {
        panic!("a walk")
    };
    let options = FitOptions {
        hidden: Vec::new(),
        method: MethodOptions::Walk(PointsSettings {
            loo_refits: n,
            ..points.clone()
        }),
        ..FitOptions::default()
    };
    let result = fit::<f64>(&data, &options, &()).unwrap();
    let refits = result.report.loo.unwrap().refits.unwrap();
    assert!(refits.done > 0 && refits.failed.is_empty(), "{refits:?}");
    let plain = FitOptions {
        method: MethodOptions::Walk(points),
        ..options
    };
    let others: Vec<usize> = (0..n).filter(|&i| i != 7).collect();
    let without = fit::<f64>(&data.select(&others).unwrap(), &plain, &()).unwrap();
    let own = data.select(&[7]).unwrap();
    let streams = Streams::new(plain.seed);
    let want = without
        .model
        .log_weighted_densities(&own, 64, streams)
        .unwrap();
    assert_eq!(result.loo.unwrap().pointwise[7], want[0]);
}

/// A feature that says nothing: the probability of class 1 is its share, and one half with
/// balanced classes.
#[test]
fn balanced_classes_have_the_same_prior_probability() {
    let n = 200;
    let (x, label) = (normals(n, 6), |i: usize| {
        f64::from(u8::from(i.is_multiple_of(10)))
    });
    let y: Vec<f64> = (0..n).map(label).collect();
    let task = Task::Classification { classes: 2 };
    let data = Dataset::new(x, y, vec!["x".into()], "y", task).unwrap();
    for (class_weights, share) in [(ClassWeights::None, 0.1), (ClassWeights::Balanced, 0.5)] {
        let options = FitOptions {
            hidden: Vec::new(),
            method: Method::Map.into(),
            prior_precision: Some(1e-3),
            class_weights,
            ..FitOptions::default()
        };
        let result = fit::<f64>(&data, &options, &()).unwrap();
        let predictor = result.model.predictor(1, 0).unwrap();
        let p = predictor.row(&[0.0]).unwrap().probabilities().unwrap()[1];
        assert!((p - share).abs() < 0.05, "{class_weights}: {p}");
        let said = result.report.to_string();
        assert_eq!(said.contains("classes balanced"), share == 0.5, "{said}");
    }
}

#[cfg(feature = "cli")]
mod program {
    use std::fs;

    use crate::common::program::{fiberwalk, ok, refused, text};

    /// A column of weights is no feature, and impossible ones are refused by line.
    #[test]
    fn a_column_holds_weights() {
        let dir = tempfile::tempdir().unwrap();
        let (data, out) = (dir.path().join("d.csv"), dir.path().join("m.fw"));
        let row = |i: usize| format!("{},{},{}\n", i % 7, i % 3, (i % 7) as f64 * 0.3);
        let rows: String = (0..40).map(row).collect();
        fs::write(&data, format!("a,times,y\n{rows}")).unwrap();
        let fit = ["fit", text(&data), "--method", "map", "--out", text(&out)];
        let said = ok(&[&fit[..], &["--weights", "times"]].concat());
        for what in ["40 rows, 1 feature,", "column 'times'; sum 39.0"] {
            assert!(said.contains(what), "{said}");
        }
        ok(&["predict", text(&out), text(&data)]);
        for (options, words) in [
            (
                &["--weights", "often"][..],
                &["often", "to hold weights"][..],
            ),
            (
                &["--weights", "y", "--target", "y"],
                &["both the target and the weights"],
            ),
            (&["--class-weights", "balanced"], &["is for classes"]),
        ] {
            refused(&[&fit[..], options].concat(), words);
        }
        for (cell, words) in [
            (
                "-1",
                &["line 42", "column 'times'", "'-1' is not a weight"][..],
            ),
            ("", &["line 42", "'' is not a weight"]),
            ("two", &["line 42", "'two' is not a weight"]),
        ] {
            fs::write(&data, format!("a,times,y\n{rows}1,{cell},2\n")).unwrap();
            refused(&[&fit[..], &["--weights", "times"]].concat(), words);
        }
    }

    /// Scores of a table with the column of weights are those of its rows, repeated. A note says
    /// which it is; the splits of `compare` keep the weights.
    #[test]
    fn evaluate_and_compare_count_rows_by_their_weights() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let row = |i: usize, w: bool| {
            let w = if w {
                format!("{},", i % 3)
            } else {
                String::new()
            };
            format!(
                "{},{w}{}\n",
                (i * 5) % 11,
                ((i * 5) % 11) as f64 * 0.3 + (i % 4) as f64
            )
        };
        let write = |name: &str, header: &str, rows: String| {
            fs::write(at(name), format!("{header}\n{rows}")).unwrap();
            at(name).to_str().unwrap().to_string()
        };
        let train = write(
            "d.csv",
            "a,times,y",
            (0..40).map(|i| row(i, true)).collect(),
        );
        let plain = (0..40).flat_map(|i| vec![row(i, false); i % 3]).collect();
        let repeated = write("r.csv", "a,y", plain);
        let model = at("m.fw").to_str().unwrap().to_string();
        let fit = [
            "--method",
            "map",
            "--quiet",
            "--weights",
            "times",
            "--out",
            &model,
        ];
        ok(&[&["fit", &train], &fit[..]].concat());
        let scores = |table: &str, note: &str| {
            let out = fiberwalk(&["evaluate", &model, table, "--json"]);
            assert!(out.status.success());
            let said = String::from_utf8(out.stderr).unwrap();
            assert!(said.contains(note), "{said}");
            serde_json::from_slice::<serde_json::Value>(&out.stdout).unwrap()
        };
        let weighted = scores(
            &train,
            "note: rows count by their weights, in column 'times'",
        );
        let often = scores(&repeated, "note: no column 'times' of weights");
        assert_eq!(
            (&weighted["weights"], &often["weights"]),
            (&"times".into(), &().into())
        );
        for name in ["nll", "rmse", "crps"] {
            let [a, b] = [&weighted, &often].map(|s| s[name].as_f64().unwrap());
            assert!((a - b).abs() < 1e-9, "{name}: {a} {b}");
            assert!(weighted["intervals"][name]["lower"].as_f64().unwrap() < a);
        }
        // splits hold the weights, and nothing else is replaced by them
        let splits = at("splits").to_str().unwrap().to_string();
        let compare = ["compare", &train, "--methods", "map", "--weights", "times"];
        let compare = [&compare[..], &["--quiet", "--write-splits", &splits]].concat();
        ok(&compare);
        let written = fs::read_to_string(at("splits/seed0_train.csv")).unwrap();
        assert!(written.starts_with("a,times,y\n"), "{written}");
        let first = ok(&compare);
        let given = format!("{splits}/seed0_train.csv");
        let test = format!("{splits}/seed0_test.csv");
        let again = [
            "compare",
            &given,
            "--test",
            &test,
            "--methods",
            "map",
            "--weights",
            "times",
        ];
        let again = ok(&again);
        let nll = |table: &str| {
            table
                .lines()
                .nth(1)
                .unwrap()
                .split_whitespace()
                .nth(1)
                .map(String::from)
        };
        assert_eq!(nll(&first), nll(&again), "the same rows and weights");
        fs::write(at("splits/seed0_test.csv"), "mine\n").unwrap();
        refused(
            &compare,
            &["--write-splits", "seed0_test.csv", "holds something else"],
        );
        assert_eq!(
            fs::read_to_string(at("splits/seed0_test.csv")).unwrap(),
            "mine\n"
        );
    }
}
