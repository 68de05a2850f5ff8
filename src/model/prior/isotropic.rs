//! One Gaussian prior for every parameter: `theta ~ N(0, 1 / alpha)`.

use std::f64::consts::PI;

use super::Prior;
use crate::autodiff::Var;
use crate::error::Result;
use crate::model::{PRIOR_PRECISION, positive};
use crate::nn::ParamLayout;

/// `theta ~ N(0, 1 / prior_precision)` for every weight and bias. The precision is recorded by the
/// name [`PRIOR_PRECISION`], so a compiled density can change it.
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
        let prior_precision = positive("prior_precision", prior_precision)?;
        Ok(Self { prior_precision })
    }

    /// The precision `alpha`.
    pub fn prior_precision(&self) -> f64 {
        self.prior_precision
    }
}

impl Prior for IsotropicGaussian {
    fn neg_log_density<'g>(&self, theta: Var<'g>, _: &ParamLayout) -> Var<'g> {
        let p = theta.shape().iter().product::<usize>() as f64;
        let of_precision = |of| {
            theta
                .graph()
                .named(PRIOR_PRECISION, self.prior_precision, of)
        };
        let constant = of_precision(|alpha| (2.0 * PI).ln() - alpha.ln()) * (0.5 * p);
        theta.square().sum() * of_precision(|alpha| 0.5 * alpha) + constant
    }

    fn precision(&self, layout: &ParamLayout) -> Vec<f64> {
        vec![self.prior_precision; layout.len()]
    }
}
