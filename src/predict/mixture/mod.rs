//! The predictive distribution of a regression: an equal mixture of Gaussians, one per sample.
//!
//! If all parameters are sampled, every component has the deviation of the noise. If part of them
//! is integrated out (Rao-Blackwell), each sample of the rest gives a Gaussian with its own
//! deviation.

mod mixed;
mod simpson;
mod tails;

pub use mixed::{MixedPredictive, Part};

use std::f64::consts::{PI, SQRT_2};

use crate::error::{Column, Error, Result, counted};
use crate::linalg::not_a_number;
use crate::linalg::vector::scale_of;
use crate::special::normal_cdf;

/// Checks the moments of one predictive distribution, as row 0: the mean, and the variance or the
/// standard deviation under its name.
pub(super) fn check_moments(mean: f64, spread: (&str, f64)) -> Result<()> {
    for (name, value) in [("mean", mean), spread] {
        if !value.is_finite() {
            let column = Column::Named(name.into());
            return Err(not_a_number::<f64>(
                "predictive distribution",
                0,
                column,
                value,
            ));
        }
    }
    Ok(())
}

fn normal_density(x: f64) -> f64 {
    (-0.5 * x * x).exp() / (2.0 * PI).sqrt()
}

/// The standard deviations of a mixture's components.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum MixtureStds<'a> {
    /// One deviation for all.
    Common(f64),
    /// One deviation per component, in the order of the means.
    Each(&'a [f64]),
}

impl From<f64> for MixtureStds<'_> {
    fn from(std: f64) -> Self {
        Self::Common(std)
    }
}

impl<'a> From<&'a [f64]> for MixtureStds<'a> {
    fn from(stds: &'a [f64]) -> Self {
        Self::Each(stds)
    }
}

impl MixtureStds<'_> {
    /// Those of row `row`, if every row has `samples` components.
    pub(crate) fn of_row(&self, row: usize, samples: usize) -> MixtureStds<'_> {
        match self {
            Self::Common(std) => MixtureStds::Common(*std),
            Self::Each(stds) => MixtureStds::Each(&stds[row * samples..(row + 1) * samples]),
        }
    }
}

/// `1/s sum_i N(means[i], stds[i]^2)`: `s` Gaussians of equal weight, in the units of the target.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GaussianMixture<'a> {
    means: &'a [f64],
    stds: MixtureStds<'a>,
    /// The smallest deviation.
    unit: f64,
}

impl<'a> GaussianMixture<'a> {
    /// A mixture around `means` `[s]`. All components have the deviation `std`.
    ///
    /// # Errors
    /// No means, a mean that is not finite, or a deviation that is not finite and positive.
    pub fn new(means: &'a [f64], std: f64) -> Result<Self> {
        Self::of(means, MixtureStds::Common(std))
    }

    /// A mixture around `means` `[s]` with the deviations `stds` `[s]`.
    ///
    /// # Errors
    /// Those of [`GaussianMixture::new`], or if there are more or fewer deviations than means.
    pub fn with_stds(means: &'a [f64], stds: &'a [f64]) -> Result<Self> {
        Self::of(means, MixtureStds::Each(stds))
    }

    /// A mixture of either kind.
    pub(crate) fn of(means: &'a [f64], stds: MixtureStds<'a>) -> Result<Self> {
        Self::checked(means, stds, false)
    }

    /// The score [`GaussianMixture::crps`] of a mixture whose deviations may be 0. Such points have
    /// a score but no density.
    pub(crate) fn crps_with_points(means: &[f64], stds: MixtureStds, y: f64) -> Result<f64> {
        Ok(GaussianMixture::checked(means, stds, true)?.crps(y))
    }

    fn checked(means: &'a [f64], stds: MixtureStds<'a>, points: bool) -> Result<Self> {
        if means.is_empty() {
            return Err(Error::shape("GaussianMixture", "at least 1 mean", 0));
        }
        if let Some(index) = means.iter().position(|m| !m.is_finite()) {
            let what = "means of a mixture";
            return Err(Error::NonFinite { what, index });
        }
        let good = |std: f64| std.is_finite() && (std > 0.0 || points && std == 0.0);
        let requirement = match points {
            true => "must be finite and not negative",
            false => "must be finite and positive",
        };
        let unit = match stds {
            MixtureStds::Common(std) if good(std) => std,
            MixtureStds::Common(std) => return Err(Error::config("std", std, requirement)),
            MixtureStds::Each(all) => {
                if all.len() != means.len() {
                    let expected = counted(means.len(), "deviation");
                    return Err(Error::shape("GaussianMixture", expected, all.len()));
                }
                if let Some(index) = all.iter().position(|&std| !good(std)) {
                    let value = format!("{} (component {index}, from 0)", all[index]);
                    return Err(Error::config("stds", value, requirement));
                }
                all.iter().copied().fold(f64::INFINITY, f64::min)
            }
        };
        Ok(Self { means, stds, unit })
    }

    /// The means of the components `[s]`.
    pub fn means(&self) -> &'a [f64] {
        self.means
    }

    /// The standard deviations of the components.
    pub fn stds(&self) -> MixtureStds<'a> {
        self.stds
    }

    /// Expectation. Not finite if means are so far apart that their difference overflows.
    pub fn mean(&self) -> f64 {
        // relative to the first, so that a common offset costs no accuracy
        let origin = self.means[0];
        origin + self.average(|m, _| m - origin)
    }

    /// Variance: the average variance of the components, plus that of their means.
    pub fn variance(&self) -> f64 {
        self.average_std(|std| std * std) + self.variance_of_means()
    }

    /// Variance of the components' means.
    fn variance_of_means(&self) -> f64 {
        let mean = self.mean();
        self.average(|m, _| (m - mean) * (m - mean))
    }

    /// The standard deviation, and its part without the noise: that of the components' means, which
    /// have the deviations `own` each (empty if they are exact). No square overflows or vanishes.
    pub(crate) fn deviations(&self, own: &[f64]) -> (f64, f64) {
        let mean = self.mean();
        let largest = self.fold(0.0, |top: f64, m, std| top.max((m - mean).abs()).max(std));
        let scale = scale_of(own.iter().copied().fold(largest, f64::max));
        let square = |x: f64| (x * scale) * (x * scale);
        let of_means = self.average(|m, _| square(m - mean));
        let all = self.average_std(square) + of_means;
        // a sum, not the total minus the noise: beside a noise of 1, a part of 5e-10 would be lost
        let own = own.iter().map(|&s| square(s)).sum::<f64>() / self.means.len() as f64;
        (all.sqrt() / scale, (of_means + own).sqrt() / scale)
    }

    /// Log density; minus infinity if its value is beyond the range of a double.
    pub fn log_density(&self, y: f64) -> f64 {
        let log_unit = self.unit.ln();
        let exponent = |m: f64, std: f64| {
            let kernel = -0.5 * ((y - m) / std) * ((y - m) / std);
            match self.stds {
                MixtureStds::Common(_) => kernel,
                MixtureStds::Each(_) => kernel - (std.ln() - log_unit),
            }
        };
        let largest = self.fold(f64::NEG_INFINITY, |top, m, std| top.max(exponent(m, std)));
        if largest == f64::NEG_INFINITY {
            return largest;
        }
        // relative to the largest term, which becomes 1: the sum neither underflows nor overflows
        let mean = self.average(|m, std| (exponent(m, std) - largest).exp());
        largest + mean.ln() - log_unit - 0.5 * (2.0 * PI).ln()
    }

    /// Probability of a value up to `x`.
    pub fn cdf(&self, x: f64) -> f64 {
        self.average(|m, std| normal_cdf((x - m) / std))
    }

    /// Probability of a value above `x`, accurate where it is tiny.
    pub fn survival(&self, x: f64) -> f64 {
        self.average(|m, std| normal_cdf((m - x) / std))
    }

    /// The value `x` with `cdf(x) = p`.
    ///
    /// The result differs from such an `x` by at most `1e-10` times the smallest deviation, or by
    /// the spacing of doubles near `x` if that is larger. No density exceeds `0.4 / smallest`, so
    /// `cdf(result)` is within `4e-11` of `p` wherever the quantile falls. A narrow component
    /// inside a broad one is not jumped over.
    ///
    /// The rounding of [`GaussianMixture::cdf`] covers a wider range where the mixture is very
    /// thin: far from a narrow component, or in the void between components many deviations apart.
    /// Every `x` within that rounding is then a valid result.
    ///
    /// # Errors
    /// `p` outside the open interval (0, 1).
    pub fn quantile(&self, p: f64) -> Result<f64> {
        self.quantile_within(p, 1e-10 * self.unit)
    }

    /// The value `x` with `cdf(x) = p`, to an absolute `tolerance` in the target's units. A
    /// component narrower than the tolerance, inside a broad one, may be jumped over.
    ///
    /// # Errors
    /// `p` outside the open interval (0, 1), or a tolerance that is not positive.
    pub fn quantile_within(&self, p: f64, tolerance: f64) -> Result<f64> {
        if !(p > 0.0 && p < 1.0) {
            let requirement = "must lie strictly between 0 and 1";
            return Err(Error::config("p", p, requirement));
        }
        if tolerance.is_nan() || tolerance <= 0.0 {
            return Err(Error::config("tolerance", tolerance, "must be positive"));
        }
        // beyond 40 deviations the tail is 0 in double precision: the bracket holds every quantile
        let lowest = self.fold(f64::INFINITY, |low, m, std| low.min(m - 40.0 * std));
        let highest = self.fold(f64::NEG_INFINITY, |high, m, std| high.max(m + 40.0 * std));
        let (mut low, mut high) = (lowest.max(f64::MIN), highest.min(f64::MAX));
        let mean = self.mean();
        let inside = mean > low && mean < high; // the mean overflows before the quantile does
        let mut x = if inside { mean } else { 0.5 * low + 0.5 * high };
        loop {
            let width = high - low;
            // Newton may creep along one side: bisect if the third step has not halved the bracket
            for step in 0..3 {
                let newton = self.toward_quantile(x, p, tolerance, &mut low, &mut high);
                let middle = 0.5 * low + 0.5 * high;
                if high - low <= tolerance || middle <= low || middle >= high {
                    return Ok(middle);
                }
                let halved = high - low <= 0.5 * width;
                let usable = newton > low && newton < high && (step < 2 || halved);
                x = if usable { newton } else { middle };
                if halved {
                    break;
                }
            }
        }
    }

    /// Moves the end of the bracket that `x` belongs to, and proposes the next `x`.
    ///
    /// The proposal is a Newton step on the logarithm of the smaller tail, which is nearly a
    /// parabola far out. It goes a quarter of the tolerance farther: once Newton has converged, it
    /// lands beyond the quantile and closes the bracket.
    fn toward_quantile(
        &self,
        x: f64,
        p: f64,
        tolerance: f64,
        low: &mut f64,
        high: &mut f64,
    ) -> f64 {
        // above the median, use the upper tail: 1 - p is exact there, and 1 - cdf would cancel
        let upper = p > 0.5;
        let (wanted, sign) = if upper { (1.0 - p, -1.0) } else { (p, 1.0) };
        let sums = tails::tails(x, self.means, self.stds, upper, self.unit);
        let count = self.means.len() as f64;
        let (tail, density) = (sums.tail / count, sums.density / count / self.unit);
        let step = sign * tail / density * (wanted / tail).ln();
        if sign * (tail - wanted) >= 0.0 {
            *high = x;
            x + step - 0.25 * tolerance
        } else {
            *low = x;
            x + step + 0.25 * tolerance
        }
    }

    /// Continuous ranked probability score of the observation `y`, in the target's units; smaller
    /// is better.
    ///
    /// The closed form of Grimit et al. (2006), `E|X - y| - E|X - X'| / 2`, in `O(s^2)`.
    pub fn crps(&self, y: f64) -> f64 {
        let to_observation = self.average(|m, std| absolute_moment(y - m, std));
        // E|X - X'|: the difference of two components has the sum of their variances
        let pairs = match self.stds {
            MixtureStds::Common(std) => {
                let spread = SQRT_2 * std;
                self.pairs(move |_, _| spread)
            }
            MixtureStds::Each(stds) => self.pairs(move |i, j| root_of_squares(stds[i], stds[j])),
        };
        // s terms have X and X' from the same component; every other pair counts twice
        let count = self.means.len() as f64;
        let same = self.average_std(|std| absolute_moment(0.0, SQRT_2 * std));
        to_observation - 0.5 * (same + 2.0 * pairs / count) / count
    }

    /// The sum of `E|Z|` over pairs of components `j < i`, where
    /// `Z ~ N(means[i] - means[j], std(i, j)^2)`.
    fn pairs(&self, std: impl Fn(usize, usize) -> f64) -> f64 {
        let mut pairs = 0.0;
        for (i, a) in self.means.iter().enumerate() {
            let before = self.means[..i].iter().enumerate();
            let row: f64 = before.map(|(j, b)| absolute_moment(a - b, std(i, j))).sum();
            pairs += row;
        }
        pairs
    }

    fn fold(&self, start: f64, f: impl Fn(f64, f64, f64) -> f64) -> f64 {
        let means = self.means.iter();
        match self.stds {
            MixtureStds::Common(std) => means.fold(start, |acc, &m| f(acc, m, std)),
            MixtureStds::Each(stds) => means.zip(stds).fold(start, |acc, (&m, &s)| f(acc, m, s)),
        }
    }

    /// The average of `f(mean, std)` over the components.
    fn average(&self, f: impl Fn(f64, f64) -> f64) -> f64 {
        self.fold(0.0, |sum, m, std| sum + f(m, std)) / self.means.len() as f64
    }

    /// The average of `f(std)` over the components.
    fn average_std(&self, f: impl Fn(f64) -> f64) -> f64 {
        match self.stds {
            MixtureStds::Common(std) => f(std),
            MixtureStds::Each(_) => self.average(|_, std| f(std)),
        }
    }
}

/// `sqrt(a^2 + b^2)` for numbers that are not negative. The squared ratio cannot overflow, and does
/// not matter where it underflows. This is the innermost loop, where a call of `f64::hypot` takes
/// longer.
#[inline]
fn root_of_squares(a: f64, b: f64) -> f64 {
    let (large, small) = if a > b { (a, b) } else { (b, a) };
    let ratio = if small > 0.0 { small / large } else { 0.0 };
    large * (1.0 + ratio * ratio).sqrt()
}

/// `E|Z|` for `Z ~ N(mean, std^2)`. A deviation of 0 means a point.
fn absolute_moment(mean: f64, std: f64) -> f64 {
    let distance = mean.abs();
    let t = distance / std;
    // `2 std phi(t) + mean (2 Phi(t) - 1)`: distance plus a remainder, lost in rounding past t = 9
    if t > 9.0 || std == 0.0 {
        return distance;
    }
    distance + 2.0 * std * (normal_density(t) - t * normal_cdf(-t))
}

#[cfg(test)]
mod tests;
