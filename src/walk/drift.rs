//! The drift walk of the paper (Reichlin, Vasco & Kragic 2025, stage 1).
//!
//! A step is `theta <- theta + eps d - eta grad U(theta)`. The drift `d` has unit length and a
//! uniform direction, and a particle keeps it for its whole walk. The gradient brings the particle
//! back to where the loss is low. Points are **viable** while `U(theta) <= U_max`.
//!
//! This is not a Markov-chain method. It has no stationary distribution, and its points are
//! solutions, not draws from the posterior. How far it goes is a choice. Where we do not know the
//! paper's choice, we make our own:
//! - The radius `R` that a particle reaches along a flat direction is half the prior's radius in
//!   the directions that the data leave free, `sqrt((P - gamma) / alpha)` with the effective
//!   dimension `gamma`. Along a flat direction only the prior exerts a force, so after `T` steps
//!   the particle is at `eps (1 - (1 - eta alpha)^T) / (eta alpha)`. We choose `eps` so that this
//!   equals `R`. The distance then does not depend on the number of steps; with `eps = R / T` it
//!   would.
//! - `U_max = U(theta*) + P/2 + 3 sqrt(P/2)`. If the posterior were Gaussian around `theta*`,
//!   `2 (U - U*)` would be chi-square with `P` degrees of freedom. `U_max` is then the mean of `U`
//!   plus three standard deviations.
//! - `d` is uniform over all directions. With a [`TangentSpace`] it is uniform over the directions
//!   of the tangent space at `theta*`.
//! - `eta` starts at `1.5 / (lambda_max + alpha)`, below the `2 / lambda` at which a quadratic
//!   would diverge, and adapts. A step that raises the energy above both `U_max` and its old value
//!   is tried again with half of `eta`. A step that succeeds lets `eta` grow by a tenth. If no
//!   `eta` helps, the step counts as a divergence: the particle takes the gradient step alone, or
//!   stays if that fails too.

use rand_chacha::ChaCha8Rng;

use super::divergence::{Divergence, DivergenceCause};
use super::kernel::{Fields, Info, Kernel, Particle, same_dim};
use crate::curvature::TangentSpace;
use crate::error::{Error, Result, counted};
use crate::linalg::vector::{axpy, first_non_finite, norm, scale};
use crate::model::LogDensity;
use crate::optim::Descent;
use crate::rng::fill_normal;
use crate::scalar::Scalar;

/// Settings of the drift walk.
#[derive(Clone, Debug)]
pub struct DriftOptions {
    /// `eps`: how far the drift carries a particle in one step.
    pub step_size: f64,
    /// `eta` at the start, which is also its largest value.
    pub correction: f64,
    /// `U_max`, in nats.
    pub max_energy: f64,
    /// How often a step is tried again with half the correction.
    pub retries: usize,
}

impl DriftOptions {
    /// Default number of steps. More steps to the same radius mean more correction steps.
    pub const DEFAULT_STEPS: usize = 1_000;

    /// Share of the prior's radius `sqrt((P - gamma) / alpha)` that a particle reaches along flat
    /// directions.
    pub const RADIUS: f64 = 0.5;

    /// The settings described at the head of this file. `free` is the number of directions that the
    /// data leave free, `largest_eigenvalue` that of the Gauss-Newton matrix at the start, and
    /// `steps` the number of steps that the walk will take.
    pub fn scaled(
        free: f64,
        prior_precision: f64,
        largest_eigenvalue: f64,
        steps: usize,
        max_energy: f64,
    ) -> Self {
        let radius = Self::RADIUS * (free.max(0.0) / prior_precision).sqrt();
        let correction = 1.5 / (largest_eigenvalue + prior_precision);
        let shrink = 1.0 - correction * prior_precision;
        let reach = (1.0 - shrink.powf(steps as f64)) / (1.0 - shrink);
        Self {
            // no steps reach nothing; on a quadratic without curvature the steps simply add up
            step_size: radius
                / if reach > 0.0 {
                    reach
                } else {
                    steps.max(1) as f64
                },
            correction,
            max_energy,
            retries: 8,
        }
    }
}

/// The drift kernel.
#[derive(Clone, Debug)]
pub struct Drift<T> {
    options: DriftOptions,
    projection: Option<TangentSpace<T>>,
}

/// A particle with its drift.
#[derive(Clone, Debug)]
pub struct DriftState<T> {
    theta: Vec<T>,
    /// Gradient of `U`.
    gradient: Vec<T>,
    energy: f64,
    direction: Vec<T>,
    correction: f64,
}

/// Memory for a step.
pub struct DriftWorkspace<T, W> {
    density: W,
    /// The proposed point.
    proposal: Vec<T>,
    gradient: Vec<T>,
}

/// `U(theta*) + P/2 + 3 sqrt(P/2)`: almost all of a Gaussian posterior of `dim` dimensions lies
/// below this energy.
pub fn viability_threshold(map_energy: f64, dim: usize) -> f64 {
    let half = 0.5 * dim as f64;
    map_energy + half + 3.0 * half.sqrt()
}

impl<T: Scalar> Drift<T> {
    /// A kernel with these settings.
    ///
    /// # Errors
    /// If a setting is not finite, or a step is negative.
    pub fn new(options: DriftOptions) -> Result<Self> {
        let fields = [
            ("step_size", options.step_size),
            ("correction", options.correction),
        ];
        for (field, value) in fields {
            if !(value >= 0.0 && value.is_finite()) {
                return Err(Error::config(
                    field,
                    value,
                    "must be finite and not negative",
                ));
            }
        }
        if options.max_energy.is_nan() {
            return Err(Error::config(
                "max_energy",
                options.max_energy,
                "must be a number",
            ));
        }
        Ok(Self {
            options,
            projection: None,
        })
    }

    /// The same kernel with drifts that are uniform over the directions of a tangent space.
    #[must_use]
    pub fn projected(self, space: TangentSpace<T>) -> Self {
        Self {
            projection: Some(space),
            ..self
        }
    }

    /// Its settings.
    pub fn options(&self) -> &DriftOptions {
        &self.options
    }

    /// Tries `theta + eps d - eta grad U`. True if the energy stays low enough; the state then
    /// moves there.
    fn attempt<D: LogDensity<T>>(
        &self,
        density: &D,
        state: &mut DriftState<T>,
        step_size: f64,
        ws: &mut DriftWorkspace<T, D::Workspace>,
    ) -> Result<bool> {
        ws.proposal.copy_from_slice(&state.theta);
        axpy(step_size, &state.direction, &mut ws.proposal);
        axpy(-state.correction, &state.gradient, &mut ws.proposal);
        let energy =
            -density.log_density_and_grad(&ws.proposal, &mut ws.gradient, &mut ws.density)?;
        let held = energy <= self.options.max_energy.max(state.energy)
            && first_non_finite(&ws.gradient).is_none();
        if held {
            std::mem::swap(&mut state.theta, &mut ws.proposal);
            std::mem::swap(&mut state.gradient, &mut ws.gradient);
            for g in &mut state.gradient {
                *g = -*g;
            }
            state.energy = energy;
        }
        Ok(held)
    }
}

impl<T: Scalar> Particle<T> for DriftState<T> {
    fn theta(&self) -> &[T] {
        &self.theta
    }

    fn fields(&mut self, fields: &mut dyn Fields<T>) -> Result<()> {
        fields.fixed_vector("theta", &mut self.theta)?;
        fields.fixed_vector("gradient", &mut self.gradient)?;
        fields.fixed_vector("direction", &mut self.direction)?;
        fields.number("energy", &mut self.energy)?;
        fields.number("correction", &mut self.correction)
    }
}

impl<T: Scalar, D: LogDensity<T>> Kernel<T, D> for Drift<T> {
    type State = DriftState<T>;
    type Workspace = DriftWorkspace<T, D::Workspace>;

    fn workspace(&self, density: &D) -> Self::Workspace {
        DriftWorkspace {
            density: density.workspace(),
            proposal: vec![T::ZERO; density.dim()],
            gradient: vec![T::ZERO; density.dim()],
        }
    }

    fn init(
        &self,
        density: &D,
        theta: &[T],
        rng: &mut ChaCha8Rng,
        ws: &mut Self::Workspace,
    ) -> Result<DriftState<T>> {
        let dim = density.dim();
        same_dim("Drift", dim, theta.len(), ws.proposal.len())?;
        let mut gradient = vec![T::ZERO; dim];
        let energy = -density.log_density_and_grad(theta, &mut gradient, &mut ws.density)?;
        Descent::start("the walk").check(energy, &gradient)?;
        for g in &mut gradient {
            *g = -*g;
        }
        let mut direction = vec![T::ZERO; dim];
        fill_normal(rng, &mut direction);
        if let Some(space) = &self.projection {
            if space.dim() != dim {
                let expected = format!("a tangent space of {}", counted(dim, "dimension"));
                return Err(Error::shape("Drift", expected, space.dim()));
            }
            space.project_tangent(&mut direction);
        }
        let length = norm(&direction);
        scale(1.0 / length.max(f64::MIN_POSITIVE), &mut direction);
        Ok(DriftState {
            theta: theta.to_vec(),
            gradient,
            energy,
            direction,
            correction: self.options.correction,
        })
    }

    fn step(
        &self,
        density: &D,
        state: &mut DriftState<T>,
        _: &mut ChaCha8Rng,
        ws: &mut Self::Workspace,
    ) -> Result<Info> {
        same_dim("Drift", density.dim(), state.theta.len(), ws.proposal.len())?;
        let mut gradients = 0;
        let (mut moved, mut drifted) = (false, false);
        let start_energy = state.energy;
        'tries: for step_size in [self.options.step_size, 0.0] {
            for _ in 0..=self.options.retries {
                gradients += 1;
                if self.attempt(density, state, step_size, ws)? {
                    moved = true;
                    drifted = step_size == self.options.step_size;
                    break 'tries;
                }
                state.correction *= 0.5;
            }
            state.correction = self.options.correction;
        }
        let displacement = if moved {
            state.correction = (1.1 * state.correction).min(self.options.correction);
            // `proposal` holds the point that was left
            axpy(-1.0, &state.theta, &mut ws.proposal);
            norm(&ws.proposal)
        } else {
            0.0
        };
        Ok(Info {
            viable: state.energy <= self.options.max_energy,
            divergence: (!drifted).then_some(Divergence {
                cause: DivergenceCause::Retries,
                start_energy,
                energy_error: if moved {
                    state.energy - start_energy
                } else {
                    f64::NAN
                },
                step_size: self.options.step_size,
                after: 1,
            }),
            gradients,
            ..Info::moved(state.energy, displacement)
        })
    }
}
