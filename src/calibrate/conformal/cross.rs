//! CV+ for few rows: every row is scored by a fit that has not seen it, and all rows count.
//!
//! ```text
//! C(x) = [ the floor(a (n + 1))-th smallest of m_f(i)(x) - R_i,
//!          the ceil((1 - a)(n + 1))-th smallest of m_f(i)(x) + R_i ],   a = 1 - level
//! ```
//!
//! `m_f(i)` is the mean predicted by the fit without the fold of row `i`, and `R_i = |y_i -
//! m_f(i)(x_i)|` (Barber, Candes, Ramdas & Tibshirani 2021). With as many folds as rows this is the
//! jackknife+. It holds the target with a probability of at least `1 - 2 a - sqrt(2 / n)`; in
//! practice of about `1 - a`. The `normalised` score puts `R_i s_f(i)(x)` in the place of `R_i`,
//! with residuals in units of the predicted standard deviation `s`.
//!
//! Sets of classes (Romano, Sesia & Candes 2020) take in a class if fewer than `(1 - a)(n + 1)`
//! rows have a smaller score than the class has under the fit without the row.

use super::{Ends, Interval, SLACK};
use crate::error::{Error, Result};

/// A held-out score, and the fold that its row is in.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "safetensors", derive(serde::Serialize, serde::Deserialize))]
pub struct FoldScore {
    /// Number of the fold, from 0.
    pub fold: usize,
    /// The score of the row under the fit without that fold.
    pub score: f64,
}

/// The interval of a row, from what each fold's fit says of it. Infinite ends mean too few rows.
/// For `cqr` they are quantiles with the score added.
///
/// # Errors
/// If a fold is missing.
pub fn cv_plus_interval(
    kind: Interval,
    folds: &[Ends],
    scores: &[FoldScore],
    level: f64,
) -> Result<[f64; 2]> {
    let (mut low, mut high) = (Vec::new(), Vec::new());
    for s in scores {
        let missing = || Error::shape("cv_plus_interval", folds.len(), s.fold + 1);
        let row = folds.get(s.fold).ok_or_else(missing)?;
        let (from, to, width) = match kind {
            Interval::Absolute => (row.mean, row.mean, s.score),
            Interval::Normalised => (row.mean, row.mean, s.score * row.std),
            Interval::Cqr => (row.quantiles[0], row.quantiles[1], s.score),
        };
        low.push(from - width);
        high.push(to + width);
    }
    low.sort_by(f64::total_cmp);
    high.sort_by(f64::total_cmp);
    let n = scores.len() as f64;
    let below = ((n + 1.0) * (1.0 - level) + SLACK).floor();
    let above = super::rank_of(scores.len(), level);
    let low = match below >= 1.0 {
        true => low[below as usize - 1],
        false => f64::NEG_INFINITY,
    };
    let high = above.map_or(f64::INFINITY, |rank| high[rank - 1]);
    // ends may cross where the fits disagree by more than their residuals
    Ok(match low <= high {
        true => [low, high],
        false => [0.5 * low + 0.5 * high; 2],
    })
}

/// Which classes are in the set of a row. `of_row` has the scores of all classes under each fold's
/// fit, `[folds, classes]`.
///
/// # Errors
/// If a fold is missing.
pub fn cv_plus_set(
    of_row: &[f64],
    classes: usize,
    scores: &[FoldScore],
    level: f64,
) -> Result<Vec<bool>> {
    let most = (scores.len() as f64 + 1.0) * level - SLACK;
    (0..classes)
        .map(|k| {
            let mut smaller = 0;
            for s in scores {
                let missing =
                    || Error::shape("cv_plus_set", of_row.len(), s.fold * classes + k + 1);
                let own = of_row.get(s.fold * classes + k).ok_or_else(missing)?;
                smaller += usize::from(s.score < *own);
            }
            Ok((smaller as f64) < most)
        })
        .collect()
}
