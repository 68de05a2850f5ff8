//! Scores for predictions of real numbers.

use crate::error::{Column, Error, Result, counted};
use crate::linalg::vector::root_mean_square;
use crate::linalg::{check_table, not_a_number, output_of};
use crate::parallel;
use crate::predict::{GaussianMixture, MixtureStds};

/// Root mean squared error of the predictions `mean` `[n]`, in units of the target.
///
/// # Errors
/// No rows, different lengths, or a value that is not finite.
pub fn rmse(mean: &[f64], y: &[f64]) -> Result<f64> {
    same_length("rmse", mean.len(), y)?;
    finite("rmse", mean, 1, y)?;
    let misses = mean.iter().zip(y).map(|(m, y)| (1.0, m - y));
    Ok(root_mean_square(misses))
}

/// Fraction of the targets inside their intervals `lower..=upper` `[n]`.
///
/// # Errors
/// No rows, different lengths, a NaN, or an interval with swapped ends. Infinite ends are fine.
pub fn coverage(lower: &[f64], upper: &[f64], y: &[f64]) -> Result<f64> {
    same_length("coverage", lower.len(), y)?;
    same_length("coverage", upper.len(), y)?;
    check_targets("coverage", y)?;
    let ordered = |(low, high): (&f64, &f64)| low <= high;
    if let Some(row) = lower.iter().zip(upper).position(|ends| !ordered(ends)) {
        let what = format!("row {row}: {}..={} is no interval", lower[row], upper[row]);
        return Err(Error::data(what));
    }
    let intervals = lower.iter().zip(upper).zip(y);
    let inside = intervals.filter(|((low, high), y)| *low <= y && y <= high);
    Ok(inside.count() as f64 / y.len() as f64)
}

/// Negative log likelihood in nats, averaged over rows. Each row is predicted by the equal-weight
/// mixture of Gaussians around its `samples` means.
///
/// `means` is row-major `[n, samples]`. `stds` is one standard deviation for all components, or a
/// slice `[n, samples]` with one for each. The result is infinite if a target is so far out (1e154
/// standard deviations) that the logarithm of its density overflows.
///
/// # Errors
/// No rows or samples, shapes that do not fit, a value that is not finite, or a standard deviation
/// that is not positive.
pub fn mixture_nll<'a>(
    means: &[f64],
    samples: usize,
    stds: impl Into<MixtureStds<'a>>,
    y: &[f64],
) -> Result<f64> {
    let score = |means: &[f64], stds: MixtureStds, y: f64| {
        Ok(-GaussianMixture::of(means, stds)?.log_density(y))
    };
    average("mixture_nll", means, samples, stds.into(), y, score)
}

/// Continuous ranked probability score of the mixtures of [`mixture_nll`], averaged over rows, in
/// units of the target.
///
/// A standard deviation may be 0 here. A point has a score: `|y - mean|` if it is alone. Takes
/// `O(n samples^2)`.
///
/// # Errors
/// Those of [`mixture_nll`], except that standard deviations may be 0. Also means so far apart that
/// the score is NaN.
pub fn mixture_crps<'a>(
    means: &[f64],
    samples: usize,
    stds: impl Into<MixtureStds<'a>>,
    y: &[f64],
) -> Result<f64> {
    let score = GaussianMixture::crps_with_points;
    average("mixture_crps", means, samples, stds.into(), y, score)
}

fn average(
    op: &'static str,
    means: &[f64],
    samples: usize,
    stds: MixtureStds,
    y: &[f64],
    score: impl Fn(&[f64], MixtureStds, f64) -> Result<f64> + Sync,
) -> Result<f64> {
    let scores = per_row(op, means, samples, stds, y, score)?;
    if let Some(row) = scores.iter().position(|s| s.is_nan()) {
        let column = Column::Named("score".into());
        return Err(not_a_number::<f64>(op, row, column, scores[row]));
    }
    Ok(scores.iter().sum::<f64>() / y.len() as f64)
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
mod tests {
    use super::*;
    use approx::assert_relative_eq;
    use proptest::prelude::*;
    use std::f64::consts::PI;

    #[test]
    fn rmse_by_hand() {
        assert_relative_eq!(rmse(&[1.0, 2.0], &[4.0, 6.0]).unwrap(), 12.5f64.sqrt());
        for unit in [1e300, 1e-300] {
            let of = rmse(&[unit, 2.0 * unit], &[4.0 * unit, 6.0 * unit]).unwrap();
            assert_relative_eq!(of, unit * 12.5f64.sqrt(), max_relative = 1e-14);
        }
        assert!(rmse(&[], &[]).is_err());
        assert!(rmse(&[1.0], &[1.0, 2.0]).is_err());
        assert!(rmse(&[f64::NAN], &[1.0]).is_err());
        assert!(rmse(&[1.0], &[f64::NAN]).is_err());
    }

    #[test]
    fn coverage_includes_the_ends() {
        let (lower, upper) = ([0.0; 4], [1.0; 4]);
        let y = [0.0, 1.0, -0.1, 1.1];
        assert_eq!(coverage(&lower, &upper, &y).unwrap(), 0.5);
        let wide = [f64::NEG_INFINITY; 4];
        assert_eq!(coverage(&wide, &upper, &y).unwrap(), 0.75);
        assert!(coverage(&upper, &lower, &y).is_err(), "ends swapped");
        assert!(coverage(&[f64::NAN], &[1.0], &[0.0]).is_err());
        assert!(coverage(&lower, &upper[..3], &y).is_err());
        assert!(coverage(&[], &[], &[]).is_err());
    }

    #[test]
    fn rows_are_scored_by_their_own_means() {
        // row 0 has means 0 and 0, row 1 has means 5 and 5; each target is its row's mean
        let means = [0.0, 0.0, 5.0, 5.0];
        let nll = mixture_nll(&means, 2, 2.0, &[0.0, 5.0]).unwrap();
        assert_relative_eq!(nll, (2.0 * (2.0 * PI).sqrt()).ln(), epsilon = 1e-14);
        let crps = mixture_crps(&means, 2, 2.0, &[0.0, 5.0]).unwrap();
        // a Gaussian at its own mean: std (sqrt 2 - 1) / sqrt pi
        assert_relative_eq!(crps, 2.0 * (2f64.sqrt() - 1.0) / PI.sqrt(), epsilon = 1e-14);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        for score in [mixture_nll, mixture_crps] {
            assert!(score(&[], 1, 1.0, &[]).is_err());
            assert!(score(&[1.0], 0, 1.0, &[1.0]).is_err());
            assert!(score(&[1.0; 3], 2, 1.0, &[1.0]).is_err());
            assert!(score(&[1.0], 1, -1.0, &[1.0]).is_err());
            assert!(score(&[f64::NAN], 1, 1.0, &[1.0]).is_err());
            assert!(score(&[1.0], 1, 1.0, &[f64::INFINITY]).is_err());
        }
    }

    #[test]
    fn points_have_a_score_and_no_density() {
        // one point: |y - mean|; points 0 and 2 for y = 3: E|X - y| - E|X - X'| / 2 = 2 - 1/2
        assert_eq!(mixture_crps(&[1.0], 1, 0.0, &[1.0]).unwrap(), 0.0);
        assert_eq!(mixture_crps(&[1.0], 1, 0.0, &[-2.5]).unwrap(), 3.5);
        for stds in [MixtureStds::Common(0.0), MixtureStds::Each(&[0.0; 2])] {
            assert_eq!(mixture_crps(&[0.0, 2.0], 2, stds, &[3.0]).unwrap(), 1.5);
            assert!(mixture_nll(&[0.0, 2.0], 2, stds, &[3.0]).is_err());
        }
        // a point is the limit of narrow components, both next to others and alone
        let score = |std| mixture_crps(&[0.0, 2.0], 2, &[std, 0.7][..], &[0.3]).unwrap();
        assert_relative_eq!(score(0.0), score(1e-9), epsilon = 1e-9);
    }

    #[test]
    fn a_score_that_is_no_number_is_an_error_with_its_row() {
        let means = [0.0, 0.0, f64::MAX, f64::MIN];
        let error = mixture_crps(&means, 2, 1.0, &[0.0, f64::MIN]).unwrap_err();
        assert!(
            matches!(error, Error::NonFiniteData { row: 1, .. }),
            "{error}"
        );
        // the score of a target far out is infinite, as documented
        assert_eq!(
            mixture_nll(&[0.0], 1, 1.0, &[1e200]).unwrap(),
            f64::INFINITY
        );
    }

    #[test]
    fn components_are_scored_with_their_own_deviations() {
        // row 0 has standard deviation 2 throughout, row 1 has 1 and 3
        let (means, stds, y) = ([0.0, 1.0, 5.0, 6.0], [2.0, 2.0, 1.0, 3.0], [0.5, 7.0]);
        let rows = [
            GaussianMixture::new(&means[..2], 2.0).unwrap(),
            GaussianMixture::with_stds(&means[2..], &stds[2..]).unwrap(),
        ];
        let expected = |f: fn(&GaussianMixture, f64) -> f64| {
            let scores = rows.iter().zip(y).map(|(row, y)| f(row, y));
            scores.sum::<f64>() / 2.0
        };
        let nll = mixture_nll(&means, 2, &stds[..], &y).unwrap();
        assert_relative_eq!(nll, -expected(|row, y| row.log_density(y)), epsilon = 1e-14);
        let crps = mixture_crps(&means, 2, &stds[..], &y).unwrap();
        assert_relative_eq!(crps, expected(|row, y| row.crps(y)), epsilon = 1e-14);
        for bad in [&stds[..3], &[1.0; 5], &[], &[1.0, 1.0, -1.0, 1.0]] {
            assert!(mixture_nll(&means, 2, bad, &y).is_err());
            assert!(mixture_crps(&means, 2, bad, &y).is_err());
        }
    }

    proptest! {
        #[test]
        fn scores_do_not_depend_on_the_order_of_rows_or_samples(
            rows in prop::collection::vec((prop::collection::vec(-3.0f64..3.0, 4), -3.0f64..3.0), 1..20)
        ) {
            let y: Vec<f64> = rows.iter().map(|r| r.1).collect();
            let means: Vec<f64> = rows.iter().flat_map(|r| r.0.clone()).collect();
            // reverses the rows, and the samples within them
            let back = |v: &[f64]| v.iter().rev().copied().collect::<Vec<f64>>();
            for score in [mixture_nll, mixture_crps] {
                let plain = score(&means, 4, 0.5, &y).unwrap();
                let turned = score(&back(&means), 4, 0.5, &back(&y)).unwrap();
                prop_assert!((plain - turned).abs() < 1e-11 * (1.0 + plain.abs()));
            }
        }
    }
}
