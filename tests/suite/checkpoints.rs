//! A fit that is killed while it walks, and resumed, gives the same file.
//!
//! Any other use of its checkpoint is refused.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use crate::common::data_file;
use crate::common::program::{fiberwalk, ok, refused, split, text};
use fiberwalk::data::{CsvOptions, load_csv};
use fiberwalk::pipeline::{
    CheckpointOptions, FitOptions, MicrocanonicalSettings, PointsSettings, WalkSettings, fit,
};
use proptest::prelude::*;

fn changed(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|m| m.modified()).ok()
}

/// Starts the program, waits until the checkpoint has changed `times` times, and kills it. With
/// `kept`, only changes after points were kept count. Returns false if the program ended first.
fn killed(args: &[&str], checkpoint: &Path, times: usize, kept: bool) -> bool {
    let mut child = Command::new(env!("CARGO_BIN_EXE_fiberwalk"))
        .args(args)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let (mut last, mut seen) = (changed(checkpoint), 0);
    let late = Instant::now() + Duration::from_secs(120);
    while seen < times {
        assert!(Instant::now() < late, "no checkpoint came");
        if child.try_wait().unwrap().is_some() {
            return false;
        }
        let now = changed(checkpoint);
        let points = fs::metadata(checkpoint.with_extension("points"));
        if kept && points.map_or(true, |m| m.len() <= 32) {
            last = now;
        }
        if now != last && now.is_some() {
            (last, seen) = (now, seen + 1);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    // SIGKILL: nothing is tidied up
    child.kill().unwrap();
    !child.wait().unwrap().success()
}

#[test]
fn a_killed_fit_is_resumed_to_the_same_bits() {
    let (dir, train, _) = split("glass.csv");
    let file = |name: &str| dir.path().join(name);
    for (method, kernel, steps) in [
        // scales are sampled
        ("walk", "microcanonical", "300"),
        ("walk", "microcanonical --starts 2", "auto"),
        ("walk", "microcanonical --starts 2 --walk-batch 20", "300"),
        ("flow", "microcanonical --starts 2 --adjusted", "150"),
        ("walk", "drift --starts 2", "2000"),
        ("flow", "drift --starts 2", "600"),
        ("walk", "tangent --starts 2", "100"),
    ] {
        let settings = format!(
            "--method {method} --kernel {kernel} --steps {steps} --particles 11 --samples 44 --hidden 12,8 --quiet"
        );
        let settings: Vec<&str> = settings.split(' ').collect();
        let (whole, parts) = (file("whole.fw"), file("parts.fw"));
        let checkpoint = file("parts.fw.checkpoint");
        let never = ["--checkpoint-every", "0"];
        let fit_whole = ["fit", text(&train), "--out", text(&whole)];
        ok(&[&fit_whole[..], &settings, &never].concat());
        // killed early, killed again later, each time on another number of threads
        let mut kills = 0;
        for (times, threads) in [(1, "2"), (6, "1"), (12, "8")] {
            let often = ["--checkpoint-every", "0.0001", "--threads", threads];
            let mut args = ["fit", text(&train), "--out", text(&parts)].to_vec();
            args.extend(settings.iter().chain(&often));
            if checkpoint.exists() {
                args.push("--resume");
            }
            if parts.exists() || !killed(&args, &checkpoint, times, false) {
                break;
            }
            kills += 1;
        }
        assert!(kills > 0, "{method} {kernel}: the walk was over too soon");
        if !parts.exists() {
            let end = ["--resume", "--threads", "2"];
            let fit_parts = ["fit", text(&train), "--out", text(&parts)];
            ok(&[&fit_parts[..], &settings, &end].concat());
        }
        let same = fs::read(&whole).unwrap() == fs::read(&parts).unwrap();
        assert!(same, "{method} {kernel} after {kills} kills");
        assert!(!checkpoint.exists(), "removed with the model written");
        fs::remove_file(parts).unwrap();
    }
    let left = fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().path());
    // a kill in the middle of a write may leave a temporary file, and nothing else
    let known = ["train.csv", "test.csv", "whole.fw"];
    for path in left {
        let name = path.file_name().unwrap().to_str().unwrap().to_string();
        assert!(known.contains(&&name[..]) || name.starts_with(".fiberwalk-"));
    }
}

/// Killed after points had gone to their file, and again after a restart without resume had begun.
/// The points are still there to go on with.
#[test]
fn a_fit_that_is_killed_after_points_were_kept_is_resumed_to_the_same_bits() {
    let (dir, train, _) = split("glass.csv");
    let (whole, parts) = (dir.path().join("whole.fw"), dir.path().join("parts.fw"));
    let checkpoint = dir.path().join("parts.fw.checkpoint");
    let points = dir.path().join("parts.fw.points");
    let settings = "--prior evidence --particles 6 --samples 6000 --hidden 5 --steps 4000 --quiet";
    let fit = |out: &Path, more: &str| -> Vec<String> {
        let words = format!("{settings} {more}");
        let words = words.split(' ').map(String::from);
        let files = ["fit", text(&train), "--out", text(out)].map(String::from);
        files.into_iter().chain(words).collect()
    };
    let run = |args: &[String]| ok(&args.iter().map(|a| &a[..]).collect::<Vec<_>>());
    let kill = |args: &[String], times, kept| {
        killed(
            &args.iter().map(|a| &a[..]).collect::<Vec<_>>(),
            &checkpoint,
            times,
            kept,
        )
    };
    run(&fit(&whole, "--checkpoint-every 0"));
    assert!(kill(&fit(&parts, "--checkpoint-every 0.0001"), 3, true));
    let before = fs::metadata(&points).unwrap().len();
    assert!(before > 32);
    // a restart by mistake: it ends after training, once it has opened the file of points, and
    // before it has kept anything
    let restart = fit(&parts, "--checkpoint-every 600 --max-memory 1 --threads 8");
    let restart: Vec<&str> = restart.iter().map(|a| &a[..]).collect();
    refused(&restart, &["max_memory = 1 MiB", "the walk needs"]);
    assert_eq!(fs::metadata(&points).unwrap().len(), before);
    run(&fit(&parts, "--resume --threads 2"));
    assert!(fs::read(&whole).unwrap() == fs::read(&parts).unwrap());
    assert!(!points.exists() && !checkpoint.exists());
}

/// A checkpoint of a small fit that was killed, in the directory of its data.
fn abandoned(settings: &str) -> (tempfile::TempDir, std::path::PathBuf, Vec<String>) {
    let (dir, train, _) = split("glass.csv");
    let out = dir.path().join("m.fw");
    let checkpoint = dir.path().join("m.fw.checkpoint");
    let mut args = vec!["fit", text(&train), "--out", text(&out)];
    args.extend(settings.split(' '));
    let often = ["--checkpoint-every", "0.0001"];
    let killed = killed(&[&args[..], &often].concat(), &checkpoint, 2, true);
    assert!(killed && !out.exists());
    let args = args.iter().map(|a| a.to_string()).collect();
    (dir, checkpoint, args)
}

#[test]
fn a_checkpoint_of_another_fit_is_refused() {
    let (dir, checkpoint, args) =
        abandoned("--particles 6 --samples 6000 --hidden 5 --steps 4000 --quiet");
    let args: Vec<&str> = args.iter().map(|a| &a[..]).collect();
    let with = |more: &[&str], words: &[&str]| {
        let words: Vec<&str> = ["m.fw.checkpoint"].iter().chain(words).copied().collect();
        refused(&[&args[..], &["--resume"], more].concat(), &words);
        assert!(!dir.path().join("m.fw").exists());
    };
    with(&["--seed", "1"], &["seed = 0", "seed = 1"]);
    with(&["--precision", "f64"], &["precision = f32", "f64"]);
    with(&["--rows", "100"], &["rows = 161", "rows = 100"]);
    with(&["--adjusted"], &["adjusted = false"]);
    with(&["--kernel", "drift"], &["kernel = microcanonical"]);
    with(&["--method", "flow"], &["method = walk"]);
    let map = [&args[..4], &["--resume", "--method", "map"]].concat();
    refused(&map, &["--resume", "walk, atlas and flow", "not for map"]);
    // the points kept so far are in a separate file
    let points = dir.path().join("m.fw.points");
    let kept = fs::read(&points).unwrap();
    let mut other = kept.clone();
    other[40] ^= 1;
    fs::write(&points, other).unwrap();
    let resumed = [&args[..], &["--resume"]].concat();
    refused(&resumed, &["m.fw.points", "not those of the checkpoint"]);
    fs::write(&points, &kept[..40]).unwrap();
    refused(&resumed, &["m.fw.points", "fewer points"]);
    fs::remove_file(&points).unwrap();
    refused(&resumed, &["m.fw.points", "is not there"]);
    // another file in its place is left alone
    fs::write(&points, "notes").unwrap();
    refused(&args, &["m.fw.points", "not a file of points"]);
    fs::write(&points, kept).unwrap();
    // one changed number in the data
    let train = dir.path().join("train.csv");
    let good = fs::read_to_string(&train).unwrap();
    let line = good.lines().nth(1).unwrap();
    fs::write(&train, good.replacen(line, &line.replacen('1', "2", 1), 1)).unwrap();
    with(&[], &["data = ", "checksum"]);
    fs::write(&train, &good).unwrap();
    // damage
    let bytes = fs::read(&checkpoint).unwrap();
    fs::write(&checkpoint, &bytes[..bytes.len() / 2]).unwrap();
    with(&[], &["damaged"]);
    fs::write(&checkpoint, b"junk").unwrap();
    with(&[], &["not a checkpoint"]);
    fs::remove_file(&checkpoint).unwrap();
    with(&[], &["there is none to resume from"]);
    fs::create_dir(&checkpoint).unwrap();
    refused(&args, &["m.fw.checkpoint", "names a directory"]);
}

#[test]
fn budgets_end_a_walk_or_refuse_it() {
    let (dir, train, test) = split("glass.csv");
    let out = dir.path().join("m.fw");
    let fit = ["fit", text(&train), "--out", text(&out), "--particles", "8"];
    let with = |more: &str| -> Vec<String> {
        let more = more.split(' ').filter(|w| !w.is_empty());
        fit.iter().copied().chain(more).map(String::from).collect()
    };
    let text_of = |args: &[String]| ok(&args.iter().map(|a| &a[..]).collect::<Vec<_>>());
    // far more steps than fit into a tenth of a second: it ends in the warm-up, and the model can
    // be used
    for method in ["walk", "flow"] {
        let more = format!("--steps 10000000 --max-seconds 0.1 --method {method}");
        let said = text_of(&with(&more));
        assert!(said.contains("budget ended the walk after"), "{said}");
        assert!(said.contains("of 10000000 steps"), "{said}");
        assert!(!said.contains("when its steps were used up"), "{said}");
        assert!(said.contains("8 points kept"), "{said}");
        ok(&["evaluate", text(&out), text(&test)]);
    }
    // a point has 4 bytes for each of 80,406 parameters: 2.5 MiB for all eight; 64 are asked for
    let large = "--hidden 200,380 --batch 161 --epochs 1 --steps 64 --samples 512 --kernel drift --threads 1 --method walk";
    let all = text_of(&with(large));
    assert!(all.contains("256 points kept") && !all.contains("budget"));
    let needs = fiberwalk(
        &[&with(large)[..], &["--max-memory".into(), "1".into()]]
            .concat()
            .iter()
            .map(|a| &a[..])
            .collect::<Vec<_>>(),
    );
    let error = String::from_utf8(needs.stderr).unwrap();
    assert_eq!(needs.status.code(), Some(2));
    let least: usize = error
        .split("needs ")
        .nth(1)
        .and_then(|rest| rest.split(' ').next())
        .and_then(|n| n.parse().ok())
        .unwrap_or_else(|| panic!("{error}"));
    assert!(error.contains("max_memory = 1 MiB"), "{error}");
    // points are on disk and not in memory, so this much memory is enough for any number of them
    let said = text_of(&with(&format!("{large} --max-memory {least}")));
    assert!(
        said.contains("256 points kept") && !said.contains("budget"),
        "{said}"
    );
    for (more, words) in [
        ("--max-seconds 0", ["max_seconds = 0", "positive"]),
        ("--max-seconds nan", ["max_seconds", "positive"]),
        ("--max-seconds -1", ["max_seconds = -1", "positive"]),
        ("--walk-batch 0", ["walk_batch = 0", "1..=161"]),
        ("--walk-batch 162", ["walk_batch = 162", "1..=161"]),
        (
            "--walk-batch 9 --adjusted",
            ["walk_batch = 9", "Metropolis"],
        ),
        (
            "--walk-batch 9 --kernel drift",
            ["--walk-batch = 9", "kernel microcanonical, not for drift"],
        ),
        ("--max-memory 0", ["max_memory = 0", "positive"]),
        ("--checkpoint-every -1", ["--checkpoint-every", "seconds"]),
        ("--checkpoint-every often", ["often", "seconds"]),
    ] {
        let args = with(more);
        refused(&args.iter().map(|a| &a[..]).collect::<Vec<_>>(), &words);
    }
}

/// FNV-1a, written again.
fn sign(bytes: &mut [u8]) {
    let (body, sum) = bytes.split_at_mut(bytes.len() - 8);
    let hash = body.iter().fold(0xcbf2_9ce4_8422_2325u64, |h, &b| {
        (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3)
    });
    sum.copy_from_slice(&hash.to_le_bytes());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// Bytes of a checkpoint are changed, and its checksum is made right. A fit either refuses it
    /// or goes on, and never panics.
    #[test]
    fn a_forged_checkpoint_does_not_bring_a_fit_down(
        places in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        adjusted in any::<bool>(),
    ) {
        let data = load_csv(&data_file("snelson1d.csv"), &CsvOptions::default()).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("c");
        let checkpoint = CheckpointOptions {
            path: path.clone(),
            every: Some(Duration::ZERO),
            ..CheckpointOptions::default()
        };
        let kernel = MicrocanonicalSettings {
            adjusted,
            ..MicrocanonicalSettings::default()
        };
        let walk = WalkSettings {
            kernel: kernel.into(),
            particles: Some(3),
            samples: 6,
            steps: Some(30),
            ..WalkSettings::default()
        };
        let mut points = PointsSettings {
            walk,
            checkpoint: Some(checkpoint),
            ..PointsSettings::default()
        };
        let mut options = FitOptions {
            hidden: vec![3],
            prior_precision: Some(1.0),
            noise_std: Some(0.5),
            method: points.clone().into(),
            ..FitOptions::default()
        };
        // what is left is the file of the last block but one
        fit::<f32>(&data, &options, &|_, _, _| ()).unwrap();
        let mut bytes = fs::read(&path).unwrap();
        for (place, byte) in &places {
            // not in the magic, which a correct checksum does not repair
            let at = 23 + place.index(bytes.len() - 31);
            bytes[at] = *byte;
        }
        sign(&mut bytes);
        fs::write(&path, bytes).unwrap();
        if let Some(checkpoint) = &mut points.checkpoint {
            checkpoint.resume = true;
            checkpoint.every = None;
        }
        options.method = points.into();
        let _ = fit::<f32>(&data, &options, &|_, _, _| ());
    }
}
