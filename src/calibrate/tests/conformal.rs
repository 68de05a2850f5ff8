//! Conformal thresholds, sets and intervals.

use proptest::prelude::*;

use super::super::conformal::cross::{FoldScore, cv_plus_interval, cv_plus_set};
use super::super::conformal::*;
use super::{overstated, uniforms};

/// `ceil((n + 1) level)` by whole numbers: the level in percent.
fn rank_by_hand(n: usize, percent: usize) -> Option<usize> {
    let rank = ((n + 1) * percent).div_ceil(100);
    (rank <= n).then_some(rank)
}

#[test]
fn ranks_against_whole_numbers() {
    for n in 0..400 {
        for percent in 1..100 {
            let level = percent as f64 / 100.0;
            assert_eq!(rank_of(n, level), rank_by_hand(n, percent), "{n} {level}");
        }
    }
    // at 95 % the 19th row is the first that is enough
    let at = |n| rank_of(n, 0.95);
    assert_eq!([at(18), at(19), at(20)], [None, Some(19), Some(20)]);
}

#[test]
fn thresholds_with_ties_and_few_rows() {
    let scores: Vec<f64> = (1..=20).map(f64::from).collect();
    assert_eq!(threshold(&scores[..18], 0.95).unwrap(), None);
    assert_eq!(threshold(&scores[..19], 0.95).unwrap(), Some(19.0));
    assert_eq!(threshold(&scores, 0.95).unwrap(), Some(20.0));
    // all equal: every row of that score is inside
    assert_eq!(threshold(&[0.5; 19], 0.95).unwrap(), Some(0.5));
    assert_eq!(threshold(&[2.0, 1.0, 1.0, 1.0], 0.6).unwrap(), Some(1.0));
    assert_eq!(threshold(&[f64::INFINITY; 19], 0.95).unwrap(), None);
    assert_eq!(threshold(&[], 0.5).unwrap(), None);
    assert!(threshold(&[f64::NAN], 0.5).is_err());
    for level in [0.0, 1.0, f64::NAN, -1.0] {
        assert!(threshold(&[1.0], level).is_err());
    }
    let by_class = thresholds_by_class(&[1.0, 5.0, 2.0], &[0, 1, 0], None, 3, 0.6).unwrap();
    assert_eq!(by_class, [Some(2.0), None, None]);
    assert!(thresholds_by_class(&[1.0], &[3], None, 3, 0.6).is_err());
}

#[test]
fn sets_by_hand() {
    let p = [0.2, 0.5, 0.3];
    // class 1, then 2, then 0
    let close = |a: Vec<f64>, b: [f64; 3]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-15);
    assert!(close(set_scores(SetScore::Aps, &p, 0.5), [0.9, 0.25, 0.65]));
    let raps = SetScore::Raps {
        lambda: 0.1,
        k_reg: 1,
    };
    assert!(close(set_scores(raps, &p, 0.0), [1.0, 0.0, 0.6]));
    let set = |q| prediction_set(SetScore::Aps, &[q], &p, 0.5);
    assert_eq!(set(Some(0.7)), [false, true, true]);
    assert_eq!(set(Some(0.1)), [false; 3], "a set may be empty");
    assert_eq!(set(None), [true; 3]);
    let own = [None, Some(0.2), Some(0.65)];
    let of_class = prediction_set(SetScore::Aps, &own, &p, 0.5);
    assert_eq!(of_class[..2], [true, false]);
    // equal probabilities: in the order of the classes, for thresholds and for sets alike
    let even = set_scores(SetScore::Aps, &[0.5, 0.5], 0.5);
    assert_eq!(even, [0.25, 0.75]);
}

#[test]
fn intervals_by_hand() {
    let row = Ends {
        mean: 1.0,
        std: 2.0,
        quantiles: [-1.0, 2.0],
    };
    for (kind, score, ends) in [
        (Interval::Absolute, 3.0, [-2.0, 4.0]),
        (Interval::Normalised, 1.5, [-2.0, 4.0]),
        (Interval::Cqr, 2.0, [-3.0, 4.0]),
    ] {
        assert_eq!(interval_score(kind, &row, 4.0), score);
        assert_eq!(interval(kind, &row, Some(score)), ends);
        assert_eq!(
            interval(kind, &row, None),
            [f64::NEG_INFINITY, f64::INFINITY]
        );
    }
    // deep inside: the score is negative, and intervals shrink, at most to a point
    assert_eq!(interval_score(Interval::Cqr, &row, 0.0), -1.0);
    assert_eq!(interval(Interval::Cqr, &row, Some(-1.0)), [0.0, 1.0]);
    assert_eq!(interval(Interval::Cqr, &row, Some(-2.0)), [0.5, 0.5]);
}

#[test]
fn a_row_has_its_number_wherever_it_stands() {
    let u = uniform_of(&[1.0, 0.0, -3.5], 4);
    assert_eq!(u, uniform_of(&[1.0, -0.0, -3.5], 4));
    assert_ne!(u, uniform_of(&[1.0, 0.0, -3.5], 5));
    assert_ne!(u, uniform_of(&[0.0, 1.0, -3.5], 4));
    let all: Vec<f64> = (0..10_000)
        .map(|i| uniform_of(&[f64::from(i)], 0))
        .collect();
    let mean = all.iter().sum::<f64>() / 10_000.0;
    // a uniform variable has the standard deviation 0.289
    assert!((mean - 0.5).abs() < 5.0 * 0.289 / 100.0, "{mean}");
    let mut cells = [0.0; 10];
    all.iter().for_each(|u| cells[(10.0 * u) as usize] += 1.0);
    let chi_square: f64 = cells
        .iter()
        .map(|c: &f64| (c - 1_000.0).powi(2) / 1_000.0)
        .sum();
    assert!(
        chi_square < 33.7,
        "9 degrees of freedom at 1e-4: {chi_square}"
    );
}

/// The definition once more, without sorting: a class is in unless too many rows are more typical.
#[test]
fn cv_plus_by_brute_force() {
    let (n, folds) = (23, 4);
    let scores: Vec<FoldScore> = uniforms(n, 3)
        .into_iter()
        .enumerate()
        .map(|(i, score)| FoldScore {
            fold: i % folds,
            score,
        })
        .collect();
    let of_row: Vec<Ends> = uniforms(folds, 4)
        .into_iter()
        .map(|mean| Ends {
            mean,
            std: 0.5 + mean,
            quantiles: [mean - 0.1, mean + 0.2],
        })
        .collect();
    for percent in [5, 50, 80, 95, 97] {
        let level = percent as f64 / 100.0;
        for kind in [Interval::Absolute, Interval::Normalised, Interval::Cqr] {
            let [low, high] = cv_plus_interval(kind, &of_row, &scores, level).unwrap();
            for y in uniforms(200, 5).iter().map(|u| 6.0 * u - 2.5) {
                // rows whose score is below that of y on the same side
                let of = |s: &FoldScore| (of_row[s.fold], s.score);
                let above = |s: &FoldScore| match (kind, of(s)) {
                    (Interval::Absolute, (r, q)) => y > r.mean + q,
                    (Interval::Normalised, (r, q)) => y > r.mean + q * r.std,
                    (Interval::Cqr, (r, q)) => y > r.quantiles[1] + q,
                };
                let below = |s: &FoldScore| match (kind, of(s)) {
                    (Interval::Absolute, (r, q)) => y < r.mean - q,
                    (Interval::Normalised, (r, q)) => y < r.mean - q * r.std,
                    (Interval::Cqr, (r, q)) => y < r.quantiles[0] - q,
                };
                let rank = ((n + 1) * percent).div_ceil(100);
                let too_high = scores.iter().filter(|s| above(s)).count() >= rank;
                let too_low = scores.iter().filter(|s| below(s)).count() >= rank;
                assert_eq!(y > high, too_high, "{kind:?} {level} {y}");
                assert_eq!(y < low, too_low, "{kind:?} {level} {y}");
            }
        }
        let of_classes = uniforms(folds * 3, 6);
        let set = cv_plus_set(&of_classes, 3, &scores, level).unwrap();
        for (k, inside) in set.iter().enumerate() {
            let smaller = scores
                .iter()
                .filter(|s| s.score < of_classes[s.fold * 3 + k]);
            assert_eq!(
                *inside,
                100 * smaller.count() < percent * (n + 1),
                "{level} {k}"
            );
        }
    }
    assert_eq!(
        cv_plus_interval(Interval::Absolute, &of_row, &scores, 0.97).unwrap(),
        [f64::NEG_INFINITY, f64::INFINITY]
    );
    assert!(cv_plus_interval(Interval::Absolute, &of_row[..2], &scores, 0.5).is_err());
    assert!(cv_plus_set(&[0.5], 3, &scores, 0.5).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// Regions grow with the level, scores do not depend on the order of rows, and the classes that
    /// are in are those of the smallest scores.
    #[test]
    fn regions_are_nested(
        seed in 0u64..1000, n in 1usize..60, k in 2usize..6, (a, b) in (0.01f64..0.99, 0.01f64..0.99)
    ) {
        let (low, high) = (a.min(b), a.max(b));
        let (p, labels) = overstated(n + 5, k, seed, 2.0);
        let u = uniforms(n + 5, seed + 2);
        for kind in [SetScore::Aps, SetScore::RAPS] {
            let row = |i: usize| &p[i * k..(i + 1) * k];
            let scores: Vec<f64> = (0..n).map(|i| set_score(kind, row(i), labels[i], u[i])).collect();
            let mut backwards = scores.clone();
            backwards.reverse();
            let [q_low, q_high] = [low, high].map(|level| threshold(&scores, level).unwrap());
            prop_assert_eq!(q_low, threshold(&backwards, low).unwrap());
            prop_assert!(scores.iter().all(|s| *s >= 0.0 && *s <= 1.0 + 0.1 * k as f64));
            for (i, &u) in u.iter().enumerate().skip(n) {
                let narrow = prediction_set(kind, &[q_low], row(i), u);
                let wide = prediction_set(kind, &[q_high], row(i), u);
                for c in 0..k {
                    prop_assert!(!narrow[c] || wide[c]);
                    for d in 0..k {
                        prop_assert!(!narrow[c] || narrow[d] || row(i)[d] <= row(i)[c]);
                    }
                }
            }
        }
        let ends = Ends { mean: p[0], std: 0.1 + p[1], quantiles: [p[0] - p[1], p[0] + 0.3] };
        for kind in [Interval::Absolute, Interval::Normalised, Interval::Cqr] {
            let scores: Vec<f64> = u.iter().map(|y| interval_score(kind, &ends, 3.0 * y - 1.0)).collect();
            let [narrow, wide] = [low, high]
                .map(|level| interval(kind, &ends, threshold(&scores, level).unwrap()));
            prop_assert!(wide[0] <= narrow[0] && narrow[0] <= narrow[1] && narrow[1] <= wide[1]);
            // a target is inside exactly if its score is at most the threshold
            let q = threshold(&scores, low).unwrap();
            let [from, to] = narrow;
            for y in u.iter().map(|y| 3.0 * y - 1.0) {
                let inside = q.is_none_or(|q| interval_score(kind, &ends, y) <= q);
                let near = (y - from).abs().min((y - to).abs()) < 1e-9;
                prop_assert!(near || inside == (from <= y && y <= to), "{kind:?} {y}");
            }
        }
    }
}
