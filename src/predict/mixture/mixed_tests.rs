use super::*;
use crate::predict::GaussianMixture;
use crate::rng::{Phase, Streams};
use proptest::prelude::*;
use rand::RngExt;
use rand_distr::StandardNormal;

fn normal(mean: f64, std: f64) -> Law {
    Law::Normal { mean, std }
}

fn map(warp: Option<Warp>, mean: f64, scale: f64) -> TargetMap {
    TargetMap { warp, mean, scale }
}

fn yeo(lambda: f64) -> Option<Warp> {
    Some(Warp::YeoJohnson {
        centre: 2.0,
        unit: 1.5,
        lambda,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// One part of normal laws is a Gaussian mixture in the target's units.
    #[test]
    fn without_a_warp_it_is_a_gaussian_mixture(
        laws in prop::collection::vec((-2.0f64..2.0, 0.05f64..2.0), 1..12),
        (y, p) in (-15.0f64..25.0, 0.001f64..0.999),
    ) {
        let (mean, scale) = (5.0, 3.0);
        let own: Vec<Law> = laws.iter().map(|&(m, s)| normal(m, s)).collect();
        let part = Part { weight: 0.3, laws: &own, target: map(None, mean, scale) };
        let got = MixedPredictive::new(vec![part]).unwrap();
        let means: Vec<f64> = laws.iter().map(|l| mean + scale * l.0).collect();
        let stds: Vec<f64> = laws.iter().map(|l| scale * l.1).collect();
        let want = GaussianMixture::with_stds(&means, &stds).unwrap();
        let close = |a: f64, b: f64, tolerance: f64| (a - b).abs() <= tolerance * (1.0 + b.abs());
        prop_assert!(close(got.mean(), want.mean(), 1e-12));
        prop_assert!(close(got.variance(), want.variance(), 1e-12));
        prop_assert!(close(got.log_density(y), want.log_density(y), 1e-12));
        prop_assert!(close(got.cdf(y), want.cdf(y), 1e-13));
        let std = want.variance().sqrt();
        let quantile = got.quantile(p).unwrap();
        // in the void between narrow components a quantile is not well determined
        let within = want.cdf(quantile - 1e-6 * std) <= p + 1e-12
            && want.cdf(quantile + 1e-6 * std) >= p - 1e-12;
        prop_assert!(within, "{quantile} {p}");
        prop_assert!((got.crps(y).unwrap() - want.crps(y)).abs() < 1e-4 * std, "{} {}", got.crps(y).unwrap(), want.crps(y));
    }
}

/// The density integrates to 1. Moments and quantiles match it.
#[test]
fn mixtures_of_different_maps() {
    let (a, b, c) = (
        [normal(0.1, 0.4), normal(-0.5, 0.3)],
        [normal(0.2, 0.5)],
        [Law::StudentT {
            mean: 0.0,
            scale: 0.4,
            dof: 8.0,
        }],
    );
    let parts = || {
        vec![
            Part {
                weight: 1.0,
                laws: &a[..],
                target: map(Some(Warp::Log), 1.0, 0.8),
            },
            Part {
                weight: 2.0,
                laws: &b[..],
                target: map(yeo(0.4), 0.3, 0.7),
            },
            Part {
                weight: 1.0,
                laws: &c[..],
                target: map(None, 3.0, 1.2),
            },
        ]
    };
    let mixture = MixedPredictive::new(parts()).unwrap();
    let (mut total, mut first, mut second, step) = (0.0, 0.0, 0.0, 2e-3);
    for i in -20_000..80_000 {
        let y = step * (f64::from(i) + 0.5);
        let p = step * mixture.log_density(y).exp();
        total += p;
        first += p * y;
        second += p * y * y;
        if i % 7_001 == 0 {
            assert!((mixture.cdf(y + 0.5 * step) - total).abs() < 1e-5, "{y}");
        }
    }
    assert!((total - 1.0).abs() < 1e-5, "{total}");
    assert!(
        (first - mixture.mean()).abs() < 1e-3 * first,
        "{first} {}",
        mixture.mean()
    );
    let variance = second - first * first;
    assert!(
        (variance / mixture.variance() - 1.0).abs() < 2e-3,
        "{variance} {}",
        mixture.variance()
    );
    assert!(mixture.epistemic_variance() < mixture.variance());
    for p in [1e-4, 0.05, 0.5, 0.95, 0.9999] {
        let y = mixture.quantile(p).unwrap();
        assert!((mixture.cdf(y) - p).abs() < 1e-6, "{p}: {y}");
    }
    assert!(mixture.quantile(0.0).is_err());
    // the score against its definition, by draws: E|X - y| - E|X - X'| / 2
    let mut rng = Streams::new(5).rng(Phase::USER, 0);
    let mut draw = || {
        let uniform: f64 = rng.random_range(1e-9..1.0);
        mixture.quantile(uniform).unwrap()
    };
    let draws: Vec<f64> = (0..4_000).map(|_| draw()).collect();
    for y in [0.5, 3.0, 20.0] {
        let near: f64 = draws.iter().map(|x| (x - y).abs()).sum::<f64>() / 4_000.0;
        let apart: f64 = (0..2_000)
            .map(|i| (draws[2 * i] - draws[2 * i + 1]).abs())
            .sum::<f64>()
            / 2_000.0;
        let (got, want) = (mixture.crps(y).unwrap(), near - 0.5 * apart);
        // standard errors of the two means: 0.04 and 0.04
        assert!((got - want).abs() < 0.2, "{y}: {got} {want}");
    }
}

/// The moments of a warped law match those of its draws, so the grid misses nothing.
#[test]
fn moments_through_a_warp_are_those_of_draws() {
    let mut rng = Streams::new(6).rng(Phase::USER, 0);
    for warp in [Some(Warp::Log), yeo(0.0), yeo(0.6), yeo(2.0)] {
        let target = map(warp, 0.4, 0.6);
        let law = normal(0.2, 0.5);
        let (mean, variance) = law_moments(&law, &target);
        let n = 200_000;
        let draws: Vec<f64> = (0..n)
            .map(|_| target.inverse(0.2 + 0.5 * rng.sample::<f64, _>(StandardNormal)))
            .collect();
        let of = draws.iter().sum::<f64>() / f64::from(n);
        let spread = draws.iter().map(|y| (y - of).powi(2)).sum::<f64>() / f64::from(n);
        // five standard errors; that of the variance is about twice a normal law's
        let error = (spread / f64::from(n)).sqrt();
        assert!((mean - of).abs() < 5.0 * error, "{warp:?} {mean} {of}");
        assert!(
            (variance / spread - 1.0).abs() < 0.03,
            "{warp:?} {variance} {spread}"
        );
    }
}

#[test]
fn counts_have_quantiles_and_scores_of_their_own() {
    let laws = [Law::Poisson { rate: 2.0 }, Law::Poisson { rate: 5.0 }];
    let part = Part {
        weight: 1.0,
        laws: &laws,
        target: TargetMap::IDENTITY,
    };
    let mixture = MixedPredictive::new(vec![part]).unwrap();
    assert!((mixture.mean() - 3.5).abs() < 1e-14);
    // 3.5 within, 2.25 between
    assert!((mixture.variance() - 5.75).abs() < 1e-13);
    assert!((mixture.epistemic_variance() - 2.25).abs() < 1e-13);
    for p in [0.001, 0.05, 0.5, 0.95, 0.999] {
        let k = mixture.quantile(p).unwrap();
        assert!(
            k.fract() == 0.0 && mixture.cdf(k) >= p && mixture.cdf(k - 1.0) < p,
            "{p} {k}"
        );
    }
    for y in [0.0, 3.0, 9.0] {
        // E|X - y| - E|X - X'| / 2, term by term
        let p = |k: i32| mixture.log_density(f64::from(k)).exp();
        let near: f64 = (0..80).map(|k| p(k) * (f64::from(k) - y).abs()).sum();
        let apart: f64 = (0..80)
            .flat_map(|i| (0..80).map(move |j| (i, j)))
            .map(|(i, j)| p(i) * p(j) * f64::from((i - j).abs()))
            .sum();
        let got = mixture.crps(y).unwrap();
        assert!((got - (near - 0.5 * apart)).abs() < 1e-9, "{y}: {got}");
    }
}

#[test]
fn what_does_not_go_together_is_refused() {
    let (normals, counts) = ([normal(0.0, 1.0)], [Law::Poisson { rate: 1.0 }]);
    let t = [Law::StudentT {
        mean: 0.0,
        scale: 1.0,
        dof: 5.0,
    }];
    let part = |laws, target, weight| Part {
        weight,
        laws,
        target,
    };
    let plain = TargetMap::IDENTITY;
    let log = map(Some(Warp::Log), 0.0, 1.0);
    assert!(MixedPredictive::new(vec![]).is_err());
    assert!(MixedPredictive::new(vec![part(&[], plain, 1.0)]).is_err());
    assert!(MixedPredictive::new(vec![part(&normals, plain, 0.0)]).is_err());
    assert!(MixedPredictive::new(vec![part(&normals, plain, -1.0)]).is_err());
    assert!(MixedPredictive::new(vec![part(&t, log, 1.0)]).is_err());
    assert!(MixedPredictive::new(vec![part(&counts, log, 1.0)]).is_err());
    let both = vec![part(&normals, plain, 1.0), part(&counts, plain, 1.0)];
    assert!(MixedPredictive::new(both).is_err());
    let improper = [normal(0.0, 0.0)];
    assert!(MixedPredictive::new(vec![part(&improper, plain, 1.0)]).is_err());
    assert!(MixedPredictive::new(vec![part(&normals, log, 1.0)]).is_ok());
}
