//! `export`: a posterior as ArviZ reads it.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::common::program::{ok, refused, scores, split, text};
use crate::report::walked;

/// Chains, draws and rows in ArviZ's order, and log-likelihoods whose mean is what `evaluate`
/// scores.
#[test]
fn an_export_has_the_groups_of_arviz() {
    let (dir, test, model) = walked("yacht.csv", &[]);
    let out = dir.path().join("a.json");
    ok(&["export", text(&model), text(&test), "--arviz", text(&out)]);
    let read = |path: &Path| -> Value {
        serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
    };
    let all = read(&out);
    let rows = fs::read_to_string(&test).unwrap().lines().count() - 1;
    let size = |v: &Value| v.as_array().map_or(0, Vec::len);
    let shape = |v: &Value| (size(v), size(&v[0]), size(&v[0][0]));
    let target = all["observed_data"]
        .as_object()
        .unwrap()
        .keys()
        .next()
        .unwrap()
        .clone();
    assert_eq!(shape(&all["log_likelihood"][&target]), (8, 8, rows));
    assert_eq!(shape(&all["posterior_predictive"][&target]), (8, 8, rows));
    assert_eq!(size(&all["observed_data"][&target]), rows);
    assert_eq!(shape(&all["posterior"]["noise_std"]), (8, 8, 0));
    assert_eq!(shape(&all["sample_stats"]["lp"]), (8, 8, 0));
    assert_eq!(all["dims"][&target][0], "row");
    check_likelihood(&all, &model, &test);
    // without rows
    ok(&["export", text(&model), "--arviz", text(&out)]);
    let alone = read(&out);
    assert!(alone.get("log_likelihood").is_none());
    assert_eq!(alone["posterior"], all["posterior"]);
}

/// The mean of the likelihoods over all draws is what `evaluate` scores.
fn check_likelihood(all: &Value, model: &Path, test: &Path) {
    let (_, log_lik) = all["log_likelihood"]
        .as_object()
        .unwrap()
        .iter()
        .next()
        .unwrap();
    let chains: Vec<&Vec<Value>> = log_lik
        .as_array()
        .unwrap()
        .iter()
        .flat_map(Value::as_array)
        .collect();
    let draws: Vec<&Value> = chains.into_iter().flatten().collect();
    let rows = draws[0].as_array().unwrap().len();
    let of_row = |r: usize| {
        let each = draws.iter().map(|draw| draw[r].as_f64().unwrap().exp());
        (each.sum::<f64>() / draws.len() as f64).ln()
    };
    let nll = -(0..rows).map(of_row).sum::<f64>() / rows as f64;
    let said = scores(model, test)["nll"].as_f64().unwrap();
    assert!(
        (nll - said).abs() < 1e-6 * said.abs().max(1.0),
        "{nll} {said}"
    );
}

/// A flow makes its draws anew, as many as `evaluate` takes. A calibration by `spread` counts. An
/// atlas of a number has no draws to export with rows.
#[test]
fn an_export_has_the_draws_that_are_scored() {
    let (dir, train, test) = split("yacht.csv");
    let (model, out) = (dir.path().join("m.fw"), dir.path().join("a.json"));
    let short = [
        "--hidden",
        "4",
        "--steps",
        "40",
        "--particles",
        "8",
        "--quiet",
    ];
    let fit = |more: &[&str]| {
        let fit = ["fit", text(&train), "--out", text(&model)];
        ok(&[&fit[..], &short, more].concat());
    };
    let export = ["export", text(&model), text(&test), "--arviz", text(&out)];
    for more in [&["--method", "flow"][..], &["--calibrate", "0.3"]] {
        fit(more);
        ok(&export);
        let all: Value = serde_json::from_str(&fs::read_to_string(&out).unwrap()).unwrap();
        check_likelihood(&all, &model, &test);
        if more.contains(&"flow") {
            let theta = &all["posterior"]["theta"][0];
            assert_eq!(theta.as_array().unwrap().len(), 256);
        }
    }
    fit(&["--method", "atlas"]);
    refused(&export, &["freeze it (--frozen N)"]);
    ok(&["export", text(&model), "--arviz", text(&out)]);
}
