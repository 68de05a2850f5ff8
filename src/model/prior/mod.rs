//! Priors over all parameters of a network.
//!
//! | file | prior |
//! |---|---|
//! | `isotropic` | one precision for everything |
//! | `per_layer` | a precision for each layer or tensor, by name |
//! | `fan_in` | weights of variance `scale / fan_in`, biases of a separate precision |
//!
//! Parameters that a likelihood owns carry their own prior: see [`super::LikelihoodParams`].

mod fan_in;
mod isotropic;
mod per_layer;
#[cfg(test)]
mod tests;

pub use fan_in::FanInGaussian;
pub use isotropic::IsotropicGaussian;
pub use per_layer::PerLayerGaussian;

use crate::autodiff::Var;
use crate::error::Result;
use crate::model::HALF_LOG_2PI;
use crate::nn::{ParamLayout, ParamTensor};

/// A prior density over the parameters of a network.
///
/// A prior with one precision for all parameters may record it by name, as
/// `graph.named(PRIOR_PRECISION, alpha, of)` ([`Graph::named`](crate::autodiff::Graph::named)).
/// Compiled densities can then change it.
///
/// ```
/// use fiberwalk::autodiff::Var;
/// use fiberwalk::nn::ParamLayout;
/// use fiberwalk::Prior;
///
/// /// Every parameter has a logistic distribution, `p(t) = 1 / (4 cosh(t / 2)^2)`.
/// struct Logistic;
/// impl Prior for Logistic {
///     fn neg_log_density<'g>(&self, theta: Var<'g>, _: &ParamLayout) -> Var<'g> {
///         // t + 2 log(1 + e^-t)
///         (theta + (-theta).softplus() * 2.0).sum()
///     }
///     fn precision(&self, layout: &ParamLayout) -> Vec<f64> {
///         vec![0.5; layout.len()]
///     }
/// }
/// ```
pub trait Prior: Send + Sync {
    /// Records `-log p(theta)`: a scalar in nats, constants included. `theta` is `[P]`.
    fn neg_log_density<'g>(&self, theta: Var<'g>, layout: &ParamLayout) -> Var<'g>;

    /// Curvature of `-log p` at the mode, one value per parameter. For a Gaussian this is its
    /// precision. Length `P`.
    fn precision(&self, layout: &ParamLayout) -> Vec<f64>;

    /// Checks that this prior applies to the parameters of a network. By default it always does.
    ///
    /// # Errors
    /// If it does not apply.
    fn check(&self, _layout: &ParamLayout) -> Result<()> {
        Ok(())
    }
}

/// `-log N(theta; 0, diag(1 / precision))` with one precision for each tensor.
fn neg_log_normal<'g>(
    theta: Var<'g>,
    layout: &ParamLayout,
    precision: impl Fn(&ParamTensor) -> f64,
) -> Var<'g> {
    let term = |t: &ParamTensor| t.range.len() as f64 * (HALF_LOG_2PI - 0.5 * precision(t).ln());
    let constant: f64 = layout.tensors().iter().map(term).sum();
    let alpha = theta
        .graph()
        .tensor(&[layout.len()], each(layout, precision));
    (theta.square() * alpha).sum() * 0.5 + constant
}

/// The precision of each parameter, taken from its tensor.
fn each(layout: &ParamLayout, precision: impl Fn(&ParamTensor) -> f64) -> Vec<f64> {
    let repeat = |t: &ParamTensor| std::iter::repeat_n(precision(t), t.range.len());
    layout.tensors().iter().flat_map(repeat).collect()
}
