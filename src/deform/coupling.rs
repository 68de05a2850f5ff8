//! Affine coupling (Dinh et al. 2017, Real NVP): one part of the coordinates passes through and decides how the other is
//! scaled and shifted.
//!
//! `y_1 = z_1`, `y_2 = z_2 exp(s(z_1)) + t(z_1)`, `log |det| = sum s(z_1)`; the inverse needs no more than the forward map.
//! `s` is bounded by `2 tanh(s'/2)`: a scale between `e^-2` and `e^2` a layer cannot run away on points that training
//! did not see.

use rand::Rng;

use super::bijection::Bijection;
use crate::autodiff::{Graph, Var};
use crate::error::{Error, Result};
use crate::nn::{Activation, Mlp, Network};

/// Largest modulus of a layer's log-scale.
const MAX_LOG_SCALE: f64 = 2.0;

/// One coupling layer. Its conditioner is a tanh [`Mlp`] of the coordinates that pass.
#[derive(Clone, Debug)]
pub struct AffineCoupling {
    dim: usize,
    split: usize,
    swap: bool,
    conditioner: Mlp,
}

impl AffineCoupling {
    /// A layer of `dim` coordinates. The first `split` pass through and move the rest; with `swap`, the other way round.
    ///
    /// # Errors
    /// If a side would be empty, or a hidden width is 0.
    pub fn new(dim: usize, split: usize, hidden: &[usize], swap: bool) -> Result<Self> {
        if split == 0 || split >= dim {
            return Err(Error::config(
                "split",
                split,
                &format!("must be in 1..{dim}"),
            ));
        }
        let (passing, moved) = if swap {
            (dim - split, split)
        } else {
            (split, dim - split)
        };
        let mut sizes = vec![passing];
        sizes.extend_from_slice(hidden);
        sizes.push(2 * moved);
        Ok(Self {
            dim,
            split,
            swap,
            conditioner: Mlp::new(&sizes, Activation::Tanh)?,
        })
    }

    /// The coordinates that pass and those that move.
    fn parts<'g>(&self, x: Var<'g>) -> (Var<'g>, Var<'g>) {
        let (a, b) = (x.slice(1, 0..self.split), x.slice(1, self.split..self.dim));
        if self.swap { (b, a) } else { (a, b) }
    }

    fn join<'g>(&self, graph: &'g Graph, passing: Var<'g>, moved: Var<'g>) -> Var<'g> {
        if self.swap {
            graph.concat(1, &[moved, passing])
        } else {
            graph.concat(1, &[passing, moved])
        }
    }

    /// Bounded log-scale and shift, given the coordinates that pass.
    fn condition<'g>(&self, params: Var<'g>, passing: Var<'g>) -> (Var<'g>, Var<'g>) {
        let moved = self.conditioner.output_dim() / 2;
        let out = self.conditioner.forward(params, passing);
        let raw = out.slice(1, 0..moved);
        let log_scale = (raw * (1.0 / MAX_LOG_SCALE)).tanh() * MAX_LOG_SCALE;
        (log_scale, out.slice(1, moved..2 * moved))
    }
}

impl Bijection for AffineCoupling {
    fn dim(&self) -> usize {
        self.dim
    }

    fn param_count(&self) -> usize {
        self.conditioner.dim()
    }

    /// The conditioner's initial parameters with its last layer zero: the identity map.
    fn init(&self, rng: &mut dyn Rng) -> Vec<f64> {
        let mut params = self.conditioner.init(rng);
        for tensor in self.conditioner.layout().tensors().iter().rev().take(2) {
            params[tensor.range.clone()].fill(0.0);
        }
        params
    }

    fn forward<'g>(&self, params: Var<'g>, z: Var<'g>) -> (Var<'g>, Var<'g>) {
        let (passing, moved) = self.parts(z);
        let (s, t) = self.condition(params, passing);
        let y = self.join(z.graph(), passing, moved * s.exp() + t);
        (y, s.sum_axis(1))
    }

    fn inverse<'g>(&self, params: Var<'g>, y: Var<'g>) -> (Var<'g>, Var<'g>) {
        let (passing, moved) = self.parts(y);
        let (s, t) = self.condition(params, passing);
        let z = self.join(y.graph(), passing, (moved - t) * (-s).exp());
        (z, -s.sum_axis(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deform::bijection::tests::check_bijection;
    use crate::rng::{Phase, Streams};

    #[test]
    fn both_directions_of_coupling() {
        check_bijection(&AffineCoupling::new(5, 2, &[7], false).unwrap(), 1);
        check_bijection(&AffineCoupling::new(5, 2, &[7, 4], true).unwrap(), 2);
        assert!(AffineCoupling::new(5, 0, &[7], false).is_err());
        assert!(AffineCoupling::new(5, 5, &[7], false).is_err());
    }

    #[test]
    fn it_starts_as_the_identity() {
        let layer = AffineCoupling::new(4, 2, &[8], true).unwrap();
        let params = layer.init(&mut Streams::new(0).rng(Phase::DEFORM, 0));
        let graph = Graph::new();
        let (p, z) = (graph.input(&[params.len()]), graph.input(&[1, 4]));
        let (y, log_det) = layer.forward(p, z);
        let program = graph.compile::<f64>(&[y, log_det]).unwrap();
        let mut ws = program.workspace();
        let at = [0.3, -1.0, 2.0, 0.7];
        program.run(&[&params, &at], &mut ws).unwrap();
        assert_eq!(program.tensor(&ws, 0), &at);
        assert_eq!(program.tensor(&ws, 1), &[0.0]);
    }
}
