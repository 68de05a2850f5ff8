//! Checks of tables: a value that is not a number is reported with its row and its column.

use crate::error::{Column, Error, Result, counted};
use crate::scalar::Scalar;

/// Checks that all values of a table, `width` to a row, are finite in `T`. `column` turns a
/// position in a row into the column.
///
/// # Errors
/// [`Error::NonFiniteData`] for the first value that is not.
pub(crate) fn check_table<T: Scalar>(
    what: &'static str,
    values: &[f64],
    width: usize,
    column: impl Fn(usize) -> Column,
) -> Result<()> {
    let width = width.max(1);
    let beyond = |&v: &f64| !Scalar::is_finite(T::from_f64(v));
    match values.iter().position(beyond) {
        None => Ok(()),
        Some(at) => {
            let (row, column) = (at / width, column(at % width));
            Err(not_a_number::<T>(what, row, column, values[at]))
        }
    }
}

/// Checks that there is a weight for each of `rows` rows, that all are finite and not negative, and
/// that their sum is positive and finite.
pub(crate) fn check_weights(op: &'static str, rows: usize, weights: &[f64]) -> Result<()> {
    if weights.len() != rows {
        let expected = format!("{} for as many rows", counted(rows, "weight"));
        return Err(Error::shape(op, expected, weights.len()));
    }
    let bad = weights.iter().position(|w| !(*w >= 0.0 && w.is_finite()));
    if let Some(row) = bad {
        let what = "not a weight: weights are finite and not negative";
        return Err(Error::data(format!(
            "row {row}: {} is {what}",
            weights[row]
        )));
    }
    if rows > 0 && weights.iter().all(|w| *w == 0.0) {
        return Err(Error::data("every row has weight 0"));
    }
    match weights.iter().sum::<f64>().is_finite() {
        true => Ok(()),
        false => Err(Error::data("the sum of the weights overflows")),
    }
}

/// A value of a table in the engine's number type.
///
/// # Errors
/// [`Error::NonFiniteData`] if it is not finite in `T`.
pub(crate) fn cell<T: Scalar>(
    what: &'static str,
    value: f64,
    row: usize,
    column: usize,
) -> Result<T> {
    let cast = T::from_f64(value);
    match Scalar::is_finite(cast) {
        true => Ok(cast),
        false => Err(not_a_number::<T>(what, row, Column::Number(column), value)),
    }
}

/// The error for a value that is not finite in `T`.
pub(crate) fn not_a_number<T: Scalar>(
    what: &'static str,
    row: usize,
    column: Column,
    value: f64,
) -> Error {
    Error::NonFiniteData {
        what,
        row,
        column,
        value,
        number: T::NAME,
    }
}

/// Columns of predictions: `outputs` of the network for each sample of the parameters.
pub(crate) fn output_of(outputs: usize) -> impl Fn(usize) -> Column {
    let outputs = outputs.max(1);
    move |at| Column::Output {
        sample: at / outputs,
        output: at % outputs,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_named_by_row_and_column() {
        let values = [1.0, 2.0, 3.0, f64::NAN, 5.0, 6.0];
        let check = |width| check_table::<f64>("x", &values, width, Column::Number);
        let said = check(2).unwrap_err().to_string();
        let expected = "x: row 1, column 1 (all from 0): expected a finite number in the range of \
                        f64, got NaN";
        assert_eq!(said, expected);
        let said = check(3).unwrap_err().to_string();
        assert!(said.contains("row 1, column 0"), "{said}");
        assert!(check_table::<f64>("x", &values[..3], 1, Column::Number).is_ok());
        let target = |at| Column::target(at, 3);
        let said = check_table::<f64>("y", &values, 3, target).unwrap_err();
        assert!(
            said.to_string()
                .contains("row 1 (from 0), column 'target 0'")
        );
    }

    #[test]
    fn a_number_is_checked_in_the_type_that_will_hold_it() {
        assert!(check_table::<f64>("x", &[1e300], 1, Column::Number).is_ok());
        let error = check_table::<f32>("x", &[0.0, 1e300], 1, Column::Number).unwrap_err();
        assert!(error.to_string().contains("f32, got 1e300"), "{error}");
        assert_eq!(cell::<f32>("x", 0.5, 0, 0).unwrap(), 0.5);
        assert!(cell::<f64>("x", 1e300, 0, 0).is_ok());
        let error = cell::<f32>("x", 1e300, 7, 2).unwrap_err();
        assert!(
            matches!(
                error,
                Error::NonFiniteData {
                    row: 7,
                    column: Column::Number(2),
                    number: "f32",
                    ..
                }
            ),
            "{error}"
        );
    }
}
