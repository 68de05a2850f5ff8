//! Two-dimensional convolution (cross-correlation, as everywhere in this field) as a matrix product on patches:
//! `y[n, r, q, o] = b[o] + sum_{i, j, c} x[n, r s + i - p, q s + j - p, c] W[(i, j, c), o]`.
//!
//! With groups, channels fall into equal parts that do not see one another.

use super::{image, weight_and_bias, windows};
use crate::autodiff::{Var, Window};
use crate::error::{Error, Result};
use crate::nn::layer::numbers;
use crate::nn::{Init, Layer, ParamSpec};

/// A convolution: weight `[groups, kh kw in/groups, out/groups]`, bias `[out]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Conv2d {
    outputs: usize,
    window: Window,
    groups: usize,
    init: Init,
}

impl Conv2d {
    /// `outputs` channels of the given window, one group, LeCun's initialisation, biases zero.
    ///
    /// # Errors
    /// If there are no channels.
    pub fn new(outputs: usize, window: Window) -> Result<Self> {
        if outputs == 0 {
            return Err(Error::config("outputs", outputs, "must be positive"));
        }
        Ok(Self {
            outputs,
            window,
            groups: 1,
            init: Init::LeCun,
        })
    }

    /// The same layer with its channels in groups.
    ///
    /// # Errors
    /// If the output channels do not fall into so many equal groups.
    pub fn with_groups(self, groups: usize) -> Result<Self> {
        if groups == 0 || !self.outputs.is_multiple_of(groups) {
            let requirement = format!("must divide the {} output channels", self.outputs);
            return Err(Error::config("groups", groups, &requirement));
        }
        Ok(Self { groups, ..self })
    }

    /// The same layer with another initialisation of its weight.
    pub fn with_init(self, init: Init) -> Self {
        Self { init, ..self }
    }
}

impl Layer for Conv2d {
    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>> {
        let [h, w, c] = image(input, "Conv2d")?;
        if c == 0 || !c.is_multiple_of(self.groups) {
            let expected = format!("channels in {} equal groups", self.groups);
            return Err(Error::shape("Conv2d", expected, c));
        }
        let [rows, cols] = windows(self.window, [h, w], "Conv2d")?;
        Ok(vec![rows, cols, self.outputs])
    }

    fn params(&self, input: &[usize]) -> Vec<ParamSpec> {
        let channels = input.last().copied().unwrap_or(0) / self.groups;
        let fan_in = self.window.size[0] * self.window.size[1] * channels;
        let shape = [self.groups, fan_in, self.outputs / self.groups];
        weight_and_bias(&shape, fan_in, self.outputs, self.init)
    }

    fn forward<'g>(&self, params: &[Var<'g>], x: Var<'g>) -> Var<'g> {
        let (shape, weight) = (x.shape(), params[0]);
        let channels = shape[3] / self.groups;
        let extents = weight.shape();
        let parts: Vec<Var<'g>> = (0..self.groups)
            .map(|g| {
                let part = x.slice(3, g * channels..(g + 1) * channels);
                let w = weight.slice(0, g..g + 1).reshape(&extents[1..]);
                part.patches(self.window).matmul(w)
            })
            .collect();
        let y = x.graph().concat(1, &parts) + params[1];
        let [rows, cols] = self.window.count(shape[1], shape[2]).unwrap_or([0, 0]);
        y.reshape(&[shape[0], rows, cols, self.outputs])
    }

    /// The patches: every pixel once for each window that it is in.
    fn widest(&self, input: &[usize]) -> usize {
        match *input {
            [h, w, c] => {
                let [rows, cols] = self.window.count(h, w).unwrap_or([0, 0]);
                let patches = numbers(&[&[rows, cols, c], &self.window.size[..]].concat());
                patches.max(numbers(&[rows, cols, self.outputs]))
            }
            _ => numbers(input),
        }
    }
}
