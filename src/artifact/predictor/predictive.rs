//! Quantiles, intervals and draws of predictive distributions, and predictions block by block.

use super::{Predictions, Predictor};
use crate::data::Dataset;
use crate::error::{Error, Result, counted};
use crate::predict::{DrawOptions, PredictiveDraws, RealPredictions};

/// The probabilities below and up to the ends of the central interval of probability `level`:
/// `(1 - level) / 2` and `(1 + level) / 2`.
///
/// # Errors
/// A level that is not strictly between 0 and 1, or so near to 1 that its ends are 0 and 1.
pub fn interval_ends(level: f64) -> Result<[f64; 2]> {
    // 0.5 - level / 2 cancels less than (1 - level) / 2 rounds: for 0.9 it is 0.05, as it should be
    let half = 0.5 * level;
    let ends = [snapped(0.5 - half), snapped(0.5 + half)];
    match level > 0.0 && ends[0] > 0.0 && ends[1] < 1.0 {
        true => Ok(ends),
        false => {
            let requirement = "must lie strictly between 0 and 1";
            Err(Error::config("level", level, requirement))
        }
    }
}

/// Rounded to twelve digits, so that 0.5 - 0.45 is 0.05 and not 0.04999999999999999.
fn snapped(p: f64) -> f64 {
    let rounded = (1e12 * p).round() / 1e12;
    match rounded > 0.0 && rounded < 1.0 {
        true => rounded,
        false => p,
    }
}

impl Predictor {
    /// Quantiles of the predictive distributions of rows `x` (`[n, d]`, raw features): `[n,
    /// probabilities]`, row-major, in the target's units, within 1e-6 of the standard deviation.
    /// For counts, the smallest count whose distribution function reaches the probability.
    ///
    /// # Errors
    /// If the model predicts classes, a probability is not strictly between 0 and 1, and those of
    /// [`Predictor::rows`].
    pub fn quantiles(&self, x: &[f64], probabilities: &[f64]) -> Result<Vec<f64>> {
        Ok(self.real("quantiles", x, probabilities)?.quantiles)
    }

    /// Central intervals of probability `level` of rows `x` (`[n, d]`, raw features): the ends of
    /// each row's, `[n]`, in the target's units. As much probability lies below an interval as
    /// above it. Where counts jump over an end, it holds more than `level`.
    ///
    /// # Errors
    /// Those of [`interval_ends`] and [`Predictor::quantiles`].
    pub fn intervals(&self, x: &[f64], level: f64) -> Result<Vec<[f64; 2]>> {
        let ends = self.quantiles(x, &interval_ends(level)?)?;
        Ok(ends.as_chunks().0.to_vec())
    }

    /// Predictive distributions of every target of a likelihood that has several a row
    /// ([`Likelihood::predictive_of`](crate::model::Likelihood::predictive_of)), in their order:
    /// moments, with the parts of noise and of parameters, and quantiles at `probabilities`, for rows
    /// `x` (`[n, d]`, raw features). The model's calibration is applied, as in [`Predictor::rows`],
    /// and without rows there is no entry at all. These are marginal laws; [`Predictor::outputs`] has the
    /// outputs of all targets under each draw together, for what depends on several.
    ///
    /// # Errors
    /// If the model predicts classes, is a mixture of models or an atlas that predicts without
    /// draws, a target has no law, a probability is not strictly between 0 and 1, and those of
    /// [`Predictor::rows`].
    pub fn targets(&self, x: &[f64], probabilities: &[f64]) -> Result<Vec<RealPredictions>> {
        check_probabilities("targets", probabilities)?;
        let all = self.rows.targets(x, probabilities)?;
        let calibrated = |target| match self.calibrated(Predictions::Real(target)) {
            Predictions::Real(target) => Ok(target),
            Predictions::Classes(_) => Err(Error::shape("targets", "numbers", "classes")),
        };
        all.into_iter().map(calibrated).collect()
    }

    /// Joint draws of rows `x` (`[n, d]`, raw features): `[n, count, width]`, see
    /// [`PredictiveDraws`]. One posterior draw serves all rows, so that draws of sums and
    /// differences over rows are right too ([`DrawOptions`]). With noise, draws are targets in
    /// their units, or labels. Without, they are means in the units that the likelihood sees,
    /// mapped back to the target's, or class probabilities.
    ///
    /// Draws follow the calibrated predictions. Those of a number are stretched around the mean. Those
    /// of classes are moved as little as possible ([`Transport`](crate::calibrate::Transport)): over
    /// draws, labels occur with the calibrated probabilities, and probabilities average to them.
    ///
    /// # Errors
    /// If no draws are asked for, the likelihood states no law, and those of [`Predictor::rows`].
    pub fn draws(&self, x: &[f64], how: &DrawOptions) -> Result<PredictiveDraws> {
        self.calibrated_draws(x, how)
    }

    /// Predictions of rows `x` (`[n, d]`) in blocks of at most `size` rows, in order, each with the
    /// number of its first row. Only one block is in memory. The numbers are those of
    /// [`Predictor::rows`], whatever the size.
    ///
    /// # Errors
    /// If `size` is 0, and those of [`Predictor::rows`] and of `use_block`. Rows are counted from
    /// the first of all.
    pub fn in_blocks<E: From<Error>>(
        &self,
        x: &[f64],
        size: usize,
        mut use_block: impl FnMut(usize, &[f64], &Predictions) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        if size == 0 {
            return Err(Error::config("rows of a block", size, "must be positive").into());
        }
        let d = self.rows.width();
        if !x.len().is_multiple_of(d) {
            let (expected, got) = (counted(d, "feature"), counted(x.len(), "number"));
            return Err(Error::shape("predict", format!("rows of {expected}"), got).into());
        }
        if x.is_empty() {
            return use_block(0, x, &self.rows(x)?);
        }
        for (at, block) in x.chunks(size.saturating_mul(d)).enumerate() {
            let first = at * size;
            let predictions = self.rows(block).map_err(|e| e.rows_from(first))?;
            use_block(first, block, &predictions)?;
        }
        Ok(())
    }

    /// The negative log likelihood of all rows with known targets, a sum by their weights in nats, if
    /// predictions were stretched around their means by each of `factors`. A factor of the model's
    /// calibration does not count.
    ///
    /// # Errors
    /// If the target is a class, a count or transformed, and those of [`Predictor::evaluate`].
    pub fn stretched_losses(&self, data: &Dataset, factors: &[f64]) -> Result<Vec<f64>> {
        self.rows.stretched_losses(data, factors)
    }

    /// True if the predictions may be stretched around their means: those of a real target that is
    /// neither a count nor transformed.
    pub fn stretches(&self) -> bool {
        self.rows.stretches()
    }

    /// Number of classes; `None` for a real target.
    pub fn classes(&self) -> Option<usize> {
        self.rows.classes()
    }

    fn real(&self, what: &'static str, x: &[f64], at: &[f64]) -> Result<RealPredictions> {
        check_probabilities(what, at)?;
        match self.calibrated(self.rows.rows(x, at)?) {
            Predictions::Real(real) => Ok(real),
            Predictions::Classes(p) => {
                let value = format!("a target of {}", counted(p.classes, "class"));
                Err(Error::config(what, value, "are of a number"))
            }
        }
    }
}

/// Checks that probabilities of quantiles lie strictly between 0 and 1.
fn check_probabilities(what: &'static str, probabilities: &[f64]) -> Result<()> {
    match probabilities.iter().find(|p| !(**p > 0.0 && **p < 1.0)) {
        None => Ok(()),
        Some(p) => Err(Error::config(what, p, "must lie strictly between 0 and 1")),
    }
}
