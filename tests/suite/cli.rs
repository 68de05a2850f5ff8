//! The program as its users run it, from a CSV to predictions.
//!
//! Any number of threads gives the same result bit for bit.

use std::fs;
use std::path::Path;

use crate::common::program::{csv_rows, ok, scores, split, text};

#[test]
fn vehicle_from_csv_to_calibrated_probabilities() {
    let (dir, train, test) = split("vehicle.csv");
    let file = |name: &str| dir.path().join(name);
    let mut nll = Vec::new();
    for method in ["map", "walk", "flow"] {
        let model = file(method);
        let fit = ["fit", text(&train), "--out", text(&model)];
        let how: &[&str] = match method {
            "map" => &["--method", method],
            _ => &["--method", method, "--steps", "200"],
        };
        let summary = ok(&[&fit[..], how].concat());
        assert!(
            summary.contains("18-50-4 tanh, 1154 parameters"),
            "{summary}"
        );
        // fewer than 64, because scales are sampled
        let said = summary.contains("16 particles");
        assert_eq!(said, method != "map");
        assert_eq!(
            summary.contains("carries the 635 training rows"),
            method == "flow",
            "{summary}"
        );
        let scores = scores(&model, &test);
        let keys: Vec<&String> = scores.as_object().unwrap().keys().collect();
        assert_eq!(keys[..6], ["n", "nll", "accuracy", "ece", "mce", "brier"]);
        assert_eq!(scores["n"], 211);
        assert!(
            scores["accuracy"].as_f64().unwrap() > 0.75,
            "{method}: {scores}"
        );
        nll.push(scores["nll"].as_f64().unwrap());
    }
    // guessing among four classes has 1.386; every method must be a good classifier, and none may
    // be far from the others
    assert!(nll.iter().all(|&x| x < 0.5), "{nll:?}");

    let predictions = file("p.csv");
    ok(&[
        "predict",
        text(&file("flow")),
        text(&test),
        "--out",
        text(&predictions),
        "--samples",
        "64",
    ]);
    let header = fs::read_to_string(&predictions).unwrap();
    assert!(header.starts_with("p_0,p_1,p_2,p_3,entropy,mutual_information\n"));
    let rows = csv_rows(&predictions);
    assert_eq!(rows.len(), 211);
    for row in rows {
        assert!((row[..4].iter().sum::<f64>() - 1.0).abs() < 1e-12);
        assert!(row[5] >= 0.0 && row[5] <= row[4] && row[4] <= 4f64.ln() + 1e-12);
    }
}

#[test]
fn yacht_from_csv_to_predictive_intervals() {
    let (dir, train, test) = split("yacht.csv");
    let model = dir.path().join("m.fw");
    let args = [
        "--method",
        "flow",
        "--steps",
        "200",
        "--precision",
        "f64",
        "--hidden",
        "20",
    ];
    ok(&[&["fit", text(&train), "--out", text(&model)], &args[..]].concat());
    let scores = scores(&model, &test);
    let keys: Vec<&String> = scores.as_object().unwrap().keys().collect();
    assert_eq!(keys[..5], ["n", "nll", "rmse", "crps", "coverage_90"]);
    // the target's standard deviation is 15.1
    assert!(scores["rmse"].as_f64().unwrap() < 3.0, "{scores}");
    assert!(scores["coverage_90"].as_f64().unwrap() > 0.75, "{scores}");

    // columns are found by name: predictions are the same with the columns in another order and
    // without the target
    let predictions = dir.path().join("p.csv");
    ok(&[
        "predict",
        text(&model),
        text(&test),
        "--out",
        text(&predictions),
    ]);
    let shuffled = dir.path().join("shuffled.csv");
    let original = fs::read_to_string(&test).unwrap();
    let reversed: Vec<String> = original
        .lines()
        .map(|l| {
            l.split(',')
                .take(6)
                .collect::<Vec<_>>()
                .into_iter()
                .rev()
                .collect::<Vec<_>>()
                .join(",")
        })
        .collect();
    fs::write(&shuffled, reversed.join("\n")).unwrap();
    let again = dir.path().join("q.csv");
    ok(&[
        "predict",
        text(&model),
        text(&shuffled),
        "--out",
        text(&again),
    ]);
    assert_eq!(fs::read(&predictions).unwrap(), fs::read(&again).unwrap());
    let rows = csv_rows(&predictions);
    for row in &rows {
        let [mean, std, epistemic, low, high] = row[..] else {
            panic!("{row:?}")
        };
        assert!(low < mean && mean < high && epistemic < std);
    }
    // the file says the same as the scores
    let y: Vec<f64> = csv_rows(&test).iter().map(|r| r[6]).collect();
    let squares: f64 = rows.iter().zip(&y).map(|(r, y)| (r[0] - y).powi(2)).sum();
    let rmse = (squares / y.len() as f64).sqrt();
    assert!((rmse - scores["rmse"].as_f64().unwrap()).abs() < 1e-9);
    let covered = rows
        .iter()
        .zip(&y)
        .filter(|(r, y)| r[3] <= **y && **y <= r[4])
        .count() as f64;
    assert!((covered / y.len() as f64 - scores["coverage_90"].as_f64().unwrap()).abs() < 1e-12);
}

#[test]
fn any_number_of_threads_gives_the_same_files() {
    let (dir, train, test) = split("glass.csv");
    let mut files: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
    for method in ["map", "walk", "atlas", "flow"] {
        files.clear();
        for threads in ["1", "2", "8"] {
            let (model, predictions) = (dir.path().join("m.fw"), dir.path().join("p.csv"));
            let args = ["--method", method, "--hidden", "12,8", "--quiet"];
            let few: &[&str] = match method {
                "map" => &[],
                _ => &["--steps", "40", "--particles", "21"],
            };
            let fit = [
                "fit",
                text(&train),
                "--out",
                text(&model),
                "--threads",
                threads,
            ];
            assert_eq!(ok(&[&fit[..], &args[..], few].concat()), "");
            let out = ["--out", text(&predictions), "--threads", threads, "--quiet"];
            ok(&[&["predict", text(&model), text(&test)], &out[..]].concat());
            files.push((fs::read(&model).unwrap(), fs::read(&predictions).unwrap()));
        }
        assert!(files[0] == files[1] && files[0] == files[2], "{method}");
    }
    // and another seed gives another file
    let model = dir.path().join("m.fw");
    let args = [
        "--method",
        "flow",
        "--steps",
        "40",
        "--particles",
        "21",
        "--hidden",
        "12,8",
        "--seed",
        "1",
    ];
    ok(&[&["fit", text(&train), "--out", text(&model)], &args[..]].concat());
    assert!(fs::read(&model).unwrap() != files[0].0);
}

/// Frozen draws predict as the sampler that made them does, and the file has neither the sampler
/// nor the data.
#[test]
fn frozen_draws_need_no_training_data() {
    let (dir, train, test) = split("yacht.csv");
    let fit = |name: &str, options: &[&str]| {
        let model = dir.path().join(name);
        let few = "--hidden 8 --steps 60 --particles 10 --samples 20 --noise-std 0.2";
        let few: Vec<&str> = few.split(' ').collect();
        let out = ["fit", text(&train), "--out", text(&model)];
        let said = ok(&[&out[..], &few, options].concat());
        (model, said)
    };
    for method in ["atlas", "flow"] {
        let (live, said) = fit("live.fw", &["--method", method]);
        assert!(
            said.contains("the file carries the 231 training rows"),
            "{said}"
        );
        let (frozen, said) = fit("frozen.fw", &["--method", method, "--frozen", "40"]);
        assert!(said.contains("40 draws and no training data"), "{said}");
        let bytes = fs::read(&frozen).unwrap();
        let archive = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        let mut names = archive.names();
        names.sort_unstable();
        assert_eq!(names, ["checksum", "map", "samples"]);
        let nll = |model: &Path| scores(model, &test)["nll"].as_f64().unwrap();
        let (a, b) = (nll(&live), nll(&frozen));
        // 40 draws against 256 (an atlas of 20 anchors: against its exact mixture)
        assert!((a - b).abs() < 0.3, "{method}: {a} and {b}");
    }
    let (_, said) = fit("other.fw", &["--method", "atlas", "--recombine"]);
    assert!(
        said.contains("recombined from the units of all walkers"),
        "{said}"
    );
}

#[test]
fn help_and_version_are_not_errors() {
    assert!(ok(&["--help"]).contains("evaluate"));
    assert!(ok(&["fit", "--help"]).contains("--prior-precision"));
    assert!(ok(&["--version"]).contains(env!("CARGO_PKG_VERSION")));
}
