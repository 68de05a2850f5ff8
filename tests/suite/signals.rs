//! A signal in the middle of a fit: the walk is kept, and goes on to the same bits.
#![cfg(unix)]

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::common::program::{fiberwalk, ok, split, text};

/// Sends a signal. The shell has a command for it wherever there is a shell.
fn send(signal: &str, pid: u32) {
    let command = format!("kill {signal} {pid}");
    let status = Command::new("sh").args(["-c", &command]).status().unwrap();
    assert!(status.success(), "{command}");
}

/// Starts a fit, sends a signal once the walk has begun, and returns status and standard error.
fn interrupted(args: &[&str], walking: &Path, signal: &str) -> (Option<i32>, String) {
    let child = Command::new(env!("CARGO_BIN_EXE_fiberwalk"))
        .args(args)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let started = Instant::now();
    while !walking.exists() {
        assert!(
            started.elapsed() < Duration::from_secs(120),
            "no walk began"
        );
        std::thread::sleep(Duration::from_millis(2));
    }
    send(signal, child.id());
    let out = child.wait_with_output().unwrap();
    (out.status.code(), String::from_utf8(out.stderr).unwrap())
}

#[test]
fn a_signal_leaves_a_checkpoint_that_goes_on_to_the_same_bits() {
    let (dir, train, _) = split("glass.csv");
    let fit = |name: &str, more: &[&str]| {
        let out = dir.path().join(name);
        let walk = [
            "--hidden",
            "8",
            "--particles",
            "8",
            "--steps",
            "1500",
            "--quiet",
        ];
        let args = [&["fit", text(&train), "--out", text(&out)], &walk[..], more].concat();
        (
            args.iter()
                .map(ToString::to_string)
                .collect::<Vec<String>>(),
            out,
        )
    };
    let (args, whole) = fit("whole.fw", &[]);
    ok(&args.iter().map(String::as_str).collect::<Vec<_>>());
    for (signal, status) in [("-INT", 130), ("-TERM", 143)] {
        let (args, out) = fit("m.fw", &[]);
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let points = dir.path().join("m.fw.points");
        let (code, said) = interrupted(&args, &points, signal);
        assert_eq!(code, Some(status), "{said}");
        assert_eq!(said.trim_end().lines().count(), 1, "{said}");
        for words in ["interrupted at stage walk", "m.fw.checkpoint", "--resume"] {
            assert!(said.contains(words), "{said}");
        }
        assert!(!out.exists(), "no model yet");
        ok(&[&args[..], &["--resume"]].concat());
        assert!(
            fs::read(&out).unwrap() == fs::read(&whole).unwrap(),
            "{signal}"
        );
        assert!(!points.exists() && !dir.path().join("m.fw.checkpoint").exists());
        // without --resume the walk is lost, and the user is told
        fs::remove_file(&out).unwrap();
        interrupted(&args, &points, signal);
        let anew = fiberwalk(&args);
        let said = String::from_utf8(anew.stderr).unwrap();
        assert!(
            said.contains("holds an interrupted walk, which this fit replaces"),
            "{said}"
        );
        assert!(fs::read(&out).unwrap() == fs::read(&whole).unwrap());
        fs::remove_file(&out).unwrap();
    }
}

/// What cannot be resumed leaves nothing behind.
#[test]
fn a_signal_without_checkpoints_leaves_nothing() {
    let (dir, train, _) = split("glass.csv");
    let out = dir.path().join("m.fw");
    let args = [
        "fit",
        text(&train),
        "--out",
        text(&out),
        "--steps",
        "3000",
        "--checkpoint-every",
        "0",
    ];
    let before = fs::read_dir(dir.path()).unwrap().count();
    let (code, said) = interrupted(&args, &dir.path().join("m.fw.points"), "-INT");
    assert_eq!(code, Some(130), "{said}");
    assert!(said.contains("nothing was kept"), "{said}");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), before);
}

/// A program that waits for its input ends by the signal, as any other.
#[test]
fn a_signal_before_a_fit_ends_the_program_at_once() {
    let (dir, train, _) = split("yacht.csv");
    let out = dir.path().join("m.fw");
    ok(&[
        "fit",
        text(&train),
        "--out",
        text(&out),
        "--method",
        "map",
        "--hidden",
        "none",
    ]);
    for args in [["predict", text(&out), "-"], ["fit", "-", "--out=other.fw"]] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_fiberwalk"))
            .args(args)
            .current_dir(dir.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(300));
        send("-TERM", child.id());
        // the standard input is still open: only the signal can end it
        let status = child.wait().unwrap();
        assert_eq!(status.code(), None, "{args:?}");
    }
}
