//! Confidence intervals of scores, by the bootstrap of rows.
//!
//! A replicate draws as many rows as there are, with replacement. It is told to the score as
//! weights: how often each row was drawn. So any score of weighted rows has an interval, and the
//! difference of two scores of the same rows has one too.
//!
//! - *Bias-corrected and accelerated* (Efron 1987) is the default. It removes the median bias of
//!   the replicates and follows their skewness. For scores such as NLL, with few rows that cost
//!   much, plain percentiles are too low. The acceleration is that of the jackknife, over at most
//!   200 groups of rows.
//! - *Basic*, for scores that measure a distance from a perfect model and cannot be negative, such
//!   as ECE. Replicates are farther away than the rows, as the rows are farther than the truth, so
//!   percentiles would lie on the wrong side. The basic interval reflects them at the score:
//!   `[2 s - q_high, 2 s - q_low]`, cut at 0.

use rand::RngExt;

use super::weights::check_optional;
use crate::diagnose::normal_quantile;
use crate::error::{Error, Result};
use crate::parallel;
use crate::rng::{Phase, Streams};
use crate::special::normal_cdf;

/// Groups of rows of the jackknife.
const GROUPS: usize = 200;

/// Smallest share of the replicates in which a score must be defined.
const DEFINED: f64 = 0.9;

/// How an interval is made from the replicates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IntervalKind {
    /// Bias-corrected and accelerated percentiles.
    BiasCorrected,
    /// Percentiles reflected at the score, cut at 0.
    Basic,
}

/// A confidence interval of a score.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "safetensors", derive(serde::Serialize))]
pub struct Interval {
    /// Lower end.
    pub lower: f64,
    /// Upper end.
    pub upper: f64,
    /// Standard error: the standard deviation of the replicates.
    pub error: f64,
}

/// The bootstrap of rows. The same seed gives the same bits for any number of threads.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bootstrap {
    /// Number of replicates.
    pub replicates: usize,
    /// Probability that an interval should hold the score of endlessly many rows.
    pub level: f64,
    /// Seed of the draws.
    pub seed: u64,
}

impl Default for Bootstrap {
    /// 1,000 replicates for intervals of level 0.9, with seed 0.
    fn default() -> Self {
        Self {
            replicates: 1_000,
            level: 0.9,
            seed: 0,
        }
    }
}

impl Bootstrap {
    /// Most replicates. The share of so many that lies beyond the end of an interval of level 0.9
    /// is right to 0.0007, and the scores of all of them take some 20 MB.
    pub const MOST: usize = 100_000;

    /// The interval of one score of `rows` rows. `score` gets the weights of the rows, `[rows]`,
    /// and returns NaN where it is not defined. See [`Bootstrap::intervals`].
    ///
    /// # Errors
    /// Those of [`Bootstrap::intervals`].
    pub fn interval(
        &self,
        rows: usize,
        kind: IntervalKind,
        score: impl Fn(&[f64]) -> f64 + Sync,
    ) -> Result<Option<Interval>> {
        let all = self.intervals(&[rows], None, &[kind], |w| vec![score(w)])?;
        Ok(all.into_iter().next().flatten())
    }

    /// The intervals of several scores over the same replicates.
    ///
    /// `samples` are the numbers of rows of independent samples, which are drawn from separately:
    /// one, or two for scores that compare two sets of rows. `weights` `[rows]` are those of the
    /// rows themselves; they are multiplied by the counts. `scores` gets the product, and returns
    /// one number for each of `kinds`, NaN where a score is not defined.
    ///
    /// An interval is `None` if rows of that number or kind cannot say how far a score varies: if
    /// it, an end of the interval or its error is not finite, or not defined in a tenth of the
    /// replicates, or the same in all (as the accuracy is where every row is right).
    ///
    /// # Errors
    /// Fewer than 20 replicates or more than [`Bootstrap::MOST`], a level not strictly between 0
    /// and 1, no rows, weights that do not fit, or another number of scores than kinds.
    pub fn intervals(
        &self,
        samples: &[usize],
        weights: Option<&[f64]>,
        kinds: &[IntervalKind],
        scores: impl Fn(&[f64]) -> Vec<f64> + Sync,
    ) -> Result<Vec<Option<Interval>>> {
        let rows: usize = samples.iter().sum();
        self.check(rows, weights)?;
        let base = |row: usize| weights.map_or(1.0, |w| w[row]);
        let scored = |w: &[f64]| {
            let values = scores(w);
            match values.len() == kinds.len() {
                true => Ok(values),
                false => Err(Error::shape("Bootstrap", kinds.len(), values.len())),
            }
        };
        let whole: Vec<f64> = (0..rows).map(base).collect();
        let estimates = scored(&whole)?;
        let streams = Streams::new(self.seed);
        let replicates = parallel::try_map(self.replicates, |index| {
            let mut rng = streams.rng(Phase::BOOTSTRAP, index as u64);
            let (mut drawn, mut first) = (vec![0.0; rows], 0);
            for &count in samples {
                for _ in 0..count {
                    let row = first + rng.random_range(0..count);
                    drawn[row] += base(row);
                }
                first += count;
            }
            scored(&drawn)
        })?;
        let groups = rows.min(GROUPS);
        let left_out = parallel::try_map(groups, |group| {
            let mut kept = whole.clone();
            kept.iter_mut()
                .skip(group)
                .step_by(groups)
                .for_each(|w| *w = 0.0);
            scored(&kept)
        })?;
        let interval = |(index, (&kind, estimate)): (usize, (&IntervalKind, f64))| {
            let column = |table: &[Vec<f64>]| -> Vec<f64> {
                table
                    .iter()
                    .map(|r| r[index])
                    .filter(|v| v.is_finite())
                    .collect()
            };
            self.of(kind, estimate, column(&replicates), &column(&left_out))
        };
        Ok(kinds
            .iter()
            .zip(estimates)
            .enumerate()
            .map(interval)
            .collect())
    }

    fn check(&self, rows: usize, weights: Option<&[f64]>) -> Result<()> {
        if !(20..=Self::MOST).contains(&self.replicates) {
            let requirement = format!("must be from 20 to {}", Self::MOST);
            return Err(Error::config("replicates", self.replicates, &requirement));
        }
        if !(self.level > 0.0 && self.level < 1.0) {
            let requirement = "must lie strictly between 0 and 1";
            return Err(Error::config("level", self.level, requirement));
        }
        if rows == 0 {
            return Err(Error::shape("Bootstrap", "at least 1 row", 0));
        }
        check_optional("Bootstrap", rows, weights)
    }

    fn of(
        &self,
        kind: IntervalKind,
        estimate: f64,
        mut values: Vec<f64>,
        left_out: &[f64],
    ) -> Option<Interval> {
        let enough = values.len() as f64 >= DEFINED * self.replicates as f64;
        if !estimate.is_finite() || !enough {
            return None;
        }
        values.sort_by(f64::total_cmp);
        if values.first() == values.last() {
            return None;
        }
        let tail = 0.5 * (1.0 - self.level);
        let (lower, upper) = match kind {
            IntervalKind::Basic => {
                let (low, high) = (quantile(&values, tail), quantile(&values, 1.0 - tail));
                let reflected = |q: f64| (2.0 * estimate - q).max(0.0);
                (reflected(high), reflected(low))
            }
            IntervalKind::BiasCorrected => {
                let (bias, acceleration) = (bias(&values, estimate), acceleration(left_out));
                let at = |p: f64| {
                    let z = bias + normal_quantile(p);
                    normal_cdf(bias + z / (1.0 - acceleration * z))
                };
                (
                    quantile(&values, at(tail)),
                    quantile(&values, at(1.0 - tail)),
                )
            }
        };
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let squares: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
        let error = (squares / (values.len() as f64 - 1.0)).sqrt();
        // scores near the end of the range of numbers may leave it here
        let all_finite = [lower, upper, error].iter().all(|end| end.is_finite());
        all_finite.then_some(Interval {
            lower,
            upper,
            error,
        })
    }
}

/// The normal quantile of the share of replicates below the score, ties counted by half. Kept
/// finite where all replicates are on one side.
fn bias(sorted: &[f64], estimate: f64) -> f64 {
    let below = sorted.partition_point(|&v| v < estimate);
    let up_to = sorted.partition_point(|&v| v <= estimate);
    let count = sorted.len() as f64;
    let share = 0.5 * (below + up_to) as f64 / count;
    normal_quantile(share.clamp(0.5 / count, 1.0 - 0.5 / count))
}

/// The acceleration of the jackknife: a sixth of the skewness of the rows' influence, over
/// `n^{1/2}`. It has no unit, so influences are taken in units of the largest one: their powers
/// would leave the range of numbers where scores are large.
fn acceleration(left_out: &[f64]) -> f64 {
    let count = left_out.len() as f64;
    let mean = left_out.iter().map(|v| v / count).sum::<f64>();
    let largest = left_out.iter().fold(0.0f64, |m, v| m.max((mean - v).abs()));
    if !(largest > 0.0 && largest.is_finite()) {
        return 0.0;
    }
    let power = |p: i32| {
        let each = left_out.iter().map(|v| ((mean - v) / largest).powi(p));
        each.sum::<f64>()
    };
    power(3) / (6.0 * power(2).powf(1.5))
}

/// The `p`-quantile of sorted values, linear between their expected positions `i / (n + 1)`.
fn quantile(sorted: &[f64], p: f64) -> f64 {
    let last = (sorted.len() - 1) as f64;
    let position = (p * (sorted.len() as f64 + 1.0) - 1.0).clamp(0.0, last);
    let (low, part) = (position.floor() as usize, position.fract());
    let high = (low + 1).min(sorted.len() - 1);
    sorted[low] + part * (sorted[high] - sorted[low])
}

#[cfg(test)]
#[path = "tests/bootstrap.rs"]
mod tests;
