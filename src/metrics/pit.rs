//! Probability integral transforms: where targets fall in their predictive distributions.
//!
//! If predictions are calibrated, `F_i(y_i)` is uniform on [0, 1] (Dawid 1984; Gneiting, Balabdaoui
//! & Raftery 2007). For counts, `F_i` jumps at the target. Its probability then counts as spread
//! evenly over the jump (Czado, Gneiting & Held 2009).

use super::weights::{Weights, at, average};

/// Jumps below count as points.
const SMALLEST_JUMP: f64 = 1e-9;

/// `F(y)`, or for a count the jump there, `F(y - 1)..=F(y)`.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "safetensors", derive(serde::Serialize))]
pub struct Pit {
    /// Probability of a value below the target.
    pub below: f64,
    /// Probability of a value up to the target. The same as `below`, except for counts.
    pub up_to: f64,
}

impl Pit {
    /// The transform of a continuous distribution.
    pub fn at(value: f64) -> Self {
        Self {
            below: value,
            up_to: value,
        }
    }

    /// True if there is no jump, or one so small that its slope would only add rounding.
    fn is_point(&self) -> bool {
        self.up_to - self.below < SMALLEST_JUMP
    }

    /// The share of the jump at or below `u`.
    fn share_below(&self, u: f64) -> f64 {
        if u >= self.up_to {
            return 1.0;
        }
        if u <= self.below {
            return 0.0;
        }
        (u - self.below) / (self.up_to - self.below)
    }

    /// True if the target is in the interval between the quantiles at `p` and `1 - p`, ends
    /// included.
    fn is_within(&self, p: f64) -> bool {
        match self.below == self.up_to {
            true => self.up_to >= p && self.up_to <= 1.0 - p,
            // for counts, a quantile is the smallest count that reaches the probability
            false => self.up_to >= p && self.below < 1.0 - p,
        }
    }
}

/// Share of the targets in the central interval of probability `level`.
pub(super) fn coverage_at(pits: &[Pit], level: f64, weights: Weights<'_>) -> f64 {
    let p = 0.5 * (1.0 - level);
    average(pits.len(), weights, |i| {
        f64::from(u8::from(pits[i].is_within(p)))
    })
}

/// Shares of the transforms in `bins` intervals of equal width. `1 / bins` each if calibrated.
pub(super) fn histogram(pits: &[Pit], bins: usize, weights: Weights<'_>) -> Vec<f64> {
    let share = |pit: &Pit, b: usize| {
        let (low, high) = (b as f64 / bins as f64, (b + 1) as f64 / bins as f64);
        match pit.below == pit.up_to {
            // the first bin holds 0
            true => f64::from(u8::from(pit.up_to <= high && (pit.up_to > low || b == 0))),
            false => pit.share_below(high) - pit.share_below(low),
        }
    };
    (0..bins)
        .map(|b| average(pits.len(), weights, |i| share(&pits[i], b)))
        .collect()
}

/// Where the distribution of transforms has a step or a kink, in order, made once for many weights.
#[derive(Clone, Debug)]
pub(super) struct PitRanking {
    /// Position, row, and whether it is the upper end of a jump.
    ends: Vec<(f64, usize, bool)>,
}

impl PitRanking {
    pub fn new(pits: &[Pit]) -> Self {
        let both = pits.iter().enumerate();
        let mut ends: Vec<(f64, usize, bool)> = both
            .flat_map(|(row, pit)| [(pit.below, row, false), (pit.up_to, row, true)])
            .collect();
        // stable: at the same place, lower ends come before upper ends of the same row
        ends.sort_by(|a, b| a.0.total_cmp(&b.0));
        Self { ends }
    }

    /// The largest gap between the distribution function of the transforms and the uniform one
    /// (the statistic of Kolmogorov and Smirnov); NaN if all weights are 0.
    pub fn distance(&self, pits: &[Pit], weights: Weights<'_>) -> f64 {
        // the function is `done + sum of w (u - below) / (up_to - below)` over open jumps
        let (mut done, mut slope, mut offset) = (0.0, 0.0, 0.0);
        let total = super::weights::total(weights, pits.len());
        let mut largest: f64 = if total > 0.0 { 0.0 } else { f64::NAN };
        let mut at_place = 0;
        while at_place < self.ends.len() {
            let u = self.ends[at_place].0;
            let gap = |value: f64| (value / total - u).abs();
            largest = largest.max(gap(done + slope * u - offset));
            while let Some(&(_, row, is_upper)) = self.ends.get(at_place)
                && self.ends[at_place].0 == u
            {
                let (pit, w) = (&pits[row], at(weights, row));
                let rate = w / (pit.up_to - pit.below).max(SMALLEST_JUMP);
                match (pit.is_point(), is_upper) {
                    (true, true) => done += w,
                    (true, false) => {}
                    (false, false) => {
                        slope += rate;
                        offset += rate * pit.below;
                    }
                    (false, true) => {
                        slope -= rate;
                        offset -= rate * pit.below;
                        done += w;
                    }
                }
                at_place += 1;
            }
            largest = largest.max(gap(done + slope * u - offset));
        }
        largest
    }
}

#[cfg(test)]
#[path = "tests/pit.rs"]
mod tests;
