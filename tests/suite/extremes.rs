//! Numbers at the ends of their range: in features, in targets, and in what is printed.

use std::fs;
use std::path::Path;

use crate::common::program::{fiberwalk, ok, refused, scores, text};

/// A line with noise, features in units of `x` and targets in units of `y`.
fn table(path: &Path, x: f64, y: f64) {
    let mut rows = String::from("x,y\n");
    for i in 0..40 {
        let (z, noise) = (0.1 * f64::from(i) - 2.0, f64::from(i * 7 % 11) / 11.0 - 0.5);
        rows += &format!("{:e},{:e}\n", z * x, (z + 0.3 * noise) * y);
    }
    fs::write(path, rows).unwrap();
}

fn fit<'a>(train: &'a Path, out: &'a Path) -> Vec<&'a str> {
    let (train, out) = (text(train), text(out));
    vec![
        "fit", train, "--out", out, "--method", "map", "--hidden", "3", "--quiet",
    ]
}

fn predictions(model: &Path, rows: &Path) -> Vec<Vec<f64>> {
    let said = ok(&["predict", text(model), text(rows)]);
    let lines = said.lines().skip(1);
    assert!(said.lines().all(|line| line.len() < 150), "{said}");
    lines
        .map(|line| line.split(',').map(|c| c.parse().unwrap()).collect())
        .collect()
}

/// A value that no model can see is refused where it stands in the file.
#[test]
fn a_feature_far_from_the_training_rows_is_named_by_its_line() {
    let dir = tempfile::tempdir().unwrap();
    let (train, model, rows) = (
        dir.path().join("t.csv"),
        dir.path().join("m.fw"),
        dir.path().join("rows.csv"),
    );
    table(&train, 1e-300, 1.0);
    ok(&fit(&train, &model));
    // beyond f64, and beyond f32; the blank line counts
    for (cell, number) in [("1e10", "f64"), ("1e-250", "f32")] {
        fs::write(&rows, format!("y,x\n1,1e-300\n\n2,{cell}\n")).unwrap();
        let place = "rows.csv, line 4, column 'x': ";
        for command in ["predict", "evaluate"] {
            refused(&[command, text(&model), text(&rows)], &[place, number]);
        }
    }
}

/// Predictions and scores are those of the same rows in ordinary units.
#[test]
fn the_unit_of_a_table_does_not_matter() {
    let dir = tempfile::tempdir().unwrap();
    let of = |x: f64, y: f64| {
        let name = format!("{x:e}_{y:e}");
        let (train, model) = (
            dir.path().join(&name),
            dir.path().join(name.clone() + ".fw"),
        );
        table(&train, x, y);
        ok(&fit(&train, &model));
        let scores = scores(&model, &train);
        let score = |name: &str| scores[name].as_f64().unwrap();
        let rows = predictions(&model, &train);
        let scaled: Vec<f64> = rows.concat().iter().map(|v| v / y).collect();
        let scores = [score("rmse") / y, score("crps") / y, score("nll") - y.ln()];
        [scaled, scores.to_vec()].concat()
    };
    let plain = of(1.0, 1.0);
    for (x, y) in [(1e300, 1.0), (1e-300, 1.0), (1.0, 1e95), (1.0, 1e-95)] {
        let found = of(x, y);
        assert_eq!(found.len(), plain.len());
        for (found, plain) in found.iter().zip(&plain) {
            // the descent in f32 amplifies the rounding of its input
            assert!((found - plain).abs() < 2e-2, "{x:e} {y:e}: {found} {plain}");
        }
    }
}

#[test]
fn a_target_whose_squares_are_no_numbers_is_refused_with_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let (train, model) = (dir.path().join("t.csv"), dir.path().join("m.fw"));
    for unit in [1e300, 1e120, 1e-120, 1e-300] {
        table(&train, 1.0, unit);
        refused(&fit(&train, &model), &["t.csv, column 'y'", "another unit"]);
        assert!(!model.exists());
    }
}

/// A row to score may be far out all the same.
#[test]
fn a_miss_of_any_size_is_a_score() {
    let dir = tempfile::tempdir().unwrap();
    let (train, model, rows) = (
        dir.path().join("t.csv"),
        dir.path().join("m.fw"),
        dir.path().join("rows.csv"),
    );
    table(&train, 1.0, 1.0);
    ok(&fit(&train, &model));
    fs::write(&rows, "x,y\n0,3e200\n0,-3e200\n").unwrap();
    let found = scores(&model, &rows);
    for score in ["rmse", "crps"] {
        let value = found[score].as_f64().unwrap();
        assert!((value / 3e200 - 1.0).abs() < 1e-12, "{score} {value}");
    }
    let said = ok(&["evaluate", text(&model), text(&rows)]);
    let line = said.lines().find(|line| line.starts_with("rmse")).unwrap();
    assert_eq!(line.split_whitespace().nth(1), Some("3.000e200"), "{said}");
}

/// A sure prediction has an entropy of 0, without a sign.
#[test]
fn what_is_printed_is_short_and_never_a_false_zero() {
    let dir = tempfile::tempdir().unwrap();
    let (train, model) = (dir.path().join("t.csv"), dir.path().join("m.fw"));
    let rows: Vec<String> = (0..40)
        .map(|i| format!("{},{}", i - 20, u8::from(i >= 20)))
        .collect();
    fs::write(&train, format!("x,y\n{}\n", rows.join("\n"))).unwrap();
    let precision = ["--prior-precision", "1e-6"];
    ok(&[&fit(&train, &model)[..], &precision].concat());
    let far = dir.path().join("far.csv");
    fs::write(&far, "x\n-1e30\n1e30\n0.5\n").unwrap();
    let said = ok(&["predict", text(&model), text(&far)]);
    assert!(
        said.lines()
            .skip(1)
            .all(|line| !line.contains('-') || line.contains("e-")),
        "{said}"
    );
    assert!(said.lines().all(|line| line.len() < 150), "{said}");
    let said = ok(&["evaluate", text(&model), text(&train)]);
    let score = |name: &str| {
        let line = said.lines().find(|l| l.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().to_string()
    };
    let exact = scores(&model, &train);
    for name in ["nll", "brier", "ece"] {
        let (shown, exact): (f64, f64) =
            (score(name).parse().unwrap(), exact[name].as_f64().unwrap());
        assert!(
            (shown - exact).abs() <= 5e-4 * exact.abs() + 5e-5 && (shown == 0.0) == (exact == 0.0),
            "{said}"
        );
        assert!(!score(name).starts_with('-'), "{said}");
    }
}

#[cfg(unix)]
#[test]
fn a_write_protected_file_stays_as_it_is() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let (train, model) = (dir.path().join("t.csv"), dir.path().join("m.fw"));
    table(&train, 1.0, 1.0);
    fs::write(&model, "old").unwrap();
    fs::set_permissions(&model, fs::Permissions::from_mode(0o444)).unwrap();
    let out = fiberwalk(&fit(&train, &model));
    let error = String::from_utf8_lossy(&out.stderr).into_owned();
    assert_eq!(out.status.code(), Some(1), "{error}");
    assert!(
        error.contains("write-protected") && error.lines().count() == 1,
        "{error}"
    );
    assert_eq!(fs::read(&model).unwrap(), b"old");
}
