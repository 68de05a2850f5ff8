//! A fit whose operations on files fail, one after the other.
//!
//! Whatever fails: the model that was there before is whole or replaced as a whole, no temporary
//! file remains, and the same command then gives the same bytes as an undisturbed one.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::stages::stages;
use super::{CheckpointOptions, FitOptions, MethodOptions, PointsSettings, WalkSettings};
use crate::artifact::faults::{Faults, Kind};
use crate::artifact::{AnyModel, Claim, FitFiles, write_in};
use crate::data::{Dataset, regression_with_gap};
use crate::error::{Error, Result};
use crate::rng::Streams;

fn data() -> Dataset {
    regression_with_gap(20, 0.1, &Streams::new(0)).unwrap()
}

fn walk() -> WalkSettings {
    WalkSettings {
        particles: Some(2),
        samples: 8,
        steps: Some(12),
        ..WalkSettings::default()
    }
}

/// What the command `fit` does with its files.
fn fit_to(faults: &Arc<Faults>, data: &Dataset, out: &Path, resume: bool) -> Result<u64> {
    let files = faults.files();
    let claimed = FitFiles::claim_in(&files, out)?;
    let points = PointsSettings {
        walk: walk(),
        spool: Some(claimed.points().to_path_buf()),
        checkpoint: Some(CheckpointOptions {
            path: claimed.checkpoint().to_path_buf(),
            every: Some(Duration::ZERO),
            resume,
            ..CheckpointOptions::default()
        }),
        ..PointsSettings::default()
    };
    let options = FitOptions {
        hidden: vec![1],
        prior_precision: Some(1.0),
        noise_std: Some(0.5),
        method: MethodOptions::Walk(points),
        ..FitOptions::default()
    };
    let fitted = stages::<f32>(&files, data.clone(), &options, &())?;
    claimed.finish(fitted.model)
}

fn undisturbed() -> Arc<Faults> {
    Faults::new(Kind::Never, 0)
}

/// The files of a directory.
fn listed(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().path());
    let named = |path: std::path::PathBuf| {
        let name = path.file_name().unwrap().to_str().unwrap().to_string();
        (name, std::fs::read(path).unwrap())
    };
    entries.map(named).collect()
}

#[test]
fn a_fit_whose_files_fail_at_any_point_loses_nothing() {
    let (data, dir) = (data(), tempfile::tempdir().unwrap());
    let out = dir.path().join("m.fw");
    let counter = undisturbed();
    fit_to(&counter, &data, &out, false).unwrap();
    let want = std::fs::read(&out).unwrap();
    assert_eq!(listed(dir.path()).len(), 1, "no file but the model is left");
    assert!(counter.calls() > 50, "{}", counter.calls());
    let old = b"an older model".to_vec();
    let (mut failed, mut resumed) = (0, 0);
    for n in 1..=counter.calls() {
        for kind in [Kind::Once, Kind::Full, Kind::Dead] {
            let what = format!("{kind:?} {n}");
            std::fs::write(&out, &old).unwrap();
            let faults = Faults::new(kind, n);
            let outcome = fit_to(&faults, &data, &out, false);
            let left = listed(dir.path());
            let model = &left["m.fw"];
            assert!(*model == old || *model == want, "{what}: half a model");
            let temporary = |name: &&String| name.starts_with(".fiberwalk");
            assert_eq!(left.keys().find(temporary), None, "{what}");
            let saved = left.contains_key("m.fw.checkpoint");
            if faults.removals_failed() == 0 {
                // with the checkpoint, points are of use; without it they are not
                let points = left.contains_key("m.fw.points");
                let useful = saved || *model == want;
                assert!(!points || useful, "{what}: useless points");
                assert!(left.keys().all(|name| !name.ends_with(".lock")), "{what}");
            }
            match outcome {
                Ok(_) => assert!(*model == want, "{what}"),
                Err(error) => {
                    failed += 1;
                    let said = error.to_string();
                    assert!(said.contains("fault") && !said.contains('\n'), "{said}");
                }
            }
            // a checkpoint that is left is good for something
            let resume = saved && n % 2 == 0;
            resumed += usize::from(resume);
            let again = fit_to(&undisturbed(), &data, &out, resume);
            again.unwrap_or_else(|e| panic!("{what}, then: {e}"));
            let left = listed(dir.path());
            assert!(left["m.fw"] == want, "{what}: another model");
            assert_eq!(left.len(), 1, "{what}: {:?}", left.keys());
        }
    }
    assert!(failed > 100 && resumed > 20, "{failed}, {resumed}");
}

/// Before there is a checkpoint, a full disk is given back, and the message says what is lost.
#[test]
fn a_full_disk_is_given_back_what_a_walk_has_taken() {
    let (data, dir) = (data(), tempfile::tempdir().unwrap());
    let out = dir.path().join("m.fw");
    let counter = undisturbed();
    fit_to(&counter, &data, &out, false).unwrap();
    let (mut lost, mut kept) = (0, 0);
    for n in 1..=counter.calls() {
        std::fs::remove_file(&out).unwrap();
        let outcome = fit_to(&Faults::new(Kind::Full, n), &data, &out, false);
        // the model may be there, and something left to tidy up
        let written = out.exists();
        let saved = dir.path().join("m.fw.checkpoint").exists();
        fit_to(&undisturbed(), &data, &out, false).unwrap();
        let Err(error) = outcome else { continue };
        if written {
            continue;
        }
        let Error::Io { source, .. } = &error else {
            panic!("{error}")
        };
        assert_eq!(source.kind(), std::io::ErrorKind::StorageFull);
        let said = error.to_string();
        lost += usize::from(said.contains("the walk is lost, and its points are removed"));
        let resumes = said.contains("holds the walk");
        assert_eq!(resumes, saved, "{n}: {said}");
        kept += usize::from(said.contains("m.fw.checkpoint holds the walk up to its last save"));
    }
    assert!(lost > 0 && kept > 0, "{lost}, {kept}");
}

/// What `predict --out` and `compare --write-splits` do: a table, written in pieces.
#[test]
fn a_table_whose_files_fail_at_any_point_is_whole_or_the_old_one() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("p.csv");
    let rows = vec![b"0.25,0.75\n".to_vec(); 3_000];
    let write = |faults: &Arc<Faults>| -> Result<()> {
        let files = faults.files();
        let _claim = Claim::within(&files, &out)?;
        write_in(&files, &out, |w| {
            rows.iter().try_for_each(|r| w.write_all(r))
        })
    };
    let counter = undisturbed();
    write(&counter).unwrap();
    let want = std::fs::read(&out).unwrap();
    assert_eq!(want, rows.concat());
    for n in 1..=counter.calls() {
        for kind in [Kind::Once, Kind::Full, Kind::Dead] {
            std::fs::write(&out, "old").unwrap();
            let faults = Faults::new(kind, n);
            let outcome = write(&faults);
            let left = listed(dir.path());
            let whole = left["p.csv"] == want;
            assert!(whole || left["p.csv"] == b"old", "{kind:?} {n}");
            assert_eq!(outcome.is_ok(), whole);
            assert_eq!(left.len(), 1 + faults.removals_failed(), "{kind:?} {n}");
            write(&undisturbed()).unwrap();
            assert_eq!(listed(dir.path()).len(), 1);
        }
    }
}

/// A model is saved over an older one.
#[test]
fn saving_a_model_that_fails_at_any_point_leaves_the_old_one() {
    let (data, dir) = (data(), tempfile::tempdir().unwrap());
    let out = dir.path().join("m.fw");
    let options = FitOptions {
        hidden: vec![1],
        prior_precision: Some(1.0),
        noise_std: Some(0.5),
        method: walk().into(),
        ..FitOptions::default()
    };
    let files = undisturbed().files();
    let model = stages::<f32>(&files, data, &options, &()).unwrap().model;
    let counter = undisturbed();
    model.save_in(&counter.files(), &out).unwrap();
    let want = std::fs::read(&out).unwrap();
    AnyModel::from_bytes(&want).unwrap();
    for n in 1..=counter.calls() {
        std::fs::write(&out, "old").unwrap();
        let faults = Faults::new(Kind::Once, n);
        model.save_in(&faults.files(), &out).unwrap_err();
        let left = listed(dir.path());
        assert!(left["m.fw"] == b"old" && left.len() == 1, "{n}");
        model.save(&out).unwrap();
        assert!(std::fs::read(&out).unwrap() == want);
    }
}

/// What `predict`, `evaluate` and `info` do first.
#[test]
fn a_model_whose_reading_fails_at_any_point_is_read_the_next_time() {
    let (data, dir) = (data(), tempfile::tempdir().unwrap());
    let out = dir.path().join("m.fw");
    fit_to(&undisturbed(), &data, &out, false).unwrap();
    let want = std::fs::read(&out).unwrap();
    let counter = undisturbed();
    AnyModel::load_in(&counter.files(), &out).unwrap();
    assert!(counter.calls() >= 3, "open, ask, read: {}", counter.calls());
    for n in 1..=counter.calls() {
        for kind in [Kind::Once, Kind::Dead] {
            let error = AnyModel::load_in(&Faults::new(kind, n).files(), &out).unwrap_err();
            assert!(matches!(error, Error::Io { .. }), "{n}: {error}");
            assert!(error.to_string().contains("m.fw: fault"), "{n}: {error}");
            let again = AnyModel::load_in(&undisturbed().files(), &out).unwrap();
            assert!(again.to_bytes().unwrap() == want && listed(dir.path()).len() == 1);
        }
    }
}
