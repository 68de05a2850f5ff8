//! Rows of a batch do not see one another: `f([a; b; c]) = [f(a); f(b); f(c)]`.
//!
//! The engine may sum in another order for another number of rows, so the two agree up to rounding,
//! `1e-12 (1 + max |f|)`: 4500 roundings of the largest value.

use super::checker::{Checker, Tolerance};
use super::failure::{Failure, Place};

/// The tolerance for values of this size.
pub(super) fn tolerance(slack: f64, values: &[f64]) -> Tolerance {
    let largest = values.iter().fold(0.0f64, |all, x| all.max(x.abs()));
    Tolerance {
        bound: slack * 1e-12 * (1.0 + largest),
        arithmetic: "1e-12 (1 + max |f|), 4500 roundings of the largest value",
    }
}

/// Compares `all`, the value for `rows` rows `x`, with the values of each row alone.
pub(super) fn check_rows(
    checker: Checker,
    slack: f64,
    (x, all, rows): (&[f64], &[f64], usize),
    inner: &[usize],
    mut alone: impl FnMut(&[f64]) -> Result<Vec<f64>, Failure>,
) -> Result<(), Failure> {
    let (width, each) = (x.len() / rows.max(1), all.len() / rows.max(1));
    let tolerance = tolerance(slack, all);
    for row in 0..rows {
        let one = alone(&x[row * width..(row + 1) * width])?;
        checker.values(
            "a row in a block against the same row alone",
            |i| Place::of_row("output", inner, row * each + i),
            &all[row * each..(row + 1) * each],
            &one,
            tolerance,
        )?;
    }
    Ok(())
}
