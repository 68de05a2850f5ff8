//! Intervals of a real target.

/// How a target is scored: see the table of the [module](super).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "safetensors",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "lowercase")
)]
pub enum Interval {
    /// Distance from the mean.
    Absolute,
    /// The same in predictive standard deviations.
    Normalised,
    /// Distance from the interval between two quantiles; negative inside.
    Cqr,
}

/// What a prediction says of one row, in the target's units.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ends {
    /// Predictive mean.
    pub mean: f64,
    /// Predictive standard deviation, positive.
    pub std: f64,
    /// Quantiles at `(1 - level) / 2` and `(1 + level) / 2`.
    pub quantiles: [f64; 2],
}

/// The score of the target `y`.
pub fn interval_score(kind: Interval, row: &Ends, y: f64) -> f64 {
    match kind {
        Interval::Absolute => (y - row.mean).abs(),
        Interval::Normalised => (y - row.mean).abs() / row.std,
        Interval::Cqr => (row.quantiles[0] - y).max(y - row.quantiles[1]),
    }
}

/// The targets whose score is at most `threshold`, as an interval; `None` is the real line. Where
/// `cqr` shrinks an interval to less than nothing, its middle is left.
pub fn interval(kind: Interval, row: &Ends, threshold: Option<f64>) -> [f64; 2] {
    let Some(q) = threshold else {
        return [f64::NEG_INFINITY, f64::INFINITY];
    };
    let [low, high] = match kind {
        Interval::Absolute => [row.mean - q, row.mean + q],
        Interval::Normalised => [row.mean - q * row.std, row.mean + q * row.std],
        Interval::Cqr => [row.quantiles[0] - q, row.quantiles[1] + q],
    };
    match low <= high {
        true => [low, high],
        false => [0.5 * low + 0.5 * high; 2],
    }
}
