//! Conformal prediction: sets and intervals that hold the target as often as they say, on rows like
//! the held-out ones, whatever the model.
//!
//! ```text
//! S_i = S(x_i, y_i), i = 1 ... n held-out rows;   q = the k-th smallest S_i, k = ceil((n + 1) level)
//! C(x) = { y : S(x, y) <= q },                    P(y in C(x)) >= level
//! ```
//!
//! (split conformal prediction: Papadopoulos et al. 2002; Vovk, Gammerman & Shafer 2005). The
//! probability is over held-out rows and new row together, which must be exchangeable. Without ties
//! it is at most `level + 1 / (n + 1)`. It is an average over rows, not a promise for each. If `k >
//! n` the rows are too few: `q` is infinite, and with it every interval, and every set holds all
//! classes.
//!
//! | score | `S(x, y)` | source |
//! |---|---|---|
//! | `aps` | `sum of p_k over classes before y + u p_y`, most probable first | Romano, Sesia & Candes 2020 |
//! | `raps` | `aps` and `lambda max(0, rank of y - k_reg)` | Angelopoulos, Bates, Malik & Jordan 2021 |
//! | `absolute` | `\|y - mean\|` | Lei, G'Sell, Rinaldo, Tibshirani & Wasserman 2018 |
//! | `normalised` | `\|y - mean\| / std` | the same |
//! | `cqr` | `max(low - y, y - high)` for the interval of the same level | Romano, Patterson & Candes 2019 |
//!
//! `u` is uniform in `[0, 1)`. Without it, sets hold more than they promise. Here it comes from the
//! row's features and a seed ([`uniform_of`]), so a row gets the same set wherever it stands. The
//! guarantee holds for any `S(x, y)` that is fixed before the rows are seen, and so for this one.
//! A set may be empty: the first class then has more probability than the level asks for.
//!
//! With class-conditional thresholds (Vovk 2012) each class has its own `q`, from the rows of that
//! class, and the promise holds for each class by itself.
//!
//! [`cross`] has intervals and sets for few rows, from fits that leave out a fold each.

pub mod cross;
mod intervals;
mod sets;

pub use intervals::{Ends, Interval, interval, interval_score};
pub use sets::{SetScore, prediction_set, set_score, set_scores, uniform_of};

use crate::error::{Error, Result};

/// Slack of `(n + 1) level`: 100 times 0.55 is 55.00000000000001 in doubles.
const SLACK: f64 = 1e-9;

/// The number, from 1, of the score that is the threshold: `ceil((n + 1) level)`. `None` if it is
/// above `n`.
pub fn rank_of(n: usize, level: f64) -> Option<usize> {
    let rank = ((n as f64 + 1.0) * level - SLACK).ceil().max(1.0);
    (rank <= n as f64).then_some(rank as usize)
}

/// The threshold of scores, `None` for infinity.
///
/// # Errors
/// A level that is not strictly between 0 and 1, or a score that is NaN.
pub fn threshold(scores: &[f64], level: f64) -> Result<Option<f64>> {
    if !(level > 0.0 && level < 1.0) {
        let requirement = "must lie strictly between 0 and 1";
        return Err(Error::config("conformal", level, requirement));
    }
    if let Some(index) = scores.iter().position(|s| s.is_nan()) {
        let what = "conformal scores";
        return Err(Error::NonFinite { what, index });
    }
    let Some(rank) = rank_of(scores.len(), level) else {
        return Ok(None);
    };
    let mut sorted = scores.to_vec();
    sorted.sort_by(f64::total_cmp);
    // a score may be infinite itself
    Ok(Some(sorted[rank - 1]).filter(|q| *q < f64::INFINITY))
}

/// Thresholds of the classes, each from the scores of its rows; `labels` stand beside `scores`.
///
/// # Errors
/// Those of [`threshold`], and if a label is not below `classes`.
pub fn thresholds_by_class(
    scores: &[f64],
    labels: &[usize],
    classes: usize,
    level: f64,
) -> Result<Vec<Option<f64>>> {
    let mut by_class = vec![Vec::new(); classes];
    for (&score, &label) in scores.iter().zip(labels) {
        let (expected, got) = (format!("labels below {classes}"), label);
        let own = by_class.get_mut(label);
        own.ok_or_else(|| Error::shape("conformal", expected, got))?
            .push(score);
    }
    by_class.iter().map(|own| threshold(own, level)).collect()
}
