//! How far the predictions of samples are from those of a walk: the measure of a deformation.
//!
//! It compares predictive distributions at inputs that need no targets: rows of the training set,
//! midpoints of pairs of rows, and points as far on the other side, many of which lie beyond the
//! data. Classification: the mean total variation. Regression: the root mean square difference of
//! predictive means and of epistemic standard deviations, in units of the noise. Beside the distance
//! stands the spread: how much predictions differ from sample to sample, on average over the
//! inputs, against the same of the walk.

use crate::error::Result;
use crate::nn::LinearHead;
use crate::predict::{ClassPredictions, Outputs, network_outputs};
use crate::scalar::Scalar;

/// Most rows of the training set that are used. As many points lie between them, and as many
/// beyond.
const ROWS: usize = 128;

/// Most points of the walk that its predictions use.
const POINTS: usize = 512;

/// The predictions of a walk.
pub(super) struct Agreement<'a> {
    network: &'a dyn LinearHead,
    inputs: Vec<f64>,
    noise_std: Option<f64>,
    walk: Vec<f64>,
    spread: f64,
}

/// How near samples are to a walk.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Closeness {
    /// Distance of predictions.
    pub distance: f64,
    /// Their spread over the walk's; 1 if neither has any.
    pub spread: f64,
}

impl<'a> Agreement<'a> {
    /// Predictions of a walk's points `[n, P]`, at inputs made from rows `x` (`[n, d]`).
    pub fn new<T: Scalar>(
        network: &'a dyn LinearHead,
        x: &[f64],
        noise_std: Option<f64>,
        points: &[T],
    ) -> Result<Self> {
        let d = network.input_dim();
        let n = x.len() / d;
        let used = n.min(ROWS);
        let row = |k: usize| {
            let at = (k % used) * n / used;
            &x[at * d..(at + 1) * d]
        };
        let mut inputs: Vec<f64> = (0..used).flat_map(row).copied().collect();
        for share in [0.5, -0.5] {
            for k in 0..used {
                let pairs = row(k).iter().zip(row(k + used / 2 + 1));
                inputs.extend(pairs.map(|(a, b)| a + share * (b - a)));
            }
        }
        let mut agreement = Self {
            network,
            inputs,
            noise_std,
            walk: Vec::new(),
            spread: 0.0,
        };
        let points = thinned(points, network.dim(), POINTS);
        (agreement.walk, agreement.spread) = agreement.predictions(&points)?;
        Ok(agreement)
    }

    /// Class probabilities, or mean and epistemic standard deviation in units of the noise, for
    /// each input in turn; and their mean spread.
    fn predictions<T: Scalar>(&self, samples: &[T]) -> Result<(Vec<f64>, f64)> {
        let mut all = Vec::new();
        let (mut spread, inputs) = (0.0, self.inputs.len() / self.network.input_dim());
        match self.noise_std {
            None => {
                let mut classes = ClassPredictions::empty(self.network.output_dim().max(2));
                network_outputs(self.network, samples, &self.inputs, |block| {
                    let two = (block.width == 1).then(|| block.two_logits());
                    let block = two.as_ref().unwrap_or(block);
                    spread += spread_of_classes(block);
                    classes.extend(block)
                })?;
                all = classes.probabilities;
            }
            Some(noise_std) => network_outputs(self.network, samples, &self.inputs, |block| {
                for row in 0..block.rows {
                    let outputs = block.row(row);
                    let n = outputs.len() as f64;
                    let mean = outputs.iter().sum::<f64>() / n;
                    let squares = outputs.iter().map(|o| (o - mean).powi(2));
                    all.push(mean / noise_std);
                    let std = (squares.sum::<f64>() / n).sqrt() / noise_std;
                    spread += std;
                    all.push(std);
                }
                Ok(())
            })?,
        }
        Ok((all, spread / inputs as f64))
    }

    /// Distance of the predictions of `samples` (`[s, P]`) from the walk's.
    pub fn distance<T: Scalar>(&self, samples: &[T]) -> Result<f64> {
        Ok(self.closeness(samples)?.distance)
    }

    /// Distance and spread of the predictions of `samples` (`[s, P]`).
    pub fn closeness<T: Scalar>(&self, samples: &[T]) -> Result<Closeness> {
        let rows = (self.inputs.len() / self.network.input_dim()) as f64;
        let (other, spread) = self.predictions(samples)?;
        let differences = other.iter().zip(&self.walk).map(|(a, b)| a - b);
        let distance = match self.noise_std {
            None => 0.5 * differences.map(f64::abs).sum::<f64>() / rows,
            Some(_) => (differences.map(|d| d * d).sum::<f64>() / rows).sqrt(),
        };
        let spread = match spread == self.spread {
            true => 1.0,
            false => spread / self.spread,
        };
        Ok(Closeness { distance, spread })
    }
}

/// The sum over rows of `(sum_k Var_s p_k)^{1/2}`: how far class probabilities scatter over samples.
fn spread_of_classes(block: &Outputs) -> f64 {
    let k = block.width;
    let (mut p, mut moments) = (vec![0.0; k], vec![[0.0; 2]; k]);
    let one = |row: usize| {
        let logits = block.row(row);
        moments.fill([0.0; 2]);
        for sample in logits.chunks_exact(k) {
            let top = sample.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            p.iter_mut()
                .zip(sample)
                .for_each(|(p, l)| *p = (l - top).exp());
            let sum: f64 = p.iter().sum();
            for ([first, second], p) in moments.iter_mut().zip(&p) {
                *first += p / sum;
                *second += (p / sum).powi(2);
            }
        }
        let n = (logits.len() / k).max(1) as f64;
        let variances = moments.iter().map(|[a, b]| b / n - (a / n).powi(2));
        variances.sum::<f64>().max(0.0).sqrt()
    };
    (0..block.rows).map(one).sum()
}

/// At most `most` rows of `dim` values, evenly spaced.
fn thinned<T: Scalar>(rows: &[T], dim: usize, most: usize) -> Vec<T> {
    let n = rows.len() / dim;
    let keep = n.min(most);
    let kept = (0..keep).map(|i| i * n / keep);
    kept.flat_map(|r| &rows[r * dim..(r + 1) * dim])
        .copied()
        .collect()
}
