use super::*;
use approx::assert_relative_eq;

#[test]
fn fields_hold_their_own_scores() {
    let probs = [0.9, 0.1, 0.1, 0.9, 0.6, 0.4];
    let labels = [0, 0, 1];
    let m = ClassificationMetrics::compute(&probs, 2, &labels).unwrap();
    assert_eq!((m.n, m.bins), (3, 10));
    assert_relative_eq!(m.accuracy, 1.0 / 3.0);
    assert_relative_eq!(m.nll, -(0.9f64 * 0.1 * 0.4).ln() / 3.0);
    assert_relative_eq!(m.ece, 1.4 / 3.0, epsilon = 1e-15);
    assert_relative_eq!(m.mce, 0.6, epsilon = 1e-15);
    assert_relative_eq!(m.brier, (0.02 + 1.62 + 0.72) / 3.0, epsilon = 1e-15);
    assert!(ClassificationMetrics::compute(&probs, 2, &[0]).is_err());
    // each is what the rows say by themselves, under weights too
    let weights = [0.5, 2.0, 1.0];
    let rows = ClassRows::new(&probs, 2, &labels)
        .unwrap()
        .weighted(&weights)
        .unwrap();
    let m = ClassificationMetrics::of(&rows).unwrap();
    let parts = rows.brier_parts(10).unwrap();
    let expected = [
        ("nll", rows.nll()),
        ("accuracy", rows.accuracy()),
        ("brier", rows.brier()),
        ("balanced_accuracy", rows.balanced_accuracy()),
        ("roc_auc", rows.roc_auc().unwrap()),
        ("aurc", rows.aurc()),
        ("ece_smooth", rows.smooth_ece()),
        ("brier_reliability", parts.reliability),
        ("brier_resolution", parts.resolution),
        ("brier_uncertainty", parts.uncertainty),
    ];
    for (name, value) in expected {
        let found = m.named().into_iter().find(|s| s.0 == name).unwrap().1;
        assert_relative_eq!(found, value, epsilon = 1e-15);
    }
}

#[test]
fn intervals_hold_their_scores_and_follow_the_weights() {
    // 60 rows of two classes, right in about 4 of 5
    let n = 60;
    let mut probs = Vec::new();
    let mut labels = Vec::new();
    for i in 0..n {
        let p = 0.5 + 0.4 * (0.7 * i as f64).sin().abs();
        // class 0 and class 1 in turn are the more probable one
        let top = i % 2;
        probs.extend(if top == 0 { [p, 1.0 - p] } else { [1.0 - p, p] });
        labels.push(if i % 5 == 0 { 1 - top } else { top });
    }
    let rows = ClassRows::new(&probs, 2, &labels).unwrap();
    let scores = ClassificationMetrics::of(&rows).unwrap();
    let intervals = ClassificationMetrics::intervals(&rows, &Bootstrap::default()).unwrap();
    for ((name, value, kind), (same, interval)) in scores.named().into_iter().zip(&intervals) {
        assert_eq!(name, *same);
        // the one that would take a second for each of a thousand bootstraps
        assert_eq!(interval.is_none(), name == "ece_smooth", "{name}");
        let Some(interval) = interval else { continue };
        assert!(
            interval.lower <= interval.upper && interval.error > 0.0,
            "{name}"
        );
        // a basic interval may lie below its score, where that is mostly due to chance
        let holds = interval.lower <= value && value <= interval.upper;
        assert!(
            holds || kind == IntervalKind::Basic && interval.upper < value,
            "{name}"
        );
    }
    let accuracy = intervals
        .iter()
        .find(|i| i.0 == "accuracy")
        .unwrap()
        .1
        .unwrap();
    // the binomial error
    assert_relative_eq!(
        accuracy.error,
        (0.8f64 * 0.2 / 60.0).sqrt(),
        max_relative = 0.12
    );
    // rows without weight do not take part
    let weights: Vec<f64> = (0..n).map(|i| f64::from(u8::from(i < 15))).collect();
    let fewer = rows.weighted(&weights).unwrap();
    let fewer = ClassificationMetrics::intervals(&fewer, &Bootstrap::default()).unwrap();
    let wider = fewer.iter().find(|i| i.0 == "accuracy").unwrap().1.unwrap();
    assert!(wider.error > 1.5 * accuracy.error);
}
