//! Files that an earlier version wrote still load, and predict what they did.
//!
//! `tests/data/models/README.md` says how they were made. Numbers may differ by rounding; quantiles
//! were exact to 1e-10 of the noise then and are to 1e-6 of the standard deviation now.

use std::fs;
use std::path::{Path, PathBuf};

use fiberwalk::artifact::{AnyModel, ConformalRegions, Predictions};

/// Files in the folder `0.1.0`, from before there was a checksum.
const FILES: usize = 25;

/// Files in the folder `format6`.
const WITH_CHECKSUM: usize = 19;

/// Files in the folder `format7`: calibrated and conformal models, flows, sampled scales.
const CALIBRATED: usize = 16;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/models")
}

fn table(path: &Path) -> Vec<Vec<f64>> {
    let text = fs::read_to_string(path).unwrap();
    let row = |line: &str| line.split(',').map(|x| x.parse().unwrap()).collect();
    text.lines().skip(1).map(row).collect()
}

/// Loads the model files of a folder and compares what they predict. Returns their formats, and how
/// many carry the report of their fit.
fn compare(folder: &Path, count: usize) -> (Vec<u32>, usize) {
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "fw"))
        .collect();
    files.sort();
    assert_eq!(files.len(), count);
    let (mut versions, mut reports) = (Vec::new(), 0);
    for path in files {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let classes = name.starts_with("classes");
        let rows = match classes {
            true => table(&self::folder().join("glass_test.csv")),
            false => table(&self::folder().join("real_test.csv")),
        };
        let model = AnyModel::load(&path).unwrap_or_else(|e| panic!("{name}: {e}"));
        versions.push(model.metadata().format_version);
        reports += usize::from(model.metadata().report.is_some());
        let d = model.metadata().feature_names.len();
        let x: Vec<f64> = rows.iter().flat_map(|row| row[..d].to_vec()).collect();
        let predictor = model.predictor(12, 5).unwrap();
        let predicted = predictor.rows(&x).unwrap();
        let regions = predictor.conformal(&x).unwrap();
        let want = table(&path.with_extension("csv"));
        assert_eq!(want.len(), rows.len());
        for (i, want) in want.iter().enumerate() {
            let (mut got, scale) = match &predicted {
                Predictions::Classes(p) => {
                    let own = &p.probabilities[i * p.classes..(i + 1) * p.classes];
                    (
                        [own, &[p.entropy[i], p.mutual_information[i]]].concat(),
                        1.0,
                    )
                }
                Predictions::Real(p) => {
                    let m = p.moments[i];
                    let moments = [m.mean, m.std, m.epistemic_std];
                    ([&moments, p.quantiles_of(i)].concat(), m.std)
                }
            };
            match &regions {
                None => {}
                Some(ConformalRegions::Intervals(ends)) => got.extend(ends[i]),
                Some(ConformalRegions::Sets { classes, inside }) => {
                    let own = &inside[i * classes..(i + 1) * classes];
                    got.extend(own.iter().map(|inside| f64::from(u8::from(*inside))));
                }
            }
            assert_eq!(got.len(), want.len(), "{name}");
            for (column, (got, want)) in got.iter().zip(want).enumerate() {
                let miss = (got - want).abs() / scale;
                assert!(
                    miss < 2e-6,
                    "{name}, row {i}, column {column}: {got} for {want}"
                );
            }
        }
    }
    versions.sort_unstable();
    versions.dedup();
    (versions, reports)
}

#[test]
fn files_of_an_earlier_version_predict_what_they_did() {
    let (versions, _) = compare(&folder(), 23);
    assert_eq!(versions, [1, 2, 3]);
}

/// A file of every method, with the report of its fit and without a checksum.
#[test]
fn files_from_before_the_checksum_predict_what_they_did() {
    let (versions, reports) = compare(&folder().join("0.1.0"), FILES);
    assert_eq!(reports, FILES);
    assert!(versions.iter().all(|v| *v < 6), "{versions:?}");
}

/// Files as this version writes them: later ones must read them too.
#[test]
fn files_of_this_version_predict_what_they_did() {
    let (versions, _) = compare(&folder().join("format6"), WITH_CHECKSUM);
    assert_eq!(versions, [6]);
}

/// Maps of every kind, conformal regions of every score, flows of points and of units: predictions
/// and regions.
#[test]
fn files_with_calibrations_predict_what_they_did() {
    let (versions, reports) = compare(&folder().join("format7"), CALIBRATED);
    assert_eq!((versions, reports), (vec![6, 7], CALIBRATED));
}

/// An old file that is saved again gets a checksum, and predicts to the bit what it did.
#[test]
fn old_files_that_are_saved_again_predict_the_same_bits() {
    let predicted = |model: &AnyModel| {
        let d = model.metadata().feature_names.len();
        let x: Vec<f64> = (0..3 * d).map(|i| (i as f64).sin()).collect();
        model.predictor(12, 5).unwrap().rows(&x).unwrap()
    };
    for folder in [folder(), folder().join("0.1.0")] {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_none_or(|e| e != "fw") {
                continue;
            }
            let old = AnyModel::load(&path).unwrap();
            assert!(old.metadata().format_version < 6);
            let new = AnyModel::from_bytes(&old.to_bytes().unwrap()).unwrap();
            assert!(new.metadata().format_version >= 6);
            assert_eq!(predicted(&new), predicted(&old), "{path:?}");
        }
    }
}
