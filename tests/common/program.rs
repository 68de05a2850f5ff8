//! Running the program as its users do.

#![cfg(feature = "cli")]

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

use super::data_file;

pub fn fiberwalk(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_fiberwalk"))
        .args(args)
        .output()
        .unwrap()
}

/// Runs in a directory, with `input` on standard input.
pub fn piped(dir: &Path, args: &[&str], input: &[u8]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_fiberwalk"))
        .args(args)
        .current_dir(dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let output = std::thread::scope(|scope| {
        // a program that refuses its arguments ends without reading, and this write then fails
        scope.spawn(move || stdin.write_all(input).is_ok());
        child.wait_with_output()
    });
    output.unwrap()
}

pub fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// What is on standard error besides notes on the table, and warnings about a fit, which short fits
/// have.
pub fn without_warnings(error: &[u8]) -> String {
    let error = String::from_utf8_lossy(error);
    let said = |line: &&str| line.starts_with("warning: ") || line.starts_with("note: ");
    let others = error.lines().filter(|line| !said(line));
    others.map(|line| format!("{line}\n")).collect()
}

/// Runs and expects success; returns standard output.
pub fn ok(args: &[&str]) -> String {
    let out = fiberwalk(args);
    let error = without_warnings(&out.stderr);
    assert!(out.status.success(), "{args:?}: {error}");
    assert_eq!(error, "", "nothing on standard error without a terminal");
    String::from_utf8(out.stdout).unwrap()
}

/// Runs and expects status 2 with one line that contains all `words`.
pub fn refused(args: &[&str], words: &[&str]) {
    let out = fiberwalk(args);
    let error = String::from_utf8_lossy(&out.stderr).into_owned();
    assert_eq!(out.status.code(), Some(2), "{args:?}: {error}");
    assert_eq!(error.trim_end().lines().count(), 1, "one line: {error}");
    for word in words {
        assert!(error.contains(word), "'{word}' is not in: {error}");
    }
    assert!(out.stdout.is_empty());
}

/// Every fourth row of a data file for testing, the others for training, in a new temporary
/// directory.
pub fn split(name: &str) -> (TempDir, PathBuf, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let all = fs::read_to_string(data_file(name)).unwrap();
    let mut lines = all.lines();
    let header = lines.next().unwrap();
    let (mut train, mut test) = (vec![header], vec![header]);
    for (i, line) in lines.enumerate() {
        if i % 4 == 3 {
            test.push(line)
        } else {
            train.push(line)
        }
    }
    let paths = (dir.path().join("train.csv"), dir.path().join("test.csv"));
    fs::write(&paths.0, train.join("\n")).unwrap();
    fs::write(&paths.1, test.join("\n")).unwrap();
    (dir, paths.0, paths.1)
}

pub fn scores(model: &Path, test: &Path) -> serde_json::Value {
    serde_json::from_str(&ok(&["evaluate", text(model), text(test), "--json"])).unwrap()
}

pub fn csv_rows(path: &Path) -> Vec<Vec<f64>> {
    let table = fs::read_to_string(path).unwrap();
    table
        .lines()
        .skip(1)
        .map(|l| l.split(',').map(|c| c.parse().unwrap()).collect())
        .collect()
}
