//! The predictive distribution of a real target or a count: a weighted mixture of laws.
//!
//! It serves any model. Each part sees the target through a monotone map. Part `k` has the map
//! `z = g_k(y)`, the weight `w_k`, and the laws `p_ks`, `s = 1 ... S_k`:
//!
//! ```text
//! p(y) = sum_k w_k g_k'(y) 1/S_k sum_s p_ks(g_k(y)),    F(y) = sum_k w_k 1/S_k sum_s F_ks(g_k(y))
//! ```
//!
//! The mean and variance of a law seen through a map are sums over a grid of 12 standard deviations
//! to each side (trapezoid rule). For a logarithm they are the closed forms of the log-normal law.
//! The continuous ranked probability score is `int (F(x) - 1{x >= y})^2 dx`, by Simpson's rule on
//! intervals that are halved where needed. For counts it is a sum.

use super::check_moments;
use super::simpson::simpson;
use crate::data::{TargetMap, Warp};
use crate::error::{Error, Result};
use crate::model::Law;

/// Laws of equal weight with a common map.
#[derive(Clone, Copy, Debug)]
pub struct Part<'a> {
    /// The part's share.
    pub weight: f64,
    /// The laws, at least one.
    pub laws: &'a [Law],
    /// The map from the target to the numbers that the laws describe.
    pub target: TargetMap,
}

/// A mixture of parts.
#[derive(Clone, Debug)]
pub struct MixedPredictive<'a> {
    parts: Vec<Part<'a>>,
    moments: Moments,
}

/// Moments of the whole mixture, in the target's units.
#[derive(Clone, Copy, Debug)]
struct Moments {
    mean: f64,
    variance: f64,
    /// Variance of the laws' means.
    between: f64,
}

/// Tolerance of a quantile, in standard deviations of the mixture.
const TOLERANCE: f64 = 1e-7;

/// Approximate tolerance of the score, in standard deviations of the mixture.
const SCORE: f64 = 1e-5;

impl<'a> MixedPredictive<'a> {
    /// Builds a mixture from parts and normalises their weights to a sum of 1.
    ///
    /// # Errors
    /// If there are no parts, or one has no laws. If a weight is negative or not finite, or all are
    /// zero. If a law is improper, counts are mixed with other laws or warped, a Student-t law is
    /// warped (its moments do not exist), or the moments are not finite.
    pub fn new(mut parts: Vec<Part<'a>>) -> Result<Self> {
        let op = "MixedPredictive";
        if parts.is_empty() || parts.iter().any(|p| p.laws.is_empty()) {
            return Err(Error::shape(op, "parts of at least one law", 0));
        }
        let total: f64 = parts.iter().map(|p| p.weight).sum();
        let good = parts.iter().all(|p| p.weight >= 0.0) && total > 0.0 && total.is_finite();
        if !good {
            let weights: Vec<f64> = parts.iter().map(|p| p.weight).collect();
            let value = format!("{weights:?}");
            let requirement = "must not be negative, and one must be positive";
            return Err(Error::config("weights", value, requirement));
        }
        parts.retain(|p| p.weight > 0.0);
        parts.iter_mut().for_each(|p| p.weight /= total);
        let discrete = parts[0].laws[0].is_discrete();
        for part in &parts {
            if let Some(law) = part.laws.iter().find(|l| !l.is_proper()) {
                let requirement = "must have finite numbers, and positive scales";
                return Err(Error::config("law", format!("{law:?}"), requirement));
            }
            let fits = |law: &Law| match law {
                Law::Poisson { .. } => discrete && part.target == TargetMap::IDENTITY,
                Law::StudentT { .. } => !discrete && part.target.warp.is_none(),
                Law::Normal { .. } => !discrete,
            };
            if let Some(law) = part.laws.iter().find(|l| !fits(l)) {
                let value = format!("{law:?}");
                let requirement = "does not go with the map of its target, or the other laws";
                return Err(Error::config("law", value, requirement));
            }
        }
        let moments = moments(&parts)?;
        Ok(Self { parts, moments })
    }

    /// True for counts.
    pub fn is_discrete(&self) -> bool {
        self.parts[0].laws[0].is_discrete()
    }

    /// Expectation.
    pub fn mean(&self) -> f64 {
        self.moments.mean
    }

    /// Variance.
    pub fn variance(&self) -> f64 {
        self.moments.variance
    }

    /// Variance of the laws' means: the part due to the parameters.
    pub fn epistemic_variance(&self) -> f64 {
        self.moments.between
    }

    /// Log density, or log probability for a count.
    pub fn log_density(&self, y: f64) -> f64 {
        let mut terms = Vec::new();
        for part in &self.parts {
            let z = part.target.forward(y);
            let slope = part.target.log_slope(y);
            let share = (part.weight / part.laws.len() as f64).ln();
            // a target outside the domain of a map has no density under it
            if z.is_nan() {
                continue;
            }
            terms.extend(
                part.laws
                    .iter()
                    .map(|law| law.log_density(z) + slope + share),
            );
        }
        let top = terms.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        if top == f64::NEG_INFINITY {
            return top;
        }
        top + terms.iter().map(|t| (t - top).exp()).sum::<f64>().ln()
    }

    /// Probability of a value up to `y`.
    pub fn cdf(&self, y: f64) -> f64 {
        self.average(y, 0.0, Law::cdf)
    }

    /// Probability of a value above `y`, accurate where it is tiny.
    pub fn survival(&self, y: f64) -> f64 {
        self.average(y, 1.0, Law::survival)
    }

    fn average(&self, y: f64, outside: f64, f: fn(&Law, f64) -> f64) -> f64 {
        let of = |part: &Part<'_>| {
            let z = part.target.forward(y);
            let mean = if z.is_nan() {
                outside
            } else {
                part.laws.iter().map(|law| f(law, z)).sum::<f64>() / part.laws.len() as f64
            };
            part.weight * mean
        };
        self.parts.iter().map(of).sum()
    }

    /// The value `y` with `cdf(y) = p`, to 1e-7 of the mixture's standard deviation. For counts,
    /// the smallest `y` with `cdf(y) >= p`.
    ///
    /// # Errors
    /// `p` outside the open interval (0, 1).
    pub fn quantile(&self, p: f64) -> Result<f64> {
        if !(p > 0.0 && p < 1.0) {
            let requirement = "must lie strictly between 0 and 1";
            return Err(Error::config("p", p, requirement));
        }
        let below = |y: f64| match p <= 0.5 {
            true => self.cdf(y) < p,
            // 1 - p is exact here, and 1 - cdf would cancel
            false => self.survival(y) > 1.0 - p,
        };
        let std = self.variance().sqrt();
        let bound = self.lower_bound();
        let (mut low, mut high) = (self.mean(), self.mean());
        let mut step = std.max(f64::MIN_POSITIVE);
        while !below(low) && low > bound {
            low = (low - step).max(bound);
            step *= 2.0;
        }
        step = std.max(f64::MIN_POSITIVE);
        while below(high) && high < f64::MAX {
            high = (high + step).min(f64::MAX);
            step *= 2.0;
        }
        if self.is_discrete() {
            return Ok(self.count_between(low.floor() - 1.0, high.ceil(), below));
        }
        let tolerance = TOLERANCE * std;
        let mut newton = 0.5 * low + 0.5 * high;
        while high - low > tolerance {
            let middle = 0.5 * low + 0.5 * high;
            if middle <= low || middle >= high {
                break;
            }
            let before = high - low;
            let y = if newton > low && newton < high {
                newton
            } else {
                middle
            };
            if below(y) {
                low = y;
            } else {
                high = y;
            }
            let (miss, density) = match p <= 0.5 {
                true => (p - self.cdf(y), self.log_density(y).exp()),
                false => (self.survival(y) - (1.0 - p), self.log_density(y).exp()),
            };
            // go a little farther, so that both ends close in
            let beyond = 0.25 * tolerance * miss.signum();
            newton = y + miss / density + beyond;
            let halved = high - low <= 0.5 * before;
            if !halved && high - low > tolerance {
                let middle = 0.5 * low + 0.5 * high;
                if below(middle) {
                    low = middle;
                } else {
                    high = middle;
                }
            }
        }
        Ok(0.5 * low + 0.5 * high)
    }

    /// The smallest count that is not below the quantile.
    fn count_between(&self, mut low: f64, mut high: f64, below: impl Fn(f64) -> bool) -> f64 {
        low = low.max(-1.0);
        while high - low > 1.0 {
            let middle = (0.5 * (low + high)).floor();
            if below(middle) {
                low = middle;
            } else {
                high = middle;
            }
        }
        high
    }

    /// The lower end of the range of all parts.
    fn lower_bound(&self) -> f64 {
        if self.is_discrete() {
            return 0.0;
        }
        let bounds = self.parts.iter().map(|p| p.target.lower_bound());
        bounds.fold(f64::INFINITY, f64::min).max(f64::MIN)
    }

    /// Continuous ranked probability score of the observation `y`, in the target's units; smaller
    /// is better.
    ///
    /// # Errors
    /// Those of [`MixedPredictive::quantile`]. The probabilities used here do not cause any.
    pub fn crps(&self, y: f64) -> Result<f64> {
        if self.is_discrete() {
            return Ok(self.crps_of_counts(y));
        }
        let std = self.variance().sqrt();
        // beyond these ends the integrand is at most 1e-12, and it decreases
        let ends = [1e-6, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0 - 1e-6];
        let mut nodes = Vec::with_capacity(ends.len() + 1);
        for p in ends {
            nodes.push(self.quantile(p)?);
        }
        nodes.push(y);
        nodes.sort_by(f64::total_cmp);
        let mut total = 0.0;
        for pair in nodes.windows(2) {
            let (a, b) = (pair[0], pair[1]);
            if b <= a {
                continue;
            }
            let square = |x: f64| match a >= y {
                true => self.survival(x).powi(2),
                false => self.cdf(x).powi(2),
            };
            total += simpson(&square, a, b, SCORE * std / nodes.len() as f64);
        }
        Ok(total)
    }

    fn crps_of_counts(&self, y: f64) -> f64 {
        let reach = self.mean() + 12.0 * self.variance().sqrt() + 12.0;
        let (mut k, mut total) = (0.0, 0.0);
        // F is constant between counts; y is a count in data, but need not be one here
        while k <= reach.max(y) {
            let (of_left, of_right) = (self.cdf(k).powi(2), self.survival(k).powi(2));
            let left = (y - k).clamp(0.0, 1.0);
            total += left * of_left + (1.0 - left) * of_right;
            k += 1.0;
        }
        total + (-y).max(0.0)
    }
}

/// Mean and variance of a law in the target's units.
fn law_moments(law: &Law, target: &TargetMap) -> (f64, f64) {
    let (mean, variance) = (law.mean(), law.variance());
    match target.warp {
        None => (target.inverse(mean), variance * target.scale.powi(2)),
        Some(Warp::Log) => {
            let spread = variance * target.scale.powi(2);
            let first = (target.mean + target.scale * mean + 0.5 * spread).exp();
            (first, first * first * spread.exp_m1())
        }
        Some(Warp::YeoJohnson { .. }) => {
            let (std, step) = (variance.sqrt(), 0.25);
            let (mut first, mut second, mut total) = (0.0, 0.0, 0.0);
            let origin = target.inverse(mean);
            for i in -48..=48 {
                let t = step * f64::from(i);
                let p = (-0.5 * t * t).exp();
                let y = target.inverse(mean + std * t) - origin;
                total += p;
                first += p * y;
                second += p * y * y;
            }
            first /= total;
            (origin + first, (second / total - first * first).max(0.0))
        }
    }
}

fn moments(parts: &[Part<'_>]) -> Result<Moments> {
    let mut each = Vec::new();
    for part in parts {
        let share = part.weight / part.laws.len() as f64;
        for law in part.laws {
            let (mean, variance) = law_moments(law, &part.target);
            each.push((share, mean, variance));
        }
    }
    // relative to the first, so that a common offset costs no accuracy
    let origin = each[0].1;
    let mean = origin + each.iter().map(|(w, m, _)| w * (m - origin)).sum::<f64>();
    let within: f64 = each.iter().map(|(w, _, v)| w * v).sum();
    let between: f64 = each.iter().map(|(w, m, _)| w * (m - mean).powi(2)).sum();
    let variance = within + between;
    check_moments(mean, ("variance", variance))?;
    Ok(Moments {
        mean,
        variance,
        between,
    })
}

#[cfg(test)]
#[path = "mixed_tests.rs"]
mod tests;
