//! `w ~ N(0, scale / fan_in)` for weights, `b ~ N(0, 1 / bias_precision)` for biases: sums over many inputs keep a variance that does
//! not grow with their number, and a wide network has a limit, the Gaussian process of Neal (1996).

use super::{Prior, each, neg_log_normal};
use crate::autodiff::Var;
use crate::error::Result;
use crate::model::positive;
use crate::nn::{ParamLayout, ParamTensor};

/// A Gaussian prior with mean zero, precision `fan_in / scale` for weights and an own precision for biases.
///
/// Biases are the tensors named so (`layer0.bias`). Everything else is a weight, gains of normalisation layers too: they have
/// a fan-in of 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FanInGaussian {
    scale: f64,
    bias_precision: f64,
}

impl FanInGaussian {
    /// Weights of variance `scale / fan_in`, biases of precision `bias_precision`.
    ///
    /// # Errors
    /// If one is not positive and finite.
    pub fn new(scale: f64, bias_precision: f64) -> Result<Self> {
        Ok(Self {
            scale: positive("scale", scale)?,
            bias_precision: positive("bias_precision", bias_precision)?,
        })
    }

    /// Variance of a weight times its fan-in.
    pub fn scale(&self) -> f64 {
        self.scale
    }

    /// Precision of a bias.
    pub fn bias_precision(&self) -> f64 {
        self.bias_precision
    }

    fn of(&self, tensor: &ParamTensor) -> f64 {
        if tensor.name.rsplit('.').next() == Some("bias") {
            self.bias_precision
        } else {
            tensor.fan_in.max(1) as f64 / self.scale
        }
    }
}

impl Prior for FanInGaussian {
    fn neg_log_density<'g>(&self, theta: Var<'g>, layout: &ParamLayout) -> Var<'g> {
        neg_log_normal(theta, layout, |t| self.of(t))
    }

    fn precision(&self, layout: &ParamLayout) -> Vec<f64> {
        each(layout, |t| self.of(t))
    }
}
