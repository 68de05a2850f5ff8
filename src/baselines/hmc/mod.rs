//! The ground truth: Hamiltonian Monte Carlo and the No-U-Turn Sampler.
//!
//! Both are exact in the limit of long chains, for any density with a gradient. Every approximation
//! is therefore measured against them. A network of a thousand parameters takes 100,000 gradients
//! or more.
//!
//! | file | what |
//! |---|---|
//! | `kernel`, `state` | the kernels [`Hmc`] and [`Nuts`] of the crate's sampler interface ([`walk`](crate::walk)) |
//! | `metropolis` | a transition of HMC: a trajectory and a Metropolis test (Neal 2011) |
//! | `tree`, `no_u_turn` | a transition of NUTS: doubling until it turns, multinomial draws (Hoffman & Gelman 2014, Betancourt 2017) |
//! | `adaptation`, `search`, `dual_averaging`, `windows`, `variance` | the warm-up: step size and mass, on Stan's schedule |
//! | `run`, `chains` | chains from start to end, and their results |
//!
//! The leapfrog step, with a diagonal mass, is that of `walk`.
//!
//! Each chain adapts by itself. R-hat ([`diagnose`](crate::diagnose)) then shows whether chains
//! from different starts found the same. The posterior of a network has a copy for every order of
//! its hidden units, so look at predictions, not at parameters.
//!
//! ```text
//! H(theta, p) = U(theta) + p^T M^{-1} p / 2,   p ~ N(0, M)
//!
//! one leapfrog step:
//! p     <- p - (eps/2) grad U(theta)
//! theta <- theta + eps M^{-1} p
//! p     <- p - (eps/2) grad U(theta)
//! ```
//!
//! A step of `eps` reaches regions down to a width of about `eps / 2`. Narrower regions are left
//! out, although the limit distribution is right at any step. Divergences show that something is
//! left out, not how much. Take Neal's funnel with `v ~ N(0, 9)`: a step of 0.5 has no draw in the
//! lowest 9 %, and a step of 0.02 misses a thousandth. There, the step that a warm-up finds differs
//! from chain to chain: 0.01 to 0.3 at an acceptance of 0.8, and 0.003 to 0.08 at 0.99. In
//! non-centred coordinates the same density has no neck, and is sampled correctly.
//!
//! Defaults: Stan's 1,000 + 1,000 transitions, acceptance 0.8, diagonal mass and depth 10. Ours are
//! a jitter of 0.2 and at most 1,024 steps per trajectory of HMC.
//!
//! Nothing is dropped. Deviations from Stan:
//! - HMC's number of leapfrog steps is jittered and bounded.
//! - The proposal of a subtree of NUTS is drawn state by state, not by halves. The distribution is
//!   the same.
//! - A warm-up of 151 to 199 transitions has one window for the mass, where Stan's has two.

mod adaptation;
mod chains;
mod dual_averaging;
mod kernel;
mod metropolis;
mod no_u_turn;
mod options;
mod run;
mod search;
mod state;
mod tree;
mod variance;
mod windows;

pub use chains::{Chain, Chains, Transition};
pub use kernel::{Hamiltonian, HamiltonianWorkspace, Hmc, Nuts};
pub use options::{ChainOptions, HmcOptions, NutsOptions, Trajectory};
pub use state::HamiltonianState;

use crate::error::Result;
use crate::model::LogDensity;
use crate::optim::Answer;
use crate::rng::Streams;
use crate::scalar::Scalar;

/// Runs Hamiltonian Monte Carlo with trajectories of a given length: a chain from each of `starts`,
/// `[chains][P]`.
///
/// Chain `i` draws from stream `i` of [`Phase::HMC`](crate::Phase::HMC). The same streams therefore
/// give the same chains bit for bit, for any number of threads.
///
/// ```
/// use fiberwalk::baselines::{ChainOptions, HmcOptions, hmc};
/// use fiberwalk::{LogDensity, Result, Streams};
/// /// `N(1, 2^2)`.
/// struct Normal;
/// impl LogDensity<f64> for Normal {
///     type Workspace = ();
///     fn dim(&self) -> usize { 1 }
///     fn workspace(&self) {}
///     fn log_density(&self, theta: &[f64], _: &mut ()) -> Result<f64> {
///         Ok(-(theta[0] - 1.0).powi(2) / 8.0)
///     }
///     fn log_density_and_grad(&self, theta: &[f64], grad: &mut [f64], ws: &mut ())
///         -> Result<f64> {
///         grad[0] = -(theta[0] - 1.0) / 4.0;
///         self.log_density(theta, ws)
///     }
/// }
/// let chains = hmc(&Normal, &[vec![0.0], vec![3.0]], &HmcOptions::default(), Streams::new(0))?;
/// let mean = chains.quantity(|theta| theta[0]).iter().sum::<f64>() / 2000.0;
/// assert!((mean - 1.0).abs() < 0.2 && chains.divergences() == 0);
/// # Ok::<(), fiberwalk::Error>(())
/// ```
///
/// # Errors
/// If a setting is outside its domain, a length is wrong, or the density or its gradient is not
/// finite at a start. [`Error::Config`](crate::Error) of `step_size` if a step size is to be found
/// and none exists: the density is flat where a chain is, or its gradient is wrong.
pub fn hmc<T: Scalar, D: LogDensity<T>>(
    density: &D,
    starts: &[Vec<T>],
    options: &HmcOptions,
    streams: Streams,
) -> Result<Chains<T>> {
    hmc_with_progress(density, starts, options, streams, |_| ())
}

/// As [`hmc()`]. `progress` is called after every transition of any chain, from its thread, with
/// the number of transitions of all chains so far. It may end the chains ([`Answer`]).
///
/// # Errors
/// Those of [`hmc()`], and that of `progress`.
pub fn hmc_with_progress<T: Scalar, D: LogDensity<T>, R: Answer>(
    density: &D,
    starts: &[Vec<T>],
    options: &HmcOptions,
    streams: Streams,
    progress: impl Fn(usize) -> R + Sync,
) -> Result<Chains<T>> {
    let kernel = Hmc::new(options)?;
    let step = |done| progress(done).result();
    run::run_chains(&kernel, density, starts, &options.chains, streams, &step)
}

/// Runs the No-U-Turn Sampler: a chain from each of `starts`, `[chains][P]`. A trajectory goes on
/// as long as it leads away.
///
/// Random numbers are drawn as in [`hmc()`].
///
/// # Errors
/// Those of [`hmc()`].
pub fn nuts<T: Scalar, D: LogDensity<T>>(
    density: &D,
    starts: &[Vec<T>],
    options: &NutsOptions,
    streams: Streams,
) -> Result<Chains<T>> {
    nuts_with_progress(density, starts, options, streams, |_| ())
}

/// As [`nuts()`], with the progress of [`hmc_with_progress`].
///
/// # Errors
/// Those of [`nuts()`], and that of `progress`.
pub fn nuts_with_progress<T: Scalar, D: LogDensity<T>, R: Answer>(
    density: &D,
    starts: &[Vec<T>],
    options: &NutsOptions,
    streams: Streams,
    progress: impl Fn(usize) -> R + Sync,
) -> Result<Chains<T>> {
    let kernel = Nuts::new(options)?;
    let step = |done| progress(done).result();
    run::run_chains(&kernel, density, starts, &options.chains, streams, &step)
}
