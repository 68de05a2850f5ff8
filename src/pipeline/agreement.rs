//! How far the predictions of samples are from those of a walk: the measure of a deformation.
//!
//! It compares predictive distributions at inputs that need no targets: rows of the training set,
//! midpoints of pairs of rows, and points as far on the other side, many of which lie beyond the
//! data. Classification: the mean total variation. Regression: the root mean square difference of
//! predictive means and of epistemic standard deviations, in units of the noise.

use crate::error::Result;
use crate::nn::LinearHead;
use crate::predict::{ClassPredictions, network_outputs};
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
        };
        agreement.walk = agreement.predictions(&thinned(points, network.dim(), POINTS))?;
        Ok(agreement)
    }

    /// Class probabilities, or mean and epistemic standard deviation in units of the noise, for
    /// each input in turn.
    fn predictions<T: Scalar>(&self, samples: &[T]) -> Result<Vec<f64>> {
        let mut all = Vec::new();
        match self.noise_std {
            None => {
                let mut classes = ClassPredictions::empty(self.network.output_dim().max(2));
                network_outputs(self.network, samples, &self.inputs, |block| {
                    match block.width {
                        1 => classes.extend(&block.two_logits()),
                        _ => classes.extend(block),
                    }
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
                    all.push((squares.sum::<f64>() / n).sqrt() / noise_std);
                }
                Ok(())
            })?,
        }
        Ok(all)
    }

    /// Distance of the predictions of `samples` (`[s, P]`) from the walk's.
    pub fn distance<T: Scalar>(&self, samples: &[T]) -> Result<f64> {
        let rows = (self.inputs.len() / self.network.input_dim()) as f64;
        let other = self.predictions(samples)?;
        let differences = other.iter().zip(&self.walk).map(|(a, b)| a - b);
        Ok(match self.noise_std {
            None => 0.5 * differences.map(f64::abs).sum::<f64>() / rows,
            Some(_) => (differences.map(|d| d * d).sum::<f64>() / rows).sqrt(),
        })
    }
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
