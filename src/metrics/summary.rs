//! The metrics reported for a test set.

use super::calibration::{DEFAULT_BINS, ece, mce, reliability};
use super::classification::{accuracy, brier, nll};
use super::regression::{check_targets, coverage, mixture_crps, mixture_nll, per_row, rmse};
use crate::error::{Error, Result};
use crate::linalg::vector::root_mean_square;
use crate::predict::{GaussianMixture, MixedPredictions, MixtureStds, RegressionPredictions};

/// Scores of predicted class probabilities.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "safetensors", derive(serde::Serialize))]
pub struct ClassificationMetrics {
    /// Number of rows.
    pub n: usize,
    /// Mean negative log likelihood, nats.
    pub nll: f64,
    /// Fraction of rows whose most probable class is right.
    pub accuracy: f64,
    /// Expected calibration error, 10 bins.
    pub ece: f64,
    /// Maximum calibration error, 10 bins.
    pub mce: f64,
    /// Brier score, 0 to 2.
    pub brier: f64,
}

impl ClassificationMetrics {
    /// Scores of `probs`, row-major `[n, k]`, against `labels` `[n]`.
    ///
    /// # Errors
    /// Those of [`accuracy`].
    pub fn compute(probs: &[f64], k: usize, labels: &[usize]) -> Result<Self> {
        let diagram = reliability(probs, k, labels, DEFAULT_BINS)?;
        Ok(Self {
            n: labels.len(),
            nll: nll(probs, k, labels)?,
            accuracy: accuracy(probs, k, labels)?,
            ece: ece(&diagram),
            mce: mce(&diagram),
            brier: brier(probs, k, labels)?,
        })
    }
}

/// Scores of Gaussian mixtures.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "safetensors", derive(serde::Serialize))]
pub struct RegressionMetrics {
    /// Number of rows.
    pub n: usize,
    /// Mean negative log likelihood, nats.
    pub nll: f64,
    /// Root mean squared error of the predictive means, in units of the target.
    pub rmse: f64,
    /// Mean continuous ranked probability score, in units of the target.
    pub crps: f64,
    /// Fraction of targets between the 5 % and 95 % quantiles of their predictions. 0.9 if
    /// calibrated.
    pub coverage_90: f64,
}

impl RegressionMetrics {
    /// Combines the scores of parts into those of all rows. `None` if there are no rows.
    pub fn pooled(parts: &[Self]) -> Option<Self> {
        let n: usize = parts.iter().map(|p| p.n).sum();
        let mean = |score: fn(&Self) -> f64| {
            parts.iter().map(|p| p.n as f64 * score(p)).sum::<f64>() / n as f64
        };
        (n > 0).then(|| Self {
            n,
            nll: mean(|p| p.nll),
            rmse: root_mean_square(parts.iter().map(|p| (p.n as f64, p.rmse))),
            crps: mean(|p| p.crps),
            coverage_90: mean(|p| p.coverage_90),
        })
    }

    /// Scores of `predictions` against targets `y` `[n]`, in the targets' units.
    ///
    /// # Errors
    /// Those of [`mixture_nll`] and of [`RegressionPredictions::total_stds`].
    pub fn of(predictions: &RegressionPredictions, y: &[f64]) -> Result<Self> {
        let (means, samples) = (&predictions.means, predictions.samples);
        match predictions.total_stds()? {
            None => Self::compute(means, samples, predictions.noise_std, y),
            Some(stds) => Self::compute(means, samples, stds.as_slice(), y),
        }
    }

    /// Scores of `predictions` by laws against targets `y` `[n]`, in the targets' units. The
    /// interval runs from the 5 % to the 95 % quantile, ends included. For counts it may hold more
    /// than 90 %.
    ///
    /// # Errors
    /// If the number of targets is not the number of rows, and those of
    /// [`MixedPredictive::new`](crate::predict::MixedPredictive::new).
    pub fn of_laws(predictions: &MixedPredictions, y: &[f64]) -> Result<Self> {
        if predictions.rows != y.len() || y.is_empty() {
            let (expected, got) = (predictions.rows.max(1), y.len());
            return Err(Error::shape("RegressionMetrics::of_laws", expected, got));
        }
        check_targets("RegressionMetrics::of_laws", y)?;
        let rows = predictions.each(|row, mixture| {
            let y = y[row];
            let inside = mixture.quantile(0.05)? <= y && y <= mixture.quantile(0.95)?;
            let miss = mixture.mean() - y;
            Ok([
                -mixture.log_density(y),
                miss,
                mixture.crps(y)?,
                f64::from(u8::from(inside)),
            ])
        })?;
        let n = y.len() as f64;
        let mean = |i: usize| rows.iter().map(|r| r[i]).sum::<f64>() / n;
        Ok(Self {
            n: y.len(),
            nll: mean(0),
            rmse: root_mean_square(rows.iter().map(|r| (1.0, r[1]))),
            crps: mean(2),
            coverage_90: mean(3),
        })
    }

    /// Scores of the predictions of [`mixture_nll`]. `means` is row-major `[n, samples]`. `stds` is
    /// one standard deviation for all components, or a slice `[n, samples]` of them. Targets are
    /// `y` `[n]`.
    ///
    /// # Errors
    /// Those of [`mixture_nll`].
    pub fn compute<'a>(
        means: &[f64],
        samples: usize,
        stds: impl Into<MixtureStds<'a>>,
        y: &[f64],
    ) -> Result<Self> {
        let op = "RegressionMetrics::compute";
        let stds = stds.into();
        let rows = per_row(op, means, samples, stds, y, |means, stds, _| {
            let mixture = GaussianMixture::of(means, stds)?;
            let ends = (mixture.quantile(0.05)?, mixture.quantile(0.95)?);
            Ok((mixture.mean(), ends))
        })?;
        let (centres, ends): (Vec<f64>, Vec<(f64, f64)>) = rows.into_iter().unzip();
        let (lower, upper): (Vec<f64>, Vec<f64>) = ends.into_iter().unzip();
        Ok(Self {
            n: y.len(),
            nll: mixture_nll(means, samples, stds, y)?,
            rmse: rmse(&centres, y)?,
            crps: mixture_crps(means, samples, stds, y)?,
            coverage_90: coverage(&lower, &upper, y)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Phase, Streams};
    use approx::assert_relative_eq;
    use rand::RngExt;
    use rand_distr::StandardNormal;

    #[test]
    fn classification_fields_hold_their_own_scores() {
        let probs = [0.9, 0.1, 0.1, 0.9, 0.6, 0.4];
        let m = ClassificationMetrics::compute(&probs, 2, &[0, 0, 1]).unwrap();
        assert_eq!(m.n, 3);
        assert_relative_eq!(m.accuracy, 1.0 / 3.0);
        assert_relative_eq!(m.nll, -(0.9f64 * 0.1 * 0.4).ln() / 3.0);
        assert_relative_eq!(m.ece, 1.4 / 3.0, epsilon = 1e-15);
        assert_relative_eq!(m.mce, 0.6, epsilon = 1e-15);
        assert_relative_eq!(m.brier, (0.02 + 1.62 + 0.72) / 3.0, epsilon = 1e-15);
        assert!(ClassificationMetrics::compute(&probs, 2, &[0]).is_err());
    }

    #[test]
    fn a_true_model_has_its_own_noise_and_coverage() {
        let (n, std) = (10_000, 0.5);
        let mut rng = Streams::new(4).rng(Phase::USER, 0);
        let mut normal = || rng.sample::<f64, _>(StandardNormal);
        let means: Vec<f64> = (0..n).map(|_| normal()).collect();
        let y: Vec<f64> = means.iter().map(|m| m + std * normal()).collect();
        let m = RegressionMetrics::compute(&means, 1, std, &y).unwrap();
        assert_eq!(m.n, n);
        // standard errors: 0.003 for coverage, 0.0035 for rmse, 0.007 for nll; 5 sigma
        assert!((m.coverage_90 - 0.9).abs() < 0.015, "{m:?}");
        assert!((m.rmse - std).abs() < 0.018, "{m:?}");
        let entropy = 0.5 * (2.0 * std::f64::consts::PI * std::f64::consts::E).ln() + std.ln();
        assert!((m.nll - entropy).abs() < 0.035, "{m:?}");
        // the expected score of the true model is std / sqrt pi
        assert!((m.crps / (std / std::f64::consts::PI.sqrt()) - 1.0).abs() < 0.05);
    }

    #[test]
    fn the_mean_of_samples_is_what_rmse_measures() {
        let m = RegressionMetrics::compute(&[0.0, 4.0], 2, 1.0, &[2.0]).unwrap();
        assert_eq!((m.rmse, m.coverage_90), (0.0, 1.0));
        assert!(RegressionMetrics::compute(&[0.0, 4.0], 1, 1.0, &[2.0]).is_err());
    }

    #[test]
    fn predictions_are_scored_by_their_whole_deviations() {
        // noise 3 and component deviation 4 combine to 5; the targets are at the ends of its 90 %
        // interval
        let end = 5.0 * 1.644_853_626_951_473;
        let y = [end * 0.999, -end * 0.999, end * 1.001, 0.0];
        let mut p = RegressionPredictions {
            samples: 1,
            means: vec![0.0; 4],
            noise_std: 3.0,
            noise_stds: Vec::new(),
            component_stds: vec![4.0; 4],
        };
        let m = RegressionMetrics::of(&p, &y).unwrap();
        let whole = RegressionMetrics::compute(&p.means, 1, 5.0, &y).unwrap();
        assert_eq!((m.n, m.coverage_90), (4, 0.75));
        assert_relative_eq!(m.nll, whole.nll, max_relative = 1e-14);
        assert_relative_eq!(m.crps, whole.crps, max_relative = 1e-14);
        assert_eq!(m.rmse, whole.rmse);
        p.component_stds.clear();
        let noise = RegressionMetrics::compute(&p.means, 1, 3.0, &y).unwrap();
        assert_eq!(RegressionMetrics::of(&p, &y).unwrap(), noise);
        p.component_stds = vec![4.0; 3];
        assert!(RegressionMetrics::of(&p, &y).is_err());
    }
}
