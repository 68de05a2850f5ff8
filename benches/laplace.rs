//! Laplace's approximation on all 846 rows of vehicle, 18-50-4 tanh, f64.
//!
//! It times the fit and the linearised predictive of all rows, at the weights that laplace-torch
//! was given (`tests/data/laplace_torch`). The peer's side is `docs/peers/laplace_torch.py`.
//!
//! `cargo bench --bench laplace`

use std::hint::black_box;
use std::path::Path;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use fiberwalk::baselines::{Laplace, LaplaceOptions, Structure};
use fiberwalk::curvature::{KfacBias, Supervised};
use fiberwalk::data::{CsvOptions, Standardizer, load_csv};
use fiberwalk::{Activation, Categorical, Error, IsotropicGaussian, Mlp, Result, Streams};

fn weights() -> Result<Vec<f64>> {
    let file = Path::new("tests/data/laplace_torch/vehicle.json");
    let wrong = |source| Error::Io {
        path: file.into(),
        source,
    };
    let bytes = std::fs::read(file).map_err(wrong)?;
    let golden: serde_json::Value = serde_json::from_slice(&bytes).map_err(|e| wrong(e.into()))?;
    let theta = golden["theta"].as_array().into_iter().flatten();
    Ok(theta.filter_map(serde_json::Value::as_f64).collect())
}

fn structures(c: &mut Criterion) -> Result<()> {
    let data = load_csv(
        Path::new("examples/data/vehicle.csv"),
        &CsvOptions::default(),
    )?;
    let x = Standardizer::fit(data.features(), data.d())?.transform(data.features())?;
    let network = Mlp::new(&[data.d(), 50, 4], Activation::Tanh)?;
    let theta = weights()?;
    let rows = Supervised {
        network: &network,
        likelihood: &Categorical,
        x: &x,
        y: data.targets(),
    };
    let prior = IsotropicGaussian::new(1.0)?;
    let bias = KfacBias::default();
    for (name, structure) in [
        ("full", Structure::Full),
        ("kfac", Structure::Kfac { bias }),
    ] {
        let options = LaplaceOptions {
            structure,
            ..LaplaceOptions::default()
        };
        let fit = || Laplace::fit(&rows, &prior, black_box(&theta), &options, Streams::new(0));
        let fitted = fit()?;
        c.bench_function(&format!("laplace/{name}/fit"), |b| b.iter(fit));
        c.bench_function(&format!("laplace/{name}/predict"), |b| {
            b.iter(|| fitted.linearised_all(&network, black_box(&x)));
        });
    }
    Ok(())
}

fn all(c: &mut Criterion) {
    let outcome = structures(c);
    assert!(outcome.is_ok(), "{outcome:?}");
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20).measurement_time(Duration::from_secs(3));
    targets = all
}
criterion_main!(benches);
