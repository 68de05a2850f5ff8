use super::super::tests::cases;
use super::*;
use approx::assert_relative_eq;
use proptest::prelude::*;

const PROBS: [f64; 6] = [0.7, 0.2, 0.1, 0.3, 0.3, 0.4];

fn rows<'a>(probs: &'a [f64], k: usize, labels: &'a [usize]) -> ClassRows<'a> {
    ClassRows::new(probs, k, labels).unwrap()
}

#[test]
fn scores_by_hand() {
    let scores = rows(&PROBS, 3, &[0, 1]);
    assert_eq!((scores.len(), scores.classes()), (2, 3));
    assert_eq!(scores.accuracy(), 0.5);
    assert_relative_eq!(scores.nll(), -(0.7f64.ln() + 0.3f64.ln()) / 2.0);
    // (0.09 + 0.04 + 0.01 + 0.09 + 0.49 + 0.16) / 2
    assert_relative_eq!(scores.brier(), 0.44, epsilon = 1e-15);
    // row by row, and with the second row three times
    assert_eq!(
        (scores.hits(), scores.confidences()),
        (vec![1.0, 0.0], vec![0.7, 0.4])
    );
    assert_relative_eq!(scores.brier_losses()[1], 0.74, epsilon = 1e-15);
    assert_eq!(scores.log_losses()[0], -0.7f64.ln());
    let weighted = scores.weighted(&[1.0, 3.0]).unwrap();
    assert_eq!(weighted.accuracy(), 0.25);
    assert_relative_eq!(weighted.nll(), -(0.7f64.ln() + 3.0 * 0.3f64.ln()) / 4.0);
}

#[test]
fn balanced_accuracy_counts_classes_alike_and_leaves_out_those_without_rows() {
    // class 0: 3 of 4 right; class 1: none of 1; class 2 has no rows
    let probs = [
        0.8, 0.1, 0.1, 0.8, 0.1, 0.1, 0.8, 0.1, 0.1, 0.1, 0.8, 0.1, 0.8, 0.1, 0.1,
    ];
    let scores = rows(&probs, 3, &[0, 0, 0, 0, 1]);
    assert_relative_eq!(scores.accuracy(), 0.6);
    assert_relative_eq!(scores.balanced_accuracy(), 0.375);
    // a class whose rows have no weight is absent too
    let w = [1.0, 1.0, 1.0, 1.0, 0.0];
    assert_relative_eq!(scores.weighted(&w).unwrap().balanced_accuracy(), 0.75);
}

#[test]
fn the_area_of_several_classes_is_that_of_one_against_the_rest() {
    // class 0: its rows have 0.7 and 0.3, the other row 0.3: pairs won 1 and 1/2
    // class 1: its row has 0.3, the others 0.2 and 0.5: 1 of 2; class 2 has no rows
    let probs = [0.7, 0.2, 0.1, 0.3, 0.5, 0.2, 0.3, 0.3, 0.4];
    assert_relative_eq!(
        rows(&probs, 3, &[0, 0, 1]).roc_auc().unwrap(),
        (0.75 + 0.5) / 2.0
    );
    assert_eq!(rows(&probs, 3, &[1, 1, 1]).roc_auc(), None);
    // two classes: that of class 1, which is that of class 0 too
    let two = [0.8, 0.2, 0.4, 0.6, 0.6, 0.4];
    assert_eq!(rows(&two, 2, &[0, 1, 0]).roc_auc(), Some(1.0));
    let turned: Vec<f64> = two.chunks(2).flat_map(|p| [p[1], p[0]]).collect();
    assert_eq!(rows(&turned, 2, &[1, 0, 1]).roc_auc(), Some(1.0));
}

#[test]
fn ties_go_to_the_lowest_class() {
    let probs = [0.4, 0.2, 0.4];
    assert_eq!(rows(&probs, 3, &[0]).accuracy(), 1.0);
    assert_eq!(rows(&probs, 3, &[2]).accuracy(), 0.0);
}

#[test]
fn extremes_are_finite() {
    let probs = [1.0, 0.0];
    // printed without a sign
    assert_eq!(rows(&probs, 2, &[0]).nll().to_string(), "0");
    assert_relative_eq!(rows(&probs, 2, &[1]).nll(), -f64::MIN_POSITIVE.ln());
    assert_eq!(rows(&probs, 2, &[0]).brier(), 0.0);
    assert_eq!(rows(&probs, 2, &[1]).brier(), 2.0);
}

#[test]
fn what_does_not_fit_is_refused() {
    let refused = |probs: &[f64], k, labels: &[usize]| ClassRows::new(probs, k, labels).is_err();
    assert!(refused(&[], 3, &[]), "no rows");
    assert!(refused(&[1.0], 1, &[0]), "one class");
    assert!(refused(&PROBS, 0, &[0]) && refused(&PROBS, 3, &[0]) && refused(&PROBS, 2, &[0, 1]));
    assert!(refused(&PROBS, 3, &[0, 3]), "label");
    assert!(refused(&[f64::NAN, 1.0], 2, &[0]));
    assert!(refused(&[1.5, -0.5], 2, &[0]), "negative");
    assert!(refused(&[2.0, 3.0], 2, &[0]), "logits");
    assert!(!refused(&[0.499_97, 0.5], 2, &[0]), "rounded");
    let fine = rows(&PROBS, 3, &[0, 1]);
    assert!(fine.weighted(&[1.0]).is_err() && fine.weighted(&[0.0, 0.0]).is_err());
    assert!(fine.reliability(Binning::EqualMass(0)).is_err());
    assert!(fine.class_reliability(3, Binning::EqualWidth(4)).is_err());
    assert!(fine.brier_parts(0).is_err());
}

#[test]
fn proper_scores_prefer_the_true_probabilities() {
    let truth = [0.5, 0.3, 0.2];
    let labels: Vec<usize> = (0..100)
        .map(|i| if i < 50 { 0 } else { 1 + usize::from(i >= 80) })
        .collect();
    let told = |p: [f64; 3]| {
        let probs = p.repeat(100);
        let rows = rows(&probs, 3, &labels);
        [rows.nll(), rows.brier()]
    };
    let best = told(truth);
    for lie in [
        [0.6, 0.2, 0.2],
        [0.4, 0.4, 0.2],
        [0.5, 0.31, 0.19],
        [0.49, 0.31, 0.2],
    ] {
        let told = told(lie);
        assert!(told[0] > best[0] && told[1] > best[1], "{lie:?}");
    }
}

proptest! {
    #[test]
    fn scores_do_not_depend_on_the_order_of_classes((probs, labels) in cases(4)) {
        let classes: Vec<f64> = probs.chunks(4).flat_map(|r| r.iter().rev()).copied().collect();
        let class_labels: Vec<usize> = labels.iter().map(|l| 3 - l).collect();
        let (plain, turned) = (rows(&probs, 4, &labels), rows(&classes, 4, &class_labels));
        for score in [ClassRows::accuracy, ClassRows::nll, ClassRows::brier, ClassRows::balanced_accuracy] {
            prop_assert!((score(&plain) - score(&turned)).abs() < 1e-12);
        }
        let areas = [plain, turned].map(|rows| rows.roc_auc().unwrap_or(-1.0));
        prop_assert!((areas[0] - areas[1]).abs() < 1e-12);
    }

    /// The area of a class's probability, by all pairs of rows.
    #[test]
    fn the_area_is_that_of_all_pairs((probs, labels) in super::super::tests::tied_cases(3)) {
        let mut areas = Vec::new();
        for class in 0..3 {
            let (mut won, mut pairs) = (0.0, 0.0);
            for (i, _) in labels.iter().enumerate().filter(|l| *l.1 == class) {
                for (j, _) in labels.iter().enumerate().filter(|l| *l.1 != class) {
                    let (a, b) = (probs[3 * i + class], probs[3 * j + class]);
                    won += if a > b { 1.0 } else if a == b { 0.5 } else { 0.0 };
                    pairs += 1.0;
                }
            }
            if pairs > 0.0 {
                areas.push(won / pairs);
            }
        }
        match rows(&probs, 3, &labels).roc_auc() {
            None => prop_assert!(areas.is_empty()),
            Some(area) => {
                let mean = areas.iter().sum::<f64>() / areas.len() as f64;
                prop_assert!((area - mean).abs() < 1e-12);
            }
        }
    }
}
