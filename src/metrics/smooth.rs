//! Smooth calibration error: no bins, and no jump where a probability crosses an edge.
//!
//! Blasiok & Nakkiran, "Smooth ECE: principled reliability diagrams via kernel smoothing" (2023).
//! The residuals `p_i - y_i` are smoothed along `p` by a Gaussian kernel that is reflected at 0 and
//! 1, and the absolute value is integrated:
//!
//! ```text
//! r_s(t) = sum_i w_i (p_i - y_i) K_s(t, p_i),   e(s) = int_0^1 |r_s(t)| dt
//! ```
//!
//! The error is the width `s` with `e(s) = s`. There is exactly one, since `e` does not rise.
//!
//! The reflected kernel is the heat kernel on [0, 1]. So `r_s` is a cosine series whose
//! coefficients do not depend on `s`:
//!
//! ```text
//! r_s(t) = c_0 + 2 sum_k exp(-(pi k s)^2 / 2) c_k cos(pi k t),   c_k = sum_i w_i (p_i - y_i) cos(pi k p_i)
//! ```
//!
//! With `cos(k x) = T_k(cos x)`, coefficients come from the recurrence of Chebyshev polynomials and
//! values from Clenshaw's.

use std::f64::consts::PI;

use super::ranking::check_numbers;
use super::weights::{Weights, at, check_optional, total};
use crate::error::{Error, Result, counted};

/// Widths below are not resolved: an error between 0 and this may be told too low.
const NARROWEST: f64 = 1e-3;

/// Tolerance of the width, relative.
const TOLERANCE: f64 = 1e-6;

/// Terms with a smaller factor than `exp(-REACH^2 / 2)` are left out.
const REACH: f64 = 6.0;

/// Smooth calibration error, 0 to 1, of stated probabilities `[n]` of an event and `happened` `[n]`
/// (0 or 1, or a frequency). An error below 0.001 is a lower bound.
///
/// # Errors
/// No rows, different lengths, a number outside [0, 1], or weights that do not fit.
pub fn smooth_calibration_error(
    probabilities: &[f64],
    happened: &[f64],
    weights: Option<&[f64]>,
) -> Result<f64> {
    let op = "smooth_calibration_error";
    for (name, values) in [("probability", probabilities), ("happened", happened)] {
        check_numbers(op, name, values)?;
        if let Some(row) = values.iter().position(|v| !(0.0..=1.0).contains(v)) {
            let value = values[row];
            let what = format!("{op}: row {row} (from 0): {name} {value} is not in 0..=1");
            return Err(Error::data(what));
        }
    }
    if happened.len() != probabilities.len() {
        let expected = counted(probabilities.len(), "outcome");
        return Err(Error::shape(op, expected, happened.len()));
    }
    check_optional(op, happened.len(), weights)?;
    Ok(smooth_error(probabilities, happened, weights))
}

/// The error of numbers that are known to fit.
pub(super) fn smooth_error(p: &[f64], happened: &[f64], weights: Weights<'_>) -> f64 {
    let mut residuals = Residuals::new(p, happened, weights);
    // the error is at most 1: halve the width until the error is above it
    let (mut low, mut high) = (1.0, 1.0);
    loop {
        let error = residuals.error(low);
        if error.is_nan() {
            return error;
        }
        if error >= low {
            break;
        }
        high = low;
        if low <= NARROWEST {
            return error;
        }
        low = (0.5 * low).max(NARROWEST);
    }
    while high - low > TOLERANCE * high {
        let middle = 0.5 * (low + high);
        match residuals.error(middle) >= middle {
            true => low = middle,
            false => high = middle,
        }
    }
    0.5 * (low + high)
}

/// The cosine series of the residuals, as far as it was needed.
struct Residuals {
    coefficients: Vec<f64>,
    /// Weighted residuals, and the last two Chebyshev polynomials at `cos(pi p_i)`.
    rows: Vec<Row>,
}

struct Row {
    residual: f64,
    x: f64,
    last: f64,
    this: f64,
}

impl Residuals {
    fn new(p: &[f64], happened: &[f64], weights: Weights<'_>) -> Self {
        let all = total(weights, p.len());
        let row = |i: usize| {
            // a sum of probabilities that rounds may leave the largest a little above 1
            let p = p[i].clamp(0.0, 1.0);
            let x = (PI * p).cos();
            Row {
                residual: at(weights, i) * (p - happened[i]) / all,
                x,
                last: x,
                this: 1.0,
            }
        };
        Self {
            coefficients: Vec::new(),
            rows: (0..p.len()).map(row).collect(),
        }
    }

    /// `e(width)`, by the midpoint rule.
    fn error(&mut self, width: f64) -> f64 {
        let terms = (REACH / (PI * width)).ceil() as usize + 1;
        while self.coefficients.len() < terms {
            let mut sum = 0.0;
            for row in &mut self.rows {
                sum += row.residual * row.this;
                (row.last, row.this) = (row.this, 2.0 * row.x * row.this - row.last);
            }
            self.coefficients.push(sum);
        }
        let damped: Vec<f64> = (0..terms)
            .map(|k| {
                let decay = PI * k as f64 * width;
                let factor = if k == 0 { 1.0 } else { 2.0 };
                factor * (-0.5 * decay * decay).exp() * self.coefficients[k]
            })
            .collect();
        let points = (20.0 / width).ceil().max(200.0) as usize;
        let step = 1.0 / points as f64;
        let value = |j: usize| chebyshev(&damped, (PI * (j as f64 + 0.5) * step).cos()).abs();
        (0..points).map(value).sum::<f64>() * step
    }
}

/// `sum_k a_k T_k(x)`.
fn chebyshev(a: &[f64], x: f64) -> f64 {
    let (mut next, mut after) = (0.0, 0.0);
    for &a in a[1..].iter().rev() {
        (next, after) = (2.0 * x * next - after + a, next);
    }
    x * next - after + a[0]
}

#[cfg(test)]
#[path = "tests/smooth.rs"]
mod tests;
