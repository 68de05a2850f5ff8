//! Trains the framed flow on points of several walkers.
//!
//! It learns the density of the *hidden* parameters; the last layer has its conditional. With the
//! frame fixed, the complement's part of the density is in closed form. What remains to learn is
//! the flow on `K` coordinates, by maximum likelihood ([`fit_flow`]). Every fifth walker is held
//! out with all its points, because points of one walker resemble one another. Training starts from
//! a diagonal Gaussian fitted to the coordinates, so the result is never worse than that Gaussian
//! on held-out walkers.

use super::{
    Bijection, FlowData, FlowKind, FlowOptions, FlowTrainOptions, Frame, FrameOptions, FramedFlow,
    coupling_flow, draw_mixing, fit_flow,
};
use crate::error::{Error, Result};
use crate::model::PointsOf;
use crate::optim::{Answer, Decay, Schedule};
use crate::rng::{Phase, Streams};
use crate::scalar::Scalar;

/// Settings of a deformation and its training.
#[derive(Clone, Debug)]
pub struct TrainOptions {
    /// The frame.
    pub frame: FrameOptions,
    /// What the layers of the flow do.
    pub kind: FlowKind,
    /// Pairs of coupling layers, with a rotation after each.
    pub blocks: usize,
    /// Hidden widths of the conditioners.
    pub hidden: Vec<usize>,
    /// Largest number of gradient steps.
    pub steps: usize,
    /// Points of a batch; all of them if there are fewer.
    pub batch_rows: usize,
    /// The full learning rate, from which it falls along a cosine.
    pub learning_rate: f64,
    /// Precision of a Gaussian prior on the flow's parameters, per training point.
    pub weight_decay: f64,
    /// Steps between two checks on the held-out walkers.
    pub check_every: usize,
    /// Checks without improvement after which training ends.
    pub patience: usize,
}

impl Default for TrainOptions {
    fn default() -> Self {
        Self {
            frame: FrameOptions::default(),
            kind: FlowKind::Affine,
            blocks: 3,
            hidden: vec![32],
            steps: 2_000,
            batch_rows: 4_096,
            learning_rate: 2e-3,
            weight_decay: 1e-3,
            check_every: 10,
            patience: 20,
        }
    }
}

impl TrainOptions {
    fn of_flow(&self) -> FlowTrainOptions {
        FlowTrainOptions {
            steps: self.steps,
            batch_rows: self.batch_rows,
            learning_rate: self.learning_rate,
            schedule: Schedule::from(Decay::Cosine),
            weight_decay: self.weight_decay,
            check_every: self.check_every,
            patience: self.patience,
            ..FlowTrainOptions::default()
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
    /// Held-out mean log-likelihood of the parameters that were kept.
    pub log_likelihood: f64,
    /// Mean log-likelihood of the kept parameters on the training points.
    pub train_log_likelihood: f64,
}

/// Trains the flow of the first `hidden_dim` parameters on the points of a walk
/// ([`Walk::points_of`](crate::walk::Walk::points_of)). `directions` (`[*, P]`) are the normal
/// directions of the fiber; only their hidden part is used. `progress` is called with the number of
/// steps done, and may end the training ([`Answer`]).
///
/// # Errors
/// If there are points of fewer than two walkers, a setting is out of range, or the loss
/// stops being finite; that of `progress`.
pub fn train<T: Scalar, R: Answer>(
    points: PointsOf<'_, T>,
    hidden_dim: usize,
    directions: &[T],
    options: &TrainOptions,
    streams: Streams,
    mut progress: impl FnMut(usize) -> R,
) -> Result<(FramedFlow<T>, TrainReport)> {
    let split = Split::new(points, hidden_dim)?;
    let directions: Vec<T> = directions
        .chunks_exact(points.dim())
        .flat_map(|row| &row[..hidden_dim])
        .copied()
        .collect();
    let frame = Frame::fit(
        &split.training,
        hidden_dim,
        split.walkers,
        &directions,
        &options.frame,
    )?;
    train_in(frame, &split, options, streams, &mut |step| {
        progress(step).result()
    })
}

/// The same with the principal directions of the points ([`Frame::principal`]). Their number is the
/// one that gives held-out walkers the highest likelihood under a Gaussian:
/// `options.frame.directions`, a half, a quarter... of it, or 0.
///
/// # Errors
/// Those of [`train`].
pub fn train_principal<T: Scalar, R: Answer>(
    points: PointsOf<'_, T>,
    hidden_dim: usize,
    options: &TrainOptions,
    streams: Streams,
    mut progress: impl FnMut(usize) -> R,
) -> Result<(FramedFlow<T>, TrainReport)> {
    let split = Split::new(points, hidden_dim)?;
    let frame = |directions: usize| {
        let options = FrameOptions {
            directions,
            ..options.frame
        };
        Frame::principal(&split.training, hidden_dim, split.walkers, &options)
    };
    let gaussian = TrainOptions {
        steps: 0,
        ..options.clone()
    };
    let (mut best, mut best_likelihood) = (0, f64::NEG_INFINITY);
    let mut count = options.frame.directions;
    loop {
        let (_, report) = train_in(frame(count)?, &split, &gaussian, streams, &mut |_| Ok(()))?;
        if report.log_likelihood > best_likelihood {
            (best, best_likelihood) = (count, report.log_likelihood);
        }
        if count == 0 {
            break;
        }
        count /= 2;
    }
    train_in(frame(best)?, &split, options, streams, &mut |step| {
        progress(step).result()
    })
}

/// The hidden parameters of training and held-out walkers.
struct Split<T> {
    dim: usize,
    training: Vec<T>,
    held_out: Vec<T>,
    /// Training walkers.
    walkers: usize,
}

impl<T: Scalar> Split<T> {
    fn new(points: PointsOf<'_, T>, hidden_dim: usize) -> Result<Self> {
        if hidden_dim == 0 || hidden_dim > points.dim() {
            let requirement = format!("must be in 1..={}", points.dim());
            return Err(Error::config("hidden_dim", hidden_dim, &requirement));
        }
        let (training, held_out, walkers) = split_by_walker(points.particles())?;
        let order: Vec<usize> = (0..hidden_dim).collect();
        Ok(Self {
            dim: hidden_dim,
            training: gather(points, &training, &order)?,
            held_out: gather(points, &held_out, &order)?,
            walkers,
        })
    }
}

/// Trains the flow on the directions of a frame.
fn train_in<T: Scalar>(
    frame: Frame<T>,
    split: &Split<T>,
    options: &TrainOptions,
    streams: Streams,
    progress: &mut dyn FnMut(usize) -> Result<()>,
) -> Result<(FramedFlow<T>, TrainReport)> {
    let (k, hidden_dim) = (frame.directions(), split.dim);
    let mut rng = streams.rng(Phase::DEFORM, 0);
    // without directions there is nothing to mix
    let blocks = if k == 0 { 0 } else { options.blocks };
    let mixing = draw_mixing(k, blocks, &mut rng);
    let flow_options = FlowOptions {
        kind: options.kind,
        hidden: options.hidden.clone(),
        context: 0,
    };
    let flow = coupling_flow(k, &mixing, &flow_options)?;
    let coordinates = |points: &[T]| -> Vec<T> {
        points
            .chunks_exact(hidden_dim)
            .flat_map(|p| frame.coordinates(p).0)
            .collect()
    };
    let learned = coordinates(&split.training);
    let mut start = flow.init(&mut rng);
    fit_diagonal(&learned, k, &mut start);
    // steps taken, the best step, and the held-out gain over the start
    let (mut params, mut figures) = (Vec::new(), (0, 0, 0.0));
    if k > 0 {
        let data = FlowData {
            context: 0,
            points: &learned,
            held_out: &coordinates(&split.held_out),
        };
        let (fitted, report) =
            fit_flow(&flow, &start, data, &options.of_flow(), streams, progress)?;
        params = fitted;
        let gain = report.log_likelihood - report.start_log_likelihood;
        figures = (report.steps, report.best_step, gain);
    }
    let hidden = options.hidden.clone();
    let flow = FramedFlow::of_kind(options.kind, frame, hidden, mixing, params)?;
    let mean = |points: &[T]| -> Result<f64> {
        let all = flow.log_density(points)?;
        Ok(all.iter().sum::<f64>() / all.len() as f64)
    };
    let log_likelihood = mean(&split.held_out)?;
    let report = TrainReport {
        points: split.training.len() / hidden_dim,
        held_out: split.held_out.len() / hidden_dim,
        directions: k,
        steps: figures.0,
        best_step: figures.1,
        // the complement's part is the same for both
        gaussian_log_likelihood: log_likelihood - figures.2,
        log_likelihood,
        train_log_likelihood: mean(&split.training)?,
    };
    Ok((flow, report))
}

/// The parameters `order`, in this order, of the points `rows`.
///
/// # Errors
/// If there is no such parameter or point.
pub(super) fn gather<T: Scalar>(
    points: PointsOf<'_, T>,
    rows: &[usize],
    order: &[usize],
) -> Result<Vec<T>> {
    if let Some(&at) = order.iter().find(|&&at| at >= points.dim()) {
        let expected = format!("parameters below {}", points.dim());
        return Err(Error::shape("points of a flow", expected, at));
    }
    let mut all = Vec::with_capacity(rows.len() * order.len());
    for &i in rows {
        let point = points.point(i)?;
        all.extend(order.iter().map(|&at| point[at]));
    }
    Ok(all)
}

/// Rows of training and held-out walkers, and the number of training walkers. `walkers` are those
/// of the points.
pub(super) fn split_by_walker(walkers: &[usize]) -> Result<(Vec<usize>, Vec<usize>, usize)> {
    let mut present = walkers.to_vec();
    // points are in order of time, so those of a walker are apart
    present.sort_unstable();
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
        (0..walkers.len()).partition(|&i| is_held_out(walkers[i]));
    Ok((training, held_out, present.len() - present.len() / stride))
}

/// Sets the diagonal map at the end of the flow, whose parameters come last, to the points'
/// standard deviations and means.
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
