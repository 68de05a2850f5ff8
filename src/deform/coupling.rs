//! Affine coupling (Dinh et al. 2017, Real NVP): one part of the coordinates scales and shifts the
//! other.
//!
//! `y_1 = z_1`, `y_2 = z_2 exp(s(z_1)) + t(z_1)`, `log |det| = sum s(z_1)`; the inverse costs as
//! much as the forward map. `s` is bounded by `2 tanh(s'/2)`. With a scale between `e^-2` and
//! `e^2`, a layer cannot run away on points that training did not see.

use rand::Rng;

use super::bijection::Bijection;
use super::halves::Halves;
use crate::autodiff::Var;
use crate::error::Result;

/// Bound on the absolute value of a layer's log-scale.
const MAX_LOG_SCALE: f64 = 2.0;

/// One coupling layer. Its conditioner is a tanh [`crate::Mlp`] of the coordinates that pass.
#[derive(Clone, Debug)]
pub struct AffineCoupling {
    halves: Halves,
}

impl AffineCoupling {
    /// A layer of `dim` coordinates. The first `split` pass through and move the rest; with `swap`,
    /// the other way round.
    ///
    /// # Errors
    /// If a side would be empty, or a hidden width is 0.
    pub fn new(dim: usize, split: usize, hidden: &[usize], swap: bool) -> Result<Self> {
        Ok(Self {
            halves: Halves::new(0, dim, (split, swap), hidden, 2)?,
        })
    }

    /// A layer of `context + dim` coordinates. The context moves all of the last `dim`.
    ///
    /// # Errors
    /// If there is no context, nothing to move, or a hidden width is 0.
    pub fn given(context: usize, dim: usize, hidden: &[usize]) -> Result<Self> {
        Ok(Self {
            halves: Halves::new(context, dim, (0, false), hidden, 2)?,
        })
    }

    /// The layer with `context` more coordinates in front, which always pass and which the
    /// conditioner sees: a map of `context + dim` coordinates.
    ///
    /// # Errors
    /// If the conditioner's parameters are too many to count.
    pub fn with_context(self, context: usize) -> Result<Self> {
        let halves = self.halves.with_context(context)?;
        Ok(Self { halves })
    }

    /// The coordinates that move, their bounded log-scale, and their shift.
    fn part<'g>(&self, params: Var<'g>, x: Var<'g>) -> (Var<'g>, Var<'g>, Var<'g>) {
        let (moved, out) = self.halves.part(params, x);
        let m = self.halves.moved();
        let log_scale = (out.slice(1, 0..m) * (1.0 / MAX_LOG_SCALE)).tanh() * MAX_LOG_SCALE;
        (moved, log_scale, out.slice(1, m..2 * m))
    }
}

impl Bijection for AffineCoupling {
    fn dim(&self) -> usize {
        self.halves.dim()
    }

    fn param_count(&self) -> usize {
        self.halves.param_count()
    }

    /// The conditioner's initial parameters with its last layer zero: the identity map.
    fn init(&self, rng: &mut dyn Rng) -> Vec<f64> {
        self.halves.init(rng)
    }

    fn forward<'g>(&self, params: Var<'g>, z: Var<'g>) -> (Var<'g>, Var<'g>) {
        let (moved, s, t) = self.part(params, z);
        (self.halves.join(z, moved * s.exp() + t), s.sum_axis(1))
    }

    fn inverse<'g>(&self, params: Var<'g>, y: Var<'g>) -> (Var<'g>, Var<'g>) {
        let (moved, s, t) = self.part(params, y);
        (
            self.halves.join(y, (moved - t) * (-s).exp()),
            -s.sum_axis(1),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::autodiff::Graph;
    use crate::deform::tests::is_a_bijection;
    use crate::rng::{Phase, Streams};

    #[test]
    fn both_directions_of_coupling() {
        is_a_bijection(&AffineCoupling::new(5, 2, &[7], false).unwrap(), 0, 1);
        is_a_bijection(&AffineCoupling::new(5, 2, &[7, 4], true).unwrap(), 0, 2);
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
        assert_eq!(program.tensor(&ws, 0).unwrap(), &at);
        assert_eq!(program.tensor(&ws, 1).unwrap(), &[0.0]);
    }
}
