//! The tangent walk: the drift of the paper, kept on the fiber by Gauss-Newton steps.
//!
//! The walk uses whitened coordinates `phi = D^{1/2} theta`, where the prior is standard normal.
//! The leading eigenpairs `(lambda_i, b_i)` of the Gauss-Newton matrix, at a point near the
//! particle's, span the normal space.
//!
//! - The drift `d` is a unit vector of the tangent space: `phi <- phi + eps d`.
//! - Then, twice, back to the fiber: `phi <- phi - sum_i b_i (b_i . grad U) / (lambda_i + 1 + mu)`.
//!   Where outputs are linear in the parameters, one such step with `mu = 0` is exact. Elsewhere
//!   the next step removes the rest. A step that would raise the energy is not taken but tried
//!   again with more damping `mu` (Levenberg 1944, Marquardt 1963).
//! - After some steps the normal space is recomputed where the particle is, by Lanczos from the
//!   old one. `d` is carried over: projected, and rescaled to length 1.
//!
//! So the particle follows a nearly straight line on a curved manifold, to the radius that the
//! prior gives the free directions. There are `P - gamma` of them
//! (`gamma = sum lambda_i / (lambda_i + 1)`), so a draw of the prior is `(P - gamma)^{1/2}` away.
//! `eps` is that radius over the number of steps.
//!
//! What it drops: the spread in the normal directions, which a posterior has and a fiber has not.
//! So its predictions vary too little. It is not a Markov-chain method. The normal space may not be
//! resolved down to the prior. Then the rest of the gradient, except for its component along `d`,
//! is taken as a plain step of `1 / (lambda_k + 1 + mu)`, which is short enough for every
//! unresolved direction.

mod options;

use rand_chacha::ChaCha8Rng;

use super::divergence::{Divergence, DivergenceCause};
use super::kernel::{Fields, Info, Kernel, Particle, same_dim};
use crate::curvature::{GgnOperator, TangentOptions, TangentSpace, WhitenedOperator};
use crate::error::{Error, Result};
use crate::linalg::vector::{axpy, dot, norm, scale};
use crate::model::Curved;
use crate::optim::Descent;
use crate::rng::{Streams, fill_normal};
use crate::scalar::Scalar;
pub use options::TangentWalkOptions;

/// The tangent kernel.
#[derive(Clone)]
pub struct Tangent<T> {
    options: TangentWalkOptions,
    /// Starts and their tangent spaces.
    known: Vec<(Vec<T>, TangentSpace<T>)>,
    streams: Streams,
}

/// A particle with its drift and its normal space.
#[derive(Clone, Debug)]
pub struct TangentState<T> {
    theta: Vec<T>,
    energy: f64,
    /// A unit tangent vector, in whitened coordinates.
    direction: Vec<T>,
    space: TangentSpace<T>,
    /// Steps since `space` was computed.
    age: usize,
    /// `mu`.
    damping: f64,
}

/// Memory for a step.
pub struct TangentWorkspace<T, W> {
    density: W,
    theta: Vec<T>,
    /// Whitened gradient of `U`.
    gradient: Vec<T>,
    /// `D^{-1/2}`.
    scale: Vec<T>,
    buffer: Vec<T>,
    coordinates: Vec<f64>,
    /// The point from which a step back starts, and the gradient there.
    before: Vec<T>,
    slope: Vec<T>,
}

/// Factor by which the damping grows and shrinks.
const DAMPING: f64 = 8.0;

/// Cost of a product with the Gauss-Newton matrix, in gradients.
const PRODUCT: usize = 3;

/// The tangent space at `theta` in whitened coordinates; `near` is that of a nearby point, as a
/// start for Lanczos.
///
/// # Errors
/// If `theta` has the wrong length, or Lanczos fails.
pub fn whitened_space<T: Scalar, D: Curved<T>>(
    density: &D,
    theta: &[T],
    near: Option<&TangentSpace<T>>,
    options: &TangentOptions,
    streams: Streams,
) -> Result<TangentSpace<T>> {
    let inner = GgnOperator::new(density, theta)?;
    let mut op = WhitenedOperator::by_prior(inner, density.prior_precision())?;
    match near {
        Some(space) => space.renew(&mut op, options, streams),
        None => TangentSpace::new(&mut op, 1.0, options, streams),
    }
}

impl<T: Scalar> Tangent<T> {
    /// A kernel for walks from the given starts, with their tangent spaces in whitened coordinates
    /// ([`whitened_space`]). For any other start the space is computed when a particle is placed
    /// there.
    ///
    /// # Errors
    /// If a setting is out of range.
    pub fn new(
        options: TangentWalkOptions,
        known: Vec<(Vec<T>, TangentSpace<T>)>,
        streams: Streams,
    ) -> Result<Self> {
        if !(options.step_size >= 0.0 && options.step_size.is_finite()) {
            let requirement = "must be finite and not negative";
            return Err(Error::config("step_size", options.step_size, requirement));
        }
        for (field, value) in [
            ("corrections", options.corrections),
            ("renew_every", options.renew_every),
        ] {
            if value == 0 {
                return Err(Error::config(field, value, "must be positive"));
            }
        }
        if options.max_energy.is_nan() {
            let (field, value) = ("max_energy", options.max_energy);
            return Err(Error::config(field, value, "must be a number"));
        }
        Ok(Self {
            options,
            known,
            streams,
        })
    }

    /// Its settings.
    pub fn options(&self) -> &TangentWalkOptions {
        &self.options
    }

    /// Energy and whitened gradient at `ws.theta`; `None` if the arithmetic left its domain.
    fn evaluate<D: Curved<T>>(
        density: &D,
        ws: &mut TangentWorkspace<T, D::Workspace>,
    ) -> Result<Option<f64>> {
        let log_density =
            density.log_density_and_grad(&ws.theta, &mut ws.buffer, &mut ws.density)?;
        for ((g, &b), &s) in ws.gradient.iter_mut().zip(&ws.buffer).zip(&ws.scale) {
            *g = -(b * s);
        }
        let finite = log_density.is_finite() && norm(&ws.gradient).is_finite();
        Ok(finite.then_some(-log_density))
    }

    /// Moves `ws.theta` by `time` times the whitened vector in `ws.buffer`.
    fn shift<W>(time: f64, ws: &mut TangentWorkspace<T, W>) {
        for (b, &s) in ws.buffer.iter_mut().zip(&ws.scale) {
            *b *= s;
        }
        axpy(time, &ws.buffer, &mut ws.theta);
    }

    /// Writes the coordinates of the damped Gauss-Newton step in the normal space to the workspace;
    /// returns the length of the step.
    fn newton<W>(space: &TangentSpace<T>, damping: f64, ws: &mut TangentWorkspace<T, W>) -> f64 {
        ws.coordinates.resize(space.normal_dim(), 0.0);
        space.coordinates(&ws.gradient, &mut ws.coordinates);
        let mut squares = 0.0;
        for (c, value) in ws.coordinates.iter_mut().zip(space.values()) {
            *c /= value + 1.0 + damping;
            squares += *c * *c;
        }
        squares.sqrt()
    }

    /// One step back to the fiber, from the gradient at `ws.theta`.
    fn correct<W>(state: &TangentState<T>, damping: f64, ws: &mut TangentWorkspace<T, W>) {
        let (space, direction) = (&state.space, &state.direction);
        Self::newton(space, damping, ws);
        if space.is_complete() {
            ws.buffer.fill(T::ZERO);
        } else {
            ws.buffer.copy_from_slice(&ws.gradient);
            space.project_tangent(&mut ws.buffer);
            // the component along the drift is the prior's pull back to the start
            axpy(-dot(direction, &ws.buffer), direction, &mut ws.buffer);
            let last = space.values().last().copied().unwrap_or(0.0);
            scale(1.0 / (last + 1.0 + damping), &mut ws.buffer);
        }
        space.add_normal(&ws.coordinates, &mut ws.buffer);
        Self::shift(-1.0, ws);
    }

    /// Drifts for a time `time`, then steps back to the fiber. Returns the energy at `ws.theta`, if
    /// it is finite, the damping, and the number of gradients spent.
    fn attempt<D: Curved<T>>(
        &self,
        density: &D,
        state: &TangentState<T>,
        time: f64,
        ws: &mut TangentWorkspace<T, D::Workspace>,
    ) -> Result<(Option<f64>, f64, usize)> {
        ws.theta.copy_from_slice(&state.theta);
        ws.buffer.copy_from_slice(&state.direction);
        Self::shift(time, ws);
        let (mut damping, mut gradients, mut taken) = (state.damping, 1, 0);
        let Some(mut energy) = Self::evaluate(density, ws)? else {
            return Ok((None, damping, gradients));
        };
        for _ in 0..self.options.corrections + self.options.retries {
            ws.before.copy_from_slice(&ws.theta);
            ws.slope.copy_from_slice(&ws.gradient);
            Self::correct(state, damping, ws);
            gradients += 1;
            match Self::evaluate(density, ws)? {
                Some(lower) if lower <= energy => {
                    energy = lower;
                    damping = if damping > 1.0 {
                        damping / DAMPING
                    } else {
                        0.0
                    };
                    taken += 1;
                }
                _ => {
                    std::mem::swap(&mut ws.theta, &mut ws.before);
                    std::mem::swap(&mut ws.gradient, &mut ws.slope);
                    damping = (DAMPING * damping).max(1.0);
                }
            }
            if taken == self.options.corrections {
                break;
            }
        }
        Ok((Some(energy), damping, gradients))
    }

    /// A uniform direction of the tangent space; zero if the space has no dimension.
    fn draw(space: &TangentSpace<T>, rng: &mut ChaCha8Rng, direction: &mut [T]) {
        fill_normal(rng, direction);
        space.project_tangent(direction);
        let length = norm(direction);
        scale(1.0 / length.max(f64::MIN_POSITIVE), direction);
    }
}

impl<T: Scalar> Particle<T> for TangentState<T> {
    fn theta(&self) -> &[T] {
        &self.theta
    }

    fn fields(&mut self, fields: &mut dyn Fields<T>) -> Result<()> {
        fields.fixed_vector("theta", &mut self.theta)?;
        fields.fixed_vector("direction", &mut self.direction)?;
        fields.number("energy", &mut self.energy)?;
        fields.count("age", &mut self.age)?;
        fields.number("damping", &mut self.damping)?;
        let (mut values, mut basis) = (self.space.values().to_vec(), self.space.basis().to_vec());
        fields.numbers("values", &mut values)?;
        fields.vector("basis", &mut basis)?;
        let mut complete = usize::from(self.space.is_complete());
        fields.count("complete", &mut complete)?;
        self.space = TangentSpace::from_parts(self.theta.len(), values, basis, 1.0, complete != 0)?;
        Ok(())
    }
}

impl<T: Scalar, D: Curved<T>> Kernel<T, D> for Tangent<T> {
    type State = TangentState<T>;
    type Workspace = TangentWorkspace<T, D::Workspace>;

    fn workspace(&self, density: &D) -> Self::Workspace {
        let zeros = || vec![T::ZERO; density.dim()];
        let precision = density.prior_precision().iter();
        TangentWorkspace {
            density: density.workspace(),
            theta: zeros(),
            gradient: zeros(),
            scale: precision.map(|a| T::from_f64(1.0 / a.sqrt())).collect(),
            buffer: zeros(),
            coordinates: Vec::new(),
            before: zeros(),
            slope: zeros(),
        }
    }

    fn init(
        &self,
        density: &D,
        theta: &[T],
        rng: &mut ChaCha8Rng,
        ws: &mut Self::Workspace,
    ) -> Result<Self::State> {
        same_dim("Tangent", density.dim(), theta.len(), ws.theta.len())?;
        ws.theta.copy_from_slice(theta);
        let Some(energy) = Self::evaluate(density, ws)? else {
            return Err(Descent::start("the walk").diverged("energy or its gradient"));
        };
        let space = match self.known.iter().find(|(start, _)| start == theta) {
            Some((_, space)) => space.clone(),
            None => whitened_space(density, theta, None, &self.options.space, self.streams)?,
        };
        let mut direction = vec![T::ZERO; theta.len()];
        Self::draw(&space, rng, &mut direction);
        Ok(TangentState {
            theta: theta.to_vec(),
            energy,
            direction,
            space,
            age: 0,
            damping: 0.0,
        })
    }

    fn step(
        &self,
        density: &D,
        state: &mut Self::State,
        rng: &mut ChaCha8Rng,
        ws: &mut Self::Workspace,
    ) -> Result<Info> {
        let options = &self.options;
        same_dim("Tangent", density.dim(), state.theta.len(), ws.theta.len())?;
        let mut gradients = 0;
        if state.age >= options.renew_every {
            let old = &state.space;
            let near = Some(old);
            let space = whitened_space(density, &state.theta, near, &options.space, self.streams)?;
            gradients += PRODUCT * space.products();
            if !old.transport(&space, &mut state.direction)? {
                // nothing of the drift is tangent here
                Self::draw(&space, rng, &mut state.direction);
            }
            state.space = space;
            state.age = 0;
        }
        state.age += 1;
        let (mut held, mut time, mut risen) = (None, options.step_size, f64::NAN);
        for _ in 0..=options.retries {
            let (energy, damping, spent) = self.attempt(density, state, time, ws)?;
            gradients += spent;
            risen = energy.map_or(f64::NAN, |e| e - state.energy);
            held = energy.filter(|&e| e <= options.max_energy.max(state.energy));
            if held.is_some() {
                state.damping = damping;
                break;
            }
            time *= 0.5;
        }
        let Some(energy) = held else {
            // the particle stays and tries another direction
            Self::draw(&state.space, rng, &mut state.direction);
            return Ok(Info {
                viable: state.energy <= options.max_energy,
                divergence: Some(Divergence {
                    cause: DivergenceCause::Retries,
                    start_energy: state.energy,
                    energy_error: risen,
                    step_size: options.step_size,
                    after: 1,
                }),
                gradients,
                ..Info::moved(state.energy, 0.0)
            });
        };
        let fiber_distance = Some(Self::newton(&state.space, 0.0, ws));
        std::mem::swap(&mut state.theta, &mut ws.theta);
        state.energy = energy;
        // `ws.theta` is now the point that was left
        axpy(-1.0, &state.theta, &mut ws.theta);
        Ok(Info {
            viable: energy <= options.max_energy,
            fiber_distance,
            gradients,
            ..Info::moved(energy, norm(&ws.theta))
        })
    }
}
