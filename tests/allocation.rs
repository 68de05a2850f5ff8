//! Inner steps allocate nothing after the first: counted, not believed.

#![allow(clippy::unwrap_used)]

mod common;

use allocation_counter::measure;
use common::{labels, network, normals};
use fiberwalk::walk::{Drift, DriftOptions, Kernel};
use fiberwalk::{
    Activation, Categorical, IsotropicGaussian, LogDensity, Network, Phase, Posterior, Scalar,
    Streams,
};

fn posterior<T: Scalar>(sizes: &[usize], n: usize) -> (Posterior<T>, Vec<T>) {
    let (net, theta) = network(sizes, Activation::Tanh, 1);
    let (x, y) = (normals(n * sizes[0], 2), labels(n, net.output_dim(), 3));
    let prior = IsotropicGaussian::new(1.0).unwrap();
    let posterior = Posterior::new(&net, &Categorical, &prior, &x, &y).unwrap();
    (posterior, theta.into_iter().map(T::from_f64).collect())
}

/// Gradient, Gauss-Newton product (a JVP and a VJP), Hessian-vector product, and a step of a walk.
fn check<T: Scalar>(sizes: &[usize], n: usize) {
    let (posterior, theta) = posterior::<T>(sizes, n);
    let mut out = vec![T::ZERO; theta.len()];
    let mut ws = posterior.workspace();
    let mut ggn = posterior.ggn_workspace();
    let mut hessian = posterior.hessian_workspace();
    let mut rng = Streams::new(0).rng(Phase::WALK, 0);
    let options = DriftOptions {
        step_size: 0.01,
        correction: 1e-3,
        max_energy: f64::INFINITY,
        retries: 4,
    };
    let kernel = Drift::new(options).unwrap();
    let mut state = kernel.init(&posterior, &theta, &mut rng, &mut ws).unwrap();
    let mut round = || {
        posterior.log_density(&theta, &mut ws).unwrap();
        posterior
            .log_density_and_grad(&theta, &mut out, &mut ws)
            .unwrap();
        posterior
            .ggn_product(&theta, &theta, &mut out, &mut ggn)
            .unwrap();
        posterior
            .hessian_product(&theta, &theta, &mut out, &mut hessian)
            .unwrap();
        kernel
            .step(&posterior, &mut state, &mut rng, &mut ws)
            .unwrap();
    };
    // the first round may set up what lasts: memory of the matrix products, detection of the instruction set
    round();
    let info = measure(|| (0..10).for_each(|_| round()));
    assert_eq!(info.count_total, 0, "{sizes:?}, {} bytes", info.bytes_total);
}

#[test]
fn gradients_and_products_allocate_nothing() {
    check::<f32>(&[18, 50, 4], 592);
    check::<f64>(&[18, 50, 4], 100);
    check::<f32>(&[2, 16, 16, 2], 500);
    check::<f32>(&[64, 128, 128, 10], 200);
}

#[test]
fn the_counter_counts() {
    assert!(measure(|| drop(std::hint::black_box(vec![0u8; 100]))).count_total > 0);
}
