//! Real targets beside their predictive distributions, row by row, and the scores of both.

use super::pit::{Pit, coverage_at, histogram};
use super::ranking::Ranking;
use super::regression::{check_targets, interval_scores, per_row};
use super::selective::area;
use super::weights::{check_optional, root_mean_square};
use crate::error::{Error, Result, counted};
use crate::predict::{GaussianMixture, MixedPredictions, MixtureStds, RegressionPredictions};

/// Probability of the intervals of [`RealRows`].
pub const INTERVAL_LEVEL: f64 = 0.9;

/// The probabilities below and up to the ends of these intervals.
pub const INTERVAL_ENDS: [f64; 2] = [0.05, 0.95];

/// What is known about every row's target and its predictive distribution. All of the same length,
/// in units of the target.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RealRows {
    targets: Vec<f64>,
    means: Vec<f64>,
    stds: Vec<f64>,
    log_losses: Vec<f64>,
    crps: Vec<f64>,
    lower: Vec<f64>,
    upper: Vec<f64>,
    pits: Vec<Pit>,
    weights: Option<Vec<f64>>,
}

/// One row.
struct Row {
    mean: f64,
    std: f64,
    log_loss: f64,
    crps: f64,
    ends: [f64; 2],
    pit: Pit,
}

impl RealRows {
    /// Rows with `predictions` and targets `y` `[n]`.
    ///
    /// # Errors
    /// Those of [`RealRows::of_mixtures`] and of [`RegressionPredictions::total_stds`].
    pub fn of(predictions: &RegressionPredictions, y: &[f64]) -> Result<Self> {
        let (means, samples) = (&predictions.means, predictions.samples);
        match predictions.total_stds()? {
            None => Self::of_mixtures(means, samples, predictions.noise_std, y),
            Some(stds) => Self::of_mixtures(means, samples, stds.as_slice(), y),
        }
    }

    /// Rows with mixtures of Gaussians of equal weight around `means`, row-major `[n, samples]`.
    /// `stds` is one standard deviation for all components, or a slice `[n, samples]` of them.
    /// Targets are `y` `[n]`.
    ///
    /// # Errors
    /// Those of [`log_losses_of_mixtures`](super::log_losses_of_mixtures).
    pub fn of_mixtures<'a>(
        means: &[f64],
        samples: usize,
        stds: impl Into<MixtureStds<'a>>,
        y: &[f64],
    ) -> Result<Self> {
        let stds = stds.into();
        let rows = per_row("RealRows", means, samples, stds, y, |means, stds, y| {
            let mixture = GaussianMixture::of(means, stds)?;
            Ok(Row {
                mean: mixture.mean(),
                std: mixture.variance().sqrt(),
                log_loss: -mixture.log_density(y),
                crps: mixture.crps(y),
                ends: [
                    mixture.quantile(INTERVAL_ENDS[0])?,
                    mixture.quantile(INTERVAL_ENDS[1])?,
                ],
                pit: Pit::at(mixture.cdf(y)),
            })
        })?;
        Self::collect(y, rows)
    }

    /// Rows with `predictions` by laws and targets `y` `[n]`. An interval runs from the 5 % to the
    /// 95 % quantile, ends included. For counts it may hold more than 90 %.
    ///
    /// # Errors
    /// If the number of targets is not the number of rows, and those of
    /// [`MixedPredictive::new`](crate::predict::MixedPredictive::new).
    pub fn of_laws(predictions: &MixedPredictions, y: &[f64]) -> Result<Self> {
        if predictions.rows != y.len() || y.is_empty() {
            let (expected, got) = (predictions.rows.max(1), y.len());
            return Err(Error::shape("RealRows::of_laws", expected, got));
        }
        check_targets("RealRows::of_laws", y)?;
        let rows = predictions.each(|row, mixture| {
            let y = y[row];
            let up_to = mixture.cdf(y);
            let below = match mixture.is_discrete() {
                true => mixture.cdf(y - 1.0),
                false => up_to,
            };
            Ok(Row {
                mean: mixture.mean(),
                std: mixture.variance().sqrt(),
                log_loss: -mixture.log_density(y),
                crps: mixture.crps(y)?,
                ends: [
                    mixture.quantile(INTERVAL_ENDS[0])?,
                    mixture.quantile(INTERVAL_ENDS[1])?,
                ],
                pit: Pit { below, up_to },
            })
        })?;
        Self::collect(y, rows)
    }

    fn collect(y: &[f64], rows: Vec<Row>) -> Result<Self> {
        let mut all = Self {
            targets: y.to_vec(),
            ..Self::default()
        };
        for (index, row) in rows.into_iter().enumerate() {
            if row.crps.is_nan() {
                let what = "scores of real targets";
                return Err(Error::NonFinite { what, index });
            }
            all.means.push(row.mean);
            all.stds.push(row.std);
            all.log_losses.push(row.log_loss);
            all.crps.push(row.crps);
            all.lower.push(row.ends[0]);
            all.upper.push(row.ends[1]);
            all.pits.push(row.pit);
        }
        Ok(all)
    }

    /// Adds the rows of `other`. Only rows without weights can be added up.
    pub fn extend(&mut self, other: Self) {
        self.targets.extend(other.targets);
        self.means.extend(other.means);
        self.stds.extend(other.stds);
        self.log_losses.extend(other.log_losses);
        self.crps.extend(other.crps);
        self.lower.extend(other.lower);
        self.upper.extend(other.upper);
        self.pits.extend(other.pits);
        self.weights = None;
    }

    /// The same rows with weights `[n]`. A row of weight 2 counts like two equal rows.
    ///
    /// # Errors
    /// More or fewer weights than rows, or weights that are negative, not finite, or all 0.
    pub fn weighted(self, weights: &[f64]) -> Result<Self> {
        check_optional("RealRows::weighted", self.len(), Some(weights))?;
        let weights = Some(weights.to_vec());
        Ok(Self { weights, ..self })
    }

    /// The weights of the rows, `[n]`, if they have any.
    pub fn weights(&self) -> Option<&[f64]> {
        self.weights.as_deref()
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.targets.len()
    }

    /// True if there are no rows. Scores are NaN then.
    pub fn is_empty(&self) -> bool {
        self.targets.is_empty()
    }

    /// The targets, `[n]`.
    pub fn targets(&self) -> &[f64] {
        &self.targets
    }

    /// Predictive means, `[n]`.
    pub fn means(&self) -> &[f64] {
        &self.means
    }

    /// Negative log densities in nats, `[n]`; infinite where the density is 0.
    pub fn log_losses(&self) -> &[f64] {
        &self.log_losses
    }

    /// Continuous ranked probability scores, `[n]`, in units of the target.
    pub fn crps(&self) -> &[f64] {
        &self.crps
    }

    /// Predictive standard deviations, noise included, `[n]`.
    pub fn stds(&self) -> &[f64] {
        &self.stds
    }

    /// Differences of predictive mean and target, `[n]`.
    pub fn errors(&self) -> Vec<f64> {
        let pairs = self.means.iter().zip(&self.targets);
        pairs.map(|(mean, y)| mean - y).collect()
    }

    /// Probability integral transforms, `[n]`.
    pub fn pits(&self) -> &[Pit] {
        &self.pits
    }

    /// Shares of the transforms in `bins` intervals of equal width, the first of which holds 0.
    /// Calibrated predictions have `1 / bins` in each. A hump in the middle means intervals that
    /// are too wide; high ends mean intervals that are too narrow.
    ///
    /// # Errors
    /// No bins.
    pub fn pit_histogram(&self, bins: usize) -> Result<Vec<f64>> {
        if bins == 0 {
            return Err(Error::config("bins", bins, "at least 1 is needed"));
        }
        Ok(histogram(&self.pits, bins, self.weights()))
    }

    /// Share of the targets in the central intervals of probability `level`, ends included. For
    /// counts it may exceed the level.
    ///
    /// # Errors
    /// A level that is not strictly between 0 and 1.
    pub fn coverage_at(&self, level: f64) -> Result<f64> {
        if !(level > 0.0 && level < 1.0) {
            let requirement = "must lie strictly between 0 and 1";
            return Err(Error::config("level", level, requirement));
        }
        Ok(coverage_at(&self.pits, level, self.weights()))
    }

    /// Lower and upper ends of the 90 % intervals, `[n]` each.
    pub fn intervals(&self) -> (&[f64], &[f64]) {
        (&self.lower, &self.upper)
    }

    pub(super) fn inside(&self, row: usize) -> bool {
        let y = self.targets[row];
        self.lower[row] <= y && y <= self.upper[row]
    }

    /// Interval scores of the 90 % intervals ([`interval_scores`]).
    ///
    /// # Errors
    /// If there are no rows.
    pub fn interval_scores(&self) -> Result<Vec<f64>> {
        interval_scores(&self.lower, &self.upper, INTERVAL_LEVEL, &self.targets)
    }

    /// Root mean squared errors as a mean over rows: one number per row, whose mean is the root
    /// mean squared error and whose variance gives its error (the delta method), `[n]`. All 0 if
    /// all errors are.
    pub fn linearised_rmse(&self) -> Vec<f64> {
        let errors = self.errors();
        let rmse = root_mean_square(self.len(), self.weights(), |i| errors[i]);
        // rmse + (e^2 - rmse^2) / (2 rmse), without the squares
        let of = |i: usize| match rmse > 0.0 {
            true => 0.5 * (rmse + errors[i] * (errors[i] / rmse)),
            false => 0.0,
        };
        (0..self.len()).map(of).collect()
    }

    /// Area under the risk-coverage curve in units of the target: the mean absolute error of the
    /// surest rows by their standard deviations, over all coverages. See
    /// [`RiskCoverage`](super::RiskCoverage).
    pub fn aurc(&self) -> f64 {
        area(
            &Ranking::new(&self.stds),
            &self.absolute_errors(),
            self.weights(),
        )
    }

    pub(super) fn absolute_errors(&self) -> Vec<f64> {
        self.errors().iter().map(|e| e.abs()).collect()
    }

    /// Checks that there are so many rows.
    pub(super) fn check_len(&self, op: &'static str) -> Result<()> {
        match self.is_empty() {
            true => Err(Error::shape(op, "at least one row", counted(0, "row"))),
            false => Ok(()),
        }
    }
}

#[cfg(test)]
#[path = "tests/real_rows.rs"]
mod tests;
