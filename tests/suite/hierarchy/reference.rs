//! A fit with sampled scales against NUTS by another implementation.
//!
//! `tests/data/snelson1d/README.md` says where the numbers come from.

use std::path::{Path, PathBuf};

use fiberwalk::Streams;
use fiberwalk::artifact::{Predictions, TaskSpec};
use fiberwalk::data::{CsvOptions, load_csv};
use fiberwalk::pipeline::{FitOptions, Method, PriorChoice, fit};

use crate::common::program::csv_rows;
use crate::common::short;

fn reference(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data/snelson1d")
        .join(name)
}

/// Root mean square difference of predictive means between two chains of the reference, in
/// standardised units.
const BETWEEN_CHAINS: f64 = 0.0068;

const WALKERS: usize = 32;

/// The means, the mean spread (within 10 %), and the means of the scales (within 10 % and three
/// standard errors of both sides together).
#[test]
fn a_fit_with_sampled_scales_predicts_as_nuts_does() {
    agrees(Method::Walk);
}

/// An anchor is a point of the walk, with its scales; its last layer is integrated out.
#[test]
fn an_atlas_with_sampled_scales_predicts_as_nuts_does() {
    agrees(Method::Atlas);
}

fn agrees(method: Method) {
    let options = FitOptions {
        method: short(method, WALKERS, 1_200, 256),
        prior: PriorChoice::Hierarchical,
        ..FitOptions::default()
    };
    let train = load_csv(&reference("train.csv"), &CsvOptions::default()).unwrap();
    let test = load_csv(&reference("test.csv"), &CsvOptions::default()).unwrap();
    let fitted = fit::<f32>(&train, &options, &|_, _, _| ()).unwrap();
    let TaskSpec::Regression {
        target_mean,
        target_scale,
        ..
    } = fitted.model.metadata.task
    else {
        panic!("a regression")
    };
    let predictions = fitted.model.predict(test.features(), 256, Streams::new(0));
    let Predictions::Real(rows) = predictions.unwrap() else {
        panic!("a regression")
    };
    let nuts = csv_rows(&reference("hierarchical_predictions.csv"));
    assert_eq!(rows.len(), nuts.len());
    let n = nuts.len() as f64;
    let (mut squares, mut ours, mut theirs, mut total) = (0.0, 0.0, 0.0, 0.0);
    for (row, want) in rows.moments.iter().zip(&nuts) {
        squares += ((row.mean - target_mean) / target_scale - want[0]).powi(2) / n;
        ours += row.epistemic_std / target_scale;
        theirs += want[1];
        total += want[1].hypot(want[2]) / n;
    }
    let rms = squares.sqrt();
    let draws = fitted.model.draws(256, Streams::new(0)).unwrap();
    let groups = draws.scales.len() / draws.noise_std.len();
    let names = &fitted.model.metadata.scales.as_ref().unwrap().names;
    assert_eq!(draws.noise_std.len(), 256);
    for (at, (name, row)) in (names.iter().map(String::as_str).chain(["noise_std"]))
        .zip(csv_rows(&reference("hierarchical_scales.csv")))
        .enumerate()
    {
        let values: Vec<f64> = if at < groups {
            draws
                .scales
                .iter()
                .skip(at)
                .step_by(groups)
                .copied()
                .collect()
        } else {
            draws.noise_std.clone()
        };
        // at each time the points are in the order of the walkers; walkers are independent
        let mean_of = |w: usize| {
            let own = values.iter().skip(w).step_by(WALKERS);
            own.sum::<f64>() * WALKERS as f64 / values.len() as f64
        };
        let means: Vec<f64> = (0..WALKERS).map(mean_of).collect();
        let mean = means.iter().sum::<f64>() / WALKERS as f64;
        let scatter: f64 = means.iter().map(|m| (m - mean).powi(2)).sum();
        let own_error = (scatter / (WALKERS * (WALKERS - 1)) as f64).sqrt();
        let (want, error) = (row[0], row[1] / row[2].sqrt());
        let allowed = 0.1 * want + 3.0 * own_error.hypot(error);
        let fits = (mean - want).abs() < allowed && own_error < 0.15 * mean;
        assert!(
            fits,
            "{name}: {mean:.4} +- {own_error:.4} against {want:.4} +- {error:.4}"
        );
    }
    assert!(rms <= (0.03 * total).max(2.0 * BETWEEN_CHAINS), "{rms}");
    assert!(
        (ours / theirs - 1.0).abs() < 0.1,
        "spread {}",
        ours / theirs
    );
}
