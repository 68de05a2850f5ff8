//! Stochastic gradient Langevin dynamics, plain and preconditioned.
//!
//! ```text
//! theta <- theta - (eps_t / 2) G grad U_B(theta) + (T eps_t G)^{1/2} z,   z ~ N(0, I)
//! G = I                                                        plain
//! G = diag(1 / (lambda + sqrt V))                              preconditioned
//! V <- a V + (1 - a) (grad U_B / N)^2                          corrected for its start at 0
//! eps_t = (2 lr / N) (1 + t / b)^{-gamma}                      lr is that of the mean loss U / N
//! ```
//!
//! M. Welling, Y. W. Teh, "Bayesian learning via stochastic gradient Langevin dynamics", ICML 2011,
//! equation 4. Their steps `a (b + t)^{-gamma}` are the ones above, with `gamma = 0.55` in their
//! examples. C. Li, C. Chen, D. Carlson, L. Carin, "Preconditioned stochastic gradient Langevin
//! dynamics for deep neural networks", AAAI 2016, Algorithm 1 with `a = 0.99`, `lambda = 1e-5`.
//!
//! Dropped: the term `Gamma` from the preconditioner's derivative, as in their experiments (it
//! vanishes as `a` goes to 1). The Metropolis test is dropped too, so a constant step has a bias.
//! On a Gaussian of precision `A` the covariance is `A^{-1} (I - eps A / 4)^{-1}`, plus what the
//! batches add.
//!
//! Deviates: `V` includes the prior's share of the gradient. It is corrected for its start as in
//! Adam; otherwise the first steps are ten times too long. Points are kept at equal distances of
//! `sum eps_t`, with equal weights; the paper weights every point by `eps_t`.
//!
//! The defaults are ours: four chains of 10,000 constant steps, the first 2,000 dropped, 64 points
//! from each, rate 0.01. A step is stable only while `lr` times the largest eigenvalue of the mean
//! loss's Hessian is below 2. With little noise the rate must be lower.
//!
//! Chain `c` draws its batches and noise from stream `c` of [`Phase::SGLD`].

mod kernel;
mod options;

use super::GradientSource;
use super::limit::Limit;
use crate::error::{Error, Result, counted};
use crate::linalg::vector::first_non_finite;
use crate::model::Points;
use crate::optim::{Answer, Descent, LOWER_RATE};
use crate::parallel;
use crate::rng::{Phase, Streams};
use crate::scalar::Scalar;
use crate::walk::{Kernel, Particle, Walker};
pub use kernel::{Sgld, SgldState, SgldWorkspace};
pub use options::{Preconditioner, SgldOptions, StepDecay};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// The points of the chains, and diagnostics.
#[derive(Clone, Debug)]
pub struct SgldReport<T> {
    /// Points kept, `[chains, keep, P]`, from the chains that did not diverge.
    pub posterior: Points<T>,
    /// Number of chains that diverged (energy or gradient not finite). They are left out.
    pub diverged: usize,
    /// Mean of `U_B` after the burn-in, for each chain that did not diverge, in nats. Chains that
    /// disagree have not converged.
    pub energies: Vec<f64>,
    /// `eps` of the first step.
    pub first_step_size: f64,
    /// `eps` of the last step.
    pub last_step_size: f64,
    /// Gradients computed by all chains.
    pub gradients: usize,
    /// Steps of the shortest chain that did not diverge: fewer than were asked for if a limit of
    /// time ended it.
    pub steps: usize,
}

/// Runs the chains from `starts`, which they take in turn.
///
/// # Errors
/// If a setting is out of range, there is no start, or a start has the wrong length.
/// [`Error::Diverged`] if all chains diverge; the learning rate is then too high.
pub fn sgld<T: Scalar, S: GradientSource<T>>(
    source: &S,
    starts: &[Vec<T>],
    options: &SgldOptions,
    streams: Streams,
) -> Result<SgldReport<T>> {
    sgld_with_progress(source, starts, options, streams, |_| ())
}

/// As [`sgld`]. `progress` is called after every step of any chain, from its thread, with the
/// number of steps of all so far. It may end the chains ([`Answer`]).
///
/// # Errors
/// Those of [`sgld`], and that of `progress`.
pub fn sgld_with_progress<T: Scalar, S: GradientSource<T>, R: Answer>(
    source: &S,
    starts: &[Vec<T>],
    options: &SgldOptions,
    streams: Streams,
    progress: impl Fn(usize) -> R + Sync,
) -> Result<SgldReport<T>> {
    let kernel = Sgld::new(options)?;
    let p = source.dim();
    if starts.is_empty() || starts.iter().any(|start| start.len() != p) {
        let got = starts.iter().find(|start| start.len() != p).map(Vec::len);
        let expected = format!("at least one start of {}", counted(p, "parameter"));
        return Err(Error::shape("sgld", expected, got.unwrap_or(0)));
    }
    let marks = options.marks();
    let limit = Limit::new(options.max_seconds, options.chains);
    let done = AtomicUsize::new(0);
    let step = || progress(done.fetch_add(1, Relaxed) + 1).result();
    let one = |ws: &mut SgldWorkspace<T, S::Memory>, c: usize| {
        let rng = streams.rng(Phase::SGLD, c as u64);
        let walker = Walker::new(&kernel, source, &starts[c % starts.len()], rng, ws)?;
        let over = || limit.is_over(c);
        run_chain((&kernel, source), walker, &marks, ws, (&step, &over))
    };
    let chains: Vec<Walked<T>> =
        parallel::try_map_with(options.chains, || kernel.workspace(source), one)?;
    let gradients = chains.iter().map(|chain| chain.gradients).sum();
    let steps = chains.iter().map(|chain| chain.steps).max().unwrap_or(0);
    let whole = chains.iter().filter(|c| c.energy.is_some());
    let shortest = whole.map(|c| c.steps).min().unwrap_or(0);
    let mut points = Vec::with_capacity(options.chains * options.keep * p);
    let mut energies = Vec::new();
    // a limit of time ends chains after different numbers of points
    let kept = chains.iter().filter(|c| c.energy.is_some());
    let kept = kept.map(|c| c.points.len()).min().unwrap_or(0);
    for mut chain in chains {
        chain.points.truncate(kept);
        if let Some(energy) = chain.energy {
            energies.push(energy);
            points.extend(chain.points);
        }
    }
    if energies.is_empty() {
        let at = Descent {
            what: "Langevin dynamics",
            step: steps,
            gradients,
            advice: LOWER_RATE,
        };
        return Err(at.diverged("energy or gradient of every chain"));
    }
    Ok(SgldReport {
        posterior: Points::new(p, points)?,
        diverged: options.chains - energies.len(),
        energies,
        first_step_size: options.step_size(0, source.rows()),
        last_step_size: options.step_size(options.steps - 1, source.rows()),
        gradients,
        steps: shortest,
    })
}

/// The result of a chain; without an energy, it diverged.
struct Walked<T> {
    points: Vec<T>,
    energy: Option<f64>,
    /// Steps before it diverged, or all.
    steps: usize,
    gradients: usize,
}

/// A chain from its start to its last kept point, or until it diverges.
fn run_chain<T: Scalar, S: GradientSource<T>>(
    (kernel, source): (&Sgld, &S),
    mut walker: Walker<SgldState<T>>,
    marks: &[usize],
    ws: &mut SgldWorkspace<T, S::Memory>,
    (step, over): (&(dyn Fn() -> Result<()> + Sync), &dyn Fn() -> bool),
) -> Result<Walked<T>> {
    let options = kernel.options();
    let mut points = Vec::with_capacity(marks.len() * walker.state().theta().len());
    let mut marks = marks.iter().peekable();
    let (mut sum, mut taken) = (0.0, 0);
    for t in 0..options.steps {
        let info = walker.step(kernel, source, ws)?;
        step()?;
        if info.diverged() {
            return Ok(Walked {
                points,
                energy: None,
                steps: t,
                gradients: t + 1,
            });
        }
        if t >= options.burn_in {
            sum += info.energy;
        }
        while marks.next_if_eq(&&(t + 1)).is_some() {
            points.extend_from_slice(walker.state().theta());
        }
        taken = t + 1;
        if over() {
            if taken <= options.burn_in {
                sum = info.energy;
            }
            break;
        }
    }
    if points.is_empty() {
        points.extend_from_slice(walker.state().theta());
    }
    let finite = first_non_finite(walker.state().theta()).is_none();
    let summed = taken.saturating_sub(options.burn_in).max(1) as f64;
    Ok(Walked {
        points,
        energy: finite.then_some(sum / summed),
        steps: taken,
        gradients: taken,
    })
}
