//! The entry points of a fit, and its result. Every stage may call them: to choose among models, a
//! fit makes others.

use super::{FitOptions, FitReport, Progress};
use crate::artifact::{Compiled, FittedModel};
use crate::data::Dataset;
use crate::diagnose::Loo;
use crate::error::Result;
use crate::model::Model;

/// A fitted model, and what is known about its fit.
pub struct FitResult<T> {
    /// The model.
    pub model: FittedModel<T>,
    /// The results of every stage, and the verdict.
    pub report: FitReport,
    /// Leave-one-out of the training rows, if the points are draws of the posterior and its cost is
    /// small compared with the fit's.
    pub loo: Option<Loo>,
}

/// Fits a posterior to a data set. `progress` sees how far the fit is, and may end it: `&()` does
/// neither.
///
/// # Errors
/// If the data cannot train a model, a setting is out of range, another fit writes to the same
/// files, or a stage fails; [`Error::Cancelled`](crate::Error::Cancelled) if `progress` ends it.
pub fn fit<T: Fits>(
    data: &Dataset,
    options: &FitOptions,
    progress: &dyn Progress,
) -> Result<FitResult<T>> {
    fit_owned(data.clone(), options, progress)
}

/// As [`fit`], for a data set that is not needed afterwards. It is standardised in place, which
/// saves the memory of a copy.
///
/// # Errors
/// Those of [`fit`].
pub fn fit_owned<T: Fits>(
    data: Dataset,
    options: &FitOptions,
    progress: &dyn Progress,
) -> Result<FitResult<T>> {
    T::fit_data(data, options, progress)
}

/// Fits the posterior of `model` to rows `x` (`[n, input_dim]`) and targets `y`
/// (`[n, target_dim]`), as they are. [`FitOptions`] chooses the method and its settings. Options
/// that the model already determines (network, likelihood, prior, noise, transforms) must be left
/// at their defaults.
///
/// [`AnyModel::load_with`](crate::artifact::AnyModel::load_with) reads a file of such a model.
///
/// ```
/// use fiberwalk::model::Model;
/// use fiberwalk::pipeline::{FitOptions, WalkSettings, fit_model};
/// use fiberwalk::{Activation, IsotropicGaussian, Mlp, Poisson};
///
/// let network = Mlp::new(&[1, 4, 1], Activation::Tanh)?;
/// let model = Model::with_head("counts", network, Poisson, IsotropicGaussian::new(1.0)?);
/// let (x, y) = ([-1.0, 0.0, 0.5, 1.0], [0.0, 1.0, 1.0, 3.0]);
/// let walk = WalkSettings { steps: Some(20), ..WalkSettings::default() };
/// let options = FitOptions { method: walk.into(), ..FitOptions::default() };
/// let fitted = fit_model::<f32>(&model, &x, &y, &options, &())?;
/// println!("{:?}", fitted.model.predictor(100, 0)?.row(&[0.2])?);
/// # Ok::<(), fiberwalk::Error>(())
/// ```
///
/// # Errors
/// If lengths do not fit, a target is impossible, a setting is out of range or contradicts the
/// model, the method does not support it, or a stage fails;
/// [`Error::Cancelled`](crate::Error::Cancelled) if `progress` ends the fit.
pub fn fit_model<T: Fits>(
    model: &Model,
    x: &[f64],
    y: &[f64],
    options: &FitOptions,
    progress: &dyn Progress,
) -> Result<FitResult<T>> {
    T::fit_own(model, x, y, options, progress)
}

/// `f32` or `f64`. All methods are compiled for it in this crate, and not again in the user's.
pub trait Fits: Compiled {
    #[doc(hidden)]
    fn fit_data(
        data: Dataset,
        options: &FitOptions,
        progress: &dyn Progress,
    ) -> Result<FitResult<Self>>;
    #[doc(hidden)]
    fn fit_own(
        model: &Model,
        x: &[f64],
        y: &[f64],
        options: &FitOptions,
        progress: &dyn Progress,
    ) -> Result<FitResult<Self>>;
}
