//! Microcanonical walks from end to end. Criterion's elements per second are steps, on all cores.
//!
//! `cargo bench --bench walk`; the same walk in JAX: `python3 docs/peers/walk.py`

use std::path::Path;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use fiberwalk::data::{CsvOptions, Standardizer, load_csv};
use fiberwalk::nn::SequentialSpec;
use fiberwalk::walk::{
    FrameOptions, FrameSource, GgnFrame, Microcanonical, MicrocanonicalOptions, WalkOptions, walk,
};
use fiberwalk::{
    Activation, Categorical, IsotropicGaussian, MapOptions, Mlp, Network, Phase, PosteriorDensity,
    Result, ScaleGroups, ScaledNetwork, Streams, fit_map,
};
use rand_distr::{Distribution, StandardNormal};

/// The first 592 rows of vehicle and 18-50-4 tanh: 1,154 parameters, as in the reference.
fn vehicle() -> Result<(PosteriorDensity<f32>, Vec<f32>)> {
    let rows = 592;
    let data = load_csv(
        Path::new("examples/data/vehicle.csv"),
        &CsvOptions::default(),
    )?;
    let x = Standardizer::fit(data.features(), data.d())?.transform(data.features())?;
    let net = Mlp::new(&[data.d(), 50, 4], Activation::Tanh)?;
    let prior = IsotropicGaussian::new(1.0)?;
    let (x, y) = (&x[..rows * data.d()], &data.targets()[..rows]);
    let posterior = PosteriorDensity::new(&net, &Categorical, &prior, x, y)?;
    let start = net.init(&mut Streams::new(0).rng(Phase::INIT, 0));
    let start = start.into_iter().map(|t| t as f32).collect();
    let map = fit_map(&posterior, start, &MapOptions::default(), |_| ())?;
    Ok((posterior, map.theta))
}

/// The same network and rows at its initial parameters. The posterior includes a scale for each
/// tensor and each input.
fn vehicle_scaled() -> Result<(PosteriorDensity<f32>, Vec<f32>)> {
    let rows = 592;
    let data = load_csv(
        Path::new("examples/data/vehicle.csv"),
        &CsvOptions::default(),
    )?;
    let x = Standardizer::fit(data.features(), data.d())?.transform(data.features())?;
    let net = Mlp::new(&[data.d(), 50, 4], Activation::Tanh)?;
    let scaled = ScaledNetwork::new(&net, ScaleGroups::Ard);
    let prior = scaled.prior();
    let (x, y) = (&x[..rows * data.d()], &data.targets()[..rows]);
    let posterior = PosteriorDensity::new(&scaled, &Categorical, &prior, x, y)?;
    let start = scaled.init(&mut Streams::new(0).rng(Phase::INIT, 0));
    Ok((posterior, start.into_iter().map(|t| t as f32).collect()))
}

/// LeNet-5 at its initial parameters, on noise: 61,706 parameters, 512 images.
fn lenet5() -> Result<(PosteriorDensity<f32>, Vec<f32>)> {
    let spec: SequentialSpec = "lenet5".parse()?;
    let net = spec.build([1, 28, 28], 10)?;
    let streams = Streams::new(0);
    let images = 512;
    let noise = StandardNormal.sample_iter(streams.rng(Phase::USER, 0));
    let x: Vec<f64> = noise.take(images * 784).collect();
    let y: Vec<f64> = (0..images).map(|i| (i % 10) as f64).collect();
    let prior = IsotropicGaussian::new(1.0)?;
    let posterior = PosteriorDensity::new(&net, &Categorical, &prior, &x, &y)?;
    let start = net.init(&mut streams.rng(Phase::INIT, 0));
    Ok((posterior, start.into_iter().map(|t| t as f32).collect()))
}

fn bench(
    c: &mut Criterion,
    name: &str,
    (posterior, start): (PosteriorDensity<f32>, Vec<f32>),
    (particles, steps): (usize, usize),
    (directions, step_size): (usize, f64),
) -> Result<()> {
    let streams = Streams::new(0);
    let frame = FrameOptions {
        max_directions: directions,
        ..FrameOptions::default()
    };
    let frame = GgnFrame::new(&posterior, &frame, streams)?.frame(&[&start], Some(1_000))?;
    // nothing is tuned: every run does the same work
    let options = MicrocanonicalOptions {
        step_size: Some(step_size),
        decoherence_length: Some(17.0),
        ..MicrocanonicalOptions::default()
    };
    let kernel = Microcanonical::new(frame, &options)?;
    let options = WalkOptions {
        particles,
        steps: Some(steps),
        keep: 1,
        ..WalkOptions::default()
    };
    let starts = [start];
    walk(&mut kernel.clone(), &posterior, &starts, &options, streams)?;
    let mut group = c.benchmark_group("walk");
    group.throughput(Throughput::Elements((particles * steps) as u64));
    group.sample_size(10).bench_function(name, |b| {
        b.iter(|| walk(&mut kernel.clone(), &posterior, &starts, &options, streams))
    });
    group.finish();
    Ok(())
}

fn walks(c: &mut Criterion) {
    let outcome = vehicle()
        .and_then(|problem| bench(c, "vehicle_64x50", problem, (64, 50), (32, 1.0)))
        // the cost of a step with sampled scales, against one without; neither has a frame
        .and_then(|()| bench(c, "vehicle_16x50", vehicle()?, (16, 50), (0, 0.1)))
        .and_then(|()| {
            bench(
                c,
                "vehicle_scaled_16x50",
                vehicle_scaled()?,
                (16, 50),
                (0, 0.1),
            )
        })
        .and_then(|()| bench(c, "lenet5_8x10", lenet5()?, (8, 10), (8, 0.5)));
    assert!(outcome.is_ok(), "{outcome:?}");
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(3));
    targets = walks
}
criterion_main!(benches);
