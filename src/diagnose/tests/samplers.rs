//! Tests of sampler tests: p-values are uniform for right samplers and vanish for wrong ones.

use rand_distr::{Distribution, Normal, StandardNormal};

use crate::diagnose::*;
use crate::error::Error;
use crate::rng::{Phase, Streams, fill_normal};
use crate::special::normal_cdf;

/// The level of a test. Seeds are fixed, so it fails for one choice of seeds in a thousand, and
/// then always.
const LEVEL: f64 = 1e-3;

/// `L` with `L L^T` far from `L^T L`, row-major.
const ROOT: [f64; 9] = [2.0, 0.0, 0.0, 1.5, 0.5, 0.0, -1.0, 0.7, 0.3];
const MEAN: [f64; 3] = [1.0, -2.0, 0.5];

fn target() -> GaussianTarget {
    let entry = |i: usize, j: usize| {
        (0..3)
            .map(|k| ROOT[3 * i + k] * ROOT[3 * j + k])
            .sum::<f64>()
    };
    let covariance: Vec<f64> = (0..9).map(|ij| entry(ij / 3, ij % 3)).collect();
    GaussianTarget::new(&MEAN, &covariance).unwrap()
}

/// `mean + L z`, or `L^T z`, for each row of `z` `[n, 3]`.
fn color(z: &[f64], transposed: bool) -> Vec<f64> {
    let entry = |i: usize, j: usize| {
        if transposed {
            ROOT[3 * j + i]
        } else {
            ROOT[3 * i + j]
        }
    };
    let row =
        |z: &[f64]| [0, 1, 2].map(|i| MEAN[i] + (0..3).map(|j| entry(i, j) * z[j]).sum::<f64>());
    z.chunks_exact(3).flat_map(row).collect()
}

fn normals(len: usize, index: u64) -> Vec<f64> {
    let mut z = vec![0.0; len];
    fill_normal(&mut Streams::new(17).rng(Phase::USER, index), &mut z);
    z
}

/// `chains` stationary chains in 3 dimensions, `[chains, draws, 3]`: standard normal, with
/// correlation `rho` from draw to draw.
fn correlated(chains: usize, draws: usize, rho: f64, index: u64) -> Vec<f64> {
    let mut z = normals(chains * draws * 3, index);
    for chain in z.chunks_exact_mut(draws * 3) {
        for i in 3..chain.len() {
            chain[i] = rho * chain[i - 3] + (1.0 - rho * rho).sqrt() * chain[i];
        }
    }
    z
}

fn assert_uniform(what: &str, sets: u64, p_value: impl Fn(u64) -> f64) {
    let p: Vec<f64> = (0..sets).map(p_value).collect();
    let outcome = ks_test(&p, |p| p).unwrap();
    assert!(outcome.p_value > LEVEL, "{what}: {outcome:?}");
}

#[test]
fn p_values_of_a_right_sampler_are_uniform() {
    let target = target();
    let x = |n: usize, set| color(&normals(3 * n, set), false);
    assert_uniform("mean", 1000, |s| {
        target.mean_test(&x(20, s), 20.0).unwrap().p_value
    });
    assert_uniform("radius", 500, |s| {
        target.radius_test(&x(200, s)).unwrap().p_value
    });
    // p-values hold in the limit: 2,000 draws are many for 6 features
    assert_uniform("covariance", 300, |s| {
        target.covariance_test(&x(2000, s), 2000.0).unwrap().p_value
    });
    let x = |set| color(&correlated(40, 10, 0.8, set), false);
    assert_uniform("chains, mean", 500, |s| {
        target.chain_mean_test(&x(s), 40).unwrap().p_value
    });
    // means of squares over 30 correlated draws are not quite normal; those over 200 are
    let x = |set| color(&correlated(40, 200, 0.5, set), false);
    assert_uniform("chains, covariance", 200, |s| {
        target.chain_covariance_test(&x(s), 40).unwrap().p_value
    });
    assert_uniform("Hotelling", 1000, |s| {
        hotelling(&normals(24, s), &[0.0; 4]).unwrap().p_value
    });
}

#[test]
fn wrong_samplers_are_rejected() {
    let target = target();
    let n = 2000;
    let z = normals(3 * n, 1);
    let rejected = |outcome: crate::error::Result<TestOutcome>| outcome.unwrap().p_value < 1e-6;
    // L^T instead of L: the shapes and the traces are right
    let x = color(&z, true);
    assert!(rejected(target.covariance_test(&x, n as f64)));
    assert!(rejected(target.chain_covariance_test(&x, 100)));
    // a mean off by a fifth of a deviation in one direction adds n / 25 = 80; four deviations above
    // its mean, chi^2(3) is 13
    let shifted: Vec<f64> = z
        .iter()
        .enumerate()
        .map(|(i, v)| v + if i % 3 == 1 { 0.2 } else { 0.0 })
        .collect();
    let x = color(&shifted, false);
    assert!(rejected(target.mean_test(&x, n as f64)));
    assert!(rejected(target.chain_mean_test(&x, 100)));
    // on the sphere of radius sqrt 3: mean and covariance are right, the shape is not
    let sphere = |z: &[f64]| {
        let norm = z.iter().map(|v| v * v).sum::<f64>().sqrt() / 3f64.sqrt();
        [0, 1, 2].map(|i| z[i] / norm)
    };
    let round: Vec<f64> = z.chunks_exact(3).flat_map(sphere).collect();
    let x = color(&round, false);
    assert!(target.mean_test(&x, n as f64).unwrap().p_value > LEVEL);
    assert!(target.covariance_test(&x, n as f64).unwrap().p_value > LEVEL);
    assert!(rejected(target.radius_test(&x)));
    // correlated draws taken as independent: the statistic is (1 + rho)/(1 - rho) = 19 times
    // chi^2(3), and values above 31 are rejected: 65 sets of 100
    let x = |set| color(&correlated(40, 50, 0.9, set), false);
    let wrongly = (0..40).filter(|&s| rejected(target.mean_test(&x(s), 2000.0)));
    assert!(wrongly.count() > 15);
    assert_uniform("chains of few effective draws", 200, |s| {
        target.chain_mean_test(&x(s), 40).unwrap().p_value
    });
}

#[test]
fn the_statistics_by_hand() {
    // standard normal, two draws (1, 0), (3, 2): mean (2, 1), second moments [[5, 3], [3, 2]]
    let target = GaussianTarget::new(&[0.0, 0.0], &[1.0, 0.0, 0.0, 1.0]).unwrap();
    let x = [1.0, 0.0, 3.0, 2.0];
    assert!((target.mean_test(&x, 2.0).unwrap().statistic - 10.0).abs() < 1e-13);
    // e/2 |Z - I|_F^2 = 16 + 9 + 9 + 1 = 35, with 3 degrees of freedom
    let outcome = target.covariance_test(&x, 2.0).unwrap();
    assert!((outcome.statistic - 35.0).abs() < 1e-12);
    assert_eq!(outcome.p_value, chi_square_survival(outcome.statistic, 3.0));
}

#[test]
fn bad_draws_are_refused() {
    let target = GaussianTarget::new(&[0.0, 0.0], &[1.0, 0.0, 0.0, 1.0]).unwrap();
    assert!(target.mean_test(&[], 1.0).is_err());
    assert!(target.mean_test(&[1.0; 3], 1.0).is_err());
    assert!(target.mean_test(&[1.0; 4], 0.0).is_err());
    let bad = target.covariance_test(&[1.0, f64::NAN], 1.0);
    assert!(matches!(bad, Err(Error::NonFinite { index: 1, .. })));
    assert!(target.chain_mean_test(&[1.0; 12], 4).is_err());
    // as many chains as features: too few
    assert!(
        target
            .chain_covariance_test(&[1.0, 2.0, 0.0, 1.0, 5.0, 2.0], 3)
            .is_err()
    );
    assert!(GaussianTarget::new(&[], &[]).is_err());
    assert!(GaussianTarget::new(&[0.0], &[-1.0]).is_err());
    assert!(GaussianTarget::new(&[f64::NAN], &[1.0]).is_err());
}

/// `theta ~ N(0, 1)`, five `y_i ~ N(theta, 1)`: the posterior is `N(5 mean(y) / 6, 1/6)`. Here it
/// is moved by `bias`, and its deviation is multiplied by `scale`. Quantities: theta; the log
/// likelihood; theta rounded down, which has ties.
fn conjugate(weight: f64, bias: f64, scale: f64) -> Ranks {
    let options = SbcOptions {
        replications: 2000,
        draws: 99,
    };
    simulate_ranks(
        &options,
        Streams::new(5),
        |rng| Ok(StandardNormal.sample(rng)),
        |&theta: &f64, rng| {
            Ok([0; 5].map(|_| theta + Distribution::<f64>::sample(&StandardNormal, rng)))
        },
        |y, draws, streams| {
            let mean = weight * y.iter().sum::<f64>() / 6.0 + bias;
            let variance = 1.0 - weight * 5.0 / 6.0;
            let posterior = Normal::new(mean, scale * variance.sqrt()).unwrap();
            Ok(posterior
                .sample_iter(streams.rng(Phase::SAMPLE, 0))
                .take(draws)
                .collect())
        },
        |&theta, y| {
            let likelihood = y.iter().map(|y| -0.5 * (y - theta).powi(2)).sum();
            vec![theta, likelihood, theta.floor()]
        },
    )
    .unwrap()
}

#[test]
fn calibration_finds_what_is_wrong_and_only_that() {
    let p = |ranks: &Ranks| -> Vec<f64> {
        ranks
            .uniformity(20)
            .unwrap()
            .iter()
            .map(|o| o.p_value)
            .collect()
    };
    let right = p(&conjugate(1.0, 0.0, 1.0));
    assert!(right.iter().all(|&p| p > LEVEL), "{right:?}");
    for (bias, scale) in [(0.0, 0.8), (0.0, 1.25), (0.1, 1.0)] {
        let wrong = p(&conjugate(1.0, bias, scale));
        assert!(wrong[0] < 1e-6, "{bias} {scale}: {wrong:?}");
    }
    // the prior instead of the posterior: theta alone does not show it, the likelihood does
    let blind = p(&conjugate(0.0, 0.0, 1.0));
    assert!(
        blind[0] > LEVEL && blind[2] > LEVEL && blind[1] < 1e-6,
        "{blind:?}"
    );
}

#[test]
fn calibration_does_not_depend_on_threads() {
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        pool.unwrap().install(|| conjugate(1.0, 0.0, 1.0))
    };
    let one = run(1);
    assert_eq!(one, run(2));
    assert_eq!(one, run(8));
}

#[test]
fn bins_of_unequal_width_are_expected_to_be() {
    // each of 100 ranks thirty times: perfectly uniform, in 7 bins of 14 or 15 ranks
    let ranks: Vec<usize> = (0..3000).map(|i| i % 100).collect();
    let outcome = uniformity(&ranks, 99, 7).unwrap();
    assert!(
        outcome.statistic < 1e-20 && outcome.p_value == 1.0,
        "{outcome:?}"
    );
    assert!(uniformity(&[100], 99, 7).is_err());
    assert!(uniformity(&ranks, 99, 1).is_err());
    assert!(uniformity(&ranks, 99, 101).is_err());
    assert!(uniformity(&ranks[..30], 99, 10).is_err());
}

#[test]
fn what_the_closures_do_wrong_is_reported() {
    let run = |options: SbcOptions, extra: usize, quantity: f64| {
        simulate_ranks(
            &options,
            Streams::new(1),
            |_| Ok(1.0),
            |_, _| Ok(()),
            |_, draws, _| Ok(vec![0.0; draws + extra]),
            |&theta: &f64, _| vec![theta * quantity],
        )
    };
    let options = SbcOptions {
        replications: 3,
        draws: 5,
    };
    assert_eq!(run(options, 0, 1.0).unwrap().ranks, [[5, 5, 5]]);
    assert!(matches!(run(options, 1, 1.0), Err(Error::Shape { .. })));
    assert!(matches!(
        run(options, 0, f64::NAN),
        Err(Error::NonFinite { index: 0, .. })
    ));
    assert!(
        run(
            SbcOptions {
                replications: 0,
                ..options
            },
            0,
            1.0
        )
        .is_err()
    );
    assert!(
        run(
            SbcOptions {
                draws: 0,
                ..options
            },
            0,
            1.0
        )
        .is_err()
    );
}

#[test]
fn ks_finds_a_wrong_scale() {
    // the distributions are 0.044 apart: 0.044 (8000)^{1/2} = 3.9, a p-value of 1e-13; 2,000 would
    // be 1e-3
    let z = normals(8_000, 9);
    assert!(ks_test(&z, normal_cdf).unwrap().p_value > LEVEL);
    assert!(ks_test(&z, |x| normal_cdf(x / 1.2)).unwrap().p_value < 1e-4);
}
