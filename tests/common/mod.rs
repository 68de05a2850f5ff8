//! Problems that several tests share.

#![allow(dead_code, clippy::unwrap_used, clippy::panic)]

pub mod model_bytes;
pub mod program;

use std::path::{Path, PathBuf};

use fiberwalk::data::{CsvOptions, Standardizer, Task, load_csv};
use fiberwalk::nn::{HeadedSequential, SequentialSpec};
use fiberwalk::pipeline::{Method, MethodOptions};
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

/// A method with few particles, steps and points or draws, as far as it has them.
pub fn short(method: Method, particles: usize, steps: usize, samples: usize) -> MethodOptions {
    let mut options = MethodOptions::of(method);
    if let Some(walk) = options.walk_mut() {
        (walk.particles, walk.steps) = (Some(particles), Some(steps));
    }
    if let MethodOptions::Auto(auto) = &mut options {
        (auto.particles, auto.steps) = (Some(particles), Some(steps));
    }
    if let Some(kept) = options.samples_mut() {
        *kept = samples;
    }
    options
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

/// A network with its initial parameters; biases are random too.
pub fn network(sizes: &[usize], activation: Activation, seed: u64) -> (Mlp, Vec<f64>) {
    let net = Mlp::new(sizes, activation).unwrap();
    let mut theta = net.init(&mut Streams::new(seed).rng(Phase::INIT, 0));
    for (t, n) in theta.iter_mut().zip(normals(net.dim(), seed + 1)) {
        *t += 0.1 * n;
    }
    (net, theta)
}

/// A small set of images as IDX files, with two classes: a horizontal bar and a vertical bar, at
/// random places in noise.
pub struct Bars {
    /// Pixels `[n, 8, 8]`.
    pub pixels: Vec<u8>,
    /// Classes `[n]`.
    pub labels: Vec<u8>,
}

impl Bars {
    pub const SIDE: usize = 8;

    pub fn new(count: usize, seed: u64) -> Self {
        let mut rng = Streams::new(seed).rng(Phase::USER, 97);
        let mut draw = |below: u32| (rng.next_u32() % below) as usize;
        let (mut pixels, mut labels) = (Vec::new(), Vec::new());
        for i in 0..count {
            let (place, stands) = (draw(8), i % 2 == 1);
            for row in 0..Self::SIDE {
                for column in 0..Self::SIDE {
                    let bar = place == if stands { column } else { row };
                    pixels.push((draw(60) + if bar { 180 } else { 0 }) as u8);
                }
            }
            labels.push(u8::from(stands));
        }
        Self { pixels, labels }
    }

    /// The images as a file.
    pub fn images(&self) -> Vec<u8> {
        let extents = [self.labels.len(), Self::SIDE, Self::SIDE];
        idx(&extents, &self.pixels)
    }

    /// The labels as a file.
    pub fn label_file(&self) -> Vec<u8> {
        idx(&[self.labels.len()], &self.labels)
    }

    /// The same as a table.
    pub fn csv(&self) -> String {
        let names: Vec<String> = (0..64).map(|j| format!("p{j}")).collect();
        let mut text = names.join(",") + ",label\n";
        for (image, label) in self.pixels.chunks_exact(64).zip(&self.labels) {
            let cells: Vec<String> = image.iter().chain([label]).map(u8::to_string).collect();
            text += &(cells.join(",") + "\n");
        }
        text
    }
}

/// An IDX file of bytes.
pub fn idx(extents: &[usize], elements: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, extents.len() as u8];
    extents
        .iter()
        .for_each(|&n| bytes.extend((n as u32).to_be_bytes()));
    bytes.extend(elements);
    bytes
}

/// LeNet-5 for images of 28 x 28, ten classes.
pub fn lenet5() -> HeadedSequential {
    let spec: SequentialSpec = "lenet5".parse().unwrap();
    spec.build([1, 28, 28], 10).unwrap()
}
