//! Leave-one-out cross-validation against ArviZ, and properties that hold for any values.

use super::psis::uniforms;
use crate::diagnose::*;
use crate::linalg::log_mean_exp;

/// `log_lik` of `docs/peers/loo.py`: `[draws, rows]`, rows of `N(theta, 1)` at `c_i = 3 sin(i + 1)`
/// without the constant, draws `theta = scale log(u / (1 - u))`.
fn formula(draws: usize, rows: usize, seed: u64, scale: f64) -> Vec<f64> {
    let of = |u: f64| {
        let theta = scale * (u / (1.0 - u)).ln();
        (0..rows).map(move |i| -0.5 * (3.0 * (i as f64 + 1.0).sin() - theta).powi(2))
    };
    uniforms(draws, seed).into_iter().flat_map(of).collect()
}

pub(super) fn column(matrix: &[f64], rows: usize, row: usize) -> Vec<f64> {
    matrix.iter().skip(row).step_by(rows).copied().collect()
}

/// The case of [`formula`] and the efficiency; `elpd_loo`, `se`, `p_loo`; `loo_i`; `pareto_k`. From
/// `docs/peers/loo.py`.
type Golden = (
    (usize, usize, u64, f64, f64),
    [f64; 3],
    &'static [f64],
    &'static [f64],
);
const ARVIZ: [Golden; 5] = [
    (
        (100, 6, 1, 0.1, 1.0),
        [-14.63133909863216, 3.9965854721198304, 0.9145067539662843],
        &[
            -3.3416167292642562,
            -3.896999850058089,
            -0.11383736149842516,
            -2.652763072246154,
            -4.255793513412383,
            -0.370328572152852,
        ],
        &[
            0.4396462969546233,
            0.4541151698074895,
            0.35552576169030625,
            0.3249371959038521,
            0.3647419684987835,
            0.25724786722466886,
        ],
    ),
    (
        (400, 7, 2, 0.15, 1.0),
        [-17.473917475069925, 4.178492009491475, 2.274491696464395],
        &[
            -3.454776464145115,
            -4.03094863623884,
            -0.12908539850598455,
            -2.822166736578339,
            -4.501503046403719,
            -0.4202476464459739,
            -2.1151895467519566,
        ],
        &[
            0.4612234085644299,
            0.4896470688282662,
            0.2633448694851364,
            0.21414615363566364,
            0.26417394912816977,
            0.1181534182489551,
            0.38704583216740485,
        ],
    ),
    (
        (1000, 5, 3, 0.3, 1.0),
        [-22.868141677303914, 5.073840546458556, 11.697463369408355],
        &[
            -5.178547539964046,
            -6.004457514765235,
            -0.3506636764184501,
            -4.421188625338122,
            -6.913284320818061,
        ],
        &[
            1.0179623190016625,
            1.0685605004031822,
            0.6262941908381231,
            1.151301227414379,
            1.299655074272632,
        ],
    ),
    (
        (1000, 5, 3, 0.3, 0.4),
        [-23.123013510220915, 5.130308045966266, 11.952335202325356],
        &[
            -5.3049286194178595,
            -6.163023410055921,
            -0.3524322502691781,
            -4.4001623576370426,
            -6.902466872840916,
        ],
        &[
            1.1224642319992721,
            1.1820016199930266,
            0.6412678332904006,
            1.1168279664090952,
            1.279014645608939,
        ],
    ),
    (
        (2000, 4, 4, 0.05, 1.7),
        [-9.667946385769078, 2.802464473907322, 0.15928978406227046],
        &[
            -3.2147730949973585,
            -3.7534296131056415,
            -0.09412582915736678,
            -2.60561784850871,
        ],
        &[
            0.3564778591407381,
            0.3636856264333525,
            0.3191708001696335,
            0.015587237155320077,
        ],
    ),
];

#[test]
fn arviz_agrees() {
    let close = |g: f64, e: f64, what: &str| {
        assert!((g - e).abs() < 1e-9 * e.abs().max(1.0), "{what}: {g} {e}");
    };
    let mut unreliable = Vec::new();
    for ((draws, rows, seed, scale, efficiency), [elpd, se, p_loo], pointwise, k) in ARVIZ {
        let log_lik = formula(draws, rows, seed, scale);
        let loo = Loo::new(&log_lik, draws, Some(efficiency)).unwrap();
        close(loo.elpd_loo, elpd, "elpd");
        // their variance has the divisor n
        let n = rows as f64;
        close(loo.se * ((n - 1.0) / n).sqrt(), se, "se");
        close(loo.p_loo, p_loo, "p_loo");
        close(loo.lppd - loo.p_loo, elpd, "lppd");
        close(loo.looic(), -2.0 * elpd, "looic");
        for i in 0..rows {
            close(loo.pointwise[i], pointwise[i], "pointwise");
            close(loo.pareto_k[i], k[i], "k");
        }
        unreliable.push(loo.unreliable());
    }
    // limits 1/2, 0.616, 2/3, 2/3, 0.697
    assert_eq!(unreliable, [0, 0, 4, 4, 0]);
}

#[test]
fn the_matrix_the_builder_and_rows_in_parallel_give_the_same_bits() {
    let (draws, rows) = (400, 7);
    let log_lik = formula(draws, rows, 2, 0.15);
    for efficiency in [None, Some(0.3)] {
        let all = Loo::new(&log_lik, draws, efficiency).unwrap();
        let mut one_by_one = Loo::builder(efficiency);
        for row in 0..rows {
            one_by_one.push_row(&column(&log_lik, rows, row)).unwrap();
        }
        assert_eq!(all, one_by_one.finish().unwrap());
        let elsewhere: Vec<LooRow> = crate::parallel::map(rows, |row| {
            LooRow::new(row, &column(&log_lik, rows, row), efficiency).unwrap()
        });
        let mut builder = Loo::builder(None);
        elsewhere
            .into_iter()
            .for_each(|row| builder.push(row).unwrap());
        assert_eq!(all, builder.finish().unwrap());
    }
    let default = Loo::new(&log_lik, draws, None).unwrap();
    assert_eq!(default, Loo::new(&log_lik, draws, Some(1.0)).unwrap());
    assert_ne!(default, Loo::new(&log_lik, draws, Some(0.3)).unwrap());
}

#[test]
fn few_draws_are_averaged_as_they_are_and_said_to_be_unreliable() {
    for draws in [1, 2, MIN_DRAWS - 1] {
        let log_lik = formula(draws, 3, 5, 0.2);
        let loo = Loo::new(&log_lik, draws, Some(0.5)).unwrap();
        for row in 0..3 {
            // 1 / mean 1/p
            let of_row = column(&log_lik, 3, row);
            let inverse: f64 = of_row.iter().map(|l| (-l).exp()).sum::<f64>() / draws as f64;
            assert!((loo.pointwise[row] + inverse.ln()).abs() < 1e-12);
            assert_eq!(loo.pareto_k[row], f64::INFINITY);
        }
        assert_eq!(loo.unreliable(), 3);
    }
    let smoothed = Loo::new(&formula(MIN_DRAWS, 3, 5, 0.2), MIN_DRAWS, None).unwrap();
    assert!(smoothed.pareto_k.iter().all(|k| k.is_finite()));
}

#[test]
fn a_row_that_no_draw_doubts() {
    // the same under all draws: nothing is learned from it, and nothing is lost without it
    let loo = Loo::new(&[-1.5; 60], 30, None).unwrap();
    assert!((loo.elpd_loo + 3.0).abs() < 1e-12 && loo.p_loo.abs() < 1e-12);
    assert_eq!((loo.pareto_k[0], loo.unreliable()), (f64::NEG_INFINITY, 0));
    assert_eq!(loo.se, 0.0);
    let one = Loo::new(&[-1.5; 30], 30, None).unwrap();
    assert_eq!(one.se, f64::INFINITY);
}

#[test]
fn a_constant_moves_the_densities_and_nothing_else() {
    let log_lik = formula(400, 7, 2, 0.15);
    let plain = Loo::new(&log_lik, 400, None).unwrap();
    for shift in [-5000.0, 5000.0] {
        let moved: Vec<f64> = log_lik.iter().map(|l| l + shift).collect();
        let moved = Loo::new(&moved, 400, None).unwrap();
        assert!((moved.elpd_loo - plain.elpd_loo - 7.0 * shift).abs() < 1e-7);
        assert!((moved.p_loo - plain.p_loo).abs() < 1e-7);
        assert!((moved.pareto_k[0] - plain.pareto_k[0]).abs() < 1e-8);
    }
    // densities that span more than the exponents of double precision
    let span: Vec<f64> = (0..100).map(|s| -1e306 * f64::from(s)).collect();
    let loo = Loo::new(&span, 100, None).unwrap();
    assert!(!loo.elpd_loo.is_nan() && loo.unreliable() == 1);
}

#[test]
fn differences_row_by_row() {
    // differences 1, 2, 3: variance 1
    let (a, b) = ([1.0, 3.0, 2.0], [0.0, 1.0, -1.0]);
    let got = elpd_difference(&a, &b).unwrap();
    assert!((got.difference - 6.0).abs() < 1e-12);
    assert!((got.std_error - 3f64.sqrt()).abs() < 1e-12);
    let back = elpd_difference(&b, &a).unwrap();
    assert_eq!(
        (back.difference, back.std_error),
        (-got.difference, got.std_error)
    );
    let same = elpd_difference(&a, &a).unwrap();
    assert_eq!((same.difference, same.std_error), (0.0, 0.0));
    let one = elpd_difference(&[1.0], &[3.0]).unwrap();
    assert_eq!((one.difference, one.std_error), (-2.0, f64::INFINITY));
}

#[test]
fn what_cannot_be_left_out_is_refused() {
    let mut log_lik = formula(50, 4, 1, 0.1);
    let message = |e: crate::error::Error| e.to_string();
    log_lik[4 * 7 + 3] = f64::NAN;
    // row 1 comes before row 3
    log_lik[4 * 30 + 1] = f64::NEG_INFINITY;
    let error = message(Loo::new(&log_lik, 50, None).unwrap_err());
    assert!(
        error.contains("row 1 at draw 30: expected a finite number, got -inf"),
        "{error}"
    );
    assert!(error.contains("infinite"), "{error}");
    let error = message(loo_log_weights(&column(&log_lik, 4, 3), None).unwrap_err());
    assert_eq!(
        error,
        "log-likelihood at draw 7: expected a finite number, got NaN"
    );
    let mut builder = Loo::builder(None);
    builder.push_row(&column(&log_lik, 4, 0)).unwrap();
    let error = message(builder.push_row(&column(&log_lik, 4, 1)).unwrap_err());
    assert!(error.contains("row 1 at draw 30"), "{error}");
    let error = message(builder.push_row(&[0.0; 49]).unwrap_err());
    assert_eq!(
        error,
        "LooBuilder: expected 50 draws, as row 0 has, got 49 in row 1"
    );
    assert_eq!(builder.finish().unwrap().pointwise.len(), 1);
    assert!(Loo::builder(None).finish().is_err());
    for (length, draws) in [(0, 5), (5, 0), (7, 3)] {
        let error = message(Loo::new(&vec![0.0; length], draws, None).unwrap_err());
        assert!(
            error.starts_with("Loo: expected log-likelihoods"),
            "{error}"
        );
    }
    assert!(loo_log_weights(&[], None).is_err());
    for draws in [10, 100] {
        for efficiency in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let error = message(loo_log_weights(&vec![0.0; draws], Some(efficiency)).unwrap_err());
            assert!(error.starts_with("efficiency = "), "{error}");
        }
    }
    assert!(elpd_difference(&[], &[]).is_err());
    assert!(elpd_difference(&[1.0], &[1.0, 2.0]).is_err());
    let error = message(elpd_difference(&[1.0, 2.0], &[1.0, f64::NEG_INFINITY]).unwrap_err());
    assert!(error.contains("row 1 by the second model"), "{error}");
}

#[test]
fn the_efficiency_sets_the_length_of_the_tail() {
    // 900 draws: a tail of min(180, 90 / sqrt r). At r = 1/16 it is 180, and the shape is the same
    // for every r below
    let raw: Vec<f64> = column(&formula(900, 1, 3, 0.3), 1, 0)
        .iter()
        .map(|l| -l)
        .collect();
    let k = |r: f64| ParetoSmoothed::with_efficiency(&raw, r).unwrap().k_hat;
    assert_eq!(k(1.0), ParetoSmoothed::new(&raw).unwrap().k_hat);
    assert_eq!(k(0.25), k(1e-6));
    assert_ne!(k(0.3), k(0.25));
    // 4 weights are no tail
    assert_eq!(k(1e3), f64::INFINITY);
    assert!(log_mean_exp(&raw).value.is_finite());
}

#[test]
fn an_exact_row_takes_the_place_of_its_estimate() {
    let (draws, rows) = (200, 4);
    let all = formula(draws, rows, 3, 0.3);
    let loo = Loo::new(&all, draws, None).unwrap();
    let exact = loo.clone().with_exact(2, -5.0).unwrap();
    let mut want = loo.pointwise.clone();
    want[2] = -5.0;
    assert_eq!(exact.pointwise, want);
    assert_eq!(exact.elpd_loo, want.iter().sum::<f64>());
    let mean = exact.elpd_loo / rows as f64;
    let variance = want.iter().map(|e| (e - mean).powi(2)).sum::<f64>() / (rows - 1) as f64;
    assert!((exact.se - (rows as f64 * variance).sqrt()).abs() < 1e-12);
    assert_eq!(exact.p_loo, exact.lppd - exact.elpd_loo);
    assert!(!exact.unreliable_rows().contains(&2));
    assert!(loo.clone().with_exact(4, 0.0).is_err());
    assert!(loo.with_exact(0, f64::NEG_INFINITY).is_err());
}
