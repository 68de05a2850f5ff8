//! Predictive distributions of many rows, as mixtures of laws.
//!
//! Used for likelihoods other than Gaussian, for warped targets, and for several models together.

use super::mixture::{MixedPredictive, Part};
use super::real::{RealMoments, RealPredictions};
use crate::data::TargetMap;
use crate::error::{Error, Result};
use crate::model::Law;
use crate::parallel;

/// The laws of one model for some rows.
#[derive(Clone, Debug, PartialEq)]
pub struct MemberLaws {
    /// The model's share.
    pub weight: f64,
    /// The map from the target to the numbers that the laws describe.
    pub target: TargetMap,
    /// Laws per row.
    pub samples: usize,
    /// `[rows, samples]`, row-major.
    pub laws: Vec<Law>,
}

/// Predictive distributions, one row per input.
#[derive(Clone, Debug, PartialEq)]
pub struct MixedPredictions {
    /// Number of rows.
    pub rows: usize,
    /// The models.
    pub members: Vec<MemberLaws>,
}

impl MixedPredictions {
    /// The predictive distribution of a row.
    ///
    /// # Errors
    /// Those of [`MixedPredictive::new`], or if there is no such row.
    pub fn row(&self, row: usize) -> Result<MixedPredictive<'_>> {
        let parts = self.members.iter().map(|member| {
            let range = row * member.samples..(row + 1) * member.samples;
            let (expected, got) = (range.end, member.laws.len());
            let laws = member.laws.get(range);
            Ok(Part {
                weight: member.weight,
                laws: laws.ok_or_else(|| Error::shape("MixedPredictions", expected, got))?,
                target: member.target,
            })
        });
        MixedPredictive::new(parts.collect::<Result<_>>()?).map_err(|e| e.rows_from(row))
    }

    /// Applies `f` to every row's distribution, rows in parallel.
    ///
    /// # Errors
    /// Those of [`MixedPredictions::row`] and of `f`.
    pub fn each<R: Send>(
        &self,
        f: impl Fn(usize, &MixedPredictive<'_>) -> Result<R> + Sync,
    ) -> Result<Vec<R>> {
        parallel::try_map(self.rows, |row| f(row, &self.row(row)?))
    }

    /// Moments of every row, with quantiles at `probabilities`.
    ///
    /// # Errors
    /// Those of [`MixedPredictions::row`] and [`MixedPredictive::quantile`].
    pub fn summaries(&self, probabilities: &[f64]) -> Result<RealPredictions> {
        let rows = self.each(|_, mixture| {
            let quantiles = probabilities.iter().map(|&p| mixture.quantile(p));
            let quantiles = quantiles.collect::<Result<Vec<_>>>()?;
            Ok((RealMoments::of_laws(mixture), quantiles))
        })?;
        Ok(RealPredictions::of_rows(probabilities, rows))
    }
}
