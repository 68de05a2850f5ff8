//! Scores of real predictions: point errors, intervals, and losses of predictive distributions.

use super::weights::{average, check_optional, root_mean_square};
use crate::error::{Column, Error, Result, counted};
use crate::linalg::{check_table, not_a_number, output_of};
use crate::parallel;
use crate::predict::{GaussianMixture, MixtureStds};

/// Root mean squared error of the predictions `mean` `[n]`, in units of the target.
///
/// # Errors
/// No rows, different lengths, a value that is not finite, or weights that do not fit.
pub fn rmse(mean: &[f64], y: &[f64], weights: Option<&[f64]>) -> Result<f64> {
    same_length("rmse", mean.len(), y)?;
    finite("rmse", mean, 1, y)?;
    check_optional("rmse", y.len(), weights)?;
    Ok(root_mean_square(y.len(), weights, |i| mean[i] - y[i]))
}

/// Share of the targets inside their intervals `lower..=upper` `[n]`.
///
/// # Errors
/// No rows, different lengths, a NaN, an interval with swapped ends, or weights that do not fit.
/// Infinite ends are fine.
pub fn coverage(lower: &[f64], upper: &[f64], y: &[f64], weights: Option<&[f64]>) -> Result<f64> {
    check_intervals("coverage", lower, upper, y.len())?;
    check_targets("coverage", y)?;
    check_optional("coverage", y.len(), weights)?;
    let inside = |i: usize| f64::from(u8::from(lower[i] <= y[i] && y[i] <= upper[i]));
    Ok(average(y.len(), weights, inside))
}

/// Mean width of the intervals `lower..=upper` `[n]`, in units of the target.
///
/// # Errors
/// Those of [`coverage`].
pub fn mean_width(lower: &[f64], upper: &[f64], weights: Option<&[f64]>) -> Result<f64> {
    check_intervals("mean_width", lower, upper, lower.len())?;
    check_optional("mean_width", lower.len(), weights)?;
    Ok(average(lower.len(), weights, |i| upper[i] - lower[i]))
}

/// Interval scores of central intervals `lower..=upper` `[n]` that should hold the share `level`,
/// row by row, in units of the target; smaller is better.
///
/// The width, plus `2 / (1 - level)` times the distance of a target that is outside (Gneiting &
/// Raftery 2007). The expected score is least for the true quantiles.
///
/// # Errors
/// Those of [`coverage`], and a level that is not strictly between 0 and 1.
pub fn interval_scores(lower: &[f64], upper: &[f64], level: f64, y: &[f64]) -> Result<Vec<f64>> {
    check_intervals("interval_scores", lower, upper, y.len())?;
    check_targets("interval_scores", y)?;
    if !(level > 0.0 && level < 1.0) {
        let requirement = "must lie strictly between 0 and 1";
        return Err(Error::config("level", level, requirement));
    }
    let price = 2.0 / (1.0 - level);
    let score = |i: usize| {
        let outside = (lower[i] - y[i]).max(y[i] - upper[i]).max(0.0);
        upper[i] - lower[i] + price * outside
    };
    Ok((0..y.len()).map(score).collect())
}

/// Negative log likelihoods in nats, row by row. Each row is predicted by the equal-weight mixture
/// of Gaussians around its `samples` means.
///
/// `means` is row-major `[n, samples]`. `stds` is one standard deviation for all components, or a
/// slice `[n, samples]` with one for each. A loss is infinite if a target is so far out (1e154
/// standard deviations) that the logarithm of its density overflows.
///
/// # Errors
/// No rows or samples, shapes that do not fit, a value that is not finite, or a standard deviation
/// that is not positive.
pub fn log_losses_of_mixtures<'a>(
    means: &[f64],
    samples: usize,
    stds: impl Into<MixtureStds<'a>>,
    y: &[f64],
) -> Result<Vec<f64>> {
    let score = |means: &[f64], stds: MixtureStds, y: f64| {
        Ok(-GaussianMixture::of(means, stds)?.log_density(y))
    };
    per_row(
        "log_losses_of_mixtures",
        means,
        samples,
        stds.into(),
        y,
        score,
    )
}

/// Continuous ranked probability scores of the mixtures of [`log_losses_of_mixtures`], row by row,
/// in units of the target (closed form of Grimit et al. 2006). For one sample they are those of
/// normal distributions.
///
/// A standard deviation may be 0 here. A point has a score: `|y - mean|` if it is alone. Takes
/// `O(n samples^2)`.
///
/// # Errors
/// Those of [`log_losses_of_mixtures`], except that standard deviations may be 0. Also means so far
/// apart that the score is NaN.
pub fn crps_of_mixtures<'a>(
    means: &[f64],
    samples: usize,
    stds: impl Into<MixtureStds<'a>>,
    y: &[f64],
) -> Result<Vec<f64>> {
    let (op, score) = ("crps_of_mixtures", GaussianMixture::crps_with_points);
    let scores = per_row(op, means, samples, stds.into(), y, score)?;
    numbers(op, scores)
}

/// Continuous ranked probability scores of draws `[n, samples]`, row-major, row by row, in units of
/// the target: `mean |x_s - y| - mean |x_s - x_t| / 2` over draws and over all pairs of them.
///
/// This is the score of the distribution that consists of the draws. That of the distribution they
/// come from is smaller, by `mean |x_s - x_t| / (2 samples)` in expectation. Takes
/// `O(n samples log samples)`.
///
/// # Errors
/// No rows or draws, shapes that do not fit, a value that is not finite, or draws so far apart that
/// a score overflows.
pub fn crps_of_draws(draws: &[f64], samples: usize, y: &[f64]) -> Result<Vec<f64>> {
    let score = |draws: &[f64], _: MixtureStds, y: f64| {
        let m = draws.len() as f64;
        let mut sorted = draws.to_vec();
        sorted.sort_by(f64::total_cmp);
        // relative to the target, so that a common offset costs no accuracy
        let (mut distance, mut pairs) = (0.0, 0.0);
        for (i, x) in sorted.iter().enumerate() {
            distance += (x - y).abs();
            pairs += (2.0 * i as f64 + 1.0 - m) * (x - y);
        }
        Ok((distance - pairs / m) / m)
    };
    let op = "crps_of_draws";
    let scores = per_row(op, draws, samples, MixtureStds::Common(0.0), y, score)?;
    numbers(op, scores)
}

/// The scores, if none is NaN.
fn numbers(op: &'static str, scores: Vec<f64>) -> Result<Vec<f64>> {
    match scores.iter().position(|s| s.is_nan()) {
        None => Ok(scores),
        Some(row) => {
            let column = Column::Named("score".into());
            Err(not_a_number::<f64>(op, row, column, scores[row]))
        }
    }
}

/// `score` of each row's means, standard deviations and target, in row order for any number of
/// threads.
pub(super) fn per_row<T: Send>(
    op: &'static str,
    means: &[f64],
    samples: usize,
    stds: MixtureStds,
    y: &[f64],
    score: impl Fn(&[f64], MixtureStds, f64) -> Result<T> + Sync,
) -> Result<Vec<T>> {
    let n = y.len();
    if n == 0 || samples == 0 || n.checked_mul(samples) != Some(means.len()) {
        return Err(Error::shape(
            op,
            format!(
                "{} (at least 1) for {} (at least 1)",
                counted(samples, "mean"),
                counted(n, "target")
            ),
            counted(means.len(), "mean"),
        ));
    }
    if let MixtureStds::Each(stds) = stds
        && stds.len() != means.len()
    {
        let expected = format!("{}, one per mean", counted(means.len(), "deviation"));
        return Err(Error::shape(op, expected, stds.len()));
    }
    finite(op, means, samples, y)?;
    parallel::try_map(n, |row| {
        let means = &means[row * samples..(row + 1) * samples];
        score(means, stds.of_row(row, samples), y[row])
    })
}

fn same_length(op: &'static str, n: usize, y: &[f64]) -> Result<()> {
    if n == 0 || n != y.len() {
        let expected = format!("predictions for {}, at least 1", counted(y.len(), "target"));
        return Err(Error::shape(op, expected, n));
    }
    Ok(())
}

fn check_intervals(op: &'static str, lower: &[f64], upper: &[f64], n: usize) -> Result<()> {
    if n == 0 || lower.len() != n || upper.len() != n {
        let expected = format!("ends of {}, at least 1", counted(n, "interval"));
        let got = format!("{} and {}", lower.len(), upper.len());
        return Err(Error::shape(op, expected, got));
    }
    let ordered = |(low, high): (&f64, &f64)| low <= high;
    if let Some(row) = lower.iter().zip(upper).position(|ends| !ordered(ends)) {
        let what = format!("row {row}: {}..={} is no interval", lower[row], upper[row]);
        return Err(Error::data(what));
    }
    Ok(())
}

/// Checks `samples` predictions for every target, and the targets.
fn finite(op: &'static str, predictions: &[f64], samples: usize, y: &[f64]) -> Result<()> {
    check_table::<f64>(op, predictions, samples, output_of(1))?;
    check_targets(op, y)
}

/// Checks targets, one per row.
pub(super) fn check_targets(op: &'static str, y: &[f64]) -> Result<()> {
    check_table::<f64>(op, y, 1, |_| Column::target(0, 1))
}

#[cfg(test)]
#[path = "tests/regression.rs"]
mod tests;
