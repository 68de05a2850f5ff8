//! Chains from their starts to their last draws: warm-up, draws, records.

use super::chains::{Chain, Chains};
use super::kernel::{Hamiltonian, Trajectories};
use super::options::ChainOptions;
use crate::baselines::limit::Limit;
use crate::error::{Error, Result, counted};
use crate::model::LogDensity;
use crate::parallel;
use crate::rng::{Phase, Streams};
use crate::scalar::Scalar;
use crate::walk::{Kernel, Particle, Walker};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Runs a chain from each start, in parallel. Chain `i` draws from stream `i` of [`Phase::HMC`].
/// `progress` is called after every transition, with the number of transitions of all chains.
pub(super) fn run_chains<T: Scalar, D: LogDensity<T>, M: Trajectories>(
    kernel: &Hamiltonian<M>,
    density: &D,
    starts: &[Vec<T>],
    options: &ChainOptions,
    streams: Streams,
    progress: &(dyn Fn(usize) -> Result<()> + Sync),
) -> Result<Chains<T>> {
    let limit = Limit::new(options.max_seconds, starts.len());
    let done = AtomicUsize::new(0);
    let step = || progress(done.fetch_add(1, Relaxed) + 1);
    let dim = density.dim();
    if starts.is_empty() || dim == 0 {
        let got = format!(
            "{} of {}",
            counted(starts.len(), "start"),
            counted(dim, "parameter")
        );
        return Err(Error::shape("hmc", "at least 1 of each", got));
    }
    let lengths = starts.iter().map(Vec::len);
    let masses = options.inverse_mass.iter().map(Vec::len);
    if let Some(got) = lengths.chain(masses).find(|&len| len != dim) {
        let expected = format!("starts and inverse mass of {}", counted(dim, "parameter"));
        return Err(Error::shape("hmc", expected, got));
    }
    let one = |ws: &mut _, index: usize| -> Result<Chain<T>> {
        let rng = streams.rng(Phase::HMC, index as u64);
        let walker = Walker::new(kernel, density, &starts[index], rng, ws)?;
        let over = || limit.is_over(index);
        run_chain(kernel, density, walker, options, ws, (&step, &over))
    };
    let mut chains = parallel::try_map_with(starts.len(), || kernel.workspace(density), one)?;
    // a limit of time ends chains after different numbers of draws
    let draws = chains.iter().map(|c| c.transitions.len()).min();
    let kept = chains.iter().map(|c| c.points.len()).min();
    for chain in &mut chains {
        chain.transitions.truncate(draws.unwrap_or(0));
        chain.points.truncate(kept.unwrap_or(0));
    }
    Ok(Chains { dim, chains })
}

fn run_chain<T: Scalar, D: LogDensity<T>, K>(
    kernel: &Hamiltonian<K>,
    density: &D,
    mut walker: Walker<<Hamiltonian<K> as Kernel<T, D>>::State>,
    options: &ChainOptions,
    ws: &mut <Hamiltonian<K> as Kernel<T, D>>::Workspace,
    (step, over): (&(dyn Fn() -> Result<()> + Sync), &dyn Fn() -> bool),
) -> Result<Chain<T>>
where
    K: Trajectories,
{
    // the start took one gradient
    let (mut gradients, mut warm_up_divergences) = (1, 0);
    let mut cut = false;
    for _ in 0..kernel.warm_up() {
        let info = walker.step(kernel, density, ws)?;
        warm_up_divergences += usize::from(info.diverged());
        gradients += info.gradients;
        step()?;
        cut = over();
        if cut {
            break;
        }
    }
    let (draws, kept) = (options.draws, options.kept());
    let mut points = Vec::with_capacity(kept * walker.state().theta().len());
    let mut transitions = Vec::with_capacity(draws);
    // steps that are not tuned yet draw nothing
    for index in 0..if cut { 0 } else { draws } {
        gradients += walker.step(kernel, density, ws)?.gradients;
        transitions.push(*walker.state().transition());
        step()?;
        // keep the last draw of each of `kept` parts of nearly equal length
        if (index + 1) * kept / draws > index * kept / draws {
            points.extend_from_slice(walker.state().theta());
        }
        if over() {
            break;
        }
    }
    if points.is_empty() {
        points.extend_from_slice(walker.state().theta());
    }
    Ok(Chain {
        points,
        transitions,
        step_size: walker.state().step_size(),
        inverse_mass: walker.state().inverse_mass().to_vec(),
        warm_up_divergences,
        gradients,
    })
}
