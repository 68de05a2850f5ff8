//! Against scikit-learn, netcal, relplot, properscoring and SciPy.
//!
//! `docs/peers/scores.py` made the numbers in `tests/data/scores.json`.

use serde_json::Value;

use super::super::*;
use approx::assert_relative_eq;

fn data() -> Value {
    serde_json::from_str(include_str!("../../../tests/data/scores.json")).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    let all = value.as_array().unwrap();
    all.iter().map(|v| v.as_f64().unwrap()).collect()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap()
}

fn labels(value: &Value) -> Vec<usize> {
    numbers(value).iter().map(|&l| l as usize).collect()
}

#[test]
fn scores_of_classes() {
    for name in ["two", "four"] {
        let case = &data()[name];
        let (probs, labels) = (numbers(&case["probabilities"]), labels(&case["labels"]));
        let (k, weights) = (number(&case["classes"]) as usize, numbers(&case["weights"]));
        let plain = ClassRows::new(&probs, k, &labels).unwrap();
        for (rows, expected) in [
            (plain, &case["plain"]),
            (plain.weighted(&weights).unwrap(), &case["weighted"]),
        ] {
            let scores = ClassificationMetrics::of(&rows).unwrap();
            for (score, value) in [
                ("accuracy", scores.accuracy),
                ("balanced_accuracy", scores.balanced_accuracy),
                ("nll", scores.nll),
                ("brier", scores.brier),
                ("roc_auc", scores.roc_auc.unwrap()),
            ] {
                assert_relative_eq!(value, number(&expected[score]), max_relative = 1e-12);
            }
        }
        let scores = ClassificationMetrics::of(&plain).unwrap();
        assert_relative_eq!(scores.ece, number(&case["ece"]), max_relative = 1e-12);
        assert_relative_eq!(scores.mce, number(&case["mce"]), max_relative = 1e-12);
        let class_wise = number(&case["ece_class_wise"]);
        assert_relative_eq!(scores.ece_class_wise, class_wise, max_relative = 1e-12);
        // relplot bisects the width ten times, to 1/1024
        assert_relative_eq!(scores.ece_smooth, number(&case["smooth"]), epsilon = 2e-3);
        let is_0: Vec<f64> = labels
            .iter()
            .map(|&l| f64::from(u8::from(l == 0)))
            .collect();
        let difference = PairedDifference::new(&plain.hits(), &is_0, None).unwrap();
        let error = number(&case["accuracy_difference"]);
        assert_relative_eq!(difference.error.unwrap(), error, max_relative = 1e-12);
    }
}

#[test]
fn curves_of_both_kinds_of_bins() {
    let case = &data()["binary"];
    let (p, labels) = (numbers(&case["p"]), labels(&case["y"]));
    let probs: Vec<f64> = p.iter().flat_map(|p| [1.0 - p, *p]).collect();
    let rows = ClassRows::new(&probs, 2, &labels).unwrap();
    assert_relative_eq!(rows.brier(), number(&case["brier"]), max_relative = 1e-12);
    for (binning, name) in [
        (Binning::EqualWidth(5), "uniform"),
        (Binning::EqualMass(5), "quantile"),
    ] {
        let bins = rows.class_reliability(1, binning).unwrap();
        let frequency = numbers(&case[name]["frequency"]);
        let confidence = numbers(&case[name]["confidence"]);
        assert_eq!(bins.len(), frequency.len());
        for (b, bin) in bins.iter().enumerate() {
            assert_relative_eq!(bin.accuracy, frequency[b], max_relative = 1e-12);
            assert_relative_eq!(bin.confidence, confidence[b], max_relative = 1e-12);
        }
    }
    let happened: Vec<f64> = labels.iter().map(|&l| l as f64).collect();
    let smooth = smooth_calibration_error(&p, &happened, None).unwrap();
    assert_relative_eq!(smooth, number(&case["smooth"]), epsilon = 2e-3);
}

#[test]
fn rows_from_elsewhere() {
    let case = &data()["ood"];
    let (inside, outside) = (numbers(&case["inside"]), numbers(&case["outside"]));
    let weights = numbers(&case["weights"]);
    for (weights, expected) in [(None, "plain"), (Some(&weights[..]), "weighted")] {
        let found = OutOfDistribution::new(&inside, &outside, weights).unwrap();
        let expected = &case[expected];
        assert_relative_eq!(
            found.auroc,
            number(&expected["auroc"]),
            max_relative = 1e-12
        );
        assert_relative_eq!(found.aupr, number(&expected["aupr"]), max_relative = 1e-12);
        assert_relative_eq!(
            found.fpr95,
            number(&expected["fpr95"]),
            max_relative = 1e-12
        );
    }
}

#[test]
fn scores_of_real_targets() {
    let case = &data()["reals"];
    let of = |name: &str| numbers(&case[name]);
    let (y, means, stds, samples) = (of("y"), of("means"), of("stds"), 3);
    let first = |v: &[f64]| v.iter().step_by(samples).copied().collect::<Vec<f64>>();
    let (mean, std) = (first(&means), first(&stds));
    for (found, expected, tolerance) in [
        (
            crps_of_mixtures(&mean, 1, &std[..], &y),
            "crps_normals",
            1e-12,
        ),
        (crps_of_draws(&means, samples, &y), "crps_draws", 1e-12),
        // properscoring integrates numerically, to 1e-6
        (
            crps_of_mixtures(&means, samples, &stds[..], &y),
            "crps_mixtures",
            3e-6,
        ),
        (
            log_losses_of_mixtures(&mean, 1, &std[..], &y),
            "nll_normals",
            1e-12,
        ),
    ] {
        for (found, expected) in found.unwrap().iter().zip(of(expected)) {
            assert_relative_eq!(*found, expected, epsilon = tolerance);
        }
    }
    let rows = RealRows::of_mixtures(&mean, 1, &std[..], &y).unwrap();
    let scores = RegressionMetrics::of_rows(&rows).unwrap();
    assert_relative_eq!(scores.rmse, number(&case["rmse"]), max_relative = 1e-12);
    let distance = number(&case["pit_distance"]);
    assert_relative_eq!(scores.pit_distance, distance, max_relative = 1e-12);
    let scores = interval_scores(&of("lower"), &of("upper"), 0.8, &y).unwrap();
    let mean = weighted_mean(&scores, None).unwrap();
    assert_relative_eq!(
        mean,
        number(&case["interval_score_80"]),
        max_relative = 1e-12
    );
}

#[test]
fn intervals_and_paired_differences() {
    let case = &data()["bootstrap"];
    let (x, other) = (numbers(&case["x"]), numbers(&case["other"]));
    let bootstrap = Bootstrap {
        replicates: 20_000,
        ..Bootstrap::default()
    };
    let mean = |w: &[f64]| weighted_mean(&x, Some(w)).unwrap_or(f64::NAN);
    let found = bootstrap.interval(x.len(), IntervalKind::BiasCorrected, mean);
    let found = found.unwrap().unwrap();
    // an end from 20,000 replicates has a standard deviation of about 2 % of the standard error;
    // the bias correction doubles it
    let (error, slack) = (number(&case["error"]), 0.15 * number(&case["error"]));
    assert_relative_eq!(found.error, error, max_relative = 0.03);
    assert_relative_eq!(found.lower, number(&case["lower"]), epsilon = slack);
    assert_relative_eq!(found.upper, number(&case["upper"]), epsilon = slack);
    // it is skewed: the upper end is farther away
    assert!(found.upper - mean(&[1.0; 40]) > 1.15 * (mean(&[1.0; 40]) - found.lower));
    let found = PairedDifference::new(&other, &x, None).unwrap();
    assert_relative_eq!(
        found.mean,
        number(&case["difference"]),
        max_relative = 1e-12
    );
    let error = number(&case["difference_error"]);
    assert_relative_eq!(found.error.unwrap(), error, max_relative = 1e-12);
}
