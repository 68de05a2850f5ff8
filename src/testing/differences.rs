//! Derivatives by central differences, with a bound of their error.
//!
//! ```text
//! D(h) = (f(h) - f(-h)) / 2h = f' + h^2 f'''/6 + ...
//! f'   ~ (4 D(h) - D(2h)) / 3,   an error of order h^4
//! ```
//!
//! The bound of the error is `2 |D(2h) - D(h)| + 2 * 32 u (1 + max |f|) / h`. The first term is at
//! least the error of `D(h)` for small `h`, much more than that of the extrapolation. The second is
//! rounding: each of four values is off by `32 u (1 + max |f|)` at most, with `u` the distance from
//! 1 to the next number, and the four enter with weights that add up to `5 / 3h` (rounded up to
//! `2 / h`). The step is `h = u^{1/3}` rounded to a power of two: 2^-17 in f64, 2^-8 in f32.
//!
//! A difference that steps over a kink is wrong at any tolerance. So in f64 a mismatch is tried
//! again with `h / 8` and `h / 64`: a kink by chance is then left outside, while a wrong derivative
//! stays wrong. The rounding term grows to `2.7e-7 (1 + max |f|)` at most.

use super::checker::{Checker, Tolerance};
use super::failure::{Failure, Place};

/// How a tolerance of [`compare`] comes about.
const ARITHMETIC: &str = "2 |D(2h) - D(h)| + 64 u (1 + max |f|) / h, central differences";

/// Compares `got` with the derivative of the vector `at(t)` at `t = 0`. `rounding` is `u`.
pub(super) fn compare(
    checker: Checker,
    property: &str,
    (rounding, slack): (f64, f64),
    place: impl Fn(usize) -> Place,
    got: &[f64],
    mut at: impl FnMut(f64) -> Result<Vec<f64>, Failure>,
) -> Result<(), Failure> {
    let first = (rounding.log2() / 3.0).round().exp2();
    let tries = if rounding < 1e-10 { 3 } else { 1 };
    // entries that are wrong, with the failure at the first step, which has the least rounding
    let mut wrong: Vec<(usize, Option<Failure>)> = (0..got.len()).map(|i| (i, None)).collect();
    for retry in 0..tries {
        let h = first / 8f64.powi(retry);
        let (near, far) = ([at(h)?, at(-h)?], [at(2.0 * h)?, at(-2.0 * h)?]);
        let largest = near
            .iter()
            .flatten()
            .fold(0.0f64, |all, x| all.max(x.abs()));
        let noise = 64.0 * rounding * (1.0 + largest) / h;
        let mut still = Vec::new();
        for (i, failure) in wrong {
            let slope = |[plus, minus]: &[Vec<f64>; 2], h: f64| match (plus.get(i), minus.get(i)) {
                (Some(plus), Some(minus)) => (plus - minus) / (2.0 * h),
                _ => f64::NAN,
            };
            let (one, two) = (slope(&near, h), slope(&far, 2.0 * h));
            let tolerance = Tolerance {
                bound: slack * (2.0 * (two - one).abs() + noise),
                arithmetic: ARITHMETIC,
            };
            let expected = (4.0 * one - two) / 3.0;
            let compared = checker.value(property, || place(i), got[i], expected, tolerance);
            if let Err(now) = compared {
                still.push((i, Some(failure.unwrap_or(now))));
            }
        }
        wrong = still;
        if wrong.is_empty() {
            return Ok(());
        }
    }
    match wrong.into_iter().find_map(|(_, failure)| failure) {
        Some(failure) => Err(failure),
        None => Ok(()),
    }
}
