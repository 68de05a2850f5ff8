//! The stages in one call: what a fit reports, and that a model in memory is the model in its file.

#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use common::data_file;
use fiberwalk::Streams;
use fiberwalk::artifact::Model;
use fiberwalk::data::{CsvOptions, load_csv};
use fiberwalk::pipeline::{FitOptions, Method, fit};

fn options(method: Method) -> FitOptions {
    FitOptions {
        method,
        hidden: vec![6],
        particles: 10,
        steps: Some(60),
        samples: 20,
        ..FitOptions::default()
    }
}

#[test]
fn a_model_in_memory_is_the_model_in_its_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("m.fw");
    for file in ["glass.csv", "snelson1d.csv"] {
        let data = load_csv(&data_file(file), &CsvOptions::default()).unwrap();
        for method in Method::ALL {
            let model = fit::<f32>(&data, &options(method), &|_, _, _| ())
                .unwrap()
                .model;
            model.save(&path).unwrap();
            let loaded = Model::<f32>::load(&path).unwrap();
            let draw = |m: &Model<f32>| m.samples(9, Streams::new(5)).unwrap();
            assert_eq!(draw(&model), draw(&loaded), "{file} {method}");
            let score = |m: &Model<f32>| m.evaluate(&data, 9, Streams::new(5)).unwrap();
            assert_eq!(score(&model), score(&loaded));
        }
    }
}

#[test]
fn the_walk_uses_the_threshold_and_the_radius_that_are_documented() {
    let data = load_csv(&data_file("glass.csv"), &CsvOptions::default()).unwrap();
    let fitted = fit::<f64>(&data, &options(Method::Walk), &|_, _, _| ()).unwrap();
    let figure = |name: &str| fitted.summary.figures()[name];
    let dim = fitted.model.map.len() as f64;
    let threshold = figure("map_energy") + 0.5 * dim + 3.0 * (0.5 * dim).sqrt();
    assert!((figure("walk_threshold") - threshold).abs() < 1e-9 * threshold);
    assert!(
        figure("walk_mean_energy") > figure("map_energy")
            && figure("walk_mean_energy") <= threshold
    );
    // half of the prior's radius, less what the data forbid
    let reach = figure("walk_distance") / (dim / figure("prior_precision")).sqrt();
    assert!((0.3..0.51).contains(&reach), "{reach}");
    assert_eq!(fitted.model.metadata.diagnostics, *fitted.summary.figures());
}
