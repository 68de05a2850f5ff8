//! Turns images into vectors.

use crate::autodiff::Var;
use crate::error::Result;
use crate::nn::layer::numbers;
use crate::nn::{Layer, ParamSpec};

/// Lays the values of each example in a row: `[c, h, w]` becomes `[c h w]`, channel by channel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flatten;

impl Layer for Flatten {
    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>> {
        Ok(vec![numbers(input)])
    }

    fn params(&self, _: &[usize]) -> Vec<ParamSpec> {
        Vec::new()
    }

    fn forward<'g>(&self, _: &[Var<'g>], x: Var<'g>) -> Var<'g> {
        match x.shape().split_first() {
            Some((&n, rest)) => x.reshape(&[n, rest.iter().product()]),
            // recording failed before, and the graph keeps the error
            None => x,
        }
    }
}
