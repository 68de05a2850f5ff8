//! Scores and leave-one-out of rows with weights, in the library and in the program.

use fiberwalk::Streams;
use fiberwalk::data::{Dataset, Task};
use fiberwalk::pipeline::{FitOptions, Method, MethodOptions, PointsSettings, fit};

use crate::common::{normals, short};
use crate::weights::{run, table};

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

#[cfg(feature = "cli")]
mod program {
    use std::fs;

    use crate::common::program::{fiberwalk, ok, refused};

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
