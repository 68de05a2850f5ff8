//! 32 leading eigenpairs of Gauss-Newton matrices at the start of training, from a random vector.
//!
//! The networks are LeNet-5 on 1,000 random images of 28 x 28, and a tanh perceptron of the size
//! that the vehicle data have.
//!
//! `cargo bench --bench lanczos`

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use fiberwalk::curvature::GgnOperator;
use fiberwalk::linalg::{LanczosOptions, leading_eigenpairs};
use fiberwalk::nn::SequentialSpec;
use fiberwalk::{
    Activation, Categorical, IsotropicGaussian, Mlp, Network, Phase, PosteriorDensity, Result,
    Streams,
};
use rand::Rng;
use rand_distr::{Distribution, StandardNormal};

fn pairs(c: &mut Criterion, name: &str, network: &dyn Network, n: usize) -> Result<()> {
    let streams = Streams::new(0);
    let mut rng = streams.rng(Phase::USER, 0);
    let x: Vec<f64> = (&StandardNormal)
        .sample_iter(&mut rng)
        .take(n * network.input_dim())
        .collect();
    let y: Vec<f64> = (0..n)
        .map(|_| (rng.next_u32() as usize % network.output_dim()) as f64)
        .collect();
    let prior = IsotropicGaussian::new(1.0)?;
    let posterior = PosteriorDensity::<f32>::new(network, &Categorical, &prior, &x, &y)?;
    let theta = network.init(&mut streams.rng(Phase::INIT, 0));
    let theta: Vec<f32> = theta.into_iter().map(|t| t as f32).collect();
    let mut op = GgnOperator::new(&posterior, &theta)?;
    let options = LanczosOptions {
        count: 32,
        tolerance: 1e-4,
        ..LanczosOptions::default()
    };
    c.bench_function(name, |b| {
        b.iter(|| {
            let mut rng = streams.rng(Phase::LANCZOS, 0);
            let found = leading_eigenpairs(black_box(&mut op), &options, &mut rng);
            assert!(found.is_ok(), "{found:?}");
            found
        });
    });
    Ok(())
}

fn all(c: &mut Criterion) {
    let lenet = |c: &mut Criterion| {
        let spec: SequentialSpec = "lenet5".parse()?;
        pairs(c, "lanczos/lenet5_k32", &spec.build([1, 28, 28], 10)?, 1000)
    };
    let outcome = Mlp::new(&[18, 50, 4], Activation::Tanh)
        .and_then(|network| pairs(c, "lanczos/vehicle_k32", &network, 592))
        .and_then(|()| lenet(c));
    assert!(outcome.is_ok(), "{outcome:?}");
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(10).measurement_time(Duration::from_secs(5)).warm_up_time(Duration::from_millis(500));
    targets = all
}
criterion_main!(benches);
