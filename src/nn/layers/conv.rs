//! Two-dimensional convolution (cross-correlation, as usual):
//!
//! `y[n, o, r, q] = b[o] + sum_{c, i, j} W[o, c, i, j] x[n, c, r s + i - p, q s + j - p]`.
//!
//! With groups, channels are split into equal parts that do not interact.

use super::{image, weight_and_bias, windows};
use crate::autodiff::{Var, Window};
use crate::error::{Error, Result, counted};
use crate::nn::layer::numbers;
use crate::nn::{Init, Layer, ParamSpec};

/// A convolution: weight `[out, in / groups, kh, kw]`, bias `[out]`, as in PyTorch.
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
    /// If `groups` is 0 or does not divide the number of output channels.
    pub fn with_groups(self, groups: usize) -> Result<Self> {
        if groups == 0 || !self.outputs.is_multiple_of(groups) {
            let requirement = format!(
                "must divide the {}",
                counted(self.outputs, "output channel")
            );
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
        let [c, h, w] = image(input, "Conv2d")?;
        if c == 0 || !c.is_multiple_of(self.groups) {
            let expected = format!("channels in {}", counted(self.groups, "equal group"));
            return Err(Error::shape("Conv2d", expected, c));
        }
        let [rows, cols] = windows(self.window, [h, w], "Conv2d")?;
        Ok(vec![self.outputs, rows, cols])
    }

    fn params(&self, input: &[usize]) -> Vec<ParamSpec> {
        let channels = input.first().copied().unwrap_or(0) / self.groups;
        let [kh, kw] = self.window.size;
        let (fan_in, shape) = (channels * kh * kw, [self.outputs, channels, kh, kw]);
        weight_and_bias(&shape, fan_in, self.outputs, self.init)
    }

    fn forward<'g>(&self, params: &[Var<'g>], x: Var<'g>) -> Var<'g> {
        let bias = params[1].reshape(&[self.outputs, 1, 1]);
        x.conv2d(params[0], self.window, self.groups) + bias
    }

    /// The larger of the padded image and the result.
    fn widest(&self, input: &[usize]) -> usize {
        let &[c, h, w] = input else {
            return numbers(input);
        };
        let [rows, cols] = self.window.count(h, w).unwrap_or([0, 0]);
        let padded =
            |extent: usize, axis: usize| extent.saturating_add(2 * self.window.padding[axis]);
        numbers(&[c, padded(h, 0), padded(w, 1)]).max(numbers(&[self.outputs, rows, cols]))
    }
}
