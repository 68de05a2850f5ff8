//! SWAG.

use super::{for_any_threads, minibatch, repeated};
use crate::common::normals;
use crate::linear::{Linear, p_value};
use fiberwalk::baselines::{Swag, SwagOptions, fit_swag};
use fiberwalk::diagnose::GaussianTarget;
use fiberwalk::linalg::Cholesky;
use fiberwalk::linalg::vector::{distance, dot, norm};
use fiberwalk::optim::{Decay, MinibatchOptions, Optimizer, Sgd, SgdOptions, fit_minibatch_with};
use fiberwalk::{Error, LogDensity, Minibatch, Phase, Posterior, Result, Streams};
use proptest::prelude::*;
use rand::Rng;

fn options() -> SwagOptions {
    SwagOptions {
        epochs: 25,
        batch_rows: 5,
        rank: 4,
        collect_every: Some(2),
        ..SwagOptions::default()
    }
}

/// Plain descent that records every point it reaches.
struct Recorded(Sgd<f64>, Vec<Vec<f64>>);

impl Optimizer<f64> for Recorded {
    fn step(&mut self, rate: f64, grad: &[f64], theta: &mut [f64]) -> Result<()> {
        self.0.step(rate, grad, theta)?;
        self.1.push(theta.to_vec());
        Ok(())
    }
}

/// The path whose moments SWAG takes.
fn path(
    density: &Minibatch<f64>,
    start: &[f64],
    options: &SwagOptions,
    streams: Streams,
) -> Vec<Vec<f64>> {
    let own = Streams::new(streams.rng(Phase::SWAG, 0).next_u64());
    let sgd = SgdOptions {
        momentum: options.momentum,
        nesterov: false,
    };
    let mut recorded = Recorded(Sgd::new(start.len(), sgd).unwrap(), Vec::new());
    let training = MinibatchOptions {
        epochs: options.epochs,
        batch_rows: options.batch_rows,
        learning_rate: options.learning_rate / density.rows() as f64,
        schedule: Decay::Constant.into(),
        validation_fraction: 0.0,
        ..MinibatchOptions::default()
    };
    fit_minibatch_with(
        density,
        None,
        &mut recorded,
        start.to_vec(),
        &training,
        own,
        |_| (),
    )
    .unwrap();
    recorded.1
}

#[test]
fn its_moments_are_those_of_the_path() {
    let linear = Linear::full_rank();
    let (density, options, streams) = (minibatch(&linear), options(), Streams::new(3));
    let start = linear.mean.clone();
    let report = fit_swag(&density, start.clone(), &options, streams, |_| ()).unwrap();
    let (posterior, p) = (&report.posterior, linear.dim());
    let mut points = vec![start.clone()];
    let walked = path(&density, &start, &options, streams);
    points.extend(walked.iter().skip(1).step_by(2).cloned());
    let n = points.len();
    // 25 epochs of three batches, every second point
    assert_eq!((report.points, report.gradients, n), (38, 75, 38));
    let mean =
        |count: usize, i: usize| points[..count].iter().map(|x| x[i]).sum::<f64>() / count as f64;
    for i in 0..p {
        let square = points.iter().map(|x| x[i] * x[i]).sum::<f64>() / n as f64;
        let variance = square - mean(n, i).powi(2);
        assert!((posterior.mean()[i] - mean(n, i)).abs() < 1e-13);
        assert!((posterior.variance()[i] - variance).abs() < 1e-12);
        assert!(variance > 1e-6, "the path moves");
        for k in 0..4 {
            let t = n - 4 + k;
            let deviation = points[t][i] - mean(t + 1, i);
            assert!((posterior.deviations()[k * p + i] - deviation).abs() < 1e-13);
        }
    }
    assert!(
        report.energy > report.initial_energy,
        "the start is the minimum"
    );
}

#[test]
fn its_learning_rate_is_that_of_the_mean_loss() {
    let linear = Linear::full_rank();
    let options = SwagOptions {
        batch_rows: 1_000,
        ..options()
    };
    let fit = |times| {
        let density = repeated(&linear, times).unwrap();
        let start = vec![0.1; linear.dim()];
        fit_swag(&density, start, &options, Streams::new(0), |_| ())
            .unwrap()
            .posterior
    };
    // one batch per epoch, of all rows: no noise, and the mean loss is the same function
    let (once, thrice) = (fit(1), fit(3));
    for (a, b) in once.mean().iter().zip(thrice.mean()) {
        assert!((a - b).abs() < 1e-12 && (a - 0.1).abs() > 1e-3, "{a} {b}");
    }
}

/// The points of a fit that keeps all its deviations: the start, and then each from the one before,
/// with `D_t = theta_t - mean_t` and `mean_t = mean_{t-1} + (theta_t - mean_{t-1}) / n`.
fn walked(swag: &Swag<f64>, start: &[f64]) -> Vec<Vec<f64>> {
    let mut mean = start.to_vec();
    let mut points = vec![start.to_vec()];
    for (t, deviation) in swag.deviations().chunks_exact(start.len()).enumerate() {
        let n = (t + 2) as f64;
        let theta = mean
            .iter()
            .zip(deviation)
            .map(|(m, d)| m + d * n / (n - 1.0));
        let theta: Vec<f64> = theta.collect();
        mean.iter_mut()
            .zip(&theta)
            .for_each(|(m, x)| *m += (x - *m) / n);
        points.push(theta);
    }
    points
}

/// If the bound is always met, a step without momentum has length `lr c`, whatever the batch and
/// the number of rows.
#[test]
fn a_gradient_of_the_mean_loss_is_bounded() {
    let linear = Linear::full_rank();
    for times in [1, 3] {
        let density = repeated(&linear, times).unwrap();
        let options = SwagOptions {
            momentum: 0.0,
            clip_norm: Some(1e-3),
            collect_every: Some(1),
            rank: 1_000,
            ..options()
        };
        let start = vec![0.1; linear.dim()];
        let report = fit_swag(&density, start.clone(), &options, Streams::new(0), |_| ()).unwrap();
        let points = walked(&report.posterior, &start);
        assert_eq!(points.len(), report.gradients + 1);
        for step in points.windows(2) {
            let length = distance(&step[0], &step[1]);
            // coordinates are about 1, and steps of 1e-5 are their differences: rounding errors of
            // 1e-16 / 1e-5 each, and those of the recovery
            assert!((length / 1e-5 - 1.0).abs() < 1e-8, "{length}");
        }
    }
}

/// All rows at once, written out. The bound applies to the gradient, not to the velocity. The
/// gradient is too long at first, and short enough at the end.
#[test]
fn the_bound_is_that_of_the_gradient_before_the_momentum() {
    let linear = Linear::full_rank();
    let density = repeated(&linear, 2).unwrap();
    let n = density.rows() as f64;
    let (rate, bound, momentum) = (0.02, 2.0, 0.7);
    let options = SwagOptions {
        batch_rows: 1_000,
        epochs: 60,
        learning_rate: rate,
        momentum,
        clip_norm: Some(bound),
        collect_every: Some(1),
        rank: 1_000,
    };
    let start = vec![3.0; linear.dim()];
    let report = fit_swag(&density, start.clone(), &options, Streams::new(0), |_| ()).unwrap();
    let points = walked(&report.posterior, &start);
    assert_eq!(points.len(), 61);
    let (mut theta, mut velocity) = (start.clone(), vec![0.0; linear.dim()]);
    let (mut grad, mut ws) = (velocity.clone(), density.workspace());
    let mut clipped = 0;
    for point in &points[1..] {
        density
            .log_density_and_grad(&theta, &mut grad, &mut ws)
            .unwrap();
        let length = norm(&grad) / n;
        clipped += usize::from(length > bound);
        let scale = (bound / length).min(1.0) / n;
        for i in 0..theta.len() {
            velocity[i] = momentum * velocity[i] - scale * grad[i];
            theta[i] -= rate * velocity[i];
        }
        assert!(distance(&theta, point) < 1e-11, "{theta:?} {point:?}");
    }
    assert!((10..50).contains(&clipped), "{clipped}");
}

/// The covariance written out, with a share of the diagonal and a divisor for the deviations.
fn covariance(swag: &Swag<f64>, share: f64, divisor: f64) -> Vec<f64> {
    let p = swag.dim();
    let d = swag.deviations();
    let entry = |i: usize, j: usize| {
        let along: f64 = (0..swag.rank()).map(|k| d[k * p + i] * d[k * p + j]).sum();
        let own = if i == j {
            share * swag.variance()[i]
        } else {
            0.0
        };
        own + along / divisor
    };
    (0..p * p).map(|ij| entry(ij / p, ij % p)).collect()
}

#[test]
fn draws_have_its_covariance_and_not_one_like_it() {
    let (p, k) = (4, 3);
    let variance = vec![0.5, 1.0, 2.0, 0.1];
    let swag = Swag::new(normals(p, 1), variance, normals(k * p, 2)).unwrap();
    let draws = for_any_threads(|| swag.sample(4_000, Streams::new(9)).unwrap());
    let test = |share, divisor| {
        let target = GaussianTarget::new(&swag.mean(), &covariance(&swag, share, divisor)).unwrap();
        p_value(&target, &draws)
    };
    let p_right = test(0.5, 2.0 * (k - 1) as f64);
    assert!(p_right > 1e-4, "{p_right}");
    // wrong on purpose: the whole diagonal; K instead of K - 1
    assert!(test(1.0, 4.0) < 1e-8 && test(0.5, 2.0 * k as f64) < 1e-8);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Against the dense matrix, factorised.
    #[test]
    fn its_density_is_the_dense_gaussians(p in 1usize..7, k in 2usize..6, seed in 0u64..1_000) {
        let variance = normals(p, seed).iter().map(|x| x * x + 0.01).collect();
        let swag = Swag::new(normals(p, seed + 1), variance, normals(k * p, seed + 2)).unwrap();
        let theta = normals(p, seed + 3);
        let factor = Cholesky::new(&covariance(&swag, 0.5, 2.0 * (k - 1) as f64), p).unwrap();
        let r: Vec<f64> = theta.iter().zip(swag.mean()).map(|(t, m)| t - m).collect();
        let mut solved = r.clone();
        factor.solve(&mut solved);
        let square = dot(&r, &solved);
        let log_two_pi = (2.0 * std::f64::consts::PI).ln();
        let expected = -0.5 * (square + factor.log_det() + p as f64 * log_two_pi);
        let got = swag.log_density(&theta).unwrap();
        prop_assert!((got - expected).abs() < 1e-10 * (1.0 + square), "{got} {expected}");
    }
}

#[test]
fn what_cannot_be_fitted_is_refused() {
    let linear = Linear::full_rank();
    let density = minibatch(&linear);
    let fit = |change: fn(&mut SwagOptions)| {
        let mut options = options();
        change(&mut options);
        fit_swag(
            &density,
            linear.mean.clone(),
            &options,
            Streams::new(0),
            |_| (),
        )
        .unwrap_err()
    };
    for (field, error) in [
        ("rank", fit(|o| o.rank = 1)),
        ("collect_every", fit(|o| o.collect_every = Some(0))),
        ("epochs", fit(|o| o.collect_every = Some(50))),
        ("momentum", fit(|o| o.momentum = 1.0)),
        ("learning_rate", fit(|o| o.learning_rate = 0.0)),
    ] {
        assert!(
            matches!(error, Error::Config { field: f, .. } if f == field),
            "{error}"
        );
    }
    let diverged = fit(|o| {
        o.learning_rate = 1e3;
        o.epochs = 2_000;
    });
    assert!(
        matches!(diverged, Error::Diverged { step: 1.., .. }),
        "{diverged}"
    );
    let new = |variance: f64, rows: usize| {
        Swag::new(vec![0.0; 2], vec![variance; 2], vec![0.0; 2 * rows])
    };
    assert!(new(1.0, 2).is_ok() && new(0.0, 2).is_ok());
    assert!(new(-1.0, 2).is_err() && new(1.0, 1).is_err() && new(f64::NAN, 2).is_err());
}
