//! Tests of the modules above.

mod conformal;
mod maps;
mod peers;
mod transport;
mod weights;

use crate::rng::{Phase, Streams};
use rand::RngExt;

/// `count` numbers in `[0, 1)`.
fn uniforms(count: usize, seed: u64) -> Vec<f64> {
    let mut rng = Streams::new(seed).rng(Phase::USER, 7);
    (0..count).map(|_| rng.random()).collect()
}

/// Stated probabilities `[n, classes]`, whose odds are the true ones to the power `sharpness`, and
/// labels from the true ones.
fn overstated(n: usize, classes: usize, seed: u64, sharpness: f64) -> (Vec<f64>, Vec<usize>) {
    let raw = uniforms(n * classes, seed);
    let coins = uniforms(n, seed + 1);
    let (mut stated, mut labels) = (Vec::new(), Vec::new());
    for (row, coin) in raw.chunks(classes).zip(coins) {
        let odds: Vec<f64> = row.iter().map(|u| u * u + 0.02).collect();
        let total: f64 = odds.iter().sum();
        let mut below = 0.0;
        let label = odds.iter().position(|o| {
            below += o / total;
            coin < below
        });
        labels.push(label.unwrap_or(classes - 1));
        let sharp: Vec<f64> = odds.iter().map(|o| o.powf(sharpness)).collect();
        let total: f64 = sharp.iter().sum();
        stated.extend(sharp.iter().map(|o| o / total));
    }
    (stated, labels)
}
