//! An exchangeable flow over a network's hidden parameters, learned from the points of a walk.

use super::bijection::{in_batches, pulled_back_normal};
use super::train::{gather, split_by_walker};
use super::{
    Bijection, ExchangeableUnits, FlowData, FlowReport, FlowTrainOptions, UnitFlowOptions, augment,
    draw_mixing, fit_flow,
};
use crate::autodiff::{Graph, Program};
use crate::error::{Error, Result, counted};
use crate::linalg::vector::first_non_finite;
use crate::model::PointsOf;
use crate::nn::UnitBlock;
use crate::optim::Answer;
use crate::rng::{Phase, Streams};
use crate::scalar::Scalar;

/// Rows that go through the flow at once. The number is fixed, so that a sample does not depend,
/// bit for bit, on how many are drawn with it.
const BATCH: usize = 16;

/// The rotations of a flow: layer by layer, pair by pair, `[params, params]` each.
pub type UnitMixing = Vec<Vec<Vec<f64>>>;

/// A density over hidden parameters under which the units of a layer are exchangeable.
#[derive(Clone, Debug)]
pub struct UnitFlow<T> {
    blocks: Vec<UnitBlock>,
    options: UnitFlowOptions,
    mixing: UnitMixing,
    params: Vec<T>,
    /// Where coordinate `i` of the flow lies in `theta`.
    order: Vec<usize>,
    forward: Program<T>,
    inverse: Program<T>,
}

impl<T: Scalar> UnitFlow<T> {
    /// A flow from its parts.
    ///
    /// # Errors
    /// If the parts do not fit one another or a parameter is not finite.
    pub fn new(
        blocks: Vec<UnitBlock>,
        options: UnitFlowOptions,
        mixing: UnitMixing,
        params: Vec<T>,
    ) -> Result<Self> {
        let flow = ExchangeableUnits::new(&blocks, &options, &mixing)?;
        if params.len() != flow.param_count() {
            let expected = format!("{} of the flow", counted(flow.param_count(), "parameter"));
            return Err(Error::shape("UnitFlow", expected, params.len()));
        }
        if let Some(index) = first_non_finite(&params) {
            let what = "parameters of the flow";
            return Err(Error::NonFinite { what, index });
        }
        let graph = Graph::new();
        let p = graph.input(&[params.len()]);
        let x = graph.input(&[flow.dim(), BATCH]).batch_first();
        let (y, up) = flow.forward(p, x);
        let (z, down) = flow.inverse(p, x);
        Ok(Self {
            forward: graph.compile(&[y.batch_last(), up])?,
            inverse: graph.compile(&[z.batch_last(), down])?,
            order: blocks.iter().flat_map(|b| &b.index).copied().collect(),
            blocks,
            options,
            mixing,
            params,
        })
    }

    /// Number of parameters that the flow covers.
    pub fn dim(&self) -> usize {
        self.order.len()
    }

    /// Layers of units, settings, rotations, and learned parameters.
    pub fn parts(&self) -> (&[UnitBlock], &UnitFlowOptions, &UnitMixing, &[T]) {
        (&self.blocks, &self.options, &self.mixing, &self.params)
    }

    /// Where each coordinate of the flow lies in `theta`.
    pub fn order(&self) -> &[usize] {
        &self.order
    }

    /// The map, recorded again so that it can be trained further.
    ///
    /// # Errors
    /// Those of [`ExchangeableUnits::new`].
    pub fn bijection(&self) -> Result<ExchangeableUnits> {
        ExchangeableUnits::new(&self.blocks, &self.options, &self.mixing)
    }

    /// The same flow with other parameters.
    ///
    /// # Errors
    /// If their number is wrong, or one is not finite.
    pub fn with_params(&self, params: Vec<T>) -> Result<Self> {
        let parts = (self.blocks.clone(), self.options.clone());
        Self::new(parts.0, parts.1, self.mixing.clone(), params)
    }

    /// Hidden parameters and `log |det|` for rows of `z` (`[n, dim]`).
    ///
    /// # Errors
    /// If `z` is not rows of [`UnitFlow::dim`] numbers.
    pub fn forward(&self, z: &[T]) -> Result<(Vec<T>, Vec<f64>)> {
        let coordinate = |i: usize| i;
        self.run(z, &self.forward, coordinate, |i| self.order[i])
    }

    /// `z` and `log |det dz/dtheta|` for rows of hidden parameters (`[n, dim]`).
    ///
    /// # Errors
    /// If they are not rows of [`UnitFlow::dim`] numbers.
    pub fn inverse(&self, theta: &[T]) -> Result<(Vec<T>, Vec<f64>)> {
        let coordinate = |i: usize| i;
        self.run(theta, &self.inverse, |i| self.order[i], coordinate)
    }

    fn run(
        &self,
        rows: &[T],
        program: &Program<T>,
        from: impl Fn(usize) -> usize + Sync,
        to: impl Fn(usize) -> usize + Sync,
    ) -> Result<(Vec<T>, Vec<f64>)> {
        let dim = self.dim();
        in_batches("UnitFlow", rows, dim, BATCH, |rows| {
            let mut memory = vec![T::ZERO; dim * BATCH];
            for (r, row) in rows.chunks_exact(dim).enumerate() {
                for i in 0..dim {
                    memory[i * BATCH + r] = row[from(i)];
                }
            }
            let mut ws = program.workspace();
            program.run(&[&self.params, &memory], &mut ws)?;
            let (image, log_det) = (program.tensor(&ws, 0)?, program.tensor(&ws, 1)?);
            let mut out = vec![T::ZERO; rows.len()];
            for (r, row) in out.chunks_exact_mut(dim).enumerate() {
                for i in 0..dim {
                    row[to(i)] = image[i * BATCH + r];
                }
            }
            let count = rows.len() / dim;
            Ok((out, log_det[..count].iter().map(|l| l.to_f64()).collect()))
        })
    }

    /// `log q` of rows (`[n, dim]`), in nats.
    ///
    /// # Errors
    /// If the rows have another length.
    pub fn log_density(&self, theta: &[T]) -> Result<Vec<f64>> {
        let (z, log_det) = self.inverse(theta)?;
        Ok(pulled_back_normal(&z, &log_det, self.dim()))
    }
}

/// Settings of the training of a [`UnitFlow`].
#[derive(Clone, Debug)]
pub struct UnitTrainOptions {
    /// The flow.
    pub flow: UnitFlowOptions,
    /// Settings of maximum likelihood. A training point is all hidden parameters of one point of
    /// the walk.
    pub training: FlowTrainOptions,
    /// Copies of every point with random signs of units, for odd nonlinearities.
    pub copies: usize,
}

impl Default for UnitTrainOptions {
    fn default() -> Self {
        Self {
            flow: UnitFlowOptions::default(),
            training: FlowTrainOptions {
                steps: 1_000,
                batch_rows: 32,
                check_every: 50,
                patience: 6,
                ..FlowTrainOptions::default()
            },
            copies: 4,
        }
    }
}

/// Fits an exchangeable flow to the hidden parameters of points by maximum likelihood.
/// Every fifth walker is held out and decides which parameters are kept. `odd` says that the
/// nonlinearity is odd, so that signs of units can be flipped. `progress` is called with the number
/// of steps done, and may end the training ([`Answer`]).
///
/// # Errors
/// If there are points of fewer than two walkers, a setting is out of range, or the loss
/// stops being finite; that of `progress`.
pub fn fit_units<T: Scalar, R: Answer>(
    points: PointsOf<'_, T>,
    blocks: Vec<UnitBlock>,
    odd: bool,
    options: &UnitTrainOptions,
    streams: Streams,
    progress: impl FnMut(usize) -> R,
) -> Result<(UnitFlow<T>, FlowReport)> {
    let order: Vec<usize> = blocks.iter().flat_map(|b| &b.index).copied().collect();
    let (training, held_out, _) = split_by_walker(points.particles())?;
    let mut rng = streams.rng(Phase::DEFORM, 0);
    let mixing: UnitMixing = blocks
        .iter()
        .map(|b| {
            let mut drawn = draw_mixing(b.params, options.flow.blocks, &mut rng);
            // a model file holds these in single precision; the model read back must be the one
            // trained
            let numbers = drawn.iter_mut().flatten();
            numbers.for_each(|x| *x = f64::from(*x as f32));
            drawn
        })
        .collect();
    let flow = ExchangeableUnits::new(&blocks, &options.flow, &mixing)?;
    let copies = if odd { options.copies.max(1) } else { 1 };
    let hidden = |rows: &[usize], rng: &mut _| {
        let rows = gather(points, rows, &order)?;
        Ok::<_, Error>(match odd {
            true => augment(&rows, &blocks, copies, rng),
            false => rows,
        })
    };
    let learned = hidden(&training, &mut rng)?;
    let held_out = hidden(&held_out, &mut rng)?;
    let start = flow.init_from(&learned, &mut rng);
    let data = FlowData {
        context: 0,
        points: &learned,
        held_out: &held_out,
    };
    let (params, report) = fit_flow(&flow, &start, data, &options.training, streams, progress)?;
    let flow = UnitFlow::new(blocks, options.flow.clone(), mixing, params)?;
    Ok((flow, report))
}
