//! The halves of a coupling layer: what passes, what moves, and what the conditioner sees.

use rand::Rng;

use crate::autodiff::Var;
use crate::error::{Error, Result};
use crate::nn::{Activation, Mlp, Network};

/// A batch `[n, context + dim]` in three parts: the context, which passes in every layer, the
/// coordinates that pass in this one, and those that move. The first two feed a conditioner, a tanh
/// [`Mlp`].
#[derive(Clone, Debug)]
pub(super) struct Halves {
    dim: usize,
    split: usize,
    swap: bool,
    context: usize,
    hidden: Vec<usize>,
    /// Numbers that the conditioner outputs for each coordinate that moves.
    each: usize,
    conditioner: Mlp,
}

impl Halves {
    /// `each` numbers for every moved coordinate. The other arguments are those of
    /// [`super::AffineCoupling::new`], but `split = 0` is allowed where there is a context.
    pub(super) fn new(
        context: usize,
        dim: usize,
        (split, swap): (usize, bool),
        hidden: &[usize],
        each: usize,
    ) -> Result<Self> {
        let (passing, moved) = match (dim.checked_sub(split), swap) {
            (None, _) => (0, 0),
            (Some(rest), false) => (split, rest),
            (Some(rest), true) => (rest, split),
        };
        if moved == 0 || context + passing == 0 {
            let requirement = format!("must leave a side that moves and one that passes, of {dim}");
            return Err(Error::config("split", split, &requirement));
        }
        let sizes = [&[context + passing], hidden, &[each * moved]].concat();
        Ok(Self {
            dim,
            split,
            swap,
            context,
            hidden: hidden.to_vec(),
            each,
            conditioner: Mlp::new(&sizes, Activation::Tanh)?,
        })
    }

    /// The same with another context.
    pub(super) fn with_context(&self, context: usize) -> Result<Self> {
        let sides = (self.split, self.swap);
        Self::new(context, self.dim, sides, &self.hidden, self.each)
    }

    /// Number of coordinates, the context included.
    pub(super) fn dim(&self) -> usize {
        self.context + self.dim
    }

    /// Number of coordinates that move.
    pub(super) fn moved(&self) -> usize {
        self.conditioner.output_dim() / self.each
    }

    pub(super) fn param_count(&self) -> usize {
        self.conditioner.dim()
    }

    /// The conditioner's initial parameters, with its last layer set to zero.
    pub(super) fn init(&self, rng: &mut dyn Rng) -> Vec<f64> {
        let mut params = self.conditioner.init(rng);
        for tensor in self.conditioner.layout().tensors().iter().rev().take(2) {
            params[tensor.range.clone()].fill(0.0);
        }
        params
    }

    /// The coordinates that move (`[n, moved]`), and the conditioner's output for them: `each`
    /// blocks of `moved` columns.
    pub(super) fn part<'g>(&self, params: Var<'g>, x: Var<'g>) -> (Var<'g>, Var<'g>) {
        let (c, middle, end) = (self.context, self.context + self.split, self.dim());
        let (seen, moved) = if self.swap {
            let around = [x.slice(1, 0..c), x.slice(1, middle..end)];
            let seen = x.graph().concat(1, &around);
            (seen, x.slice(1, c..middle))
        } else {
            (x.slice(1, 0..middle), x.slice(1, middle..end))
        };
        (moved, self.conditioner.forward(params, seen))
    }

    /// The batch `x` with `moved` in the place of the coordinates that move.
    pub(super) fn join<'g>(&self, x: Var<'g>, moved: Var<'g>) -> Var<'g> {
        let (c, middle, end) = (self.context, self.context + self.split, self.dim());
        if self.swap {
            let (before, after) = (x.slice(1, 0..c), x.slice(1, middle..end));
            x.graph().concat(1, &[before, moved, after])
        } else {
            x.graph().concat(1, &[x.slice(1, 0..middle), moved])
        }
    }
}
