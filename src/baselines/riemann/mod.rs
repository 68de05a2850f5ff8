//! The Riemannian Laplace approximation: draws move along geodesics of the energy's graph.
//!
//! A Laplace draw is taken as a velocity, not as a point. The draw is where its geodesic is at
//! time 1.
//!
//! ```text
//! M(theta) = I + grad U grad U^T             the metric of the graph (theta, U(theta))
//! c'' = -grad U(c) <c', H(c) c'> / (1 + |grad U(c)|^2),   c(0) = theta*, c'(0) = v ~ N(0, Sigma)
//! theta = c(1) = Exp_{theta*}(v)
//! ```
//!
//! F. Bergamin, P. Moreno-Munoz, S. Hauberg, G. Arvanitidis, "Riemannian Laplace approximations for
//! Bayesian neural networks", NeurIPS 2023, arXiv 2306.07158. `U` is the whole energy, prior
//! included, as in the paper. `Sigma` is the covariance of any Gaussian around `theta*`. The
//! squared speed `|c'|^2 + <grad U, c'>^2` is constant along a geodesic. Let `theta*` be a minimum.
//! Then a draw is never further from it than `|v|`, and its energy is at most `|v|` above the
//! minimum, whatever the Laplace approximation says of that direction.
//!
//! Where it errs: it is too narrow, and stays so with any amount of data (H. Yu et al., "Riemannian
//! Laplace approximation with the Fisher metric", AISTATS 2024, arXiv 2311.02766).
//!
//! Dropped: their linearised networks, and geodesics on a batch instead of all data.
//!
//! Deviates: the solver is Dormand-Prince, with the default tolerances of theirs and at most 1,000
//! steps (ours). A geodesic that needs more steps is left out of the draws, which thins out the
//! stiff directions. Reports count these geodesics.

mod ode;

pub use ode::{DormandPrince, OdeFunction, OdeOptions, OdeReport};

use crate::error::{Error, Result, counted};
use crate::linalg::vector::{dot, norm};
use crate::model::{LogDensity, Posterior, PosteriorDensity, ProductWorkspace};
use crate::optim::Answer;
use crate::parallel;
use crate::rng::Streams;
use crate::scalar::Scalar;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// A geodesic: the integrator's report, or the number of evaluations until it failed.
type Outcome = std::result::Result<OdeReport, usize>;

/// A density with products of a vector and the Hessian of its energy.
pub trait SecondOrder<T: Scalar>: LogDensity<T> {
    /// Memory for a product: one for each thread.
    type HessianWorkspace: Send;

    /// Fresh memory.
    fn hessian_workspace(&self) -> Self::HessianWorkspace;

    /// Computes `out = H v`, with `H` the Hessian of `U = -log_density` at `theta`.
    ///
    /// # Errors
    /// If a length is wrong.
    fn hessian_product(
        &self,
        theta: &[T],
        v: &[T],
        out: &mut [T],
        ws: &mut Self::HessianWorkspace,
    ) -> Result<()>;
}

impl<T: Scalar> SecondOrder<T> for PosteriorDensity<T> {
    type HessianWorkspace = ProductWorkspace<T>;

    fn hessian_workspace(&self) -> ProductWorkspace<T> {
        PosteriorDensity::hessian_workspace(self)
    }

    fn hessian_product(
        &self,
        theta: &[T],
        v: &[T],
        out: &mut [T],
        ws: &mut ProductWorkspace<T>,
    ) -> Result<()> {
        PosteriorDensity::hessian_product(self, theta, v, out, ws)
    }
}

/// The approximation. Its draws are the ends of geodesics, integrated on demand.
pub struct RiemannLaplace<'a, T, D> {
    density: &'a D,
    theta: Vec<T>,
    gaussian: &'a dyn Posterior<T>,
    options: OdeOptions,
}

/// The end of a geodesic, at time 1.
#[derive(Clone, Debug, PartialEq)]
pub struct Geodesic<T> {
    /// `c(1)`.
    pub theta: Vec<T>,
    /// `c'(1)`.
    pub velocity: Vec<T>,
    /// The cost of the integration. Each evaluation takes a gradient and a Hessian product, which
    /// costs about two gradients.
    pub ode: OdeReport,
}

/// The cost of draws.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RiemannReport {
    /// Geodesics that could not be followed to their end ([`OdeOptions::max_steps`]). Their draws
    /// are left out.
    pub failed: usize,
    /// Steps of all other geodesics, rejected ones included.
    pub steps: usize,
    /// Gradients computed for all geodesics. For a failed one they are estimated from its steps.
    pub gradients: usize,
    /// Hessian products, counted likewise.
    pub products: usize,
}

/// Memory of a geodesic.
struct Memory<T: Scalar, D: SecondOrder<T>> {
    pair: DormandPrince,
    state: Vec<f64>,
    field: Field<T, D>,
}

/// Memory of the geodesic's equation.
struct Field<T: Scalar, D: SecondOrder<T>> {
    theta: Vec<T>,
    velocity: Vec<T>,
    grad: Vec<T>,
    product: Vec<T>,
    gradients: D::Workspace,
    products: D::HessianWorkspace,
}

impl<'a, T: Scalar, D: SecondOrder<T>> RiemannLaplace<'a, T, D> {
    /// Geodesics from the estimate `theta`. Their velocities are the draws of `gaussian` minus
    /// `theta`. `gaussian` may be any posterior around `theta`, such as a Laplace approximation.
    ///
    /// # Errors
    /// If dimensions differ, or a tolerance is out of range.
    pub fn new(
        density: &'a D,
        theta: Vec<T>,
        gaussian: &'a dyn Posterior<T>,
        options: OdeOptions,
    ) -> Result<Self> {
        options.validate()?;
        let p = density.dim();
        if theta.len() != p || gaussian.dim() != p {
            let got = format!("{} and {}", theta.len(), gaussian.dim());
            let expected = format!("an estimate and draws of {}", counted(p, "parameter"));
            return Err(Error::shape("RiemannLaplace", expected, got));
        }
        Ok(Self {
            density,
            theta,
            gaussian,
            options,
        })
    }

    fn memory(&self) -> Memory<T, D> {
        let p = self.theta.len();
        let zeros = || vec![T::ZERO; p];
        Memory {
            pair: DormandPrince::new(2 * p),
            state: vec![0.0; 2 * p],
            field: Field {
                theta: zeros(),
                velocity: zeros(),
                grad: zeros(),
                product: zeros(),
                gradients: self.density.workspace(),
                products: self.density.hessian_workspace(),
            },
        }
    }

    /// `Exp_{theta*}(v)`: the geodesic from the estimate with the initial velocity `v`.
    ///
    /// # Errors
    /// If `v` has the wrong length, or the geodesic cannot be followed ([`Error::NoConvergence`]).
    pub fn exponential_map(&self, velocity: &[T]) -> Result<Geodesic<T>> {
        let p = self.theta.len();
        if velocity.len() != p {
            let expected = format!("a velocity of {}", counted(p, "parameter"));
            return Err(Error::shape("exponential_map", expected, velocity.len()));
        }
        let mut memory = self.memory();
        let ode = self.follow(velocity.iter().map(|v| v.to_f64()), &mut memory)?;
        let (theta, velocity) = memory.state.split_at(p);
        let cast = |x: &[f64]| x.iter().map(|&x| T::from_f64(x)).collect();
        Ok(Geodesic {
            theta: cast(theta),
            velocity: cast(velocity),
            ode,
        })
    }

    /// The speed of a geodesic at `theta` with velocity `v`, `(v^T M(theta) v)^{1/2}`. It is
    /// constant along the geodesic.
    ///
    /// # Errors
    /// If a length is wrong.
    pub fn speed(&self, theta: &[T], velocity: &[T]) -> Result<f64> {
        let mut grad = vec![T::ZERO; self.theta.len()];
        if velocity.len() != grad.len() {
            return Err(Error::shape("speed", grad.len(), velocity.len()));
        }
        let mut ws = self.density.workspace();
        self.density
            .log_density_and_grad(theta, &mut grad, &mut ws)?;
        Ok(norm(velocity).hypot(dot(&grad, velocity)))
    }

    /// [`Posterior::sample`], with a report of its cost. `progress` is called after every geodesic,
    /// from its thread, with the number of geodesics so far. It may end the work ([`Answer`]).
    ///
    /// # Errors
    /// If `count` is 0, the Gaussian cannot be sampled, or every geodesic fails; that of
    /// `progress`.
    pub fn sample_with_report<R: Answer>(
        &self,
        count: usize,
        streams: Streams,
        progress: impl Fn(usize) -> R + Sync,
    ) -> Result<(Vec<T>, RiemannReport)> {
        let p = self.theta.len();
        let mut draws = self.gaussian.sample(count, streams)?;
        let done = AtomicUsize::new(0);
        let mut outcomes: Vec<Outcome> = vec![Err(0); draws.len().div_ceil(p.max(1))];
        let each = draws.chunks_mut(p.max(1)).zip(&mut outcomes);
        let follow = |memory: &mut Memory<T, D>, _, (draw, outcome): (&mut [T], &mut Outcome)| {
            let apart = draw.iter().zip(&self.theta);
            let velocity = apart.map(|(draw, map)| draw.to_f64() - map.to_f64());
            let followed = self.follow(velocity, memory);
            progress(done.fetch_add(1, Relaxed) + 1).result()?;
            for (draw, &end) in draw.iter_mut().zip(&memory.state) {
                *draw = T::from_f64(end);
            }
            *outcome = match followed {
                Ok(report) => Ok(report),
                // a step has six evaluations, and two come before the first
                Err(Error::NoConvergence { iterations, .. }) => Err(2 + 6 * iterations),
                Err(error) => return Err(error),
            };
            Ok(())
        };
        parallel::try_for_each_with(each, || self.memory(), follow)?;
        let mut report = RiemannReport::default();
        let mut kept = Vec::with_capacity(draws.len());
        for (draw, outcome) in draws.chunks_exact(p.max(1)).zip(outcomes) {
            let ode = match outcome {
                Ok(ode) => ode,
                Err(evaluations) => {
                    report.failed += 1;
                    report.gradients += evaluations;
                    report.products += evaluations;
                    continue;
                }
            };
            report.steps += ode.steps + ode.rejected;
            report.gradients += ode.evaluations;
            report.products += ode.evaluations;
            kept.extend_from_slice(draw);
        }
        if kept.is_empty() {
            return Err(Error::NoConvergence {
                what: "Riemannian Laplace: every geodesic",
                iterations: self.options.max_steps,
                residual: f64::NAN,
                tolerance: self.options.relative_tolerance,
            });
        }
        Ok((kept, report))
    }

    /// Integrates from the estimate. The end is left in the memory's state.
    fn follow(
        &self,
        velocity: impl Iterator<Item = f64>,
        memory: &mut Memory<T, D>,
    ) -> Result<OdeReport> {
        let Memory { pair, state, field } = memory;
        let start = self.theta.iter().map(|t| t.to_f64());
        for (s, x) in state.iter_mut().zip(start.chain(velocity)) {
            *s = x;
        }
        let mut equation = |y: &[f64], out: &mut [f64]| field.derivative(self.density, y, out);
        pair.integrate(&mut equation, state, 1.0, &self.options)
    }
}

impl<T: Scalar, D: SecondOrder<T>> Field<T, D> {
    /// `(c', c'')` at `(c, c')`.
    fn derivative(&mut self, density: &D, y: &[f64], out: &mut [f64]) -> Result<()> {
        let p = self.theta.len();
        let (c, v) = y.split_at(p);
        for i in 0..p {
            self.theta[i] = T::from_f64(c[i]);
            self.velocity[i] = T::from_f64(v[i]);
        }
        density.log_density_and_grad(&self.theta, &mut self.grad, &mut self.gradients)?;
        density.hessian_product(
            &self.theta,
            &self.velocity,
            &mut self.product,
            &mut self.products,
        )?;
        let curvature = dot(&self.velocity, &self.product);
        // the gradient is that of -U
        let factor = curvature / (1.0 + dot(&self.grad, &self.grad));
        let (to_c, to_v) = out.split_at_mut(p);
        to_c.copy_from_slice(v);
        for (out, g) in to_v.iter_mut().zip(&self.grad) {
            *out = factor * g.to_f64();
        }
        Ok(())
    }
}

impl<T: Scalar, D: SecondOrder<T>> Posterior<T> for RiemannLaplace<'_, T, D> {
    fn dim(&self) -> usize {
        self.theta.len()
    }

    /// The draws of the Gaussian, carried along their geodesics. Those that failed are left out;
    /// [`RiemannLaplace::sample_with_report`] counts them.
    fn sample(&self, count: usize, streams: Streams) -> Result<Vec<T>> {
        Ok(self.sample_with_report(count, streams, |_| ())?.0)
    }
}
