//! Simulation-based calibration of both samplers on linear regression.
//!
//! Samplers that are wrong on purpose must fail.

use fiberwalk::baselines::{ChainOptions, HmcOptions, NutsOptions, Trajectory, hmc, nuts};
use fiberwalk::diagnose::{SbcOptions, simulate_ranks};
use fiberwalk::{Phase, Result, Streams};
use rand_distr::{Distribution, StandardNormal};

use super::targets::{Distorted, Gauss, Target, counted};
use super::twin::{Fault, Twin};

const DRAWS: usize = 49;
const REPLICATIONS: usize = 1_000;
/// Four quantities of a dozen runs: a right sampler fails once in two thousand.
const LEVEL: f64 = 1e-5;

/// Four rows of two features.
const X: [[f64; 2]; 4] = [[1.0, 0.2], [0.5, -1.0], [-0.7, 0.8], [1.2, 1.1]];

/// `theta ~ N(0, I)`, `y_i ~ N(x_i . theta, 1)`: the precision of the posterior is `I + X^T X`.
fn posterior(y: &[f64; 4]) -> Gauss {
    let (mut a, mut b, mut c, mut right) = (1.0, 0.0, 1.0, [0.0; 2]);
    for ([u, v], y) in X.iter().zip(y) {
        a += u * u;
        b += u * v;
        c += v * v;
        right[0] += u * y;
        right[1] += v * y;
    }
    let det = a * c - b * b;
    let covariance = vec![c / det, -b / det, -b / det, a / det];
    let mean = vec![
        (c * right[0] - b * right[1]) / det,
        (a * right[1] - b * right[0]) / det,
    ];
    Gauss::new(mean, covariance)
}

/// The smallest p-value of the quantities, times their number. The quantities are theta, the log
/// likelihood and a product.
fn p_value(sampler: impl Fn(Gauss, Streams) -> Result<Vec<Vec<f64>>> + Sync) -> f64 {
    p_value_of(REPLICATIONS, sampler)
}

fn p_value_of(
    replications: usize,
    sampler: impl Fn(Gauss, Streams) -> Result<Vec<Vec<f64>>> + Sync,
) -> f64 {
    let options = SbcOptions {
        replications,
        draws: DRAWS,
    };
    let ranks = simulate_ranks(
        &options,
        Streams::new(8),
        |rng| Ok(vec![StandardNormal.sample(rng), StandardNormal.sample(rng)]),
        |theta: &Vec<f64>, rng| {
            Ok(X.map(|[u, v]| {
                let noise: f64 = StandardNormal.sample(rng);
                u * theta[0] + v * theta[1] + noise
            }))
        },
        |y, _, streams| sampler(posterior(y), streams),
        |theta, y| {
            let rest = |([u, v], y): (&[f64; 2], &f64)| y - u * theta[0] - v * theta[1];
            let squares: f64 = X.iter().zip(y).map(|row| rest(row).powi(2)).sum();
            vec![theta[0], theta[1], -0.5 * squares, theta[0] * theta[1]]
        },
    )
    .unwrap();
    let tests = ranks.uniformity(10).unwrap();
    4.0 * tests.iter().map(|t| t.p_value).fold(1.0, f64::min)
}

/// Every fifth draw of chains whose start has nothing to do with the posterior.
const THIN: usize = 5;

fn chains(step_size: Option<f64>) -> ChainOptions {
    ChainOptions {
        warm_up: 150,
        draws: THIN * DRAWS,
        keep: Some(DRAWS),
        step_size,
        adapt_mass: step_size.is_none(),
        ..ChainOptions::default()
    }
}

fn with_nuts<D: Target>(
    target: D,
    step_size: Option<f64>,
    streams: Streams,
) -> Result<Vec<Vec<f64>>> {
    let options = NutsOptions {
        chains: chains(step_size),
        ..NutsOptions::default()
    };
    let got = nuts(&counted(target), &[vec![0.0, 0.0]], &options, streams)?;
    Ok(got.points().map(<[f64]>::to_vec).collect())
}

fn with_hmc<D: Target>(
    target: D,
    step_size: Option<f64>,
    streams: Streams,
) -> Result<Vec<Vec<f64>>> {
    let options = HmcOptions {
        chains: chains(step_size),
        trajectory: match step_size {
            None => HmcOptions::default().trajectory,
            Some(_) => Trajectory::LeapfrogSteps(4),
        },
        ..HmcOptions::default()
    };
    let got = hmc(&counted(target), &[vec![0.0, 0.0]], &options, streams)?;
    Ok(got.points().map(<[f64]>::to_vec).collect())
}

/// A step at which the energy is far from conserved: the narrowest direction has a deviation of
/// 0.43.
const LARGE: f64 = 0.7;

#[test]
fn both_samplers_are_calibrated() {
    for step_size in [None, Some(LARGE)] {
        let p = p_value(|target, streams| with_hmc(target, step_size, streams));
        assert!(p > LEVEL, "HMC, {step_size:?}: {p}");
        let p = p_value(|target, streams| with_nuts(target, step_size, streams));
        assert!(p > LEVEL, "NUTS, {step_size:?}: {p}");
    }
}

/// The twins, without and with a fault.
fn with_twin(target: Gauss, step: f64, fault: Fault, streams: Streams) -> Result<Vec<Vec<f64>>> {
    let twin = Twin {
        density: &counted(target),
        step,
        inverse_mass: vec![1.0; 2],
        fault,
    };
    let mut rng = streams.rng(Phase::USER, 0);
    let count = 50 + THIN * DRAWS;
    let draws = match fault {
        Fault::NoMetropolis => twin.hmc(&[0.0; 2], 4, count, &mut rng),
        _ => twin.nuts(&[0.0; 2], 10, count, &mut rng),
    };
    let kept = draws.into_iter().skip(50).step_by(THIN);
    Ok(kept.map(|(theta, ..)| theta).collect())
}

#[test]
fn what_is_wrong_on_purpose_is_found() {
    let p = |replications, step, fault| {
        p_value_of(replications, |target, streams| {
            with_twin(target, step, fault, streams)
        })
    };
    assert!(p(REPLICATIONS, LARGE, Fault::None) > LEVEL);
    for (name, replications, step, fault) in [
        (
            "no Metropolis test",
            REPLICATIONS,
            LARGE,
            Fault::NoMetropolis,
        ),
        (
            "uniform weights",
            REPLICATIONS,
            LARGE,
            Fault::UniformWeights,
        ),
        // this fault shows only in trees of some depth, and only a little
        ("wrong sign in the rule", 2_000, 0.2, Fault::WrongSign),
    ] {
        let p = p(replications, step, fault);
        assert!(p < LEVEL, "{name}: {p}");
    }
}

/// A wrong gradient is the gradient of another density. Its trajectories are as reversible and
/// preserve volume as well. With the right energy in the test, both samplers are exact, only
/// slower. Two cases must be found: a gradient and an energy that are both wrong, and a wrong
/// gradient without a test.
#[test]
fn a_gradient_that_is_scaled_is_found_where_it_matters() {
    let scaled = |target, gradient, value| Distorted {
        target,
        gradient,
        value,
    };
    let p = p_value(|target, streams| with_hmc(scaled(target, 0.9, 1.0), None, streams));
    assert!(p > LEVEL, "HMC is exact with it: {p}");
    let p = p_value(|target, streams| with_nuts(scaled(target, 0.9, 1.0), None, streams));
    assert!(p > LEVEL, "NUTS is exact with it: {p}");
    let p = p_value(|target, streams| with_hmc(scaled(target, 0.6, 0.6), None, streams));
    assert!(p < LEVEL, "HMC of another density: {p}");
    let p = p_value(|target, streams| with_nuts(scaled(target, 0.6, 0.6), None, streams));
    assert!(p < LEVEL, "NUTS of another density: {p}");
    let p = p_value(|target, streams| {
        let twin = Twin {
            density: &counted(scaled(target, 0.6, 1.0)),
            step: 0.1,
            inverse_mass: vec![1.0; 2],
            fault: Fault::NoMetropolis,
        };
        let mut rng = streams.rng(Phase::USER, 0);
        let draws = twin.hmc(&[0.0; 2], 12, THIN * DRAWS, &mut rng);
        Ok(draws.into_iter().step_by(THIN).map(|d| d.0).collect())
    });
    assert!(p < LEVEL, "no test, a small step: {p}");
}
