//! The standard normal distribution function.

use std::f64::consts::FRAC_1_SQRT_2;

/// `P(Z <= x)` of a standard normal `Z`. Its relative error stays small in the lower tail, as far as
/// doubles reach.
pub fn normal_cdf(x: f64) -> f64 {
    0.5 * libm::erfc(-x * FRAC_1_SQRT_2)
}
