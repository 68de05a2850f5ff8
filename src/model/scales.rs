//! The scales of a compiled density: prior precision and noise.
//!
//! They are named constants of its programs ([`Graph::named`](crate::autodiff::Graph::named)). So a
//! density with other scales has other numbers and the same programs.

use std::sync::Arc;

use super::chunk::Programs;
use super::{Minibatch, PosteriorDensity, positive};
use crate::autodiff::Program;
use crate::error::{Error, Result};
use crate::scalar::Scalar;

#[cfg(test)]
mod tests;

/// Name of the precision of an isotropic Gaussian prior.
pub const PRIOR_PRECISION: &str = "prior_precision";

/// Name of the standard deviation of the noise.
pub const NOISE_STD: &str = "noise_std";

/// Checks that `programs` have one scale with this name, and that it may have the value. Returns
/// the value that it has.
///
/// # Errors
/// If the value is not positive and finite, no program uses the name, or it was recorded with
/// several values: then it is not one scale.
fn check<'p, T: 'p>(
    programs: impl Iterator<Item = &'p Program<T>>,
    name: &'static str,
    value: f64,
) -> Result<f64> {
    positive(name, value)?;
    let mut all = programs.flat_map(|program| program.values_of(name));
    let Some(first) = all.next() else {
        return Err(Error::config(
            name,
            value,
            "is not a number of this density",
        ));
    };
    match all.find(|other| *other != first) {
        None => Ok(first),
        Some(other) => {
            let requirement = format!("stands for several numbers here, {first} and {other}");
            Err(Error::config(name, value, &requirement))
        }
    }
}

impl<T: Scalar> PosteriorDensity<T> {
    /// The same density with another precision of its prior and, if `noise_std` is given, another
    /// standard deviation of the noise. Programs are shared.
    ///
    /// # Errors
    /// Those of [`PosteriorDensity::set_prior_precision`] and [`PosteriorDensity::set_noise_std`].
    pub fn with_scales(&self, prior_precision: f64, noise_std: Option<f64>) -> Result<Self> {
        let mut other = self.clone();
        other.set_prior_precision(prior_precision)?;
        noise_std.map_or(Ok(()), |std| other.set_noise_std(std))?;
        Ok(other)
    }

    /// Changes the precision of the prior. Nothing is compiled or allocated.
    ///
    /// # Errors
    /// If the value is not positive and finite, or the prior is not isotropic with a precision that
    /// is recorded as [`PRIOR_PRECISION`], as that of
    /// [`IsotropicGaussian`](super::IsotropicGaussian) is.
    pub fn set_prior_precision(&mut self, prior_precision: f64) -> Result<()> {
        let (name, value) = (PRIOR_PRECISION, prior_precision);
        let before = check(self.all_programs(), name, value)?;
        let curvature = &mut self.prior_precision[..self.weights];
        if curvature.iter().any(|own| *own != before) {
            let requirement = "is not the curvature of this prior for every parameter";
            return Err(Error::config(name, value, requirement));
        }
        curvature.fill(value);
        self.set(name, value);
        Ok(())
    }

    /// Changes the standard deviation of the noise. Nothing is compiled or allocated.
    ///
    /// # Errors
    /// If the value is not positive and finite, or the likelihood does not record one noise level
    /// as [`NOISE_STD`], as [`Gaussian`](super::Gaussian) does.
    pub fn set_noise_std(&mut self, noise_std: f64) -> Result<()> {
        check(self.all_programs(), NOISE_STD, noise_std)?;
        self.set(NOISE_STD, noise_std);
        Ok(())
    }

    fn set(&mut self, name: &str, value: f64) {
        let all = self.programs.iter_mut().flat_map(Programs::all_mut);
        all.for_each(|program| program.set(name, value));
    }

    fn all_programs(&self) -> impl Iterator<Item = &Program<T>> {
        self.programs.iter().flat_map(Programs::all)
    }

    /// True if both were compiled at once: they differ in nothing but scales.
    pub fn shares_programs_with(&self, other: &Self) -> bool {
        all_shared(self.all_programs(), other.all_programs())
    }
}

impl<T: Scalar> Minibatch<T> {
    /// As [`PosteriorDensity::with_scales`]. Subsets and batches made before keep their scales.
    ///
    /// # Errors
    /// Those of [`Minibatch::set_prior_precision`] and [`Minibatch::set_noise_std`].
    pub fn with_scales(&self, prior_precision: f64, noise_std: Option<f64>) -> Result<Self> {
        let mut other = self.clone();
        other.set_prior_precision(prior_precision)?;
        noise_std.map_or(Ok(()), |std| other.set_noise_std(std))?;
        Ok(other)
    }

    /// Changes the precision of the prior. Nothing is compiled. Nothing is allocated, unless copies
    /// or subsets share the scales: they keep theirs.
    ///
    /// # Errors
    /// If the value is not positive and finite, or the prior does not record one precision as
    /// [`PRIOR_PRECISION`].
    pub fn set_prior_precision(&mut self, prior_precision: f64) -> Result<()> {
        self.set(PRIOR_PRECISION, prior_precision)
    }

    /// Changes the standard deviation of the noise. It costs what
    /// [`Minibatch::set_prior_precision`] costs.
    ///
    /// # Errors
    /// If the value is not positive and finite, or the likelihood does not record one noise level
    /// as [`NOISE_STD`].
    pub fn set_noise_std(&mut self, noise_std: f64) -> Result<()> {
        self.set(NOISE_STD, noise_std)
    }

    fn set(&mut self, name: &'static str, value: f64) -> Result<()> {
        check(self.compiled.programs(), name, value)?;
        let all = Arc::make_mut(&mut self.compiled).programs_mut();
        all.for_each(|program| program.set(name, value));
        Ok(())
    }

    /// True if both were compiled at once: they differ in nothing but rows and scales.
    pub fn shares_programs_with(&self, other: &Self) -> bool {
        all_shared(self.compiled.programs(), other.compiled.programs())
    }
}

/// True if two lists hold copies of the same programs.
fn all_shared<'p, T: 'p>(
    mut some: impl Iterator<Item = &'p Program<T>>,
    mut others: impl Iterator<Item = &'p Program<T>>,
) -> bool {
    loop {
        match (some.next(), others.next()) {
            (Some(a), Some(b)) if a.is_copy_of(b) => {}
            (a, b) => return a.is_none() && b.is_none(),
        }
    }
}
