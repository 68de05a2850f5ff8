//! A map beside a context.
//!
//! The first coordinates pass unchanged. The others go through another bijection, which does not
//! see the context.

use rand::Rng;

use super::bijection::Bijection;
use crate::autodiff::Var;

/// The bijection of `R^{context + d}` that leaves the first `context` coordinates unchanged and
/// maps the others by `inner`, a bijection of `R^d`. So mixing, scaling and permutations can join a
/// conditional flow, next to coupling layers with the same context.
///
/// ```
/// use fiberwalk::deform::{AffineCoupling, Beside, Bijection, Chain, DiagonalAffine};
/// let (context, dim) = (2, 3);
/// let layers: Vec<Box<dyn Bijection>> = vec![
///     Box::new(AffineCoupling::new(dim, 1, &[16], false)?.with_context(context)?),
///     Box::new(Beside::new(context, DiagonalAffine::new(dim))),
/// ];
/// assert_eq!(Chain::new(context + dim, layers)?.dim(), 5);
/// # Ok::<(), fiberwalk::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Beside<B> {
    context: usize,
    inner: B,
}

impl<B: Bijection> Beside<B> {
    /// `inner` beside `context` coordinates.
    pub fn new(context: usize, inner: B) -> Self {
        Self { context, inner }
    }

    fn map<'g>(
        &self,
        x: Var<'g>,
        inner: impl FnOnce(Var<'g>) -> (Var<'g>, Var<'g>),
    ) -> (Var<'g>, Var<'g>) {
        if self.context == 0 {
            return inner(x);
        }
        let passing = x.slice(1, 0..self.context);
        let (moved, log_det) = inner(x.slice(1, self.context..self.dim()));
        (x.graph().concat(1, &[passing, moved]), log_det)
    }
}

impl<B: Bijection> Bijection for Beside<B> {
    fn dim(&self) -> usize {
        self.context + self.inner.dim()
    }

    fn param_count(&self) -> usize {
        self.inner.param_count()
    }

    fn init(&self, rng: &mut dyn Rng) -> Vec<f64> {
        self.inner.init(rng)
    }

    fn forward<'g>(&self, params: Var<'g>, z: Var<'g>) -> (Var<'g>, Var<'g>) {
        self.map(z, |z| self.inner.forward(params, z))
    }

    fn inverse<'g>(&self, params: Var<'g>, y: Var<'g>) -> (Var<'g>, Var<'g>) {
        self.map(y, |y| self.inner.inverse(params, y))
    }
}
