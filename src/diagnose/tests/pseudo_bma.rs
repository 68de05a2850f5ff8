//! Pseudo-BMA+ against integrals over the simplex, and against ArviZ.

use super::stacking::{NEAR, normals};
use crate::diagnose::pseudo_bma_plus;
use crate::rng::Streams;

#[test]
fn one_row_has_one_share() {
    for shift in [0.0, -1e5] {
        let l = [1.0f64, 2.0, 6.0].map(|p| p.ln() + shift);
        let got = pseudo_bma_plus(&l, 3, 5, Streams::new(1)).unwrap();
        for (g, e) in got.iter().zip([1.0, 2.0, 6.0]) {
            assert!((g - e / 9.0).abs() < 1e-10);
        }
    }
}

#[test]
fn two_rows_in_closed_form() {
    // shares a, 1 - a with a uniform: w = integral of g(2 (a d_1 + (1 - a) d_2)) da. The integral
    // of the logistic function g is s(x) = log(1 + e^x): w = (s(2 d_1) - s(2 d_2)) / (2 (d_1 -
    // d_2))
    let softplus = |x: f64| x.exp().ln_1p();
    let replicates = 100_000;
    for (d_1, d_2) in [(3.0, -1.0), (0.2, 0.1), (-8.0, 7.0)] {
        let l = [d_1, 0.0, 40.0, 40.0 - d_2];
        let got = pseudo_bma_plus(&l, 2, replicates, Streams::new(2)).unwrap();
        let expected = (softplus(2.0 * d_1) - softplus(2.0 * d_2)) / (2.0 * (d_1 - d_2));
        // the deviation of a weight is at most 1/2; 4 sigma
        let bound = 4.0 * 0.5 / (replicates as f64).sqrt();
        assert!((got[0] - expected).abs() < bound, "{got:?} {expected}");
        assert!((got[0] + got[1] - 1.0).abs() < 1e-12);
    }
}

#[test]
fn arviz_agrees() {
    // `az.compare(method="BB-pseudo-BMA", b_samples=400000)` with seeds 1 and 2, from
    // `docs/peers/loo.py`
    let known = [
        [0.5541259111159366, 0.3852192146533448, 0.060654874230692365],
        [0.553288385481967, 0.38632253274061457, 0.060389081777429875],
    ];
    let got = pseudo_bma_plus(&normals(NEAR), 3, 100_000, Streams::new(3)).unwrap();
    for k in 0..3 {
        let expected = 0.5 * (known[0][k] + known[1][k]);
        // deviations below 1/2: 4 sigma of 100,000 and 800,000 replicates
        let bound = 4.0 * 0.5 * (1e-5f64 + 1.25e-6).sqrt();
        assert!((got[k] - expected).abs() < bound, "{got:?} {known:?}");
    }
}

#[test]
fn the_same_bits_for_any_number_of_threads() {
    let l = normals(NEAR);
    let with = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
        let weights = || pseudo_bma_plus(&l, 3, 500, Streams::new(4)).unwrap();
        pool.build().unwrap().install(weights)
    };
    assert_eq!(with(1), with(3));
    let other = pseudo_bma_plus(&l, 3, 500, Streams::new(5)).unwrap();
    assert_ne!(with(1), other);
}

#[test]
fn far_off_numbers_are_weights_still() {
    let ends = [f64::MAX, f64::MIN, f64::MIN, f64::MAX, 0.0, 0.0];
    let got = pseudo_bma_plus(&ends, 2, 2000, Streams::new(1)).unwrap();
    assert!((got[0] - 0.5).abs() < 0.05 && (got[0] + got[1] - 1.0).abs() < 1e-12);
}

#[test]
fn what_has_no_weights_is_refused() {
    let message = |l: &[f64], models, replicates| {
        let got = pseudo_bma_plus(l, models, replicates, Streams::new(1));
        got.unwrap_err().to_string()
    };
    for (length, models) in [(0, 2), (4, 0), (5, 2)] {
        let error = message(&vec![0.0; length], models, 10);
        assert!(
            error.starts_with("pseudo_bma_plus: expected log densities"),
            "{error}"
        );
    }
    let error = message(&[0.0, f64::NAN], 2, 10);
    assert!(error.contains("row 0 by model 1"), "{error}");
    assert!(message(&[0.0, 1.0], 2, 0).starts_with("replicates = 0"));
}
