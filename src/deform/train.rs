//! Maximum likelihood on the points of a walk.
//!
//! Learned is the density of the *hidden* parameters (the last layer has its conditional). With the frame fixed, the complement's part of the density is in closed form, and what is left to learn is the flow on
//! `K` coordinates: minimise `-mean_i [log N(flow^{-1}(g_i); 0, I_K) + log |det dflow^{-1}|]` over the points of the
//! training walkers, by Adam on all of them. Every fifth walker is held out, with all its points (points of one walker
//! resemble one another); the parameters that are best on these are kept, and training ends when they have not improved
//! for a while. Step 0 is a diagonal Gaussian fitted to the coordinates, so the result is never worse than that on
//! held-out walkers.

use rand::Rng;

use super::{Bijection, Frame, FrameOptions, FramedFlow, coupling_flow};
use crate::autodiff::{Graph, Program};
use crate::error::{Error, Result};
use crate::linalg::random_orthogonal;
use crate::optim::{Adam, AdamOptions, Optimizer};
use crate::rng::{Phase, Streams};
use crate::scalar::Scalar;
use crate::walk::Walk;

/// Settings of a deformation and its training.
#[derive(Clone, Debug)]
pub struct TrainOptions {
    /// The frame.
    pub frame: FrameOptions,
    /// Pairs of coupling layers, with a rotation after each.
    pub blocks: usize,
    /// Hidden widths of the conditioners.
    pub hidden: Vec<usize>,
    /// Largest number of gradient steps.
    pub steps: usize,
    /// Learning rate.
    pub learning_rate: f64,
    /// Precision of a Gaussian prior on the flow's parameters, per training point.
    pub weight_decay: f64,
    /// Steps between two looks at the held-out walkers.
    pub check_every: usize,
    /// Looks without improvement after which training ends.
    pub patience: usize,
}

impl Default for TrainOptions {
    fn default() -> Self {
        Self {
            frame: FrameOptions::default(),
            blocks: 3,
            hidden: vec![32],
            steps: 2_000,
            learning_rate: 2e-3,
            weight_decay: 1e-3,
            check_every: 10,
            patience: 20,
        }
    }
}

/// How training went. Log-likelihoods are per point, of all hidden parameters, in nats.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TrainReport {
    /// Points of the training walkers.
    pub points: usize,
    /// Points of the held-out walkers.
    pub held_out: usize,
    /// `K`.
    pub directions: usize,
    /// Steps taken.
    pub steps: usize,
    /// The step whose parameters were kept.
    pub best_step: usize,
    /// Held-out mean log-likelihood of the Gaussian at step 0.
    pub gaussian_log_likelihood: f64,
    /// Held-out mean log-likelihood of what was kept.
    pub log_likelihood: f64,
    /// Mean log-likelihood of what was kept on the points it was trained on.
    pub train_log_likelihood: f64,
}

/// Trains the flow of the first `hidden_dim` parameters on the points of a walk; `directions` (`[*, P]`) are the normal
/// directions of the fiber, of which the hidden part is used. `progress` is called with the number of steps done.
///
/// # Errors
/// If the walk has viable points of fewer than two walkers, a setting is out of range, or the loss stops being finite.
pub fn train<T: Scalar>(
    walk: &Walk<T>,
    hidden_dim: usize,
    directions: &[T],
    options: &TrainOptions,
    streams: Streams,
    mut progress: impl FnMut(usize),
) -> Result<(FramedFlow<T>, TrainReport)> {
    if hidden_dim == 0 || hidden_dim > walk.dim {
        let requirement = format!("must be in 1..={}", walk.dim);
        return Err(Error::config("hidden_dim", hidden_dim, &requirement));
    }
    if options.check_every == 0 {
        return Err(Error::config("check_every", 0, "must be positive"));
    }
    let (training, held_out, walkers) = split_by_walker(walk)?;
    let gather = |rows: &[usize]| -> Vec<T> {
        rows.iter()
            .flat_map(|&i| &walk.point(i)[..hidden_dim])
            .copied()
            .collect()
    };
    let directions: Vec<T> = directions
        .chunks_exact(walk.dim)
        .flat_map(|row| &row[..hidden_dim])
        .copied()
        .collect();
    let points = gather(&training);
    let frame = Frame::fit(&points, hidden_dim, walkers, &directions, &options.frame)?;
    let k = frame.directions();
    let mut rng = streams.rng(Phase::DEFORM, 0);
    let mixing: Vec<Vec<f64>> = (0..options.blocks)
        .map(|_| random_orthogonal(k, &mut rng))
        .collect();
    let mut task = Task::new(
        &frame,
        &points,
        &gather(&held_out),
        options,
        &mixing,
        &mut rng,
    )?;

    let gaussian = task.held_out_loss()?;
    let (mut best, mut best_step, mut best_params) = (gaussian, 0, task.params.clone());
    let mut adam = Adam::new(task.params.len(), AdamOptions::default())?;
    let mut step = 0;
    while step < options.steps && k > 0 {
        task.descend(&mut adam, options.learning_rate)?;
        step += 1;
        progress(step);
        if step % options.check_every == 0 {
            let loss = task.held_out_loss()?;
            if loss < best {
                (best, best_step) = (loss, step);
                best_params.copy_from_slice(&task.params);
            } else if step - best_step >= options.patience * options.check_every {
                break;
            }
        }
    }
    let flow = FramedFlow::new(frame, options.hidden.clone(), mixing, best_params)?;
    let mean = |rows: &[usize]| -> Result<f64> {
        let all = flow.log_density(&gather(rows))?;
        Ok(all.iter().sum::<f64>() / all.len() as f64)
    };
    let log_likelihood = mean(&held_out)?;
    let report = TrainReport {
        points: training.len(),
        held_out: held_out.len(),
        directions: k,
        steps: step,
        best_step,
        // the complement's part is the same for both
        gaussian_log_likelihood: log_likelihood - (gaussian - best),
        log_likelihood,
        train_log_likelihood: mean(&training)?,
    };
    Ok((flow, report))
}

/// Rows of training and held-out walkers, and the number of training walkers.
fn split_by_walker<T: Scalar>(walk: &Walk<T>) -> Result<(Vec<usize>, Vec<usize>, usize)> {
    let mut present = walk.particle.clone();
    present.dedup();
    if present.len() < 2 {
        return Err(Error::data(format!(
            "a deformation needs viable points of at least 2 walkers, got {}",
            present.len()
        )));
    }
    // every fifth walker, the last one if there are fewer
    let stride = present.len().min(5);
    let is_held_out = |walker: usize| {
        present
            .iter()
            .position(|&p| p == walker)
            .is_some_and(|at| at % stride == stride - 1)
    };
    let (held_out, training): (Vec<usize>, Vec<usize>) =
        (0..walk.len()).partition(|&i| is_held_out(walk.particle[i]));
    Ok((training, held_out, present.len() - present.len() / stride))
}

/// The flow's own problem in `K` coordinates.
struct Task<T> {
    params: Vec<T>,
    train: Vec<T>,
    held_out: Vec<T>,
    gradient: Program<T>,
    loss: Program<T>,
    ws: crate::autodiff::Workspace<T>,
    loss_ws: crate::autodiff::Workspace<T>,
}

impl<T: Scalar> Task<T> {
    fn new(
        frame: &Frame<T>,
        train: &[T],
        held_out: &[T],
        options: &TrainOptions,
        mixing: &[Vec<f64>],
        rng: &mut impl Rng,
    ) -> Result<Self> {
        let (dim, k) = (frame.dim(), frame.directions());
        let coordinates = |points: &[T]| -> Vec<T> {
            points
                .chunks_exact(dim)
                .flat_map(|p| frame.coordinates(p).0)
                .collect()
        };
        let (train, held_out) = (coordinates(train), coordinates(held_out));
        let flow = coupling_flow(k, &options.hidden, mixing)?;
        let mut params = flow.init(rng);
        fit_diagonal(&train, k, &mut params);
        let compile = |rows: usize, decay: f64| -> Result<(Program<T>, Program<T>)> {
            let graph = Graph::new();
            let (p, y) = (graph.input(&[params.len()]), graph.input(&[rows, k]));
            let (z, log_det) = flow.inverse(p, y);
            let loss = (z.square().sum() * 0.5 - log_det.sum()) / rows.max(1) as f64;
            let objective = loss + p.square().sum() * (0.5 * decay);
            let gradient = graph.grad(objective, &[p])?[0];
            Ok((
                graph.compile(&[objective, gradient])?,
                graph.compile(&[loss])?,
            ))
        };
        let rows = |x: &[T]| x.len() / k.max(1);
        let gradient = compile(rows(&train), options.weight_decay)?.0;
        let loss = compile(rows(&held_out), 0.0)?.1;
        Ok(Self {
            ws: gradient.workspace(),
            loss_ws: loss.workspace(),
            params: params.iter().map(|&p| T::from_f64(p)).collect(),
            train,
            held_out,
            gradient,
            loss,
        })
    }

    fn descend(&mut self, adam: &mut Adam<T>, rate: f64) -> Result<()> {
        self.gradient
            .run(&[&self.params, &self.train], &mut self.ws)?;
        let gradient = self.gradient.tensor(&self.ws, 1);
        if let Some(index) = crate::linalg::vector::first_non_finite(gradient) {
            let what = "gradient of the flow";
            return Err(Error::NonFinite { what, index });
        }
        adam.step(rate, gradient, &mut self.params)
    }

    fn held_out_loss(&mut self) -> Result<f64> {
        self.loss
            .run(&[&self.params, &self.held_out], &mut self.loss_ws)?;
        Ok(self.loss.scalar(&self.loss_ws, 0))
    }
}

/// Sets the diagonal map at the end of the flow, whose parameters come last, to the points' standard deviations and means.
fn fit_diagonal<T: Scalar>(points: &[T], k: usize, params: &mut [f64]) {
    let n = (points.len() / k.max(1)) as f64;
    let start = params.len() - 2 * k;
    for j in 0..k {
        let column = || points.iter().skip(j).step_by(k).map(|x| x.to_f64());
        let mean = column().sum::<f64>() / n;
        let variance = column().map(|x| (x - mean).powi(2)).sum::<f64>() / n;
        params[start + j] = 0.5 * variance.max(1e-12).ln();
        params[start + k + j] = mean;
    }
}
