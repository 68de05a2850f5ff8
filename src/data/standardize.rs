//! Shifts and scales columns to mean 0 and standard deviation 1, learnt on the training rows.

use super::warp::Warp;
use crate::error::{Error, Result};

/// A column counts as constant if its standard deviation is below this fraction of its largest
/// magnitude.
///
/// A constant that went through up to 64 rounded operations is off by at most 64 units in the last
/// place. So its standard deviation is at most `64 * EPSILON * |c|`. Scaling that up to 1 would
/// teach a model rounding errors. Real columns stay far above it: a time in seconds since 1970 may
/// vary by as little as 0.1 ms.
const ROUNDING_NOISE: f64 = 64.0 * f64::EPSILON;

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
        check_finite(&warped)?;
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
                format!("{} means, {} scales", mean.len(), scale.len()),
            ));
        }
        check_finite(&mean)?;
        check_finite(&scale)?;
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
    /// A length that is not a multiple of `d`, or a value that is not finite before or after.
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
        check_finite(&values)?;
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
            let (expected, got) = (format!("a row of {d} values"), row.len());
            return Err(Error::shape(op, expected, got));
        }
        check_finite(row)?;
        for (j, (to, &x)) in out.iter_mut().zip(row).enumerate() {
            let warp = self.warps.get(j).copied().flatten();
            let x = warp.map_or(x, |w| w.forward(x));
            *to = standardize(x, self.mean[j], self.scale[j]);
            if !to.is_finite() {
                return Err(Error::NonFinite { what: op, index: j });
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
            check_finite(&values)?;
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
                format!("rows of {} values", self.columns()),
                format!("{} values", values.len()),
            ));
        }
        check_finite(&values)?;
        for row in values.chunks_exact_mut(self.columns()) {
            for (x, (&m, &s)) in row.iter_mut().zip(self.mean.iter().zip(&self.scale)) {
                *x = f(*x, m, s);
            }
        }
        match values.iter().position(|z| !z.is_finite()) {
            None => Ok(values),
            Some(index) => Err(Error::NonFinite { what: op, index }),
        }
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
            format!("rows of {columns} values, at least one of each"),
            format!("{} values", values.len()),
        ));
    }
    check_finite(values)
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

fn check_finite(values: &[f64]) -> Result<()> {
    match values.iter().position(|x| !x.is_finite()) {
        None => Ok(()),
        Some(index) => Err(Error::NonFinite {
            what: "standardizer",
            index,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_relative_eq;
    use proptest::prelude::*;

    #[test]
    fn a_worked_example_with_the_population_deviation() {
        // column 0: 1, 3 -> mean 2, deviation 1 (the sample deviation would be sqrt 2)
        let s = Standardizer::fit(&[1., 10., 3., 30.], 2).unwrap();
        assert_eq!(s.mean(), [2.0, 20.0]);
        assert_eq!(s.scale(), [1.0, 10.0]);
        assert_eq!(s.transform(&[4.0, 20.0]).unwrap(), [2.0, 0.0]);
        assert_eq!(s.inverse_transform(&[2.0, 0.0]).unwrap(), [4.0, 20.0]);
    }

    #[test]
    fn a_column_that_never_varied_becomes_zero_whatever_comes_later() {
        for constant in [0.0, 7.0, 0.1, -1e300, 5e-324] {
            let s = Standardizer::fit(&[constant; 5], 1).unwrap();
            assert!(s.is_constant(0));
            let z = s.transform(&[constant, 9.0, -1e308, 1e308]).unwrap();
            assert_eq!(z, [0.0; 4]);
            assert_relative_eq!(s.inverse_transform(&[3.0]).unwrap()[0], constant);
        }
    }

    #[test]
    fn rounding_noise_is_constant_but_small_real_variation_is_not() {
        let c = 0.3;
        let noisy: Vec<f64> = (0..9).map(|i| c * (1.0 + (i - 4) as f64 * 4e-16)).collect();
        assert!(Standardizer::fit(&noisy, 1).unwrap().is_constant(0));
        let clock = [1.6e9, 1.6e9 + 1e-3, 1.6e9 + 2e-3];
        assert!(!Standardizer::fit(&clock, 1).unwrap().is_constant(0));
        let tiny = [1e-200, 2e-200];
        assert_relative_eq!(Standardizer::fit(&tiny, 1).unwrap().scale()[0], 5e-201);
    }

    #[test]
    fn one_scale_for_all_pixels_of_images() {
        // 0, 0, 0, 4, 0, 8: mean 2, squares 4 * 4 + 4 + 36 = 56; separate columns would be
        // constant, or -1 and 1
        let pixels = [0., 0., 0., 4., 0., 8.];
        let s = Standardizer::fit_shared(&pixels, 3).unwrap();
        assert_eq!(s.mean(), [2.0; 3]);
        for scale in s.scale() {
            assert_relative_eq!(*scale, (56.0 / 6.0f64).sqrt(), max_relative = 1e-15);
        }
        let z = s.transform(&pixels).unwrap();
        assert_eq!((z[0], z[1], z[2]), (z[0], z[0], z[0]), "relations stay");
        assert_relative_eq!(z[3], -z[0], max_relative = 1e-15);
        let blank = Standardizer::fit_shared(&[7.0; 6], 3).unwrap();
        assert_eq!(blank.transform(&[7., 8., 9.]).unwrap(), [0.0; 3]);
        assert!(Standardizer::fit_shared(&[1., 2.], 3).is_err());
        assert!(Standardizer::fit_shared(&[1., f64::NAN], 2).is_err());
    }

    #[test]
    fn a_large_offset_costs_no_accuracy() {
        // 0..8 has variance (81 - 1) / 12; the naive E[x^2] - E[x]^2 is useless at 1e9
        let values: Vec<f64> = (0..9).map(|i| 1e9 + i as f64).collect();
        let s = Standardizer::fit(&values, 1).unwrap();
        assert_eq!(s.mean(), [1e9 + 4.0]);
        assert_relative_eq!(s.scale()[0], (80.0 / 12.0f64).sqrt(), max_relative = 1e-15);
    }

    #[test]
    fn many_rows_at_a_large_offset_cost_no_accuracy_either() {
        // exact in doubles, but a running sum of the values themselves would round at every step
        let base = 2f64.powi(40);
        let values: Vec<f64> = (0..100_000).map(|i| base + (i % 2) as f64).collect();
        let s = Standardizer::fit(&values, 1).unwrap();
        assert_eq!((s.mean()[0], s.scale()[0]), (base + 0.5, 0.5));
    }

    #[test]
    fn extreme_magnitudes_do_not_overflow() {
        let s = Standardizer::fit(&[1.7e308, -1.7e308, 1.7e308, -1.7e308], 1).unwrap();
        assert_eq!(s.mean(), [0.0]);
        assert_relative_eq!(s.scale()[0], 1.7e308);
        let s = Standardizer::fit(&[1.7e308, 1.7e308, 1.7e308, -1.7e308], 1).unwrap();
        let z = s.transform(&[1.7e308, -1.7e308]).unwrap();
        // mean 0.85e308, deviation sqrt(3)/2 * 1.7e308
        assert_relative_eq!(z[0], 1.0 / 3f64.sqrt(), max_relative = 1e-14);
        assert_relative_eq!(z[1], -3f64.sqrt(), max_relative = 1e-14);
    }

    #[test]
    fn refuses_bad_shapes_and_values() {
        assert!(Standardizer::fit(&[], 1).is_err());
        assert!(Standardizer::fit(&[1.0], 0).is_err());
        assert!(Standardizer::fit(&[1., 2., 3.], 2).is_err());
        assert!(Standardizer::fit(&[1.0, f64::NAN], 1).is_err());
        let s = Standardizer::fit(&[0., 0., 1e-300, 1.], 2).unwrap();
        assert!(s.transform(&[1.0]).is_err());
        assert!(s.transform(&[1.0, f64::NAN]).is_err());
        assert!(s.transform(&[1e300, 1.0]).is_err(), "overflow is an error");
        assert!(Standardizer::from_parts(vec![], vec![]).is_err());
        assert!(Standardizer::from_parts(vec![0.0], vec![]).is_err());
        assert!(Standardizer::from_parts(vec![0.0], vec![-1.0]).is_err());
        assert!(Standardizer::from_parts(vec![f64::NAN], vec![1.0]).is_err());
        assert!(Standardizer::from_parts(vec![0.0], vec![f64::INFINITY]).is_err());
        let copy = Standardizer::from_parts(s.mean().to_vec(), s.scale().to_vec()).unwrap();
        assert_eq!(copy, s);
    }

    #[test]
    fn warped_columns_come_back_and_the_others_are_as_before() {
        let values: Vec<f64> = (0..60)
            .flat_map(|i| [(0.1 * f64::from(i)).exp(), f64::from(i % 7)])
            .collect();
        let bounds = (-2.0, 4.0);
        let choose = |column: &[f64]| Warp::yeo_johnson(column, bounds);
        let s = Standardizer::fit_warped(&values, 2, choose).unwrap();
        assert!(s.warps()[0].is_some() && s.warps()[1].is_none());
        let z = s.transform(&values).unwrap();
        let plain = Standardizer::fit(&values, 2)
            .unwrap()
            .transform(&values)
            .unwrap();
        for (i, (a, b)) in z.iter().zip(&plain).enumerate() {
            assert!(i % 2 == 0 || a == b);
        }
        // evenly spaced numbers have a kurtosis of 1.8, their exponentials a much larger one
        let kurtosis = |z: &[f64]| z.iter().step_by(2).map(|z| z.powi(4)).sum::<f64>() / 60.0;
        assert!(kurtosis(&z) < 3.0 && kurtosis(&plain) > 5.0);
        for (x, back) in values.iter().zip(s.inverse_transform(&z).unwrap()) {
            assert_relative_eq!(*x, back, max_relative = 1e-10, epsilon = 1e-12);
        }
        let parts = Standardizer::from_parts(s.mean().to_vec(), s.scale().to_vec()).unwrap();
        assert_eq!(parts.clone().with_warps(s.warps().to_vec()).unwrap(), s);
        assert!(parts.with_warps(vec![None]).is_err());
        let none = Standardizer::fit_warped(&values, 2, |_| None).unwrap();
        assert_eq!(none, Standardizer::fit(&values, 2).unwrap());
    }

    proptest! {
        #[test]
        fn standardized_columns_have_mean_zero_and_deviation_one(
            values in prop::collection::vec(-1.0f64..1.0, 6..60),
            offset in -1e3f64..1e3,
            exponent in -250i32..250,
        ) {
            let unit = 10f64.powi(exponent);
            let values: Vec<f64> = values.iter().map(|x| (x + offset) * unit).collect();
            let s = Standardizer::fit(&values, 1).unwrap();
            let z = s.transform(&values).unwrap();
            let n = z.len() as f64;
            let mean = z.iter().sum::<f64>() / n;
            let variance = z.iter().map(|z| z * z).sum::<f64>() / n;
            // a mean near 1e3 is stored with an absolute error of 1e-13 of the unit
            prop_assert!(mean.abs() < 1e-9, "{}", mean);
            prop_assert!((variance - 1.0).abs() < 1e-9, "{}", variance);
            for (x, back) in values.iter().zip(s.inverse_transform(&z).unwrap()) {
                prop_assert!((x - back).abs() <= 1e-12 * x.abs().max(unit));
            }
        }
    }
}
