//! One block of rows, compiled: the programs of a posterior for a given number of rows.
//!
//! A likelihood is a sum over rows, so a posterior over many rows is run block by block. Memory
//! then does not grow with the number of rows, and what passes between layers stays in the caches.
//! The terms that are added once, such as the prior, are compiled into some of the programs only.

use super::likelihood::{LikelihoodParams, target_shape};
use super::{Likelihood, Prior};
use crate::autodiff::{Graph, Program, Var};
use crate::error::{Column, Error, Result, counted};
use crate::linalg::check_table;
use crate::nn::Network;
use crate::scalar::Scalar;
use crate::simd::Aligned;

/// The parts of a posterior.
pub(super) struct Parts<'a> {
    pub network: &'a dyn Network,
    pub likelihood: &'a dyn Likelihood,
    pub prior: &'a dyn Prior,
    /// The likelihood's own parameters.
    pub own: &'a LikelihoodParams,
    /// Values per encoded target.
    pub encoded: usize,
}

/// The programs for blocks of one size. Inputs: `theta`, features `[d, rows]`, encoded targets and
/// a direction.
#[derive(Clone, Debug)]
pub(super) struct Programs<T> {
    /// `U` and the negative log-likelihood.
    pub value: Program<T>,
    /// `-U` and its gradient.
    pub gradient: Program<T>,
    pub ggn: Program<T>,
    pub hessian: Program<T>,
}

impl<T> Programs<T> {
    pub fn all(&self) -> impl Iterator<Item = &Program<T>> {
        [&self.value, &self.gradient, &self.ggn, &self.hessian].into_iter()
    }

    pub fn all_mut(&mut self) -> impl Iterator<Item = &mut Program<T>> {
        let Self {
            value,
            gradient,
            ggn,
            hessian,
        } = self;
        [value, gradient, ggn, hessian].into_iter()
    }
}

/// The rows of one block, feature-major.
#[derive(Clone, Debug)]
pub(super) struct Chunk<T> {
    pub x: Aligned<T>,
    pub y: Aligned<T>,
    /// Index of the programs that run it.
    pub programs: usize,
}

/// The recorded quantities from which programs are compiled.
struct Recorded<'g> {
    graph: &'g Graph,
    theta: Var<'g>,
    weights: Var<'g>,
    params: Var<'g>,
    targets: Var<'g>,
    outputs: Var<'g>,
    nll: Var<'g>,
    energy: Var<'g>,
}

/// Checked data, ready for the engine.
pub(super) struct Checked {
    /// Number of rows.
    pub rows: usize,
    /// Encoded targets, row by row.
    pub targets: Vec<f64>,
    /// Values per encoded target.
    pub encoded: usize,
    /// The likelihood's own parameters.
    pub own: LikelihoodParams,
}

impl Checked {
    /// Checks features `x` (`[n, input_dim]`) and targets `y` (`[n, m]`), both row-major, and
    /// encodes the targets.
    ///
    /// # Errors
    /// If lengths do not fit, there are no rows, a number is not finite in `T`, the likelihood
    /// rejects the targets, or the prior rejects the parameters.
    pub(super) fn new<T: Scalar>(
        what: &'static str,
        (network, likelihood, prior): (&dyn Network, &dyn Likelihood, &dyn Prior),
        x: &[f64],
        y: &[f64],
    ) -> Result<Self> {
        let (outputs, d) = (network.output_dim(), network.input_dim());
        likelihood.check(outputs, y)?;
        prior.check(network.layout())?;
        let own = likelihood.params(outputs);
        own.check()?;
        let m = likelihood.target_dim(outputs);
        if m == 0 || !y.len().is_multiple_of(m) {
            return Err(Error::shape(
                what,
                format!("rows of {}", counted(m, "target")),
                y.len(),
            ));
        }
        let rows = y.len() / m;
        if x.len() != rows.saturating_mul(d) {
            let expected = format!("{} of {}", counted(rows, "row"), counted(d, "feature"));
            return Err(Error::shape(what, expected, counted(x.len(), "number")));
        }
        if rows == 0 {
            return Err(Error::shape(what, "at least one row", 0));
        }
        let targets = likelihood.encode(y);
        // numbers beyond the engine's range become infinite in the cast
        check_table::<T>(what, x, d, Column::Number)?;
        let encoded = targets.len() / rows;
        check_table::<T>(what, &targets, encoded, |j| Column::encoded(j, encoded, m))?;
        Ok(Self {
            rows,
            encoded,
            targets,
            own,
        })
    }
}

impl<'a> Parts<'a> {
    /// Number of parameters: the network's first, then the likelihood's.
    pub(super) fn dim(&self) -> usize {
        self.network.dim() + self.own.len()
    }

    fn record<'g>(&self, graph: &'g Graph, rows: usize, with_prior: bool) -> Recorded<'g> {
        let (split, dim) = (self.network.dim(), self.dim());
        let theta = graph.input(&[dim]);
        // feature-major: each feature is contiguous over the rows, whatever the width of a layer
        let inputs = graph.input(&[self.network.input_dim(), rows]).batch_first();
        let mut shape = target_shape(rows, self.encoded);
        shape.rotate_left(1);
        let targets = graph.input(&shape).batch_first();
        let (weights, params) = (theta.slice(0, 0..split), theta.slice(0, split..dim));
        let outputs = self.network.forward(weights, inputs);
        let nll = self.likelihood.neg_log_likelihood(outputs, targets, params);
        let energy = if with_prior {
            nll + self.neg_log_prior(theta)
        } else {
            nll
        };
        Recorded {
            graph,
            theta,
            weights,
            params,
            targets,
            outputs,
            nll,
            energy,
        }
    }

    /// Programs for blocks of `rows` rows.
    pub(super) fn programs<T: Scalar>(&self, rows: usize, with_prior: bool) -> Result<Programs<T>> {
        let graph = Graph::new();
        let r = self.record(&graph, rows, with_prior);
        let direction = graph.input(&[self.dim()]);
        Ok(Programs {
            value: graph.compile(&[r.energy, r.nll])?,
            gradient: r.gradient()?,
            ggn: graph.compile(&[self.ggn(&r, direction)?])?,
            hessian: graph.compile(&[graph.hvp(r.energy, r.theta, direction)?])?,
        })
    }

    /// The negative log-likelihood of `rows` rows: one program without its gradient, one with it.
    pub(super) fn likelihood<T: Scalar>(&self, rows: usize) -> Result<(Program<T>, Program<T>)> {
        let graph = Graph::new();
        let r = self.record(&graph, rows, false);
        let gradient = graph.grad(r.nll, &[r.theta])?[0];
        Ok((graph.compile(&[r.nll])?, graph.compile(&[r.nll, gradient])?))
    }

    /// `F v = J^T (s_n r_n)` for `rows` rows, for a likelihood without its own parameters.
    pub(super) fn fisher<T: Scalar>(&self, rows: usize) -> Result<Program<T>> {
        let graph = Graph::new();
        let r = self.record(&graph, rows, false);
        let direction = graph.input(&[self.dim()]);
        let slope = graph.grad(r.nll, &[r.outputs])?[0];
        let tangent = graph.jvp(r.outputs, r.weights, direction)?;
        let along = (slope * tangent).sum_axis(1).reshape(&[rows, 1]);
        let product = graph.vjp(r.outputs, slope * along, &[r.weights])?[0];
        graph.compile(&[product])
    }

    /// `(J^T u) o (J^T Lambda u)` of one row. `u` is the fourth input.
    pub(super) fn curved_row<T: Scalar>(&self) -> Result<Program<T>> {
        let graph = Graph::new();
        let r = self.record(&graph, 1, false);
        let u = graph.input(&[1, self.network.output_dim()]);
        let curved = self
            .likelihood
            .output_hessian_product(r.outputs, r.targets, r.params, u)?;
        let plain = graph.vjp(r.outputs, u, &[r.weights])?[0];
        let curved = graph.vjp(r.outputs, curved, &[r.weights])?[0];
        graph.compile(&[plain * curved])
    }

    /// For one row: the curvature block of the likelihood's parameters times a vector, the fourth
    /// input.
    pub(super) fn own_row<T: Scalar>(&self) -> Result<Program<T>> {
        let graph = Graph::new();
        let r = self.record(&graph, 1, false);
        let u = graph.input(&[self.own.len()]);
        let product = self
            .likelihood
            .params_hessian_product(r.outputs, r.targets, r.params, u)?;
        graph.compile(&[product])
    }

    /// `-log p(theta)` and its gradient. `theta` is the only input.
    pub(super) fn prior<T: Scalar>(&self) -> Result<Program<T>> {
        let graph = Graph::new();
        let theta = graph.input(&[self.dim()]);
        let energy = self.neg_log_prior(theta);
        let gradient = graph.grad(energy, &[theta])?[0];
        graph.compile(&[energy, gradient])
    }

    fn neg_log_prior<'g>(&self, theta: Var<'g>) -> Var<'g> {
        let (split, dim) = (self.network.dim(), self.dim());
        let of_weights = self
            .prior
            .neg_log_density(theta.slice(0, 0..split), self.network.layout());
        of_weights + self.own.neg_log_prior(theta.slice(0, split..dim))
    }

    /// `G v = J^T Lambda J v`, followed by the product with the likelihood parameters' block.
    fn ggn<'g>(&self, r: &Recorded<'g>, direction: Var<'g>) -> Result<Var<'g>> {
        let (split, dim) = (self.network.dim(), self.dim());
        let (v, v_own) = (direction.slice(0, 0..split), direction.slice(0, split..dim));
        let tangent = r.graph.jvp(r.outputs, r.weights, v)?;
        let curved = self
            .likelihood
            .output_hessian_product(r.outputs, r.targets, r.params, tangent)?;
        let product = r.graph.vjp(r.outputs, curved, &[r.weights])?[0];
        if self.own.is_empty() {
            return Ok(product);
        }
        let block = self
            .likelihood
            .params_hessian_product(r.outputs, r.targets, r.params, v_own)?;
        Ok(r.graph.concat(0, &[product, block]))
    }

    /// Rows of a block: as many as keep the memory of a gradient in a second-level cache, but
    /// enough to fill vector registers.
    pub(super) fn block_rows<T: Scalar>(&self) -> Result<usize> {
        const CACHE: usize = 1 << 20;
        const LEAST: usize = 64;
        let bytes = |rows: usize| -> Result<usize> {
            let graph = Graph::new();
            let gradient: Program<T> = self.record(&graph, rows, false).gradient()?;
            Ok(gradient.workspace_bytes())
        };
        // memory is linear in the rows; the difference cancels the part that does not depend on
        // them
        let per_row = bytes(2 * LEAST)?.saturating_sub(bytes(LEAST)?) / LEAST;
        Ok((CACHE / per_row.max(1)).max(LEAST) / ALIGN * ALIGN)
    }
}

/// Every block but the last holds a multiple of this many rows, so that vectors are full.
const ALIGN: usize = 16;

/// Cuts `n` rows into blocks of nearly equal size, at most `most` rows each.
pub(super) fn cut(n: usize, most: usize) -> Vec<usize> {
    let count = n.div_ceil(most);
    let rows = n.div_ceil(count).next_multiple_of(ALIGN);
    (0..n)
        .step_by(rows)
        .map(|start| rows.min(n - start))
        .collect()
}

/// Turns row-major rows into feature-major columns.
pub(super) fn feature_major<T: Scalar>(rows: &[f64], n: usize) -> Aligned<T> {
    let d = rows.len() / n.max(1);
    let mut columns = Aligned::filled(T::ZERO, rows.len());
    for (at, x) in columns.as_mut_slice().iter_mut().enumerate() {
        *x = T::from_f64(rows[at % n * d + at / n]);
    }
    columns
}

impl Recorded<'_> {
    fn gradient<T: Scalar>(&self) -> Result<Program<T>> {
        // the sign enters the VJP's seed: that costs a few numbers, not a pass over all parameters
        let sign = self.graph.constant(-1.0);
        let gradient = self.graph.vjp(self.energy, sign, &[self.theta])?[0];
        self.graph.compile(&[-self.energy, gradient])
    }
}

#[cfg(test)]
mod tests {
    use super::cut;

    #[test]
    fn blocks_cover_all_rows_and_only_the_last_is_ragged() {
        for (n, most) in [
            (1, 64),
            (64, 64),
            (65, 64),
            (592, 1024),
            (3709, 1856),
            (1000, 336),
            (60_000, 64),
        ] {
            let blocks = cut(n, most);
            assert_eq!(blocks.iter().sum::<usize>(), n);
            let (last, rest) = blocks.split_last().unwrap();
            assert!(
                rest.iter()
                    .all(|b| b % 16 == 0 && *b == rest[0] && b >= last)
                    && blocks[0] <= most.max(n.min(16))
            );
        }
    }
}
