//! Independent draws in parallel, each from its own stream.

use rand_chacha::ChaCha8Rng;

use crate::error::{Error, Result};
use crate::parallel;
use crate::rng::{Phase, Streams};
use crate::scalar::Scalar;

/// Draws, `[count, dim]`. `draw` fills row `i` with the generator of [`Phase::SAMPLE`] and `i`. Its
/// memory may have served earlier rows.
///
/// # Errors
/// If `count` is 0, or those of `draw`.
pub(super) fn independent<T: Scalar, W>(
    [count, dim]: [usize; 2],
    streams: Streams,
    memory: impl Fn() -> W + Sync,
    draw: impl Fn(&mut W, &mut ChaCha8Rng, &mut [T]) -> Result<()> + Sync,
) -> Result<Vec<T>> {
    if count == 0 {
        return Err(Error::config("samples", count, "must be positive"));
    }
    let mut out = vec![T::ZERO; count.saturating_mul(dim)];
    parallel::try_for_each_with(out.chunks_mut(dim.max(1)), memory, |memory, i, row| {
        draw(memory, &mut streams.rng(Phase::SAMPLE, i as u64), row)
    })?;
    Ok(out)
}
