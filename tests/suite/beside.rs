//! Files beside a model: what is not the program's own is neither replaced nor removed, and a disk
//! that is full is given back what a failed walk has taken.

use std::fs;
use std::path::{Path, PathBuf};
#[cfg(unix)]
use std::process::{Command, Output};

use crate::common::program::{ok, refused, split, text};
use fiberwalk::artifact::{CheckpointHeader, remove_checkpoint, write_checkpoint};
use fiberwalk::error::Error;

const WALK: &str = "--particles 4 --samples 2000 --hidden 4 --steps 2000 --prior evidence --quiet";

fn fit_args<'a>(train: &'a Path, out: &'a Path, more: &'a str) -> Vec<&'a str> {
    let files = ["fit", text(train), "--out", text(out)];
    let words = WALK.split(' ').chain(more.split_whitespace());
    files.into_iter().chain(words).collect()
}

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name());
    let mut all: Vec<String> = entries.map(|n| n.to_str().unwrap().into()).collect();
    all.sort();
    all
}

/// Each of the names that a fit may write to or remove, with a file of somebody else there.
#[test]
fn a_file_of_somebody_else_beside_the_model_is_left_alone() {
    let (dir, train, _) = split("glass.csv");
    let out = dir.path().join("m");
    let often = fit_args(&train, &out, "--checkpoint-every 0.0001");
    for (ending, words) in [
        (".checkpoint", "not a checkpoint of a walk"),
        (".points", "not a file of points of a walk"),
        (".lock", "not a lock of a fit"),
        (".checkpoint.lock", "not a lock of a fit"),
        (".points.lock", "not a lock of a fit"),
    ] {
        let name = format!("m{ending}");
        let path = dir.path().join(&name);
        fs::write(&path, "notes\n").unwrap();
        refused(&often, &[&name, words]);
        assert_eq!(fs::read(&path).unwrap(), b"notes\n", "{name}");
        assert_eq!(names(dir.path()), [&name[..], "test.csv", "train.csv"]);
        fs::remove_file(&path).unwrap();
    }
    // whoever writes no checkpoint needs no place for one, and leaves what is there
    let checkpoint = dir.path().join("m.checkpoint");
    fs::write(&checkpoint, "notes\n").unwrap();
    ok(&fit_args(&train, &out, "--checkpoint-every 0"));
    assert_eq!(fs::read(&checkpoint).unwrap(), b"notes\n");
    let map = ["fit", text(&train), "--out", text(&out), "--method", "map"];
    ok(&[&map[..], &["--hidden", "3", "--quiet"]].concat());
    assert_eq!(fs::read(&checkpoint).unwrap(), b"notes\n");
    let left = ["m", "m.checkpoint", "test.csv", "train.csv"];
    assert_eq!(names(dir.path()), left);
}

/// Also if it comes there while the walk goes on.
#[test]
fn a_checkpoint_replaces_only_a_checkpoint() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("c");
    let header = CheckpointHeader::default();
    let write = || write_checkpoint::<f32>(&path, &header, |_| Ok(()));
    write().unwrap();
    write().unwrap();
    for other in ["notes", "fiberwalk points 1             \n"] {
        fs::write(&path, other).unwrap();
        let error = write().unwrap_err();
        assert!(matches!(error, Error::Io { .. }), "{error}");
        remove_checkpoint(&path).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), other);
    }
}

#[test]
fn splits_do_not_overwrite_the_rows_they_are_made_of() {
    let (dir, train, _) = split("glass.csv");
    let rows: PathBuf = dir.path().join("seed1_train.csv");
    fs::rename(&train, &rows).unwrap();
    let before = fs::read(&rows).unwrap();
    let compare = ["compare", text(&rows), "--methods", "map", "--hidden", "3"];
    let into = [
        "--write-splits",
        text(dir.path()),
        "--seeds",
        "2",
        "--quiet",
    ];
    refused(
        &[&compare[..], &into].concat(),
        &["--write-splits", "seed1_train.csv", "one of the inputs"],
    );
    assert_eq!(fs::read(&rows).unwrap(), before);
    assert_eq!(names(dir.path()), ["seed1_train.csv", "test.csv"]);
}

/// Runs the program where no file may be longer than so many blocks of 512 bytes.
#[cfg(unix)]
fn limited(blocks: usize, args: &[&str]) -> Output {
    // without the trap, a signal would end the program where a full disk gives an error
    let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"");
    let program = env!("CARGO_BIN_EXE_fiberwalk");
    let mut shell = Command::new("sh");
    shell.args(["-c", &script, program]).args(args);
    shell.output().unwrap()
}

/// A file that may not grow fails as one on a full disk does.
#[cfg(unix)]
#[test]
fn a_walk_that_finds_no_room_says_what_is_lost_and_leaves_nothing() {
    let (dir, train, _) = split("glass.csv");
    let out = dir.path().join("m.fw");
    fs::write(&out, "old").unwrap();
    let failed = |blocks, more| {
        let output = limited(blocks, &fit_args(&train, &out, more));
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert_eq!(said.trim_end().lines().count(), 1, "{said}");
        assert_eq!(fs::read(&out).unwrap(), b"old");
        said
    };
    let before = names(dir.path());
    // the points do not fit
    let said = failed(40, "--checkpoint-every 0");
    assert!(said.contains("m.fw.points: File too large"), "{said}");
    assert!(
        said.contains("the walk is lost, and its points are removed"),
        "{said}"
    );
    assert_eq!(names(dir.path()), before);
    // there is room for the points, and none for the model, which is a little larger
    ok(&fit_args(&train, &out, "--checkpoint-every 0"));
    let size = fs::metadata(&out).unwrap().len() as usize;
    fs::write(&out, "old").unwrap();
    let said = failed(size / 512 - 1, "--checkpoint-every 0");
    assert!(said.contains("m.fw: File too large"), "{said}");
    assert!(
        said.contains("the walk is lost, and its points are removed"),
        "{said}"
    );
    assert_eq!(names(dir.path()), before);
    // with a checkpoint, the walk can be resumed
    let said = failed(size / 512 - 1, "--checkpoint-every 0.0001");
    assert!(said.contains("m.fw.checkpoint holds the walk"), "{said}");
    ok(&fit_args(&train, &out, "--resume --checkpoint-every 0"));
    assert_eq!(fs::metadata(&out).unwrap().len() as usize, size);
    assert_eq!(names(dir.path()), before);
}

/// `predict --out` and `compare --write-splits` where the disk is full after so many blocks: what
/// was there is whole, and the same command then succeeds.
#[cfg(unix)]
#[test]
fn tables_that_find_no_room_leave_what_was_there() {
    let (dir, train, test) = split("glass.csv");
    let (out, predicted) = (dir.path().join("m.fw"), dir.path().join("p.csv"));
    let fit = ["fit", text(&train), "--out", text(&out), "--method", "map"];
    ok(&[&fit[..], &["--hidden", "3", "--quiet"]].concat());
    let predict = [
        "predict",
        text(&out),
        text(&test),
        "--out",
        text(&predicted),
        "--quiet",
    ];
    ok(&predict);
    let want = fs::read(&predicted).unwrap();
    let splits = dir.path().join("splits");
    let compare = [
        "compare",
        text(&train),
        "--methods",
        "map",
        "--hidden",
        "3",
        "--quiet",
    ];
    let compare = [&compare[..], &["--write-splits", text(&splits)]].concat();
    ok(&compare);
    let rows = |name: &str| fs::read(splits.join(name)).unwrap();
    let both = ["seed0_test.csv", "seed0_train.csv"];
    let written = both.map(rows);
    let sizes = written.iter().map(Vec::len).chain([want.len()]);
    assert!(sizes.clone().min().unwrap() > 512 && sizes.max().unwrap() < 512 * 64);
    for blocks in [0, 1, 2, 4, 8, 12, 16, 24, 32, 64] {
        fs::write(&predicted, "old").unwrap();
        let output = limited(blocks, &predict);
        let now = fs::read(&predicted).unwrap();
        let code = output.status.code();
        assert!((code == Some(0) && now == want) || (code == Some(1) && now == b"old"));
        ok(&predict);
        assert!(fs::read(&predicted).unwrap() == want);

        fs::remove_dir_all(&splits).unwrap();
        let output = limited(blocks, &compare);
        let all = names(&splits);
        let whole = |name: &String| written[usize::from(name == both[1])] == rows(name);
        assert!(all.iter().all(whole), "{blocks}: {all:?}");
        let code = output.status.code();
        assert!(
            (code == Some(0) && all == both) || code == Some(1),
            "{blocks}: {code:?}"
        );
        ok(&compare);
        assert!(
            names(&splits) == both && both.map(rows) == written,
            "{blocks}"
        );
    }
}
