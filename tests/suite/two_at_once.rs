//! Two fits that write to the same files.
//!
//! The second is refused in one line, and the first ends as if it had been alone.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::common::data_file;
use crate::common::program::{ok, refused, split, text};
use fiberwalk::Error;
use fiberwalk::artifact::Claim;
use fiberwalk::data::{CsvOptions, load_csv};
use fiberwalk::pipeline::{
    AtlasSettings, CheckpointOptions, FitOptions, MethodOptions, PointsSettings, WalkSettings, fit,
};

const WALK: &str =
    "--particles 6 --samples 6000 --hidden 5 --steps 4000 --checkpoint-every 0.0001 --quiet";

fn fit_args<'a>(train: &'a Path, out: &'a Path, more: &'a str) -> Vec<&'a str> {
    let files = ["fit", text(train), "--out", text(out)];
    let words = WALK.split(' ').chain(more.split_whitespace());
    files.into_iter().chain(words).collect()
}

/// A fit without a walk.
fn map_args<'a>(train: &'a Path, out: &'a Path) -> Vec<&'a str> {
    let small = ["--method", "map", "--hidden", "5", "--quiet"];
    [&["fit", text(train), "--out", text(out)], &small[..]].concat()
}

/// Starts a fit, and waits until it has kept points and written a checkpoint.
fn started(args: &[&str], out: &Path) -> Child {
    let mut child = Command::new(env!("CARGO_BIN_EXE_fiberwalk"))
        .args(args)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let (points, checkpoint) = (
        out.with_extension("fw.points"),
        out.with_extension("fw.checkpoint"),
    );
    let late = Instant::now() + Duration::from_secs(120);
    while fs::metadata(&points).map_or(true, |m| m.len() <= 32) || !checkpoint.exists() {
        assert!(Instant::now() < late, "no points came");
        assert!(child.try_wait().unwrap().is_none(), "it was over too soon");
        std::thread::sleep(Duration::from_millis(1));
    }
    child
}

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name());
    let mut all: Vec<String> = entries.map(|n| n.to_str().unwrap().into()).collect();
    // a kill in the middle of a write may leave a temporary file
    all.retain(|name| !name.starts_with(".fiberwalk-"));
    all.sort();
    all
}

#[test]
fn a_second_fit_to_the_same_files_is_refused_and_the_first_is_whole() {
    let (dir, train, test) = split("glass.csv");
    let (alone, out) = (dir.path().join("alone.fw"), dir.path().join("m.fw"));
    ok(&fit_args(&train, &alone, ""));
    let mut first = started(&fit_args(&train, &out, ""), &out);
    let points = dir.path().join("m.fw.points");
    let checkpoint = dir.path().join("m.fw.checkpoint");
    let predict = ["predict", text(&alone), text(&test), "--out", text(&points)];
    let other = dir.path().join("n.fw");
    let seconds = [
        (fit_args(&train, &out, "--seed 1"), "m.fw"),
        (fit_args(&train, &out, "--resume"), "m.fw"),
        (map_args(&train, &out), "m.fw"),
        // under other names: files that the first keeps beside its model
        (fit_args(&train, &points, "--seed 1"), "m.fw.points"),
        (fit_args(&train, &checkpoint, "--seed 1"), "m.fw.checkpoint"),
        (predict.to_vec(), "m.fw.points"),
    ];
    for (args, file) in seconds {
        refused(&args, &[&format!("{file}: in use"), "wait", "another file"]);
        assert!(first.try_wait().unwrap().is_none(), "it was over too soon");
    }
    // a fit to another file is allowed
    ok(&map_args(&train, &other));
    assert!(first.wait().unwrap().success());
    assert!(fs::read(&alone).unwrap() == fs::read(&out).unwrap());
    let left = ["alone.fw", "m.fw", "n.fw", "test.csv", "train.csv"];
    assert_eq!(names(dir.path()), left, "no lock and nothing else stays");
}

#[test]
fn a_fit_that_was_killed_blocks_nobody() {
    let (dir, train, _) = split("glass.csv");
    let (alone, out) = (dir.path().join("alone.fw"), dir.path().join("m.fw"));
    let mut first = started(&fit_args(&train, &out, ""), &out);
    first.kill().unwrap();
    assert!(!first.wait().unwrap().success());
    assert!(names(dir.path()).contains(&"m.fw.lock".into()));
    ok(&fit_args(&train, &out, "--resume"));
    ok(&fit_args(&train, &alone, ""));
    assert!(fs::read(&alone).unwrap() == fs::read(&out).unwrap());
    assert_eq!(
        names(dir.path()),
        ["alone.fw", "m.fw", "test.csv", "train.csv"]
    );
    // a fit that is refused leaves no lock either
    refused(&fit_args(&train, &out, "--walk-batch 0"), &["walk_batch"]);
    assert_eq!(
        names(dir.path()),
        ["alone.fw", "m.fw", "test.csv", "train.csv"]
    );
    // a file of another kind is not taken for a lock
    let lock = dir.path().join("m.fw.lock");
    fs::write(&lock, "notes").unwrap();
    refused(&fit_args(&train, &out, ""), &["m.fw.lock", "not a lock"]);
    assert_eq!(fs::read(&lock).unwrap(), b"notes");
    fs::rename(&train, &lock).unwrap();
    refused(
        &fit_args(&lock, &out, ""),
        &["m.fw.lock", "one of the inputs"],
    );
}

/// A fit that starts while another fit of the same program is running.
#[test]
fn two_fits_of_one_program_are_told_apart() {
    let data = load_csv(&data_file("snelson1d.csv"), &CsvOptions::default()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let (spool, path) = (dir.path().join("points"), dir.path().join("checkpoint"));
    let by = |method: MethodOptions| FitOptions {
        hidden: vec![3],
        prior_precision: Some(1.0),
        noise_std: Some(0.5),
        method,
        ..FitOptions::default()
    };
    let walk = WalkSettings {
        particles: Some(3),
        samples: 6,
        steps: Some(30),
        ..WalkSettings::default()
    };
    let spooled = PointsSettings {
        walk,
        spool: Some(spool.clone()),
        ..PointsSettings::default()
    };
    let spooled = by(spooled.into());
    let checkpoint = |resume, every| {
        let path = path.clone();
        Some(CheckpointOptions {
            path,
            every,
            resume,
            ..CheckpointOptions::default()
        })
    };
    let kept = |resume, every| PointsSettings {
        walk,
        checkpoint: checkpoint(resume, every),
        ..PointsSettings::default()
    };
    let atlas = AtlasSettings {
        walk,
        checkpoint: checkpoint(false, Some(Duration::ZERO)),
        ..AtlasSettings::default()
    };
    let often = by(kept(false, Some(Duration::ZERO)).into());
    let resumed = by(kept(true, None).into());
    let seconds = [
        (&spooled, vec![spooled.clone()], &spool),
        (
            &often,
            vec![often.clone(), resumed, by(atlas.into())],
            &path,
        ),
    ];
    for (first, others, file) in seconds {
        let errors = Mutex::new(Vec::new());
        let asked = AtomicBool::new(false);
        let result = fit::<f32>(&data, first, &|_, _, _| {
            if asked.swap(true, Ordering::SeqCst) {
                return;
            }
            for other in &others {
                let second = fit::<f32>(&data, other, &|_, _, _| ());
                errors.lock().unwrap().push(second.err());
            }
        });
        let result = result.unwrap();
        let errors = errors.into_inner().unwrap();
        assert_eq!(errors.len(), others.len());
        for error in errors {
            let named = matches!(&error, Some(Error::InUse { path }) if path == file);
            assert!(named, "{error:?}");
        }
        // a model whose points are in the file keeps the lock until it is dropped
        let free = Claim::of(file).is_ok();
        assert_eq!(free, file != &spool);
        drop(result);
        assert!(Claim::of(file).is_ok());
        fit::<f32>(&data, first, &|_, _, _| ()).unwrap();
    }
    assert!(
        names(dir.path())
            .iter()
            .all(|name| !name.ends_with(".lock"))
    );
}
