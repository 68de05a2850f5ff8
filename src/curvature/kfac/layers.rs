//! Finds the layers of a network that have Kronecker factors.
//!
//! Compiles the programs for the layers' inputs and for the derivatives with respect to their
//! outputs.

use std::ops::Range;

use super::{KfacBias, KroneckerBlock};
use crate::autodiff::{Graph, Program, UseKind, Var, WeightUse, Window};
use crate::curvature::roots::BLOCK;
use crate::error::{Error, Result};
use crate::nn::{Network, ParamTensor};
use crate::scalar::Scalar;

/// One layer: its weight, its bias, and the shapes of its inputs and outputs.
#[derive(Clone, Debug)]
pub(in crate::curvature) struct Layer {
    pub kind: UseKind,
    weight: Range<usize>,
    bias: Option<Range<usize>>,
    pub groups: usize,
    /// Inputs and outputs of a group that a weight connects, without the bias.
    pub inputs: usize,
    pub outputs: usize,
    /// Shapes of the input image, `[channels, h, w]`, and of the result, `[rows, columns]`.
    pub image: [usize; 3],
    pub positions: [usize; 2],
}

/// All layers, compiled for blocks of rows.
pub(in crate::curvature) struct Layers<T> {
    pub layers: Vec<Layer>,
    /// Inputs of all layers. Takes `theta`, `x` `[d, rows]`, and 1.
    pub inputs: Program<T>,
    /// Derivatives with respect to the outputs of all layers, times a cotangent. Takes `theta`,
    /// `x`, `u` `[outputs, rows]`, and 1.
    pub cotangents: Program<T>,
}

impl<T: Scalar> Layers<T> {
    /// The layers of a network.
    ///
    /// # Errors
    /// If a parameter is neither the weight nor the bias of a linear layer or a convolution.
    pub fn new(network: &dyn Network) -> Result<Self> {
        Self::within(network, 0..network.dim())
    }

    /// The layers whose parameters lie in `range`.
    ///
    /// # Errors
    /// As [`Layers::new`], for the parameters in `range`. Also if a parameter is used in another
    /// way too.
    pub fn within(network: &dyn Network, range: Range<usize>) -> Result<Self> {
        let d = network.input_dim();
        let graph = Graph::new();
        let theta = graph.input(&[network.dim()]);
        let x = graph.input(&[d, BLOCK]).batch_first();
        network.forward(theta, x);
        let tensors = network.layout().tensors();
        WeightUse::check_views(
            theta,
            tensors.iter().map(|t| (t.range.clone(), &t.shape[..])),
        )?;
        let mut uses: Vec<WeightUse<'_>> = Vec::new();
        let mut layers: Vec<Layer> = Vec::new();
        for tensor in tensors.iter().filter(|t| lies_in(t, &range)) {
            let var = tensor.view(theta);
            if let (&[extent], Some(last)) = (&tensor.shape[..], layers.last_mut()) {
                let own = uses.last().is_some_and(|u| u.is_shifted_by(var));
                if own && last.bias.is_none() && extent == last.groups * last.outputs {
                    last.bias = Some(tensor.range.clone());
                    continue;
                }
            }
            let found = WeightUse::find(var, &tensor.name)?;
            layers.push(Layer::new(tensor, &found)?);
            uses.push(found);
        }
        // each program gets a fresh recording: the inputs of one do not belong to the other
        let one = graph.input(&[1]);
        let copies: Vec<Var<'_>> = uses
            .iter()
            .map(|u| u.input.reshape(&[u.input.shape().iter().product()]) * one)
            .collect();
        let inputs = graph.compile(&copies)?;
        Ok(Self {
            layers,
            inputs,
            cotangents: cotangents(network, &range)?,
        })
    }
}

fn lies_in(tensor: &ParamTensor, range: &Range<usize>) -> bool {
    range.start <= tensor.range.start && tensor.range.end <= range.end
}

/// The program for the derivatives.
fn cotangents<T: Scalar>(network: &dyn Network, range: &Range<usize>) -> Result<Program<T>> {
    let graph = Graph::new();
    let theta = graph.input(&[network.dim()]);
    let x = graph.input(&[network.input_dim(), BLOCK]).batch_first();
    let u = graph.input(&[network.output_dim(), BLOCK]).batch_first();
    let one = graph.input(&[1]);
    let outputs = network.forward(theta, x);
    // find all uses before the first derivative, which uses the weights again; biases are excluded,
    // as they were recognised before
    let weights = network.layout().tensors().iter();
    let uses = weights
        .filter(|t| t.shape.len() > 1 && lies_in(t, range))
        .map(|t| WeightUse::find(t.view(theta), &t.name))
        .collect::<Result<Vec<_>>>()?;
    let mut all = Vec::new();
    for found in &uses {
        let g = found.pull_back(&graph, outputs, u)?;
        all.push(g.reshape(&[g.shape().iter().product()]) * one);
    }
    graph.compile(&all)
}

impl Layer {
    fn new(tensor: &ParamTensor, found: &WeightUse<'_>) -> Result<Self> {
        let plain = |inputs, outputs| Self {
            kind: found.kind,
            weight: tensor.range.clone(),
            bias: None,
            groups: 1,
            inputs,
            outputs,
            image: [inputs, 1, 1],
            positions: [1, 1],
        };
        let refuse = || {
            let got = format!("{} of shape {:?}", tensor.name, tensor.shape);
            Error::shape("KFAC", "the weight of a Linear or Conv2d layer", got)
        };
        match (found.kind, &tensor.shape[..], &found.input.shape()[..]) {
            // columns that are not the rows of data would count as separate uses
            (UseKind::Product, &[inputs, outputs], &[_, BLOCK]) => Ok(plain(inputs, outputs)),
            (UseKind::Convolution { window, groups }, &[out, c, kh, kw], &[channels, h, w, _])
                if groups > 0 =>
            {
                Ok(Self {
                    groups,
                    image: [channels, h, w],
                    positions: window.count(h, w).ok_or_else(refuse)?,
                    ..plain(c * kh * kw, out / groups)
                })
            }
            _ => Err(refuse()),
        }
    }

    /// For a linear layer: the index where its parameters start, and whether it has a bias. The
    /// weight is `[in, out]`, with the bias right after it.
    pub fn linear(&self) -> Option<(usize, bool)> {
        let behind = self
            .bias
            .as_ref()
            .is_none_or(|b| b.start == self.weight.end);
        let linear = self.kind == UseKind::Product && behind;
        linear.then_some((self.weight.start, self.bias.is_some()))
    }

    /// Number of times the weights are used in one row of data.
    pub fn uses(&self) -> usize {
        self.positions[0] * self.positions[1]
    }

    /// True if the bias is one more input.
    pub fn joins(&self, bias: KfacBias) -> bool {
        self.bias.is_some() && bias == KfacBias::Joined
    }

    /// Order of the factor of the inputs.
    pub fn input_order(&self, bias: KfacBias) -> usize {
        self.inputs + usize::from(self.joins(bias))
    }

    /// The blocks of this layer, group by group, from sums over rows whose weights add up to
    /// `total`. For each group `a` is `[order, order]` and `b` is `[outputs, outputs]`.
    pub fn blocks(
        &self,
        (a, b): (&[f64], &[f64]),
        total: f64,
        bias: KfacBias,
    ) -> Vec<KroneckerBlock> {
        let (order, outputs) = (self.input_order(bias), self.outputs);
        let uses = self.uses() as f64;
        let mut blocks = Vec::new();
        for g in 0..self.groups {
            let part = |v: &[f64], len: usize, by: f64| -> Vec<f64> {
                v[g * len..(g + 1) * len].iter().map(|x| x / by).collect()
            };
            let output_factor = part(b, outputs * outputs, uses);
            let bias_at = |j: usize| self.bias.as_ref().map(|r| r.start + g * outputs + j);
            let weight_at = |i: usize, j: usize| match self.kind {
                UseKind::Product => self.weight.start + i * outputs + j,
                UseKind::Convolution { .. } => {
                    self.weight.start + (g * outputs + j) * self.inputs + i
                }
            };
            let mut index = Vec::with_capacity(order * outputs);
            for i in 0..self.inputs {
                index.extend((0..outputs).map(|j| weight_at(i, j)));
            }
            if self.joins(bias) {
                index.extend((0..outputs).filter_map(bias_at));
            }
            blocks.push(KroneckerBlock {
                index,
                input_factor: part(a, order * order, total),
                output_factor: output_factor.clone(),
            });
            if self.bias.is_some() && !self.joins(bias) {
                blocks.push(KroneckerBlock {
                    index: (0..outputs).filter_map(bias_at).collect(),
                    input_factor: vec![uses],
                    output_factor,
                });
            }
        }
        blocks
    }

    /// The inputs of group `g` in row `n` of a block of [`BLOCK`] rows: `[order, uses]`, in f64.
    /// For a convolution these are patches.
    pub fn patches<T: Scalar>(&self, input: &[T], (g, n): (usize, usize), out: &mut [f64]) {
        let uses = self.uses();
        let [channels, h, w] = self.image;
        let (window, per_group) = match self.kind {
            UseKind::Product => (Window::square(1, 1, 0), channels),
            UseKind::Convolution { window, groups } => (window, channels / groups),
        };
        let [kh, kw] = window.size;
        for (i, row) in out.chunks_exact_mut(uses).enumerate() {
            if i >= self.inputs {
                // the input of the bias
                row.fill(1.0);
                continue;
            }
            let (c, di, dj) = (g * per_group + i / (kh * kw), i / kw % kh, i % kw);
            for (t, to) in row.iter_mut().enumerate() {
                let (r, q) = (t / self.positions[1], t % self.positions[1]);
                let y = (r * window.stride[0] + di).wrapping_sub(window.padding[0]);
                let x = (q * window.stride[1] + dj).wrapping_sub(window.padding[1]);
                *to = if y < h && x < w {
                    input[((c * h + y) * w + x) * BLOCK + n].to_f64()
                } else {
                    0.0
                };
            }
        }
    }

    /// The derivatives with respect to the outputs of group `g` in row `n`: `[outputs, uses]`, in
    /// f64.
    pub fn slopes<T: Scalar>(&self, cotangent: &[T], (g, n): (usize, usize), out: &mut [f64]) {
        let first = g * self.outputs * self.uses();
        for (at, to) in out.iter_mut().enumerate() {
            *to = cotangent[(first + at) * BLOCK + n].to_f64();
        }
    }
}
