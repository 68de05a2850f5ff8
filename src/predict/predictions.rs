//! Predictive distributions from outputs, with the parts of their uncertainty.
//!
//! Classification, with `p_s` the softmax of sample `s`: `p = mean_s p_s`; total uncertainty is the entropy `H(p)`, the
//! epistemic part the mutual information `H(p) - mean_s H(p_s)` between label and parameters (Houlsby et al. 2011).
//!
//! Regression: a mixture of one Gaussian per sample, all with the noise's standard deviation. Its variance is the noise's
//! (aleatoric) plus that of the samples' means (epistemic).

use rayon::prelude::*;

use super::mixture::GaussianMixture;
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
    /// Standard deviation of every component.
    pub noise_std: f64,
}

/// The predictive distribution of one row, in numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RegressionSummary {
    /// Predictive mean.
    pub mean: f64,
    /// Predictive standard deviation, noise included.
    pub std: f64,
    /// Standard deviation of the samples' means.
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
        })
    }

    /// Mean, spread and quantiles of every row, rows in parallel.
    ///
    /// # Errors
    /// If the noise is not positive.
    pub fn summaries(&self) -> Result<Vec<RegressionSummary>> {
        if self.samples == 0 {
            return Err(Error::shape(
                "RegressionPredictions",
                "at least one sample",
                0,
            ));
        }
        self.means
            .par_chunks_exact(self.samples)
            .map(|means| {
                let mixture = GaussianMixture::new(means, self.noise_std)?;
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
}
