//! `evaluate`: scores with intervals, and rows from elsewhere.

use std::fs;

use serde_json::Value;

use crate::common::program::{ok, refused, split, text};

/// A fitted model of a data set: its directory, its test rows and the model file.
fn fitted(
    name: &str,
    more: &[&str],
) -> (tempfile::TempDir, std::path::PathBuf, std::path::PathBuf) {
    let (dir, train, test) = split(name);
    let model = dir.path().join("m.fw");
    let fit = [
        "fit",
        text(&train),
        "--out",
        text(&model),
        "--quiet",
        "--hidden",
        "6",
    ];
    ok(&[&fit[..], more].concat());
    (dir, test, model)
}

fn json(args: &[&str]) -> Value {
    serde_json::from_str(&ok(args)).unwrap()
}

#[test]
fn scores_have_intervals_in_text_and_json() {
    let (_dir, test, model) = fitted(
        "glass.csv",
        &["--method", "laplace-last", "--prior-precision", "1"],
    );
    let args = ["evaluate", text(&model), text(&test), "--samples", "32"];
    let said = ok(&args);
    let found = json(&[&args[..], &["--json"]].concat());
    assert_eq!(found["intervals"]["level"], 0.9);
    assert_eq!(found["intervals"]["replicates"], 1000);
    let names = [
        "nll",
        "accuracy",
        "ece",
        "mce",
        "brier",
        "balanced_accuracy",
        "roc_auc",
        "aurc",
        "overconfidence",
        "underconfidence",
        "ece_equal_mass",
        "ece_class_wise",
        "ece_smooth",
        "brier_reliability",
        "brier_resolution",
        "brier_uncertainty",
    ];
    for name in names {
        let line = said
            .lines()
            .find(|l| l.split(' ').next() == Some(name))
            .unwrap();
        let value = found[name].as_f64().unwrap();
        assert!(line.contains(&format!("{value:.4}")), "{line}");
        if let Some(lower) = found["intervals"][name]["lower"].as_f64() {
            let upper = found["intervals"][name]["upper"].as_f64().unwrap();
            assert!(
                line.ends_with(&format!("[{lower:.4}, {upper:.4}]")),
                "{line}"
            );
            assert!(lower <= upper);
        }
    }
    let nll = &found["intervals"]["nll"];
    assert!(
        nll["lower"].as_f64() < found["nll"].as_f64()
            && found["nll"].as_f64() < nll["upper"].as_f64()
    );
    assert!(
        said.contains("90 % intervals") && said.contains("10 bins"),
        "{said}"
    );
    assert!(found.get("ood").is_none());
    // the same without, and the same bits again
    let plain = json(&[&args[..], &["--json", "--bootstrap", "0"]].concat());
    assert!(plain.get("intervals").is_none() && plain["nll"] == found["nll"]);
    assert_eq!(
        json(&[&args[..], &["--json", "--threads", "1"]].concat()),
        found
    );
    // nor so many that memory could not hold them
    for count in ["7", "99999999999"] {
        refused(
            &[&args[..], &["--bootstrap", count]].concat(),
            &[&format!("--bootstrap = {count}"), "from 20 to 100000"],
        );
    }
}

#[test]
fn rows_from_elsewhere_are_told_by_their_uncertainty() {
    let (dir, test, model) = fitted(
        "glass.csv",
        &["--method", "laplace-last", "--prior-precision", "1"],
    );
    // the same rows, far away, without the target column
    let far = dir.path().join("far.csv");
    let rows = fs::read_to_string(&test).unwrap();
    let mut lines = rows.lines();
    let cut = |line: &str| line.rsplit_once(',').unwrap().0.to_string();
    let mut moved = cut(lines.next().unwrap());
    for line in lines {
        let cells: Vec<f64> = cut(line).split(',').map(|c| c.parse().unwrap()).collect();
        let cells: Vec<String> = cells
            .iter()
            .enumerate()
            .map(|(i, c)| (c + 3.0 * (i % 2) as f64).to_string())
            .collect();
        moved += &format!("\n{}", cells.join(","));
    }
    fs::write(&far, moved + "\n").unwrap();
    let args = [
        "evaluate",
        text(&model),
        text(&test),
        "--samples",
        "32",
        "--ood",
        text(&far),
    ];
    let found = json(&[&args[..], &["--json"]].concat());
    assert_eq!(found["ood"]["rows"], found["n"]);
    let said = ok(&args);
    for by in ["entropy", "mutual_information", "top_probability"] {
        for score in ["auroc", "aupr", "fpr95"] {
            let value = found["ood"][by][score].as_f64().unwrap();
            assert!((0.0..=1.0).contains(&value));
            assert!(
                said.contains(&format!("{:<24} {value:.4}", format!("{by} {score}"))),
                "{said}"
            );
        }
    }
    // the parameters disagree more about rows far away
    let auroc = &found["ood"]["mutual_information"];
    let (value, lower) = (
        auroc["auroc"].as_f64(),
        auroc["intervals"]["auroc"]["lower"].as_f64(),
    );
    assert!(value > Some(0.55) && lower < value, "{found}");
    assert!(auroc["intervals"]["auroc"]["upper"].as_f64() >= auroc["auroc"].as_f64());
    // rows cannot be told from themselves
    let same = [
        "evaluate",
        text(&model),
        text(&test),
        "--json",
        "--ood",
        text(&test),
    ];
    assert_eq!(json(&same)["ood"]["entropy"]["auroc"], 0.5);
    refused(
        &["evaluate", text(&model), "-", "--ood", "-"],
        &["--ood", "standard input"],
    );
    refused(
        &[
            "evaluate",
            text(&model),
            text(&test),
            "--ood",
            "nowhere.csv",
        ],
        &["nowhere.csv"],
    );
}

#[test]
fn a_regression_is_told_by_its_standard_deviation() {
    let (dir, test, model) = fitted(
        "snelson1d.csv",
        &[
            "--method",
            "laplace",
            "--noise-std",
            "0.3",
            "--prior-precision",
            "1",
        ],
    );
    let header = fs::read_to_string(&test)
        .unwrap()
        .lines()
        .next()
        .unwrap()
        .to_string();
    let feature = header.split(',').next().unwrap();
    let far = dir.path().join("far.csv");
    let rows: String = (0..30)
        .map(|i| format!("{}\n", 12.0 + 0.2 * f64::from(i)))
        .collect();
    fs::write(&far, format!("{feature}\n{rows}")).unwrap();
    let args = [
        "evaluate",
        text(&model),
        text(&test),
        "--json",
        "--samples",
        "64",
    ];
    let found = json(&[&args[..], &["--ood", text(&far)]].concat());
    assert!(
        found["ood"]["std"]["auroc"].as_f64().unwrap() > 0.9,
        "{found}"
    );
    assert_eq!(found["ood"]["rows"], 30);
    for name in [
        "nll",
        "rmse",
        "crps",
        "coverage_90",
        "coverage_50",
        "width_90",
        "interval_score_90",
        "sharpness",
        "pit_distance",
        "aurc",
    ] {
        assert!(found[name].is_number(), "{name}");
        assert!(found["intervals"].get(name).is_some(), "{name}");
    }
}
