//! A walk from its start to its end, in one call.

use super::kernel::Kernel;
use super::options::WalkOptions;
use super::run::Run;
use super::walk::Walk;
use crate::error::Result;
use crate::rng::Streams;
use crate::scalar::Scalar;

/// Walks all particles from `starts` (in turn) to the end. Use [`Run`] to go block by block and see
/// the progress.
///
/// # Errors
/// If a setting is out of range or the density is not finite at a start.
pub fn walk<T, D, K>(
    kernel: &mut K,
    density: &D,
    starts: &[Vec<T>],
    options: &WalkOptions,
    streams: Streams,
) -> Result<Walk<T>>
where
    T: Scalar,
    D: Sync,
    K: Kernel<T, D>,
{
    let mut run = Run::new(kernel, density, starts, options, streams)?;
    while run.advance(kernel, density, &())? {}
    Ok(run.finish())
}
