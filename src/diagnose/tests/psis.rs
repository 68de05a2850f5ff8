//! Pareto-smoothed weights against ArviZ, and against weights with a known tail.

use rand_distr::{Distribution, StandardNormal};

use crate::diagnose::{MIN_DRAWS, ParetoSmoothed};
use crate::rng::{Phase, Streams};

const NONE: f64 = f64::NEG_INFINITY;

/// `((s >> 11) + 1/2) / 2^53` with the generator of [`super::arviz`]; in Python with
/// `& (2**64 - 1)`.
pub(super) fn uniforms(n: usize, seed: u64) -> Vec<f64> {
    let mut s = seed;
    std::iter::repeat_with(|| {
        s = s
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        ((s >> 11) as f64 + 0.5) / 9_007_199_254_740_992.0
    })
    .take(n)
    .collect()
}

/// Weights with an exact Pareto tail of index `k`, `log w = shift - k log u`. For `k` below 0 they
/// are bounded, `shift + k u`.
fn weights(n: usize, seed: u64, k: f64, shift: f64) -> Vec<f64> {
    let log = |u: f64| shift + if k > 0.0 { -k * u.ln() } else { k * u };
    uniforms(n, seed).into_iter().map(log).collect()
}

/// The case of [`weights`], then results of ArviZ 0.23.4 (NumPy 2.4.6): `k` of `psislw(lw)`; its
/// normalised log weights for the draws with the largest, third largest, fifth largest and smallest
/// raw weight; `1 / sum w^2`; `sum_i i w_i / S`; `log mean exp` of `psislw(lw, normalize=False)`.
type Golden = ((usize, u64, f64, f64), [f64; 8]);
const ARVIZ: [Golden; 6] = [
    (
        (21, 1, 0.3, 0.0),
        [
            0.3964018513602218,
            -2.482856722182089,
            -2.846024289293434,
            -2.9887139366768527,
            -3.257736093759255,
            20.030689582299512,
            0.47288880145536816,
            0.25641561665343926,
        ],
    ),
    (
        (100, 2, 0.4, -1000.0),
        [
            0.469059682270099,
            -2.8834180061142995,
            -3.4164859071177416,
            -3.7125402884238112,
            -5.211983517349937,
            64.38915210556355,
            0.49437322384556154,
            -999.3915894784185,
        ],
    ),
    (
        (224, 3, 1.2, 3.0),
        [
            1.0272113042207978,
            -1.9490298166707865,
            -2.8164033711623464,
            -3.4102264973333654,
            -7.210556415721504,
            24.10502796975457,
            0.5094112065167385,
            4.806775565257876,
        ],
    ),
    (
        (1000, 4, 0.7, 0.0),
        [
            0.7353907239173239,
            -2.698515140781013,
            -3.868690617176944,
            -4.290630716447745,
            -8.078398666162698,
            122.12265506056995,
            0.4834608759907835,
            1.1713078975087843,
        ],
    ),
    (
        (1000, 5, -1.0, 0.0),
        [
            -0.954100721480391,
            -6.44943527071024,
            -6.44943527071024,
            -6.44943527071024,
            -7.447762476839591,
            922.9111639346269,
            0.4973716558304291,
            -0.45969428029596804,
        ],
    ),
    (
        (5000, 6, 0.1, -7.5),
        [
            0.17430288807241548,
            -7.594289530675198,
            -7.8078713033068015,
            -7.882164563714916,
            -8.622718114605185,
            4937.667392399332,
            0.5005413806556597,
            -7.394473783889163,
        ],
    ),
];

#[test]
fn arviz_agrees() {
    for ((n, seed, k, shift), expected) in ARVIZ {
        let raw = weights(n, seed, k, shift);
        let got = ParetoSmoothed::new(&raw).unwrap();
        let mut order: Vec<usize> = (0..n).collect();
        order.sort_by(|&a, &b| raw[a].total_cmp(&raw[b]));
        let at = |i: usize| got.log_weights[order[i]];
        let position = (0..n).map(|i| i as f64 / n as f64 * got.log_weights[i].exp());
        let all = [
            got.k_hat,
            at(n - 1),
            at(n - 3),
            at(n - 5),
            at(0),
            got.ess,
            position.sum(),
            got.log_mean().value,
        ];
        for (i, (g, e)) in all.into_iter().zip(expected).enumerate() {
            assert!(
                (g - e).abs() < 1e-8 * e.abs().max(1.0),
                "{n} {k}, {i}: {g} {e}"
            );
        }
        let total: f64 = got.log_weights.iter().map(|w| w.exp()).sum();
        assert!((total - 1.0).abs() < 1e-12);
    }
}

#[test]
fn the_tail_index_of_a_gaussian_that_is_too_narrow() {
    // p = N(0, I), q = N(0, s^2 I) in the plane: P_q(w > t) = t^{-1/k} with k = 1 - s^2 exactly,
    // because |x|^2 is exponential. M = 600 of 40,000 weights; k^ has the standard deviation
    // `(1 + k) / sqrt M`; 20 repetitions, 4 sigma
    let (draws, tail, repeats) = (40_000, 600.0, 20);
    for s in [0.9f64, 0.7, 0.4] {
        let k = 1.0 - s * s;
        let mut sum = 0.0;
        for r in 0..repeats {
            let mut rng = Streams::new(3).rng(Phase::USER, r);
            let mut normal = || -> f64 { StandardNormal.sample(&mut rng) };
            let log_weights: Vec<f64> = (0..draws)
                .map(|_| {
                    let square = normal().powi(2) + normal().powi(2);
                    0.5 * square * (1.0 - s * s) + 2.0 * s.ln()
                })
                .collect();
            sum += ParetoSmoothed::new(&log_weights).unwrap().k_hat;
        }
        let mean = sum / repeats as f64;
        let expected = (tail * k + 5.0) / (tail + 10.0);
        let error = (1.0 + k) / (tail * repeats as f64).sqrt();
        assert!(
            (mean - expected).abs() < 4.0 * error,
            "{s}: {mean} {expected}"
        );
    }
}

#[test]
fn on_the_line_the_index_is_reached_from_below() {
    // p = N(0, 1), q = N(0, s^2): P_q(|x| > s z) = 2 phi(z) / z (1 - 1/z^2 + ...). At z the slope
    // is k / (1 + 1/z^2 + ...) with k = 1 - s^2. Where the tail begins, P = 0.003 and z = 2.97, it
    // is 0.9 k. Quantiles, not draws
    let n = 1_000_000;
    for s in [0.8f64, 0.5] {
        let k = 1.0 - s * s;
        let log_weights: Vec<f64> = (0..n)
            .map(|i| super::super::normal_quantile((f64::from(i) + 0.5) / f64::from(n)))
            .map(|z| 0.5 * z * z * k)
            .collect();
        let got = ParetoSmoothed::new(&log_weights).unwrap().k_hat;
        assert!(0.86 * k < got && got < 0.98 * k, "{got} {k}");
    }
}

#[test]
fn a_gaussian_that_is_too_wide_has_bounded_weights() {
    // the same plane with s > 1: the density of w is constant at its upper end, a Pareto
    // distribution with k = -1
    let log_weights: Vec<f64> = weights(40_000, 9, 1.0, 0.0)
        .iter()
        .map(|exponential| -0.44 * exponential)
        .collect();
    let got = ParetoSmoothed::new(&log_weights).unwrap();
    // 4 sigma: for k < -1/2 maximum likelihood is not regular, and better than (1 + k) / sqrt M
    assert!((got.k_hat + 1.0).abs() < 0.1, "{}", got.k_hat);
}

#[test]
fn a_constant_changes_the_mean_and_nothing_else() {
    let raw = weights(500, 12, 0.6, 0.0);
    let moved: Vec<f64> = raw.iter().map(|w| w - 5000.0).collect();
    let (a, b) = (
        ParetoSmoothed::new(&raw).unwrap(),
        ParetoSmoothed::new(&moved).unwrap(),
    );
    assert!((a.k_hat - b.k_hat).abs() < 1e-9);
    assert!((a.log_mean().value - b.log_mean().value - 5000.0).abs() < 1e-9);
    assert!((a.ess - b.ess).abs() < 1e-7);
}

#[test]
fn equal_weights_have_no_tail() {
    // p and q are the same up to a constant and rounding
    for noise in [0.0, 1e-13] {
        let log_weights: Vec<f64> = uniforms(400, 1).iter().map(|u| 3.0 + noise * u).collect();
        let got = ParetoSmoothed::new(&log_weights).unwrap();
        assert_eq!(got.k_hat, NONE);
        assert!((got.ess - 400.0).abs() < 1e-6);
        let mean = got.log_mean();
        assert!((mean.value - 3.0).abs() < 1e-12 && mean.std_error < 1e-12);
    }
}

#[test]
fn zeros_are_weights_and_a_lone_weight_is_distrusted() {
    // an indicator: half of the draws have weight 0, the others 1
    let mut half = vec![0.0; 50];
    half.extend([NONE; 50]);
    let got = ParetoSmoothed::new(&half).unwrap();
    assert_eq!((got.k_hat, got.log_weights[99]), (NONE, NONE));
    assert!((got.ess - 50.0).abs() < 1e-9);
    // zeros in the body do not affect the fit
    let mut some = weights(200, 4, 0.3, 0.0);
    let before = ParetoSmoothed::new(&some).unwrap();
    some.sort_by(f64::total_cmp);
    some[..100].fill(NONE);
    let after = ParetoSmoothed::new(&some).unwrap();
    assert_eq!(after.k_hat, before.k_hat);
    // one draw has all the weight
    let mut lone = vec![NONE; 99];
    lone.push(0.0);
    let got = ParetoSmoothed::new(&lone).unwrap();
    assert_eq!((got.k_hat, got.ess), (f64::INFINITY, 1.0));
    // weights that span more than the exponents of double precision
    let span: Vec<f64> = (0..100).map(|i| -50.0 * f64::from(i)).collect();
    let got = ParetoSmoothed::new(&span).unwrap();
    assert!(got.k_hat > 1.0, "{}", got.k_hat);
    assert!(got.log_weights.iter().all(|w| !w.is_nan()));
}

#[test]
fn what_cannot_be_smoothed_is_refused() {
    let few = ParetoSmoothed::new(&[0.0; MIN_DRAWS - 1]).unwrap_err();
    assert_eq!(
        few.to_string(),
        "ParetoSmoothed: expected at least 21 log weights, got 20"
    );
    assert!(ParetoSmoothed::new(&uniforms(MIN_DRAWS, 3)).is_ok());
    for bad in [f64::NAN, f64::INFINITY] {
        let mut log_weights = vec![0.0; 30];
        log_weights[17] = bad;
        let error = ParetoSmoothed::new(&log_weights).unwrap_err();
        assert!(error.to_string().ends_with("index 17"), "{error}");
    }
    assert!(ParetoSmoothed::new(&[NONE; 30]).is_err());
}

#[test]
fn the_threshold_grows_with_the_number_of_draws() {
    assert!((ParetoSmoothed::threshold(100) - 0.5).abs() < 1e-12);
    assert!((ParetoSmoothed::threshold(1000) - 2.0 / 3.0).abs() < 1e-12);
    assert_eq!(ParetoSmoothed::threshold(10_000), 0.7);
    for few in [0, 1, 10] {
        assert!(ParetoSmoothed::threshold(few).abs() < 1e-12);
    }
}
