//! Training allocates nothing after its first steps. The tests count allocations.
//!
//! The counter sees only its thread, so the work is done in a pool of one.

#![allow(clippy::unwrap_used)]

mod common;

use allocation_counter::measure;
use common::{labels, network, normals};
use fiberwalk::autodiff::Window;
use fiberwalk::nn::{AvgPool2d, Conv2d, Flatten, Layer, Linear, Sequential};
use fiberwalk::optim::{AdamWOptions, MapOptions, SgdOptions, clip_by_norm};
use fiberwalk::{
    Activation, Categorical, IsotropicGaussian, LogDensity, Minibatch, MinibatchOptions, Network,
    OptimizerOptions, Scalar, Streams, fit_map, fit_minibatch,
};

fn on_one_thread<R: Send>(work: impl FnOnce() -> R + Send) -> R {
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(1)
        .build()
        .unwrap();
    pool.install(work)
}

fn density<T: Scalar>(net: &dyn Network, n: usize) -> Minibatch<T> {
    let (x, y) = (
        normals(n * net.input_dim(), 2),
        labels(n, net.output_dim(), 3),
    );
    let prior = IsotropicGaussian::new(1.0).unwrap();
    Minibatch::new(net, &Categorical, &prior, &x, &y).unwrap()
}

fn images() -> Sequential {
    let window = |size, step| Window {
        size: [size; 2],
        stride: [step; 2],
        padding: [0; 2],
    };
    let layers: Vec<Box<dyn Layer>> = vec![
        Box::new(Conv2d::new(6, window(5, 1)).unwrap()),
        Box::new(Activation::Tanh),
        Box::new(AvgPool2d(window(2, 2))),
        Box::new(Flatten),
        Box::new(Linear::new(10).unwrap()),
    ];
    Sequential::new(&[1, 12, 12], layers).unwrap()
}

/// Batches of several sizes, values, clipping, and a step of each optimiser.
fn steps<T: Scalar>(net: &dyn Network) {
    let density = density::<T>(net, 300);
    let dim = density.dim();
    let mut optimizers = [
        OptimizerOptions::Sgd(SgdOptions::default()),
        OptimizerOptions::default(),
        OptimizerOptions::AdamW(AdamWOptions::default()),
    ]
    .map(|options| options.build::<T>(dim).unwrap());
    let rows: Vec<usize> = (0..300).collect();
    let mut theta = vec![T::ZERO; dim];
    let mut grad = vec![T::ZERO; dim];
    let mut ws = density.workspace();
    let mut round = || {
        for batch in rows.chunks(128) {
            density.energy(&theta, batch, &mut ws).unwrap();
            let energy = density.energy_and_grad(&theta, batch, &mut grad, &mut ws);
            assert!(energy.unwrap().is_finite());
            assert!(clip_by_norm(&mut grad, 1.0) > 1.0);
            for optimizer in &mut optimizers {
                optimizer.step(1e-3, &grad, &mut theta).unwrap();
            }
        }
    };
    round();
    let info = measure(|| (0..5).for_each(|_| round()));
    assert_eq!(info.count_total, 0, "{} bytes", info.bytes_total);
}

#[test]
fn steps_on_minibatches_allocate_nothing() {
    on_one_thread(|| {
        steps::<f32>(&network(&[18, 50, 4], Activation::Tanh, 1).0);
        steps::<f64>(&network(&[64, 128, 128, 10], Activation::Relu, 1).0);
        steps::<f32>(&images());
    });
}

/// Ten epochs allocate as often as three: everything is allocated at the start.
#[test]
fn epochs_allocate_nothing() {
    on_one_thread(|| {
        let net = images();
        let density = density::<f32>(&net, 300);
        let count = |epochs| {
            let options = MinibatchOptions {
                epochs,
                patience: 100,
                clip_norm: Some(10.0),
                ..MinibatchOptions::default()
            };
            let fit = || {
                let theta = vec![0.1; net.dim()];
                let report =
                    fit_minibatch(&density, None, theta, &options, Streams::new(1), |_| ());
                assert_eq!(report.unwrap().history.len(), epochs);
            };
            measure(fit).count_total
        };
        count(1);
        assert_eq!(count(3), count(10));
    });
}

#[test]
fn steps_on_all_data_allocate_nothing() {
    on_one_thread(|| {
        let net = network(&[18, 50, 4], Activation::Tanh, 1).0;
        let density = density::<f32>(&net, 100);
        let count = |steps| {
            let options = MapOptions {
                steps,
                clip_norm: Some(1.0),
                ..MapOptions::default()
            };
            let theta = vec![0.1; net.dim()];
            measure(|| drop(fit_map(&density, theta, &options, |_| ()).unwrap())).count_total
        };
        count(1);
        assert_eq!(count(3), count(30));
    });
}
