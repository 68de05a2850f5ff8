//! Predictive distributions of many rows by laws: for likelihoods other than Gaussian, warped
//! targets, and several models together.

use rayon::prelude::*;

use super::law::Law;
use super::mixture::{MixedPredictive, Part};
use super::real::{RealMoments, RealPredictions};
use crate::data::TargetMap;
use crate::error::{Error, Result};
use crate::model::Observation;

/// The laws of one model for some rows.
#[derive(Clone, Debug, PartialEq)]
pub struct MemberLaws {
    /// The model's share.
    pub weight: f64,
    /// The map from the target to the numbers that the laws are of.
    pub target: TargetMap,
    /// Laws of a row.
    pub samples: usize,
    /// `[rows, samples]`, row-major.
    pub laws: Vec<Law>,
}

/// Predictive distributions, a row per input.
#[derive(Clone, Debug, PartialEq)]
pub struct MixedPredictions {
    /// Number of rows.
    pub rows: usize,
    /// The models.
    pub members: Vec<MemberLaws>,
}

/// What a likelihood needs besides the network's outputs; each is read where the likelihood has it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Own {
    /// Level of the noise in standardised units.
    pub noise_std: f64,
    /// Degrees of freedom of Student-t noise.
    pub dof: f64,
    /// Counts that an output of 0 means.
    pub base_rate: f64,
}

/// The law of a real target, or a count, of one row under one sample: `outputs` are the network's.
///
/// # Errors
/// If the likelihood is of classes.
pub fn law_of(observation: Observation, outputs: &[f64], own: &Own) -> Result<Law> {
    let mean = outputs.first().copied().unwrap_or(f64::NAN);
    Ok(match observation {
        Observation::Gaussian => Law::Normal {
            mean,
            std: own.noise_std,
        },
        Observation::StudentT => Law::StudentT {
            mean,
            scale: own.noise_std,
            dof: own.dof,
        },
        Observation::Heteroscedastic => Law::Normal {
            mean,
            std: own.noise_std * outputs.get(1).copied().unwrap_or(f64::NAN).exp(),
        },
        Observation::Poisson => Law::Poisson {
            rate: own.base_rate * mean.exp(),
        },
        Observation::Categorical | Observation::Bernoulli => {
            let requirement = "has classes, and no law of a real target";
            return Err(Error::config("likelihood", observation, requirement));
        }
    })
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
        MixedPredictive::new(parts.collect::<Result<_>>()?)
    }

    /// `f` of every row's distribution, rows in parallel.
    ///
    /// # Errors
    /// Those of [`MixedPredictions::row`] and of `f`.
    pub fn each<R: Send>(
        &self,
        f: impl Fn(usize, &MixedPredictive<'_>) -> Result<R> + Sync,
    ) -> Result<Vec<R>> {
        let rows = (0..self.rows).into_par_iter();
        rows.map(|row| f(row, &self.row(row)?)).collect()
    }

    /// Moments of every row, and quantiles at `probabilities`.
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
