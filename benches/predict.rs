//! Predictions of fitted models: one row, and ten thousand rows.
//!
//! `cargo bench --bench predict`. Models are 8-50-1 on concrete, with short walks: the time of a
//! prediction does not depend on how far a walk has gone.

// a benchmark stops where it fails
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use fiberwalk::Result;
use fiberwalk::artifact::{Predictor, RowPrediction};
use fiberwalk::data::{CsvOptions, Dataset, load_csv};
use fiberwalk::pipeline::{FitOptions, Method, fit};

fn concrete() -> Result<Dataset> {
    load_csv(
        Path::new("examples/data/concrete.csv"),
        &CsvOptions::default(),
    )
}

/// A predictor of 256 draws or anchors.
fn predictor(data: &Dataset, method: Method) -> Result<Predictor> {
    let mut options = FitOptions::of(method);
    if let Some(walk) = options.method.walk_mut() {
        walk.steps = Some(40);
    }
    let fitted = fit::<f32>(data, &options, &|_, _, _| ())?;
    fitted.model.predictor(256, 0)
}

fn bench(c: &mut Criterion) {
    let data = concrete().unwrap();
    let d = data.d();
    let many: Vec<f64> = data
        .features()
        .iter()
        .copied()
        .cycle()
        .take(10_000 * d)
        .collect();
    let mut group = c.benchmark_group("predict");
    group.measurement_time(Duration::from_secs(4));
    let mut walk = None;
    for (name, method) in [
        ("row_walk", Method::Walk),
        ("row_atlas", Method::Atlas),
        ("row_flow", Method::Flow),
    ] {
        let predictor = predictor(&data, method).unwrap();
        let mut out = RowPrediction::empty();
        let mut rows = many.chunks_exact(d).cycle();
        group.bench_function(name, |b| {
            b.iter(|| predictor.row_into(rows.next().unwrap_or(&[]), &mut out));
        });
        if method == Method::Walk {
            walk = Some(predictor);
        }
    }
    let walk = walk.unwrap();
    group.sample_size(10);
    group.throughput(Throughput::Elements(10_000));
    group.bench_function("rows_10k_walk", |b| b.iter(|| walk.rows(&many)));
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
