//! Joint draws of the predictive distribution: one posterior draw serves all rows.
//!
//! Draw `j` picks one component `c_j` of the posterior (a sample, or an anchor of an atlas with a
//! last layer drawn around it), with the weight that the component has in predictions. Then, for
//! every row `x_i`,
//!
//! ```text
//! without noise:  f_ij = E[y | x_i, c_j]           with noise:  y_ij ~ p(y | x_i, c_j)
//! ```
//!
//! So the draws of one row are independent draws of the mixture that predictions summarise. Rows
//! share what they share under the posterior: a sum or a difference over rows has the right spread.
//! The noise is drawn for each row by itself.
//!
//! Row `i` takes its noise from a stream of its own, in the order of the draws. The values then do
//! not depend on the number of threads or on how rows are cut into blocks, and more draws begin
//! with the same ones.

use rand::RngExt;
#[cfg(feature = "safetensors")]
use rand_chacha::ChaCha8Rng;

use crate::error::{Error, Result};
use crate::memory::{self, bytes};
use crate::rng::{Phase, Streams};

/// Streams from this index on serve all rows: the choice of components, then what each needs.
const SHARED: u64 = 1 << 47;

/// How draws are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DrawOptions {
    /// Draws per row.
    pub count: usize,
    /// True: targets, with their noise. False: what the model says without it, which is the mean
    /// of a real target or the class probabilities.
    pub noise: bool,
    /// Seed of the draws.
    pub seed: u64,
    /// Number of the first row. A block of a longer table gets the draws of its rows.
    pub first_row: usize,
}

impl Default for DrawOptions {
    fn default() -> Self {
        Self {
            count: 100,
            noise: true,
            seed: 0,
            first_row: 0,
        }
    }
}

impl DrawOptions {
    /// Most draws per row.
    pub const MOST: usize = 1_000_000;

    /// Checks the number of draws of `width` numbers each for `rows` rows at once.
    ///
    /// # Errors
    /// If there are none, more than [`DrawOptions::MOST`], or more than memory has room for.
    pub fn check(&self, rows: usize, width: usize) -> Result<()> {
        if !(1..=Self::MOST).contains(&self.count) {
            let requirement = format!("must be in 1..={}", Self::MOST);
            return Err(Error::config("draws", self.count, &requirement));
        }
        // the names of columns; what a model says of a draw, and the numbers as they are passed on
        let names = bytes(self.count.saturating_mul(width), 64);
        let held = bytes(rows.saturating_mul(self.count), 80 + 24 * width);
        memory::check("draws", self.count, names.saturating_add(held))
    }

    /// The generator of the noise of row `row`, counted from the first one here.
    #[cfg(feature = "safetensors")]
    pub(crate) fn noise_of(&self, row: usize) -> ChaCha8Rng {
        let row = self.first_row as u64 + row as u64;
        Streams::new(self.seed).rng(Phase::PREDICTIVE, row & (SHARED - 1))
    }

    /// The generator of what draw `j` shares among rows besides its component.
    #[cfg(feature = "safetensors")]
    pub(crate) fn shared_of(&self, j: usize) -> ChaCha8Rng {
        Streams::new(self.seed).rng(Phase::PREDICTIVE, SHARED + 1 + j as u64)
    }

    /// The component of each draw, `[count]`: a model, and one of its components. `models` are
    /// weights, which sum to 1, and numbers of components.
    ///
    /// # Errors
    /// If no draws are asked for, or there is no component.
    pub fn components(&self, models: &[(f64, usize)]) -> Result<Vec<(usize, usize)>> {
        if self.count == 0 {
            return Err(Error::config("draws", 0, "must be positive"));
        }
        if models.is_empty() || models.iter().any(|m| m.1 == 0) {
            return Err(Error::shape("draws", "at least one component", 0));
        }
        let mut rng = Streams::new(self.seed).rng(Phase::PREDICTIVE, SHARED);
        let mut pick = || {
            let u: f64 = rng.random();
            let mut below = 0.0;
            let chosen = models.iter().position(|(weight, _)| {
                below += weight;
                u < below
            });
            // rounding may leave a sum just below 1
            let model = chosen.unwrap_or(models.len() - 1);
            (model, rng.random_range(0..models[model].1))
        };
        Ok((0..self.count).map(|_| pick()).collect())
    }
}

/// Draws of the predictive distributions of some rows.
#[derive(Clone, Debug, PartialEq)]
pub struct PredictiveDraws {
    /// Number of rows.
    pub rows: usize,
    /// Draws per row.
    pub count: usize,
    /// Numbers per draw: the number of classes for probabilities, else 1.
    pub width: usize,
    /// `[rows, count, width]`, row-major: targets in their units, labels of classes, or
    /// probabilities.
    pub values: Vec<f64>,
}

impl PredictiveDraws {
    /// The draws of row `i`, `[count, width]`.
    ///
    /// # Panics
    /// If there is no such row, as slices do.
    pub fn row(&self, i: usize) -> &[f64] {
        let stride = self.count * self.width;
        &self.values[i * stride..(i + 1) * stride]
    }
}

/// A class drawn with the probabilities `p`, which sum to 1 but for rounding.
#[cfg(feature = "safetensors")]
pub(crate) fn draw_class(p: &[f64], rng: &mut ChaCha8Rng) -> usize {
    let u: f64 = rng.random();
    let mut below = 0.0;
    let chosen = p.iter().position(|q| {
        below += q;
        u < below
    });
    // never a class of probability 0
    let last = p.iter().rposition(|q| *q > 0.0).unwrap_or(0);
    chosen.unwrap_or(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 20,000 picks against the weights and the numbers of components, by chi-square at 1e-4.
    #[test]
    fn components_come_by_weight_and_evenly_within_a_model() {
        let how = DrawOptions {
            count: 20_000,
            ..DrawOptions::default()
        };
        let models = [(0.2, 3), (0.5, 4), (0.3, 1)];
        let picks = how.components(&models).unwrap();
        let mut chi_square = 0.0;
        for (m, &(weight, count)) in models.iter().enumerate() {
            for c in 0..count {
                let got = picks.iter().filter(|p| **p == (m, c)).count() as f64;
                let expected = 20_000.0 * weight / count as f64;
                chi_square += (got - expected).powi(2) / expected;
            }
        }
        // 7 degrees of freedom: exceeded with probability 1e-4
        assert!(chi_square < 29.9, "{chi_square}");
        let fewer = DrawOptions { count: 50, ..how };
        assert_eq!(fewer.components(&models).unwrap(), picks[..50]);
        assert!(DrawOptions { count: 0, ..how }.components(&models).is_err());
        assert!(how.components(&[(1.0, 0)]).is_err());
    }

    #[cfg(feature = "safetensors")]
    #[test]
    fn a_class_of_probability_0_is_never_drawn() {
        let how = DrawOptions::default();
        let mut counts = [0.0; 4];
        let p = [0.0, 0.3, 0.7 - 1e-17, 0.0];
        for row in 0..10_000 {
            counts[draw_class(&p, &mut how.noise_of(row))] += 1.0;
        }
        assert_eq!((counts[0], counts[3]), (0.0, 0.0));
        // a binomial count, 5 standard deviations
        assert!((counts[1] - 3_000.0f64).abs() < 5.0 * (10_000.0f64 * 0.21).sqrt());
    }
}
