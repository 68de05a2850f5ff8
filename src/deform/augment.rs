//! Points with the signs of random units flipped, to train flows of units on.

use rand::{Rng, RngExt};

use crate::nn::UnitBlock;
use crate::scalar::Scalar;

/// Copies of points (`[n, dim]`, coordinates of [`ExchangeableUnits`](super::ExchangeableUnits))
/// with the signs of random units flipped, for odd nonlinearities. A flip changes the sign of a
/// unit's own numbers in one layer, and of the weights that read it in the next, where these are in
/// the same order.
pub fn augment<T: Scalar>(
    points: &[T],
    blocks: &[UnitBlock],
    copies: usize,
    rng: &mut impl Rng,
) -> Vec<T> {
    let dim: usize = blocks.iter().map(|b| b.units * b.params).sum();
    let mut all = Vec::with_capacity(points.len() * copies);
    for _ in 0..copies {
        for point in points.chunks_exact(dim.max(1)) {
            let from = all.len();
            all.extend_from_slice(point);
            let row = &mut all[from..];
            let mut first = 0;
            for (l, block) in blocks.iter().enumerate() {
                let (h, size) = (block.units, block.units * block.params);
                let (own, later) = row[first..].split_at_mut(size);
                let reads = blocks.get(l + 1).filter(|next| next.params == h + 1);
                for j in 0..h {
                    if !block.has_sign || rng.random::<bool>() {
                        continue;
                    }
                    own[j..].iter_mut().step_by(h).for_each(|x| *x = -*x);
                    if let Some(next) = reads {
                        let weights = &mut later[j * next.units..(j + 1) * next.units];
                        weights.iter_mut().for_each(|x| *x = -*x);
                    }
                }
                first += size;
            }
        }
    }
    all
}
