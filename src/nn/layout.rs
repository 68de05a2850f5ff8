//! Where each weight and bias lies in the flat parameter vector.

use std::ops::Range;

use crate::autodiff::Var;

/// One tensor of parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParamTensor {
    /// Such as `layer0.weight`.
    pub name: String,
    /// Extents, row-major.
    pub shape: Vec<usize>,
    /// Its place in `theta`.
    pub range: Range<usize>,
    /// Number of inputs that a unit of its layer sums over.
    pub fan_in: usize,
}

impl ParamTensor {
    /// Records this tensor as a view of `theta`, which starts where the flat parameter vector
    /// starts.
    pub fn view<'g>(&self, theta: Var<'g>) -> Var<'g> {
        theta.slice(0, self.range.clone()).reshape(&self.shape)
    }
}

/// The parts of a flat parameter vector, in order and without gaps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ParamLayout {
    tensors: Vec<ParamTensor>,
    len: usize,
}

impl ParamLayout {
    /// Appends a tensor.
    pub fn push(&mut self, name: impl Into<String>, shape: &[usize], fan_in: usize) {
        let start = self.len;
        self.len += shape.iter().product::<usize>();
        self.tensors.push(ParamTensor {
            name: name.into(),
            shape: shape.to_vec(),
            range: start..self.len,
            fan_in,
        });
    }

    /// The tensors, in order.
    pub fn tensors(&self) -> &[ParamTensor] {
        &self.tensors
    }

    /// Number of parameters.
    pub fn len(&self) -> usize {
        self.len
    }

    /// True if there are no parameters.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}
