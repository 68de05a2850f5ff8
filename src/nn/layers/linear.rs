//! `y = x W + b` on vectors.

use super::weight_and_bias;
use crate::autodiff::Var;
use crate::error::{Error, Result};
use crate::nn::{Activation, Init, Layer, ParamSpec};

/// A dense layer: weight `[in, out]`, bias `[out]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Linear {
    outputs: usize,
    init: Init,
}

impl Linear {
    /// A layer of `outputs` units, LeCun's initialisation, biases zero.
    ///
    /// # Errors
    /// If there are no units.
    pub fn new(outputs: usize) -> Result<Self> {
        if outputs == 0 {
            return Err(Error::config("outputs", outputs, "must be positive"));
        }
        Ok(Self {
            outputs,
            init: Init::LeCun,
        })
    }

    /// The same layer with another initialisation of its weight.
    pub fn with_init(self, init: Init) -> Self {
        Self { init, ..self }
    }
}

impl Layer for Linear {
    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>> {
        match input {
            [n] if *n > 0 => Ok(vec![self.outputs]),
            _ => Err(Error::shape(
                "Linear",
                "examples that are vectors (see Flatten)",
                format!("{input:?}"),
            )),
        }
    }

    fn params(&self, input: &[usize]) -> Vec<ParamSpec> {
        let fan_in = input.iter().product();
        weight_and_bias(&[fan_in, self.outputs], fan_in, self.outputs, self.init)
    }

    fn forward<'g>(&self, params: &[Var<'g>], x: Var<'g>) -> Var<'g> {
        x.matmul(params[0]) + params[1]
    }

    fn is_linear(&self) -> bool {
        true
    }
}

/// Activations are layers without parameters.
impl Layer for Activation {
    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>> {
        Ok(input.to_vec())
    }

    fn params(&self, _: &[usize]) -> Vec<ParamSpec> {
        Vec::new()
    }

    fn forward<'g>(&self, _: &[Var<'g>], x: Var<'g>) -> Var<'g> {
        self.apply(x)
    }
}
