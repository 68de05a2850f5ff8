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
//! Rows with weights `w_i` count as often as their weight says, and the new row once:
//!
//! ```text
//! q = the smallest S_i with  sum of w_j over S_j <= S_i  >=  (1 + sum of w_j) level
//! ```
//!
//! This is the threshold of the rows repeated, and the weighted quantile of Tibshirani, Barber,
//! Candes & Ramdas (2019) for a new row of weight 1. The promise is then about rows that occur as
//! often as the weights say. It is exact if they are the ratios of how often such rows occur in
//! future and did here, with the new row's ratio at most 1. Rows that stand for several equal ones
//! are held out together, so the threshold varies as that of fewer rows does.
//!
//! [`cross`] has intervals and sets for few rows, from fits that leave out a fold each.

pub mod cross;
mod intervals;
mod sets;

pub use intervals::{Ends, Interval, interval, interval_score};
pub use sets::{SetScore, prediction_set, set_score, set_scores, uniform_of};

use crate::error::{Error, Result};
use crate::linalg::check_weights;

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

/// The threshold of scores of rows with weights, `None` for infinity. `weights` is `[n]`; without
/// any, every row counts once.
///
/// # Errors
/// Those of [`threshold`]; if the number of weights is not that of the scores, one is negative or
/// not finite, or all are 0.
pub fn weighted_threshold(
    scores: &[f64],
    weights: Option<&[f64]>,
    level: f64,
) -> Result<Option<f64>> {
    let Some(weights) = weights else {
        return threshold(scores, level);
    };
    check_weights("conformal", scores.len(), weights)?;
    // checks the rest
    threshold(scores, level)?;
    let mut sorted: Vec<(f64, f64)> = scores
        .iter()
        .copied()
        .zip(weights.iter().copied())
        .collect();
    sorted.retain(|row| row.1 > 0.0);
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
    let needed = (1.0 + weights.iter().sum::<f64>()) * level - SLACK;
    let mut below = 0.0;
    let reached = sorted.into_iter().find(|(_, weight)| {
        below += weight;
        below >= needed
    });
    Ok(reached.map(|row| row.0).filter(|q| *q < f64::INFINITY))
}

/// Thresholds of the classes, each from the scores of its rows; `labels` stand beside `scores`,
/// and so do `weights` if there are any. A class whose rows all have weight 0 has none.
///
/// # Errors
/// Those of [`weighted_threshold`], and if a label is not below `classes`.
pub fn thresholds_by_class(
    scores: &[f64],
    labels: &[usize],
    weights: Option<&[f64]>,
    classes: usize,
    level: f64,
) -> Result<Vec<Option<f64>>> {
    if let Some(weights) = weights {
        check_weights("conformal", scores.len(), weights)?;
    }
    let mut by_class = vec![(Vec::new(), Vec::new()); classes];
    for (i, (&score, &label)) in scores.iter().zip(labels).enumerate() {
        let (expected, got) = (format!("labels below {classes}"), label);
        let own = by_class.get_mut(label);
        let own = own.ok_or_else(|| Error::shape("conformal", expected, got))?;
        let weight = weights.map_or(1.0, |w| w[i]);
        if weight > 0.0 {
            own.0.push(score);
            own.1.push(weight);
        }
    }
    let of_class = |(scores, own): &(Vec<f64>, Vec<f64>)| match (weights, scores.is_empty()) {
        (Some(_), false) => weighted_threshold(scores, Some(own), level),
        _ => threshold(scores, level),
    };
    by_class.iter().map(of_class).collect()
}
