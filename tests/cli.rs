//! The program as its users run it: from a CSV to predictions, the same bits for any number of threads, and one clear
//! line with status 2 for whatever is wrong with the input.

#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use common::data_file;
use tempfile::TempDir;

fn fiberwalk(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_fiberwalk"))
        .args(args)
        .output()
        .unwrap()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Runs and expects success; gives standard output.
fn ok(args: &[&str]) -> String {
    let out = fiberwalk(args);
    let error = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(out.status.success(), "{args:?}: {error}");
    assert_eq!(error, "", "nothing on standard error without a terminal");
    String::from_utf8(out.stdout).unwrap()
}

/// Runs and expects status 2 with one line that contains all `words`.
fn refused(args: &[&str], words: &[&str]) {
    let out = fiberwalk(args);
    let error = String::from_utf8_lossy(&out.stderr).into_owned();
    assert_eq!(out.status.code(), Some(2), "{args:?}: {error}");
    assert_eq!(error.trim_end().lines().count(), 1, "one line: {error}");
    for word in words {
        assert!(error.contains(word), "'{word}' is not in: {error}");
    }
    assert!(out.stdout.is_empty());
}

/// Every fourth row of a data file for testing, the others for training, in a directory of their own.
fn split(name: &str) -> (TempDir, PathBuf, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let all = fs::read_to_string(data_file(name)).unwrap();
    let mut lines = all.lines();
    let header = lines.next().unwrap();
    let (mut train, mut test) = (vec![header], vec![header]);
    for (i, line) in lines.enumerate() {
        if i % 4 == 3 {
            test.push(line)
        } else {
            train.push(line)
        }
    }
    let paths = (dir.path().join("train.csv"), dir.path().join("test.csv"));
    fs::write(&paths.0, train.join("\n")).unwrap();
    fs::write(&paths.1, test.join("\n")).unwrap();
    (dir, paths.0, paths.1)
}

fn scores(model: &Path, test: &Path) -> serde_json::Value {
    serde_json::from_str(&ok(&["evaluate", text(model), text(test), "--json"])).unwrap()
}

fn csv_rows(path: &Path) -> Vec<Vec<f64>> {
    let table = fs::read_to_string(path).unwrap();
    table
        .lines()
        .skip(1)
        .map(|l| l.split(',').map(|c| c.parse().unwrap()).collect())
        .collect()
}

#[test]
fn vehicle_from_csv_to_calibrated_probabilities() {
    let (dir, train, test) = split("vehicle.csv");
    let file = |name: &str| dir.path().join(name);
    let mut nll = Vec::new();
    for method in ["map", "walk", "flow"] {
        let model = file(method);
        let summary = ok(&[
            "fit",
            text(&train),
            "--out",
            text(&model),
            "--method",
            method,
            "--steps",
            "200",
        ]);
        assert!(
            summary.contains("18-50-4 tanh, 1154 parameters"),
            "{summary}"
        );
        assert_eq!(summary.contains("viability"), method != "map");
        assert_eq!(
            summary.contains("carries the 635 training rows"),
            method == "flow",
            "{summary}"
        );
        let scores = scores(&model, &test);
        let keys: Vec<&String> = scores.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["n", "nll", "accuracy", "ece", "mce", "brier"]);
        assert_eq!(scores["n"], 211);
        assert!(
            scores["accuracy"].as_f64().unwrap() > 0.75,
            "{method}: {scores}"
        );
        nll.push(scores["nll"].as_f64().unwrap());
    }
    // a coin with four sides has 1.386; nothing here may be worse than a good classifier, and none far from the others
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
    assert_eq!(keys, ["n", "nll", "rmse", "crps", "coverage_90"]);
    // the target's standard deviation is 15.1
    assert!(scores["rmse"].as_f64().unwrap() < 3.0, "{scores}");
    assert!(scores["coverage_90"].as_f64().unwrap() > 0.75, "{scores}");

    // columns are found by name: in another order, and without the target, the predictions are the same
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
    for method in ["map", "walk", "flow"] {
        files.clear();
        for threads in ["1", "2", "8"] {
            let (model, predictions) = (dir.path().join("m.fw"), dir.path().join("p.csv"));
            let args = [
                "--method",
                method,
                "--steps",
                "40",
                "--particles",
                "21",
                "--hidden",
                "12,8",
                "--quiet",
            ];
            let fit = [
                "fit",
                text(&train),
                "--out",
                text(&model),
                "--threads",
                threads,
            ];
            assert_eq!(ok(&[&fit[..], &args[..]].concat()), "");
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

#[test]
fn bad_training_files_are_refused_in_one_line() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("m.fw");
    let path = dir.path().join("train.csv");
    let case = |content: &str, extra: &[&str], words: &[&str]| {
        fs::write(&path, content).unwrap();
        refused(
            &[&["fit", text(&path), "--out", text(&out)], extra].concat(),
            words,
        );
        assert!(!out.exists(), "no half-written output");
        assert_eq!(
            fs::read_dir(dir.path()).unwrap().count(),
            1,
            "no temporary file"
        );
    };
    case(
        "a,b,y\n1,2,0\n3,x,1\n",
        &[],
        &["train.csv", "line 3", "'b'", "'x'"],
    );
    case(
        "a,b,y\n1,2,0\n3,nan,1\n",
        &[],
        &["train.csv", "line 3", "'b'", "nan"],
    );
    case("a,b,y\n1,2,0\n3,,1\n", &[], &["line 3", "'b'", "missing"]);
    case("a,b,y\n1,2,0\n3,1\n", &[], &["line 3"]);
    case(
        "a,b,y\n1,2,0\n3,4,0\n",
        &["--task", "classification"],
        &["train.csv"],
    );
    case("a,b,y\n1,2,5\n3,4,5\n", &[], &["train.csv"]);
    case("a,b,y\n1,2,0\n3,4,1\n", &["--target", "z"], &["'z'"]);
    case("a,b,y\n", &[], &["train.csv"]);
    case("", &[], &["train.csv"]);
    case(
        "a,b,y\n1,2,0.5\n3,4,1\n",
        &["--task", "classification"],
        &["line 2", "'y'"],
    );
    let good = "a,b,y\n1,2,0\n3,4,1\n2,2,0\n5,4,1\n";
    case(
        good,
        &["--method", "nuts"],
        &["nuts", "map", "walk", "flow"],
    );
    case(good, &["--kernel", "tangent"], &["tangent", "drift"]);
    case(good, &["--hidden", "5,0"], &["--hidden"]);
    case(good, &["--activation", "swish"], &["swish", "tanh", "silu"]);
    case(good, &["--prior-precision", "-1"], &["-1", "positive"]);
    case(good, &["--prior-precision", "many"], &["many"]);
    case(good, &["--noise-std", "0.1"], &["noise_std", "regression"]);
    case(good, &["--particles", "0"], &["particles", "positive"]);
    case(
        good,
        &["--steps", "0", "--method", "walk"],
        &["steps", "positive"],
    );
    case(good, &["--threads", "0"], &["--threads"]);
    case(
        good,
        &["--hidden", "99999999999,99999999999"],
        &["too many"],
    );
    let nowhere = dir.path().join("no/m.fw");
    refused(
        &["fit", text(&path), "--out", text(&nowhere)],
        &["no such directory"],
    );
    refused(
        &["fit", "no-such-file.csv", "--out", text(&out)],
        &["no-such-file.csv"],
    );
    refused(&["fit", text(&path)], &["--out"]);
    refused(&["walk"], &["walk"]);
}

#[test]
fn bad_prediction_files_are_refused_in_one_line() {
    let (dir, train, test) = split("glass.csv");
    let model = dir.path().join("m.fw");
    ok(&[
        "fit",
        text(&train),
        "--out",
        text(&model),
        "--method",
        "map",
        "--hidden",
        "5",
    ]);
    let (bad, out) = (dir.path().join("bad.csv"), dir.path().join("p.csv"));
    let good = fs::read_to_string(&test).unwrap();
    let case = |content: String, words: &[&str]| {
        fs::write(&bad, content).unwrap();
        refused(
            &["predict", text(&model), text(&bad), "--out", text(&out)],
            words,
        );
        assert!(!out.exists());
    };
    let edit = |f: &dyn Fn(&str) -> String| good.lines().map(f).collect::<Vec<_>>().join("\n");
    case(
        edit(&|l| l.split_once(',').unwrap().1.into()),
        &["bad.csv", "'ri'"],
    );
    case(edit(&|l| format!("{l},{l}")), &["bad.csv"]);
    case(edit(&|l| format!("{l},extra")), &["'extra'"]);
    case(good.replacen("1.5", "abc", 1), &["line", "'ri'", "abc"]);
    case(good.replace("ri,", "ri2,"), &["ri"]);
    fs::write(
        &bad,
        good.lines()
            .take(5)
            .map(|l| l.rsplit_once(',').unwrap().0.to_string() + ",6")
            .collect::<Vec<_>>()
            .join("\n")
            .replacen(",6", ",class", 1),
    )
    .unwrap();
    refused(
        &["evaluate", text(&model), text(&bad)],
        &["bad.csv", "line 2", "'class'"],
    );
    refused(
        &[
            "predict",
            text(&model),
            text(&test),
            "--out",
            text(&out),
            "--samples",
            "0",
        ],
        &["samples"],
    );
    refused(
        &["predict", text(&model), "nothing.csv", "--out", text(&out)],
        &["nothing.csv"],
    );
    refused(&["evaluate", "nothing.fw", text(&test)], &["nothing.fw"]);
}

#[test]
fn help_and_version_are_not_errors() {
    assert!(ok(&["--help"]).contains("evaluate"));
    assert!(ok(&["fit", "--help"]).contains("--prior-precision"));
    assert!(ok(&["--version"]).contains(env!("CARGO_PKG_VERSION")));
}
