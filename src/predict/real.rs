//! Summaries of a real target or a count: moments, and quantiles on request.

use super::mixture::{GaussianMixture, MixedPredictive, check_moments};
use crate::error::Result;

/// Tolerance of the quantiles of a prediction, in its standard deviations.
const QUANTILE: f64 = 1e-6;

/// Summaries of predictive distributions, one row per input, in the target's units.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RealPredictions {
    /// Moments of every row.
    pub moments: Vec<RealMoments>,
    /// The probabilities of the quantiles.
    pub probabilities: Vec<f64>,
    /// Quantiles, `[n, probabilities]`, within 1e-6 standard deviations; exact for counts.
    pub quantiles: Vec<f64>,
}

impl RealPredictions {
    /// No rows yet; quantiles will be at these probabilities.
    pub fn empty(probabilities: &[f64]) -> Self {
        Self {
            probabilities: probabilities.to_vec(),
            ..Self::default()
        }
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.moments.len()
    }

    /// True if there are no rows.
    pub fn is_empty(&self) -> bool {
        self.moments.is_empty()
    }

    /// Quantiles of row `i`, `[probabilities]`.
    ///
    /// # Panics
    /// If there is no such row, as slices do.
    pub fn quantiles_of(&self, i: usize) -> &[f64] {
        let count = self.probabilities.len();
        &self.quantiles[i * count..(i + 1) * count]
    }

    /// Adds the rows of other predictions with the same probabilities.
    pub fn extend(&mut self, other: &Self) {
        self.moments.extend_from_slice(&other.moments);
        self.quantiles.extend_from_slice(&other.quantiles);
    }

    /// Collects rows, each with its quantiles.
    pub(super) fn of_rows(probabilities: &[f64], rows: Vec<(RealMoments, Vec<f64>)>) -> Self {
        let mut all = Self::empty(probabilities);
        for (moments, quantiles) in rows {
            all.moments.push(moments);
            all.quantiles.extend_from_slice(&quantiles);
        }
        all
    }
}

/// Moments of one predictive distribution.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RealMoments {
    /// Mean.
    pub mean: f64,
    /// Standard deviation, noise included.
    pub std: f64,
    /// Standard deviation without the noise.
    pub epistemic_std: f64,
}

impl RealMoments {
    /// Standard deviation of the noise alone: `std^2` is the sum of its square and that of
    /// `epistemic_std`. Where the noise is below 1e-8 of the rest, nothing is left of it.
    pub fn aleatoric_std(&self) -> f64 {
        let (all, part) = (self.std, self.epistemic_std.min(self.std));
        // of factors, neither of which overflows
        (all - part).sqrt() * (all + part).sqrt()
    }

    /// Moments of a mixture of Gaussians. `component_stds` are the standard deviations of the
    /// components' means, each around its own value; empty if the means are exact.
    ///
    /// # Errors
    /// [`Error::NonFiniteData`](crate::Error::NonFiniteData) in row 0 if the mean or the deviation
    /// overflows.
    pub fn of(mixture: &GaussianMixture<'_>, component_stds: &[f64]) -> Result<Self> {
        let mean = mixture.mean();
        let (std, epistemic_std) = mixture.deviations(component_stds);
        check_moments(mean, ("standard deviation", std))?;
        Ok(Self {
            mean,
            std,
            epistemic_std,
        })
    }

    /// Moments of a mixture of laws.
    pub fn of_laws(mixture: &MixedPredictive<'_>) -> Self {
        Self {
            mean: mixture.mean(),
            std: mixture.variance().sqrt(),
            epistemic_std: mixture.epistemic_variance().sqrt(),
        }
    }

    /// Writes quantiles of `mixture`, whose moments these are, to `out` (`[probabilities]`).
    ///
    /// # Errors
    /// A probability outside the open interval (0, 1).
    pub fn quantiles(
        &self,
        mixture: &GaussianMixture<'_>,
        probabilities: &[f64],
        out: &mut [f64],
    ) -> Result<()> {
        let tolerance = (QUANTILE * self.std).max(f64::MIN_POSITIVE);
        for (out, &p) in out.iter_mut().zip(probabilities) {
            *out = mixture.quantile_within(p, tolerance)?;
        }
        Ok(())
    }
}
