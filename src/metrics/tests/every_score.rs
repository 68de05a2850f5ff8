//! Properties of all scores at once, so that no new score can be without them.

use proptest::prelude::*;

use super::super::*;
use super::{cases, reordered, repeated, tied_cases};
use crate::predict::GaussianMixture;

/// Scores of classes, `n` left out.
fn of_classes(probs: &[f64], k: usize, labels: &[usize], w: Option<&[f64]>) -> Vec<(String, f64)> {
    let rows = ClassRows::new(probs, k, labels).unwrap();
    let rows = w.map_or(Ok(rows), |w| rows.weighted(w)).unwrap();
    let parts = rows.brier_parts(4).unwrap();
    let mut all = named(ClassificationMetrics::of(&rows).unwrap().named());
    all.push(("within_bins".into(), parts.within_bins));
    all
}

fn named(scores: Vec<(&'static str, f64, IntervalKind)>) -> Vec<(String, f64)> {
    scores.into_iter().map(|s| (s.0.to_string(), s.1)).collect()
}

/// Two components a row.
type Real = (Vec<f64>, Vec<f64>, Vec<f64>);

fn of_reals((means, stds, y): &Real, w: Option<&[f64]>) -> Vec<(String, f64)> {
    let rows = RealRows::of_mixtures(means, 2, &stds[..], y).unwrap();
    let rows = w.map_or(Ok(rows.clone()), |w| rows.weighted(w)).unwrap();
    let mut all = named(RegressionMetrics::of_rows(&rows).unwrap().named());
    let histogram = rows.pit_histogram(3).unwrap();
    all.extend(histogram.into_iter().map(|h| ("histogram".to_string(), h)));
    all
}

fn of_ood(inside: &[f64], outside: &[f64], w: Option<&[f64]>) -> Vec<(String, f64)> {
    let s = OutOfDistribution::new(inside, outside, w).unwrap();
    let names = ["auroc", "aupr", "fpr95"].map(String::from);
    names.into_iter().zip([s.auroc, s.aupr, s.fpr95]).collect()
}

fn reals() -> impl Strategy<Value = Real> {
    // few different numbers: ties among standard deviations and errors
    let row = (
        prop::collection::vec((-2i32..3).prop_map(f64::from), 2),
        prop::collection::vec((1u32..3).prop_map(f64::from), 2),
        (-3i32..4).prop_map(f64::from),
    );
    prop::collection::vec(row, 1..15).prop_map(|rows| {
        (
            rows.iter().flat_map(|r| r.0.clone()).collect(),
            rows.iter().flat_map(|r| r.1.clone()).collect(),
            rows.iter().map(|r| r.2).collect(),
        )
    })
}

/// The same scores, up to rounding.
fn same(a: &[(String, f64)], b: &[(String, f64)], tolerance: f64) -> Result<(), TestCaseError> {
    prop_assert_eq!(a.len(), b.len());
    for ((name, a), (_, b)) in a.iter().zip(b) {
        // the smooth error is known to 1e-6 of itself
        let tolerance = if name == "ece_smooth" {
            2e-6
        } else {
            tolerance
        };
        let close = (a - b).abs() <= tolerance * (1.0 + a.abs());
        prop_assert!(close || a.is_nan() && b.is_nan(), "{name}: {a} and {b}");
    }
    Ok(())
}

fn counts(n: usize) -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(0usize..4, n).prop_map(|mut counts| {
        counts[0] += 1;
        counts
    })
}

fn with_counts<T: std::fmt::Debug + Clone>(
    rows: impl Strategy<Value = T>,
    len: impl Fn(&T) -> usize,
) -> impl Strategy<Value = (T, Vec<usize>)> {
    rows.prop_flat_map(move |rows| (Just(rows.clone()), counts(len(&rows))))
}

proptest! {
    /// The definition of weights. The bootstrap depends on it.
    #[test]
    fn a_row_of_weight_2_counts_like_two_rows(
        ((probs, labels), count) in with_counts(tied_cases(3), |r| r.1.len()),
        (real, real_count) in with_counts(reals(), |r| r.2.len()),
    ) {
        let floats = |c: &[usize]| c.iter().map(|&c| 0.7 * c as f64).collect::<Vec<f64>>();
        let whole = of_classes(&repeated(&probs, 3, &count), 3, &repeated(&labels, 1, &count), None);
        same(&of_classes(&probs, 3, &labels, Some(&floats(&count))), &whole, 1e-12)?;
        let repeat = |v: &[f64], width| repeated(v, width, &real_count);
        let whole = (repeat(&real.0, 2), repeat(&real.1, 2), repeat(&real.2, 1));
        same(&of_reals(&real, Some(&floats(&real_count))), &of_reals(&whole, None), 1e-12)?;
        // the losses of real targets as an uncertainty of two kinds of rows
        let split = real.2.len().div_ceil(2);
        let (inside, outside) = real.2.split_at(split);
        if real_count[split..].iter().sum::<usize>() > 0 {
            let whole = of_ood(
                &repeated(inside, 1, &real_count[..split]),
                &repeated(outside, 1, &real_count[split..]),
                None,
            );
            same(&of_ood(inside, outside, Some(&floats(&real_count))), &whole, 1e-12)?;
        }
    }

    #[test]
    fn scores_do_not_depend_on_the_order_of_rows(
        (probs, labels) in tied_cases(3),
        (fine, fine_labels) in cases(2),
        real in reals(),
        shift in 0usize..40,
    ) {
        let order = |n: usize| (0..n).rev().map(|i| (i + shift) % n).collect::<Vec<usize>>();
        for (k, probs, labels) in [(3, &probs, &labels), (2, &fine, &fine_labels)] {
            let order = order(labels.len());
            let turned = (reordered(probs, k, &order), reordered(labels, 1, &order));
            let plain = of_classes(probs, k, labels, None);
            same(&plain, &of_classes(&turned.0, k, &turned.1, None), 1e-12)?;
        }
        let order = order(real.2.len());
        let turned = (
            reordered(&real.0, 2, &order),
            reordered(&real.1, 2, &order),
            reordered(&real.2, 1, &order),
        );
        same(&of_reals(&real, None), &of_reals(&turned, None), 1e-12)?;
    }

    #[test]
    fn scores_stay_in_their_ranges((probs, labels) in tied_cases(3), real in reals()) {
        for (name, value) in of_classes(&probs, 3, &labels, None) {
            let upper = match name.as_str() {
                "nll" => 709.0,
                "brier" | "brier_reliability" | "brier_uncertainty" | "brier_resolution" | "within_bins" => 2.0,
                _ => 1.0,
            };
            let lower = if name == "within_bins" { -2.0 } else { 0.0 };
            let inside = (lower - 1e-12..=upper + 1e-12).contains(&value);
            prop_assert!(inside || name == "roc_auc" && value.is_nan(), "{name} {value}");
        }
        for (name, value) in of_reals(&real, None) {
            let upper = match name.as_str() {
                "coverage_90" | "coverage_50" | "pit_distance" | "histogram" => 1.0,
                _ => f64::MAX,
            };
            let lower = if name == "nll" { f64::MIN } else { 0.0 };
            prop_assert!((lower..=upper + 1e-12).contains(&value), "{name} {value}");
        }
    }

    /// Targets in other units: scores in the targets' units scale along, the others stay.
    #[test]
    fn scores_scale_with_the_units_of_the_target(
        (means, stds, y) in reals(), scale in 0.1f64..10.0, shift in -5.0f64..5.0
    ) {
        let moved = |v: &[f64]| v.iter().map(|x| scale * x + shift).collect::<Vec<f64>>();
        let wider = stds.iter().map(|s| scale * s).collect();
        let before = of_reals(&(means.clone(), stds, y.clone()), None);
        let after = of_reals(&(moved(&means), wider, moved(&y)), None);
        for ((name, a), (_, b)) in before.iter().zip(&after) {
            // rounding tells rows apart that were tied before
            if name == "aurc" {
                continue;
            }
            let expected = match name.as_str() {
                "nll" => a + scale.ln(),
                "rmse" | "crps" | "width_90" | "interval_score_90" | "sharpness" => a * scale,
                _ => *a,
            };
            // a target on the edge of an interval may round across it
            let edge = ["coverage_50", "coverage_90", "histogram"].contains(&name.as_str());
            let slack = if edge { 1.0 } else { 1e-8 };
            prop_assert!((b - expected).abs() <= slack * (1.0 + expected.abs()), "{name}: {b}, {expected}");
        }
    }
}

#[test]
fn the_best_and_the_worst_predictors_have_the_best_and_the_worst_scores() {
    let labels = [0, 1, 2, 0];
    let sure = |shift: usize| -> Vec<f64> {
        let entry = |i: usize| f64::from(u8::from(i % 3 == (labels[i / 3] + shift) % 3));
        (0..12).map(entry).collect()
    };
    let score = |probs: &[f64]| ClassificationMetrics::compute(probs, 3, &labels).unwrap();
    let best = score(&sure(0));
    assert_eq!(
        [best.nll, best.brier, best.ece, best.mce, best.aurc],
        [0.0; 5]
    );
    assert_eq!(
        [best.ece_smooth, best.ece_class_wise, best.brier_reliability],
        [0.0; 3]
    );
    assert_eq!([best.accuracy, best.balanced_accuracy], [1.0; 2]);
    assert_eq!(best.roc_auc, Some(1.0));
    // telling all rows apart gains all there is to gain
    assert!((best.brier_resolution - best.brier_uncertainty).abs() < 1e-15);
    let worst = score(&sure(1));
    assert_eq!(
        [worst.brier, worst.ece, worst.mce, worst.aurc],
        [2.0, 1.0, 1.0, 1.0]
    );
    assert_eq!([worst.overconfidence, worst.underconfidence], [1.0, 0.0]);
    assert!((worst.ece_smooth - 1.0).abs() < 2e-6);
    assert_eq!([worst.accuracy, worst.balanced_accuracy], [0.0; 2]);
    assert!(worst.nll > 700.0 && worst.nll.is_finite());
    assert!(worst.roc_auc < Some(0.5));
}

#[test]
fn one_row_is_enough_and_undefined_scores_say_so() {
    let m = ClassificationMetrics::compute(&[0.3, 0.7], 2, &[1]).unwrap();
    assert_eq!(
        (m.n, m.accuracy, m.balanced_accuracy, m.roc_auc),
        (1, 1.0, 1.0, None)
    );
    assert!((m.ece - 0.3).abs() < 1e-15 && (m.underconfidence - 0.3).abs() < 1e-15);
    assert_eq!(
        (m.aurc, m.brier_resolution, m.brier_uncertainty),
        (0.0, 0.0, 0.0)
    );
    let m = RegressionMetrics::compute(&[1.0], 1, 2.0, &[1.0]).unwrap();
    assert_eq!(
        (m.n, m.rmse, m.coverage_90, m.coverage_50, m.aurc),
        (1, 0.0, 1.0, 1.0, 0.0)
    );
    assert_eq!((m.pit_distance, m.sharpness), (0.5, 2.0));
    let one = GaussianMixture::new(&[1.0], 2.0).unwrap();
    assert!((m.crps - one.crps(1.0)).abs() < 1e-15);
}
