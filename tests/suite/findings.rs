//! Fits that went wrong without an error: the verdict says so, and what to do.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::common::program::{fiberwalk, ok, refused, text};

/// A curve with noise: three features, the third of no use.
fn table(dir: &Path, classes: bool) -> PathBuf {
    let mut rows = String::from("a,b,c,y\n");
    for i in 0..80 {
        let [a, b, c] = [7, 11, 23].map(|k| f64::from(i * k % 80) / 20.0 - 2.0);
        let y = a - b * b + 0.1 * c * b;
        match classes {
            true => rows += &format!("{a},{b},{c},{}\n", u8::from(y > -0.7)),
            false => rows += &format!("{a},{b},{c},{y}\n"),
        }
    }
    let path = dir.join("t.csv");
    fs::write(&path, rows).unwrap();
    path
}

/// The findings of a fit and its whole summary.
fn verdict(train: &Path, more: &str) -> (Vec<String>, Value) {
    let out = train.with_file_name("m.fw");
    let fit = ["fit", text(train), "--out", text(&out), "--json"];
    let more: Vec<&str> = more.split_whitespace().collect();
    let said: Value = serde_json::from_str(&ok(&[&fit[..], &more].concat())).unwrap();
    let findings = said["verdict"].as_array().unwrap().iter();
    let names = findings.map(|f| f["finding"].as_str().unwrap().to_string());
    // the file says the same
    let info: Value = serde_json::from_str(&ok(&["info", text(&out), "--json"])).unwrap();
    assert_eq!(info["verdict"], said["verdict"], "{more:?}");
    (names.collect(), said)
}

/// By what the model predicts, for any method.
#[test]
fn constant_predictions_are_found() {
    let dir = tempfile::tempdir().unwrap();
    for classes in [false, true] {
        let train = table(dir.path(), classes);
        let noise = if classes { "" } else { "--noise-std 0.3" };
        // a prior so narrow that nothing can be learned
        for method in [
            "map",
            "laplace-last",
            "ensemble",
            "walk --particles 4 --steps 30 --samples 16",
        ] {
            let narrow = format!("--method {method} --hidden 5 {noise} --prior-precision 1e7");
            let (found, said) = verdict(&train, &narrow);
            assert!(
                found.contains(&"constant_predictions".into()),
                "{narrow}: {found:?}"
            );
            let spread = said["report"]["constant_predictions"].as_f64().unwrap();
            assert!((0.0..0.01).contains(&spread), "{spread}");
            let wide = format!("--method {method} --hidden 5 {noise} --prior-precision 1");
            let (found, said) = verdict(&train, &wide);
            assert!(
                !found.contains(&"constant_predictions".into()),
                "{wide}: {found:?}"
            );
            assert!(said["report"].get("constant_predictions").is_none());
        }
    }
}

/// Fits that no check of agreement looked at.
#[test]
fn walks_that_nothing_judges_and_joint_modes_are_found() {
    let dir = tempfile::tempdir().unwrap();
    let train = table(dir.path(), false);
    let base = "--hidden 3 --samples 4";
    for (more, finding) in [
        ("--steps 1 --particles 4", Some("walk_not_judged")),
        (
            "--steps 3 --particles 4 --prior evidence",
            Some("walk_not_judged"),
        ),
        ("--particles 1 --steps 20", Some("walk_not_judged")),
        ("--particles 4 --steps 20", None),
    ] {
        let (found, _) = verdict(&train, &format!("{base} {more}"));
        let of_walk = found.iter().find(|f| *f == "walk_not_judged");
        assert_eq!(of_walk.map(String::as_str), finding, "{more}: {found:?}");
    }
    for prior in ["hierarchical", "shared", "evidence"] {
        let (found, _) = verdict(&train, &format!("--method map --hidden 3 --prior {prior}"));
        let of_mode = found.contains(&"joint_mode".into());
        assert_eq!(of_mode, prior != "evidence", "{prior}: {found:?}");
    }
}

#[test]
fn a_given_step_of_the_wrong_length_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let train = table(dir.path(), false);
    for form in ["", " --prior evidence", " --adjusted --prior evidence"] {
        let base = format!(
            "--hidden 2 --noise-std 0.3 --steps 8 --particles 2 --samples 4{form} --step-size"
        );
        let (found, _) = verdict(&train, &format!("{base} 1e-30"));
        assert!(
            found.contains(&"step_too_short".into()),
            "{form}: {found:?}"
        );
        let out = train.with_file_name("m.fw");
        let args = format!("fit {} --out {} {base} 1e30", text(&train), text(&out));
        let args: Vec<&str> = args.split_whitespace().collect();
        if form.contains("adjusted") {
            // its test rejects every step
            let (found, _) = verdict(&train, &format!("{base} 1e30"));
            assert!(found.contains(&"step_too_long".into()), "{found:?}");
        } else {
            refused(&args, &["step_size = 1", "too long"]);
        }
        let (found, _) = verdict(&train, &format!("{base} 0.1"));
        assert!(
            !found.contains(&"step_too_short".into()),
            "{form}: {found:?}"
        );
    }
}

/// Chains end in time, on any number of threads, and say that they did.
#[test]
fn a_limit_of_time_ends_chains() {
    let dir = tempfile::tempdir().unwrap();
    let train = table(dir.path(), false);
    for method in ["nuts", "hmc", "sgld"] {
        for threads in [1, 3] {
            let args = format!(
                "--method {method} --threads {threads} --hidden 20 --max-seconds 0.4 \
                 --prior-precision 1 --noise-std 0.1"
            );
            let (found, said) = verdict(&train, &args);
            assert!(
                found.contains(&"chains_cut_short".into()),
                "{args}: {found:?}"
            );
            let cut = &said["report"]["cut_chains"];
            assert!(
                cut["taken"].as_u64() < cut["at_most"].as_u64(),
                "{args}: {cut}"
            );
        }
    }
    let compare = format!(
        "compare {} --methods nuts,sgld,walk --max-seconds 0.4 --hidden 20 --prior-precision 1 \
         --noise-std 0.1 --json",
        text(&train)
    );
    let out = fiberwalk(&compare.split_whitespace().collect::<Vec<_>>());
    assert!(
        out.status.success(),
        "{}",
        String::from_utf8_lossy(&out.stderr)
    );
    let all: Value = serde_json::from_slice(&out.stdout).unwrap();
    for one in all.as_array().unwrap() {
        assert!(one["rmse"].as_f64().unwrap().is_finite(), "{one}");
    }
    let out = train.with_file_name("m.fw");
    for bad in ["0", "-1", "nan"] {
        let args = [
            "fit",
            text(&train),
            "--out",
            text(&out),
            "--method",
            "nuts",
            "--max-seconds",
            bad,
        ];
        refused(&args, &["max_seconds", "positive"]);
    }
}

/// So many steps that no walk can get through its warm-up in the tenth of a second that it gets at
/// least.
const TOO_MANY: &str = "--steps 1000000 --particles 2 --samples 4 --max-seconds 0.1";

/// A mixture of walks that were cut short says so, of the walks that chose and of its own.
#[test]
fn a_limit_of_time_that_ends_the_walks_of_a_mixture_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let train = table(dir.path(), true);
    let (found, said) = verdict(&train, &format!("--method auto {TOO_MANY}"));
    for name in ["choice_cut_short", "of_models"] {
        assert!(found.contains(&name.into()), "{found:?}");
    }
    assert!(!found.contains(&"all_well".into()), "{found:?}");
    let portfolio = &said["report"]["portfolio"];
    assert!(portfolio["walks"].as_u64() > Some(0));
    assert_eq!(portfolio["walks"], portfolio["cut_in_warm_up"]);
    let mut all = said["verdict"].as_array().unwrap().iter();
    let cut = all
        .find(|f| f["heaviest"]["finding"] == "cut_short")
        .unwrap();
    assert_eq!(cut["models"], cut["of"], "{cut}");
    assert_eq!(cut["heaviest"]["in_warm_up"], true, "{cut}");
    let report = ok(&["info", text(&train.with_file_name("m.fw"))]);
    let advised = |l: &str| l.starts_with("verdict") && l.contains("Raise --max-seconds");
    assert!(
        report.lines().filter(|l| advised(l)).count() >= 2,
        "{report}"
    );
}

/// A comparison warns of each method's fits.
#[test]
fn compare_warns_of_fits_that_were_cut_short() {
    let dir = tempfile::tempdir().unwrap();
    let train = table(dir.path(), true);
    let compare = format!(
        "compare {} --methods walk,map --hidden 5 --seeds 2 {TOO_MANY}",
        text(&train)
    );
    let run = |more: &[&str]| {
        let args: Vec<&str> = compare
            .split_whitespace()
            .chain(more.iter().copied())
            .collect();
        let out = fiberwalk(&args);
        assert!(out.status.success());
        out
    };
    let error = String::from_utf8(run(&[]).stderr).unwrap();
    let warnings: Vec<&str> = error
        .lines()
        .filter(|l| l.starts_with("warning: walk"))
        .collect();
    let [line] = warnings[..] else {
        panic!("{error}")
    };
    assert!(
        line.starts_with("warning: walk, seeds 0, 1: the budget ended the walk"),
        "{line}"
    );
    assert!(line.contains("--max-seconds"), "{line}");
    let all: Value = serde_json::from_slice(&run(&["--json"]).stdout).unwrap();
    for one in all.as_array().unwrap() {
        let warnings = one["warnings"].as_array().unwrap();
        let cut = warnings.iter().any(|w| w["finding"] == "cut_short");
        assert_eq!(cut, one["method"] == "walk", "{one}");
    }
}
