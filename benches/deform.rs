//! Training and sampling of deformations. Criterion's elements per second are draws, on all cores.
//!
//! `cargo bench --bench deform`. To compare with a walk: `fiberwalk fit` needs all steps of a
//! particle for one draw that is independent of the others.

use std::path::Path;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use fiberwalk::data::{CsvOptions, Standardizer, load_csv};
use fiberwalk::deform::{
    Atlas, Deformation, HiddenFlow, LastLayer, TrainOptions, UnitTrainOptions, fit_units,
    train_principal,
};
use fiberwalk::model::ClosedForm;
use fiberwalk::nn::{SequentialSpec, unit_blocks};
use fiberwalk::walk::Walk;
use fiberwalk::{
    Activation, Categorical, Gaussian, Likelihood, LinearHead, Mlp, Phase, Result, Streams,
};
use rand_distr::{Distribution, StandardNormal};

const DRAWS: usize = 256;

/// A network, the conditional of its last layer on a data set, and points of 64 walkers. The points
/// are standard normal, which is good enough for timing.
struct Problem {
    net: Box<dyn LinearHead>,
    last: LastLayer<f32>,
    walk: Walk<f32>,
}

fn problem(
    net: Box<dyn LinearHead>,
    likelihood: &dyn Likelihood,
    (x, y): (&[f64], &[f64]),
    walkers: usize,
) -> Result<Problem> {
    let last = LastLayer::new(net.as_ref(), likelihood, 1.0, x, y)?;
    let (dim, each) = (net.dim(), 4);
    let mut rng = Streams::new(0).rng(Phase::USER, 1);
    let points = (0..walkers * each * dim).map(|_| StandardNormal.sample(&mut rng));
    let walk = Walk {
        dim,
        points: points.collect(),
        particle: (0..walkers * each).map(|i| i % walkers).collect(),
        ..Walk::default()
    };
    Ok(Problem { net, last, walk })
}

/// A table of `examples/data` with one hidden layer of 50.
fn table(name: &str, likelihood: &dyn Likelihood, outputs: usize) -> Result<Problem> {
    let path = format!("examples/data/{name}.csv");
    let data = load_csv(Path::new(&path), &CsvOptions::default())?;
    let x = Standardizer::fit(data.features(), data.d())?.transform(data.features())?;
    let y = match likelihood.closed_form() {
        Some(ClosedForm::Categorical) => data.targets().to_vec(),
        _ => Standardizer::fit(data.targets(), 1)?.transform(data.targets())?,
    };
    let rows = data.n() * 7 / 10;
    let net = Mlp::new(&[data.d(), 50, outputs], Activation::Tanh)?;
    problem(
        Box::new(net),
        likelihood,
        (&x[..rows * data.d()], &y[..rows]),
        64,
    )
}

/// LeNet-5 on 1,000 images of noise.
fn lenet5() -> Result<Problem> {
    let net = "lenet5".parse::<SequentialSpec>()?.build([1, 28, 28], 10)?;
    let mut rng = Streams::new(0).rng(Phase::USER, 0);
    let images = 1_000;
    let x: Vec<f64> = (0..images * 784)
        .map(|_| StandardNormal.sample(&mut rng))
        .collect();
    let y: Vec<f64> = (0..images).map(|i| (i % 10) as f64).collect();
    let mut problem = problem(Box::new(net), &Categorical, (&x, &y), 4)?;
    // weights of standard deviation one would saturate everything
    problem.walk.points.iter_mut().for_each(|x| *x *= 0.1);
    Ok(problem)
}

impl Problem {
    fn framed(&self) -> Result<HiddenFlow<f32>> {
        let (hidden, options) = (self.net.hidden_params(), TrainOptions::default());
        let streams = Streams::new(0);
        let (flow, _) = train_principal(self.walk.points_of()?, hidden, &options, streams, |_| ())?;
        // the width that `fiberwalk fit` finds best on vehicle
        Ok(HiddenFlow::Framed(
            flow.in_frame(flow.frame().scaled(0.25)?)?,
        ))
    }

    fn units(&self) -> Result<HiddenFlow<f32>> {
        let blocks = unit_blocks(self.net.layout(), self.net.hidden_params());
        let options = UnitTrainOptions::default();
        let streams = Streams::new(0);
        let (flow, _) = fit_units(
            self.walk.points_of()?,
            blocks,
            true,
            &options,
            streams,
            |_| (),
        )?;
        Ok(HiddenFlow::Units(flow))
    }

    fn atlas(&self) -> Result<Atlas<f32>> {
        let hidden = self.net.hidden_params();
        let points = self.walk.points.chunks_exact(self.walk.dim);
        let anchors = points.flat_map(|p| &p[..hidden]).copied().collect();
        Atlas::new(anchors, self.walk.len(), self.last.clone())
    }
}

fn draws(
    c: &mut Criterion,
    name: &str,
    count: usize,
    sample: impl Fn(Streams) -> Result<Vec<f32>>,
) {
    let mut group = c.benchmark_group("deform");
    group
        .sample_size(10)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(5))
        .throughput(Throughput::Elements(count as u64));
    let mut seed = 0;
    group.bench_function(name, |b| {
        b.iter(|| {
            seed += 1;
            sample(Streams::new(seed))
        });
    });
    group.finish();
}

fn deform(c: &mut Criterion) -> Result<()> {
    let vehicle = table("vehicle", &Categorical, 4)?;
    let mut group = c.benchmark_group("deform");
    group
        .sample_size(10)
        .measurement_time(Duration::from_secs(10));
    group.bench_function("train_vehicle", |b| {
        b.iter(|| Ok::<_, fiberwalk::Error>((vehicle.framed()?, vehicle.units()?)));
    });
    group.finish();
    let flow = Deformation::new(Some(vehicle.framed()?), vehicle.last.clone());
    draws(c, "sample_vehicle", DRAWS, |s| flow.sample(DRAWS, s));
    let atlas = vehicle.atlas()?;
    draws(c, "atlas_vehicle", DRAWS, |s| atlas.sample(DRAWS, s));

    let noise = &Gaussian::new(0.1)?;
    let yacht = table("yacht", noise, 1)?;
    let flow = Deformation::new(Some(yacht.units()?), yacht.last.clone()).with_proposals(4)?;
    draws(c, "sample_yacht", DRAWS, |s| flow.sample(DRAWS, s));
    let atlas = yacht.atlas()?;
    draws(c, "atlas_yacht", DRAWS, |s| atlas.sample(DRAWS, s));

    let lenet = lenet5()?;
    let atlas = lenet.atlas()?;
    draws(c, "sample_lenet5", 16, |s| atlas.sample(16, s));
    Ok(())
}

fn all(c: &mut Criterion) {
    let outcome = deform(c);
    assert!(outcome.is_ok(), "{outcome:?}");
}

criterion_group!(benches, all);
criterion_main!(benches);
