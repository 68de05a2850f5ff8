//! Weights of rows: a weight of 2 is the row twice.

use std::sync::Arc;

use fiberwalk::artifact::FittedModel;
use fiberwalk::data::{Dataset, Task};
use fiberwalk::deform::LastLayer;
use fiberwalk::model::Weighted;
use fiberwalk::nn::LinearHead;
use fiberwalk::pipeline::{ClassWeights, FitOptions, FitResult, Method, fit};
use fiberwalk::{Activation, Categorical, Gaussian, Likelihood, Mlp};

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
pub fn table(n: usize, task: Task) -> Dataset {
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

pub fn run(data: Dataset, method: Method) -> FitResult<f64> {
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
            assert!(result.model.metadata.format_version >= 6);
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

    use crate::common::program::{ok, refused, text};

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
}
