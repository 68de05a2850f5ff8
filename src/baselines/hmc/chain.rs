//! A chain from its start to its last draw: search for a step size, warm-up, draws.

use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::chains::{Chain, Chains, Transition};
use super::dual_averaging::DualAveraging;
use super::options::ChainOptions;
use super::state::{Dynamics, State};
use super::variance::Variance;
use super::windows::windows;
use crate::error::{Error, Result};
use crate::linalg::vector::{fill_normal, first_non_finite};
use crate::model::LogDensity;
use crate::rng::{Phase, Streams};
use crate::scalar::Scalar;

/// A Markov transition that leaves the density invariant.
pub(super) trait Mover<T: Scalar, D: LogDensity<T>> {
    /// Moves `at`, whose momentum is fresh.
    fn transition(
        &mut self,
        dynamics: &Dynamics<T, D>,
        at: &mut State<T>,
        rng: &mut ChaCha8Rng,
        ws: &mut D::Workspace,
    ) -> Result<Transition>;
}

/// Runs a chain from each start, in parallel. Chain `i` draws from stream `i` of [`Phase::HMC`].
pub(super) fn run_chains<T: Scalar, D: LogDensity<T>, M: Mover<T, D> + Send>(
    density: &D,
    starts: &[Vec<T>],
    options: &ChainOptions,
    streams: Streams,
    mover: impl Fn() -> M + Sync,
) -> Result<Chains<T>> {
    let dim = density.dim();
    if starts.is_empty() || dim == 0 {
        let got = format!("{} starts of {dim} parameters", starts.len());
        return Err(Error::shape("hmc", "at least 1 of each", got));
    }
    let lengths = starts.iter().map(Vec::len);
    let masses = options.inverse_mass.iter().map(Vec::len);
    if let Some(got) = lengths.chain(masses).find(|&len| len != dim) {
        let expected = format!("starts and inverse mass of {dim} parameters");
        return Err(Error::shape("hmc", expected, got));
    }
    let chains: Vec<Result<Chain<T>>> = (0..starts.len())
        .into_par_iter()
        .map_init(
            || (density.workspace(), mover()),
            |(ws, mover), index| {
                let mut runner = Runner {
                    density,
                    options,
                    rng: streams.rng(Phase::HMC, index as u64),
                    ws,
                    scale: vec![T::ONE; dim],
                    step_size: options.step_size.unwrap_or(1.0),
                    at: State::new(dim),
                    gradients: 0,
                };
                runner.run(&starts[index], mover)
            },
        )
        .collect();
    Ok(Chains {
        dim,
        chains: chains.into_iter().collect::<Result<_>>()?,
    })
}

struct Runner<'a, T, D: LogDensity<T>>
where
    T: Scalar,
{
    density: &'a D,
    options: &'a ChainOptions,
    rng: ChaCha8Rng,
    ws: &'a mut D::Workspace,
    scale: Vec<T>,
    step_size: f64,
    at: State<T>,
    gradients: usize,
}

/// The search gives up beyond these step sizes. (Stan's limits are 0 and 1e7.)
const SMALLEST: f64 = 1e-10;
const LARGEST: f64 = 1e7;

impl<T: Scalar, D: LogDensity<T>> Runner<'_, T, D> {
    fn run(&mut self, start: &[T], mover: &mut impl Mover<T, D>) -> Result<Chain<T>> {
        let options = self.options;
        self.begin(start)?;
        let mut inverse_mass = match &options.inverse_mass {
            Some(mass) => mass.clone(),
            None => vec![1.0; start.len()],
        };
        self.rescale(&inverse_mass);
        let windows = match options.adapt_mass {
            true => windows(options.warm_up),
            false => Vec::new(),
        };
        let mut variance = Variance::new(start.len());
        let mut dual = self.search()?;
        let mut warm_up_divergences = 0;
        for index in 0..options.warm_up {
            let transition = self.transition(mover)?;
            warm_up_divergences += usize::from(transition.diverged);
            if let Some(dual) = &mut dual {
                self.step_size = dual.update(transition.acceptance);
            }
            if let Some(window) = windows.iter().find(|w| w.contains(&index)) {
                variance.add(&self.at.theta);
                if index + 1 == window.end {
                    variance.finish(&mut inverse_mass);
                    self.rescale(&inverse_mass);
                    dual = self.search()?;
                }
            }
        }
        if let Some(dual) = dual {
            self.step_size = dual.average();
        }
        let (draws, kept) = (options.draws, options.kept());
        let mut points = Vec::with_capacity(kept * start.len());
        let mut transitions = Vec::with_capacity(draws);
        for index in 0..draws {
            transitions.push(self.transition(mover)?);
            // keep the last draw of each of `kept` parts of nearly equal length
            if (index + 1) * kept / draws > index * kept / draws {
                points.extend_from_slice(&self.at.theta);
            }
        }
        Ok(Chain {
            points,
            transitions,
            step_size: self.step_size,
            inverse_mass,
            warm_up_divergences,
            gradients: self.gradients,
        })
    }

    fn begin(&mut self, start: &[T]) -> Result<()> {
        let at = &mut self.at;
        at.theta.copy_from_slice(start);
        at.log_density = self
            .density
            .log_density_and_grad(&at.theta, &mut at.gradient, self.ws)?;
        self.gradients += 1;
        if !at.log_density.is_finite() {
            let what = "the log density at the start of a chain";
            return Err(Error::NonFinite { what, index: 0 });
        }
        match first_non_finite(&at.gradient) {
            Some(index) => {
                let what = "the gradient at the start of a chain";
                Err(Error::NonFinite { what, index })
            }
            None => Ok(()),
        }
    }

    fn rescale(&mut self, inverse_mass: &[f64]) {
        for (s, v) in self.scale.iter_mut().zip(inverse_mass) {
            *s = T::from_f64(v.sqrt());
        }
    }

    fn transition(&mut self, mover: &mut impl Mover<T, D>) -> Result<Transition> {
        let dynamics = Dynamics {
            density: self.density,
            scale: &self.scale,
            step_size: self.step_size,
        };
        fill_normal(&mut self.rng, &mut self.at.momentum);
        let transition = mover.transition(&dynamics, &mut self.at, &mut self.rng, self.ws)?;
        self.gradients += transition.leapfrog_steps;
        Ok(transition)
    }

    /// Finds a first step size, from which dual averaging begins.
    ///
    /// It is doubled or halved until the acceptance of one leapfrog step crosses 0.8. In algorithm
    /// 4 of Hoffman & Gelman (2014) the threshold is 0.5; the momentum is new each time, as in
    /// Stan. Returns `None` if the step size is given, and an error if none is found.
    fn search(&mut self) -> Result<Option<DualAveraging>> {
        if self.options.step_size.is_some() {
            return Ok(None);
        }
        // a window of the warm-up may end with any step size
        self.step_size = self.step_size.clamp(SMALLEST, LARGEST);
        let from = self.step_size;
        let mut trial = self.at.clone();
        let grow = self.first_step_is_short(&mut trial)?;
        loop {
            let next = self.step_size * if grow { 2.0 } else { 0.5 };
            if !(SMALLEST..=LARGEST).contains(&next) {
                return Err(not_found(grow, from, self.step_size));
            }
            self.step_size = next;
            if self.first_step_is_short(&mut trial)? != grow {
                let target = self.options.target_acceptance;
                return Ok(Some(DualAveraging::new(next, target)));
            }
        }
    }

    fn first_step_is_short(&mut self, trial: &mut State<T>) -> Result<bool> {
        trial.place(&self.at);
        fill_normal(&mut self.rng, &mut trial.momentum);
        let before = trial.hamiltonian();
        let dynamics = Dynamics {
            density: self.density,
            scale: &self.scale,
            step_size: self.step_size,
        };
        dynamics.leapfrog(trial, true, self.ws)?;
        self.gradients += 1;
        Ok(before - trial.hamiltonian() > 0.8f64.ln())
    }
}

/// Explains why no step size is found: all are too short, or all too long.
fn not_found(grow: bool, first: f64, last: f64) -> Error {
    let why = match grow {
        true => {
            "no step is so long that the energy changes: the log density is flat where the chain is (is the posterior proper?), or so wide that an \
             inverse mass is needed"
        }
        false => {
            "no step is so short that the energy is kept: the gradient is not that of the log density, or the log density jumps where the chain is, or is \
             so narrow that an inverse mass is needed"
        }
    };
    let requirement = format!("none is found from {first:.1e} to there: {why}");
    Error::config("step_size", format!("{last:.1e}"), &requirement)
}
