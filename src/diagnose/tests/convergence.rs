//! Diagnostics of chains: special values, known results for AR(1), invariances.

use proptest::prelude::*;

use super::arviz::{all, formula};
use crate::diagnose::*;
use crate::rng::{Phase, Streams, fill_normal};

#[test]
fn special_values_are_as_documented() {
    let check = |x: &[f64], expected: [f64; 6]| {
        let same = |a: f64, b: f64| a == b || (a.is_nan() && b.is_nan());
        let got = all(x, 3);
        assert!(
            got.iter().zip(expected).all(|(&g, e)| same(g, e)),
            "{got:?} {expected:?}"
        );
    };
    let nan = f64::NAN;
    // the mean of copies of 0.1 rounds
    check(&[0.1; 30], [nan; 6]);
    let mut x = formula(3, 10, 0.0, 0.0, 0.0);
    for bad in [nan, f64::INFINITY] {
        x[13] = bad;
        check(&x, [nan; 6]);
        assert!(rhat(&Chains::new(&x, 3).unwrap()).is_nan());
        assert!(ess_chain_means(&Chains::new(&x, 3).unwrap()).is_nan());
        assert!(
            nested_rhat(&Chains::new(&x, 3).unwrap(), 3)
                .unwrap()
                .is_nan()
        );
    }
}

#[test]
fn chains_that_do_not_move_are_worth_one_draw_each() {
    for draws in [4, 8, 9, 200] {
        let x: Vec<f64> = (0..5)
            .flat_map(|c| vec![0.1 * f64::from(c * c); draws])
            .collect();
        let chains = Chains::new(&x, 5).unwrap();
        assert_eq!(rhat(&chains), f64::INFINITY);
        assert_eq!(nested_rhat(&chains, 5).unwrap(), f64::INFINITY);
        assert!((ess_chain_means(&chains) - 5.0).abs() < 1e-12);
        // all correlations are 1 (n = draws/2): n / 2 pairs of 2, so 2 M n / (2 n - 1) for even n;
        // for odd n the last lag has no partner
        let n = draws / 2;
        let expected = (10 * n) as f64 / (4 * (n / 2) - 1) as f64;
        for size in [ess_bulk(&chains), ess_mean(&chains)] {
            assert!(
                (size / expected - 1.0).abs() < 1e-12,
                "{draws}: {size} {expected}"
            );
        }
    }
}

#[test]
fn two_valued_draws_have_no_folded_rhat() {
    let x: Vec<f64> = formula(4, 50, 0.0, 0.0, 0.0)
        .iter()
        .map(|y| y.signum())
        .collect();
    let x: Vec<f64> = x.iter().flat_map(|&s| [s, -s]).collect();
    let chains = Chains::new(&x, 4).unwrap();
    assert!(rhat_folded(&chains).is_nan());
    assert_eq!(rhat(&chains), rhat_bulk(&chains));
    assert!(rhat(&chains) < 1.01);
    // more than 5 % are at the upper value: x <= q95 says nothing, x <= q05 does
    assert!(ess_tail(&chains) > 0.0);
}

/// AR(1) with unit variance, started in its stationary distribution.
fn stationary(chains: usize, draws: usize, rho: f64, seed: u64) -> Vec<f64> {
    let mut x = vec![0.0; chains * draws];
    for (c, row) in x.chunks_exact_mut(draws).enumerate() {
        fill_normal(&mut Streams::new(seed).rng(Phase::USER, c as u64), row);
        for t in 1..draws {
            row[t] = rho * row[t - 1] + (1.0 - rho * rho).sqrt() * row[t];
        }
    }
    x
}

#[test]
fn effective_sizes_of_ar1() {
    // ESS = S (1 - rho)/(1 + rho). Its estimate from a window of W lags has a relative deviation of
    // about sqrt(2 (2W + 1)/S) (Wolff 2004, eq. 42): 9 % for rho = 0.9 and W = 20, 1.5 % for the
    // mean of 40 sets. There is also a bias of a few per cent: down where the sum stops at a chance
    // fluctuation, up by the means of the halves, 2 tau/n = 4 %.
    let (chains, draws, sets) = (4, 1000, 40);
    for rho in [0.0, 0.3, 0.7, 0.9] {
        let exact = (chains * draws) as f64 * (1.0 - rho) / (1.0 + rho);
        let mean = |of: fn(&Chains) -> f64| {
            let size =
                |seed| of(&Chains::new(&stationary(chains, draws, rho, seed), chains).unwrap());
            (0..sets).map(size).sum::<f64>() / sets as f64 / exact
        };
        for ratio in [mean(ess_mean), mean(ess_bulk)] {
            assert!((ratio - 1.0).abs() < 0.05, "rho {rho}: {ratio}");
        }
    }
}

#[test]
fn effective_size_by_the_means_of_short_chains() {
    // exact for n draws: Var(mean) = (1 + 2 sum_t (1 - t/n) rho^t) / n; from 400 chains to
    // sqrt(2/399) = 7 %
    let (chains, draws) = (400, 4);
    for rho in [0.0, 0.5, 0.95] {
        let weight = |t: usize| 2.0 * (1.0 - t as f64 / draws as f64) * f64::powi(rho, t as i32);
        let exact = (chains * draws) as f64 / (1.0 + (1..draws).map(weight).sum::<f64>());
        let size =
            ess_chain_means(&Chains::new(&stationary(chains, draws, rho, 3), chains).unwrap());
        assert!(
            (size / exact - 1.0).abs() < 4.0 * 0.071,
            "{rho}: {size} {exact}"
        );
    }
    assert!(ess_chain_means(&Chains::new(&stationary(1, 9, 0.0, 3), 1).unwrap()).is_nan());
}

#[test]
fn the_standard_error_is_that_of_the_mean() {
    // mean / mcse is nearly standard normal: its mean square over 300 sets deviates by
    // sqrt(2/300) = 8 %. The relative error of mcse^2, 10 % (W = 15, S = 4000), raises it by 1 %
    let z2 = |seed: u64| {
        let x = stationary(4, 1000, 0.6, 1000 + seed);
        let chains = Chains::new(&x, 4).unwrap();
        (x.iter().sum::<f64>() / 4000.0 / mcse_mean(&chains)).powi(2)
    };
    let mean = (0..300).map(z2).sum::<f64>() / 300.0;
    assert!((mean - 1.0).abs() < 4.0 * 0.082, "{mean}");
}

#[test]
fn rhat_sees_location_and_scale() {
    let x = stationary(4, 1000, 0.0, 5);
    let with = |f: fn(usize, f64) -> f64| -> Vec<f64> {
        x.iter().enumerate().map(|(i, &v)| f(i / 1000, v)).collect()
    };
    let of = |x: &[f64]| {
        let c = Chains::new(x, 4).unwrap();
        (rhat_bulk(&c), rhat_folded(&c), rhat(&c))
    };
    let (bulk, folded, both) = of(&x);
    assert!(bulk < 1.01 && folded < 1.01 && both == bulk.max(folded));
    // one chain of four moved by 1.5 deviations: well above 1.1 = sqrt(1 + 0.21)
    let (bulk, _, both) = of(&with(|c, v| if c == 0 { v + 1.5 } else { v }));
    assert!(bulk > 1.1 && both >= bulk);
    let (bulk, folded, both) = of(&with(|c, v| if c == 0 { 5.0 * v } else { v }));
    assert!(bulk < 1.02 && folded > 1.1 && both == folded);
    // the same drift within each chain: only splitting detects it
    let drift: Vec<f64> = x
        .iter()
        .enumerate()
        .map(|(i, v)| v + (i % 1000) as f64 / 400.0)
        .collect();
    assert!(of(&drift).0 > 1.1);
    // short chains that have forgotten their start: R-hat of 256 halves of 2 draws is far from 1,
    // nested R-hat is not
    let short = stationary(128, 4, 0.8, 6);
    let chains = Chains::new(&short, 128).unwrap();
    assert!(rhat(&chains) > 1.3);
    // sqrt(1 + 1/M) is 1.015 for M = 32 chains per superchain, with one effective draw each
    assert!(nested_rhat(&chains, 4).unwrap() < 1.03);
    let apart: Vec<f64> = short
        .iter()
        .enumerate()
        .map(|(i, v)| v + (i / 128) as f64)
        .collect();
    assert!(nested_rhat(&Chains::new(&apart, 128).unwrap(), 4).unwrap() > 1.3);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn ranks_do_not_see_increasing_maps(chains in 1usize..5, draws in 4usize..60, rho in -0.9..0.95f64, seed in 0u64..1000) {
        let x = stationary(chains, draws, rho, seed);
        let y: Vec<f64> = x.iter().map(|v| v.exp()).collect();
        let (a, b) = (Chains::new(&x, chains).unwrap(), Chains::new(&y, chains).unwrap());
        prop_assert_eq!(rhat_bulk(&a).to_bits(), rhat_bulk(&b).to_bits());
        prop_assert_eq!(ess_bulk(&a).to_bits(), ess_bulk(&b).to_bits());
        prop_assert_eq!(ess_tail(&a).to_bits(), ess_tail(&b).to_bits());
        // a map that is not affine changes the distances from the median; this one is exact, and
        // keeps ties
        let y: Vec<f64> = x.iter().map(|v| -0.5 * v).collect();
        let b = Chains::new(&y, chains).unwrap();
        prop_assert!((rhat(&a) / rhat(&b) - 1.0).abs() < 1e-9);
        prop_assert!((ess_mean(&a) / ess_mean(&b) - 1.0).abs() < 1e-6);
        prop_assert!((mcse_mean(&a) / mcse_mean(&b) - 2.0).abs() < 1e-6);
    }

    #[test]
    fn the_order_of_chains_does_not_matter(chains in 2usize..6, draws in 4usize..60, rho in -0.9..0.95f64, seed in 0u64..1000) {
        let x = stationary(chains, draws, rho, seed);
        let mut y = x.clone();
        y.rotate_left(draws);
        let (a, b) = (all(&x, chains), all(&y, chains));
        for (a, b) in a.iter().zip(b) {
            prop_assert!((a / b - 1.0).abs() < 1e-9 || (a.is_nan() && b.is_nan()), "{} {}", a, b);
        }
        let (a, b) = (Chains::new(&x, chains).unwrap(), Chains::new(&y, chains).unwrap());
        prop_assert!((ess_chain_means(&a) / ess_chain_means(&b) - 1.0).abs() < 1e-9);
    }
}
