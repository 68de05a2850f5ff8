//! Scores of class probabilities.

use crate::error::{Column, Error, Result, counted};
use crate::linalg::check_table;

/// Largest deviation of a row's sum from 1. Probabilities computed in `f32` stay well within it.
/// Logits or log-probabilities passed by mistake do not.
const SUM_TOLERANCE: f64 = 1e-4;

/// Fraction of the rows whose most probable class is the label. Among equally probable classes the
/// lowest counts.
///
/// `probs` is row-major `[n, k]`, `labels` `[n]`.
///
/// # Errors
/// Shapes that do not fit, `k < 2`, no rows, a label outside `0..k`, or rows that are not
/// probabilities (each in 0..=1, with sum 1 within 1e-4).
pub fn accuracy(probs: &[f64], k: usize, labels: &[usize]) -> Result<f64> {
    check("accuracy", probs, k, labels)?;
    Ok(mean(probs, k, labels, |row, label| {
        f64::from(u8::from(top(row).0 == label))
    }))
}

/// Negative log likelihood in nats: the mean over rows of `-ln(probability of the label)`.
///
/// Probabilities are floored at the smallest positive normal double. So a row costs at most 708.4,
/// and the mean is finite even if a label has probability 0.
///
/// # Errors
/// Those of [`accuracy`].
pub fn nll(probs: &[f64], k: usize, labels: &[usize]) -> Result<f64> {
    check("nll", probs, k, labels)?;
    Ok(mean(probs, k, labels, |row, label| {
        // subtracted from 0: minus a logarithm of 0 would be -0
        0.0 - row[label].max(f64::MIN_POSITIVE).ln()
    }))
}

/// Brier score: the mean over rows of the sum over classes of
/// `(probability - [class is the label])^2`. It is 0 if sure and right, 2 if sure and wrong.
///
/// # Errors
/// Those of [`accuracy`].
pub fn brier(probs: &[f64], k: usize, labels: &[usize]) -> Result<f64> {
    check("brier", probs, k, labels)?;
    Ok(mean(probs, k, labels, |row, label| {
        let error = |(class, p): (usize, &f64)| p - f64::from(u8::from(class == label));
        row.iter().enumerate().map(|c| error(c).powi(2)).sum()
    }))
}

/// The most probable class and its probability. Among equals the lowest class.
pub(super) fn top(row: &[f64]) -> (usize, f64) {
    let mut best = (0, f64::NEG_INFINITY);
    for (class, &p) in row.iter().enumerate() {
        if p > best.1 {
            best = (class, p);
        }
    }
    best
}

/// Checks for `n >= 1` rows of `k >= 2` probabilities, each row with a label in `0..k`.
pub(super) fn check(op: &'static str, probs: &[f64], k: usize, labels: &[usize]) -> Result<()> {
    let n = labels.len();
    if n == 0 || k < 2 || n.checked_mul(k) != Some(probs.len()) {
        return Err(Error::shape(
            op,
            format!(
                "probabilities of {} (at least 2) for {} (at least 1)",
                counted(k, "class"),
                counted(n, "label")
            ),
            counted(probs.len(), "probability"),
        ));
    }
    if let Some(row) = labels.iter().position(|&label| label >= k) {
        let what = format!("row {row}: label {} is not a class in 0..{k}", labels[row]);
        return Err(Error::data(what));
    }
    check_table::<f64>(op, probs, k, Column::Class)?;
    for (i, row) in probs.chunks_exact(k).enumerate() {
        let sum: f64 = row.iter().sum();
        if row.iter().any(|&p| p < 0.0) || (sum - 1.0).abs() > SUM_TOLERANCE {
            let what = format!("row {i} is not made of probabilities: their sum is {sum}");
            return Err(Error::data(what));
        }
    }
    Ok(())
}

fn mean(probs: &[f64], k: usize, labels: &[usize], score: impl Fn(&[f64], usize) -> f64) -> f64 {
    let rows = probs.chunks_exact(k).zip(labels);
    // start from 0: `sum` starts at minus 0, and the loss of a sure and right row, -ln 1, is minus
    // 0 too
    rows.fold(0.0, |sum, (row, &label)| sum + score(row, label)) / labels.len() as f64
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use approx::assert_relative_eq;
    use proptest::prelude::*;

    const PROBS: [f64; 6] = [0.7, 0.2, 0.1, 0.3, 0.3, 0.4];

    #[test]
    fn scores_by_hand() {
        let labels = [0, 1];
        assert_eq!(accuracy(&PROBS, 3, &labels).unwrap(), 0.5);
        let expected = -(0.7f64.ln() + 0.3f64.ln()) / 2.0;
        assert_relative_eq!(nll(&PROBS, 3, &labels).unwrap(), expected);
        // (0.09 + 0.04 + 0.01 + 0.09 + 0.49 + 0.16) / 2
        assert_relative_eq!(brier(&PROBS, 3, &labels).unwrap(), 0.44, epsilon = 1e-15);
    }

    #[test]
    fn ties_go_to_the_lowest_class() {
        let probs = [0.4, 0.2, 0.4];
        assert_eq!(accuracy(&probs, 3, &[0]).unwrap(), 1.0);
        assert_eq!(accuracy(&probs, 3, &[2]).unwrap(), 0.0);
    }

    #[test]
    fn extremes_are_finite() {
        let probs = [1.0, 0.0];
        // printed without a sign
        assert_eq!(nll(&probs, 2, &[0]).unwrap().to_string(), "0");
        let impossible = nll(&probs, 2, &[1]).unwrap();
        assert_relative_eq!(impossible, -f64::MIN_POSITIVE.ln());
        assert_eq!(brier(&probs, 2, &[0]).unwrap(), 0.0);
        assert_eq!(brier(&probs, 2, &[1]).unwrap(), 2.0);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        for score in [accuracy, nll, brier] {
            assert!(score(&[], 3, &[]).is_err(), "no rows");
            assert!(score(&[1.0], 1, &[0]).is_err(), "one class");
            assert!(score(&PROBS, 0, &[0]).is_err());
            assert!(score(&PROBS, 3, &[0]).is_err());
            assert!(score(&PROBS, 2, &[0, 1]).is_err());
            assert!(score(&PROBS, 3, &[0, 3]).is_err(), "label");
            assert!(score(&[f64::NAN, 1.0], 2, &[0]).is_err());
            assert!(score(&[1.5, -0.5], 2, &[0]).is_err(), "negative");
            assert!(score(&[0.2, 0.2], 2, &[0]).is_err(), "sum");
        }
        let f32_sum = [0.333_333_34f32; 3].map(f64::from);
        assert!(nll(&f32_sum, 3, &[0]).is_ok());
    }

    #[test]
    fn the_true_probabilities_score_best() {
        // 100 rows in exactly the true proportions
        let truth = [0.5, 0.3, 0.2];
        let labels: Vec<usize> = (0..100)
            .map(|i| if i < 50 { 0 } else { 1 + usize::from(i >= 80) })
            .collect();
        let told = |p: [f64; 3], score: fn(&[f64], usize, &[usize]) -> Result<f64>| {
            score(&p.repeat(100), 3, &labels).unwrap()
        };
        for score in [nll, brier] {
            let best = told(truth, score);
            for lie in [
                [0.6, 0.2, 0.2],
                [0.4, 0.4, 0.2],
                [0.5, 0.31, 0.19],
                [0.49, 0.31, 0.2],
            ] {
                assert!(told(lie, score) > best);
            }
        }
    }

    /// Rows of class probabilities with labels.
    pub(in crate::metrics) fn cases(k: usize) -> impl Strategy<Value = (Vec<f64>, Vec<usize>)> {
        let row = prop::collection::vec(0.001f64..1.0, k);
        prop::collection::vec((row, 0..k), 1..40).prop_map(|rows| {
            let normalise = |row: &Vec<f64>| {
                let sum: f64 = row.iter().sum();
                row.iter().map(|p| p / sum).collect::<Vec<f64>>()
            };
            let probs = rows.iter().flat_map(|(row, _)| normalise(row)).collect();
            (probs, rows.iter().map(|(_, label)| *label).collect())
        })
    }

    proptest! {
        #[test]
        fn scores_do_not_depend_on_the_order_of_rows_or_classes((probs, labels) in cases(4)) {
            let rows: Vec<f64> = probs.chunks(4).rev().flatten().copied().collect();
            let row_labels: Vec<usize> = labels.iter().rev().copied().collect();
            let classes: Vec<f64> = probs.chunks(4).flat_map(|r| r.iter().rev()).copied().collect();
            let class_labels: Vec<usize> = labels.iter().map(|l| 3 - l).collect();
            for score in [accuracy, nll, brier] {
                let plain = score(&probs, 4, &labels).unwrap();
                prop_assert!((plain - score(&rows, 4, &row_labels).unwrap()).abs() < 1e-12);
                prop_assert!((plain - score(&classes, 4, &class_labels).unwrap()).abs() < 1e-12);
            }
        }

        #[test]
        fn scores_stay_in_their_ranges((probs, labels) in cases(3)) {
            prop_assert!((0.0..=1.0).contains(&accuracy(&probs, 3, &labels).unwrap()));
            prop_assert!((0.0..=2.0).contains(&brier(&probs, 3, &labels).unwrap()));
            prop_assert!(nll(&probs, 3, &labels).unwrap() >= 0.0);
        }
    }
}
