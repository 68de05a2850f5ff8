//! The stages in one call: what a fit reports, and the model in memory against its file.

use crate::common::{data_file, short};
use fiberwalk::Streams;
use fiberwalk::artifact::{Fitted, FittedModel, remove_spool};
use fiberwalk::data::{CsvOptions, load_csv};
use fiberwalk::pipeline::{
    Batch, FitOptions, FitResult, KernelKind, Method, PointsSettings, WalkSettings, fit,
};

fn options(method: Method) -> FitOptions {
    FitOptions {
        method: short(method, 10, 60, 20),
        hidden: vec![6],
        ..FitOptions::default()
    }
}

/// The walk of the options above.
fn walk() -> WalkSettings {
    WalkSettings {
        particles: Some(10),
        steps: Some(60),
        samples: 20,
        ..WalkSettings::default()
    }
}

#[test]
fn a_model_in_memory_is_the_model_in_its_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("m.fw");
    for file in ["glass.csv", "snelson1d.csv"] {
        let data = load_csv(&data_file(file), &CsvOptions::default()).unwrap();
        // a mixture of models has no samples itself: see observations.rs
        for method in Method::ALL.into_iter().filter(|m| *m != Method::Auto) {
            // thousands of steps: once is enough
            let slow = [Method::Riemann, Method::Vi, Method::Hmc, Method::Nuts];
            if file == "snelson1d.csv" && slow.contains(&method) {
                continue;
            }
            let fitted = fit::<f32>(&data, &options(method), &|_, _, _| ()).unwrap();
            // the report counts what was computed besides the estimate
            let report = &fitted.report;
            let of_map = report.estimate.as_ref().map(|e| e.gradients as f64);
            let alone = of_map == Some(report.gradients());
            let free = method == Method::Map || method.name().starts_with("laplace");
            assert_eq!(alone, free, "{file} {method}");
            let model = fitted.model;
            model.save(&path).unwrap();
            let loaded = FittedModel::<f32>::load(&path).unwrap();
            let draw = |m: &FittedModel<f32>| m.samples(9, Streams::new(5)).unwrap();
            assert_eq!(draw(&model), draw(&loaded), "{file} {method}");
            let score = |m: &FittedModel<f32>| m.evaluate(&data, 9, Streams::new(5)).unwrap();
            assert_eq!(score(&model), score(&loaded));
        }
    }
}

/// Points in a separate file make the same model as points in memory, before the model is saved and
/// after.
#[test]
fn points_on_a_disk_are_points_in_memory() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str| dir.path().join(name);
    let data = load_csv(&data_file("glass.csv"), &CsvOptions::default()).unwrap();
    let spooled = PointsSettings {
        walk: walk(),
        spool: Some(file("points")),
        ..PointsSettings::default()
    };
    let spooled = FitOptions {
        method: spooled.into(),
        ..options(Method::Walk)
    };
    let kept = fit::<f32>(&data, &options(Method::Walk), &|_, _, _| ()).unwrap();
    let other = fit::<f32>(&data, &spooled, &|_, _, _| ()).unwrap();
    assert!(matches!(other.model.fitted, Fitted::Spooled(_)));
    let draw = |m: &FittedModel<f32>| m.samples(9, Streams::new(5)).unwrap();
    assert_eq!(draw(&kept.model), draw(&other.model));
    kept.model.save(&file("a.fw")).unwrap();
    other.model.save(&file("b.fw")).unwrap();
    let bytes = |name| std::fs::read(file(name)).unwrap();
    assert!(bytes("a.fw") == bytes("b.fw"));
    remove_spool(&file("points")).unwrap();
    assert!(other.model.samples(9, Streams::new(5)).is_err());
}

/// A walk whose points are held in memory ends when the next ones would not fit.
#[test]
fn a_budget_of_memory_ends_a_walk_that_holds_its_points() {
    let data = load_csv(&data_file("glass.csv"), &CsvOptions::default()).unwrap();
    // a point has 4 bytes for each of 81,000 parameters: 2.5 MiB for all eight
    let with = |max_memory: usize| {
        let walk = WalkSettings {
            kernel: KernelKind::Drift.into(),
            particles: Some(8),
            steps: Some(64),
            samples: 256,
            max_memory: Some(max_memory),
            ..WalkSettings::default()
        };
        let options = FitOptions {
            hidden: vec![200, 380],
            batch: Batch::Rows(214),
            epochs: Some(1),
            prior_precision: Some(1.0),
            method: walk.into(),
            ..FitOptions::default()
        };
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build();
        pool.unwrap()
            .install(|| fit::<f32>(&data, &options, &|_, _, _| ()))
    };
    let error = with(1).err().unwrap().to_string();
    let least = error.split("needs ").nth(1).unwrap();
    let least: usize = least.split(' ').next().unwrap().parse().unwrap();
    // with exactly that much the walk keeps one point of each particle; with 20 MiB more, about
    // eight more
    for (more, few, many) in [(0, 8, 16), (20, 64, 80)] {
        let fitted = with(least + more).unwrap();
        let Fitted::Points(points) = &fitted.model.fitted else {
            panic!("a walk")
        };
        assert!((few..=many).contains(&points.count()), "{}", points.count());
        assert!(fitted.report.walk.unwrap().cut_short.is_some());
    }
}

#[test]
fn the_walk_uses_the_threshold_and_the_radius_that_are_documented() {
    let data = load_csv(&data_file("glass.csv"), &CsvOptions::default()).unwrap();
    let drift = WalkSettings {
        kernel: KernelKind::Drift.into(),
        ..walk()
    };
    let options = FitOptions {
        method: drift.into(),
        ..options(Method::Walk)
    };
    let fitted = fit::<f64>(&data, &options, &|_, _, _| ()).unwrap();
    let report = &fitted.report;
    let energy = report.estimate.as_ref().unwrap().energy;
    let walk = report.walk.as_ref().unwrap();
    let dim = fitted.model.map.len() as f64;
    let threshold = energy + 0.5 * dim + 3.0 * (0.5 * dim).sqrt();
    let used = report.kernel.as_ref().unwrap().max_energy().unwrap();
    assert!((used - threshold).abs() < 1e-9 * threshold);
    assert!(walk.mean_energy > energy && walk.mean_energy <= threshold);
    assert_eq!(report.expected_energy(), Some(energy + 0.5 * dim));
    // half of the prior's radius in the free directions, less what the data rule out
    let free = dim - report.tangent.as_ref().unwrap().effective_parameters;
    let alpha = report.scales.as_ref().unwrap().prior_precision;
    let reach = walk.distance.unwrap() / (free / alpha).sqrt();
    assert!((0.3..0.51).contains(&reach), "{reach}");
    assert_eq!(fitted.model.metadata.report.as_ref(), Some(report));
}

#[test]
fn minibatches_reach_the_estimate_of_all_rows_and_the_same_bits_on_any_threads() {
    let data = load_csv(&data_file("glass.csv"), &CsvOptions::default()).unwrap();
    // a walk holds nothing out, and the model is linear: both minimise the same convex energy
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
    let estimate = |f: &FitResult<f64>| f.report.estimate.clone().unwrap();
    let energy = |f: &FitResult<f64>| estimate(f).energy;
    // energies of the posterior, of 60 dimensions, spread over sqrt(60 / 2) nats, so a tenth of a
    // nat means at the minimum
    assert!(
        (energy(&small) - energy(&whole)).abs() < 0.1,
        "{} {}",
        energy(&small),
        energy(&whole)
    );
    // a gradient of a batch counts as its share of all rows
    let (of, share) = (&small.report, 40.0 / data.n() as f64);
    let walked = of.walk.as_ref().unwrap().gradients as f64;
    let gradients = share * estimate(&small).gradients as f64 + walked;
    assert!((of.gradients() - gradients).abs() < 1e-6 * gradients);
    assert_eq!(of.training.as_ref().unwrap().epochs, 3000);
    assert!(estimate(&small).log_evidence.is_none());
    assert_eq!(
        with(Batch::Rows(40), Some(3000), 8).model.map,
        small.model.map
    );
    // a MAP estimate alone holds rows out
    let alone = FitOptions {
        batch: Batch::Rows(32),
        ..options(Method::Map)
    };
    let alone = fit::<f32>(&data, &alone, &|_, _, _| ()).unwrap();
    assert!(alone.report.training.unwrap().validation_nll.unwrap() > 0.0);
    // a further start is trained like the first, with as many batches
    let from_two = WalkSettings {
        starts: 2,
        ..walk()
    };
    let two = FitOptions {
        batch: Batch::Rows(32),
        epochs: Some(7),
        method: from_two.into(),
        ..options(Method::Walk)
    };
    let two = fit::<f32>(&data, &two, &|_, _, _| ()).unwrap();
    let starts = two.report.starts.unwrap();
    assert_eq!(starts.gradients, two.report.estimate.unwrap().gradients);
}
