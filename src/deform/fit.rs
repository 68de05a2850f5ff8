//! Maximum likelihood: fits a bijection `T` so that the image of N(0, I) matches given points.
//!
//! The loss is `-1/n sum_i [log N(z_i; 0, I) + log |det dT^{-1}|] + decay/2 |p|^2`,
//! `z_i = T^{-1}(y_i)`. Adam minimises it on minibatches. Every epoch visits the points in a fresh
//! random order, in batches of one size; the remainder is left out until the next epoch. Gradients
//! that are too long are clipped, and the learning rate falls along a cosine.
//!
//! With a context of `c` coordinates, the density is that of the other coordinates given these;
//! `N(z)` is over the others only.
//!
//! At regular intervals the fit computes the likelihood of held-out points. It keeps the parameters
//! that are best by it, and stops when they have not improved for a while. Step 0 counts: on
//! held-out points, the kept parameters are never worse than the start.
//!
//! A batch is cut into pieces of one size, which are computed in parallel and added in order. The
//! result is the same, bit for bit, for any number of threads.

use rand::seq::SliceRandom;

use super::Bijection;
use crate::autodiff::{Graph, Program, Var, Workspace};
use crate::error::{Error, Result, counted};
use crate::linalg::vector::{axpy, first_non_finite};
use crate::optim::{Adam, AdamOptions, Answer, Decay, Descent, Optimizer, Schedule, clip_by_norm};
use crate::parallel;
use crate::rng::{Phase, Streams};
use crate::scalar::Scalar;

/// Largest number of rows that go through the flow at once.
const PIECE: usize = 256;

/// Settings of [`fit_flow`].
#[derive(Clone, Debug)]
pub struct FlowTrainOptions {
    /// Largest number of gradient steps.
    pub steps: usize,
    /// Points of a batch; all of them if there are fewer.
    pub batch_rows: usize,
    /// The full learning rate.
    pub learning_rate: f64,
    /// How the learning rate changes over the steps.
    pub schedule: Schedule,
    /// Precision of a Gaussian prior on the flow's parameters, per training point.
    pub weight_decay: f64,
    /// Largest norm of the gradient of the mean over a batch; longer gradients are clipped to it.
    /// `None`: no clipping.
    pub clip_norm: Option<f64>,
    /// Steps between two checks on the held-out points.
    pub check_every: usize,
    /// Checks without improvement after which training ends.
    pub patience: usize,
}

impl Default for FlowTrainOptions {
    fn default() -> Self {
        Self {
            steps: 2_000,
            batch_rows: 1_024,
            learning_rate: 3e-3,
            schedule: Schedule {
                warmup: 0.02,
                decay: Decay::Cosine,
            },
            weight_decay: 1e-4,
            clip_norm: Some(5.0),
            check_every: 50,
            patience: 10,
        }
    }
}

impl FlowTrainOptions {
    /// Checks the settings.
    ///
    /// # Errors
    /// If one is outside its range; the error names it.
    pub fn validate(&self) -> Result<()> {
        for (field, value) in [
            ("batch_rows", self.batch_rows),
            ("check_every", self.check_every),
            ("patience", self.patience),
        ] {
            if value == 0 {
                return Err(Error::config(field, value, "must be positive"));
            }
        }
        let positive = [Some(self.learning_rate), self.clip_norm];
        for (field, value) in ["learning_rate", "clip_norm"].into_iter().zip(positive) {
            if let Some(value) = value.filter(|v| !(*v > 0.0 && v.is_finite())) {
                let requirement = "must be positive and finite";
                return Err(Error::config(field, value, requirement));
            }
        }
        if !(self.weight_decay >= 0.0 && self.weight_decay.is_finite()) {
            let requirement = "must be finite and not negative";
            return Err(Error::config(
                "weight_decay",
                self.weight_decay,
                requirement,
            ));
        }
        self.schedule.validate()
    }
}

/// The data for a fit. Points are rows of as many numbers as the flow has coordinates, the context
/// first.
#[derive(Clone, Copy, Debug)]
pub struct FlowData<'a, T> {
    /// Number of coordinates that are given.
    pub context: usize,
    /// Training points.
    pub points: &'a [T],
    /// Points that decide which parameters are kept and when training ends. Hold out whole walkers,
    /// since points of one walker resemble one another. If it is empty, the last step's parameters
    /// are kept.
    pub held_out: &'a [T],
}

/// How a fit went. Log-likelihoods are means per point, in nats, given the context.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FlowReport {
    /// Number of training points.
    pub points: usize,
    /// Number of held-out points.
    pub held_out: usize,
    /// Steps taken.
    pub steps: usize,
    /// The step whose parameters were kept.
    pub best_step: usize,
    /// Steps whose gradient was clipped.
    pub clipped: usize,
    /// Held-out log-likelihood at the start; like the next field, NaN without held-out points.
    pub start_log_likelihood: f64,
    /// Held-out log-likelihood of the parameters that were kept.
    pub log_likelihood: f64,
    /// Log-likelihood of the kept parameters on the training points.
    pub train_log_likelihood: f64,
}

/// Fits the parameters of `flow` to points, starting from `start`; `progress` is called with the
/// number of steps done, and may end the fit ([`Answer`]). Random numbers only order the points.
/// They come from [`Phase::DEFORM`], index `e` for epoch `e`, counted from 1.
///
/// # Errors
/// If there are no points, a length does not fit the flow, or a setting is out of range.
/// [`Error::Diverged`] if the gradient stops being finite.
/// That of `progress`, if it ends the work.
pub fn fit_flow<T: Scalar, R: Answer>(
    flow: &dyn Bijection,
    start: &[f64],
    data: FlowData<'_, T>,
    options: &FlowTrainOptions,
    streams: Streams,
    mut progress: impl FnMut(usize) -> R,
) -> Result<(Vec<T>, FlowReport)> {
    fit_in(flow, start, data, options, streams, &mut |step| {
        progress(step).result()
    })
}

/// [`fit_flow`], compiled once for all that `progress` may be.
fn fit_in<T: Scalar>(
    flow: &dyn Bijection,
    start: &[f64],
    data: FlowData<'_, T>,
    options: &FlowTrainOptions,
    streams: Streams,
    progress: &mut dyn FnMut(usize) -> Result<()>,
) -> Result<(Vec<T>, FlowReport)> {
    options.validate()?;
    let dim = flow.dim();
    let mut params: Vec<T> = start.iter().map(|&p| T::from_f64(p)).collect();
    let density = FlowDensity::new(flow, data.context)?;
    let mean = |params: &[T], points: &[T]| -> Result<f64> {
        let all = density.log_density(params, points)?;
        Ok(all.iter().sum::<f64>() / all.len() as f64)
    };
    let first = mean(&params, data.held_out)?;
    density.check(&params, data.points)?;
    let n = data.points.len() / dim;
    if n == 0 {
        return Err(Error::data("a flow needs points to be fitted to, got none"));
    }
    let rows = options.batch_rows.min(n);
    let mut batches = Batches::new(flow, data.context, rows)?;
    let mut adam = Adam::new(params.len(), AdamOptions::default())?;
    let mut order: Vec<usize> = (0..n).collect();
    let (mut best, mut best_step, mut kept) = (first, 0, params.clone());
    let (mut step, mut clipped, mut epoch) = (0, 0, 0);
    let mut gradient = vec![T::ZERO; params.len()];
    while step < options.steps {
        let at = step % (n / rows);
        if at == 0 && rows < n {
            epoch += 1;
            order.shuffle(&mut streams.rng(Phase::DEFORM, epoch));
        }
        let batch = &order[at * rows..(at + 1) * rows];
        batches.gradient(&params, data.points, batch, &mut gradient)?;
        axpy(options.weight_decay, &params, &mut gradient);
        if first_non_finite(&gradient).is_some() {
            let at = Descent {
                what: "training of the flow",
                step,
                gradients: step + 1,
                advice: "a smaller learning_rate may help",
            };
            return Err(at.diverged("gradient"));
        }
        if let Some(longest) = options.clip_norm {
            clipped += usize::from(clip_by_norm(&mut gradient, longest) > longest);
        }
        let rate = options.learning_rate * options.schedule.factor(step, options.steps);
        adam.step(rate, &gradient, &mut params)?;
        step += 1;
        progress(step).result()?;
        if data.held_out.is_empty() {
            continue;
        }
        if step.is_multiple_of(options.check_every) || step == options.steps {
            let now = mean(&params, data.held_out)?;
            if now > best {
                (best, best_step) = (now, step);
                kept.copy_from_slice(&params);
            } else if step - best_step >= options.patience * options.check_every {
                break;
            }
        }
    }
    if data.held_out.is_empty() {
        (best_step, kept) = (step, params);
    }
    let report = FlowReport {
        points: n,
        held_out: data.held_out.len() / dim,
        steps: step,
        best_step,
        clipped,
        start_log_likelihood: first,
        log_likelihood: best,
        train_log_likelihood: mean(&kept, data.points)?,
    };
    Ok((kept, report))
}

/// `log q` of the rows of a batch (`[n]`, without the constant), given their first `context`
/// coordinates.
fn log_density<'g>(flow: &dyn Bijection, context: usize, params: Var<'g>, y: Var<'g>) -> Var<'g> {
    let (z, log_det) = flow.inverse(params, y);
    let z = z.slice(1, context..flow.dim());
    log_det - z.square().sum_axis(1) * 0.5
}

/// Writes rows of `points` as columns of `memory` (`[dim, rows]`); missing rows repeat the first
/// one.
fn fill<T: Scalar>(memory: &mut [T], points: &[T], dim: usize, rows: &[usize]) {
    let width = memory.len() / dim.max(1);
    for i in 0..width {
        let row = rows.get(i).or(rows.first()).copied().unwrap_or(0);
        for (j, &x) in points[row * dim..(row + 1) * dim].iter().enumerate() {
            memory[j * width + i] = x;
        }
    }
}

/// The density of a bijection's image of N(0, I), given a context, at any parameters.
pub struct FlowDensity<T> {
    dim: usize,
    params: usize,
    constant: f64,
    program: Program<T>,
}

impl<T: Scalar> FlowDensity<T> {
    /// The density over the coordinates of `flow` that come after the first `context`.
    ///
    /// # Errors
    /// If nothing comes after the context.
    pub fn new(flow: &dyn Bijection, context: usize) -> Result<Self> {
        let (dim, params) = (flow.dim(), flow.param_count());
        if context >= dim {
            let requirement = format!(
                "must be below the {} of the flow",
                counted(dim, "coordinate")
            );
            return Err(Error::config("context", context, &requirement));
        }
        let graph = Graph::new();
        let (p, y) = (graph.input(&[params]), graph.input(&[dim, PIECE]));
        let log_density = log_density(flow, context, p, y.batch_first());
        Ok(Self {
            dim,
            params,
            constant: -0.5 * (dim - context) as f64 * (2.0 * std::f64::consts::PI).ln(),
            program: graph.compile(&[log_density])?,
        })
    }

    fn check(&self, params: &[T], points: &[T]) -> Result<()> {
        if params.len() != self.params {
            let expected = format!("{} of the flow", counted(self.params, "parameter"));
            return Err(Error::shape("FlowDensity", expected, params.len()));
        }
        if !points.len().is_multiple_of(self.dim) {
            let expected = format!("rows of {}", counted(self.dim, "number"));
            return Err(Error::shape("FlowDensity", expected, points.len()));
        }
        Ok(())
    }

    /// `log q` of rows (`[n, dim]`, the context first), in nats.
    ///
    /// # Errors
    /// If a length does not fit the flow.
    pub fn log_density(&self, params: &[T], points: &[T]) -> Result<Vec<f64>> {
        self.check(params, points)?;
        let start = || {
            let memory = vec![T::ZERO; self.dim * PIECE];
            (self.program.workspace(), memory, (0..PIECE).collect())
        };
        let pieces: Vec<&[T]> = points.chunks(self.dim * PIECE).collect();
        let one = |(ws, memory, rows): &mut (_, Vec<T>, Vec<usize>), i: usize| {
            let n = pieces[i].len() / self.dim;
            fill(memory, pieces[i], self.dim, &rows[..n]);
            self.program.run(&[params, memory], ws)?;
            let all = &self.program.tensor(ws, 0)?[..n];
            Ok(all.iter().map(|l| l.to_f64() + self.constant).collect())
        };
        let all: Vec<Vec<f64>> = parallel::try_map_with(pieces.len(), start, one)?;
        Ok(all.concat())
    }
}

/// Gradients of a batch: its pieces, each with a workspace.
struct Batches<T> {
    dim: usize,
    rows: usize,
    program: Program<T>,
    pieces: Vec<Piece<T>>,
}

struct Piece<T> {
    ws: Workspace<T>,
    /// `[dim, rows]`.
    memory: Vec<T>,
    /// The weight of each row in the mean; 0 for rows that only fill the piece.
    weights: Vec<T>,
}

impl<T: Scalar> Batches<T> {
    fn new(flow: &dyn Bijection, context: usize, batch: usize) -> Result<Self> {
        let dim = flow.dim();
        let count = batch.div_ceil(PIECE);
        let rows = batch.div_ceil(count);
        let graph = Graph::new();
        let p = graph.input(&[flow.param_count()]);
        let y = graph.input(&[dim, rows]).batch_first();
        let weights = graph.input(&[rows]);
        let loss = -(log_density(flow, context, p, y) * weights).sum();
        let program: Program<T> = graph.compile(&graph.grad(loss, &[p])?)?;
        let piece = |i: usize| Piece {
            ws: program.workspace(),
            memory: vec![T::ZERO; dim * rows],
            weights: (i * rows..(i + 1) * rows)
                .map(|at| T::from_f64(if at < batch { 1.0 / batch as f64 } else { 0.0 }))
                .collect(),
        };
        Ok(Self {
            dim,
            rows,
            pieces: (0..count).map(piece).collect(),
            program,
        })
    }

    /// The gradient of the mean over the points with these indices.
    fn gradient(
        &mut self,
        params: &[T],
        points: &[T],
        batch: &[usize],
        out: &mut [T],
    ) -> Result<()> {
        let (dim, program) = (self.dim, &self.program);
        let parts = self.pieces.iter_mut().zip(batch.chunks(self.rows));
        parallel::try_for_each(parts, |_, (piece, rows)| {
            fill(&mut piece.memory, points, dim, rows);
            program.run(&[params, &piece.memory, &piece.weights], &mut piece.ws)
        })?;
        out.fill(T::ZERO);
        for piece in &self.pieces {
            axpy(1.0, program.tensor(&piece.ws, 0)?, out);
        }
        Ok(())
    }
}
