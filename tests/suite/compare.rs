//! Methods side by side: the table and JSON, and the other results when one method fails.

use crate::common::program::{fiberwalk, ok, refused, split, text};

const QUICK: &str = "--hidden 6 --samples 16 --prior-precision 1 --quiet";

/// A short walk.
const SHORT: &str = "--particles 8 --steps 60";

fn args<'a>(files: &[&'a str], more: &'a str) -> Vec<&'a str> {
    let words = QUICK.split(' ').chain(more.split(' '));
    [&["compare"][..], files]
        .concat()
        .into_iter()
        .chain(words)
        .collect()
}

#[test]
fn a_comparison_has_an_object_for_every_fit() {
    let (_dir, train, test) = split("glass.csv");
    let files = [text(&train), "--test", text(&test)];
    let said = ok(&args(
        &files,
        &format!("--methods map,laplace-last,ensemble,walk --seeds 2 --json {SHORT}"),
    ));
    let all: Vec<serde_json::Value> = serde_json::from_str(&said).unwrap();
    let of = |i: usize, key: &str| all[i][key].as_f64().unwrap();
    let names: Vec<&str> = all.iter().map(|o| o["method"].as_str().unwrap()).collect();
    let methods = ["map", "laplace-last", "ensemble", "walk"];
    assert_eq!(names, [methods, methods].concat());
    for i in 0..8 {
        assert_eq!(of(i, "seed"), (i / 4) as f64);
        assert_eq!(of(i, "n"), 53.0);
        for key in [
            "nll",
            "accuracy",
            "ece",
            "mce",
            "brier",
            "fit_seconds",
            "predict_seconds",
        ] {
            assert!(of(i, key) >= 0.0, "{key}");
        }
    }
    // all but the best have differences to it, on the rows of the same seed
    let mean = |method: &str| -> f64 {
        let of = all.iter().filter(|o| o["method"] == method);
        of.map(|o| o["nll"].as_f64().unwrap()).sum()
    };
    let best = methods
        .into_iter()
        .min_by(|a, b| mean(a).total_cmp(&mean(b)))
        .unwrap();
    for (i, one) in all.iter().enumerate() {
        if names[i] == best {
            assert!(one.get("differences").is_none());
            continue;
        }
        assert_eq!(one["differences"]["best"], best);
        let reference = all
            .iter()
            .find(|o| o["method"] == best && o["seed"] == one["seed"])
            .unwrap();
        for score in ["nll", "accuracy", "brier"] {
            let found = &one["differences"][score];
            let expected = of(i, score) - reference[score].as_f64().unwrap();
            assert!(
                (found["mean"].as_f64().unwrap() - expected).abs() < 1e-12,
                "{score}"
            );
            assert!(found["error"].as_f64().unwrap() >= 0.0 && found["rows"] == 53);
        }
    }
    // members and walkers take gradients in addition to those of the estimate, Laplace does not
    assert_eq!(of(1, "gradients"), of(0, "gradients"));
    assert!(of(2, "gradients") > 5.0 * of(0, "gradients"));
    assert!(of(3, "gradients") >= of(0, "gradients") + 8.0 * 60.0);
    // the scores are those of a separate fit and evaluation
    let model = train.with_file_name("m.fw");
    let fit = [
        "fit",
        text(&train),
        "--method",
        "laplace-last",
        "--out",
        text(&model),
        "--seed",
        "1",
    ];
    ok(&fit.into_iter().chain(QUICK.split(' ')).collect::<Vec<_>>());
    let one = ok(&[
        "evaluate",
        text(&model),
        text(&test),
        "--json",
        "--samples",
        "16",
    ]);
    let one: serde_json::Value = serde_json::from_str(&one).unwrap();
    assert_eq!(one["nll"], all[5]["nll"]);
}

#[test]
fn without_test_rows_every_seed_splits_anew_and_a_failure_leaves_the_others() {
    let (_dir, train, _) = split("snelson1d.csv");
    let files = [text(&train)];
    let more = "--methods map,laplace-diag --seeds 2 --noise-std 0.3";
    let said = ok(&args(&files, more));
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines.len(), 7, "{said}");
    for word in ["method", "nll", "rmse", "crps", "coverage_90", "gradients"] {
        assert!(lines[0].contains(word), "{said}");
    }
    assert!(
        lines[1].starts_with("map") && lines[1].contains("+-"),
        "{said}"
    );
    assert!(lines[2].starts_with("laplace-diag"), "{said}");
    // then the differences to the better one of the two
    let nll = |line: &str| -> f64 { line.split_whitespace().nth(1).unwrap().parse().unwrap() };
    let is_map_best = nll(lines[1]) < nll(lines[2]);
    let (best, other) = match is_map_best {
        true => ("map", "laplace-diag"),
        false => ("laplace-diag", "map"),
    };
    assert!(
        lines[4].contains(best) && lines[4].contains("lowest nll"),
        "{said}"
    );
    assert!(lines[5].starts_with(&format!("less {best}")), "{said}");
    assert!(
        lines[6].starts_with(other) && lines[6].contains("+-"),
        "{said}"
    );
    // the mean difference is the difference of the means, to the digits that are printed
    let gap = nll(lines[6]);
    assert!(
        gap >= 0.0 && (gap - (nll(lines[1]) - nll(lines[2])).abs()).abs() < 2e-4,
        "{said}"
    );
    // more starts than particles: the walk is refused, and the estimate is kept
    let output = fiberwalk(&args(
        &files,
        &format!("--methods walk,map --starts 9 --noise-std 0.3 {SHORT}"),
    ));
    let (out, err) = (
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    );
    assert_eq!(output.status.code(), Some(2));
    assert!(out.lines().nth(1).unwrap().starts_with("map"), "{out}");
    assert!(
        err.starts_with("error: walk, seed 0: ") && err.contains("starts = 9"),
        "{err}"
    );
    // the message appears once
    assert_eq!(err.lines().count(), 1, "{err}");
    for (more, words) in [
        ("--methods map,map", &["map is there twice"][..]),
        (
            "--methods nonsense",
            &["nonsense", "must be one of map, ensemble"],
        ),
        ("--methods map --seeds 0", &["--seeds", "positive"]),
        (
            "--methods map --rows 1",
            &["train.csv", "1 row", "at least 2"],
        ),
        (
            "--methods map --seeds 2 --seed 18446744073709551615",
            &["--seed", "2^64"],
        ),
    ] {
        refused(&args(&files, more), words);
    }
}

/// A file that can be trained on, but whose rows cannot be split in two class by class, is named.
#[test]
fn a_file_that_cannot_be_split_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let one_each = dir.path().join("one_each.csv");
    std::fs::write(&one_each, "x,class\n0.1,0\n0.2,1\n").unwrap();
    let words = ["one_each.csv", "no class has 2 rows"];
    refused(&args(&[text(&one_each)], "--methods map"), &words);
}

/// Options that a baseline would ignore, or sizes that it could not hold, are refused before the
/// fit.
#[test]
fn baselines_refuse_what_is_not_for_them() {
    let (dir, train, _) = split("glass.csv");
    let out = dir.path().join("m.fw");
    let fit = [
        "fit",
        text(&train),
        "--out",
        text(&out),
        "--hidden",
        "6",
        "--quiet",
    ];
    for (more, words) in [
        (
            "--method laplace-kfac --frozen 5",
            &["--frozen = 5", "atlas and flow"][..],
        ),
        ("--method vi --recombine", &["--recombine", "atlas"]),
        (
            "--method swag --max-seconds 5",
            &["--max-seconds = 5", "not for swag"],
        ),
        (
            "--method nuts --max-memory 5",
            &["--max-memory = 5", "not for nuts"],
        ),
        (
            "--method map --walk-batch 5",
            &["--walk-batch = 5", "not for map"],
        ),
        ("--method swag --adjusted", &["--adjusted", "not for swag"]),
        (
            "--method laplace-kfac --samples 18446744073709551615",
            &["samples = 18446744073709551615", "1..="],
        ),
        (
            "--method hmc --samples 4001",
            &["samples = 4001", "1..=4000"],
        ),
        (
            "--method sgld --samples 32001",
            &["samples = 32001", "1..=32000"],
        ),
        ("--method vi --samples 0", &["samples = 0", "1..="]),
        (
            "--method dropout --hidden none",
            &["dropout", "hidden units"],
        ),
        (
            "--method laplace --hidden 600",
            &["laplace", "8192", "laplace-kfac"],
        ),
        (
            "--method laplace-last --hidden 1400",
            &["laplace-last", "order 8406"],
        ),
        (
            "--method laplace-kfac --hidden 9000",
            &["laplace-kfac", "order 9000"],
        ),
    ] {
        let mut args: Vec<&str> = fit.to_vec();
        // a setting may not appear twice
        if more.contains("--hidden") {
            args.drain(4..6);
        }
        args.extend(more.split(' '));
        refused(&args, words);
        assert!(!out.exists());
    }
}
