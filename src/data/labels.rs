//! Interpretation of targets as class labels.

use super::dataset::{Task, is_label};

/// Decides the task. Targets are class labels if they are exactly `0..K` with `K >= 2` and
/// `2 (K - 1) <= n` for `n` rows. Otherwise they are real numbers.
pub(super) fn infer_task(targets: &[f64]) -> Task {
    match complete(targets) {
        Some(classes) if classes >= 2 && 2 * (classes - 1) <= targets.len() => {
            Task::Classification { classes }
        }
        _ => Task::Regression,
    }
}

/// `K` if the values are exactly `0..K`. Memory is bounded by the number of rows, whatever the
/// values.
fn complete(targets: &[f64]) -> Option<usize> {
    // n rows hold at most n labels: 0..n is the widest range without a gap
    if targets.iter().any(|&y| !is_label(y, targets.len())) {
        return None;
    }
    let mut present = vec![false; targets.len()];
    targets.iter().for_each(|&y| present[y as usize] = true);
    let classes = present.iter().take_while(|&&p| p).count();
    present[classes..].iter().all(|&p| !p).then_some(classes)
}

/// The result of reading values as class labels.
#[cfg(feature = "idx")]
pub(super) enum Labels {
    /// They are exactly `0..K`.
    Complete(usize),
    /// The first row whose value is negative or not whole.
    Invalid(usize),
    /// The smallest label that does not occur below the largest that does.
    Gap { absent: usize, largest: f64 },
}

#[cfg(feature = "idx")]
impl Labels {
    /// Reads finite values as class labels. Memory is bounded by the number of rows, whatever the
    /// labels.
    pub(super) fn of(targets: &[f64]) -> Self {
        if let Some(row) = targets.iter().position(|&y| y < 0.0 || y.fract() != 0.0) {
            return Labels::Invalid(row);
        }
        // n rows hold at most n labels: 0..n is the widest range without a gap
        let mut present = vec![false; targets.len()];
        for &y in targets.iter().filter(|&&y| is_label(y, targets.len())) {
            present[y as usize] = true;
        }
        let absent = present.iter().position(|&p| !p).unwrap_or(present.len());
        let largest = targets.iter().copied().fold(0.0, f64::max);
        if largest > absent as f64 {
            Labels::Gap { absent, largest }
        } else {
            Labels::Complete(absent)
        }
    }

    /// The number of classes, or a message about what is wrong, with its row if it concerns a
    /// single one.
    pub(super) fn classes(self, targets: &[f64]) -> Result<usize, (Option<usize>, String)> {
        match self {
            Labels::Complete(1) => {
                let what = "every label is 0: classification needs at least 2";
                Err((None, what.into()))
            }
            Labels::Complete(classes) => Ok(classes),
            Labels::Invalid(row) => {
                let label = targets[row];
                let what =
                    format!("{label} is not a class label: labels are the whole numbers from 0");
                Err((Some(row), what))
            }
            Labels::Gap { absent, largest } => {
                let what = format!(
                    "label {absent} never occurs, but {largest} does: labels run from 0 without a gap"
                );
                Err((None, what))
            }
        }
    }
}

#[cfg(test)]
#[cfg(feature = "idx")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Two ways of reading labels, from other code, agree on what is complete.
        #[test]
        fn labels_are_complete_for_both(
            targets in prop::collection::vec(
                prop_oneof![(0..4u8).prop_map(f64::from), Just(-1.0), Just(0.5), Just(1e18)], 1..8
            )
        ) {
            let other = match Labels::of(&targets) {
                Labels::Complete(classes) => Some(classes),
                _ => None,
            };
            prop_assert_eq!(complete(&targets), other);
        }
    }
}
