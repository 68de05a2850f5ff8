//! Predictive distributions of real targets, and the parts of their uncertainty.
//!
//! The prediction is a mixture of one Gaussian per sample, with the noise's standard deviation. Its
//! variance is that of the noise (aleatoric) plus that of the samples' means (epistemic). Where
//! part of the parameters is integrated out given the rest (Rao-Blackwell), the mean of a sample's
//! Gaussian is itself uncertain. By the law of total variance, its variance adds to that of the
//! component, and its average over samples adds to the epistemic part.

use super::mixture::{GaussianMixture, MixtureStds};
use super::outputs::Outputs;
use super::real::{RealMoments, RealPredictions};
use crate::error::{Error, Result, counted};
use crate::linalg::{check_table, output_of};
use crate::parallel;

/// Predictive mixtures of a real target, in its own units.
#[derive(Clone, Debug, PartialEq)]
pub struct RegressionPredictions {
    /// Components per row.
    pub samples: usize,
    /// Means of the components, `[n, samples]` row-major.
    pub means: Vec<f64>,
    /// Standard deviation of the noise: common to all components, or the root mean square of
    /// `noise_stds`.
    pub noise_std: f64,
    /// Standard deviations of the noise, one per sample, if the noise is part of the posterior;
    /// else empty.
    pub noise_stds: Vec<f64>,
    /// Standard deviations of the components' means around `means`, without noise, `[n, samples]`
    /// row-major; empty if the means are exact. A component has the variance of its noise plus
    /// `component_std^2`.
    pub component_stds: Vec<f64>,
}

impl RegressionPredictions {
    /// From standardised outputs `[n, samples, 1]`. The target is
    /// `target_mean + target_std * output`, with noise of `noise_std` standardised units.
    ///
    /// # Errors
    /// If the outputs are not one number wide, or one is not finite in the target's units.
    pub fn new(
        outputs: &Outputs,
        noise_std: f64,
        target_mean: f64,
        target_std: f64,
    ) -> Result<Self> {
        if outputs.width != 1 {
            return Err(Error::shape(
                "RegressionPredictions",
                "1 output",
                outputs.width,
            ));
        }
        let in_units = |o: &f64| target_mean + target_std * o;
        let means: Vec<f64> = outputs.values.iter().map(in_units).collect();
        check_table::<f64>("predictive means", &means, outputs.samples, output_of(1))?;
        Ok(Self {
            samples: outputs.samples,
            means,
            noise_std: noise_std * target_std,
            noise_stds: Vec::new(),
            component_stds: Vec::new(),
        })
    }

    /// The same with one noise per sample: `noise_stds` is `[samples]`, in standardised units.
    ///
    /// # Errors
    /// Those of [`RegressionPredictions::new`], and if the number of deviations is not the number
    /// of samples, or one is not positive and finite.
    pub fn with_noise_stds(
        outputs: &Outputs,
        noise_stds: &[f64],
        target_mean: f64,
        target_std: f64,
    ) -> Result<Self> {
        if noise_stds.len() != outputs.samples {
            let op = "RegressionPredictions: deviations of the noise";
            return Err(Error::shape(op, outputs.samples, noise_stds.len()));
        }
        Self::new(outputs, 1.0, target_mean, target_std)?.with_noise(noise_stds, target_std)
    }

    /// The same predictions with one noise per sample: `noise_stds` is `[samples]`, in standardised
    /// units.
    ///
    /// # Errors
    /// If the number of deviations is not the number of samples, or one is not positive and finite.
    pub fn with_noise(mut self, noise_stds: &[f64], target_std: f64) -> Result<Self> {
        let squares: f64 = noise_stds.iter().map(|s| s * s).sum();
        let common = (squares / noise_stds.len().max(1) as f64).sqrt();
        self.noise_std = common * target_std;
        self.noise_stds = noise_stds.iter().map(|s| target_std * s).collect();
        self.total_stds()?;
        Ok(self)
    }

    /// From standardised Gaussians of the noiseless output. `outputs` `[n, samples, 1]` are their
    /// means, `stds` `[n, samples]` their standard deviations (0 where a mean is exact). Units and
    /// noise are as in [`RegressionPredictions::new`].
    ///
    /// # Errors
    /// If the outputs are not one number wide, one is not finite in the target's units, there are
    /// more or fewer deviations than outputs, a deviation is negative or not finite, or the noise
    /// is not positive.
    pub fn analytic(
        outputs: &Outputs,
        stds: &[f64],
        noise_std: f64,
        target_mean: f64,
        target_std: f64,
    ) -> Result<Self> {
        if stds.len() != outputs.values.len() {
            let expected = counted(outputs.values.len(), "deviation");
            return Err(Error::shape(
                "RegressionPredictions::analytic",
                expected,
                stds.len(),
            ));
        }
        let mut predictions = Self::new(outputs, noise_std, target_mean, target_std)?;
        predictions.component_stds = stds.iter().map(|s| target_std * s).collect();
        predictions.total_stds()?;
        Ok(predictions)
    }

    /// Standard deviations of the components, noise included, `[n, samples]` row-major; `None` if
    /// `noise_std` is that of all.
    ///
    /// # Errors
    /// If the number of component deviations is not the number of means, one is negative or not
    /// finite, or the noise is not positive.
    pub fn total_stds(&self) -> Result<Option<Vec<f64>>> {
        let (noise, own) = (self.noise_std, &self.component_stds);
        if !(noise.is_finite() && noise > 0.0) {
            let requirement = "must be finite and positive";
            return Err(Error::config("noise_std", noise, requirement));
        }
        let each = &self.noise_stds;
        if !each.is_empty() {
            if each.len() != self.samples {
                let op = "RegressionPredictions: deviations of the noise";
                return Err(Error::shape(op, self.samples, each.len()));
            }
            if let Some(index) = each.iter().position(|s| !(s.is_finite() && *s > 0.0)) {
                let value = format!("{} (sample {index}, from 0)", each[index]);
                let requirement = "must be finite and positive";
                return Err(Error::config("noise_stds", value, requirement));
            }
        }
        if own.is_empty() && each.is_empty() {
            return Ok(None);
        }
        if own.is_empty() {
            let rows = self.means.len() / self.samples.max(1);
            return Ok(Some(each.repeat(rows)));
        }
        if own.len() != self.means.len() {
            let expected = counted(self.means.len(), "component deviation");
            return Err(Error::shape("RegressionPredictions", expected, own.len()));
        }
        if let Some(index) = own.iter().position(|s| !(s.is_finite() && *s >= 0.0)) {
            let value = format!("{} (number {index}, from 0)", own[index]);
            let requirement = "must be finite and not negative";
            return Err(Error::config("component_stds", value, requirement));
        }
        let noise_of = |i: usize| *each.get(i % self.samples.max(1)).unwrap_or(&noise);
        let total = own.iter().enumerate().map(|(i, s)| noise_of(i).hypot(*s));
        Ok(Some(total.collect()))
    }

    /// The log density of every row's target. Stops at the shorter of `y` and the rows.
    ///
    /// # Errors
    /// Those of [`RegressionPredictions::total_stds`], or if a mean is not finite.
    pub fn log_densities(&self, y: &[f64]) -> Result<Vec<f64>> {
        let own = self.total_stds()?;
        let stds = own
            .as_deref()
            .map_or(MixtureStds::Common(self.noise_std), MixtureStds::Each);
        let means: Vec<&[f64]> = self.means.chunks_exact(self.samples.max(1)).collect();
        parallel::try_map(means.len().min(y.len()), |row| {
            let mixture = GaussianMixture::of(means[row], stds.of_row(row, self.samples))?;
            Ok(mixture.log_density(y[row]))
        })
    }

    /// Moments of every row, with quantiles at `probabilities`, rows in parallel.
    ///
    /// # Errors
    /// If there are no samples, a mean is not finite, the variance of a row overflows, or a
    /// probability is outside the open interval (0, 1). Also those of
    /// [`RegressionPredictions::total_stds`].
    pub fn summaries(&self, probabilities: &[f64]) -> Result<RealPredictions> {
        if self.samples == 0 {
            return Err(Error::shape(
                "RegressionPredictions",
                "at least one sample",
                0,
            ));
        }
        let own = self.total_stds()?;
        let stds = own
            .as_deref()
            .map_or(MixtureStds::Common(self.noise_std), MixtureStds::Each);
        let means: Vec<&[f64]> = self.means.chunks_exact(self.samples).collect();
        let rows = parallel::try_map(means.len(), |row| {
            let mixture = GaussianMixture::of(means[row], stds.of_row(row, self.samples))?;
            let own = self.component_stds.chunks_exact(self.samples).nth(row);
            let moments = RealMoments::of(&mixture, own.unwrap_or(&[]));
            let moments = moments.map_err(|e| e.rows_from(row))?;
            let mut quantiles = vec![0.0; probabilities.len()];
            moments.quantiles(&mixture, probabilities, &mut quantiles)?;
            Ok((moments, quantiles))
        })?;
        Ok(RealPredictions::of_rows(probabilities, rows))
    }
}
