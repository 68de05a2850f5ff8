//! The kernel of Langevin dynamics: a step is one update by the gradient of a batch.
//!
//! The energy and gradient are those of the step's batch where it begins, so nothing is cached of
//! the density. The rows of a batch come from a shuffle that goes on from step to step. Their order
//! is therefore a part of the state, as are the mean squares and the number of steps. If an energy
//! or a gradient is not finite, the particle stays.

use rand_chacha::ChaCha8Rng;

use super::options::{Preconditioner, SgldOptions};
use crate::baselines::GradientSource;
use crate::error::{Error, Result, counted};
use crate::linalg::vector::{distance, first_non_finite};
use crate::rng::fill_normal;
use crate::scalar::Scalar;
use crate::walk::{Divergence, DivergenceCause, Fields, Info, Kernel, Particle, same_dim};

/// The kernel of (preconditioned) stochastic gradient Langevin dynamics. How many steps are taken
/// and which points are kept is the driver's choice.
#[derive(Clone, Debug)]
pub struct Sgld {
    options: SgldOptions,
}

impl Sgld {
    /// A kernel with these settings.
    ///
    /// # Errors
    /// If a setting is out of range.
    pub fn new(options: &SgldOptions) -> Result<Self> {
        options.validate()?;
        Ok(Self {
            options: options.clone(),
        })
    }

    /// Its settings.
    pub fn options(&self) -> &SgldOptions {
        &self.options
    }
}

/// A particle of Langevin dynamics.
#[derive(Clone, Debug)]
pub struct SgldState<T> {
    theta: Vec<T>,
    /// Mean squares of gradients of `U / N`; empty without a preconditioner.
    squares: Vec<T>,
    /// Steps taken, `t`.
    steps: usize,
    /// The rows, in the order that the next batch is drawn from; empty if no batch is drawn.
    order: Vec<usize>,
}

impl<T: Scalar> Particle<T> for SgldState<T> {
    fn theta(&self) -> &[T] {
        &self.theta
    }

    fn fields(&mut self, fields: &mut dyn Fields<T>) -> Result<()> {
        fields.fixed_vector("theta", &mut self.theta)?;
        fields.fixed_vector("squares", &mut self.squares)?;
        fields.count("steps", &mut self.steps)?;
        let rows = self.order.len();
        fields.counts("order", &mut self.order)?;
        // every row once
        let mut seen = vec![false; rows];
        for &row in &self.order {
            match seen.get_mut(row) {
                Some(seen) => *seen = true,
                None => break,
            }
        }
        if self.order.len() != rows || seen.contains(&false) {
            let expected = format!("an order of {}", counted(rows, "row"));
            return Err(Error::shape("a chain's state", expected, "another"));
        }
        Ok(())
    }
}

/// Memory for a step.
pub struct SgldWorkspace<T, M> {
    source: M,
    /// The point that was left.
    before: Vec<T>,
    gradient: Vec<T>,
    noise: Vec<T>,
}

impl<T: Scalar, S: GradientSource<T>> Kernel<T, S> for Sgld {
    type State = SgldState<T>;
    type Workspace = SgldWorkspace<T, S::Memory>;

    fn workspace(&self, source: &S) -> Self::Workspace {
        let zeros = || vec![T::ZERO; source.dim()];
        SgldWorkspace {
            source: source.memory(),
            before: zeros(),
            gradient: zeros(),
            noise: zeros(),
        }
    }

    /// Nothing is computed at `theta`, so the energy there is not checked.
    fn init(
        &self,
        source: &S,
        theta: &[T],
        _: &mut ChaCha8Rng,
        ws: &mut Self::Workspace,
    ) -> Result<Self::State> {
        if theta.len() != source.dim() {
            return Err(Error::shape("Sgld", source.dim(), theta.len()));
        }
        let rows = source.order(&mut ws.source).map_or(0, |order| order.len());
        Ok(SgldState {
            theta: theta.to_vec(),
            squares: match self.options.preconditioner {
                Preconditioner::None => Vec::new(),
                Preconditioner::RmsProp { .. } => vec![T::ZERO; theta.len()],
            },
            steps: 0,
            order: (0..rows).collect(),
        })
    }

    /// `energy` is that of the batch where the step began.
    fn step(
        &self,
        source: &S,
        state: &mut Self::State,
        rng: &mut ChaCha8Rng,
        ws: &mut Self::Workspace,
    ) -> Result<Info> {
        same_dim("Sgld", source.dim(), state.theta.len(), ws.before.len())?;
        let t = state.steps;
        let step_size = self.options.step_size(t, source.rows());
        exchange_order(source, state, ws);
        source.draw_batch(&mut ws.source, rng);
        exchange_order(source, state, ws);
        let energy = source.energy_and_grad(&state.theta, &mut ws.gradient, &mut ws.source)?;
        state.steps = t.saturating_add(1);
        if !energy.is_finite() || first_non_finite(&ws.gradient).is_some() {
            return Ok(Info {
                viable: false,
                divergence: Some(Divergence {
                    cause: DivergenceCause::at(energy, &ws.gradient),
                    start_energy: energy,
                    energy_error: f64::NAN,
                    step_size,
                    after: 1,
                }),
                ..Info::moved(energy, 0.0)
            });
        }
        fill_normal(rng, &mut ws.noise);
        ws.before.copy_from_slice(&state.theta);
        self.update(t, (step_size, source.rows()), state, ws);
        Ok(Info::moved(energy, distance(&ws.before, &state.theta)))
    }
}

/// Lends the order of the rows to the source's memory, or takes it back.
fn exchange_order<T: Scalar, S: GradientSource<T>>(
    source: &S,
    state: &mut SgldState<T>,
    ws: &mut SgldWorkspace<T, S::Memory>,
) {
    if let Some(order) = source.order(&mut ws.source) {
        std::mem::swap(order, &mut state.order);
    }
}

impl Sgld {
    /// The update `t` from the current gradient and noise, for a sum over `rows` rows.
    fn update<T: Scalar, M>(
        &self,
        t: usize,
        (step_size, rows): (f64, usize),
        state: &mut SgldState<T>,
        ws: &SgldWorkspace<T, M>,
    ) {
        let half = T::from_f64(0.5 * step_size);
        let noise = T::from_f64((self.options.temperature * step_size).sqrt());
        let terms = ws.gradient.iter().zip(&ws.noise);
        match self.options.preconditioner {
            Preconditioner::None => {
                for (theta, (&g, &z)) in state.theta.iter_mut().zip(terms) {
                    *theta += noise * z - half * g;
                }
            }
            Preconditioner::RmsProp { decay, epsilon } => {
                let correction =
                    1.0 - decay.powi(i32::try_from(t.saturating_add(1)).unwrap_or(i32::MAX));
                let (keep, take) = (T::from_f64(decay), T::from_f64(1.0 - decay));
                let (correction, epsilon) = (T::from_f64(1.0 / correction), T::from_f64(epsilon));
                let per_row = T::from_f64(1.0 / rows as f64);
                let all = state.theta.iter_mut().zip(&mut state.squares).zip(terms);
                for ((theta, v), (&g, &z)) in all {
                    let mean = g * per_row;
                    *v = keep * *v + take * mean * mean;
                    let root = square_root(*v * correction);
                    let scale = T::ONE / (epsilon + root);
                    *theta += noise * square_root(scale) * z - half * scale * g;
                }
            }
        }
    }
}

/// The correctly rounded root.
fn square_root<T: Scalar>(x: T) -> T {
    crate::simd::Elementary::sqrt(x)
}
