//! Standard input and output in the place of files, counts in the singular, and misspelt values.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::common::program::{ok, piped, refused, split, without_warnings};

const MAP: [&str; 5] = ["--method", "map", "--hidden", "3", "--quiet"];

/// Runs in a directory with `input` piped in, and expects success; returns standard output.
fn fed(dir: &Path, args: &[&str], input: &[u8]) -> Vec<u8> {
    let out = piped(dir, args, input);
    let error = without_warnings(&out.stderr);
    assert_eq!(out.status.code(), Some(0), "{args:?}: {error}");
    assert_eq!(error, "", "{args:?}");
    out.stdout
}

/// Expects a status, nothing on standard output, and one line that contains all `words`.
fn failed(out: &Output, words: &[&str]) {
    let error = String::from_utf8_lossy(&out.stderr);
    assert_eq!(out.status.code(), Some(2), "{error}");
    assert_eq!(error.trim_end().lines().count(), 1, "one line: {error}");
    for word in words {
        assert!(error.contains(word), "'{word}' is not in: {error}");
    }
    assert!(out.stdout.is_empty());
}

/// The names in a directory, sorted.
fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap();
    let mut names: Vec<String> = entries
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn piped_rows_give_what_files_give() {
    let (dir, train, test) = split("glass.csv");
    let dir = dir.path();
    let (rows, new) = (fs::read(&train).unwrap(), fs::read(&test).unwrap());
    let fit = |from: &str, to: &str, input: &[u8]| {
        fed(
            dir,
            &[&["fit", from, "--out", to], &MAP[..]].concat(),
            input,
        );
        fs::read(dir.join(to)).unwrap()
    };
    let model = fit("train.csv", "m.fw", b"");
    assert!(fit("-", "piped.fw", &rows) == model);
    // a file that is called - is not the stream
    fs::write(dir.join("-"), &rows).unwrap();
    assert!(fit("./-", "file.fw", b"") == model);

    fed(
        dir,
        &["predict", "m.fw", "test.csv", "--out", "p.csv", "--quiet"],
        b"",
    );
    let predictions = fs::read(dir.join("p.csv")).unwrap();
    assert_eq!(fed(dir, &["predict", "m.fw", "-"], &new), predictions);
    let both = ["predict", "-", "test.csv", "--out", "-"];
    assert_eq!(fed(dir, &both, &model), predictions);

    let scores = fed(dir, &["evaluate", "m.fw", "test.csv", "--json"], b"");
    assert!(scores.starts_with(b"{"));
    assert_eq!(fed(dir, &["evaluate", "m.fw", "-", "--json"], &new), scores);
    assert_eq!(
        fed(dir, &["evaluate", "-", "test.csv", "--json"], &model),
        scores
    );

    let nll = |files: &[&str], input: &[u8]| {
        let more = ["--methods", "map", "--json", "--hidden", "3", "--quiet"];
        let said = fed(dir, &[&["compare"], files, &more].concat(), input);
        serde_json::from_slice::<serde_json::Value>(&said).unwrap()[0]["nll"].clone()
    };
    let expected = nll(&["train.csv", "--test", "test.csv"], b"");
    assert!(expected.is_number());
    assert_eq!(nll(&["-", "--test", "test.csv"], &rows), expected);
    assert_eq!(nll(&["train.csv", "--test", "-"], &new), expected);

    let about = |args: &[&str], input: &[u8]| String::from_utf8(fed(dir, args, input)).unwrap();
    let file = about(&["info", "m.fw"], b"");
    assert_eq!(
        about(&["info", "-"], &model),
        file.replace("m.fw", "standard input")
    );
}

/// The points of a walk are in memory and not in a file beside the model, and the model is the
/// same.
#[test]
fn a_model_on_standard_output_is_the_model_in_a_file() {
    let (dir, train, _) = split("yacht.csv");
    let (dir, rows) = (dir.path(), fs::read(&train).unwrap());
    let walk = "--hidden 3 --particles 4 --steps 30 --samples 12".split(' ');
    let walk: Vec<&str> = walk.collect();
    let fit = |out: &str, more: &[&str]| {
        let out = piped(
            dir,
            &[&["fit", "-", "--out", out], &walk[..], more].concat(),
            &rows,
        );
        assert_eq!(out.status.code(), Some(0));
        (out.stdout, String::from_utf8(out.stderr).unwrap())
    };
    let (said, error) = fit("m.fw", &[]);
    assert_eq!(error, "");
    let model = fs::read(dir.join("m.fw")).unwrap();
    let before = names(dir);
    let (bytes, aside) = fit("-", &[]);
    assert!(bytes == model);
    // the summary is beside the model; only the last line, with the time and the name, differs
    let without_last = |text: &str| text.trim_end().rsplit_once('\n').unwrap().0.to_string();
    let said = String::from_utf8(said).unwrap();
    assert_eq!(without_last(&aside), without_last(&said));
    assert!(aside.contains("standard output, method walk"), "{aside}");
    let (bytes, aside) = fit("-", &["--quiet", "--checkpoint-every", "0"]);
    assert!(bytes == model);
    // without the summary, its warnings are on standard error, and nothing else is
    let warnings = aside
        .lines()
        .map(|line| line.strip_prefix("warning: ").unwrap());
    let warnings: Vec<&str> = warnings.collect();
    assert!(
        !warnings.is_empty(),
        "so short a walk has not arrived: {said}"
    );
    assert!(
        warnings.iter().all(|text| said.contains(text)),
        "{aside} {said}"
    );
    assert_eq!(names(dir), before, "no file beside a model that is no file");
}

#[test]
fn what_a_stream_cannot_do_is_refused_in_one_line() {
    let (dir, train, _) = split("glass.csv");
    let (dir, rows) = (dir.path(), fs::read(&train).unwrap());
    fed(
        dir,
        &[&["fit", "train.csv", "--out", "m.fw"], &MAP[..]].concat(),
        b"",
    );
    let model = fs::read(dir.join("m.fw")).unwrap();
    let case = |args: &[&str], input: &[u8], words: &[&str]| {
        failed(&piped(dir, args, input), words);
    };
    let out = ["fit", "train.csv", "--out", "-"];
    for (more, words) in [
        (&["--json"][..], &["--out = -", "--json"][..]),
        (&["--resume"], &["--out = -", "--resume"]),
        (
            &["--checkpoint-every", "5"],
            &["--out = -", "--checkpoint-every"],
        ),
    ] {
        case(&[&out[..], more].concat(), b"", words);
    }
    let twice = ["standard input", "already"];
    for args in [
        &["predict", "-", "-"][..],
        &["evaluate", "-", "-"],
        &["compare", "-", "--test", "-"],
    ] {
        case(args, &model, &twice);
    }
    let fit = [&["fit", "-", "--out", "new.fw"], &MAP[..]].concat();
    for (input, words) in [
        (&b""[..], &["standard input: it is empty"][..]),
        (b"\n\n", &["standard input: it is empty"]),
        (
            b"a,y\n1,2\n3,x\n",
            &["standard input, line 3, column 'y'", "'x'"],
        ),
        (
            b"a,y\n1,2\n\n3,\"4\n",
            &["standard input, line 4", "never closed"],
        ),
        (b"a,y\n1,\xff\n", &["standard input, line 2", "UTF-8"]),
        (
            b"a,y\n1,2\n3,2\n",
            &["standard input, column 'y'", "nothing to learn"],
        ),
        (b"\x00\x00\x08\x03", &["standard input: images"]),
        (b"\x1f\x8b\x08\x00", &["standard input: images", "gzip"]),
    ] {
        case(&fit, input, words);
    }
    assert!(!dir.join("new.fw").exists());
    case(
        &["predict", "m.fw", "-"],
        b"ri,na\n1,2\n",
        &["standard input, line 1", "column"],
    );
    case(
        &["evaluate", "m.fw", "-"],
        b"",
        &["standard input: it is empty"],
    );
    let lost = model.len() / 2;
    for args in [&["predict", "-", "train.csv"][..], &["info", "-"]] {
        case(
            args,
            &model[..lost],
            &["standard input: not a usable fiberwalk model"],
        );
        case(
            args,
            &rows,
            &["standard input: not a usable fiberwalk model"],
        );
    }
}

/// As `head` does when it has seen enough: no message, and the status that shells know for it.
#[test]
fn a_closed_pipe_ends_the_program_quietly() {
    let (dir, _, test) = split("glass.csv");
    let dir = dir.path();
    fed(
        dir,
        &[&["fit", "train.csv", "--out", "m.fw"], &MAP[..]].concat(),
        b"",
    );
    let (rows, model) = (fs::read(test).unwrap(), fs::read(dir.join("m.fw")).unwrap());
    for (args, input) in [
        (["predict", "m.fw", "-"], &rows),
        (["evaluate", "m.fw", "-"], &rows),
        (["info", "-", "--json"], &model),
    ] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_fiberwalk"))
            .args(args)
            .current_dir(dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // closed before the program has read its input, so before it can have written anything
        drop(child.stdout.take());
        child.stdin.take().unwrap().write_all(input).unwrap();
        let out = child.wait_with_output().unwrap();
        assert_eq!(out.status.code(), Some(141), "{args:?}");
        assert!(out.stderr.is_empty(), "{args:?}");
    }
}

#[test]
fn one_of_something_is_singular() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let fit = [
        "fit", "-", "--out", "m.fw", "--method", "map", "--hidden", "none",
    ];
    let said = fed(dir, &fit, b"a,y\n1,2.5\n2,3.5\n4,4.25\n5,8\n");
    let said = String::from_utf8(said).unwrap();
    assert!(said.contains("4 rows, 1 feature"), "{said}");
    assert!(!said.contains("1 features"), "{said}");
    let info = String::from_utf8(fed(dir, &["info", "m.fw"], b"")).unwrap();
    assert!(info.contains("from 1 feature\n"), "{info}");
    let predict = ["predict", "m.fw", "-", "--out", "p.csv"];
    assert_eq!(fed(dir, &predict, b"a\n3\n"), b"p.csv: 1 row\n");
    assert_eq!(fed(dir, &predict, b"a\n3\n4\n"), b"p.csv: 2 rows\n");
    let other = piped(dir, &predict, b"a,b\n3,4\n");
    assert_eq!(other.status.code(), Some(0));
    assert_eq!(
        other.stderr,
        b"note: 1 column that the model does not use: b\n"
    );
}

#[test]
fn a_misspelt_value_is_answered_with_a_name_that_exists() {
    for (args, meant) in [
        (&["--methd", "map"][..], "'--method'"),
        (&["--method", "flwo"], "'flow'"),
        (&["--method", "laplace-kfca"], "'laplace-kfac'"),
        (&["--kernel", "micro"], "'microcanonical'"),
        (&["--activation", "tahn"], "'tanh'"),
        (&["--likelihood", "poison"], "'poisson'"),
        (&["--prior", "hierarchicl"], "'hierarchical'"),
        (&["--flow", "unit"], "'units'"),
        (&["--feature-transform", "heavy-tail"], "'heavy-tails'"),
        (&["--target-transform", "logs"], "'log'"),
        (&["--precision", "f23"], "'f32'"),
        (&["--task", "regresion"], "'regression'"),
    ] {
        let fit = ["fit", "t.csv", "--out", "m.fw"];
        refused(&[&fit[..], args].concat(), &["a similar", meant]);
    }
    let methods = ["compare", "t.csv", "--methods", "map,wlak"];
    refused(&methods, &["a similar value exists: 'walk'"]);
    refused(&["predct", "m.fw"], &["a similar", "'predict'"]);
    refused(&["completions", "bsh"], &["a similar", "'bash'"]);
    // a word that is like none of them has no suggestion, only the list
    let other = piped(
        Path::new("."),
        &["fit", "t.csv", "--out", "m.fw", "--method", "mcmc"],
        b"",
    );
    failed(&other, &["must be one of map, ensemble"]);
    assert!(!String::from_utf8_lossy(&other.stderr).contains("similar"));
}

#[test]
fn help_says_where_a_dash_is_a_stream() {
    for (command, inputs, outputs) in [
        ("fit", 1, 1),
        ("predict", 2, 1),
        ("evaluate", 2, 0),
        ("compare", 2, 0),
        ("info", 1, 0),
    ] {
        let help = ok(&[command, "--help"]);
        let help: Vec<&str> = help.split_whitespace().collect();
        let count = |stream: &str| help.join(" ").matches(&format!("or -: {stream}")).count();
        assert_eq!(count("standard input"), inputs, "{command}");
        assert_eq!(count("standard output"), outputs, "{command}");
    }
}
