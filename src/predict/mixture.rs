//! The predictive distribution of a regression: an equal mixture of Gaussians, one for each posterior sample.

use std::f64::consts::{FRAC_1_SQRT_2, PI, SQRT_2};

use crate::error::{Error, Result};

/// The standard normal distribution function, accurate relative to its value in the lower tail as far as doubles go.
pub fn normal_cdf(x: f64) -> f64 {
    0.5 * libm::erfc(-x * FRAC_1_SQRT_2)
}

fn normal_density(x: f64) -> f64 {
    (-0.5 * x * x).exp() / (2.0 * PI).sqrt()
}

/// `1/s sum_i N(means[i], std^2)`: `s` means of equal weight and one standard deviation, in the units of the target.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GaussianMixture<'a> {
    means: &'a [f64],
    std: f64,
}

impl<'a> GaussianMixture<'a> {
    /// A mixture around `means` `[s]`.
    ///
    /// # Errors
    /// No means, a mean that is not finite, or a deviation that is not finite and positive.
    pub fn new(means: &'a [f64], std: f64) -> Result<Self> {
        if means.is_empty() {
            return Err(Error::shape("GaussianMixture", "at least 1 mean", 0));
        }
        if let Some(index) = means.iter().position(|m| !m.is_finite()) {
            let what = "means of a mixture";
            return Err(Error::NonFinite { what, index });
        }
        if !(std.is_finite() && std > 0.0) {
            return Err(Error::config("std", std, "must be finite and positive"));
        }
        Ok(Self { means, std })
    }

    /// The means of the components `[s]`.
    pub fn means(&self) -> &'a [f64] {
        self.means
    }

    /// The standard deviation of every component.
    pub fn std(&self) -> f64 {
        self.std
    }

    /// Expectation; not finite when means are too far apart for their difference to be.
    pub fn mean(&self) -> f64 {
        // relative to the first, so that a common offset costs no accuracy
        let origin = self.means[0];
        origin + self.average(|m| m - origin)
    }

    /// Variance: that of a component plus that of the means.
    pub fn variance(&self) -> f64 {
        let mean = self.mean();
        self.std * self.std + self.average(|m| (m - mean) * (m - mean))
    }

    /// Natural logarithm of the density; minus infinity where it is below anything a double can express the
    /// logarithm of.
    pub fn log_density(&self, y: f64) -> f64 {
        let exponent = |m: &f64| -0.5 * ((y - m) / self.std) * ((y - m) / self.std);
        let largest = self
            .means
            .iter()
            .map(exponent)
            .fold(f64::NEG_INFINITY, f64::max);
        if largest == f64::NEG_INFINITY {
            return largest;
        }
        // relative to the largest term, which then is 1: the sum neither underflows nor overflows
        let sum: f64 = self
            .means
            .iter()
            .map(|m| (exponent(m) - largest).exp())
            .sum();
        let count = self.means.len() as f64;
        largest + (sum / count).ln() - self.std.ln() - 0.5 * (2.0 * PI).ln()
    }

    /// Probability of a value up to `x`.
    pub fn cdf(&self, x: f64) -> f64 {
        self.average(|m| normal_cdf((x - m) / self.std))
    }

    /// Probability of a value above `x`, accurate where it is tiny.
    fn survival(&self, x: f64) -> f64 {
        self.average(|m| normal_cdf((m - x) / self.std))
    }

    /// The value `x` with `cdf(x) = p`.
    ///
    /// The result and such an `x` differ by at most `1e-10 std`, or by the spacing of doubles near `x` if that is
    /// larger. Where the mixture has no mass (between components many deviations apart) every `x` of the void
    /// fits a `p` that falls there, within the rounding of [`GaussianMixture::cdf`].
    ///
    /// # Errors
    /// `p` outside the open interval (0, 1).
    pub fn quantile(&self, p: f64) -> Result<f64> {
        if !(p > 0.0 && p < 1.0) {
            let requirement = "must lie strictly between 0 and 1";
            return Err(Error::config("p", p, requirement));
        }
        let tolerance = 1e-10 * self.std;
        // Beyond 40 deviations the tail is 0 in double precision, so the bracket holds every quantile.
        let reach = 40.0 * self.std;
        let extreme = |fold: fn(f64, f64) -> f64| self.means.iter().copied().reduce(fold);
        let mut low = (extreme(f64::min).unwrap_or(0.0) - reach).max(f64::MIN);
        let mut high = (extreme(f64::max).unwrap_or(0.0) + reach).min(f64::MAX);
        let mean = self.mean();
        let inside = mean > low && mean < high; // the mean overflows before the quantile does
        let mut x = if inside { mean } else { 0.5 * low + 0.5 * high };
        loop {
            let width = high - low;
            // Newton may creep along one side of the bracket: the third step without halving it is a bisection.
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
    /// The proposal is a Newton step on the logarithm of the smaller tail, which is nearly a parabola far out, and a
    /// quarter of the tolerance more: it lands beyond the quantile once Newton has converged, and closes the bracket.
    fn toward_quantile(
        &self,
        x: f64,
        p: f64,
        tolerance: f64,
        low: &mut f64,
        high: &mut f64,
    ) -> f64 {
        // above the median the upper tail: 1 - p is exact there, and 1 - cdf would cancel
        let (tail, wanted, sign) = if p <= 0.5 {
            (self.cdf(x), p, 1.0)
        } else {
            (self.survival(x), 1.0 - p, -1.0)
        };
        let density = self.average(|m| normal_density((x - m) / self.std)) / self.std;
        let step = sign * tail / density * (wanted / tail).ln();
        if sign * (tail - wanted) >= 0.0 {
            *high = x;
            x + step - 0.25 * tolerance
        } else {
            *low = x;
            x + step + 0.25 * tolerance
        }
    }

    /// Continuous ranked probability score of the observation `y`, in units of the target; smaller is better.
    ///
    /// The closed form of Grimit et al. (2006), `E|X - y| - E|X - X'| / 2`, in `O(s^2)`.
    pub fn crps(&self, y: f64) -> f64 {
        let to_observation = self.average(|m| absolute_moment(y - m, self.std));
        let spread = SQRT_2 * self.std;
        let mut pairs = 0.0;
        for (i, a) in self.means.iter().enumerate() {
            let row: f64 = self.means[..i]
                .iter()
                .map(|b| absolute_moment(a - b, spread))
                .sum();
            pairs += row;
        }
        // the s terms with X and X' of the same component, and every other pair twice
        let count = self.means.len() as f64;
        let to_itself = (absolute_moment(0.0, spread) + 2.0 * pairs / count) / count;
        to_observation - 0.5 * to_itself
    }

    fn average(&self, f: impl Fn(f64) -> f64) -> f64 {
        self.means.iter().map(|&m| f(m)).sum::<f64>() / self.means.len() as f64
    }
}

/// `E|Z|` of `Z ~ N(mean, std^2)`.
fn absolute_moment(mean: f64, std: f64) -> f64 {
    let distance = mean.abs();
    let t = distance / std;
    // `2 std phi(t) + mean (2 Phi(t) - 1)` as the distance and a remainder, which past t = 9 is below rounding
    if t > 9.0 {
        return distance;
    }
    distance + 2.0 * std * (normal_density(t) - t * normal_cdf(-t))
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_relative_eq;
    use proptest::prelude::*;

    fn mixture(means: &[f64], std: f64) -> GaussianMixture<'_> {
        GaussianMixture::new(means, std).unwrap()
    }

    /// Simpson's rule on [a, b].
    fn integrate(f: impl Fn(f64) -> f64, a: f64, b: f64) -> f64 {
        let n = 4000;
        let h = (b - a) / n as f64;
        let weight = |i: usize| match i {
            0 => 1.0,
            i if i == n => 1.0,
            i => (2 + 2 * (i % 2)) as f64,
        };
        (0..=n)
            .map(|i| weight(i) * f(a + i as f64 * h))
            .sum::<f64>()
            * h
            / 3.0
    }

    #[test]
    fn normal_cdf_is_accurate_in_the_tail() {
        assert_eq!(normal_cdf(0.0), 0.5);
        // tables of the normal distribution (Abramowitz & Stegun 26.2; Mathematica for the far tail)
        assert_relative_eq!(
            normal_cdf(1.0),
            0.841_344_746_068_542_9,
            max_relative = 1e-15
        );
        assert_relative_eq!(
            normal_cdf(-10.0),
            7.619_853_024_160_527e-24,
            max_relative = 1e-13
        );
        assert_relative_eq!(
            normal_cdf(-37.0),
            5.725_571_222_524_577e-300,
            max_relative = 1e-12
        );
    }

    #[test]
    fn moments_by_hand_even_with_a_large_offset() {
        let means = [1e9 - 1.0, 1e9 + 1.0];
        let m = mixture(&means, 2.0);
        assert_eq!(m.mean(), 1e9);
        assert_eq!(m.variance(), 4.0 + 1.0);
    }

    #[test]
    fn log_density_of_one_gaussian_and_far_out() {
        let m = mixture(&[1.0], 2.0);
        let expected = |z: f64| -0.5 * z * z - (2.0 * (2.0 * PI).sqrt()).ln();
        for z in [0.0, 1.0, -3.0, 100.0, 1e6] {
            assert_relative_eq!(
                m.log_density(1.0 + 2.0 * z),
                expected(z),
                max_relative = 1e-14
            );
        }
        // far from both, the nearer component with half the weight is all there is
        let two = mixture(&[0.0, 10.0], 1.0);
        let expected = -0.5 * 90.0 * 90.0 - (2.0 * (2.0 * PI).sqrt()).ln();
        assert_relative_eq!(two.log_density(100.0), expected, max_relative = 1e-14);
        assert_eq!(two.log_density(1e200), f64::NEG_INFINITY);
    }

    #[test]
    fn quantiles_of_one_gaussian() {
        let m = mixture(&[3.0], 2.0);
        // the 97.5 % point, and the median
        let x = m.quantile(0.975).unwrap();
        assert!((x - (3.0 + 2.0 * 1.959_963_984_540_054)).abs() < 2e-10);
        assert!((m.quantile(0.5).unwrap() - 3.0).abs() < 2e-10);
        let tail = m.quantile(7.619_853_024_160_527e-24).unwrap();
        assert!((tail - (3.0 - 20.0)).abs() < 2e-10, "{tail}");
        let top = m.quantile(1.0 - f64::EPSILON / 2.0).unwrap();
        assert!(
            (top - (3.0 + 2.0 * 8.209_536_151_601_387)).abs() < 2e-10,
            "{top}"
        );
    }

    #[test]
    fn quantiles_of_awkward_mixtures_come_to_an_end() {
        let apart = [-1e6, 1e6];
        for p in [1e-300, 5e-324, 0.1, 0.5, 0.500001, 0.9, 1.0 - 1e-16] {
            for (means, std) in [
                (apart, 1.0),
                (apart, 1e-8),
                ([1e16; 2], 1e-3),
                ([-1.7e308, 1.7e308], 1e300),
            ] {
                let m = mixture(&means, std);
                let x = m.quantile(p).unwrap();
                assert!(x.is_finite());
                let bound = 40.0 * std;
                assert!(x >= means[0] - bound && x <= means[1] + bound);
            }
        }
        let third = mixture(&[0.0, 0.0, 100.0], 1.0).quantile(0.9).unwrap();
        // 70 % of the way through the last component
        assert!((third - (100.0 + 0.524_400_512_708_041)).abs() < 1e-9);
        for p in [0.0, 1.0, -0.1, f64::NAN] {
            assert!(mixture(&[0.0], 1.0).quantile(p).is_err());
        }
    }

    #[test]
    fn crps_of_one_gaussian_is_the_closed_form() {
        let (mean, std) = (1.5, 0.7);
        let means = [mean];
        let m = mixture(&means, std);
        for z in [-20.0, -3.0, -0.4, 0.0, 1.0, 8.9, 9.1] {
            // Gneiting & Raftery (2007), eq. 21
            let expected =
                std * (z * (2.0 * normal_cdf(z) - 1.0) + 2.0 * normal_density(z) - 1.0 / PI.sqrt());
            assert_relative_eq!(m.crps(mean + std * z), expected, max_relative = 1e-12);
        }
    }

    #[test]
    fn crps_is_the_integral_of_the_squared_distance_of_distributions() {
        let means = [-1.0, 0.3, 0.4, 2.5];
        let m = mixture(&means, 0.6);
        for y in [-4.0, 0.35, 3.0] {
            let below = integrate(|x| m.cdf(x).powi(2), -9.0, y);
            let above = integrate(|x| m.survival(x).powi(2), y, 11.0);
            assert_relative_eq!(m.crps(y), below + above, max_relative = 1e-9);
        }
    }

    #[test]
    fn bad_parts_are_refused() {
        assert!(GaussianMixture::new(&[], 1.0).is_err());
        assert!(GaussianMixture::new(&[f64::NAN], 1.0).is_err());
        for std in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(GaussianMixture::new(&[0.0], std).is_err());
        }
    }

    proptest! {
        #[test]
        fn quantile_inverts_cdf(
            means in prop::collection::vec(-3.0f64..3.0, 1..8), std in 0.1f64..3.0, at in -6.0f64..6.0
        ) {
            let m = mixture(&means, std);
            let p = m.cdf(at);
            prop_assume!(p > 0.0 && p < 1.0);
            // p is rounded to about one EPSILON, which moves the quantile by EPSILON / density
            let slack = 4.0 * f64::EPSILON / m.log_density(at).exp();
            prop_assume!(slack < 0.1 * std);
            let x = m.quantile(p).unwrap();
            prop_assert!((x - at).abs() <= 2e-10 * std + slack, "{} {}", x, at);
        }

        #[test]
        fn cdf_is_the_integral_of_the_density(
            means in prop::collection::vec(-3.0f64..3.0, 1..5), std in 0.3f64..2.0, at in -4.0f64..4.0
        ) {
            let m = mixture(&means, std);
            let area = integrate(|x| m.log_density(x).exp(), -3.0 - 12.0 * std, at);
            prop_assert!((area - m.cdf(at)).abs() < 1e-8);
            prop_assert!((m.cdf(at) + m.survival(at) - 1.0).abs() < 1e-14);
        }

        #[test]
        fn crps_is_positive_and_moves_with_the_units(
            means in prop::collection::vec(-3.0f64..3.0, 1..8), std in 0.1f64..3.0, y in -9.0f64..9.0
        ) {
            let score = mixture(&means, std).crps(y);
            prop_assert!(score > 0.0);
            let moved: Vec<f64> = means.iter().map(|m| 8.0 * m + 1.0).collect();
            let other = mixture(&moved, 8.0 * std).crps(8.0 * y + 1.0);
            prop_assert!((other - 8.0 * score).abs() < 1e-11 * (1.0 + other));
        }
    }
}
