//! Pooling: means and maxima of windows, channel by channel.

use super::{image, windows};
use crate::autodiff::{Var, Window};
use crate::error::Result;
use crate::nn::{Layer, ParamSpec};

/// Means of windows. Padding counts as zeros.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AvgPool2d(pub Window);

/// Maxima of windows. Padding is ignored.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MaxPool2d(pub Window);

fn pooled(window: Window, input: &[usize], op: &'static str) -> Result<Vec<usize>> {
    let [c, h, w] = image(input, op)?;
    let [rows, cols] = windows(window, [h, w], op)?;
    Ok(vec![c, rows, cols])
}

impl Layer for AvgPool2d {
    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>> {
        pooled(self.0, input, "AvgPool2d")
    }

    fn params(&self, _: &[usize]) -> Vec<ParamSpec> {
        Vec::new()
    }

    fn forward<'g>(&self, _: &[Var<'g>], x: Var<'g>) -> Var<'g> {
        x.avg_pool(self.0)
    }
}

impl Layer for MaxPool2d {
    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>> {
        pooled(self.0, input, "MaxPool2d")
    }

    fn params(&self, _: &[usize]) -> Vec<ParamSpec> {
        Vec::new()
    }

    fn forward<'g>(&self, _: &[Var<'g>], x: Var<'g>) -> Var<'g> {
        x.max_pool(self.0)
    }
}
