//! Value and gradient of `U`: one gradient on one thread, and 64 particles (8 for networks of more than 20,000 parameters)
//! on all cores, where criterion's throughput in elements is particles per second.
//!
//! `cargo bench --bench gradient`

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use fiberwalk::{
    Activation, Categorical, Gaussian, IsotropicGaussian, Likelihood, LogDensity, Mlp, Network,
    Phase, Posterior, Result, Scalar, Streams,
};
use rand::Rng;
use rand_distr::{Distribution, StandardNormal};
use rayon::prelude::*;

/// Sizes and rows; one output means regression.
const NETWORKS: [(&[usize], usize); 5] = [
    (&[18, 50, 4], 592),
    (&[2, 16, 16, 2], 3709),
    (&[13, 50, 1], 455),
    (&[64, 128, 128, 10], 1000),
    (&[784, 256, 256, 10], 128),
];

struct Problem<T> {
    posterior: Posterior<T>,
    theta: Vec<T>,
}

fn problem<T: Scalar>(sizes: &[usize], n: usize) -> Result<Problem<T>> {
    let network = Mlp::new(sizes, Activation::Tanh)?;
    let streams = Streams::new(0);
    let mut rng = streams.rng(Phase::USER, 0);
    let outputs = network.output_dim();
    let x: Vec<f64> = (&StandardNormal)
        .sample_iter(&mut rng)
        .take(n * sizes[0])
        .collect();
    let y: Vec<f64> = if outputs == 1 {
        (&StandardNormal).sample_iter(&mut rng).take(n).collect()
    } else {
        (0..n)
            .map(|_| (rng.next_u32() as usize % outputs) as f64)
            .collect()
    };
    let gaussian = Gaussian::new(0.3)?;
    let likelihood: &dyn Likelihood = if outputs == 1 {
        &gaussian
    } else {
        &Categorical
    };
    let prior = IsotropicGaussian::new(1.0)?;
    let theta = network.init(&mut streams.rng(Phase::INIT, 0));
    Ok(Problem {
        posterior: Posterior::new(&network, likelihood, &prior, &x, &y)?,
        theta: theta.into_iter().map(T::from_f64).collect(),
    })
}

fn name(sizes: &[usize], n: usize, suffix: &str) -> String {
    let widths: Vec<String> = sizes.iter().map(usize::to_string).collect();
    format!("mlp_{}_n{n}{suffix}", widths.join("_"))
}

fn gradients<T: Scalar>(c: &mut Criterion, suffix: &str) -> Result<()> {
    let mut group = c.benchmark_group("gradient");
    for (sizes, n) in NETWORKS {
        let Problem { posterior, theta } = problem::<T>(sizes, n)?;
        let mut ws = posterior.workspace();
        let mut grad = vec![T::ZERO; theta.len()];
        group.bench_function(name(sizes, n, suffix), |b| {
            b.iter(|| posterior.log_density_and_grad(black_box(&theta), &mut grad, &mut ws));
        });
    }
    group.finish();
    let mut group = c.benchmark_group("gradient_parallel");
    for (sizes, n) in NETWORKS {
        let Problem { posterior, theta } = problem::<T>(sizes, n)?;
        let particles = if theta.len() < 20_000 { 64 } else { 8 };
        group.throughput(Throughput::Elements(particles as u64));
        let mut states: Vec<_> = (0..particles)
            .map(|_| (posterior.workspace(), vec![T::ZERO; theta.len()]))
            .collect();
        group.bench_function(name(sizes, n, suffix), |b| {
            b.iter(|| -> f64 {
                let values: Vec<Result<f64>> = states
                    .par_iter_mut()
                    .map(|(ws, grad)| posterior.log_density_and_grad(black_box(&theta), grad, ws))
                    .collect();
                values.into_iter().flatten().sum()
            });
        });
    }
    group.finish();
    Ok(())
}

fn all(c: &mut Criterion) {
    for outcome in [gradients::<f32>(c, ""), gradients::<f64>(c, "_f64")] {
        assert!(outcome.is_ok(), "{outcome:?}");
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().measurement_time(Duration::from_secs(3)).warm_up_time(Duration::from_secs(1));
    targets = all
}
criterion_main!(benches);
