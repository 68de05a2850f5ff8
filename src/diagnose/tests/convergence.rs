//! Chains: values of another implementation, invariances, special values, and what is known of AR(1).

use proptest::prelude::*;

use crate::diagnose::*;
use crate::linalg::vector::fill_normal;
use crate::rng::{Phase, Streams};

/// `y_t = rho y_{t-1} + u_t - 1/2`, `u` of the generator `s <- 6364136223846793005 s + 1442695040888963407 mod 2^64`,
/// `u = floor(s / 2^11) / 2^53`, started at `s = c + 1`, `y = 0`; chain `c` is `y (1 + scale c) + shift c`. No step
/// of it rounds
/// differently in another language.
fn formula(chains: u32, draws: usize, rho: f64, shift: f64, scale: f64) -> Vec<f64> {
    let chain = |c: u32| {
        let (mut s, mut y) = (u64::from(c) + 1, 0.0);
        std::iter::repeat_with(move || {
            s = s
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            y = rho * y + ((s >> 11) as f64 / 9_007_199_254_740_992.0 - 0.5);
            y * (1.0 + scale * f64::from(c)) + shift * f64::from(c)
        })
        .take(draws)
    };
    (0..chains).flat_map(chain).collect()
}

/// The case of [`formula`] and `rhat(method="z_scale")`, `rhat(method="folded")`, `ess(method="bulk")`, `"tail"`,
/// `"mean"`,
/// `mcse(method="mean")` of ArviZ 0.23.4 (NumPy 2.4.6, SciPy 1.17.1). R-hat of the single chain, which ArviZ
/// refuses, by its
/// own steps: `_rhat(_z_scale(_split_chains(x)))`.
type Golden = ((u32, usize, f64, f64, f64), [f64; 6]);
const ARVIZ: [Golden; 7] = [
    (
        (4, 250, 0.5, 0.0, 0.0),
        [
            1.0101505660752526,
            1.008074466850875,
            265.2771324865426,
            411.21856723069624,
            273.21146690500433,
            0.020515745808113158,
        ],
    ),
    (
        (4, 251, 0.9, 0.0, 0.0),
        [
            1.0861886153097267,
            1.0418028188104218,
            33.18111918316552,
            63.309764163368584,
            31.85525726704368,
            0.12529600446841002,
        ],
    ),
    (
        (3, 100, -0.6, 0.0, 0.0),
        [
            0.9911518802275799,
            0.9928291704104264,
            743.1363764158988,
            293.50116273625406,
            743.1363764158988,
            0.012389742907050165,
        ],
    ),
    (
        (4, 200, 0.3, 0.5, 0.0),
        [
            2.0525059997728787,
            1.3224392153092217,
            5.59896735297694,
            30.81156429334348,
            5.29272082856472,
            0.2799666687014815,
        ],
    ),
    (
        (4, 200, 0.3, 0.0, 1.0),
        [
            0.9992787211037977,
            1.2067220862878758,
            380.15589253351374,
            151.38354487779085,
            377.45662840839304,
            0.04288254767628654,
        ],
    ),
    (
        (1, 400, 0.7, 0.0, 0.0),
        [
            1.0044929579995296,
            1.00122577532916,
            91.20082870609615,
            146.4489234687208,
            90.20835489789526,
            0.039572572150572055,
        ],
    ),
    (
        (64, 12, 0.2, 0.0, 0.0),
        [
            1.0337234170217013,
            0.9896894086515434,
            651.4292439292592,
            824.2680897516103,
            693.1588378695843,
            0.011295846205378735,
        ],
    ),
];

fn all(x: &[f64], chains: usize) -> [f64; 6] {
    let c = Chains::new(x, chains).unwrap();
    [
        rhat_bulk(&c),
        rhat_folded(&c),
        ess_bulk(&c),
        ess_tail(&c),
        ess_mean(&c),
        mcse_mean(&c),
    ]
}

#[test]
fn arviz_agrees() {
    for ((chains, draws, rho, shift, scale), expected) in ARVIZ {
        let x = formula(chains, draws, rho, shift, scale);
        let got = all(&x, chains as usize);
        for (k, (g, e)) in got.iter().zip(expected).enumerate() {
            // where halves disagree, no pair is ever negative: ArviZ leaves out the last one or two pairs, at most 3
            // 1/2 of the 2 n
            // terms of the sum in its own count; here they are in
            let apart = rho == 0.9 || shift > 0.0 || (scale > 0.0 && k == 3);
            let tolerance = if apart && k >= 2 {
                3.5 / (draws / 2) as f64
            } else {
                1e-10
            };
            let error = (g / e - 1.0).abs();
            assert!(
                error < tolerance,
                "{chains} {draws} {rho} {shift} {scale}, {k}: {g} {e}"
            );
        }
    }
}

#[test]
fn nested_rhat_agrees() {
    // arviz_stats 0.8.0, `_rhat_nested(x, ids)` on the draws as they are, ids = chain / (chains / superchains)
    let known = [
        (formula(64, 12, 0.2, 0.0, 0.0), 64, 8, 1.0128430119375487),
        (formula(12, 50, 0.9, 0.1, 0.0), 12, 4, 1.1830998650484588),
        (formula(6, 40, 0.5, 0.3, 0.0), 6, 6, 2.026124547277996),
    ];
    for (x, chains, superchains, expected) in known {
        let got = nested_rhat(&Chains::new(&x, chains).unwrap(), superchains).unwrap();
        assert!((got / expected - 1.0).abs() < 1e-10, "{got} {expected}");
    }
    let x = [0.0; 24];
    let chains = Chains::new(&x, 6).unwrap();
    for superchains in [0, 1, 4, 12] {
        assert!(nested_rhat(&chains, superchains).is_err());
    }
}

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
    // 0.1 has a mean that rounds
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
        // all 2 n lags are 1, n = draws/2: 2 M n / (2 n - 1), or n / 2 pairs where the last lag has no partner
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
    // more than 5 % at the upper value: x <= q95 says nothing, x <= q05 does
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
    // ESS = S (1 - rho)/(1 + rho). Its estimate from a window of W lags has a relative deviation of about
    // sqrt(2 (2W + 1)/S) (Wolff 2004, eq. 42), 9 % for rho = 0.9 and W = 20, 1.5 % for the mean of 40 sets. Beside
    // it there is a
    // bias of some per cent: down where the sum stops at a chance fluctuation, up by the means of the halves, 2
    // tau/n = 4 %.
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
    // exact for n draws: Var(mean) = (1 + 2 sum_t (1 - t/n) rho^t) / n; 400 chains give it to sqrt(2/399) = 7 %
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
    // mean / mcse is nearly standard normal: its mean square over 300 sets deviates by sqrt(2/300) = 8 %; the error
    // of mcse^2, 10 % of itself (W = 15, S = 4000), raises it by 1 %
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
    // one chain of four moved by a deviation: B/W about 1/4 of (3/4)... well above 1.1 = sqrt(1 + 0.21)
    let (bulk, _, both) = of(&with(|c, v| if c == 0 { v + 1.5 } else { v }));
    assert!(bulk > 1.1 && both >= bulk);
    let (bulk, folded, both) = of(&with(|c, v| if c == 0 { 5.0 * v } else { v }));
    assert!(bulk < 1.02 && folded > 1.1 && both == folded);
    // a drift within each chain, the same for all: only splitting sees it
    let drift: Vec<f64> = x
        .iter()
        .enumerate()
        .map(|(i, v)| v + (i % 1000) as f64 / 400.0)
        .collect();
    assert!(of(&drift).0 > 1.1);
    // short chains that have forgotten their start: R-hat of 256 halves of 2 draws is far from 1, the nested one is
    // not
    let short = stationary(128, 4, 0.8, 6);
    let chains = Chains::new(&short, 128).unwrap();
    assert!(rhat(&chains) > 1.3);
    // sqrt(1 + 1/M) for M = 32 chains a superchain and one effective draw each is 1.015
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
        // the distance from the median is another quantity after a map that is not affine; this one is exact, and
        // keeps its ties
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
