//! The kernel of HMC and NUTS, warm-up included.
//!
//! A step is a transition: a fresh momentum, then a trajectory (`metropolis`, `no_u_turn`). The
//! first steps are the warm-up, on Stan's schedule (`windows`).
//!
//! **Where the adaptation lives.** Step size and mass are adapted in each chain by itself, so that
//! chains from different starts show whether they found the same. What is learned is therefore a
//! part of the particle's state (`adaptation`), and [`Kernel::step`] changes it while the warm-up
//! lasts:
//!
//! - Dual averaging learns from every transition, and the search for a step size draws momenta and
//!   computes gradients. [`Kernel::before_adapt`] comes only at the end of a block of steps, and
//!   has neither density nor generator.
//! - The state visits all of it, so a chain can be stored at any step of the warm-up.
//! - The kernel itself never changes. Any driver may run it, one chain or many.
//!
//! [`Kernel::before_adapt`] only ends the adaptation when a driver says that its own warm-up is
//! over, so that no point is kept of a chain that still adapts.

use std::ops::Range;

use rand_chacha::ChaCha8Rng;

use super::adaptation::Adaptation;
use super::chains::Transition;
use super::metropolis::Metropolis;
use super::no_u_turn::NoUTurn;
use super::options::{ChainOptions, HmcOptions, NutsOptions};
use super::search::search;
use super::state::HamiltonianState;
use super::windows::windows;
use crate::error::{Error, Result, counted};
use crate::linalg::vector::distance;
use crate::model::LogDensity;
use crate::optim::Descent;
use crate::rng::fill_normal;
use crate::scalar::Scalar;
use crate::walk::{Info, Kernel, Leapfrog, PhasePoint, WarmUp, same_dim};

/// Hamiltonian Monte Carlo with trajectories of kind `M`: see [`Hmc`] and [`Nuts`].
#[derive(Clone, Debug)]
pub struct Hamiltonian<M> {
    trajectories: M,
    pub(super) warm_up: usize,
    pub(super) windows: Vec<Range<usize>>,
    pub(super) target_acceptance: f64,
    step_size: Option<f64>,
    inverse_mass: Option<Vec<f64>>,
}

/// The kernel of Hamiltonian Monte Carlo with trajectories of a given length.
pub type Hmc = Hamiltonian<Metropolis>;

/// The kernel of the No-U-Turn Sampler.
pub type Nuts = Hamiltonian<NoUTurn>;

impl Hmc {
    /// A kernel with these settings. How many draws are made and kept is the driver's choice.
    ///
    /// # Errors
    /// If a setting is outside its domain.
    pub fn new(options: &HmcOptions) -> Result<Self> {
        options.validate()?;
        Ok(Self::with(Metropolis::new(options), &options.chains))
    }
}

impl Nuts {
    /// A kernel with these settings. How many draws are made and kept is the driver's choice.
    ///
    /// # Errors
    /// If a setting is outside its domain.
    pub fn new(options: &NutsOptions) -> Result<Self> {
        options.validate()?;
        Ok(Self::with(NoUTurn::new(options), &options.chains))
    }
}

impl<M> Hamiltonian<M> {
    fn with(trajectories: M, options: &ChainOptions) -> Self {
        Self {
            trajectories,
            warm_up: options.warm_up,
            windows: match options.adapt_mass {
                true => windows(options.warm_up),
                false => Vec::new(),
            },
            target_acceptance: options.target_acceptance,
            step_size: options.step_size,
            inverse_mass: options.inverse_mass.clone(),
        }
    }

    /// Transitions of the warm-up.
    pub fn warm_up(&self) -> usize {
        self.warm_up
    }

    /// True if step sizes are adapted, and not given.
    pub(super) fn tunes_steps(&self) -> bool {
        self.step_size.is_none()
    }
}

/// A Markov transition that leaves the density invariant.
pub trait Trajectories: Sync {
    /// Memory of a trajectory.
    type Memory<T: Scalar>: Send;

    /// Fresh memory.
    fn memory<T: Scalar>(&self, dim: usize) -> Self::Memory<T>;

    /// Moves `at`, whose momentum is fresh. Returns what happened, and the energy error.
    ///
    /// # Errors
    /// Those of the density.
    fn transition<T: Scalar, D: LogDensity<T>>(
        &self,
        dynamics: &Dynamics<'_, T, D>,
        at: &mut PhasePoint<T>,
        rng: &mut ChaCha8Rng,
        memory: &mut Self::Memory<T>,
        ws: &mut D::Workspace,
    ) -> Result<(Transition, f64)>;
}

/// The dynamics of a trajectory.
pub struct Dynamics<'a, T, D> {
    pub(super) density: &'a D,
    pub(super) leapfrog: Leapfrog<'a, T>,
}

impl<T: Scalar, D: LogDensity<T>> Dynamics<'_, T, D> {
    /// One leapfrog step, forward in time or backward: one gradient.
    pub(super) fn step(
        &self,
        at: &mut PhasePoint<T>,
        forward: bool,
        ws: &mut D::Workspace,
    ) -> Result<()> {
        let evaluate = |theta: &[T], gradient: &mut [T]| {
            self.density.log_density_and_grad(theta, gradient, ws)
        };
        self.leapfrog.step(at, forward, evaluate)
    }
}

/// Memory for a step.
pub struct HamiltonianWorkspace<T, M, W> {
    density: W,
    trajectory: M,
    /// A point that the search for a step size tries.
    trial: PhasePoint<T>,
    /// Where the transition began.
    start: Vec<T>,
}

impl<T: Scalar, D: LogDensity<T>, M: Trajectories> Kernel<T, D> for Hamiltonian<M> {
    type State = HamiltonianState<T>;
    type Workspace = HamiltonianWorkspace<T, M::Memory<T>, D::Workspace>;

    fn workspace(&self, density: &D) -> Self::Workspace {
        HamiltonianWorkspace {
            density: density.workspace(),
            trajectory: self.trajectories.memory(density.dim()),
            trial: PhasePoint::new(density.dim()),
            start: vec![T::ZERO; density.dim()],
        }
    }

    fn init(
        &self,
        density: &D,
        theta: &[T],
        _: &mut ChaCha8Rng,
        ws: &mut Self::Workspace,
    ) -> Result<Self::State> {
        let dim = density.dim();
        let mass = self.inverse_mass.iter().map(Vec::len);
        if let Some(got) = mass.chain([theta.len()]).find(|&len| len != dim) {
            let expected = format!(
                "a start and an inverse mass of {}",
                counted(dim, "parameter")
            );
            return Err(Error::shape("Hamiltonian", expected, got));
        }
        let mut at = PhasePoint::new(dim);
        at.theta.copy_from_slice(theta);
        at.log_density =
            density.log_density_and_grad(&at.theta, &mut at.gradient, &mut ws.density)?;
        Descent::start("the chain").check(at.log_density, &at.gradient)?;
        let inverse_mass = match &self.inverse_mass {
            Some(mass) => mass.clone(),
            None => vec![1.0; dim],
        };
        Ok(HamiltonianState {
            at,
            adaptation: Adaptation::new(self.step_size, inverse_mass),
            last: Transition::none(),
        })
    }

    fn step(
        &self,
        density: &D,
        state: &mut Self::State,
        rng: &mut ChaCha8Rng,
        ws: &mut Self::Workspace,
    ) -> Result<Info> {
        let particle = state.at.theta.len();
        same_dim("Hamiltonian", density.dim(), particle, ws.start.len())?;
        let HamiltonianState {
            at,
            adaptation,
            last,
        } = state;
        let mut searched = 0;
        if adaptation.searches() {
            let (step_size, scale) = (adaptation.step_size(), adaptation.scale());
            let trial = (&mut ws.trial, &mut ws.density);
            let found = search(density, at, (step_size, scale), rng, trial)?;
            adaptation.found(found.step_size, self.target_acceptance);
            searched = found.gradients;
        }
        let adapts = adaptation.goes_on(self.warm_up);
        if !adapts {
            adaptation.settle();
        }
        ws.start.copy_from_slice(&at.theta);
        fill_normal(rng, &mut at.momentum);
        let dynamics = Dynamics {
            density,
            leapfrog: adaptation.leapfrog(),
        };
        let memory = (&mut ws.trajectory, &mut ws.density);
        let moved = self
            .trajectories
            .transition(&dynamics, at, rng, memory.0, memory.1)?;
        let (transition, energy_error) = moved;
        if adapts {
            adaptation.learn(transition.acceptance, &at.theta, self);
        }
        *last = transition;
        Ok(Info {
            energy_error: match transition.divergence {
                Some(_) => 0.0,
                None => energy_error,
            },
            acceptance: transition.acceptance,
            divergence: transition.divergence,
            gradients: transition.leapfrog_steps + searched,
            ..Info::moved(transition.potential, distance(&ws.start, &at.theta))
        })
    }

    /// A driver that ends its warm-up by itself waits for five times this number of steps: those of
    /// the kernel's own warm-up.
    fn memory(&self) -> usize {
        self.warm_up.div_ceil(5)
    }

    fn before_adapt(&self, state: &mut Self::State, warm_up: &WarmUp<'_, T>) {
        if warm_up.last {
            state.adaptation.end();
        }
    }
}
