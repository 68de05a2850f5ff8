//! A Gaussian prior whose weight variance shrinks with the fan-in of the layer.
//!
//! `w ~ N(0, scale / fan_in)` for weights, `b ~ N(0, 1 / bias_precision)` for biases. The variance
//! of a sum over many inputs then does not grow with their number. A wide network has a limit, the
//! Gaussian process of Neal (1996).

use super::{Prior, each, neg_log_normal};
use crate::autodiff::Var;
use crate::error::Result;
use crate::model::positive;
use crate::nn::{ParamLayout, ParamTensor};

/// A Gaussian prior with mean zero: precision `fan_in / scale` for weights, and a separate
/// precision for biases.
///
/// Biases are the tensors with that name (`layer0.bias`). Everything else is a weight, including
/// the gains of normalisation layers, whose fan-in is 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FanInGaussian {
    scale: f64,
    bias_precision: f64,
}

impl FanInGaussian {
    /// Weights of variance `scale / fan_in`, biases of precision `bias_precision`.
    ///
    /// # Errors
    /// If either is not positive and finite.
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
