//! Stacking against expectation-maximisation, against ArviZ, and for mixtures with known weights.

use proptest::prelude::*;

use super::psis::uniforms;
use crate::diagnose::*;

/// `log sum_k w_k exp l_k` of each row, computed from logarithms.
fn log_mixtures(l: &[f64], w: &[f64]) -> Vec<f64> {
    let of = |row: &[f64]| {
        let terms: Vec<f64> = row.iter().zip(w).map(|(l, w)| l + w.ln()).collect();
        let top = terms.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        top + terms.iter().map(|t| (t - top).exp()).sum::<f64>().ln()
    };
    l.chunks_exact(w.len()).map(of).collect()
}

/// `g_k`, computed from logarithms.
fn slopes(l: &[f64], w: &[f64]) -> Vec<f64> {
    let mixtures = log_mixtures(l, w);
    let of = |k: usize| {
        let ratios = l
            .chunks_exact(w.len())
            .zip(&mixtures)
            .map(|(row, m)| (row[k] - m).exp());
        ratios.sum::<f64>() / mixtures.len() as f64
    };
    (0..w.len()).map(of).collect()
}

fn log_score(l: &[f64], w: &[f64]) -> f64 {
    log_mixtures(l, w).iter().sum()
}

/// The most by which any mixture can be better, in nats.
fn gap(l: &[f64], w: &[f64]) -> f64 {
    let largest = slopes(l, w).into_iter().fold(0.0, f64::max);
    (l.len() / w.len()) as f64 * largest.ln()
}

/// The slow twin: `w_k <- w_k g_k`, the EM algorithm of the mixture. It never leaves the simplex
/// and never gets worse.
fn em(l: &[f64], models: usize) -> Vec<f64> {
    let mut w = vec![1.0 / models as f64; models];
    for _ in 0..40_000 {
        let g = slopes(l, &w);
        w.iter_mut().zip(&g).for_each(|(w, g)| *w *= g);
        if gap(l, &w) < 1e-9 {
            break;
        }
    }
    w
}

/// Checks what holds for every result.
fn check(l: &[f64], models: usize) -> Stacking {
    let got = Stacking::new(l, models).unwrap();
    let rows = (l.len() / models) as f64;
    let sum: f64 = got.weights.iter().sum();
    assert!((sum - 1.0).abs() < 1e-12 && got.weights.iter().all(|&w| w >= 0.0));
    let score = log_score(l, &got.weights);
    assert!((got.log_score - score).abs() < 1e-12 * rows * (1.0 + score.abs()));
    // the conditions of optimality: no slope above 1, and a slope of 1 where there is weight
    let g = slopes(l, &got.weights);
    for (g, w) in g.iter().zip(&got.weights) {
        assert!(*g < 1.0 + 2e-10, "{g}");
        assert!((1.0 - g) * w < 2e-10, "{g} {w}");
    }
    let gap = gap(l, &got.weights);
    assert!((got.gap - gap).abs() < 1e-12 * rows, "{} {gap}", got.gap);
    assert!(got.steps < 60, "{}", got.steps);
    got
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn the_twin_is_not_better(
        (models, l) in (1usize..6, 1usize..30).prop_flat_map(|(models, rows)| {
            (Just(models), prop::collection::vec(-6.0f64..1.0, models * rows))
        })
    ) {
        let fast = check(&l, models);
        let slow = em(&l, models);
        let (score, left) = (log_score(&l, &slow), gap(&l, &slow).max(0.0));
        prop_assert!(fast.log_score >= score - 1e-8, "{} {score}", fast.log_score);
        // slow EM has a gap too
        prop_assert!(fast.log_score <= score + left + 1e-8, "{} {score} {left}", fast.log_score);
    }

    #[test]
    fn models_in_another_order_keep_their_weights(
        l in prop::collection::vec(-6.0f64..1.0, 4 * 25),
        order in Just([0usize, 1, 2, 3]).prop_shuffle(),
    ) {
        let turned: Vec<f64> = l
            .chunks_exact(4)
            .flat_map(|row| order.map(|k| row[k]))
            .collect();
        let (a, b) = (check(&l, 4), check(&turned, 4));
        for (at, k) in order.into_iter().enumerate() {
            prop_assert!((b.weights[at] - a.weights[k]).abs() < 1e-7);
        }
    }
}

/// Normal models `(m, s)` of 40 rows at `2 sin(i + 1)`, without the constant, as in
/// `docs/peers/loo.py`.
pub(super) fn normals(parameters: [(f64, f64); 3]) -> Vec<f64> {
    let of = |i: u8| {
        let y = 2.0 * (f64::from(i) + 1.0).sin();
        parameters.map(|(m, s)| -0.5 * ((y - m) / s).powi(2) - s.ln())
    };
    (0..40).flat_map(of).collect()
}

pub(super) const NEAR: [(f64, f64); 3] = [(0.0, 1.5), (0.3, 1.3), (-0.4, 1.8)];
const FAR: [(f64, f64); 3] = [(0.0, 1.0), (1.5, 0.7), (-1.0, 0.5)];

#[test]
fn arviz_agrees() {
    // `az.compare(method="stacking")`: SLSQP, to about 1e-6 in the mean. Then its `elpd_diff` and
    // `dse` (whose variance has the divisor n), of the second and third model against the first
    let known = [
        (
            FAR,
            [0.12282569636443873, 0.464430090112955, 0.4127442135226064],
            -30.027985235350428,
            [
                (108.49065021930892, 27.82273460328101),
                (190.08263775273429, 38.90769590884301),
            ],
        ),
        (
            NEAR,
            [
                0.7312253868989277,
                0.2687746131010722,
                2.2470331155487953e-16,
            ],
            -34.294752132033175,
            [
                (0.6867513237829299, 1.7051055184693191),
                (3.198382903846789, 1.2443854222343216),
            ],
        ),
    ];
    for (parameters, weights, score, differences) in known {
        let l = normals(parameters);
        let got = check(&l, 3);
        assert!(got.log_score >= score - 1e-10 && got.log_score < score + 1e-5);
        for (g, e) in got.weights.iter().zip(weights) {
            assert!((g - e).abs() < 2e-3, "{:?} {weights:?}", got.weights);
        }
        let model = |k: usize| -> Vec<f64> { l.iter().skip(k).step_by(3).copied().collect() };
        for (k, (difference, error)) in differences.into_iter().enumerate() {
            let got = elpd_difference(&model(0), &model(k + 1)).unwrap();
            assert!((got.difference - difference).abs() < 1e-9);
            assert!((got.std_error * (39.0f64 / 40.0).sqrt() - error).abs() < 1e-9);
        }
    }
}

#[test]
fn supports_that_do_not_meet_have_the_shares_of_their_rows() {
    // three rows of ten belong to the first model, at densities that no double holds; none belongs
    // to the last
    for off in [-50.0, -800.0, -1e5, -1e300] {
        let l: Vec<f64> = (0..10)
            .flat_map(|i| {
                let level = -1000.0 * f64::from(i);
                match i % 10 < 3 {
                    true => [level, level + off, level + 2.0 * off],
                    false => [level + off, level, level + 2.0 * off],
                }
            })
            .collect();
        let got = check(&l, 3);
        assert!((got.weights[0] - 0.3).abs() < 1e-9, "{:?}", got.weights);
        assert!((got.weights[1] - 0.7).abs() < 1e-9);
        assert_eq!(got.weights[2], 0.0);
        let expected = -45_000.0 + 3.0 * 0.3f64.ln() + 7.0 * 0.7f64.ln();
        assert!((got.log_score - expected).abs() < 1e-8);
    }
    let ends = [f64::MAX, f64::MIN, f64::MIN, f64::MAX];
    assert!((Stacking::new(&ends, 2).unwrap().weights[0] - 0.5).abs() < 1e-12);
}

#[test]
fn two_models_that_overlap_in_closed_form() {
    // n_1 rows with densities (1, 1/2), n_2 with (1/2, 1): n_1 / (1 + w) = n_2 / (2 - w)
    let of = |n_1: usize, n_2: usize| {
        let half = 0.5f64.ln();
        let mut l = [0.0, half].repeat(n_1);
        l.extend([half, 0.0].repeat(n_2));
        check(&l, 2).weights[0]
    };
    for (n_1, n_2) in [(3, 4), (1, 1), (10, 6)] {
        let expected = (2 * n_1 - n_2) as f64 / (n_1 + n_2) as f64;
        // slopes differ from 1 by 1e-10 over the smaller weight, which leaves a few 1e-9 of weight
        assert!((of(n_1, n_2) - expected).abs() < 1e-8, "{n_1} {n_2}");
    }
    // on the boundary the slope is 0 too: the score is flat, and 1e-10 nats are 1e-5 of weight
    assert!(of(1, 2) < 2e-5 && of(2, 1) > 1.0 - 2e-5);
    assert_eq!((of(1, 3), of(3, 1)), (0.0, 1.0));
}

#[test]
fn the_best_everywhere_has_all_the_weight() {
    let u = uniforms(120, 5);
    let l: Vec<f64> = u
        .chunks_exact(3)
        .flat_map(|r| [-r[0] - 0.1, 0.0, -30.0 * r[1] - 0.1])
        .map(|l| l + u[0])
        .collect();
    assert_eq!(check(&l, 3).weights, [0.0, 1.0, 0.0]);
    assert_eq!(check(&l, 1).weights, [1.0]);
    assert_eq!(check(&[-7.0, -5.0, -6.0], 3).weights, [0.0, 1.0, 0.0]);
    // a full step of the search is too long here, and is halved
    let ladder: Vec<f64> = (0..20).map(|k| -0.03 * f64::from(k)).collect();
    assert_eq!(check(&ladder, 20).weights[..2], [1.0, 0.0]);
}

#[test]
fn models_that_are_the_same_share_their_weight() {
    let u = uniforms(40, 8);
    let same: Vec<f64> = u.iter().flat_map(|u| [3.0 * u; 2]).collect();
    let got = check(&same, 2);
    assert!((got.weights[0] - 0.5).abs() < 1e-9);
    assert!((got.log_score - 3.0 * u.iter().sum::<f64>()).abs() < 1e-10);
    // one model twice, beside another: the two together have the weight of the one
    let pair: Vec<f64> = u.iter().flat_map(|u| [-u, -1.0 + u * u]).collect();
    let triple: Vec<f64> = pair
        .chunks_exact(2)
        .flat_map(|r| [r[0], r[1], r[0]])
        .collect();
    let (pair, triple) = (check(&pair, 2), check(&triple, 3));
    assert!(0.01 < pair.weights[0] && pair.weights[0] < 0.99);
    assert!((triple.weights[0] - 0.5 * pair.weights[0]).abs() < 1e-6);
    assert!((triple.weights[2] - triple.weights[0]).abs() < 1e-9);
    assert!((triple.log_score - pair.log_score).abs() < 1e-8);
}

#[test]
fn many_models_and_models_that_hardly_differ() {
    let u = uniforms(32 * 300, 6);
    for scale in [1e-9, 1e-4, 1.0, 30.0, 3000.0] {
        let l: Vec<f64> = u.iter().map(|u| -scale * u).collect();
        check(&l, 32);
    }
    // fewer rows than models
    let l: Vec<f64> = u[..32 * 5].iter().map(|u| -10.0 * u).collect();
    check(&l, 32);
}

#[test]
fn a_constant_in_a_row_moves_the_score_only() {
    let l = normals(FAR);
    let plain = check(&l, 3);
    let moved: Vec<f64> = l
        .chunks_exact(3)
        .enumerate()
        .flat_map(|(i, row)| row.iter().map(move |l| l - 100.0 * i as f64))
        .collect();
    let moved = check(&moved, 3);
    for (a, b) in plain.weights.iter().zip(&moved.weights) {
        assert!((a - b).abs() < 1e-9);
    }
    assert!((plain.log_score - moved.log_score - 100.0 * 780.0).abs() < 1e-8);
}

#[test]
fn what_cannot_be_stacked_is_refused() {
    let message = |l: &[f64], models| Stacking::new(l, models).unwrap_err().to_string();
    for (length, models) in [(0, 2), (4, 0), (5, 2)] {
        let error = message(&vec![0.0; length], models);
        assert!(
            error.starts_with("Stacking: expected log densities [rows, "),
            "{error}"
        );
    }
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let error = message(&[0.0, 0.0, 0.0, 0.0, 0.0, bad], 2);
        assert!(
            error.contains("row 2 by model 1: expected a finite number, got"),
            "{error}"
        );
    }
}
