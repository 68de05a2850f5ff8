//! Problems that several tests share.

#![allow(dead_code, clippy::unwrap_used, clippy::panic)]

pub mod program;

use std::path::{Path, PathBuf};

use fiberwalk::data::{CsvOptions, Standardizer, Task, load_csv};
use fiberwalk::{Activation, Mlp, Network, Phase, Streams};
use rand::Rng;
use rand_distr::{Distribution, StandardNormal};

/// A data file of the repository.
pub fn data_file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("examples/data")
        .join(name)
}

/// Standardised rows and targets of a data file: `(x, y, features, outputs)`.
pub fn standardised(name: &str) -> (Vec<f64>, Vec<f64>, usize, usize) {
    let data = load_csv(&data_file(name), &CsvOptions::default()).unwrap();
    let fit = Standardizer::fit(data.features(), data.d()).unwrap();
    let x = fit.transform(data.features()).unwrap();
    match data.task() {
        Task::Classification { classes } => (x, data.targets().to_vec(), data.d(), classes),
        Task::Regression => {
            let fit = Standardizer::fit(data.targets(), 1).unwrap();
            (x, fit.transform(data.targets()).unwrap(), data.d(), 1)
        }
    }
}

/// `count` standard normal numbers from one stream.
pub fn normals(count: usize, seed: u64) -> Vec<f64> {
    let rng = Streams::new(seed).rng(Phase::USER, 99);
    StandardNormal.sample_iter(rng).take(count).collect()
}

/// Labels in `0..classes`.
pub fn labels(count: usize, classes: usize, seed: u64) -> Vec<f64> {
    let mut rng = Streams::new(seed).rng(Phase::USER, 98);
    (0..count)
        .map(|_| (rng.next_u32() as usize % classes) as f64)
        .collect()
}

/// A network with its initial parameters, biases random too.
pub fn network(sizes: &[usize], activation: Activation, seed: u64) -> (Mlp, Vec<f64>) {
    let net = Mlp::new(sizes, activation).unwrap();
    let mut theta = net.init(&mut Streams::new(seed).rng(Phase::INIT, 0));
    for (t, n) in theta.iter_mut().zip(normals(net.dim(), seed + 1)) {
        *t += 0.1 * n;
    }
    (net, theta)
}
