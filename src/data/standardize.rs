//! Shifts and scales columns to mean 0 and standard deviation 1, learnt on the training rows.

use super::warp::Warp;
use crate::error::{Column, Error, Result, counted};
use crate::linalg::vector::first_non_finite;
use crate::linalg::{check_table, not_a_number};

/// A column counts as constant if its standard deviation is below this fraction of its largest
/// magnitude.
///
/// A constant that went through up to 64 rounded operations is off by at most 64 units in the last
/// place. So its standard deviation is at most `64 * EPSILON * |c|`. Scaling that up to 1 would
/// teach a model rounding errors. Real columns stay far above it: a time in seconds since 1970 may
/// vary by as little as 0.1 ms.
const ROUNDING_NOISE: f64 = 64.0 * f64::EPSILON;

/// What a value is called that is not finite after its map.
const STANDARDISED: &str = "value in standard deviations of the training rows";

/// Mean and scale of each column.
///
/// A scale of 0 marks a column that never varied in training. The model could not have learnt
/// anything from such a column, so all its new values become 0. The inverse returns the training
/// mean.
#[derive(Clone, Debug, PartialEq)]
pub struct Standardizer {
    mean: Vec<f64>,
    scale: Vec<f64>,
    /// Map applied to each column first. Empty if no column has one.
    warps: Vec<Option<Warp>>,
}

impl Standardizer {
    /// The mean and the *population* standard deviation of each column of row-major `values`
    /// `[n, columns]`.
    ///
    /// A column that varies by no more than rounding noise gets scale 0.
    ///
    /// # Errors
    /// No rows, no columns, a length that is not a multiple of `columns`, or a value that is not
    /// finite.
    pub fn fit(values: &[f64], columns: usize) -> Result<Self> {
        check_rows("Standardizer::fit", values, columns)?;
        let (mean, scale) = (0..columns)
            .map(|j| moments(values[j..].iter().step_by(columns).copied()))
            .unzip();
        Ok(Self {
            mean,
            scale,
            warps: Vec::new(),
        })
    }

    /// Like [`Standardizer::fit`], but columns are warped first: `choose` returns each column's
    /// map, or `None`.
    ///
    /// # Errors
    /// Those of [`Standardizer::fit`], or a map that is not defined for a value.
    pub fn fit_warped(
        values: &[f64],
        columns: usize,
        choose: impl Fn(&[f64]) -> Option<Warp>,
    ) -> Result<Self> {
        check_rows("Standardizer::fit_warped", values, columns)?;
        let column =
            |j: usize| -> Vec<f64> { values[j..].iter().step_by(columns).copied().collect() };
        let warps: Vec<Option<Warp>> = (0..columns).map(|j| choose(&column(j))).collect();
        if warps.iter().all(Option::is_none) {
            return Self::fit(values, columns);
        }
        let warped = warped(values.to_vec(), &warps);
        check_table::<f64>(
            "Standardizer: warped value",
            &warped,
            columns,
            Column::Number,
        )?;
        Ok(Self {
            warps,
            ..Self::fit(&warped, columns)?
        })
    }

    /// One mean and one population standard deviation over all values, used for every column. This
    /// suits the pixels of images, which are one quantity at many places.
    ///
    /// # Errors
    /// Those of [`Standardizer::fit`].
    pub fn fit_shared(values: &[f64], columns: usize) -> Result<Self> {
        check_rows("Standardizer::fit_shared", values, columns)?;
        let (mean, scale) = moments(values.iter().copied());
        Ok(Self {
            mean: vec![mean; columns],
            scale: vec![scale; columns],
            warps: Vec::new(),
        })
    }

    /// A standardizer with known means and scales `[d]`, as stored by a model.
    ///
    /// # Errors
    /// No columns, different lengths, a number that is not finite, or a negative scale.
    pub fn from_parts(mean: Vec<f64>, scale: Vec<f64>) -> Result<Self> {
        if mean.is_empty() || mean.len() != scale.len() {
            return Err(Error::shape(
                "Standardizer::from_parts",
                "as many scales as means, at least one",
                format!(
                    "{}, {}",
                    counted(mean.len(), "mean"),
                    counted(scale.len(), "scale")
                ),
            ));
        }
        for (what, values) in [
            ("Standardizer: mean", &mean),
            ("Standardizer: scale", &scale),
        ] {
            if let Some(index) = first_non_finite(values) {
                return Err(Error::NonFinite { what, index });
            }
        }
        if let Some(bad) = scale.iter().find(|s| **s < 0.0) {
            return Err(Error::config("scale", bad, "may not be negative"));
        }
        Ok(Self {
            mean,
            scale,
            warps: Vec::new(),
        })
    }

    /// Adds a map for each column, applied before shift and scale. With empty `warps` there are no
    /// maps.
    ///
    /// # Errors
    /// If the number of maps is not the number of columns, or a map is invalid.
    pub fn with_warps(self, warps: Vec<Option<Warp>>) -> Result<Self> {
        if !warps.is_empty() && warps.len() != self.columns() {
            let op = "Standardizer::with_warps";
            return Err(Error::shape(op, self.columns(), warps.len()));
        }
        warps.iter().flatten().try_for_each(|w| w.check())?;
        Ok(Self { warps, ..self })
    }

    /// The maps of the columns. Empty if there are none.
    pub fn warps(&self) -> &[Option<Warp>] {
        &self.warps
    }

    /// Training means `[d]`.
    pub fn mean(&self) -> &[f64] {
        &self.mean
    }

    /// Training standard deviations `[d]`. 0 for a column that never varied.
    pub fn scale(&self) -> &[f64] {
        &self.scale
    }

    /// Number of columns.
    pub fn columns(&self) -> usize {
        self.mean.len()
    }

    /// True if column `j` never varied in training. A column that does not exist counts as one that
    /// never did.
    pub fn is_constant(&self, j: usize) -> bool {
        self.scale.get(j).is_none_or(|&s| s == 0.0)
    }

    /// `(x - mean) / scale` of row-major `[n, d]`. A column that never varied becomes 0 throughout.
    ///
    /// # Errors
    /// A length that is not a multiple of `d`. [`Error::NonFiniteData`] names row and column of a
    /// value that is not finite before or after.
    pub fn transform(&self, values: &[f64]) -> Result<Vec<f64>> {
        self.transform_owned(values.to_vec())
    }

    /// [`Standardizer::transform`] in place, for large data.
    ///
    /// # Errors
    /// Those of [`Standardizer::transform`].
    pub fn transform_owned(&self, values: Vec<f64>) -> Result<Vec<f64>> {
        let op = "Standardizer::transform";
        if self.warps.is_empty() {
            return self.map(op, values, standardize);
        }
        check_table::<f64>(op, &values, self.columns(), Column::Number)?;
        self.map(op, warped(values, &self.warps), standardize)
    }

    /// [`Standardizer::transform`] of one row `[d]` into `out` `[d]`. It allocates nothing.
    ///
    /// # Errors
    /// If a length is not `d`, or a value is not finite before or after.
    pub fn transform_row(&self, row: &[f64], out: &mut [f64]) -> Result<()> {
        let op = "Standardizer::transform";
        let d = self.columns();
        if row.len() != d || out.len() != d {
            let (expected, got) = (format!("a row of {}", counted(d, "value")), row.len());
            return Err(Error::shape(op, expected, got));
        }
        check_table::<f64>(op, row, d, Column::Number)?;
        for (j, (to, &x)) in out.iter_mut().zip(row).enumerate() {
            let warp = self.warps.get(j).copied().flatten();
            let x = warp.map_or(x, |w| w.forward(x));
            *to = standardize(x, self.mean[j], self.scale[j]);
            if !to.is_finite() {
                return Err(not_a_number::<f64>(STANDARDISED, 0, Column::Number(j), *to));
            }
        }
        Ok(())
    }

    /// `mean + z * scale` of row-major `[n, d]`: the inverse of [`Standardizer::transform`].
    ///
    /// # Errors
    /// A length that is not a multiple of `d`, or a value that is not finite before or after.
    pub fn inverse_transform(&self, values: &[f64]) -> Result<Vec<f64>> {
        let restore = |z: f64, mean: f64, scale: f64| mean + z * scale;
        let mut values = self.map("Standardizer::inverse_transform", values.to_vec(), restore)?;
        if !self.warps.is_empty() {
            let maps = self.warps.iter().cycle();
            for (x, warp) in values.iter_mut().zip(maps) {
                *x = warp.map_or(*x, |w| w.inverse(*x));
            }
            check_table::<f64>(STANDARDISED, &values, self.columns(), Column::Number)?;
        }
        Ok(values)
    }

    fn map(
        &self,
        op: &'static str,
        mut values: Vec<f64>,
        f: impl Fn(f64, f64, f64) -> f64,
    ) -> Result<Vec<f64>> {
        if !values.len().is_multiple_of(self.columns()) {
            return Err(Error::shape(
                op,
                format!("rows of {}", counted(self.columns(), "value")),
                counted(values.len(), "value"),
            ));
        }
        let d = self.columns();
        check_table::<f64>(op, &values, d, Column::Number)?;
        for row in values.chunks_exact_mut(self.columns()) {
            for (x, (&m, &s)) in row.iter_mut().zip(self.mean.iter().zip(&self.scale)) {
                *x = f(*x, m, s);
            }
        }
        check_table::<f64>(STANDARDISED, &values, d, Column::Number)?;
        Ok(values)
    }
}

/// Applies each column's map to the rows.
fn warped(mut values: Vec<f64>, warps: &[Option<Warp>]) -> Vec<f64> {
    for (x, warp) in values.iter_mut().zip(warps.iter().cycle()) {
        *x = warp.map_or(*x, |w| w.forward(*x));
    }
    values
}

/// Checks that there is at least one row and one column, and that all values are finite.
fn check_rows(op: &'static str, values: &[f64], columns: usize) -> Result<()> {
    if values.is_empty() || columns == 0 || !values.len().is_multiple_of(columns) {
        return Err(Error::shape(
            op,
            format!(
                "rows of {}, at least one of each",
                counted(columns, "value")
            ),
            counted(values.len(), "value"),
        ));
    }
    check_table::<f64>(op, values, columns, Column::Number)
}

fn standardize(x: f64, mean: f64, scale: f64) -> f64 {
    if scale == 0.0 {
        return 0.0;
    }
    let shifted = x - mean;
    if shifted.is_finite() {
        shifted / scale
    } else {
        // two numbers near the largest double, of opposite sign: the difference of their halves is
        // finite
        (0.5 * x - 0.5 * mean) / scale * 2.0
    }
}

/// Mean and population standard deviation. The latter is 0 if it is rounding noise. Needs at least
/// one value, all finite.
fn moments(column: impl Iterator<Item = f64> + Clone) -> (f64, f64) {
    let largest = column.clone().fold(0.0, |m: f64, x| m.max(x.abs()));
    // Squares of numbers near 1e300 would overflow. A power of two scales the largest to [1/2, 1),
    // exactly.
    let exponent = libm::frexp(largest).1;
    let values = column.map(|x| libm::ldexp(x, -exponent));
    let n = values.clone().count() as f64;
    // Differences from the first value lose no accuracy to a large common offset.
    let origin = values.clone().next().unwrap_or(0.0);
    let offset = values.clone().map(|y| y - origin).sum::<f64>() / n;
    let squares: f64 = values.map(|y| (y - origin - offset).powi(2)).sum();
    let mean = libm::ldexp(origin + offset, exponent);
    let deviation = (squares / n).sqrt();
    if deviation <= ROUNDING_NOISE {
        // `largest` is below 1 here, so this bound is at most twice the stated one
        return (mean, 0.0);
    }
    (mean, libm::ldexp(deviation, exponent))
}

#[cfg(test)]
#[path = "standardize_tests.rs"]
mod tests;
