//! Weights of rows. A row of weight 2 counts like two equal rows, a row of weight 0 like none. Only
//! their ratios matter.

use crate::error::{Error, Result};
use crate::linalg::check_weights;
use crate::linalg::vector::scale_of;

/// Weights `[n]`, or none: all rows count alike.
pub(super) type Weights<'a> = Option<&'a [f64]>;

/// The weight of a row.
#[inline]
pub(super) fn at(weights: Weights<'_>, row: usize) -> f64 {
    weights.map_or(1.0, |w| w[row])
}

/// Sum of the weights.
pub(super) fn total(weights: Weights<'_>, rows: usize) -> f64 {
    weights.map_or(rows as f64, |w| w.iter().sum())
}

/// Checks weights, if there are any, by the rule of all weights of rows.
pub(super) fn check_optional(op: &'static str, rows: usize, weights: Weights<'_>) -> Result<()> {
    weights.map_or(Ok(()), |weights| check_weights(op, rows, weights))
}

/// The weighted mean of `value(row)`; NaN if all weights are 0. Rows of weight 0 do not take part,
/// even if their value is infinite.
pub(super) fn average(rows: usize, weights: Weights<'_>, value: impl Fn(usize) -> f64) -> f64 {
    // start from 0: `sum` starts at minus 0, which would be printed with its sign
    let sum = match weights {
        None => (0..rows).fold(0.0, |sum, row| sum + value(row)),
        Some(w) => {
            let taking_part = (0..rows).filter(|&row| w[row] > 0.0);
            taking_part.fold(0.0, |sum, row| sum + w[row] * value(row))
        }
    };
    sum / total(weights, rows)
}

/// The root of the weighted mean of `value(row)^2`, computed without overflow.
pub(super) fn root_mean_square(
    rows: usize,
    weights: Weights<'_>,
    value: impl Fn(usize) -> f64,
) -> f64 {
    let taking_part = (0..rows).filter(|&row| at(weights, row) > 0.0);
    let largest = taking_part.fold(0.0, |m: f64, row| m.max(value(row).abs()));
    let scale = scale_of(largest);
    average(rows, weights, |row| (value(row) * scale).powi(2)).sqrt() / scale
}

/// The mean of `values` `[n]`, weighted by `weights` `[n]` if there are any. Values may be
/// infinite.
///
/// # Errors
/// No values, a NaN, or weights that are fewer or more than the values, negative, not finite, or
/// all 0.
pub fn weighted_mean(values: &[f64], weights: Option<&[f64]>) -> Result<f64> {
    let op = "weighted_mean";
    if values.is_empty() {
        return Err(Error::shape(op, "at least 1 value", 0));
    }
    if let Some(index) = values.iter().position(|v| v.is_nan()) {
        let what = "values of weighted_mean";
        return Err(Error::NonFinite { what, index });
    }
    check_optional(op, values.len(), weights)?;
    Ok(average(values.len(), weights, |row| values[row]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_ratios_and_rows_of_weight_0_are_absent() {
        let mean = |v: &[f64], w: &[f64]| weighted_mean(v, Some(w)).unwrap();
        assert_eq!(weighted_mean(&[1.0, 4.0], None).unwrap(), 2.5);
        assert_eq!(mean(&[1.0, 4.0], &[1.0, 2.0]), 3.0);
        assert_eq!(mean(&[1.0, 4.0], &[10.0, 20.0]), 3.0);
        assert_eq!(mean(&[1.0, f64::INFINITY], &[3.0, 0.0]), 1.0);
        assert_eq!(mean(&[1.0, f64::INFINITY], &[3.0, 1.0]), f64::INFINITY);
        assert!(average(1, Some(&[0.0]), |_| 1.0).is_nan());
    }

    #[test]
    fn a_root_mean_square_does_not_depend_on_the_unit() {
        for unit in [1e300, 1e160, 1.0, 1e-160, 1e-300] {
            let of = |w: Weights<'_>| {
                let values = [3.0, -4.0, 0.0, 5.0];
                root_mean_square(4, w, |row| values[row] * unit) / unit
            };
            assert!((of(None) - 12.5f64.sqrt()).abs() < 1e-14, "{unit}");
            let weighted = of(Some(&[1.0, 0.0, 0.0, 3.0]));
            assert!((weighted - 21f64.sqrt()).abs() < 1e-14, "{unit}");
        }
        assert_eq!(root_mean_square(2, None, |_| 0.0), 0.0);
    }

    #[test]
    fn what_is_no_weight_is_refused() {
        let said = |w: &[f64]| weighted_mean(&[1.0, 2.0], Some(w)).unwrap_err().to_string();
        assert!(said(&[1.0]).contains("2 weights"));
        assert!(said(&[1.0, f64::NAN]).contains("row 1"));
        assert!(said(&[1.0, -1.0]).contains("row 1: -1 is not a weight"));
        assert!(said(&[0.0, 0.0]).contains("every row has weight 0"));
        assert!(said(&[f64::MAX, f64::MAX]).contains("overflows"));
        assert!(weighted_mean(&[], None).is_err());
        assert!(weighted_mean(&[f64::NAN], None).is_err());
    }
}
