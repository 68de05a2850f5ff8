//! Probabilities of classes computed from outputs, and the parts of their uncertainty.
//!
//! Let `p_s` be the softmax of sample `s`. The prediction is `p = mean_s p_s`. Its
//! total uncertainty is the entropy `H(p)`. The epistemic part is the mutual information of label
//! and parameters, `H(p) - mean_s H(p_s)` (Houlsby et al. 2011).

use super::outputs::Outputs;
use crate::error::{Error, Result, counted};
use crate::linalg::{check_table, output_of};

/// Class probabilities and their uncertainty, one row per input.
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
    /// Entropy that is left under a single draw, on average, in nats: the entropy less the mutual
    /// information. A map of the probabilities changes the entropy only, so the three then do not
    /// add up.
    pub aleatoric_entropy: Vec<f64>,
}

impl ClassPredictions {
    /// No rows yet.
    pub fn empty(classes: usize) -> Self {
        Self {
            classes,
            probabilities: Vec::new(),
            entropy: Vec::new(),
            mutual_information: Vec::new(),
            aleatoric_entropy: Vec::new(),
        }
    }

    /// Adds rows from logits `[n, samples, classes]`. If it fails, no rows are added.
    ///
    /// # Errors
    /// If the number of classes differs, there are no samples or classes, or a logit is not finite.
    /// Minus infinity is refused too: with finite parameters it comes only from an overflow, so it
    /// says nothing about its class.
    pub fn extend(&mut self, logits: &Outputs) -> Result<()> {
        self.check(logits)?;
        for row in 0..logits.rows {
            self.push([(1.0, logits.row(row))].into_iter());
        }
        Ok(())
    }

    /// Adds rows predicted by several models, each with its weight and its logits. The weights must
    /// sum to 1.
    ///
    /// # Errors
    /// Those of [`ClassPredictions::extend`], and if models differ in their rows.
    pub fn extend_weighted(&mut self, models: &[(f64, Outputs)]) -> Result<()> {
        let rows = models.first().map_or(0, |m| m.1.rows);
        for (_, logits) in models {
            self.check(logits)?;
            if logits.rows != rows {
                return Err(Error::shape("ClassPredictions", rows, logits.rows));
            }
        }
        for row in 0..rows {
            self.push(
                models
                    .iter()
                    .map(|(weight, logits)| (*weight, logits.row(row))),
            );
        }
        Ok(())
    }

    /// Adds a row from the models' samples.
    fn push<'a>(&mut self, models: impl Iterator<Item = (f64, &'a [f64])>) {
        let mut sums = ClassSums::new(self.classes);
        for (weight, samples) in models {
            sums.add(weight, samples);
        }
        let (entropy, mutual_information) = sums.uncertainty();
        self.entropy.push(entropy);
        self.mutual_information.push(mutual_information);
        self.aleatoric_entropy
            .push((entropy - mutual_information).max(0.0));
        self.probabilities.extend_from_slice(sums.probabilities());
    }

    /// Checks that the logits fit these classes.
    fn check(&self, logits: &Outputs) -> Result<()> {
        let k = self.classes;
        if logits.width != k {
            return Err(Error::shape("ClassPredictions", k, logits.width));
        }
        let expected = logits
            .rows
            .checked_mul(logits.samples)
            .and_then(|n| n.checked_mul(k));
        if k == 0 || logits.samples == 0 || expected != Some(logits.values.len()) {
            let expected = format!(
                "{} of at least one sample of at least one class",
                counted(logits.rows, "row")
            );
            let got = format!(
                "{} for {} of {}",
                counted(logits.values.len(), "number"),
                counted(logits.samples, "sample"),
                counted(k, "class")
            );
            return Err(Error::shape("ClassPredictions", expected, got));
        }
        check_table::<f64>("logits", &logits.values, logits.samples * k, output_of(k))
    }
}

/// The class probabilities of one row, summed over samples and models.
#[derive(Clone, Debug)]
pub struct ClassSums {
    one: Vec<f64>,
    mean: Vec<f64>,
    total: Vec<f64>,
    conditional_entropy: f64,
}

impl ClassSums {
    /// No models yet.
    pub fn new(classes: usize) -> Self {
        Self {
            one: vec![0.0; classes],
            mean: vec![0.0; classes],
            total: vec![0.0; classes],
            conditional_entropy: 0.0,
        }
    }

    /// Starts again. Like everything else here, it allocates nothing.
    pub fn clear(&mut self) {
        self.total.fill(0.0);
        self.conditional_entropy = 0.0;
    }

    /// Adds a model with its weight: logits `[samples, classes]`, which must be finite.
    ///
    /// # Panics
    /// If there are no classes.
    pub fn add(&mut self, weight: f64, logits: &[f64]) {
        let k = self.one.len();
        self.add_each(weight, logits.chunks_exact(k), logits.len() / k);
    }

    /// The same from single logits: those of class 1 of two classes.
    pub fn add_logits_of_one(&mut self, weight: f64, logits: &[f64]) {
        self.add_each(weight, logits.iter().map(|&o| [0.0, o]), logits.len());
    }

    fn add_each(
        &mut self,
        weight: f64,
        samples: impl Iterator<Item = impl AsRef<[f64]>>,
        count: usize,
    ) {
        self.mean.fill(0.0);
        let mut expected_entropy = 0.0;
        for sample in samples {
            softmax(sample.as_ref(), &mut self.one);
            expected_entropy += entropy(&self.one);
            for (m, &q) in self.mean.iter_mut().zip(&self.one) {
                *m += q;
            }
        }
        let count = count as f64;
        for (t, m) in self.total.iter_mut().zip(&self.mean) {
            *t += weight * (m / count);
        }
        self.conditional_entropy += weight * (expected_entropy / count);
    }

    /// Class probabilities, `[classes]`.
    pub fn probabilities(&self) -> &[f64] {
        &self.total
    }

    /// Entropy of the predictive distribution, and mutual information of label and parameters, in
    /// nats.
    pub fn uncertainty(&self) -> (f64, f64) {
        let entropy = entropy(&self.total);
        // by Jensen's inequality, only rounding can make this negative
        (entropy, (entropy - self.conditional_entropy).max(0.0))
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

pub(crate) fn entropy(p: &[f64]) -> f64 {
    let positive = p.iter().filter(|&&q| q > 0.0);
    // subtract from 0, so that certainty gives 0: a sum of -1 ln 1 is -0, and so is an empty sum
    let sum = positive.fold(0.0, |h, &q| h - q * q.ln());
    // probabilities that rounding has put above 1 would make it negative
    if sum > 0.0 { sum } else { 0.0 }
}

#[cfg(test)]
#[path = "predictions_tests.rs"]
mod tests;
