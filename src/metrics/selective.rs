//! Selective prediction: how the loss falls if the model keeps silent where it is unsure.
//!
//! Rows are answered from the surest on. The risk at coverage `c` is the mean loss of the answered
//! share `c` of the rows (El-Yaniv & Wiener 2010; Geifman & El-Yaniv 2017). The area under that
//! curve is AURC (Geifman, Uziel & El-Yaniv 2019). Two details:
//!
//! - Rows of equal uncertainty are answered at the same rate. The area is then the mean over all
//!   orders of the tied rows.
//! - Coverage is continuous: part of a row may be answered. So a row of weight 2 counts like two
//!   rows. The sum over rows in the papers differs from this integral by `O(log n / n)`.

use super::ranking::{Ranking, check_numbers};
use super::weights::{Weights, at, check_optional};
use crate::error::{Error, Result, counted};

/// One point of the risk-coverage curve.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "safetensors", derive(serde::Serialize))]
pub struct RiskPoint {
    /// Share of the rows that are answered.
    pub coverage: f64,
    /// Mean loss of these rows.
    pub risk: f64,
}

/// The risk-coverage curve of rows and the area under it.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "safetensors", derive(serde::Serialize))]
pub struct RiskCoverage {
    /// One point after each group of equally uncertain rows. The last one has coverage 1.
    pub points: Vec<RiskPoint>,
    /// Area under the curve, in units of the loss. Without any skill it is the mean loss.
    pub aurc: f64,
    /// The area of the best possible order, by the losses themselves.
    pub best: f64,
}

impl RiskCoverage {
    /// The curve of rows with `uncertainty` `[n]` (any number that is higher where the model is
    /// less sure) and `losses` `[n]`, such as 0 where a class is right and 1 where it is wrong.
    ///
    /// # Errors
    /// No rows, different lengths, a NaN, or weights that do not fit.
    pub fn new(uncertainty: &[f64], losses: &[f64], weights: Option<&[f64]>) -> Result<Self> {
        let op = "RiskCoverage";
        check_numbers(op, "uncertainty", uncertainty)?;
        check_numbers(op, "loss", losses)?;
        if losses.len() != uncertainty.len() {
            let expected = counted(uncertainty.len(), "loss");
            return Err(Error::shape(op, expected, losses.len()));
        }
        check_optional(op, losses.len(), weights)?;
        let (points, aurc) = curve(&Ranking::new(uncertainty), losses, weights);
        let best = area(&Ranking::new(losses), losses, weights);
        Ok(Self { points, aurc, best })
    }
}

/// The area under the curve of ranked rows; NaN if all weights are 0.
pub(super) fn area(ranking: &Ranking, losses: &[f64], weights: Weights<'_>) -> f64 {
    curve(ranking, losses, weights).1
}

fn curve(ranking: &Ranking, losses: &[f64], weights: Weights<'_>) -> (Vec<RiskPoint>, f64) {
    let (mut answered, mut lost, mut area) = (0.0, 0.0, 0.0);
    let mut points = Vec::new();
    for group in ranking.groups() {
        let (mut weight, mut loss) = (0.0, 0.0);
        for &row in group {
            let w = at(weights, row);
            if w > 0.0 {
                weight += w;
                loss += w * losses[row];
            }
        }
        if weight > 0.0 {
            area += of_group(answered, lost, weight, loss);
            answered += weight;
            lost += loss;
            points.push(RiskPoint {
                coverage: answered,
                risk: lost / answered,
            });
        }
    }
    for point in &mut points {
        point.coverage /= answered;
    }
    (points, area / answered)
}

/// The integral of the risk over a group: `int (lost + (t - answered) rate) / t dt` from `answered`
/// to `answered + weight`, with `rate = loss / weight`.
fn of_group(answered: f64, lost: f64, weight: f64, loss: f64) -> f64 {
    if answered == 0.0 {
        return loss;
    }
    if lost.is_infinite() || loss.is_infinite() {
        return f64::INFINITY;
    }
    let excess = lost - answered * (loss / weight);
    loss + excess * (weight / answered).ln_1p()
}

#[cfg(test)]
#[path = "tests/selective.rs"]
mod tests;
