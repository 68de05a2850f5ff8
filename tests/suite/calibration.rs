//! Simulation-based calibration of microcanonical walks on Bayesian logistic regression.
//!
//! That posterior has no closed form. Kernels that are wrong on purpose must fail.

use crate::twin::{Fault, Twin};
use fiberwalk::Streams;
use fiberwalk::diagnose::{SbcOptions, simulate_ranks};
use fiberwalk::walk::{
    InverseMassMatrix, Kernel, Microcanonical, MicrocanonicalOptions, WalkOptions, walk,
};
use fiberwalk::{LogDensity, Result};
use rand::RngExt;
use rand_distr::{Distribution, StandardNormal};

const P: usize = 3;
const PRECISION: [f64; P] = [1.0, 0.5, 2.0];

/// Rows of two features and a one.
const X: [[f64; P]; 8] = [
    [1.5, 0.3, 1.0],
    [-0.7, 1.1, 1.0],
    [0.2, -1.6, 1.0],
    [-1.2, -0.4, 1.0],
    [0.9, 1.8, 1.0],
    [-0.1, 0.6, 1.0],
    [2.1, -0.9, 1.0],
    [-1.8, 0.8, 1.0],
];

/// Labels 0 and 1 of the rows.
struct Logistic([f64; X.len()]);

fn logit(row: &[f64; P], theta: &[f64]) -> f64 {
    row.iter().zip(theta).map(|(x, t)| x * t).sum()
}

impl Logistic {
    fn log_likelihood(&self, theta: &[f64]) -> f64 {
        let rows = X.iter().zip(&self.0);
        rows.map(|(x, y)| {
            let z = logit(x, theta);
            y * z - z.max(0.0) - (-z.abs()).exp().ln_1p()
        })
        .sum()
    }
}

impl LogDensity<f64> for Logistic {
    type Workspace = ();
    fn dim(&self) -> usize {
        P
    }
    fn workspace(&self) {}
    fn log_density(&self, theta: &[f64], (): &mut ()) -> Result<f64> {
        let prior = (0..P).map(|i| -0.5 * PRECISION[i] * theta[i] * theta[i]);
        Ok(self.log_likelihood(theta) + prior.sum::<f64>())
    }
    fn log_density_and_grad(&self, theta: &[f64], grad: &mut [f64], ws: &mut ()) -> Result<f64> {
        (0..P).for_each(|i| grad[i] = -PRECISION[i] * theta[i]);
        for (x, y) in X.iter().zip(&self.0) {
            let rest = y - 1.0 / (1.0 + (-logit(x, theta)).exp());
            (0..P).for_each(|i| grad[i] += rest * x[i]);
        }
        self.log_density(theta, ws)
    }
}

/// p-values of the ranks of the three parameters and of the log likelihood, which depends on the
/// data.
fn p_values<K: Kernel<f64, Logistic>>(kernel: impl Fn() -> K + Sync, steps: usize) -> Vec<f64> {
    let options = SbcOptions {
        replications: 1000,
        draws: 39,
    };
    let ranks = simulate_ranks(
        &options,
        Streams::new(2),
        |rng| {
            let z: [f64; P] = [0; P].map(|_| StandardNormal.sample(rng));
            Ok((0..P)
                .map(|i| z[i] / PRECISION[i].sqrt())
                .collect::<Vec<f64>>())
        },
        |theta, rng| {
            let label = |x| {
                let p = 1.0 / (1.0 + (-logit(x, theta)).exp());
                f64::from(u8::from(rng.random::<f64>() < p))
            };
            Ok(Logistic(X.each_ref().map(label)))
        },
        |data, draws, streams| {
            let options = WalkOptions {
                particles: draws,
                steps: Some(steps),
                keep: 1,
                ..WalkOptions::default()
            };
            let walked = walk(&mut kernel(), data, &[vec![0.0; P]], &options, streams)?;
            Ok(walked.points.chunks_exact(P).map(<[f64]>::to_vec).collect())
        },
        |theta, data| {
            let mut values = theta.clone();
            values.push(data.log_likelihood(theta));
            values
        },
    );
    let tests = ranks.unwrap().uniformity(10).unwrap();
    tests.iter().map(|t| t.p_value).collect()
}

fn map() -> InverseMassMatrix<f64> {
    InverseMassMatrix::diagonal(&PRECISION).unwrap()
}

/// `(step size, steps)` of an adjusted walk that rejects some steps, and of an unadjusted one that
/// is close to the flow.
fn settings(adjusted: bool) -> (f64, usize) {
    if adjusted { (1.4, 20) } else { (0.25, 60) }
}

const LENGTH: f64 = 1.5;

#[test]
fn a_microcanonical_walk_is_calibrated() {
    for adjusted in [true, false] {
        let (step_size, steps) = settings(adjusted);
        let options = MicrocanonicalOptions {
            step_size: Some(step_size),
            decoherence_length: Some(LENGTH),
            adjusted,
            ..MicrocanonicalOptions::default()
        };
        let p = p_values(|| Microcanonical::new(map(), &options).unwrap(), steps);
        assert!(p.iter().all(|&p| p > 1e-3), "adjusted: {adjusted}, {p:?}");
    }
}

/// The same settings, the same test.
#[test]
fn calibration_rejects_wrong_kernels() {
    for (adjusted, fault) in [
        (true, Fault::NoJacobian),
        (true, Fault::InverseJacobian),
        (true, Fault::FreeIsDim),
        (false, Fault::Uphill),
        (false, Fault::FreeIsDim),
    ] {
        let (step_size, steps) = settings(adjusted);
        let kernel = || Twin::new(&map(), step_size, LENGTH, adjusted).with(fault);
        let p = p_values(kernel, steps);
        let least = p.iter().copied().fold(1.0, f64::min);
        assert!(least < 1e-8, "{fault:?}, adjusted: {adjusted}, {p:?}");
    }
}
