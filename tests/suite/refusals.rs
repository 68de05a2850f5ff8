//! Any wrong input ends with status 2 and one clear line, and leaves nothing half-written behind.

use std::fs;

use crate::common::program::{ok, refused, split, text};

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
        "a,b,y\n1,2,0\n3,inf,1\n",
        &[],
        &["train.csv", "line 3", "'b'", "inf"],
    );
    for gap in ["", "nan"] {
        let table = format!("a,b,y\n1,2,0\n3,{gap},1\n");
        case(
            &table,
            &["--missing", "error"],
            &["line 3", "'b'", "missing"],
        );
        let table = format!("a,b,y\n1,2,0\n3,2,{gap}\n");
        case(&table, &[], &["line 3", "'y'", "missing target"]);
    }
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
    case(good, &["--batch", "0"], &["--batch", "'0'", "full"]);
    case(good, &["--epochs", "3"], &["epochs = 3", "--batch"]);
    case(
        good,
        &["--batch", "2", "--epochs", "0"],
        &["epochs = 0", "positive"],
    );
    case(
        good,
        &["--method", "mcmc"],
        &["mcmc", "map", "walk", "atlas", "flow"],
    );
    case(good, &["--recombine"], &["--recombine", "method atlas"]);
    case(good, &["--frozen", "5"], &["--frozen", "atlas and flow"]);
    case(
        good,
        &["--frozen", "0", "--method", "atlas"],
        &["frozen", "positive"],
    );
    case(
        good,
        &["--flow", "units"],
        &["--flow = units", "method flow"],
    );
    case(
        good,
        &["--flow", "spline", "--method", "flow"],
        &["spline", "frame", "units"],
    );
    case(
        good,
        &["--kernel", "hmc"],
        &["hmc", "drift", "microcanonical"],
    );
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
    case(
        good,
        &["--particles", "4", "--method", "flow"],
        &["particles = 4", "at least 5"],
    );
    case(good, &["--samples", "0"], &["samples", "positive"]);
    case(
        good,
        &["--prior-precision", "1e-300"],
        &["prior_precision", "1e-12"],
    );
    case(good, &["--prior-precision", "nan"], &["prior_precision"]);
    case(good, &["--hidden", "1000000000"], &["too many"]);
    let wide = ["--hidden", "5000", "--method", "flow"];
    case(good, &wide, &["last layer", "8192"]);
    case(good, &["--target", "a\nb"], &["a\\nb"]);
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
    refused(
        &["fit", text(&path), "--out", text(&path)],
        &["one of the inputs"],
    );
    refused(
        &["fit", text(&path), "--out", "/dev/null"],
        &["not a regular file"],
    );
    assert_eq!(
        fs::read_to_string(&path).unwrap(),
        "a,b,y\n1,2,0\n3,4,1\n2,2,0\n5,4,1\n"
    );
    refused(&["walk"], &["walk"]);
    refused(
        &[],
        &["fit, predict, evaluate, compare, report, plot, export or info"],
    );
    // a short walk keeps what it has and needs no other option
    let steps = ["--method", "walk", "--steps", "2", "--particles", "2"];
    ok(&[&["fit", text(&path), "--out", text(&out)], &steps[..]].concat());
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
    case(good.replacen("1.5", "abc", 1), &["line", "'ri'", "abc"]);
    case(
        good.replacen("\n1.", &format!("\n1{}.", "0".repeat(60)), 1),
        &["bad.csv", "line 2, column 'ri'", "range"],
    );
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
        &["predict", text(&model), text(&test), "--out", text(&model)],
        &["one of the inputs"],
    );
    let many = ["--samples", "99999999999999"];
    let predict = ["predict", text(&model), text(&test), "--out", text(&out)];
    refused(&[&predict[..], &many[..]].concat(), &["samples", "2^30"]);
    refused(
        &["predict", text(&model), "nothing.csv", "--out", text(&out)],
        &["nothing.csv"],
    );
    refused(&["evaluate", "nothing.fw", text(&test)], &["nothing.fw"]);
}

/// The reader behind would take everything after an open quote as one field, and drop the rows
/// after it.
#[test]
fn quotes_out_of_place_are_refused_with_their_line() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str| dir.path().join(name);
    let (train, model) = (file("train.csv"), file("m.fw"));
    let (new, out) = (file("new.csv"), file("p.csv"));
    let good = "a,b,y\n1,2,0.5\n3,4,1\n2,2,0.25\n5,4,1.5\n";
    fs::write(&train, good).unwrap();
    let map = ["--method", "map", "--hidden", "none", "--quiet"];
    ok(&[&["fit", text(&train), "--out", text(&model)], &map[..]].concat());
    let predict = ["predict", text(&model), text(&new), "--out", text(&out)];
    for (content, line, what) in [
        ("a,b,y\n1,2,\"?\n3,4,?\n5,6,?\n", "line 2", "never closed"),
        (
            "a,b,y\r\n1,2,?\r\n3,4,?\r\n5,6,\"",
            "line 4",
            "never closed",
        ),
        ("\u{feff}a,b,\"y\n1,2,?\n", "line 1", "never closed"),
        ("a,b,y\n\"1\"5,2,3\n", "line 2", "after its closing quote"),
        (
            "a,b,y\n1,2,3\n1,2,\"3\" \n",
            "line 3",
            "after its closing quote",
        ),
        ("a,b,y\n1,2,5\"\n", "line 2", "a quote inside"),
    ] {
        fs::write(&new, content).unwrap();
        refused(&predict, &["new.csv", line, what]);
        assert!(!out.exists());
        for command in [
            vec!["evaluate", text(&model), text(&new)],
            vec!["fit", text(&new), "--out", text(&out)],
            vec![
                "compare",
                text(&train),
                "--test",
                text(&new),
                "--methods",
                "map",
            ],
        ] {
            refused(&command, &["new.csv", line, what]);
        }
    }
    fs::write(
        &new,
        "a,\"b\",y\n1,2,\"of\ntwo \"\"lines\"\"\"\n\"3\",4,?\n5,6,\n",
    )
    .unwrap();
    assert!(ok(&predict).contains("3 rows"));
}

/// A link that leads nowhere, or to itself, is not replaced by a file.
#[cfg(unix)]
#[test]
fn a_link_to_nothing_is_refused_as_an_output() {
    let (dir, train, _) = split("yacht.csv");
    let link = dir.path().join("m.fw");
    for target in ["nothing.fw", "m.fw"] {
        std::os::unix::fs::symlink(target, &link).unwrap();
        refused(
            &["fit", text(&train), "--out", text(&link), "--method", "map"],
            &["m.fw", "a link that leads to no file"],
        );
        assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());
        std::fs::remove_file(&link).unwrap();
    }
    // a link to a file is followed
    let real = dir.path().join("real.fw");
    std::fs::write(&real, "").unwrap();
    std::os::unix::fs::symlink(&real, &link).unwrap();
    ok(&[
        "fit",
        text(&train),
        "--out",
        text(&link),
        "--method",
        "map",
        "--hidden",
        "none",
    ]);
    assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());
    assert!(std::fs::metadata(&real).unwrap().len() > 100);
    // more threads than make sense
    let many = [
        "predict",
        text(&real),
        text(&train),
        "--threads",
        "18446744073709551615",
    ];
    refused(&many, &["--threads", "at most 1024"]);
}
