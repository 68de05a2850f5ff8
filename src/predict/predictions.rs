//! Predictive distributions from outputs, with the parts of their uncertainty.
//!
//! Classification, with `p_s` the softmax of sample `s`: `p = mean_s p_s`; total uncertainty is the entropy `H(p)`, the
//! epistemic part the mutual information `H(p) - mean_s H(p_s)` between label and parameters (Houlsby et al. 2011).
//!
//! Regression: a mixture of one Gaussian per sample, with the noise's standard deviation. Its variance is the noise's
//! (aleatoric) plus that of the samples' means (epistemic). Where part of the parameters is integrated out given the
//! rest (Rao-Blackwell), the mean of a sample's Gaussian is itself uncertain: its variance adds to that of the component,
//! and its average over samples to the epistemic part, by the law of total variance.

use rayon::prelude::*;

use super::mixture::{GaussianMixture, MixtureStds};
use super::outputs::Outputs;
use crate::error::{Error, Result};

/// Class probabilities and their uncertainty, a row per input.
#[derive(Clone, Debug, PartialEq)]
pub struct ClassPredictions {
    /// Number of classes.
    pub classes: usize,
    /// `[n, classes]` row-major.
    pub probabilities: Vec<f64>,
    /// Entropy of the predictive distribution, in nats.
    pub entropy: Vec<f64>,
    /// Mutual information between label and parameters, in nats.
    pub mutual_information: Vec<f64>,
}

impl ClassPredictions {
    /// Of no rows yet.
    pub fn empty(classes: usize) -> Self {
        Self {
            classes,
            probabilities: Vec::new(),
            entropy: Vec::new(),
            mutual_information: Vec::new(),
        }
    }

    /// Adds rows, from logits `[n, samples, classes]`.
    ///
    /// # Errors
    /// If the logits are of another number of classes.
    pub fn extend(&mut self, logits: &Outputs) -> Result<()> {
        let k = self.classes;
        if logits.width != k {
            return Err(Error::shape("ClassPredictions", k, logits.width));
        }
        let mut p = vec![0.0; k];
        for row in 0..logits.rows {
            let mut mean = vec![0.0; k];
            let mut expected_entropy = 0.0;
            for sample in logits.row(row).chunks_exact(k) {
                softmax(sample, &mut p);
                expected_entropy += entropy(&p);
                for (m, &q) in mean.iter_mut().zip(&p) {
                    *m += q;
                }
            }
            let count = logits.samples as f64;
            for m in &mut mean {
                *m /= count;
            }
            let total = entropy(&mean);
            self.entropy.push(total);
            // not negative but for rounding, by Jensen's inequality
            self.mutual_information
                .push((total - expected_entropy / count).max(0.0));
            self.probabilities.extend_from_slice(&mean);
        }
        Ok(())
    }
}

fn softmax(logits: &[f64], p: &mut [f64]) {
    let top = logits.iter().fold(f64::NEG_INFINITY, |a, &b| a.max(b));
    let mut sum = 0.0;
    for (p, &o) in p.iter_mut().zip(logits) {
        *p = (o - top).exp();
        sum += *p;
    }
    for p in p {
        *p /= sum;
    }
}

fn entropy(p: &[f64]) -> f64 {
    p.iter().filter(|&&q| q > 0.0).map(|&q| -q * q.ln()).sum()
}

/// Predictive mixtures of a real target, in its own units.
#[derive(Clone, Debug, PartialEq)]
pub struct RegressionPredictions {
    /// Components per row.
    pub samples: usize,
    /// Means of the components, `[n, samples]` row-major.
    pub means: Vec<f64>,
    /// Standard deviation of the noise: of every component, or the root mean square of `noise_stds`.
    pub noise_std: f64,
    /// Standard deviations of the noise, one for each sample, where the noise is part of the posterior; else empty.
    pub noise_stds: Vec<f64>,
    /// Standard deviations of the components' means around `means`, noise not included, `[n, samples]` row-major; empty if
    /// the means are exact. A component has the variance of its noise plus `component_std^2`.
    pub component_stds: Vec<f64>,
}

/// The predictive distribution of one row, in numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RegressionSummary {
    /// Predictive mean.
    pub mean: f64,
    /// Predictive standard deviation, noise included.
    pub std: f64,
    /// Standard deviation without the noise: of the samples' means, and of each around its own.
    pub epistemic_std: f64,
    /// 5 % quantile of the mixture.
    pub q05: f64,
    /// 95 % quantile of the mixture.
    pub q95: f64,
}

impl RegressionPredictions {
    /// From standardised outputs `[n, samples, 1]`: the target is `target_mean + target_std * output`, with noise of
    /// `noise_std` standardised units.
    ///
    /// # Errors
    /// If the outputs are not one number wide.
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
        Ok(Self {
            samples: outputs.samples,
            means: outputs
                .values
                .iter()
                .map(|o| target_mean + target_std * o)
                .collect(),
            noise_std: noise_std * target_std,
            noise_stds: Vec::new(),
            component_stds: Vec::new(),
        })
    }

    /// The same with a noise for each sample: `noise_stds` is `[samples]`, in standardised units.
    ///
    /// # Errors
    /// Those of [`RegressionPredictions::new`], and if there are more or fewer of them than samples, or one is not positive
    /// and finite.
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
        let squares: f64 = noise_stds.iter().map(|s| s * s).sum();
        let common = (squares / noise_stds.len().max(1) as f64).sqrt();
        let mut predictions = Self::new(outputs, common, target_mean, target_std)?;
        predictions.noise_stds = noise_stds.iter().map(|s| target_std * s).collect();
        predictions.total_stds()?;
        Ok(predictions)
    }

    /// From standardised Gaussians of the noiseless output: `outputs` `[n, samples, 1]` are their means, `stds`
    /// `[n, samples]` their deviations (0 where one is exact). Units and noise as in [`RegressionPredictions::new`].
    ///
    /// # Errors
    /// If the outputs are not one number wide, there are more or fewer deviations than outputs, one is negative or not
    /// finite, or the noise is not positive.
    pub fn analytic(
        outputs: &Outputs,
        stds: &[f64],
        noise_std: f64,
        target_mean: f64,
        target_std: f64,
    ) -> Result<Self> {
        if stds.len() != outputs.values.len() {
            let expected = format!("{} deviations", outputs.values.len());
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

    /// The deviations of the components with the noise, `[n, samples]` row-major; `None` if that is `noise_std` for all.
    ///
    /// # Errors
    /// If there are more or fewer component deviations than means, one is negative or not finite, or the noise is not
    /// positive.
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
            let expected = format!("{} component deviations", self.means.len());
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

    /// Mean, spread and quantiles of every row, rows in parallel.
    ///
    /// # Errors
    /// Without samples, and those of [`RegressionPredictions::total_stds`].
    pub fn summaries(&self) -> Result<Vec<RegressionSummary>> {
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
        self.means
            .par_chunks_exact(self.samples)
            .enumerate()
            .map(|(row, means)| {
                let mixture = GaussianMixture::of(means, stds.of_row(row, self.samples))?;
                let (mean, variance) = (mixture.mean(), mixture.variance());
                Ok(RegressionSummary {
                    mean,
                    std: variance.sqrt(),
                    epistemic_std: (variance - self.noise_std.powi(2)).max(0.0).sqrt(),
                    q05: mixture.quantile(0.05)?,
                    q95: mixture.quantile(0.95)?,
                })
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outputs(rows: usize, samples: usize, width: usize, values: &[f64]) -> Outputs {
        Outputs {
            rows,
            samples,
            width,
            values: values.to_vec(),
        }
    }

    #[test]
    fn two_samples_that_disagree_are_all_epistemic() {
        let sure = 800.0;
        let logits = outputs(2, 2, 2, &[sure, 0.0, 0.0, sure, 0.0, 0.0, 0.0, 0.0]);
        let mut predictions = ClassPredictions::empty(2);
        predictions.extend(&logits).unwrap();
        assert_eq!(predictions.probabilities, [0.5; 4]);
        let ln2 = 2f64.ln();
        assert!((predictions.entropy[0] - ln2).abs() < 1e-15);
        assert!((predictions.mutual_information[0] - ln2).abs() < 1e-15);
        // two samples that agree on a coin: all aleatoric
        assert!((predictions.entropy[1] - ln2).abs() < 1e-15);
        assert!(predictions.mutual_information[1] < 1e-15);
    }

    #[test]
    fn regression_goes_back_to_the_targets_units() {
        let predictions =
            RegressionPredictions::new(&outputs(1, 2, 1, &[-1.0, 1.0]), 0.5, 10.0, 4.0).unwrap();
        assert_eq!(predictions.means, [6.0, 14.0]);
        let summary = predictions.summaries().unwrap()[0];
        assert_eq!(summary.mean, 10.0);
        assert!((summary.epistemic_std - 4.0).abs() < 1e-12);
        assert!((summary.std - 20f64.sqrt()).abs() < 1e-12);
        // symmetric mixture: quantiles mirror one another
        assert!((summary.q05 + summary.q95 - 20.0).abs() < 1e-8);
    }

    #[test]
    fn analytic_components_carry_their_own_variance() {
        let means = outputs(2, 2, 1, &[-1.0, 1.0, 0.0, 0.0]);
        let stds = [0.5, 1.0, 0.0, 2.0];
        let p = RegressionPredictions::analytic(&means, &stds, 0.5, 10.0, 4.0).unwrap();
        assert_eq!((p.means[0], p.noise_std), (6.0, 2.0));
        assert_eq!(p.component_stds, [2.0, 4.0, 0.0, 8.0]);
        let total = p.total_stds().unwrap().unwrap();
        for (std, square) in total.iter().zip([8.0f64, 20.0, 4.0, 68.0]) {
            assert!((std * std - square).abs() < 1e-12);
        }
        let rows = p.summaries().unwrap();
        // row 0: means 6 and 14, their own variances 4 and 16, noise 4
        assert!((rows[0].epistemic_std.powi(2) - (16.0 + 10.0)).abs() < 1e-12);
        assert!((rows[0].std.powi(2) - 30.0).abs() < 1e-12);
        // row 1: no spread of means, variances 0 and 64; symmetric
        assert!((rows[1].epistemic_std.powi(2) - 32.0).abs() < 1e-12);
        assert!((rows[1].q05 + rows[1].q95 - 20.0).abs() < 1e-8);
        for (row, summary) in rows.iter().enumerate() {
            let at = 2 * row..2 * row + 2;
            let mixture = GaussianMixture::with_stds(&p.means[at.clone()], &total[at]).unwrap();
            assert!((mixture.cdf(summary.q05) - 0.05).abs() < 1e-10);
            assert!((mixture.cdf(summary.q95) - 0.95).abs() < 1e-10);
        }
    }

    /// Law of total variance with a noise for each sample, and the mixture that it means.
    #[test]
    fn samples_may_have_a_noise_each() {
        let means = outputs(2, 2, 1, &[-1.0, 1.0, 0.5, 0.5]);
        let p = RegressionPredictions::with_noise_stds(&means, &[0.1, 0.7], 10.0, 4.0).unwrap();
        assert!((p.noise_std.powi(2) - 16.0 * 0.25).abs() < 1e-12);
        let total = p.total_stds().unwrap().unwrap();
        for (got, want) in total.iter().zip([0.4, 2.8, 0.4, 2.8]) {
            assert!((got - want).abs() < 1e-12);
        }
        let rows = p.summaries().unwrap();
        assert!((rows[0].epistemic_std - 4.0).abs() < 1e-9);
        assert!(rows[1].epistemic_std < 1e-6 && (rows[1].std - 2.0).abs() < 1e-12);
        let mixture = GaussianMixture::with_stds(&p.means[..2], &total[..2]).unwrap();
        assert!((mixture.cdf(rows[0].q05) - 0.05).abs() < 1e-10);
        let bad = |stds: &[f64]| RegressionPredictions::with_noise_stds(&means, stds, 0.0, 1.0);
        for stds in [&[0.1][..], &[0.1, 0.0], &[0.1, f64::NAN], &[0.1, 0.2, 0.3]] {
            assert!(bad(stds).is_err(), "{stds:?}");
        }
    }

    #[test]
    fn exact_components_are_those_of_plain_predictions() {
        let means = outputs(2, 3, 1, &[-1.0, 0.2, 1.0, 4.0, 3.0, 0.1]);
        let plain = RegressionPredictions::new(&means, 0.3, -2.0, 3.0).unwrap();
        let exact = RegressionPredictions::analytic(&means, &[0.0; 6], 0.3, -2.0, 3.0).unwrap();
        assert_eq!(plain.total_stds().unwrap(), None);
        assert_eq!(plain.means, exact.means);
        let both = plain.summaries().unwrap();
        for (a, b) in both.iter().zip(exact.summaries().unwrap()) {
            assert!((a.mean - b.mean).abs() < 1e-12 && (a.std - b.std).abs() < 1e-12);
            assert!((a.epistemic_std - b.epistemic_std).abs() < 1e-12);
            assert!((a.q05 - b.q05).abs() < 1e-9 && (a.q95 - b.q95).abs() < 1e-9);
        }
    }

    #[test]
    fn deviations_that_are_none_are_refused() {
        let means = outputs(1, 2, 1, &[0.0, 1.0]);
        let analytic = |stds: &[f64], noise| {
            RegressionPredictions::analytic(&means, stds, noise, 0.0, 1.0).map(|_| ())
        };
        assert!(analytic(&[0.0, 1.0], 1.0).is_ok());
        for stds in [&[][..], &[1.0], &[1.0, -1.0], &[f64::NAN, 1.0]] {
            assert!(analytic(stds, 1.0).is_err(), "{stds:?}");
        }
        // the square of a negative noise would pass for that of a positive one
        for noise in [-1.0, 0.0, f64::NAN, f64::INFINITY] {
            assert!(analytic(&[1.0, 1.0], noise).is_err(), "{noise}");
        }
        let wide = outputs(1, 1, 2, &[0.0, 1.0]);
        assert!(RegressionPredictions::analytic(&wide, &[1.0; 2], 1.0, 0.0, 1.0).is_err());
    }
}
