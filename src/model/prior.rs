//! Priors over all parameters.

use std::f64::consts::PI;

use crate::autodiff::Var;
use crate::error::{Error, Result};
use crate::nn::ParamLayout;

/// A prior density over the parameters of a network.
pub trait Prior: Send + Sync {
    /// Records `-log p(theta)`, a scalar in nats, constants included; `theta` is `[P]`.
    fn neg_log_density<'g>(&self, theta: Var<'g>, layout: &ParamLayout) -> Var<'g>;

    /// Curvature of `-log p` at the mode, parameter by parameter: for a Gaussian its precision. Length `P`.
    fn precision(&self, layout: &ParamLayout) -> Vec<f64>;
}

/// `theta ~ N(0, 1 / prior_precision)`, every weight and bias.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct IsotropicGaussian {
    prior_precision: f64,
}

impl IsotropicGaussian {
    /// A prior of the given precision, in inverse squared units of the parameters.
    ///
    /// # Errors
    /// If it is not positive and finite.
    pub fn new(prior_precision: f64) -> Result<Self> {
        if prior_precision > 0.0 && prior_precision.is_finite() {
            Ok(Self { prior_precision })
        } else {
            let requirement = "must be positive and finite";
            Err(Error::config(
                "prior_precision",
                prior_precision,
                requirement,
            ))
        }
    }

    /// The precision `alpha`.
    pub fn prior_precision(&self) -> f64 {
        self.prior_precision
    }
}

impl Prior for IsotropicGaussian {
    fn neg_log_density<'g>(&self, theta: Var<'g>, _: &ParamLayout) -> Var<'g> {
        let p = theta.shape().iter().product::<usize>() as f64;
        let constant = 0.5 * p * ((2.0 * PI).ln() - self.prior_precision.ln());
        theta.square().sum() * (0.5 * self.prior_precision) + constant
    }

    fn precision(&self, layout: &ParamLayout) -> Vec<f64> {
        vec![self.prior_precision; layout.len()]
    }
}
