//! Normalisation over parts of one example.
//!
//! `y = gain (x - mean) / sqrt(variance + eps) + bias`, with learned gain and bias.
//!
//! Both layers see one example at a time, so the outputs of a row depend on that row only. (Batch
//! normalisation would tie rows together.)

use super::image;
use crate::autodiff::Var;
use crate::error::{Error, Result, counted};
use crate::nn::{Init, Layer, ParamSpec};

/// Avoids a division by zero, as in the usual implementations.
const EPSILON: f64 = 1e-5;

/// Normalises over all values of an example (Ba et al. 2016), with a gain and bias per value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LayerNorm;

/// Normalises over groups of channels of an image (Wu & He 2018), with a gain and bias per channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupNorm {
    groups: usize,
}

impl GroupNorm {
    /// Normalisation over `groups` equal groups of channels.
    ///
    /// # Errors
    /// If `groups` is 0.
    pub fn new(groups: usize) -> Result<Self> {
        if groups == 0 {
            return Err(Error::config("groups", groups, "must be positive"));
        }
        Ok(Self { groups })
    }
}

/// `(x - mean) / sqrt(variance + eps)`. Mean and variance are over the axes that summing to shape
/// `kept` removes.
fn standardise<'g>(x: Var<'g>, kept: &[usize]) -> Var<'g> {
    let shape = x.shape();
    let total: usize = shape.iter().product();
    let parts: usize = kept.iter().product();
    let count = total as f64 / parts.max(1) as f64;
    let centred = x - x.sum_to(kept) / count;
    let variance = centred.square().sum_to(kept) / count;
    centred / (variance + EPSILON).sqrt()
}

fn gain_and_bias(shape: &[usize]) -> Vec<ParamSpec> {
    let spec = |name, value| ParamSpec {
        name,
        shape: shape.to_vec(),
        fan_in: 1,
        init: Init::Constant(value),
    };
    vec![spec("gain", 1.0), spec("bias", 0.0)]
}

impl Layer for LayerNorm {
    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>> {
        Ok(input.to_vec())
    }

    fn params(&self, input: &[usize]) -> Vec<ParamSpec> {
        gain_and_bias(input)
    }

    fn forward<'g>(&self, params: &[Var<'g>], x: Var<'g>) -> Var<'g> {
        let shape = x.shape();
        let mut kept = vec![1; shape.len()];
        // no axes: recording failed before, and the graph keeps the error
        if let (Some(kept), Some(&n)) = (kept.first_mut(), shape.first()) {
            *kept = n;
        }
        standardise(x, &kept) * params[0] + params[1]
    }
}

impl Layer for GroupNorm {
    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>> {
        let [c, _, _] = image(input, "GroupNorm")?;
        if !c.is_multiple_of(self.groups) {
            let expected = format!("channels in {}", counted(self.groups, "equal group"));
            return Err(Error::shape("GroupNorm", expected, c));
        }
        Ok(input.to_vec())
    }

    fn params(&self, input: &[usize]) -> Vec<ParamSpec> {
        gain_and_bias(&[input[0], 1, 1])
    }

    fn forward<'g>(&self, params: &[Var<'g>], x: Var<'g>) -> Var<'g> {
        let shape = x.shape();
        let (&[n, c, h, w], g) = (&shape[..], self.groups) else {
            return x;
        };
        let grouped = x.reshape(&[n, g, c / g * h * w]);
        standardise(grouped, &[n, g, 1]).reshape(&shape) * params[0] + params[1]
    }
}
