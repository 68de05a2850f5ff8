//! Calibration: compares stated probabilities with frequencies.
//!
//! Rows are grouped into bins by the stated probability. In every bin, its mean is compared with
//! the share of rows where the event happened (Naeini, Cooper & Hauskrecht 2015; Guo et al. 2017).
//! For the most probable class the event is being right; for one class against the rest (Kull et
//! al. 2019), that it is the label.
//!
//! The errors depend on the number of bins and grow with it, even for a perfect model: by about
//! `sqrt(bins / rows) / 3`. They can only be compared for equal numbers of bins and rows.

use super::ranking::Ranking;
use super::weights::{Weights, at};
use crate::error::{Error, Result};

/// Number of bins in summaries.
pub const DEFAULT_BINS: usize = 10;

/// A share of the mass so close below the edge of a bin is on the edge.
const EDGE: f64 = 1e-10;

/// How rows are grouped by their probability.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binning {
    /// So many intervals of equal width. Interval `b` of `B` is `(b/B, (b+1)/B]`.
    EqualWidth(usize),
    /// So many bins with about the same number of rows (or the same weight). Rows of the same
    /// probability stay together, in the bin of the middle one of them.
    EqualMass(usize),
}

impl Binning {
    fn count(self) -> usize {
        match self {
            Self::EqualWidth(bins) | Self::EqualMass(bins) => bins,
        }
    }
}

/// The rows of one bin.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "safetensors", derive(serde::Serialize))]
pub struct CalibrationBin {
    /// Lower end: excluded for bins of equal width (but 0 belongs to the first bin), else the
    /// lowest probability in the bin.
    pub lower: f64,
    /// Upper end, included.
    pub upper: f64,
    /// Number of rows.
    pub count: usize,
    /// Sum of their weights; `count` if there are none.
    pub weight: f64,
    /// Mean stated probability of the rows. 0 if there are none.
    pub confidence: f64,
    /// Share of the rows where the event happened: for the most probable class, that it is the
    /// label. 0 if there are no rows.
    pub accuracy: f64,
}

impl CalibrationBin {
    /// By how much the stated probability is too high.
    fn excess(&self) -> f64 {
        self.confidence - self.accuracy
    }
}

/// Stated probabilities and what happened, grouped into bins.
#[derive(Clone, Debug)]
pub(super) struct Diagram {
    confidences: Vec<f64>,
    hits: Vec<f64>,
    grouping: Grouping,
    count: usize,
}

#[derive(Clone, Debug)]
enum Grouping {
    /// The bin of every row.
    Fixed(Vec<usize>),
    /// By mass, which depends on the weights.
    Ranked(Ranking),
}

impl Diagram {
    pub fn new(confidences: Vec<f64>, hits: Vec<f64>, binning: Binning) -> Result<Self> {
        let count = binning.count();
        if count == 0 {
            return Err(Error::config("bins", count, "at least 1 is needed"));
        }
        let grouping = match binning {
            Binning::EqualWidth(_) => {
                let uppers: Vec<f64> = (1..=count).map(|b| edge(b, count)).collect();
                // compare with the edges themselves: `confidence * bins` may round across one
                let bin = |p: &f64| uppers.partition_point(|upper| upper < p).min(count - 1);
                Grouping::Fixed(confidences.iter().map(bin).collect())
            }
            Binning::EqualMass(_) => Grouping::Ranked(Ranking::new(&confidences)),
        };
        Ok(Self {
            confidences,
            hits,
            grouping,
            count,
        })
    }

    /// The bins of equal width, or those of equal mass that have rows.
    pub fn bins(&self, weights: Weights<'_>) -> Vec<CalibrationBin> {
        let empty = |b| CalibrationBin {
            lower: edge(b, self.count),
            upper: edge(b + 1, self.count),
            count: 0,
            weight: 0.0,
            confidence: 0.0,
            accuracy: 0.0,
        };
        let mut bins: Vec<CalibrationBin> = (0..self.count).map(empty).collect();
        match &self.grouping {
            Grouping::Fixed(of_row) => {
                for (row, &bin) in of_row.iter().enumerate() {
                    self.add(&mut bins[bin], row, weights);
                }
            }
            Grouping::Ranked(ranking) => self.fill_by_mass(ranking, &mut bins, weights),
        }
        for bin in bins.iter_mut().filter(|bin| bin.weight > 0.0) {
            bin.confidence /= bin.weight;
            bin.accuracy /= bin.weight;
        }
        bins
    }

    fn fill_by_mass(&self, ranking: &Ranking, bins: &mut Vec<CalibrationBin>, w: Weights<'_>) {
        let weight = |group: &[usize]| group.iter().map(|&row| at(w, row)).sum::<f64>();
        let total: f64 = ranking.groups().map(weight).sum();
        let mut before = 0.0;
        for group in ranking.groups() {
            let (of_group, confidence) = (weight(group), self.confidences[group[0]]);
            if of_group == 0.0 {
                continue;
            }
            // a middle on an edge belongs above it, whichever way the sums round
            let middle = (before + 0.5 * of_group) / total + EDGE;
            let bin = &mut bins[((middle * self.count as f64) as usize).min(self.count - 1)];
            if bin.count == 0 {
                bin.lower = confidence;
            }
            bin.upper = confidence;
            for &row in group {
                self.add(bin, row, w);
            }
            before += of_group;
        }
        bins.retain(|bin| bin.count > 0);
    }

    fn add(&self, bin: &mut CalibrationBin, row: usize, weights: Weights<'_>) {
        let w = at(weights, row);
        if w > 0.0 {
            bin.count += 1;
            bin.weight += w;
            bin.confidence += w * self.confidences[row];
            bin.accuracy += w * self.hits[row];
        }
    }

    /// Share of the rows where the event happened.
    pub fn frequency(&self, weights: Weights<'_>) -> f64 {
        super::weights::average(self.hits.len(), weights, |row| self.hits[row])
    }
}

fn edge(b: usize, bins: usize) -> f64 {
    b as f64 / bins as f64
}

/// Expected calibration error: the mean over rows of the gap between stated probability and
/// frequency in the row's bin.
pub fn ece(diagram: &[CalibrationBin]) -> f64 {
    mean(diagram, |bin| bin.excess().abs())
}

/// The part of [`ece`] from bins that state too high a probability.
pub fn overconfidence(diagram: &[CalibrationBin]) -> f64 {
    mean(diagram, |bin| {
        if bin.excess() < 0.0 {
            0.0
        } else {
            bin.excess()
        }
    })
}

/// The part of [`ece`] from bins that state too low a probability. With [`overconfidence`] it sums
/// to the whole.
pub fn underconfidence(diagram: &[CalibrationBin]) -> f64 {
    mean(diagram, |bin| {
        if bin.excess() > 0.0 {
            0.0
        } else {
            -bin.excess()
        }
    })
}

/// The mean of `gap` over the rows of the bins.
pub(super) fn mean(diagram: &[CalibrationBin], gap: impl Fn(&CalibrationBin) -> f64) -> f64 {
    let total: f64 = diagram.iter().map(|bin| bin.weight).sum();
    let filled = diagram.iter().filter(|bin| bin.weight > 0.0);
    // start from 0: `sum` of nothing is minus 0
    let sum = filled.fold(0.0, |sum, bin| sum + bin.weight * gap(bin));
    // a diagram without rows has error 0, not 0 / 0
    if total > 0.0 { sum / total } else { sum }
}

/// Maximum calibration error: the largest gap between stated probability and frequency over bins
/// with rows. A bin with few rows can decide it.
pub fn mce(diagram: &[CalibrationBin]) -> f64 {
    let filled = diagram.iter().filter(|bin| bin.weight > 0.0);
    // keep a NaN gap, which `f64::max` would drop
    let larger = |a: f64, b: f64| if a.is_nan() || a >= b { a } else { b };
    filled.map(|bin| bin.excess().abs()).fold(0.0, larger)
}

/// Class-wise calibration error: the mean of [`ece`] over the diagrams of the classes.
pub(super) fn class_wise(diagrams: &[Diagram], weights: Weights<'_>) -> f64 {
    let of_class = |diagram: &Diagram| ece(&diagram.bins(weights));
    diagrams.iter().map(of_class).sum::<f64>() / diagrams.len() as f64
}

#[cfg(test)]
#[path = "tests/calibration.rs"]
mod tests;
