//! `y = x + f(x)` (He et al. 2016).

use crate::autodiff::Var;
use crate::error::{Error, Result};
use crate::nn::layer::numbers;
use crate::nn::{Layer, ParamSpec};

/// A chain of layers whose result is added to its input. The shapes must agree.
pub struct Residual {
    layers: Vec<Box<dyn Layer>>,
}

impl Residual {
    /// A residual block of the given layers.
    pub fn new(layers: Vec<Box<dyn Layer>>) -> Self {
        Self { layers }
    }
}

impl Layer for Residual {
    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>> {
        let mut shape = input.to_vec();
        for layer in &self.layers {
            shape = layer.output_shape(&shape)?;
        }
        if shape == input {
            Ok(shape)
        } else {
            Err(Error::shape(
                "Residual",
                format!("layers that end in {input:?}"),
                format!("{shape:?}"),
            ))
        }
    }

    fn params(&self, input: &[usize]) -> Vec<ParamSpec> {
        let mut shape = input.to_vec();
        let mut all = Vec::new();
        for layer in &self.layers {
            all.extend(layer.params(&shape));
            // accepted before, by `output_shape` on the whole block
            if let Ok(next) = layer.output_shape(&shape) {
                shape = next;
            }
        }
        all
    }

    fn widest(&self, input: &[usize]) -> usize {
        let mut shape = input.to_vec();
        let mut most = numbers(input);
        for layer in &self.layers {
            most = most.max(layer.widest(&shape));
            if let Ok(next) = layer.output_shape(&shape) {
                shape = next;
            }
        }
        most
    }

    fn forward<'g>(&self, params: &[Var<'g>], x: Var<'g>) -> Var<'g> {
        let mut rest = params;
        let mut y = x;
        for layer in &self.layers {
            // a user's layer may have failed to record; the graph keeps the error
            let shape = y.shape();
            let count = layer.params(shape.get(1..).unwrap_or(&[])).len();
            let (own, others) = rest.split_at(count.min(rest.len()));
            y = layer.forward(own, y);
            rest = others;
        }
        x + y
    }
}
