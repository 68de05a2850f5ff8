//! The conditional last layer: a coupling layer whose conditioner is computed, not learned.
//!
//! Given the hidden parameters, the network is linear in its last layer `w`. Its outputs are
//! `Phi w`, where `Phi` (`[N, H + 1]`) holds the features of all training rows and a constant 1.
//! With the prior `w ~ N(0, 1 / alpha)`:
//! - Gaussian likelihood: the conditional posterior is exactly `N(c, A^{-1})`,
//!   `A = Phi^T Phi / noise_std^2 + alpha I`, `c = A^{-1} Phi^T y / noise_std^2`. The evidence with
//!   `w` integrated out is exact too.
//! - Softmax, Bernoulli and Poisson likelihoods: `U(w) = -log p(y, w | theta_h)` is convex in `w`.
//!   Newton's method finds its minimum and the Hessian there. From that Gaussian, one step of
//!   variational inference (`centre`) finds the precision `A = E[H(w)]` and the centre `c` where
//!   `E[grad U(w)] = 0`. This step matters: the posterior leans away from its mode, and Laplace's
//!   Gaussian around the mode is far off when `w` has hundreds of dimensions.
//!
//! The map `w = c(theta_h) + L^{-T} z` with `A = L L^T` passes the hidden block through, and shifts
//! and scales the last layer. `log |det| = -sum log L_ii`, and the inverse is `z = L^T (w - c)`.
//! The map needs the training data.
//!
//! Where scales are part of the posterior ([`LastLayer::with_scales`]), the hidden numbers include
//! them. Then `alpha` differs from feature to feature, and `noise_std` from point to point.
//!
//! What it drops: for likelihoods that are not Gaussian, skewness and heavier tails.

mod centre;
mod closed;
mod features;
mod general;
mod newton;
mod scales;
#[cfg(test)]
mod tests;
mod workspace;

use crate::autodiff::{Graph, Program};
use crate::error::{Column, Error, Result, counted};
use crate::linalg::vector::scale;
use crate::linalg::{Cholesky, check_table, orthonormal_rows};
use crate::model::{ClosedForm, HeadScales, Likelihood, StdFromLogs};
use crate::nn::LinearHead;
use crate::rng::{Phase, Streams, fill_normal};
use crate::scalar::{Scalar, compiled};

use general::GeneralHead;
pub use workspace::LastLayerWorkspace;

/// The conditional posterior of the last layer, as a function of the hidden parameters.
#[derive(Clone, Debug)]
pub struct LastLayer<T> {
    head: Head<T>,
    prior_precision: f64,
    /// Where the hidden numbers determine the prior precision and the noise.
    scales: Option<HeadScales>,
    /// Number of hidden numbers that the network takes.
    network_dim: usize,
    rows: usize,
    /// Number of features, with the constant 1.
    features: usize,
    outputs: usize,
    /// Class indices, for a categorical likelihood.
    labels: Vec<usize>,
    /// Targets of the other closed forms, `[outputs, rows]`.
    targets: Vec<T>,
    /// The same in double precision, times `roots`.
    exact_targets: Vec<f64>,
    /// Square roots of the weights of the rows, `[rows]`, for a Gaussian likelihood. Empty: rows
    /// have no weights, or the likelihood's graph has them.
    roots: Vec<f64>,
    /// Number of target values, each times the weight of its row.
    count: f64,
    /// Terms of the negative log-likelihood that do not depend on outputs and that the head leaves
    /// out, with the noise of the likelihood.
    constant: f64,
    /// Blocks of rows, feature-major; the last block is padded.
    blocks: Vec<Vec<T>>,
    /// Rows of a block.
    block: usize,
    program: Program<T>,
    /// Directions of the draws for averages over the conditional, `[at most 8, dim]`; empty for a
    /// Gaussian likelihood.
    nodes: Vec<f64>,
}

/// How the likelihood is computed.
#[derive(Clone, Debug)]
enum Head<T> {
    /// By loops of this crate.
    Closed(ClosedForm),
    /// By its graph.
    General(Box<GeneralHead<T>>),
}

impl<T> Head<T> {
    fn is_gaussian(&self) -> bool {
        self.noise_std().is_some()
    }

    /// The standard deviation of a Gaussian's noise.
    fn noise_std(&self) -> Option<f64> {
        match self {
            Head::Closed(ClosedForm::Gaussian { noise_std }) => Some(*noise_std),
            Head::Closed(_) | Head::General(_) => None,
        }
    }
}

/// `N(centre, A^{-1})`, by its centre and the Cholesky factor of `A`. Coordinates are
/// `[H + 1, outputs]` row-major, with the bias last.
#[derive(Clone, Copy, Debug)]
pub struct Conditional<'w> {
    /// The mean: exact for a Gaussian likelihood, that of the fitted Gaussian for others.
    pub centre: &'w [f64],
    /// The factor of the precision `A`.
    pub precision: &'w Cholesky,
}

/// Where Newton's method starts.
#[derive(Clone, Copy)]
pub(super) struct Start<'a, T> {
    /// `[H + 1, outputs]`.
    pub mode: &'a [T],
    /// The factor of a Hessian that is close to that of the conditional.
    pub hessian: Option<&'a Cholesky>,
}

/// Largest dimension. The Hessian is dense: at this size it takes half a gigabyte.
const MAX_DIM: usize = 8_192;

/// Largest number of draws in one half of an average; the other half are their reflections.
const NODES: usize = 8;

/// Most rows whose features are computed at once, and most numbers in the widest layer then.
const BLOCK: usize = 1_024;
const BLOCK_NUMBERS: usize = 1 << 20;

compiled!(
    /// Computes the conditional.
    Solve(
        last: &LastLayer<T>,
        theta_h: &[T],
        start: Option<Start<'_, T>>,
        ws: &mut LastLayerWorkspace<T>
    ) -> Result<()> {
        last.compute_features(theta_h, ws)?;
        if last.is_gaussian() {
            return last.gaussian(ws);
        }
        last.newton(start, ws)?;
        last.centre(ws)
    }
);

impl<T: Scalar> LastLayer<T> {
    /// The conditional of `network` under `likelihood`, given rows `x` (`[n, input_dim]`) and
    /// targets `y` (`[n, target_dim]`).
    ///
    /// # Errors
    /// If lengths do not fit, the precision is not positive, a target is impossible, the likelihood
    /// has parameters of its own, or the last layer has more than 8,192 parameters.
    /// [`Error::NonFiniteData`] names row and column of a number that is not finite in `T`.
    pub fn new(
        network: &dyn LinearHead,
        likelihood: &dyn Likelihood,
        prior_precision: f64,
        x: &[f64],
        y: &[f64],
    ) -> Result<Self> {
        let (outputs, d) = (network.output_dim(), network.input_dim());
        if !likelihood.params(outputs).is_empty() {
            let requirement = "has parameters of its own, which a conditional last layer has not";
            return Err(Error::config("likelihood", "given", requirement));
        }
        let m = likelihood.target_dim(outputs).max(1);
        let rows = y.len() / m;
        if x.len() != rows * d || y.len() != rows * m {
            let got = format!(
                "{} and {}",
                counted(x.len(), "number"),
                counted(y.len(), "target")
            );
            let expected = format!(
                "rows of {} and {}",
                counted(d, "feature"),
                counted(m, "target")
            );
            return Err(Error::shape("LastLayer", expected, got));
        }
        if rows == 0 {
            return Err(Error::shape("LastLayer", "at least one row", 0));
        }
        let size = (network.features() + 1).saturating_mul(outputs);
        if size > MAX_DIM {
            let requirement = format!(
                "parameters are at most {MAX_DIM} for a conditional last layer; take another method"
            );
            return Err(Error::config("last layer", size, &requirement));
        }
        if !(prior_precision > 0.0 && prior_precision.is_finite()) {
            let requirement = "must be positive and finite";
            return Err(Error::config(
                "prior_precision",
                prior_precision,
                requirement,
            ));
        }
        check_table::<T>("LastLayer::new", x, d, Column::Number)?;
        check_table::<T>("LastLayer::new", y, m, |j| Column::target(j, m))?;
        likelihood.check(outputs, y)?;
        let head = match likelihood.closed_form() {
            Some(form) => Head::Closed(form),
            None => Head::General(Box::new(GeneralHead::new(likelihood, outputs, y, rows)?)),
        };
        let weights = likelihood.row_weights(y).filter(|_| head.is_gaussian());
        let roots: Vec<f64> = weights.iter().flatten().map(|w| w.sqrt()).collect();
        let (labels, exact_targets) = match head {
            Head::Closed(ClosedForm::Categorical) => {
                (y.iter().map(|&y| y as usize).collect(), Vec::new())
            }
            Head::Closed(_) => {
                // a weight is the last number of its row
                let values = m - usize::from(weights.is_some());
                let root = |row: usize| roots.get(row).copied().unwrap_or(1.0);
                let of_row = |at: usize| root(at % rows) * y[at % rows * m + at / rows];
                (Vec::new(), (0..values * rows).map(of_row).collect())
            }
            Head::General(_) => (Vec::new(), Vec::new()),
        };
        let count = match &weights {
            Some(weights) => weights.iter().sum::<f64>() * outputs as f64,
            None => y.len() as f64,
        };
        let constant = match head {
            Head::Closed(form) => closed::constant(form, y, count),
            Head::General(_) => 0.0,
        };
        let widest = network.widest().max(1);
        let block = rows.min((BLOCK_NUMBERS / widest).clamp(1, BLOCK));
        let graph = Graph::new();
        let theta_h = graph.input(&[network.hidden_params()]);
        let inputs = graph.input(&[d, block]).batch_first();
        let features = network.feature_map(theta_h, inputs).batch_last();
        let blocks = x.chunks(block * d).map(|x| {
            let mut part = vec![T::ZERO; block * d];
            for (at, &v) in x.iter().enumerate() {
                part[at % d * block + at / d] = T::from_f64(v);
            }
            part
        });
        let nodes = if head.is_gaussian() {
            Vec::new()
        } else {
            let count = NODES.min(size);
            let mut nodes = vec![0.0; count * size];
            fill_normal(&mut Streams::new(0).rng(Phase::DEFORM, 0), &mut nodes);
            orthonormal_rows(&mut nodes, size);
            scale((size as f64).sqrt(), &mut nodes);
            nodes
        };
        Ok(Self {
            head,
            prior_precision,
            scales: None,
            network_dim: network.hidden_params(),
            rows,
            features: network.features() + 1,
            outputs,
            labels,
            targets: exact_targets.iter().map(|&y| T::from_f64(y)).collect(),
            exact_targets,
            roots,
            count,
            constant,
            blocks: blocks.collect(),
            block,
            program: graph.compile(&[features])?,
            nodes,
        })
    }

    /// The same with a separate prior precision for the weights of each feature, the biases last:
    /// `precisions` is `[H + 1]`.
    ///
    /// # Errors
    /// Those of [`LastLayer::new`], and if a precision is not positive.
    pub fn with_precisions(
        network: &dyn LinearHead,
        likelihood: &dyn Likelihood,
        precisions: &[f64],
        x: &[f64],
        y: &[f64],
    ) -> Result<Self> {
        if let Some(precision) = precisions.iter().find(|p| !(**p > 0.0 && p.is_finite())) {
            let requirement = "must be positive and finite";
            return Err(Error::config("prior_precision", precision, requirement));
        }
        let weights = precisions.iter().map(|precision| StdFromLogs {
            factor: precision.sqrt().recip(),
            places: Vec::new(),
        });
        Self::new(network, likelihood, 1.0, x, y)?.with_scales(HeadScales {
            weights: weights.collect(),
            noise: None,
        })
    }

    /// Number of parameters of the last layer.
    pub fn dim(&self) -> usize {
        self.features * self.outputs
    }

    /// Number of directions for averages.
    fn node_count(&self) -> usize {
        self.nodes.len() / self.dim()
    }

    /// Whether the conditional is exact.
    pub fn is_gaussian(&self) -> bool {
        self.head.is_gaussian()
    }

    /// Workspace for [`LastLayer::condition`].
    pub fn workspace(&self) -> LastLayerWorkspace<T> {
        LastLayerWorkspace::new(self)
    }

    /// The conditional given hidden parameters.
    ///
    /// # Errors
    /// If the length is wrong, the workspace is another's, a feature is not finite, or Newton's
    /// method does not converge.
    pub fn condition<'w>(
        &self,
        theta_h: &[T],
        ws: &'w mut LastLayerWorkspace<T>,
    ) -> Result<Conditional<'w>> {
        self.solve(theta_h, None, ws)?;
        Ok(ws.conditional())
    }

    /// The same, but Newton's method starts at `start`, `[H + 1, outputs]`: a mode nearby saves
    /// most of its steps.
    ///
    /// # Errors
    /// Those of [`LastLayer::condition`].
    pub fn condition_from<'w>(
        &self,
        theta_h: &[T],
        start: &[T],
        ws: &'w mut LastLayerWorkspace<T>,
    ) -> Result<Conditional<'w>> {
        if start.len() != self.dim() {
            return Err(Error::shape("LastLayer: start", self.dim(), start.len()));
        }
        let (mode, hessian) = (start, None);
        self.solve(theta_h, Some(Start { mode, hessian }), ws)?;
        Ok(ws.conditional())
    }

    /// `log p(D | theta_h)` with the last layer integrated out, in nats. Exact for a Gaussian
    /// likelihood. For others it is a lower bound: the ELBO of the conditional, averaged over its
    /// fixed draws. Leaves the conditional in `ws`.
    ///
    /// # Errors
    /// Those of [`LastLayer::condition`].
    pub fn log_evidence(&self, theta_h: &[T], ws: &mut LastLayerWorkspace<T>) -> Result<f64> {
        self.solve(theta_h, None, ws)?;
        self.integrated(ws)
    }

    pub(super) fn solve(
        &self,
        theta_h: &[T],
        start: Option<Start<'_, T>>,
        ws: &mut LastLayerWorkspace<T>,
    ) -> Result<()> {
        T::compiled::<Solve>()(self, theta_h, start, ws)
    }
}
