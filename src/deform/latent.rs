//! A latent model of the points of a walk: an autoencoder, and a law over its codes.
//!
//! The paper's public description has a structured latent posterior with autoencoder-based latent
//! representations. This is that idea in a plain form, to compare with:
//!
//! ```text
//! g = B D^{-1/2} (theta - mu)            leading principal coordinates of a point, [K]  (Frame)
//! c = E g + e(g)                         its code, [L]
//! g' = E^T c + d(c)                      the code decoded
//! loss = mean |g - g'|^2 / K             over the points of some walkers; the others stop it
//! c ~ N(m, S)                            the law of the codes of all points
//! theta' = mu + D^{1/2} B^T g'           a draw
//! ```
//!
//! `E` takes the first `L` coordinates, `e` and `d` are networks with one hidden layer of tanh,
//! whose last layers start at zero. So the start is principal component analysis, the best linear
//! code, and training can only improve on it where held-out walkers agree.
//!
//! Reference: autoencoders as nonlinear principal components, Kramer, AIChE Journal 37 (1991).
//!
//! What it drops: all that `K` directions and `L` numbers do not hold. A draw lies on a surface of
//! `L` dimensions, so it has no density over parameters, and its spread is too small unless the
//! rest does not matter. What is ours: the residual form, the Gaussian law, and which walkers are
//! held out; the paper does not say.

use super::Frame;
use super::frame::FrameOptions;
use super::train::{gather, split_by_walker};
use crate::autodiff::{Graph, Program, Var};
use crate::error::{Error, Result};
use crate::linalg::Cholesky;
use crate::linalg::vector::first_non_finite;
use crate::model::PointsOf;
use crate::nn::{Activation, Mlp, Network};
use crate::optim::{Adam, AdamOptions, Answer, Decay, Descent, Optimizer, Schedule};
use crate::rng::{Phase, Streams, fill_normal};
use crate::scalar::Scalar;

/// Settings of a latent model.
#[derive(Clone, Debug, PartialEq)]
pub struct LatentOptions {
    /// Most principal coordinates, `K`.
    pub directions: usize,
    /// Most numbers of a code, `L`. It is half of the coordinates at most.
    pub codes: usize,
    /// Hidden units of encoder and decoder.
    pub hidden: usize,
    /// Most gradient steps.
    pub steps: usize,
    /// The full learning rate, from which it falls along a cosine.
    pub learning_rate: f64,
    /// Steps between two looks at the held-out walkers.
    pub check_every: usize,
    /// Looks without improvement after which training ends.
    pub patience: usize,
}

impl Default for LatentOptions {
    fn default() -> Self {
        Self {
            directions: 64,
            codes: 16,
            hidden: 64,
            steps: 2_000,
            learning_rate: 2e-3,
            check_every: 20,
            patience: 10,
        }
    }
}

/// How a latent model was trained. Errors are mean squares of a coordinate, in units of the walk's
/// scales, over held-out walkers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LatentReport {
    /// `K` and `L`.
    pub sizes: [usize; 2],
    /// Steps of training.
    pub steps: usize,
    /// The step whose parameters were kept.
    pub best_step: usize,
    /// The error of principal component analysis with as many numbers.
    pub linear_error: f64,
    /// The error of the model.
    pub error: f64,
}

/// A trained autoencoder, and the law of its codes.
pub struct Latent<T> {
    frame: Frame<T>,
    nets: Nets,
    params: Vec<T>,
    /// `m`, and the Cholesky factor of `S`.
    law: (Vec<f64>, Cholesky),
}

/// Encoder and decoder. Their parameters follow one another.
struct Nets {
    encoder: Mlp,
    decoder: Mlp,
}

/// Variance that is added to each code, relative to the largest: codes may not vary.
const JITTER: f64 = 1e-9;

impl Nets {
    fn new(k: usize, l: usize, hidden: usize) -> Result<Self> {
        Ok(Self {
            encoder: Mlp::new(&[k, hidden, l], Activation::Tanh)?,
            decoder: Mlp::new(&[l, hidden, k], Activation::Tanh)?,
        })
    }

    fn sizes(&self) -> [usize; 2] {
        [self.encoder.input_dim(), self.encoder.output_dim()]
    }

    fn count(&self) -> usize {
        self.encoder.dim() + self.decoder.dim()
    }

    /// Initial parameters: the last layers are zero.
    fn init<T: Scalar>(&self, streams: Streams) -> Vec<T> {
        let mut rng = streams.rng(Phase::DEFORM, LATENT);
        let mut all = Vec::with_capacity(self.count());
        for net in [&self.encoder, &self.decoder] {
            let mut params = net.init(&mut rng);
            let tensors = net.layout().tensors();
            for last in tensors.iter().rev().take(2) {
                params[last.range.clone()].fill(0.0);
            }
            all.extend(params.into_iter().map(T::from_f64));
        }
        all
    }

    /// Codes of coordinates `[rows, K]`.
    fn encode<'g>(&self, params: Var<'g>, g: Var<'g>) -> Var<'g> {
        let own = params.slice(0, 0..self.encoder.dim());
        g.slice(1, 0..self.sizes()[1]) + self.encoder.forward(own, g)
    }

    /// Coordinates of codes `[rows, L]`.
    fn decode<'g>(&self, params: Var<'g>, codes: Var<'g>, zeros: Var<'g>) -> Var<'g> {
        let own = params.slice(0, self.encoder.dim()..self.count());
        let linear = codes.graph().concat(1, &[codes, zeros]);
        linear + self.decoder.forward(own, codes)
    }

    /// Zeros for the coordinates that a code does not hold, `[rows, K - L]`.
    fn zeros<'g>(&self, graph: &'g Graph, rows: usize) -> Var<'g> {
        let [k, l] = self.sizes();
        graph.tensor(&[rows, k - l], vec![0.0; rows * (k - l)])
    }
}

/// The stream of the initial parameters.
const LATENT: u64 = 1 << 32;

/// Loss, its gradient and codes on a fixed set of rows.
struct Rows<T> {
    coordinates: Vec<T>,
    loss: Program<T>,
    codes: Program<T>,
}

impl<T: Scalar> Rows<T> {
    fn new(nets: &Nets, coordinates: Vec<T>) -> Result<Self> {
        let [k, _] = nets.sizes();
        let rows = coordinates.len() / k;
        let graph = Graph::new();
        let (params, g) = (graph.input(&[nets.count()]), graph.input(&[rows, k]));
        let codes = nets.encode(params, g);
        let off = g - nets.decode(params, codes, nets.zeros(&graph, rows));
        let loss = off.square().sum() * (1.0 / (rows * k) as f64);
        let gradient = graph.grad(loss, &[params])?;
        Ok(Self {
            loss: graph.compile(&[&[loss], &gradient[..]].concat())?,
            codes: graph.compile(&[codes])?,
            coordinates,
        })
    }
}

/// Fits a latent model to the points of a walk, all parameters of a row together. `progress` is
/// called after every step with the number of steps done, and may end the training ([`Answer`]).
///
/// # Errors
/// If a setting is 0 or out of range, there are points of fewer than two walkers, they do not
/// differ, or training diverges; that of `progress`.
pub fn fit_latent<T: Scalar, R: Answer>(
    points: PointsOf<'_, T>,
    options: &LatentOptions,
    streams: Streams,
    mut progress: impl FnMut(usize) -> R,
) -> Result<(Latent<T>, LatentReport)> {
    let counts = [
        ("directions", options.directions),
        ("codes", options.codes),
        ("hidden", options.hidden),
        ("check_every", options.check_every),
    ];
    if let Some((field, value)) = counts.into_iter().find(|c| c.1 == 0) {
        return Err(Error::config(field, value, "must be positive"));
    }
    let (dim, order) = (points.dim(), (0..points.dim()).collect::<Vec<usize>>());
    let (training, held_out, walkers) = split_by_walker(points.particles())?;
    let training = gather(points, &training, &order)?;
    let held_out = gather(points, &held_out, &order)?;
    let frame = FrameOptions {
        directions: options.directions,
        ..FrameOptions::default()
    };
    let frame = Frame::principal(&training, dim, walkers, &frame)?;
    let k = frame.directions();
    if k < 2 {
        let requirement = "of the walk's points must be at least 2 for a code";
        return Err(Error::config("directions", k, requirement));
    }
    let nets = Nets::new(k, options.codes.min(k / 2), options.hidden)?;
    let coordinates = |rows: &[T]| -> Vec<T> {
        let rows = rows.chunks_exact(dim);
        rows.flat_map(|row| frame.coordinates(row).0).collect()
    };
    let (training, held_out) = (coordinates(&training), coordinates(&held_out));
    let all = [&training[..], &held_out[..]].concat();
    let train = Rows::new(&nets, training)?;
    let look = Rows::new(&nets, held_out)?;
    let (mut memory, mut check) = (train.loss.workspace(), look.loss.workspace());
    let mut params = nets.init::<T>(streams);
    let mut error = |params: &[T]| -> Result<f64> {
        look.loss.run(&[params, &look.coordinates], &mut check)?;
        look.loss.scalar(&check, 0)
    };
    let first = error(&params)?;
    let (mut best, mut kept) = ((first, 0), params.clone());
    let mut adam = Adam::new(params.len(), AdamOptions::default())?;
    let schedule = Schedule {
        warmup: 0.02,
        decay: Decay::Cosine,
    };
    let mut steps = 0;
    while steps < options.steps {
        train
            .loss
            .run(&[&params, &train.coordinates], &mut memory)?;
        let gradient = train.loss.tensor(&memory, 1)?;
        if first_non_finite(gradient).is_some() {
            let at = Descent {
                what: "training of the latent model",
                step: steps,
                gradients: steps + 1,
                advice: "a smaller learning_rate may help",
            };
            return Err(at.diverged("gradient"));
        }
        let rate = options.learning_rate * schedule.factor(steps, options.steps);
        adam.step(rate, gradient, &mut params)?;
        steps += 1;
        progress(steps).result()?;
        if steps.is_multiple_of(options.check_every) || steps == options.steps {
            let now = error(&params)?;
            if now < best.0 {
                best = (now, steps);
                kept.copy_from_slice(&params);
            } else if steps - best.1 >= options.patience * options.check_every {
                break;
            }
        }
    }
    let law = law(&Rows::new(&nets, all)?, &kept, nets.sizes()[1])?;
    let report = LatentReport {
        sizes: nets.sizes(),
        steps,
        best_step: best.1,
        linear_error: first,
        error: best.0,
    };
    let latent = Latent {
        frame,
        nets,
        params: kept,
        law,
    };
    Ok((latent, report))
}

/// Mean and covariance of the codes of some rows.
fn law<T: Scalar>(rows: &Rows<T>, params: &[T], l: usize) -> Result<(Vec<f64>, Cholesky)> {
    let mut ws = rows.codes.workspace();
    rows.codes.run(&[params, &rows.coordinates], &mut ws)?;
    let codes = rows.codes.tensor(&ws, 0)?;
    let n = (codes.len() / l) as f64;
    let mut mean = vec![0.0; l];
    for code in codes.chunks_exact(l) {
        mean.iter_mut()
            .zip(code)
            .for_each(|(m, c)| *m += c.to_f64() / n);
    }
    let mut covariance = vec![0.0; l * l];
    for code in codes.chunks_exact(l) {
        for (i, row) in covariance.chunks_exact_mut(l).enumerate() {
            let off = (code[i].to_f64() - mean[i]) / (n - 1.0).max(1.0);
            let others = code.iter().zip(&mean);
            row.iter_mut()
                .zip(others)
                .for_each(|(s, (c, m))| *s += off * (c.to_f64() - m));
        }
    }
    let largest = (0..l).map(|i| covariance[i * l + i]).fold(0.0, f64::max);
    for i in 0..l {
        covariance[i * l + i] += JITTER * largest.max(f64::MIN_POSITIVE);
    }
    Ok((mean, Cholesky::new(&covariance, l)?))
}

impl<T: Scalar> Latent<T> {
    /// Number of parameters of a draw.
    pub fn dim(&self) -> usize {
        self.frame.dim()
    }

    /// `count` decoded draws of the codes' law, `[count, dim]`. Draw `i` depends only on the seed
    /// and `i`.
    ///
    /// # Errors
    /// If `count` is 0, or a draw is not finite.
    pub fn sample(&self, count: usize, streams: Streams) -> Result<Vec<T>> {
        if count == 0 {
            return Err(Error::config("samples", 0, "must be positive"));
        }
        let [k, l] = self.nets.sizes();
        let (mean, factor) = &self.law;
        let mut codes: Vec<T> = Vec::with_capacity(count * l);
        let (mut z, mut moved) = (vec![0.0f64; l], vec![0.0; l]);
        for i in 0..count {
            fill_normal(&mut streams.rng(Phase::SAMPLE, i as u64), &mut z);
            factor.multiply(&z, &mut moved);
            codes.extend(moved.iter().zip(mean).map(|(x, m)| T::from_f64(x + m)));
        }
        let graph = Graph::new();
        let (params, input) = (graph.input(&[self.nets.count()]), graph.input(&[count, l]));
        let decoded = self
            .nets
            .decode(params, input, self.nets.zeros(&graph, count));
        let program: Program<T> = graph.compile(&[decoded])?;
        let mut ws = program.workspace();
        program.run(&[&self.params, &codes], &mut ws)?;
        let none = vec![T::ZERO; self.dim()];
        let rows = program.tensor(&ws, 0)?.chunks_exact(k);
        let theta: Vec<T> = rows.flat_map(|g| self.frame.place(g, &none)).collect();
        match first_non_finite(&theta) {
            None => Ok(theta),
            Some(index) => Err(Error::NonFinite {
                what: "draws of the latent model",
                index,
            }),
        }
    }
}

#[cfg(test)]
#[path = "latent_tests.rs"]
mod tests;
