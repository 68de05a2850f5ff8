//! Rank-deficient linear regression, where the fiber is an affine subspace.
//!
//! The tests check what walks do along the fiber and across it.

use crate::common::normals;
use crate::linear::{Linear, ends, p_value};
use fiberwalk::curvature::{GgnOperator, NormalDimension, TangentOptions, TangentSpace};
use fiberwalk::diagnose::GaussianTarget;
use fiberwalk::linalg::vector::{dot, norm};
use fiberwalk::linalg::{orthonormal_rows, project_out, symmetric_eigen};
use fiberwalk::rng::fill_normal;
use fiberwalk::walk::{
    Drift, DriftOptions, Fields, Kernel, Microcanonical, MicrocanonicalOptions, Particle,
};
use fiberwalk::{Phase, Result, Streams};

/// Draws from the right kernel; they are independent of the data.
const DRAWS: usize = 4_000;

/// On the fiber the posterior is the prior: for `N` with `X N^T = 0`, `N D theta ~ N(0, N D N^T)`,
/// whatever the data.
#[test]
fn along_the_fiber_an_adjusted_walk_is_the_prior() {
    let linear = Linear::few_rows();
    let (p, rows) = (linear.dim(), linear.design.len() / linear.dim());
    let mut range = linear.design.clone();
    assert_eq!(orthonormal_rows(&mut range, p), rows);
    let mut null = Vec::new();
    for seed in 0..p - rows {
        let mut v = vec![0.0; p];
        fill_normal(&mut Streams::new(40).rng(Phase::USER, seed as u64), &mut v);
        project_out(&range, &mut v);
        null.push(v);
    }
    let weighted = |v: &[f64], theta: &[f64]| -> f64 {
        (0..p)
            .map(|i| v[i] * linear.prior_precision[i] * theta[i])
            .sum()
    };
    let k = null.len();
    let covariance: Vec<f64> = (0..k * k)
        .map(|ij| weighted(&null[ij / k], &null[ij % k]))
        .collect();
    let prior = GaussianTarget::new(&vec![0.0; k], &covariance).unwrap();
    let map = linear.prior_coordinates();
    let settings = MicrocanonicalOptions {
        step_size: Some(linear.step_scale(&map)),
        adjusted: true,
        ..MicrocanonicalOptions::default()
    };
    let mut kernel = Microcanonical::new(map, &settings).unwrap();
    let walked = ends(
        &mut kernel,
        &linear.posterior,
        &linear.start(),
        (DRAWS, 40),
        9,
    );
    let along: Vec<f64> = walked
        .points
        .chunks_exact(p)
        .flat_map(|theta| {
            null.iter()
                .map(|v| weighted(v, theta))
                .collect::<Vec<f64>>()
        })
        .collect();
    let p = p_value(&prior, &along);
    assert!(p > 1e-4, "{p:e}");
}

/// Reads the direction of a particle.
struct Direction(Vec<f64>);

impl Fields<f64> for Direction {
    fn vector(&mut self, name: &str, value: &mut Vec<f64>) -> Result<()> {
        if name == "direction" {
            self.0.clone_from(value);
        }
        Ok(())
    }
    fn numbers(&mut self, _: &str, _: &mut Vec<f64>) -> Result<()> {
        Ok(())
    }
    fn counts(&mut self, _: &str, _: &mut Vec<usize>) -> Result<()> {
        Ok(())
    }
}

const STEP: f64 = 0.05;
const CORRECTION: f64 = 0.02;

/// A path of 200 steps from `start`, and its direction.
fn path(
    linear: &Linear,
    kernel: &Drift<f64>,
    start: &[f64],
    seed: u64,
) -> (Vec<Vec<f64>>, Vec<f64>) {
    let density = &linear.posterior;
    let mut rng = Streams::new(seed).rng(Phase::WALK, 0);
    let mut ws = Kernel::<f64, _>::workspace(kernel, density);
    let mut state = kernel.init(density, start, &mut rng, &mut ws).unwrap();
    let mut direction = Direction(Vec::new());
    state.fields(&mut direction).unwrap();
    let mut points = vec![start.to_vec()];
    for _ in 0..200 {
        let info = kernel.step(density, &mut state, &mut rng, &mut ws).unwrap();
        assert!(!info.diverged() && info.gradients == 1);
        points.push(state.theta().to_vec());
    }
    (points, direction.0)
}

/// `theta_t - mean = (I - eta A)^t (theta_0 - mean) + eps sum_{k<t} (I - eta A)^k d`, by the
/// eigenvectors of `A`.
fn closed_form(linear: &Linear, start: &[f64], d: &[f64], t: i32) -> Vec<f64> {
    let p = linear.dim();
    let eigen = symmetric_eigen(&linear.precision, p).unwrap();
    let from: Vec<f64> = start.iter().zip(&linear.mean).map(|(a, b)| a - b).collect();
    let mut theta = linear.mean.clone();
    for (value, v) in eigen.values.iter().zip(eigen.vectors.chunks_exact(p)) {
        let q = 1.0 - CORRECTION * value;
        let reach = (1.0 - q.powi(t)) / (1.0 - q);
        let along = q.powi(t) * dot(v, &from) + STEP * reach * dot(v, d);
        theta.iter_mut().zip(v).for_each(|(x, v)| *x += along * v);
    }
    theta
}

fn drift() -> Drift<f64> {
    let options = DriftOptions {
        step_size: STEP,
        correction: CORRECTION,
        max_energy: f64::INFINITY,
        retries: 8,
    };
    Drift::new(options).unwrap()
}

fn tangent(linear: &Linear) -> TangentSpace<f64> {
    let mut ggn = GgnOperator::new(&linear.posterior, &linear.mean).unwrap();
    let options = TangentOptions {
        normal: NormalDimension::Relative { kappa: 1e-6 },
        tolerance: 1e-13,
        ..TangentOptions::default()
    };
    let space = TangentSpace::new(&mut ggn, 1.0, &options, Streams::new(1)).unwrap();
    assert_eq!(space.normal_dim(), linear.design.len() / linear.dim());
    space
}

/// How far predictions move; the maximum over the rows.
fn moved(linear: &Linear, a: &[f64], b: &[f64]) -> f64 {
    let (a, b) = (linear.predictions(a), linear.predictions(b));
    a.iter()
        .zip(&b)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f64::max)
}

/// A projected drift has `J d = 0`. With an isotropic prior, `A d = alpha d`. From the mode the
/// particle then stays exactly on the fiber. From elsewhere the predictions come back as
/// `J (I - eta A)^t (theta_0 - mean)`, whatever the drift. With another prior, the prior pulls off
/// the fiber, and the predictions are those of the closed form. A drift that is not projected
/// leaves the fiber.
#[test]
fn a_projected_drift_keeps_the_predictions() {
    let x = normals(3 * 6, 22);
    let isotropic = Linear::with_prior(&x, 6, &[("layer0", 1.5)]);
    let uneven = Linear::few_rows();
    for (linear, even) in [(&isotropic, true), (&uneven, false)] {
        let mode = &linear.mean;
        let elsewhere: Vec<f64> = mode.iter().map(|m| m + 0.2).collect();
        let along = drift().projected(tangent(linear));
        for seed in 0..5 {
            for (kernel, start, projected) in [
                (&along, mode, true),
                (&along, &elsewhere, true),
                (&drift(), mode, false),
            ] {
                let (points, d) = path(linear, kernel, start, seed);
                assert!((norm(&d) - 1.0).abs() < 1e-12);
                assert_eq!(moved(linear, &d, &vec![0.0; d.len()]) < 1e-10, projected);
                let still = vec![0.0; d.len()];
                for (t, theta) in points.iter().enumerate() {
                    let want = closed_form(linear, start, &d, t as i32);
                    for (a, b) in theta.iter().zip(&want) {
                        assert!((a - b).abs() < 1e-10, "step {t}: {a} {b}");
                    }
                    if projected && even {
                        let without = closed_form(linear, start, &still, t as i32);
                        assert!(moved(linear, theta, &without) < 1e-9, "step {t}");
                    }
                }
                let end = &points[200];
                let away = moved(linear, end, mode);
                if start == mode {
                    let kept = if projected && even {
                        0.0..1e-9
                    } else {
                        1e-3..10.0
                    };
                    assert!(kept.contains(&away), "{away}");
                }
            }
        }
    }
}
