//! A fixed permutation of coordinates: `y_i = z_{order[i]}`. It keeps volume, and every bit.

use rand::Rng;
use rand::seq::SliceRandom;

use super::bijection::{Bijection, no_change};
use crate::autodiff::Var;
use crate::error::{Error, Result};

/// A permutation that is chosen once and not learned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permutation {
    order: Vec<usize>,
}

impl Permutation {
    /// Coordinate `i` of the result is coordinate `order[i]` of the argument.
    ///
    /// # Errors
    /// If `order` does not contain each of `0..order.len()` once.
    pub fn new(order: Vec<usize>) -> Result<Self> {
        let mut seen = vec![false; order.len()];
        for &from in &order {
            match seen.get_mut(from) {
                Some(seen) if !*seen => *seen = true,
                _ => {
                    let expected = format!("each of 0..{} once", order.len());
                    let got = format!("{order:?}");
                    return Err(Error::shape("Permutation", expected, got));
                }
            }
        }
        Ok(Self { order })
    }

    /// The permutation that reverses the coordinates.
    pub fn reverse(dim: usize) -> Self {
        Self {
            order: (0..dim).rev().collect(),
        }
    }

    /// A random order.
    pub fn random(dim: usize, rng: &mut impl Rng) -> Self {
        let mut order: Vec<usize> = (0..dim).collect();
        order.shuffle(rng);
        Self { order }
    }

    /// Where each coordinate of the result comes from.
    pub fn order(&self) -> &[usize] {
        &self.order
    }
}

/// Columns of a batch in another order; runs of neighbours stay together.
fn reorder<'g>(x: Var<'g>, order: &[usize]) -> Var<'g> {
    let runs = order.chunk_by(|a, b| a + 1 == *b);
    let parts: Vec<Var<'g>> = runs
        .map(|run| x.slice(1, run[0]..run[0] + run.len()))
        .collect();
    match parts.len() {
        0 => x,
        _ => x.graph().concat(1, &parts),
    }
}

impl Bijection for Permutation {
    fn dim(&self) -> usize {
        self.order.len()
    }

    fn param_count(&self) -> usize {
        0
    }

    fn init(&self, _: &mut dyn Rng) -> Vec<f64> {
        Vec::new()
    }

    fn forward<'g>(&self, _: Var<'g>, z: Var<'g>) -> (Var<'g>, Var<'g>) {
        (reorder(z, &self.order), no_change(z.graph(), z))
    }

    fn inverse<'g>(&self, _: Var<'g>, y: Var<'g>) -> (Var<'g>, Var<'g>) {
        let mut back = vec![0; self.order.len()];
        for (to, &from) in self.order.iter().enumerate() {
            back[from] = to;
        }
        (reorder(y, &back), no_change(y.graph(), y))
    }
}
