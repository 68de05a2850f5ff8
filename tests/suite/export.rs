//! `export`: a posterior as ArviZ reads it.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::common::program::{ok, text};
use crate::report::walked;

/// Chains, draws and rows in ArviZ's order, and log-likelihoods whose mean is what `evaluate` scores.
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
    // the mean of the likelihoods over all draws is what evaluate scores
    let log_lik = &all["log_likelihood"][&target];
    let of_row = |r: usize| {
        let each = (0..64).map(|i| log_lik[i / 8][i % 8][r].as_f64().unwrap().exp());
        (each.sum::<f64>() / 64.0).ln()
    };
    let nll = -(0..rows).map(of_row).sum::<f64>() / rows as f64;
    let scores: Value =
        serde_json::from_str(&ok(&["evaluate", text(&model), text(&test), "--json"])).unwrap();
    let said = scores["nll"].as_f64().unwrap();
    assert!(
        (nll - said).abs() < 1e-6 * said.abs().max(1.0),
        "{nll} {said}"
    );
    // without rows
    ok(&["export", text(&model), "--arviz", text(&out)]);
    let alone = read(&out);
    assert!(alone.get("log_likelihood").is_none());
    assert_eq!(alone["posterior"], all["posterior"]);
}
