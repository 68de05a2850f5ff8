//! Monotone maps that remove skew and heavy tails from a column.
//!
//! The Yeo-Johnson map (Yeo & Johnson 2000, Biometrika 87) of `u = (y - centre) / unit`:
//!
//! ```text
//! u >= 0:  w = ((1 + u)^lambda - 1) / lambda              (log(1 + u) for lambda = 0)
//! u <  0:  w = -((1 - u)^(2 - lambda) - 1) / (2 - lambda) (-log(1 - u) for lambda = 2)
//! ```
//!
//! `lambda = 1` is the identity. For `lambda` in `[0, 2]` the map is onto the real line, so a
//! normal density of `w` is a proper density of `y`. Targets use only this range. The original has
//! `centre = 0` and `unit = 1`, so it depends on the units of the data. Here the centre is the
//! median, and the unit is a multiple of the mean distance from it.
//!
//! `lambda` and the multiple maximise the likelihood of a normal distribution of `w`:
//!
//! ```text
//! l = -n/2 log var(w) + (lambda - 1) sum_i sign(u_i) log(1 + |u_i|) - n log unit
//! ```

use crate::error::{Error, Result};
use crate::linalg::vector::scale_of;

/// A monotone map of the real line, or of its positive half.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(
    feature = "safetensors",
    derive(serde::Serialize, serde::Deserialize),
    serde(tag = "kind", rename_all = "kebab-case")
)]
pub enum Warp {
    /// `log y`, for `y > 0`.
    Log,
    /// The Yeo-Johnson map of `(y - centre) / unit`.
    YeoJohnson {
        /// The value mapped to 0.
        centre: f64,
        /// The unit; positive.
        unit: f64,
        /// The power.
        lambda: f64,
    },
}

/// Multiples of the mean distance from the median that are tried as the unit.
const UNITS: [f64; 5] = [1.0 / 16.0, 1.0 / 4.0, 1.0, 4.0, 16.0];

/// Smallest gain in log likelihood per row for which a column is mapped.
const GAIN: f64 = 0.02;

/// Kurtosis above which tails count as heavy.
const HEAVY: f64 = 8.0;

impl Warp {
    /// Bounds of `lambda` for a feature, whose map need not be onto.
    pub const FEATURES: (f64, f64) = (-2.0, 4.0);

    /// Bounds of `lambda` for a target. Its map is onto the real line.
    pub const TARGETS: (f64, f64) = (0.0, 2.0);

    /// `w(y)`. NaN where the map is not defined.
    pub fn forward(self, y: f64) -> f64 {
        match self {
            Warp::Log if y > 0.0 => y.ln(),
            Warp::Log => f64::NAN,
            Warp::YeoJohnson {
                centre,
                unit,
                lambda,
            } => {
                let u = (y - centre) / unit;
                if u >= 0.0 {
                    box_cox(u, lambda)
                } else {
                    -box_cox(-u, 2.0 - lambda)
                }
            }
        }
    }

    /// The `y` with `w(y) = w`. Infinite beyond the range of the map.
    pub fn inverse(self, w: f64) -> f64 {
        match self {
            Warp::Log => w.exp(),
            Warp::YeoJohnson {
                centre,
                unit,
                lambda,
            } => {
                let u = if w >= 0.0 {
                    box_cox_inverse(w, lambda)
                } else {
                    -box_cox_inverse(-w, 2.0 - lambda)
                };
                centre + unit * u
            }
        }
    }

    /// `log dw/dy`: add it to a log density in `w` to get the log density in `y`.
    pub fn log_slope(self, y: f64) -> f64 {
        match self {
            Warp::Log => -y.ln(),
            Warp::YeoJohnson {
                centre,
                unit,
                lambda,
            } => {
                let u = (y - centre) / unit;
                let power = if u >= 0.0 { lambda - 1.0 } else { 1.0 - lambda };
                power * u.abs().ln_1p() - unit.ln()
            }
        }
    }

    /// The Yeo-Johnson map that makes `values` most nearly normal, with `lambda` within bounds.
    /// `None` if the map gains less than 0.02 nats a row, or there are fewer than three different
    /// values.
    pub fn yeo_johnson(values: &[f64], bounds: (f64, f64)) -> Option<Self> {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let distinct = sorted.windows(2).filter(|w| w[0] < w[1]).take(2).count();
        if distinct < 2 {
            return None;
        }
        let centre = sorted[sorted.len() / 2];
        let distances = values.iter().map(|y| (y - centre).abs());
        let distance = distances.sum::<f64>() / values.len() as f64;
        if !(distance.is_finite() && distance > 0.0) {
            return None;
        }
        let plain = score(values, centre, distance, 1.0);
        let mut best = (plain + GAIN * values.len() as f64, None);
        for multiple in UNITS {
            let unit = multiple * distance;
            let lambda = largest(|l| score(values, centre, unit, l), bounds);
            let found = score(values, centre, unit, lambda);
            if found > best.0 {
                let warp = Warp::YeoJohnson {
                    centre,
                    unit,
                    lambda,
                };
                best = (found, Some(warp));
            }
        }
        best.1
    }

    /// [`Warp::yeo_johnson`] for columns with heavy tails, those with a kurtosis above 8. `None`
    /// for the others. A normal law has kurtosis 3. After standardizing, a heavy-tailed column is
    /// nearly constant except for a few rows far out.
    pub fn for_heavy_tails(values: &[f64]) -> Option<Self> {
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let farthest = values.iter().map(|y| (y - mean).abs()).fold(0.0, f64::max);
        // fourth powers of numbers near 1e100 would overflow
        let scale = scale_of(farthest);
        let power = |y: &f64, k: i32| ((y - mean) * scale).powi(k);
        let moment = |k: i32| values.iter().map(|y| power(y, k)).sum::<f64>() / n;
        let kurtosis = moment(4) / moment(2).powi(2);
        (kurtosis > HEAVY)
            .then(|| Self::yeo_johnson(values, Self::FEATURES))
            .flatten()
    }

    /// Checks its numbers.
    ///
    /// # Errors
    /// If one is not finite, or the unit is not positive.
    pub fn check(self) -> Result<()> {
        let Warp::YeoJohnson {
            centre,
            unit,
            lambda,
        } = self
        else {
            return Ok(());
        };
        let good = centre.is_finite() && lambda.is_finite() && unit.is_finite() && unit > 0.0;
        if good {
            return Ok(());
        }
        let value = format!("{self:?}");
        let requirement = "must be of finite numbers, with a positive unit";
        Err(Error::config("warp", value, requirement))
    }
}

/// `((1 + u)^lambda - 1) / lambda` for `u >= 0`.
fn box_cox(u: f64, lambda: f64) -> f64 {
    let log = u.ln_1p();
    if lambda == 0.0 {
        log
    } else {
        (lambda * log).exp_m1() / lambda
    }
}

/// The `u >= 0` with `box_cox(u) = w`.
fn box_cox_inverse(w: f64, lambda: f64) -> f64 {
    if lambda == 0.0 {
        return w.exp_m1();
    }
    let power = lambda * w;
    if power <= -1.0 {
        return f64::INFINITY;
    }
    (power.ln_1p() / lambda).exp_m1()
}

/// The log likelihood, up to a constant.
fn score(values: &[f64], centre: f64, unit: f64, lambda: f64) -> f64 {
    let n = values.len() as f64;
    let warp = Warp::YeoJohnson {
        centre,
        unit,
        lambda,
    };
    let w = || values.iter().map(|&y| warp.forward(y));
    let mean = w().sum::<f64>() / n;
    let variance = w().map(|w| (w - mean).powi(2)).sum::<f64>() / n;
    let slopes: f64 = values.iter().map(|&y| warp.log_slope(y)).sum();
    let score = slopes - 0.5 * n * variance.ln();
    if score.is_finite() {
        score
    } else {
        f64::NEG_INFINITY
    }
}

/// The point within bounds where `f` is largest: a grid search, then golden sections around its
/// best point.
fn largest(f: impl Fn(f64) -> f64, (low, high): (f64, f64)) -> f64 {
    const GRID: usize = 12;
    let step = (high - low) / GRID as f64;
    let at = |i: usize| low + step * i as f64;
    let mut best = (0, f64::NEG_INFINITY);
    for i in 0..=GRID {
        let value = f(at(i));
        if value > best.1 {
            best = (i, value);
        }
    }
    let ratio = 0.5 * (5f64.sqrt() - 1.0);
    let (mut a, mut b) = ((at(best.0) - step).max(low), (at(best.0) + step).min(high));
    let (mut c, mut d) = (b - ratio * (b - a), a + ratio * (b - a));
    let (mut of_c, mut of_d) = (f(c), f(d));
    while b - a > 1e-6 {
        if of_c >= of_d {
            (b, d, of_d) = (d, c, of_c);
            c = b - ratio * (b - a);
            of_c = f(c);
        } else {
            (a, c, of_c) = (c, d, of_d);
            d = a + ratio * (b - a);
            of_d = f(d);
        }
    }
    0.5 * (a + b)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Phase, Streams};
    use proptest::prelude::*;
    use rand::RngExt;
    use rand_distr::StandardNormal;

    fn warps() -> impl Strategy<Value = Warp> {
        let yeo = (-3.0f64..3.0, 0.1f64..10.0, 0.0f64..=2.0).prop_map(|(centre, unit, lambda)| {
            Warp::YeoJohnson {
                centre,
                unit,
                lambda,
            }
        });
        prop_oneof![Just(Warp::Log), yeo]
    }

    proptest! {
        #[test]
        fn inverse_and_slope((warp, y) in (warps(), 0.01f64..50.0)) {
            let w = warp.forward(y);
            prop_assert!((warp.inverse(w) - y).abs() < 1e-11 * (1.0 + y), "{warp:?} {y}");
            let h = 1e-6 * y;
            let slope = (warp.forward(y + h) - warp.forward(y - h)) / (2.0 * h);
            prop_assert!((slope.ln() - warp.log_slope(y)).abs() < 1e-6, "{warp:?} {y}");
        }

        #[test]
        fn negative_numbers_too((warp, y) in (warps(), -50.0f64..0.0)) {
            if warp != Warp::Log {
                let back = warp.inverse(warp.forward(y));
                prop_assert!((back - y).abs() < 1e-10 * (1.0 - y), "{warp:?} {y}: {back}");
            }
        }
    }

    #[test]
    fn the_power_that_made_the_data_is_found() {
        let mut rng = Streams::new(1).rng(Phase::USER, 0);
        for lambda in [0.0, 0.5, 1.6] {
            let truth = Warp::YeoJohnson {
                centre: 3.0,
                unit: 2.0,
                lambda,
            };
            let values: Vec<f64> = (0..4_000)
                .map(|_| truth.inverse(1.5 * rng.sample::<f64, _>(StandardNormal)))
                .collect();
            let found = Warp::yeo_johnson(&values, (0.0, 2.0)).unwrap();
            let w: Vec<f64> = values.iter().map(|&y| found.forward(y)).collect();
            let n = w.len() as f64;
            let mean = w.iter().sum::<f64>() / n;
            let moment = |k: i32| w.iter().map(|w| (w - mean).powi(k)).sum::<f64>() / n;
            let skewness = moment(3) / moment(2).powf(1.5);
            // the standard error is (6 / 4000)^(1/2) = 0.04
            assert!(skewness.abs() < 0.12, "{lambda}: {found:?} {skewness}");
            assert!(
                (moment(4) / moment(2).powi(2) - 3.0).abs() < 0.35,
                "{found:?}"
            );
        }
    }

    #[test]
    fn what_is_normal_or_has_two_values_is_left_alone() {
        let mut rng = Streams::new(2).rng(Phase::USER, 0);
        let normal: Vec<f64> = (0..500).map(|_| rng.sample(StandardNormal)).collect();
        assert_eq!(Warp::yeo_johnson(&normal, (-2.0, 4.0)), None);
        assert_eq!(Warp::yeo_johnson(&[0.0, 1.0, 1.0, 0.0], (-2.0, 4.0)), None);
        assert_eq!(Warp::yeo_johnson(&[5.0; 4], (-2.0, 4.0)), None);
        assert_eq!(Warp::yeo_johnson(&[], (-2.0, 4.0)), None);
    }

    #[test]
    fn units_do_not_matter() {
        let values: Vec<f64> = (1..200).map(|i| (0.03 * f64::from(i)).exp()).collect();
        let scaled: Vec<f64> = values.iter().map(|y| 1e6 * y - 4.0).collect();
        let (a, b) = (
            Warp::yeo_johnson(&values, (-2.0, 4.0)).unwrap(),
            Warp::yeo_johnson(&scaled, (-2.0, 4.0)).unwrap(),
        );
        for (x, y) in values.iter().zip(&scaled) {
            assert!((a.forward(*x) - b.forward(*y)).abs() < 1e-4 * (1.0 + a.forward(*x).abs()));
        }
    }

    /// Fourth powers would overflow, or vanish.
    #[test]
    fn tails_are_heavy_in_any_unit() {
        let values = |unit: f64| -> Vec<f64> {
            let value = |i| (0.1 * f64::from(i)).exp() * unit;
            (1..200).map(value).collect()
        };
        let lambda = |unit| match Warp::for_heavy_tails(&values(unit)) {
            Some(Warp::YeoJohnson { lambda, .. }) => lambda,
            other => panic!("{other:?}"),
        };
        for unit in [1e200, 1e-200] {
            assert!((lambda(unit) - lambda(1.0)).abs() < 1e-6, "{unit}");
        }
    }

    #[test]
    fn logarithms_are_of_positive_numbers() {
        assert!(Warp::Log.forward(0.0).is_nan() && Warp::Log.forward(-1.0).is_nan());
        let bad = Warp::YeoJohnson {
            centre: 0.0,
            unit: 0.0,
            lambda: 1.0,
        };
        assert!(bad.check().is_err() && Warp::Log.check().is_ok());
    }
}
