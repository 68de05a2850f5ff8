//! The methods that the walk is measured against, each on problems whose answer is known.

mod dropout;
mod ensemble;
mod langevin;
mod riemann;
mod swag;
mod variational;

use crate::linear::{Linear, NOISE};
use fiberwalk::{Activation, Gaussian, Minibatch, Mlp, PerLayerGaussian, Result};

/// The same posterior as a linear problem's, by minibatches.
fn minibatch(linear: &Linear) -> Minibatch<f64> {
    repeated(linear, 1).unwrap()
}

/// All rows `times` times, and the prior `times` times as precise. So `U` is `times` times as
/// large, except for the prior's constant, and `U / N` is the same.
fn repeated(linear: &Linear, times: usize) -> Result<Minibatch<f64>> {
    let p = linear.dim();
    let x: Vec<f64> = linear
        .design
        .chunks_exact(p)
        .flat_map(|row| row[..p - 1].to_vec())
        .collect();
    let network = Mlp::new(&[p - 1, 1], Activation::Tanh)?;
    let precision = |i: usize| linear.prior_precision[i] * times as f64;
    let precisions = [
        ("layer0.weight", precision(0)),
        ("layer0.bias", precision(p - 1)),
    ];
    let prior = PerLayerGaussian::new(&precisions)?;
    let (x, y) = (x.repeat(times), linear.targets.repeat(times));
    Minibatch::new(&network, &Gaussian::new(NOISE)?, &prior, &x, &y)
}

fn bits(x: &[f64]) -> Vec<u64> {
    x.iter().map(|x| x.to_bits()).collect()
}

/// The result of the same work with 1, 2 and 8 threads; it must be the same each time.
fn for_any_threads(work: impl Fn() -> Vec<f64> + Sync) -> Vec<f64> {
    let with = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        pool.unwrap().install(&work)
    };
    let one = with(1);
    for threads in [2, 8] {
        assert_eq!(bits(&one), bits(&with(threads)), "{threads} threads");
    }
    one
}
