//! Values of ArviZ, and a slow twin of our code that explains where the two differ.

use crate::diagnose::*;

/// `y_t = rho y_{t-1} + u_t - 1/2` from `y = 0`, where `u = floor(s / 2^11) / 2^53` and
/// `s <- 6364136223846793005 s + 1442695040888963407 mod 2^64` from `s = c + 1`. Chain `c` is
/// `y (1 + scale c) + shift c`. No step rounds differently in another language.
pub(super) fn formula(chains: u32, draws: usize, rho: f64, shift: f64, scale: f64) -> Vec<f64> {
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

/// The case of [`formula`], then results of ArviZ 0.23.4 (NumPy 2.4.6, SciPy 1.17.1):
/// `rhat(method="z_scale")`, `rhat(method="folded")`, `ess(method="bulk")`, `"tail"`, `"mean"`,
/// `mcse(method="mean")`. ArviZ refuses R-hat of a single chain. It was computed by ArviZ's own
/// steps: `_rhat(_z_scale(_split_chains(x)))`.
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

/// R-hat, bulk and folded; effective sizes of bulk, tail and mean; standard error.
pub(super) fn all(x: &[f64], chains: usize) -> [f64; 6] {
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

/// The effective size from all correlations at once. If no pair is negative, it ends with the last
/// pair, or as in ArviZ with the even lag `n - 4` or `n - 3`.
fn slow_ess(rows: &[Vec<f64>], arviz: bool) -> f64 {
    let (m, n) = (rows.len(), rows[0].len());
    let mean = |x: &[f64]| x.iter().sum::<f64>() / x.len() as f64;
    let means: Vec<f64> = rows.iter().map(|r| mean(r)).collect();
    let grand = mean(&means);
    let autocovariance = |t: usize| {
        let of =
            |(r, c): (&Vec<f64>, &f64)| (t..n).map(|i| (r[i] - c) * (r[i - t] - c)).sum::<f64>();
        rows.iter().zip(&means).map(of).sum::<f64>() / (n * m) as f64
    };
    let within = autocovariance(0) * n as f64 / (n - 1) as f64;
    let squares: f64 = means.iter().map(|c| (c - grand).powi(2)).sum();
    let total = autocovariance(0) + squares / (m as f64 - 1.0);
    let mut rho: Vec<f64> = (0..n)
        .map(|t| 1.0 - (within - autocovariance(t)) / total)
        .collect();
    rho[0] = 1.0;
    let mut pairs: Vec<f64> = rho.chunks_exact(2).map(|p| p[0] + p[1]).collect();
    let end = if arviz { (n - 3) / 2 } else { n / 2 };
    let kept = pairs.iter().position(|&p| p <= 0.0).unwrap_or(end).min(end);
    for k in 1..kept {
        pairs[k] = pairs[k].min(pairs[k - 1]);
    }
    let after = if 2 * kept + 1 < n {
        rho[2 * kept].max(0.0)
    } else {
        0.0
    };
    let tau = 2.0 * pairs[..kept].iter().sum::<f64>() - 1.0 + after;
    let size = (n * m) as f64;
    size / tau.max(1.0 / size.log10())
}

/// Effective sizes of bulk, tail and mean, and the standard error, by [`slow_ess`].
fn slow(x: &[f64], chains: usize, arviz: bool) -> [f64; 4] {
    let draws = x.len() / chains;
    let half = draws / 2;
    let halves = |x: &[f64]| -> Vec<Vec<f64>> {
        x.chunks_exact(draws)
            .flat_map(|c| [c[..half].to_vec(), c[draws - half..].to_vec()])
            .collect()
    };
    let z = rank_normalize(&halves(x).concat());
    let bulk: Vec<Vec<f64>> = z.chunks_exact(half).map(<[f64]>::to_vec).collect();
    let mut sorted = x.to_vec();
    sorted.sort_by(f64::total_cmp);
    let tail = |p: f64| {
        let at = sorted[((x.len() - 1) as f64 * p) as usize];
        let below: Vec<f64> = x.iter().map(|&v| f64::from(u8::from(v <= at))).collect();
        slow_ess(&halves(&below), arviz)
    };
    let mean = slow_ess(&halves(x), arviz);
    let centre = x.iter().sum::<f64>() / x.len() as f64;
    let variance = x.iter().map(|v| (v - centre).powi(2)).sum::<f64>() / (x.len() as f64 - 1.0);
    [
        slow_ess(&bulk, arviz),
        tail(0.05).min(tail(0.95)),
        mean,
        (variance / mean).sqrt(),
    ]
}

#[test]
fn arviz_agrees() {
    let close = |a: f64, b: f64| (a / b - 1.0).abs() < 1e-10;
    let mut same = 0;
    for ((chains, draws, rho, shift, scale), expected) in ARVIZ {
        let case = format!("{chains} {draws} {rho} {shift} {scale}");
        let x = formula(chains, draws, rho, shift, scale);
        let got = all(&x, chains as usize);
        for k in 0..2 {
            assert!(
                close(got[k], expected[k]),
                "{case}, {k}: {} {}",
                got[k],
                expected[k]
            );
        }
        // where halves disagree, no pair is negative and ArviZ leaves the last lags out; the twin
        // computes it both ways
        let (theirs, ours) = (
            slow(&x, chains as usize, true),
            slow(&x, chains as usize, false),
        );
        for k in 0..4 {
            let (g, e) = (got[k + 2], expected[k + 2]);
            assert!(close(theirs[k], e), "{case}, {k}: {} {e}", theirs[k]);
            assert!(close(g, ours[k]), "{case}, {k}: {g} {}", ours[k]);
            same += usize::from(close(g, e));
        }
    }
    // only the case of rho 0.9, the shifted case, and the tail of the scaled case end differently
    assert_eq!(same, 28 - 4 - 4 - 1);
}

#[test]
fn nested_rhat_agrees() {
    // arviz_stats 0.8.0, `_rhat_nested(x, ids)` on the draws as they are,
    // `ids = chain / (chains / superchains)`
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
