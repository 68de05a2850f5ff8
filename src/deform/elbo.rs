//! Refinement on the ELBO, with the last layer integrated out.
//!
//! For a flow `q(h)` of the hidden parameters and the conditional `q(w | h)` of the last layer,
//!
//! `ELBO = E_q[log p(D, h, w) - log q(w | h) - log q(h)] <= log p(D)`,
//!
//! with equality for the posterior. The last layer depends on `h`, but its derivative is not
//! needed. For the exact conditional `grad_h log p(D | h) p(h) = E[grad_h log p(D, h, w)]`
//! (Fisher's identity), which is a gradient of the energy's own graph at a draw. So one step is:
//! draw `z`, `h = T(z)`, condition, draw `w` and its reflection, take the gradient of the log
//! density at both, and pull it back through `T` together with that of `log |det|`.
//!
//! What it drops: for likelihoods that are not Gaussian the conditional is an approximation, and so
//! is the identity. Like any maximum of an ELBO, the result is narrower than the posterior where it
//! cannot be both right and wide.

use super::{Bijection, LastLayer, LastLayerWorkspace};
use crate::autodiff::{Graph, Program, Workspace};
use crate::error::{Error, Result, counted};
use crate::linalg::vector::{dot, first_non_finite, scale};
use crate::model::LogDensity;
use crate::optim::{Adam, AdamOptions, Answer, Decay, Optimizer, Schedule, clip_by_norm};
use crate::parallel;
use crate::rng::{Phase, Streams, fill_normal};
use crate::scalar::Scalar;

/// Settings of a refinement.
#[derive(Clone, Debug)]
pub struct ElboOptions {
    /// Gradient steps; 0: none.
    pub steps: usize,
    /// Draws per step.
    pub draws: usize,
    /// The full learning rate.
    pub learning_rate: f64,
    /// How the learning rate changes over the steps.
    pub schedule: Schedule,
    /// Largest norm of a step's gradient.
    pub clip_norm: f64,
    /// Steps between two checks of the ELBO, always on the same draws.
    pub check_every: usize,
    /// Number of draws for these checks.
    pub check_draws: usize,
}

impl Default for ElboOptions {
    fn default() -> Self {
        Self {
            steps: 1_000,
            draws: 16,
            learning_rate: 2e-3,
            schedule: Schedule {
                warmup: 0.02,
                decay: Decay::Cosine,
            },
            clip_norm: 50.0,
            check_every: 100,
            check_draws: 64,
        }
    }
}

/// How a refinement went. ELBOs are in nats, means over the same draws.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ElboReport {
    /// Steps taken.
    pub steps: usize,
    /// The step whose parameters were kept.
    pub best_step: usize,
    /// ELBO at the start.
    pub start: f64,
    /// ELBO of the parameters that were kept.
    pub elbo: f64,
    /// Steps whose gradient was clipped.
    pub clipped: usize,
    /// Gradients of the log density that were computed.
    pub gradients: usize,
}

/// The result of one draw.
struct Drawn<T> {
    /// `log p(D, h, w) - log q(w | h)`, averaged over a draw and its reflection.
    value: f64,
    /// The gradient with respect to `h`, in the flow's order.
    gradient: Vec<T>,
}

/// The memory of one worker.
struct Worker<T, W> {
    last: LastLayerWorkspace<T>,
    density: W,
    theta: Vec<T>,
    gradient: Vec<T>,
    /// Standard normals of the last layer.
    z: Vec<T>,
}

/// Maximises the ELBO over the parameters of `flow`, starting from `params`. Coordinate `i` of the
/// flow is parameter `order[i]` of `density`, whose last parameters are those of `last`. Random
/// numbers come from [`Phase::ELBO`], two streams for each draw. `progress` is called after every
/// step with the number of steps done, and may end the refinement ([`Answer`]).
///
/// # Errors
/// If lengths do not fit, a setting is out of range, or a conditional cannot be computed; that of
/// `progress`.
pub fn refine<T: Scalar, D: LogDensity<T>, R: Answer>(
    flow: &dyn Bijection,
    order: &[usize],
    params: Vec<T>,
    (last, density): (&LastLayer<T>, &D),
    options: &ElboOptions,
    streams: Streams,
    mut progress: impl FnMut(usize) -> R,
) -> Result<(Vec<T>, ElboReport)> {
    let dim = flow.dim();
    if order.len() != dim || density.dim() != dim + last.dim() {
        let expected = format!("{} in all", counted(dim + last.dim(), "parameter"));
        return Err(Error::shape("refine", expected, density.dim()));
    }
    for (field, value) in [
        ("draws", options.draws),
        ("check_draws", options.check_draws),
        ("check_every", options.check_every),
    ] {
        if value == 0 {
            return Err(Error::config(field, value, "must be positive"));
        }
    }
    options.schedule.validate()?;
    let problem = Problem {
        dim,
        order,
        last,
        density,
        streams,
    };
    let mut map = Map::new(flow, options.draws)?;
    let mut check = Map::new(flow, options.check_draws)?;
    let mut adam = Adam::new(params.len(), AdamOptions::default())?;
    let mut params = params;
    let elbo = |check: &mut Map<T>, params: &[T]| -> Result<f64> {
        let (value, _) = problem.draw(check, params, 0)?;
        Ok(value)
    };
    let start = elbo(&mut check, &params)?;
    let mut report = ElboReport {
        steps: options.steps,
        best_step: 0,
        start,
        elbo: start,
        clipped: 0,
        gradients: 2 * options.check_draws,
    };
    let mut kept = params.clone();
    for step in 0..options.steps {
        let first = options.check_draws + step * options.draws;
        let (_, cotangent) = problem.draw(&mut map, &params, first)?;
        let gradient = map.pull_back(&params, &cotangent)?;
        report.gradients += 2 * options.draws;
        // a draw far out can have an infinite slope: such a step carries no information
        if first_non_finite(gradient).is_none() {
            scale(-1.0 / options.draws as f64, gradient);
            let before = clip_by_norm(gradient, options.clip_norm);
            report.clipped += usize::from(before > options.clip_norm);
            let rate = options.learning_rate * options.schedule.factor(step, options.steps);
            adam.step(rate, gradient, &mut params)?;
        }
        progress(step + 1).result()?;
        if (step + 1) % options.check_every == 0 || step + 1 == options.steps {
            let now = elbo(&mut check, &params)?;
            report.gradients += 2 * options.check_draws;
            if now > report.elbo || report.elbo.is_nan() {
                (report.elbo, report.best_step) = (now, step + 1);
                kept.copy_from_slice(&params);
            }
        }
    }
    Ok((kept, report))
}

struct Problem<'a, T, D> {
    dim: usize,
    order: &'a [usize],
    last: &'a LastLayer<T>,
    density: &'a D,
    streams: Streams,
}

impl<T: Scalar, D: LogDensity<T>> Problem<'_, T, D> {
    /// Makes one draw for each row of the map, from draw number `first` on. Returns the mean ELBO
    /// and the gradients with respect to `h`, `[dim, rows]`.
    fn draw(&self, map: &mut Map<T>, params: &[T], first: usize) -> Result<(f64, Vec<T>)> {
        let (dim, rows) = (self.dim, map.rows);
        let mut latent = vec![T::ZERO; dim];
        let mut squares = 0.0;
        for i in 0..rows {
            let mut rng = self.streams.rng(Phase::ELBO, 2 * (first + i) as u64);
            fill_normal(&mut rng, &mut latent);
            squares += dot(&latent, &latent);
            for (j, &z) in latent.iter().enumerate() {
                map.z[j * rows + i] = z;
            }
        }
        map.forward(params)?;
        let (h, log_det) = (map.image()?, map.log_dets()?);
        let worker = || Worker {
            last: self.last.workspace(),
            density: self.density.workspace(),
            theta: vec![T::ZERO; dim + self.last.dim()],
            gradient: vec![T::ZERO; dim + self.last.dim()],
            z: vec![T::ZERO; self.last.dim()],
        };
        let drawn: Vec<Drawn<T>> = parallel::try_map_with(rows, worker, |worker, i| {
            for (j, &at) in self.order.iter().enumerate() {
                worker.theta[at] = h[j * rows + i];
            }
            self.evaluate(worker, first + i)
        })?;
        let mut cotangent = vec![T::ZERO; dim * rows];
        let constant = 0.5 * dim as f64 * (2.0 * std::f64::consts::PI).ln();
        let mut sum = 0.5 * squares + rows as f64 * constant;
        for (i, one) in drawn.iter().enumerate() {
            sum += one.value + log_det[i].to_f64();
            for (j, &g) in one.gradient.iter().enumerate() {
                cotangent[j * rows + i] = g;
            }
        }
        Ok((sum / rows as f64, cotangent))
    }

    /// Conditions on the hidden parameters in `worker.theta`, draws the last layer and its
    /// reflection, and averages over both.
    fn evaluate(&self, worker: &mut Worker<T, D::Workspace>, index: usize) -> Result<Drawn<T>> {
        let h = self.dim;
        let mut rng = self.streams.rng(Phase::ELBO, 2 * index as u64 + 1);
        fill_normal(&mut rng, &mut worker.z);
        self.last.condition(&worker.theta[..h], &mut worker.last)?;
        let size = self.last.dim() as f64;
        let constant = 0.5 * size * (2.0 * std::f64::consts::PI).ln() + worker.last.log_det();
        let mut drawn = Drawn {
            value: constant + 0.5 * dot(&worker.z, &worker.z),
            gradient: vec![T::ZERO; h],
        };
        let half = T::from_f64(0.5);
        for sign in [T::ONE, -T::ONE] {
            let w = &mut worker.theta[h..];
            for (w, &z) in w.iter_mut().zip(&worker.z) {
                *w = sign * z;
            }
            worker.last.forward(w)?;
            let value = self.density.log_density_and_grad(
                &worker.theta,
                &mut worker.gradient,
                &mut worker.density,
            )?;
            drawn.value += 0.5 * value;
            for (sum, &at) in drawn.gradient.iter_mut().zip(self.order) {
                *sum += half * worker.gradient[at];
            }
        }
        Ok(drawn)
    }
}

/// The flow on a fixed number of rows: forward, and its transposed derivative back.
struct Map<T> {
    rows: usize,
    /// `[dim, rows]`.
    z: Vec<T>,
    forward: Program<T>,
    forward_ws: Workspace<T>,
    back: Program<T>,
    back_ws: Workspace<T>,
    gradient: Vec<T>,
}

impl<T: Scalar> Map<T> {
    fn new(flow: &dyn Bijection, rows: usize) -> Result<Self> {
        let (dim, count) = (flow.dim(), flow.param_count());
        let graph = Graph::new();
        let params = graph.input(&[count]);
        let z = graph.input(&[dim, rows]);
        let cotangent = graph.input(&[dim, rows]);
        let (h, log_det) = flow.forward(params, z.batch_first());
        let image = h.batch_last();
        let objective = (image * cotangent).sum() + log_det.sum();
        let gradient = graph.grad(objective, &[params])?;
        let forward = graph.compile(&[image, log_det])?;
        let back = graph.compile(&gradient)?;
        Ok(Self {
            rows,
            z: vec![T::ZERO; dim * rows],
            forward_ws: forward.workspace(),
            back_ws: back.workspace(),
            forward,
            back,
            gradient: vec![T::ZERO; count],
        })
    }

    fn forward(&mut self, params: &[T]) -> Result<()> {
        // a program does not read inputs that it does not use
        self.forward
            .run(&[params, &self.z, &self.z], &mut self.forward_ws)
    }

    fn image(&self) -> Result<&[T]> {
        self.forward.tensor(&self.forward_ws, 0)
    }

    fn log_dets(&self) -> Result<&[T]> {
        self.forward.tensor(&self.forward_ws, 1)
    }

    fn pull_back(&mut self, params: &[T], cotangent: &[T]) -> Result<&mut [T]> {
        self.back
            .run(&[params, &self.z, cotangent], &mut self.back_ws)?;
        self.gradient
            .copy_from_slice(self.back.tensor(&self.back_ws, 0)?);
        Ok(&mut self.gradient)
    }
}
