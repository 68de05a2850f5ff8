//! Diagonal affine map: `y = z exp(s) + m`, with `s` and `m` learned.

use rand::Rng;

use super::bijection::{Bijection, no_change};
use crate::autodiff::Var;

/// Scales and shifts every coordinate. Parameters: the log-scales `s`, then the shifts `m`.
#[derive(Clone, Debug)]
pub struct DiagonalAffine {
    dim: usize,
}

impl DiagonalAffine {
    /// A map of `dim` coordinates.
    pub fn new(dim: usize) -> Self {
        Self { dim }
    }

    fn split<'g>(&self, params: Var<'g>) -> (Var<'g>, Var<'g>) {
        (
            params.slice(0, 0..self.dim),
            params.slice(0, self.dim..2 * self.dim),
        )
    }
}

impl Bijection for DiagonalAffine {
    fn dim(&self) -> usize {
        self.dim
    }

    fn param_count(&self) -> usize {
        2 * self.dim
    }

    fn init(&self, _: &mut dyn Rng) -> Vec<f64> {
        vec![0.0; 2 * self.dim]
    }

    fn forward<'g>(&self, params: Var<'g>, z: Var<'g>) -> (Var<'g>, Var<'g>) {
        let (s, m) = self.split(params);
        (z * s.exp() + m, no_change(z.graph(), z) + s.sum())
    }

    fn inverse<'g>(&self, params: Var<'g>, y: Var<'g>) -> (Var<'g>, Var<'g>) {
        let (s, m) = self.split(params);
        ((y - m) * (-s).exp(), no_change(y.graph(), y) - s.sum())
    }
}
