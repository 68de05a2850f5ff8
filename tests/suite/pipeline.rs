//! The stages in one call: what a fit reports, and that a model in memory is the model in its file.

use crate::common::data_file;
use fiberwalk::Streams;
use fiberwalk::artifact::Model;
use fiberwalk::data::{CsvOptions, load_csv};
use fiberwalk::pipeline::{Batch, FitOptions, KernelKind, Method, fit};

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
    let options = FitOptions {
        kernel: KernelKind::Drift,
        ..options(Method::Walk)
    };
    let fitted = fit::<f64>(&data, &options, &|_, _, _| ()).unwrap();
    let figure = |name: &str| fitted.summary.figures()[name];
    let dim = fitted.model.map.len() as f64;
    let threshold = figure("map_energy") + 0.5 * dim + 3.0 * (0.5 * dim).sqrt();
    assert!((figure("walk_threshold") - threshold).abs() < 1e-9 * threshold);
    assert!(
        figure("walk_mean_energy") > figure("map_energy")
            && figure("walk_mean_energy") <= threshold
    );
    // half of the prior's radius in the free directions, less what the data forbid
    let free = dim - figure("effective_dimension");
    let reach = figure("walk_distance") / (free / figure("prior_precision")).sqrt();
    assert!((0.3..0.51).contains(&reach), "{reach}");
    assert_eq!(fitted.model.metadata.diagnostics, *fitted.summary.figures());
}

#[test]
fn minibatches_reach_the_estimate_of_all_rows_and_the_same_bits_on_any_threads() {
    let data = load_csv(&data_file("glass.csv"), &CsvOptions::default()).unwrap();
    // nothing held out for a walk, and a linear model: both minimise the same convex energy
    let with = |batch, epochs, threads: usize| {
        let options = FitOptions {
            hidden: Vec::new(),
            batch,
            epochs,
            prior_precision: Some(1.0),
            ..options(Method::Walk)
        };
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| fit::<f64>(&data, &options, &|_, _, _| ()))
            .unwrap()
    };
    let whole = with(Batch::Full, None, 1);
    let small = with(Batch::Rows(40), Some(3000), 1);
    let energy = |f: &fiberwalk::pipeline::FitResult<f64>| f.summary.figures()["map_energy"];
    // energies of the posterior, of 60 dimensions, spread over sqrt(60 / 2) nats: a tenth of one is at the minimum
    assert!(
        (energy(&small) - energy(&whole)).abs() < 0.1,
        "{} {}",
        energy(&small),
        energy(&whole)
    );
    assert_eq!(small.summary.figures()["epochs"], 3000.0);
    assert!(!small.summary.figures().contains_key("log_evidence_laplace"));
    assert_eq!(
        with(Batch::Rows(40), Some(3000), 8).model.map,
        small.model.map
    );
    // a MAP estimate alone holds rows out
    let alone = FitOptions {
        method: Method::Map,
        batch: Batch::Rows(32),
        ..options(Method::Map)
    };
    let alone = fit::<f32>(&data, &alone, &|_, _, _| ()).unwrap();
    assert!(alone.summary.figures()["validation_nll"] > 0.0);
    // a further start is trained as the first one: by as many batches
    let two = FitOptions {
        batch: Batch::Rows(32),
        epochs: Some(7),
        starts: 2,
        ..options(Method::Walk)
    };
    let two = fit::<f32>(&data, &two, &|_, _, _| ()).unwrap();
    let figures = two.summary.figures();
    assert_eq!(figures["starts_gradients"], figures["map_gradients"]);
}
