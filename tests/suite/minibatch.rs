//! The energy of a batch against the posterior of its rows, written out.

mod edges;
mod noise;

use crate::common::{labels, network, normals};
use fiberwalk::autodiff::{Var, Window};
use fiberwalk::nn::{AvgPool2d, Conv2d, Flatten, Linear, ParamLayout, Sequential};
use fiberwalk::{
    Activation, Categorical, Column, Curved, Error, Gaussian, GaussianLearnedNoise,
    IsotropicGaussian, Likelihood, LogDensity, Minibatch, Network, PosteriorDensity, Prior, Scalar,
};
use proptest::prelude::*;

const ALPHA: f64 = 0.7;

struct Problem {
    network: Box<dyn Network>,
    likelihood: Box<dyn Likelihood>,
    x: Vec<f64>,
    y: Vec<f64>,
    theta: Vec<f64>,
}

impl Problem {
    fn classes(n: usize) -> Self {
        let (net, theta) = network(&[3, 5, 4], Activation::Tanh, 1);
        Self {
            network: Box::new(net),
            likelihood: Box::new(Categorical),
            x: normals(n * 3, 2),
            y: labels(n, 4, 3),
            theta,
        }
    }

    fn regression(n: usize) -> Self {
        let (net, theta) = network(&[2, 6, 1], Activation::Gelu, 4);
        Self {
            network: Box::new(net),
            likelihood: Box::new(Gaussian::new(0.3).unwrap()),
            x: normals(n * 2, 5),
            y: normals(n, 6),
            theta,
        }
    }

    /// Three targets per row, each with a noise level, which come after the network's parameters.
    fn learned_noise(n: usize) -> Self {
        let (net, mut theta) = network(&[2, 5, 3], Activation::Tanh, 8);
        theta.extend([-1.0, 0.2, -0.4]);
        Self {
            network: Box::new(net),
            likelihood: Box::new(GaussianLearnedNoise::per_output()),
            x: normals(n * 2, 9),
            y: normals(n * 3, 10),
            theta,
        }
    }

    /// Enough parameters to be summed in several parts.
    fn wide(n: usize) -> Self {
        let (net, theta) = network(&[40, 300, 120, 3], Activation::Tanh, 1);
        Self {
            network: Box::new(net),
            likelihood: Box::new(Categorical),
            x: normals(n * 40, 2),
            y: labels(n, 3, 3),
            theta,
        }
    }

    fn images(n: usize) -> Self {
        let window = |size, step| Window {
            size: [size; 2],
            stride: [step; 2],
            padding: [0; 2],
        };
        let layers: Vec<Box<dyn fiberwalk::nn::Layer>> = vec![
            Box::new(Conv2d::new(3, window(3, 1)).unwrap()),
            Box::new(Activation::Tanh),
            Box::new(AvgPool2d(window(2, 2))),
            Box::new(Flatten),
            Box::new(Linear::new(3).unwrap()),
        ];
        let net = Sequential::new(&[2, 6, 6], layers).unwrap();
        let theta = normals(net.dim(), 7).iter().map(|t| 0.3 * t).collect();
        Self {
            network: Box::new(net),
            likelihood: Box::new(Categorical),
            x: normals(n * 72, 8),
            y: labels(n, 3, 9),
            theta,
        }
    }

    fn minibatch<T: Scalar>(&self, shard_rows: usize) -> Minibatch<T> {
        let prior = IsotropicGaussian::new(ALPHA).unwrap();
        let (net, likelihood) = (self.network.as_ref(), self.likelihood.as_ref());
        Minibatch::with_shard_rows(net, likelihood, &prior, &self.x, &self.y, shard_rows).unwrap()
    }

    /// The posterior of some rows.
    fn posterior(&self, rows: &[usize]) -> PosteriorDensity<f64> {
        let d = self.network.input_dim();
        let row = |&r: &usize| &self.x[r * d..(r + 1) * d];
        let x: Vec<f64> = rows.iter().flat_map(row).copied().collect();
        let m = self.likelihood.target_dim(self.network.output_dim());
        let targets = |&r: &usize| &self.y[r * m..(r + 1) * m];
        let y: Vec<f64> = rows.iter().flat_map(targets).copied().collect();
        let prior = IsotropicGaussian::new(ALPHA).unwrap();
        let (net, likelihood) = (self.network.as_ref(), self.likelihood.as_ref());
        PosteriorDensity::new(net, likelihood, &prior, &x, &y).unwrap()
    }

    /// `U_B` and its gradient from the posterior of the batch alone: likelihood scaled, prior not.
    fn oracle(&self, n: usize, batch: &[usize]) -> (f64, Vec<f64>) {
        let posterior = self.posterior(batch);
        let mut ws = posterior.workspace();
        let mut grad = vec![0.0; self.theta.len()];
        let energy = -posterior
            .log_density_and_grad(&self.theta, &mut grad, &mut ws)
            .unwrap();
        let nll = posterior.neg_log_likelihood(&self.theta, &mut ws).unwrap();
        let scale = n as f64 / batch.len() as f64;
        for (g, t) in grad.iter_mut().zip(&self.theta) {
            let of_prior = ALPHA * t;
            *g = scale * (-*g - of_prior) + of_prior;
        }
        (energy - nll + scale * nll, grad)
    }
}

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-11 * (1.0 + a.abs().max(b.abs()))
}

fn all_close(a: &[f64], b: &[f64]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| close(*a, *b))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Any batch, shards of any size, rows repeated or not, more shards than are in memory at once.
    #[test]
    fn a_batch_is_the_posterior_of_its_rows_scaled(
        kind in 0usize..3, n in 1usize..40, shard in 1usize..12,
        picks in prop::collection::vec(0usize..1000, 1..60),
    ) {
        let problem = [Problem::classes, Problem::regression, Problem::images][kind](n);
        let density = problem.minibatch::<f64>(shard);
        let batch: Vec<usize> = picks.iter().map(|p| p % n).collect();
        let mut ws = density.workspace();
        let mut grad = vec![f64::NAN; density.dim()];
        let energy = density.energy_and_grad(&problem.theta, &batch, &mut grad, &mut ws).unwrap();
        let (expected, expected_grad) = problem.oracle(n, &batch);
        prop_assert!(close(energy, expected), "{energy} {expected}");
        prop_assert!(all_close(&grad, &expected_grad));
        let value = density.energy(&problem.theta, &batch, &mut ws).unwrap();
        prop_assert!(close(value, expected));
    }

    /// Exactly unbiased: over the batches of a partition, weighted by their sizes, the mean is the
    /// whole.
    #[test]
    fn batches_of_a_partition_average_to_the_whole(
        n in 1usize..50, batch_rows in 1usize..20, shard in 1usize..9, seed in 0u64..100
    ) {
        let problem = Problem::classes(n);
        let density = problem.minibatch::<f64>(shard);
        let mut ws = density.workspace();
        let mut order: Vec<usize> = (0..n).collect();
        let keys = normals(n, seed);
        order.sort_by(|&a, &b| keys[a].total_cmp(&keys[b]));
        let (mut mean, mut mean_grad) = (0.0, vec![0.0; density.dim()]);
        let mut grad = mean_grad.clone();
        for batch in order.chunks(batch_rows) {
            let weight = batch.len() as f64 / n as f64;
            mean += weight * density.energy_and_grad(&problem.theta, batch, &mut grad, &mut ws).unwrap();
            for (m, g) in mean_grad.iter_mut().zip(&grad) {
                *m += weight * g;
            }
        }
        let (whole, whole_grad) = problem.oracle(n, &order);
        prop_assert!(close(mean, whole));
        prop_assert!(all_close(&mean_grad, &whole_grad));
    }
}

#[test]
fn as_a_density_it_is_the_posterior() {
    for problem in [
        Problem::classes(53),
        Problem::regression(53),
        Problem::images(53),
        Problem::learned_noise(53),
        Problem::wide(53),
    ] {
        let (density, posterior) = (
            problem.minibatch::<f64>(2),
            problem.posterior(&(0..53).collect::<Vec<_>>()),
        );
        let (mut ws, mut reference) = (density.workspace(), posterior.workspace());
        let (mut grad, mut expected) = (vec![0.0; density.dim()], vec![0.0; density.dim()]);
        let theta = &problem.theta;
        let a = density
            .log_density_and_grad(theta, &mut grad, &mut ws)
            .unwrap();
        let b = posterior
            .log_density_and_grad(theta, &mut expected, &mut reference)
            .unwrap();
        assert!(close(a, b) && all_close(&grad, &expected));
        assert!(close(density.log_density(theta, &mut ws).unwrap(), b));
        let nll = density.neg_log_likelihood(theta, &mut ws).unwrap();
        assert!(close(
            nll,
            posterior.neg_log_likelihood(theta, &mut reference).unwrap()
        ));
    }
}

#[test]
fn a_selection_is_scaled_to_its_own_rows() {
    let problem = Problem::classes(30);
    let density = problem.minibatch::<f64>(4);
    let some = density.select(&[7, 3, 21, 29, 0, 8, 9]).unwrap();
    let nested = some.select(&[6, 2, 3]).unwrap();
    assert_eq!((density.rows(), some.rows(), nested.rows()), (30, 7, 3));
    let mut ws = some.workspace();
    let theta = &problem.theta;
    let expected = problem.oracle(7, &[21, 7]).0;
    assert!(close(
        some.energy(theta, &[2, 0], &mut ws).unwrap(),
        expected
    ));
    let expected = problem.oracle(3, &[9, 21, 29]).0;
    assert!(close(
        -nested.log_density(theta, &mut ws).unwrap(),
        expected
    ));
}

/// `p(theta) = 1`, improper: its gradient is zero everywhere.
struct Flat;

impl Prior for Flat {
    fn neg_log_density<'g>(&self, theta: Var<'g>, _: &ParamLayout) -> Var<'g> {
        theta.graph().constant(0.0)
    }

    fn precision(&self, layout: &ParamLayout) -> Vec<f64> {
        vec![0.0; layout.len()]
    }
}

/// `N(0, 1)`, whose gradient is `theta`.
#[test]
fn priors_without_a_computation_of_their_own_work() {
    let problem = Problem::regression(9);
    let unit = IsotropicGaussian::new(1.0).unwrap();
    let (net, likelihood) = (problem.network.as_ref(), problem.likelihood.as_ref());
    let gradient = |prior: &dyn Prior| {
        let density =
            Minibatch::<f64>::new(net, likelihood, prior, &problem.x, &problem.y).unwrap();
        let mut grad = vec![0.0; density.dim()];
        density
            .log_density_and_grad(&problem.theta, &mut grad, &mut density.workspace())
            .unwrap();
        grad
    };
    let (with, without) = (gradient(&unit), gradient(&Flat));
    let difference: Vec<f64> = without.iter().zip(&with).map(|(a, b)| a - b).collect();
    assert!(all_close(&difference, &problem.theta));
}

/// Bits of a gradient on `threads` threads, after other batches have used the memory.
fn bits(threads: usize) -> Vec<u32> {
    let problem = Problem::wide(700);
    let density = problem.minibatch::<f32>(32);
    let theta: Vec<f32> = problem.theta.iter().map(|&t| t as f32).collect();
    let batch: Vec<usize> = (0..699).map(|i| i * 37 % 700).collect();
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .unwrap();
    pool.install(|| {
        let mut ws = density.workspace();
        let mut grad = vec![0.0; density.dim()];
        let mut all = Vec::new();
        for end in [31, 699, 100, 1] {
            let batch = &batch[..end];
            let energy = density
                .energy_and_grad(&theta, batch, &mut grad, &mut ws)
                .unwrap();
            all.extend(grad.iter().map(|g| g.to_bits()));
            let value = density.energy(&theta, batch, &mut ws).unwrap();
            all.extend([energy, value].map(|e| (e as f32).to_bits()));
            // fresh memory gives the same
            let mut fresh = vec![0.0; density.dim()];
            let again =
                density.energy_and_grad(&theta, batch, &mut fresh, &mut density.workspace());
            assert_eq!((again.unwrap(), fresh), (energy, grad.clone()));
        }
        all
    })
}

#[test]
fn threads_change_no_bit() {
    let one = bits(1);
    assert!(one == bits(2) && one == bits(8));
}
