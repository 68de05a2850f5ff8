//! Small problems with known answers, for tests and examples.

use std::f64::consts::PI;

use rand::{Rng, RngExt};
use rand_distr::StandardNormal;

use super::dataset::{Dataset, Task};
use crate::error::{Error, Result};
use crate::rng::{Phase, Streams};

/// Noise of [`banana`] in each coordinate. The two arcs have radius 1.
const BANANA_NOISE: f64 = 0.15;

/// `y = w x + noise` with standard normal features `[n, d]` and noise of standard deviation
/// `noise_std`.
///
/// # Errors
/// No rows, no weights, a weight that is not finite, or a noise that is negative or not finite.
pub fn linear_regression(
    n: usize,
    weights: &[f64],
    noise_std: f64,
    streams: &Streams,
) -> Result<Dataset> {
    check_noise(noise_std)?;
    let mut rng = streams.rng(Phase::SYNTHETIC, 0);
    let (mut features, mut targets) = (Vec::new(), Vec::new());
    for _ in 0..n {
        let x: Vec<f64> = weights.iter().map(|_| normal(&mut rng)).collect();
        let signal: f64 = x.iter().zip(weights).map(|(x, w)| x * w).sum();
        targets.push(signal + noise_std * normal(&mut rng));
        features.extend(x);
    }
    let names = (0..weights.len()).map(|j| format!("x{j}")).collect();
    Dataset::new(features, targets, names, "y", Task::Regression)
}

/// `y = sin(2 x) + x / 2 + noise` with `x` uniform on [-3, -1] and [1, 3]. There are no data
/// between -1 and 1.
///
/// # Errors
/// No rows, or a noise that is negative or not finite.
pub fn regression_with_gap(n: usize, noise_std: f64, streams: &Streams) -> Result<Dataset> {
    check_noise(noise_std)?;
    let mut rng = streams.rng(Phase::SYNTHETIC, 1);
    let (mut features, mut targets) = (Vec::new(), Vec::new());
    for _ in 0..n {
        let distance = 1.0 + 2.0 * rng.random::<f64>();
        let x = if rng.random::<bool>() {
            distance
        } else {
            -distance
        };
        features.push(x);
        targets.push((2.0 * x).sin() + 0.5 * x + noise_std * normal(&mut rng));
    }
    Dataset::new(features, targets, vec!["x".into()], "y", Task::Regression)
}

/// Two interleaved half circles in the plane, one per class. Classes alternate, and the noise is
/// 0.15 in each coordinate.
///
/// # Errors
/// No rows.
pub fn banana(n: usize, streams: &Streams) -> Result<Dataset> {
    let mut rng = streams.rng(Phase::SYNTHETIC, 2);
    let (mut features, mut targets) = (Vec::new(), Vec::new());
    for i in 0..n {
        let (sin, cos) = (PI * rng.random::<f64>()).sin_cos();
        let (x, y) = match i % 2 {
            0 => (cos, sin),
            _ => (1.0 - cos, 0.5 - sin),
        };
        features.push(x + BANANA_NOISE * normal(&mut rng));
        features.push(y + BANANA_NOISE * normal(&mut rng));
        targets.push((i % 2) as f64);
    }
    let names = vec!["x".into(), "y".into()];
    let task = Task::Classification { classes: 2 };
    Dataset::new(features, targets, names, "class", task)
}

fn normal(rng: &mut impl Rng) -> f64 {
    rng.sample(StandardNormal)
}

fn check_noise(noise_std: f64) -> Result<()> {
    if noise_std.is_finite() && noise_std >= 0.0 {
        return Ok(());
    }
    let requirement = "must be finite and at least 0";
    Err(Error::config("noise_std", noise_std, requirement))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_noise_the_answers_are_exact() {
        let streams = Streams::new(5);
        let set = linear_regression(40, &[2.0, -1.0], 0.0, &streams).unwrap();
        for i in 0..set.n() {
            let x = set.row(i);
            assert_eq!(set.targets()[i], 2.0 * x[0] - x[1]);
        }
        let set = regression_with_gap(200, 0.0, &streams).unwrap();
        for i in 0..set.n() {
            let x = set.row(i)[0];
            assert!((1.0..=3.0).contains(&x.abs()));
            assert_eq!(set.targets()[i], (2.0 * x).sin() + 0.5 * x);
        }
        let positive = set.features().iter().filter(|x| **x > 0.0).count();
        assert!((60..140).contains(&positive), "both sides of the gap");
    }

    #[test]
    fn noise_has_the_stated_deviation() {
        let n = 4000;
        let set = linear_regression(n, &[1.0], 0.5, &Streams::new(2)).unwrap();
        let residuals = (0..n).map(|i| set.targets()[i] - set.row(i)[0]);
        let variance = residuals.map(|r| r * r).sum::<f64>() / n as f64;
        // the relative standard deviation of a variance of n normals is sqrt(2 / n); 5 sigma
        assert!((variance / 0.25 - 1.0).abs() < 5.0 * (2.0 / n as f64).sqrt());
    }

    #[test]
    fn bananas_are_balanced_and_near_their_arcs() {
        let set = banana(400, &Streams::new(3)).unwrap();
        assert_eq!(set.class_counts(), [200, 200]);
        let radius = |i: usize| {
            let (x, y) = (set.row(i)[0], set.row(i)[1]);
            match i % 2 {
                0 => x.hypot(y),
                _ => (x - 1.0).hypot(y - 0.5),
            }
        };
        let squares = (0..400).map(|i| (radius(i) - 1.0).powi(2)).sum::<f64>();
        let deviation = (squares / 400.0).sqrt();
        assert!((deviation / BANANA_NOISE - 1.0).abs() < 0.2, "{deviation}");
        assert!(set.check_trainable().is_ok());
    }

    #[test]
    fn a_seed_gives_the_same_data_and_another_seed_other_data() {
        let draw = |seed| banana(10, &Streams::new(seed)).unwrap();
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
    }

    #[test]
    fn refuses_nonsense() {
        let streams = Streams::new(1);
        assert!(linear_regression(0, &[1.0], 0.1, &streams).is_err());
        assert!(linear_regression(5, &[], 0.1, &streams).is_err());
        assert!(linear_regression(5, &[f64::NAN], 0.1, &streams).is_err());
        assert!(regression_with_gap(5, -0.1, &streams).is_err());
        assert!(regression_with_gap(5, f64::NAN, &streams).is_err());
        assert!(banana(0, &streams).is_err());
    }
}
