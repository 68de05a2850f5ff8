//! Arguments that are nearly right: the message names the option, the cause, and what to do.

use std::fs;
use std::process::Command;

use crate::common::program::{fiberwalk, ok, refused, text};

const TABLE: &str = "\"a,b\",id,y\n1,r1,2.5\n2,r2,3\n3,r3,5.5\n4,r4,5\n5,r5,8.5\n";

fn in_a_directory() -> (tempfile::TempDir, std::path::PathBuf, std::path::PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let (train, model) = (dir.path().join("t.csv"), dir.path().join("m.fw"));
    fs::write(&train, TABLE).unwrap();
    (dir, train, model)
}

/// A number with a sign is a value, not an option of its own.
#[test]
fn a_number_that_does_not_fit_is_refused_by_the_option_before_it() {
    let (_dir, train, model) = in_a_directory();
    let fit = ["fit", text(&train), "--out", text(&model)];
    for option in [
        "seed",
        "rows",
        "threads",
        "particles",
        "samples",
        "starts",
        "epochs",
        "walk-batch",
        "max-memory",
        "frozen",
        "loo-refits",
    ] {
        let option = format!("--{option}");
        for (value, word) in [
            ("-1", "whole number"),
            ("1.5", "whole number"),
            ("1e99", "whole number"),
        ] {
            let words = [&*option, value, word];
            refused(&[&fit[..], &[&option, value]].concat(), &words);
        }
    }
    let huge = "99999999999999999999999";
    refused(
        &[&fit[..], &["--seed", huge]].concat(),
        &["--seed", "below 2^64"],
    );
    for (option, value, word) in [
        ("--step-size", "-1", "step_size = -1"),
        ("--step-size", "one", "a number or auto"),
        ("--hidden", "-1", "positive widths"),
        ("--batch", "-1", "full or auto"),
        ("--steps", "-1", "a number or auto"),
        ("--delimiter", "-1", "single ASCII character"),
        ("--target", "-1", "column '-1'"),
        ("--ignore", "-1", "column '-1'"),
        ("--max-seconds", "-1", "positive number of seconds"),
        ("--max-seconds", "nan", "positive number of seconds"),
        ("--max-seconds", "soon", "expected a number"),
        ("--checkpoint-every", "nan", "number of seconds"),
    ] {
        refused(&[&fit[..], &[option, value]].concat(), &[word]);
    }
}

/// A choice of models divides its time among many walks, and checks it all the same.
#[test]
fn a_limit_that_is_no_time_is_refused_by_every_method() {
    let (_dir, train, model) = in_a_directory();
    for method in [
        "--method=auto",
        "--method=walk",
        "--method=sgld",
        "--hidden=auto",
    ] {
        for seconds in ["0", "-1", "nan", "inf"] {
            let fit = ["fit", text(&train), "--out", text(&model), "--ignore", "id"];
            let more = [method, "--max-seconds", seconds];
            refused(&[&fit[..], &more].concat(), &["max_seconds", "positive"]);
        }
    }
}

/// A limit beyond what a clock can say never comes.
#[test]
fn a_limit_may_be_as_long_as_one_likes() {
    let (_dir, train, model) = in_a_directory();
    let fit = [
        "fit",
        text(&train),
        "--out",
        text(&model),
        "--hidden",
        "2",
        "--steps",
        "4",
        "--ignore",
        "id",
    ];
    ok(&[
        &fit[..],
        &[
            "--max-seconds",
            "1e30",
            "--checkpoint-every",
            "1e300",
            "--quiet",
        ],
    ]
    .concat());
}

#[test]
fn a_pair_of_names_is_for_images() {
    let (dir, train, model) = in_a_directory();
    let fit = |argument: &str, words: &[&str]| {
        refused(&["fit", argument, "--out", text(&model)], words);
    };
    let one = text(&train);
    fit(
        &format!("{one},"),
        &["t.csv", "a file is missing at the comma", "IMAGES,LABELS"],
    );
    fit(
        &format!(",{one}"),
        &["t.csv", "a file is missing at the comma"],
    );
    fit(
        &format!("{one},{one}"),
        &["t.csv", "not an IDX file", "CSV file alone"],
    );
    let images = dir.path().join("images");
    fs::write(&images, [0, 0, 8, 3]).unwrap();
    fit(&format!("{},", text(&images)), &["images", "IMAGES,LABELS"]);
}

/// A header that promises more than the file holds says so, and takes no memory.
#[test]
fn an_idx_header_that_promises_too_much_is_cut_short() {
    let dir = tempfile::tempdir().unwrap();
    let (images, model) = (dir.path().join("i"), dir.path().join("m.fw"));
    let mut bytes = vec![0, 0, 8, 3];
    for extent in [7_000_000u32, 28, 28] {
        bytes.extend(extent.to_be_bytes());
    }
    bytes.resize(3 << 20, 0);
    fs::write(&images, bytes).unwrap();
    let pair = format!("{0},{0}", text(&images));
    refused(
        &["fit", &pair, "--out", text(&model)],
        &[
            "ends after byte 3145728",
            "its header promises 7000000x28x28",
        ],
    );
}

#[cfg(unix)]
#[test]
fn a_model_may_come_from_a_pipe() {
    let (_dir, train, model) = in_a_directory();
    ok(&[
        "fit",
        text(&train),
        "--out",
        text(&model),
        "--method",
        "map",
        "--ignore",
        "id",
        "--quiet",
    ]);
    let program = env!("CARGO_BIN_EXE_fiberwalk");
    for command in ["predict", "evaluate", "info"] {
        let rows = if command == "info" { "" } else { text(&train) };
        let model = text(&model);
        let script = format!("'{program}' {command} <(cat '{model}') {rows}");
        let out = Command::new("bash").args(["-c", &script]).output().unwrap();
        let error = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(out.status.success(), "{command}: {error}");
        if command == "info" {
            let said = String::from_utf8_lossy(&out.stdout).into_owned();
            let kib = fs::metadata(model).unwrap().len() as f64 / 1024.0;
            assert!(said.contains(&format!("{kib:.1} KiB")), "{said}");
        } else {
            let file = fiberwalk(&[command, model, rows]);
            assert_eq!(out.stdout, file.stdout);
        }
    }
}

/// As a CSV file would have them.
#[test]
fn names_with_commas_are_written_in_quotes() {
    let (_dir, train, model) = in_a_directory();
    let fit = [
        "fit",
        text(&train),
        "--out",
        text(&model),
        "--method",
        "map",
        "--quiet",
    ];
    // the message itself shows how
    fs::write(&train, TABLE.replace("r2", "2")).unwrap();
    refused(&fit, &["'r1'", "--types id=category"]);
    fs::write(
        &train,
        TABLE
            .replace("\n1,", "\n,")
            .replace("\n2,", "\n,")
            .replace("\n3,", "\n,")
            .replace("\n4,", "\n,")
            .replace("\n5,", "\n,"),
    )
    .unwrap();
    refused(&fit, &["every cell is missing", "--ignore '\"a,b\"'"]);
    fs::write(&train, TABLE).unwrap();
    refused(&[&fit[..], &["--ignore", "a,b"]].concat(), &["column 'a'"]);
    refused(
        &[&fit[..], &["--ignore", "\"a,b"]].concat(),
        &["--ignore", "in quotes"],
    );
    refused(
        &[&fit[..], &["--ignore", "\"a,b\",id"]].concat(),
        &["no features"],
    );
    refused(
        &[&fit[..], &["--types", "\"a,b=number\",a=number"]].concat(),
        &["column 'a'"],
    );
    ok(&[&fit[..], &["--ignore", "id", "--types", "\"a,b=number\""]].concat());
    let said = ok(&[
        "predict",
        text(&model),
        text(&train),
        "--keep",
        "id,\"a,b\"",
    ]);
    let mut lines = said.lines();
    assert_eq!(
        lines.next(),
        Some("id,\"a,b\",mean,std,epistemic_std,q05,q95")
    );
    assert!(lines.next().unwrap().starts_with("r1,1,"));
    let twice = ["--keep", "id", "--keep", "\"a,b\""];
    assert_eq!(
        ok(&[&["predict", text(&model), text(&train)][..], &twice].concat()),
        said
    );
}

/// Wherever it stands among the texts of a column.
#[test]
fn a_text_that_looks_like_a_number_is_never_a_level() {
    let (_dir, train, model) = in_a_directory();
    let fit = [
        "fit",
        text(&train),
        "--out",
        text(&model),
        "--method",
        "map",
    ];
    for (cell, word) in [("12%", "not read as a number"), ("2024-05-31", "is a date")] {
        for row in 1..=5 {
            let name = format!("r{row}");
            fs::write(&train, TABLE.replace(&name, cell)).unwrap();
            let line = format!("line {}", row + 1);
            refused(&fit, &[&line, "'id'", cell, word]);
        }
    }
}
