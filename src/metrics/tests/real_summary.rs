use super::*;
use crate::metrics::rmse;
use crate::rng::{Phase, Streams};
use approx::assert_relative_eq;
use rand::RngExt;
use rand_distr::StandardNormal;

#[test]
fn a_true_model_has_its_own_noise_and_coverage() {
    let (n, std) = (10_000, 0.5);
    let mut rng = Streams::new(4).rng(Phase::USER, 0);
    let mut normal = || rng.sample::<f64, _>(StandardNormal);
    let means: Vec<f64> = (0..n).map(|_| normal()).collect();
    let y: Vec<f64> = means.iter().map(|m| m + std * normal()).collect();
    let m = RegressionMetrics::compute(&means, 1, std, &y).unwrap();
    assert_eq!(m.n, n);
    // standard errors: 0.003 for coverage (0.005 at a half), 0.0035 for rmse, 0.007 for nll; 5 sigma
    assert!((m.coverage_90 - 0.9).abs() < 0.015, "{m:?}");
    assert!((m.coverage_50 - 0.5).abs() < 0.025, "{m:?}");
    assert!((m.rmse - std).abs() < 0.018, "{m:?}");
    let entropy = 0.5 * (2.0 * std::f64::consts::PI * std::f64::consts::E).ln() + std.ln();
    assert!((m.nll - entropy).abs() < 0.035, "{m:?}");
    // the expected score of the true model is std / sqrt pi
    assert!((m.crps / (std / std::f64::consts::PI.sqrt()) - 1.0).abs() < 0.05);
    assert_relative_eq!(m.sharpness, std);
    // from the 5 % to the 95 % quantile; the expected score of the true interval at level 1 - a is
    // 2 std phi(z) / (a / 2)
    let z: f64 = 1.644_853_626_951_473;
    assert_relative_eq!(m.width_90, 2.0 * z * std, max_relative = 1e-9);
    let density = (-0.5 * z * z).exp() / (2.0 * std::f64::consts::PI).sqrt();
    assert_relative_eq!(
        m.interval_score_90,
        2.0 * std * density / 0.05,
        max_relative = 0.02
    );
    // 1.95 / sqrt n is exceeded once in a thousand
    assert!(m.pit_distance < 0.0195, "{m:?}");
    // the deviations are all equal: no order, so the mean absolute error
    let absolute: f64 = means.iter().zip(&y).map(|(m, y)| (m - y).abs()).sum();
    assert_relative_eq!(m.aurc, absolute / n as f64, max_relative = 1e-12);
}

#[test]
fn the_mean_of_samples_is_what_rmse_measures() {
    let m = RegressionMetrics::compute(&[0.0, 4.0], 2, 1.0, &[2.0]).unwrap();
    assert_eq!((m.rmse, m.coverage_90), (0.0, 1.0));
    assert!(RegressionMetrics::compute(&[0.0, 4.0], 1, 1.0, &[2.0]).is_err());
}

#[test]
fn predictions_are_scored_by_their_whole_deviations() {
    // noise 3 and component deviation 4 combine to 5; the targets are at the ends of its 90 %
    // interval
    let end = 5.0 * 1.644_853_626_951_473;
    let y = [end * 0.999, -end * 0.999, end * 1.001, 0.0];
    let mut p = RegressionPredictions {
        samples: 1,
        means: vec![0.0; 4],
        noise_std: 3.0,
        noise_stds: Vec::new(),
        component_stds: vec![4.0; 4],
    };
    let m = RegressionMetrics::of(&p, &y).unwrap();
    let whole = RegressionMetrics::compute(&p.means, 1, 5.0, &y).unwrap();
    assert_eq!((m.n, m.coverage_90), (4, 0.75));
    assert_relative_eq!(m.nll, whole.nll, max_relative = 1e-14);
    assert_relative_eq!(m.crps, whole.crps, max_relative = 1e-14);
    assert_eq!((m.rmse, m.sharpness), (whole.rmse, 5.0));
    p.component_stds.clear();
    let noise = RegressionMetrics::compute(&p.means, 1, 3.0, &y).unwrap();
    assert_eq!(RegressionMetrics::of(&p, &y).unwrap(), noise);
    p.component_stds = vec![4.0; 3];
    assert!(RegressionMetrics::of(&p, &y).is_err());
}

#[test]
fn rows_give_the_same_scores_in_parts_and_with_weights() {
    let means: Vec<f64> = (0..20).map(|i| (0.9 * f64::from(i)).sin()).collect();
    let stds: Vec<f64> = (0..20)
        .map(|i| 0.5 + 0.4 * (0.4 * f64::from(i)).cos())
        .collect();
    let y: Vec<f64> = (0..10).map(|i| (1.7 * f64::from(i)).cos()).collect();
    let of = |rows: std::ops::Range<usize>| {
        let both = 2 * rows.start..2 * rows.end;
        RealRows::of_mixtures(&means[both.clone()], 2, &stds[both], &y[rows]).unwrap()
    };
    let whole = of(0..10);
    let mut parts = of(0..3);
    parts.extend(of(3..10));
    assert_eq!(parts, whole);
    let scores = RegressionMetrics::of_rows(&whole).unwrap();
    let centres: Vec<f64> = means.chunks(2).map(|m| 0.5 * (m[0] + m[1])).collect();
    assert_relative_eq!(
        scores.rmse,
        rmse(&centres, &y, None).unwrap(),
        max_relative = 1e-14
    );
    // the linearised errors have the score as their mean, and the delta method's variance
    let mean = whole.linearised_rmse().iter().sum::<f64>() / 10.0;
    assert_relative_eq!(mean, scores.rmse, max_relative = 1e-14);
    // intervals from quantiles and transforms agree
    assert_eq!(scores.coverage_90, whole.coverage_at(0.9).unwrap());
    assert_relative_eq!(scores.aurc, whole.aurc());
    let halves: Vec<f64> = (0..10).map(|i| f64::from(u8::from(i < 5))).collect();
    let half = RegressionMetrics::of_rows(&whole.clone().weighted(&halves).unwrap()).unwrap();
    let alone = RegressionMetrics::of_rows(&of(0..5)).unwrap();
    for ((name, a, _), (_, b, _)) in half.named().into_iter().zip(alone.named()) {
        assert!((a - b).abs() < 1e-12, "{name}: {a}, {b}");
    }
    assert!(RegressionMetrics::of_rows(&RealRows::default()).is_err());
    assert!(whole.weighted(&halves[1..]).is_err());
}

#[test]
fn intervals_hold_their_scores() {
    let y: Vec<f64> = (0..80).map(|i| (1.3 * f64::from(i)).sin()).collect();
    let stds: Vec<f64> = (0..80).map(|i| 0.5 + 0.1 * f64::from(i % 7)).collect();
    let rows = RealRows::of_mixtures(&[0.0; 80], 1, &stds[..], &y).unwrap();
    let scores = RegressionMetrics::of_rows(&rows).unwrap();
    let intervals = RegressionMetrics::intervals(&rows, &Bootstrap::default()).unwrap();
    for ((name, value, kind), (same, interval)) in scores.named().into_iter().zip(intervals) {
        assert_eq!(name, same);
        let interval = interval.unwrap();
        let holds = interval.lower <= value && value <= interval.upper;
        assert!(
            holds || kind == IntervalKind::Basic && interval.upper < value,
            "{name}"
        );
        // the delta method's error of the root mean square
        if name == "rmse" {
            let losses = rows.linearised_rmse();
            let squares: f64 = losses.iter().map(|l| (l - value).powi(2)).sum();
            assert_relative_eq!(
                interval.error,
                (squares / 80.0 / 79.0).sqrt(),
                max_relative = 0.1
            );
        }
    }
}
