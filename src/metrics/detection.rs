//! How well a number tells positive rows from the others: areas under curves, and rows from
//! elsewhere.
//!
//! - AUROC: the probability that a positive row has the higher number, ties counted by half (the
//!   statistic of Mann & Whitney 1947; Hanley & McNeil 1982). 0.5 by chance.
//! - AUPR: the average precision, `sum_t (R_t - R_{t-1}) P_t` over the distinct numbers from the
//!   highest down, with precision `P` and recall `R` of the rows at or above `t`. By chance it is
//!   the share of positive rows.
//! - FPR95, for rows from elsewhere: let the threshold keep 95 % of the known rows; the share of
//!   the other rows that it keeps too (Liang, Li & Srikant 2018). 0.95 by chance.

use super::bootstrap::{Bootstrap, Interval, IntervalKind};
use super::ranking::{Ranking, check_numbers};
use super::weights::{Weights, at, check_optional};
use crate::error::{Error, Result, counted};
use crate::predict::ClassPredictions;

/// Share of the known rows that the threshold of FPR95 keeps.
const KEPT: f64 = 0.95;

/// A share that was added up in parts may be so much too low.
const ROUNDING: f64 = 1e-12;

/// Rows ranked by a number that should be higher where a row is positive.
#[derive(Clone, Debug)]
pub struct Detector {
    ranking: Ranking,
    positive: Vec<bool>,
}

impl Detector {
    /// Ranks rows by `numbers` `[n]`; `positive` `[n]` says what they are. Infinite numbers are
    /// fine.
    ///
    /// # Errors
    /// No rows, different lengths, or a NaN.
    pub fn new(numbers: &[f64], positive: &[bool]) -> Result<Self> {
        check_numbers("Detector", "number", numbers)?;
        if numbers.len() != positive.len() {
            let expected = counted(numbers.len(), "row");
            return Err(Error::shape("Detector", expected, positive.len()));
        }
        Ok(Self {
            ranking: Ranking::new(numbers),
            positive: positive.to_vec(),
        })
    }

    /// Area under the receiver operating characteristic; `None` without positive rows or without
    /// others.
    ///
    /// # Errors
    /// Weights that do not fit the rows.
    pub fn auroc(&self, weights: Option<&[f64]>) -> Result<Option<f64>> {
        check_optional("auroc", self.positive.len(), weights)?;
        Ok(auroc(&self.ranking, |row| self.positive[row], weights))
    }

    /// Average precision; `None` without positive rows.
    ///
    /// # Errors
    /// Weights that do not fit the rows.
    pub fn aupr(&self, weights: Option<&[f64]>) -> Result<Option<f64>> {
        check_optional("aupr", self.positive.len(), weights)?;
        Ok(self.average_precision(weights))
    }

    /// Share of the positive rows that are kept by the lowest threshold that keeps 95 % of the
    /// others, where a row is kept if its number is not above the threshold. `None` without
    /// positive rows or without others.
    ///
    /// # Errors
    /// Weights that do not fit the rows.
    pub fn fpr95(&self, weights: Option<&[f64]>) -> Result<Option<f64>> {
        check_optional("fpr95", self.positive.len(), weights)?;
        Ok(self.kept_at_95(weights))
    }

    fn split(&self, group: &[usize], weights: Weights<'_>) -> (f64, f64) {
        split(group, |row| self.positive[row], weights)
    }

    fn average_precision(&self, weights: Weights<'_>) -> Option<f64> {
        let (mut found, mut taken, mut area) = (0.0, 0.0, 0.0);
        for group in self.ranking.groups().rev() {
            let (positive, negative) = self.split(group, weights);
            found += positive;
            taken += positive + negative;
            if positive > 0.0 {
                area += positive * (found / taken);
            }
        }
        (found > 0.0).then(|| area / found)
    }

    fn kept_at_95(&self, weights: Weights<'_>) -> Option<f64> {
        let all: Vec<usize> = (0..self.positive.len()).collect();
        let (positive, negative) = self.split(&all, weights);
        let (mut kept, mut wrongly) = (0.0, 0.0);
        for group in self.ranking.groups() {
            let (of_positive, of_negative) = self.split(group, weights);
            kept += of_negative;
            wrongly += of_positive;
            if kept / negative >= KEPT - ROUNDING {
                break;
            }
        }
        (positive > 0.0 && negative > 0.0).then(|| wrongly / positive)
    }
}

/// Weights of the positive rows of a group, and of the others.
fn split(group: &[usize], is_positive: impl Fn(usize) -> bool, weights: Weights<'_>) -> (f64, f64) {
    let (mut positive, mut negative) = (0.0, 0.0);
    for &row in group {
        match is_positive(row) {
            true => positive += at(weights, row),
            false => negative += at(weights, row),
        }
    }
    (positive, negative)
}

/// [`Detector::auroc`] of rows that are ranked already.
pub(super) fn auroc(
    ranking: &Ranking,
    is_positive: impl Fn(usize) -> bool,
    weights: Weights<'_>,
) -> Option<f64> {
    let (mut below, mut positives, mut pairs) = (0.0, 0.0, 0.0);
    for group in ranking.groups() {
        let (positive, negative) = split(group, &is_positive, weights);
        pairs += positive * (below + 0.5 * negative);
        positives += positive;
        below += negative;
    }
    let all = positives * below;
    (all > 0.0).then(|| pairs / all)
}

/// Numbers that are higher where a classification is less sure, `[n]` each, by name: the entropy of
/// the prediction, the mutual information of label and parameters (both in nats), and 1 less the
/// top probability (Hendrycks & Gimpel 2017), which is called `top_probability`.
pub fn class_uncertainties(predictions: &ClassPredictions) -> Vec<(&'static str, Vec<f64>)> {
    let rows = predictions.probabilities.chunks(predictions.classes.max(1));
    let doubt = |row: &[f64]| 1.0 - row.iter().fold(0.0, |top: f64, &p| top.max(p));
    vec![
        ("entropy", predictions.entropy.clone()),
        ("mutual_information", predictions.mutual_information.clone()),
        ("top_probability", rows.map(doubt).collect()),
    ]
}

/// How well an uncertainty tells rows from elsewhere.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "safetensors", derive(serde::Serialize))]
pub struct OutOfDistribution {
    /// Probability that a row from elsewhere is the more uncertain one of a pair. 0.5 by chance.
    pub auroc: f64,
    /// Average precision, rows from elsewhere as the positive ones. By chance, their share.
    pub aupr: f64,
    /// Share of the rows from elsewhere that pass where 95 % of the known rows pass. 0.95 by
    /// chance.
    pub fpr95: f64,
}

impl OutOfDistribution {
    /// Scores of an uncertainty of known rows `inside` `[n]` and of rows from elsewhere `outside`
    /// `[m]`. Any number will do that is higher where a model is less sure. `weights` `[n + m]` are
    /// of both, known rows first.
    ///
    /// # Errors
    /// If either is empty, an uncertainty is NaN, or the weights do not fit or leave nothing of one
    /// of the two.
    pub fn new(inside: &[f64], outside: &[f64], weights: Option<&[f64]>) -> Result<Self> {
        let detector = Self::detector(inside, outside)?;
        check_optional("OutOfDistribution", inside.len() + outside.len(), weights)?;
        let none = || Error::data("OutOfDistribution: all rows of one kind have weight 0");
        Self::of(&detector, weights).ok_or_else(none)
    }

    /// The interval of each score, by name. Both kinds of rows are drawn from separately.
    ///
    /// # Errors
    /// Those of [`OutOfDistribution::new`] and of [`Bootstrap::intervals`].
    pub fn intervals(
        inside: &[f64],
        outside: &[f64],
        weights: Option<&[f64]>,
        bootstrap: &Bootstrap,
    ) -> Result<[(&'static str, Option<Interval>); 3]> {
        let detector = Self::detector(inside, outside)?;
        let scores = |w: &[f64]| match Self::of(&detector, Some(w)) {
            Some(s) => vec![s.auroc, s.aupr, s.fpr95],
            None => vec![f64::NAN; 3],
        };
        let samples = [inside.len(), outside.len()];
        let kinds = [IntervalKind::BiasCorrected; 3];
        let found = bootstrap.intervals(&samples, weights, &kinds, scores)?;
        let of = |i: usize| found.get(i).copied().flatten();
        Ok([("auroc", of(0)), ("aupr", of(1)), ("fpr95", of(2))])
    }

    /// The known rows and those from elsewhere, which are the positive ones.
    pub(super) fn detector(inside: &[f64], outside: &[f64]) -> Result<Detector> {
        for rows in [inside, outside] {
            check_numbers("OutOfDistribution", "uncertainty", rows)?;
        }
        let is_outside = |row: usize| row >= inside.len();
        let rows = inside.len() + outside.len();
        let positive: Vec<bool> = (0..rows).map(is_outside).collect();
        Detector::new(&[inside, outside].concat(), &positive)
    }

    pub(super) fn of(detector: &Detector, weights: Weights<'_>) -> Option<Self> {
        let is_positive = |row: usize| detector.positive[row];
        Some(Self {
            auroc: auroc(&detector.ranking, is_positive, weights)?,
            aupr: detector.average_precision(weights)?,
            fpr95: detector.kept_at_95(weights)?,
        })
    }
}

#[cfg(test)]
#[path = "tests/detection.rs"]
mod tests;
