//! Value and gradient of `U`, for one particle and for many.
//!
//! One gradient runs on one thread. 64 particles (8 for the larger networks) run on all cores, and
//! criterion's throughput in elements is particles per second. The machine's matrix product is
//! measured too, in FLOP per second.
//!
//! `cargo bench --bench gradient`

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use fiberwalk::autodiff::Graph;
use fiberwalk::nn::SequentialSpec;
use fiberwalk::{
    Activation, Categorical, Gaussian, IsotropicGaussian, Likelihood, LogDensity, Mlp, Network,
    Phase, PosteriorDensity, Result, Scalar, Streams,
};
use rand::Rng;
use rand_distr::{Distribution, StandardNormal};
use rayon::prelude::*;

/// A network and its data.
enum Work {
    /// Sizes of a tanh perceptron and rows; one output means regression.
    Mlp(&'static [usize], usize),
    /// LeNet-5 on that many images of 28 x 28.
    LeNet5(usize),
}

const WORKS: [Work; 6] = [
    Work::Mlp(&[18, 50, 4], 592),
    Work::Mlp(&[2, 16, 16, 2], 3709),
    Work::Mlp(&[13, 50, 1], 455),
    Work::Mlp(&[64, 128, 128, 10], 1000),
    Work::Mlp(&[784, 256, 256, 10], 128),
    Work::LeNet5(128),
];

impl Work {
    fn name(&self, suffix: &str) -> String {
        match self {
            Work::Mlp(sizes, n) => {
                let widths: Vec<String> = sizes.iter().map(usize::to_string).collect();
                format!("mlp_{}_n{n}{suffix}", widths.join("_"))
            }
            Work::LeNet5(n) => format!("lenet5_b{n}{suffix}"),
        }
    }

    /// Particles at once: they are shared out to all cores.
    fn particles(&self) -> usize {
        match self {
            Work::Mlp(sizes, _) if sizes[0] < 64 => 64,
            _ => 8,
        }
    }

    fn network(&self) -> Result<(Box<dyn Network>, usize)> {
        Ok(match self {
            Work::Mlp(sizes, n) => (Box::new(Mlp::new(sizes, Activation::Tanh)?), *n),
            Work::LeNet5(n) => {
                let spec: SequentialSpec = "lenet5".parse()?;
                (Box::new(spec.build([1, 28, 28], 10)?), *n)
            }
        })
    }

    fn problem<T: Scalar>(&self) -> Result<Problem<T>> {
        let (network, n) = self.network()?;
        let streams = Streams::new(0);
        let mut rng = streams.rng(Phase::USER, 0);
        let outputs = network.output_dim();
        let x: Vec<f64> = (&StandardNormal)
            .sample_iter(&mut rng)
            .take(n * network.input_dim())
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
            posterior: PosteriorDensity::new(network.as_ref(), likelihood, &prior, &x, &y)?,
            theta: theta.into_iter().map(T::from_f64).collect(),
        })
    }
}

struct Problem<T> {
    posterior: PosteriorDensity<T>,
    theta: Vec<T>,
}

fn gradients<T: Scalar>(c: &mut Criterion, suffix: &str) -> Result<()> {
    let mut group = c.benchmark_group("gradient");
    for work in WORKS {
        let Problem { posterior, theta } = work.problem::<T>()?;
        let mut ws = posterior.workspace();
        let mut grad = vec![T::ZERO; theta.len()];
        group.bench_function(work.name(suffix), |b| {
            b.iter(|| posterior.log_density_and_grad(black_box(&theta), &mut grad, &mut ws));
        });
    }
    group.finish();
    let mut group = c.benchmark_group("gradient_parallel");
    for work in WORKS {
        let Problem { posterior, theta } = work.problem::<T>()?;
        let particles = work.particles();
        group.throughput(Throughput::Elements(particles as u64));
        // one workspace per worker, as in a walk; each worker has its share of the particles
        let workers = rayon::current_num_threads();
        let mut gradients = vec![vec![T::ZERO; theta.len()]; particles];
        let mut memory: Vec<_> = (0..workers).map(|_| posterior.workspace()).collect();
        let share = particles.div_ceil(workers);
        let mut round = || -> Result<()> {
            let shares = gradients.par_chunks_mut(share).zip(&mut memory);
            shares.try_for_each(|(gradients, ws)| {
                gradients.iter_mut().try_for_each(|grad| {
                    posterior
                        .log_density_and_grad(black_box(&theta), grad, ws)
                        .map(drop)
                })
            })
        };
        group.bench_function(work.name(suffix), |b| {
            // inside the pool, as in a walk, because waking the pool is no part of a gradient
            b.iter_custom(|rounds| {
                rayon::scope(|_| {
                    let started = Instant::now();
                    for _ in 0..rounds {
                        assert!(round().is_ok());
                    }
                    started.elapsed()
                })
            });
        });
    }
    group.finish();
    Ok(())
}

/// The machine's matrix product, as the rate to compare the others with.
fn matmul<T: Scalar>(c: &mut Criterion, suffix: &str) -> Result<()> {
    // not a power of two: rows a power of two apart would fall into few sets of the cache
    const N: usize = 1000;
    let graph = Graph::new();
    let (a, b) = (graph.input(&[N, N]), graph.input(&[N, N]));
    let program = graph.compile::<T>(&[a.matmul(b)])?;
    let x: Vec<T> = (0..N * N)
        .map(|i| T::from_f64((i % 17) as f64 - 8.0))
        .collect();
    let mut states = [program.workspace(), program.workspace()];
    let mut group = c.benchmark_group("matmul");
    group.throughput(Throughput::Elements(2 * (N * N * N) as u64));
    group.bench_function(format!("square_{N}{suffix}"), |b| {
        b.iter(|| program.run(&[black_box(&x), &x], &mut states[0]));
    });
    group.throughput(Throughput::Elements(4 * (N * N * N) as u64));
    group.bench_function(format!("square_{N}_two_at_once{suffix}"), |b| {
        b.iter(|| {
            states
                .par_iter_mut()
                .try_for_each(|ws| program.run(&[black_box(&x), &x], ws))
        });
    });
    group.finish();
    Ok(())
}

fn all(c: &mut Criterion) {
    let outcome = gradients::<f32>(c, "")
        .and_then(|()| matmul::<f32>(c, ""))
        .and_then(|()| gradients::<f64>(c, "_f64"))
        .and_then(|()| matmul::<f64>(c, "_f64"));
    assert!(outcome.is_ok(), "{outcome:?}");
}

criterion_group! {
    name = benches;
    config = Criterion::default().measurement_time(Duration::from_secs(3)).warm_up_time(Duration::from_secs(1));
    targets = all
}
criterion_main!(benches);
