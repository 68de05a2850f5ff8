//! Choosing a model by rows that it has not seen.
//!
//! Widths by cross-validation, fits without a row, and figures as JSON.

use fiberwalk::Streams;
use fiberwalk::artifact::NetworkSpec;
use fiberwalk::pipeline::{FitOptions, KernelKind, Method, MethodOptions, PointsSettings, fit};

use crate::common::program::{ok, refused, split, text};
use crate::common::{normals, short};
use crate::observations::{fitted, regression};

fn small() -> FitOptions {
    FitOptions {
        method: short(Method::Walk, 4, 60, 128),
        ..FitOptions::default()
    }
}

/// A wave is not linear, so the best shape has hidden units.
#[test]
fn widths_are_those_that_predict_rows_held_out_best() {
    let x = normals(80, 1);
    let noise = normals(80, 2);
    let y = x.iter().zip(&noise).map(|(x, e)| (2.0 * x).sin() + 0.1 * e);
    let data = regression(x.clone(), y.collect());
    let options = FitOptions {
        choose_hidden: small().method.walk().copied(),
        method: Method::Map.into(),
        ..small()
    };
    let result = fitted(&data, &options);
    let sizes = |spec: &NetworkSpec| match spec {
        NetworkSpec::Mlp { sizes, .. } => sizes.clone(),
        NetworkSpec::Layers { .. } => panic!("a table"),
        NetworkSpec::Own { .. } => panic!("a model of a program"),
    };
    let chosen = sizes(&result.model.metadata.network);
    assert!(chosen.len() > 2, "{chosen:?}");
    assert_eq!(result.model.metadata.method, "map");
    let said = result.report.to_string();
    // linear is far behind after the first fold, and the report says so
    assert!(
        said.contains("linear") && said.contains("held out"),
        "{said}"
    );
    let portfolio = result.report.portfolio.as_ref().unwrap();
    assert!(portfolio.validation_gradients > 0.0);
    assert_eq!(portfolio.kept().count(), 1);
    assert_eq!(
        result.model.metadata.report.as_ref(),
        Some(&result.report),
        "the file has it too"
    );
    // a direct fit with these widths gives the same result
    let direct = FitOptions {
        choose_hidden: None,
        hidden: chosen[1..chosen.len() - 1].to_vec(),
        ..options.clone()
    };
    assert_eq!(fitted(&data, &direct).model.map, result.model.map);
    let auto = FitOptions {
        method: Method::Auto.into(),
        ..options
    };
    let error = fit::<f32>(&data, &auto, &|_, _, _| ()).err().unwrap();
    assert!(
        error.to_string().contains("method auto does anyway"),
        "{error}"
    );
}

/// A row far out that contradicts the others: draws that have seen it say nothing about a fit
/// without it.
#[test]
fn rows_that_weights_cannot_leave_out_have_a_fit_without_them() {
    let mut x = normals(30, 3);
    let mut y: Vec<f64> = x
        .iter()
        .zip(normals(30, 4))
        .map(|(x, e)| x + 0.3 * e)
        .collect();
    (x[7], y[7]) = (6.0, -4.0);
    let data = regression(x, y);
    let plain = FitOptions {
        hidden: Vec::new(),
        ..small()
    };
    let before = fitted(&data, &plain).loo.unwrap();
    let rows = before.unreliable_rows();
    assert!(rows.contains(&7), "{:?}", before.pareto_k);
    let refitting = |loo_refits: usize| FitOptions {
        method: MethodOptions::Walk(PointsSettings {
            walk: *plain.method.walk().unwrap(),
            loo_refits,
            ..PointsSettings::default()
        }),
        ..plain.clone()
    };
    let allowed = refitting(rows.len());
    let result = fitted(&data, &allowed);
    let after = result.loo.unwrap();
    assert_eq!(after.unreliable(), 0);
    let said = result.report.loo.unwrap();
    let refits = said.refits.unwrap();
    assert!(refits.gradients > 0.0 && refits.done == rows.len());
    assert_eq!(refits.elpd_before, before.elpd_loo);
    assert_eq!(said.elpd, after.elpd_loo);
    let others: Vec<usize> = (0..30).filter(|&i| i != 7).collect();
    let model = fitted(&data.select(&others).unwrap(), &plain).model;
    let own = data.select(&[7]).unwrap();
    let want = model.log_densities(&own, 128, Streams::new(0)).unwrap();
    assert_eq!(after.pointwise[7], want[0]);
    // importance sampling was too optimistic, as it usually is
    assert!(after.pointwise[7] < before.pointwise[7] - 1.0);
    // all others are as they were
    for i in others.iter().filter(|i| !rows.contains(i)) {
        assert_eq!(after.pointwise[*i], before.pointwise[*i]);
    }
    // kernels that draw nothing have no leave-one-out
    let mut drifting = allowed;
    drifting.method.walk_mut().unwrap().kernel = KernelKind::Drift.into();
    let error = fit::<f32>(&data, &drifting, &|_, _, _| ()).err().unwrap();
    let error = error.to_string();
    assert!(error.contains("draws of the posterior"), "{error}");
    // more rows than are allowed: none is refitted
    if rows.len() > 1 {
        let result = fitted(&data, &refitting(rows.len() - 1));
        assert_eq!(result.loo.unwrap(), before);
        assert!(
            result
                .report
                .to_string()
                .contains("needed, and --loo-refits allows")
        );
    }
}

#[test]
fn the_program_chooses_and_says_so_in_json() {
    let (dir, train, test) = split("glass.csv");
    let file = |name: &str| dir.path().join(name);
    let quick = ["--particles", "4", "--steps", "20", "--samples", "64"];
    let (model, out) = (file("m.fw"), ["--out", "--json", "--hidden", "auto"]);
    let mut args = vec!["fit", text(&train), out[0], text(&model)];
    args.extend(&out[1..]);
    args.extend(quick);
    let said: serde_json::Value = serde_json::from_str(&ok(&args)).unwrap();
    let rows = said["loo"]["pointwise"].as_array().unwrap();
    assert_eq!(
        rows.len(),
        said["loo"]["pareto_k"].as_array().unwrap().len()
    );
    let sum: f64 = rows.iter().map(|r| r.as_f64().unwrap()).sum();
    assert!((sum - said["loo"]["elpd"].as_f64().unwrap()).abs() < 1e-9);
    assert_eq!(said["report"]["loo"]["elpd"], said["loo"]["elpd"]);
    assert!(said["seconds"].as_f64().unwrap() > 0.0 && said["bytes"].as_u64().unwrap() > 0);
    let lines = said["lines"].as_array().unwrap();
    assert!(lines.iter().any(|l| l[0] == "hidden"), "{said}");
    let mut table = vec!["compare", text(&train), "--test", text(&test)];
    table.extend(["--methods", "map,walk", "--quiet"]);
    table.extend(quick);
    let shown = ok(&table);
    let cells: Vec<Vec<&str>> = shown
        .lines()
        .map(|l| l.split_whitespace().collect())
        .collect();
    let at = cells[0].iter().position(|c| *c == "elpd_loo").unwrap();
    assert_eq!(cells[1][at], "-", "{shown}");
    assert!(cells[2][at].parse::<f64>().unwrap() < 0.0, "{shown}");
    table.push("--json");
    let all: serde_json::Value = serde_json::from_str(&ok(&table)).unwrap();
    assert!(all[0]["elpd_loo"].is_null() && all[1]["elpd_loo_se"].as_f64().unwrap() > 0.0);
    refused(
        &[
            "fit",
            text(&train),
            "--out",
            text(&model),
            "--hidden",
            "some",
        ],
        &["none or auto"],
    );
}
