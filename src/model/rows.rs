//! Likelihood curvatures built from single rows.
//!
//! They are the empirical Fisher matrix, its diagonal, and the exact diagonal of the Gauss-Newton
//! matrix.
//!
//! Let `r_n` be the derivative of row `n`'s negative log-likelihood with respect to its outputs,
//! `J_n` the Jacobian of the outputs, and `g_n = J_n^T r_n`. Then
//!
//! `F v = sum_n g_n (g_n . v) = J^T (s_n r_n)` with `s_n = r_n . (J v)_n`,
//!
//! which takes one JVP and one VJP over blocks of rows. If the likelihood owns parameters, their
//! derivative is not a product with the outputs' Jacobian. The gradients `g_n` are then formed row
//! by row.
//!
//! The diagonals are `diag F = sum_n g_n o g_n` and
//! `diag G = sum_n sum_k (J_n^T e_k) o (J_n^T Lambda_n e_k)`. The latter takes two VJPs for each
//! row and output. Rows are processed in **shards** of a fixed size, in parallel, and added up in
//! the order of the rows. So results are the same bit for bit on any number of threads. Memory is a
//! few times `P` for each shard computed at once. It does not grow with the rows.

use super::chunk::{Checked, Chunk, Parts, cut, feature_major};
use super::{IsotropicGaussian, Likelihood};
use crate::autodiff::{Program, Workspace};
use crate::error::{Error, Result, counted};
use crate::linalg::vector::{axpy, dot};
use crate::nn::Network;
use crate::parallel;
use crate::scalar::Scalar;

/// Rows per shard, and shards in memory at once.
const SHARD: usize = 32;
const AT_ONCE: usize = 8;

/// The rows of a likelihood, compiled for curvatures that need single rows. The prior plays no
/// part.
#[derive(Clone, Debug)]
pub struct RowCurvature<T> {
    dim: usize,
    /// Number of network parameters, which come first.
    weights: usize,
    outputs: usize,
    features: usize,
    encoded: usize,
    rows: usize,
    x: Vec<T>,
    y: Vec<T>,
    chunks: Vec<Chunk<T>>,
    /// Computes `F v`, one program for each block size.
    fisher: Vec<Program<T>>,
    /// One row: value and gradient.
    gradient: Program<T>,
    /// One row: `(J^T u) o (J^T Lambda u)`.
    curved: Program<T>,
    /// One row: the block of the likelihood's parameters times a vector.
    own: Option<Program<T>>,
}

/// Memory for [`RowCurvature::fisher_product`].
#[derive(Clone, Debug)]
pub struct FisherWorkspace<T>(Vec<Workspace<T>>);

impl<T: Scalar> RowCurvature<T> {
    /// The likelihood of rows `x` (`[n, input_dim]`, row-major) and targets `y` (`[n]`, or
    /// row-major `[n, m]`).
    ///
    /// # Errors
    /// As [`PosteriorDensity::new`](super::PosteriorDensity::new).
    pub fn new(
        network: &dyn Network,
        likelihood: &dyn Likelihood,
        x: &[f64],
        y: &[f64],
    ) -> Result<Self> {
        let prior = &IsotropicGaussian::new(1.0)?;
        let Checked {
            rows: n,
            targets: y,
            encoded,
            own,
        } = Checked::new::<T>("RowCurvature::new", (network, likelihood, prior), x, y)?;
        let parts = Parts {
            network,
            likelihood,
            prior,
            own: &own,
            encoded,
        };
        let d = network.input_dim();
        let (mut chunks, mut fisher, mut sizes) = (Vec::new(), Vec::new(), Vec::new());
        let mut start = 0;
        let blocks = if own.is_empty() {
            cut(n, parts.block_rows::<T>()?)
        } else {
            Vec::new()
        };
        for rows in blocks {
            let known = sizes.iter().position(|&size| size == rows);
            let programs = match known {
                Some(index) => index,
                None => {
                    fisher.push(parts.fisher(rows)?);
                    sizes.push(rows);
                    sizes.len() - 1
                }
            };
            let end = start + rows;
            chunks.push(Chunk {
                x: feature_major(&x[start * d..end * d], rows),
                y: feature_major(&y[start * encoded..end * encoded], rows),
                programs,
            });
            start = end;
        }
        Ok(Self {
            dim: parts.dim(),
            weights: network.dim(),
            outputs: network.output_dim(),
            features: d,
            encoded,
            rows: n,
            x: x.iter().map(|&v| T::from_f64(v)).collect(),
            y: y.iter().map(|&v| T::from_f64(v)).collect(),
            chunks,
            fisher,
            gradient: parts.likelihood(1)?.1,
            curved: parts.curved_row()?,
            own: if own.is_empty() {
                None
            } else {
                Some(parts.own_row()?)
            },
        })
    }

    /// Number of parameters, including the likelihood's.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// Number of data rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Memory for [`RowCurvature::fisher_product`].
    pub fn fisher_workspace(&self) -> FisherWorkspace<T> {
        let blocks = self.fisher.iter().map(Program::workspace);
        let row = self.own.iter().map(|_| self.gradient.workspace());
        FisherWorkspace(blocks.chain(row).collect())
    }

    /// `out = F v` with the empirical Fisher matrix `F = sum_n g_n g_n^T` at `theta`.
    ///
    /// # Errors
    /// If a length is wrong, or the workspace belongs to another object.
    pub fn fisher_product(
        &self,
        theta: &[T],
        v: &[T],
        out: &mut [T],
        ws: &mut FisherWorkspace<T>,
    ) -> Result<()> {
        self.check(theta.len())?;
        self.check(v.len())?;
        self.check(out.len())?;
        if ws.0.len() != self.fisher.len() + usize::from(self.own.is_some()) {
            let expected = "a workspace of these rows";
            return Err(Error::shape("RowCurvature", expected, "that of others"));
        }
        out.fill(T::ZERO);
        for chunk in &self.chunks {
            let program = &self.fisher[chunk.programs];
            let ws = &mut ws.0[chunk.programs];
            program.run(&[theta, chunk.x.as_slice(), chunk.y.as_slice(), v], ws)?;
            axpy(1.0, program.tensor(ws, 0)?, out);
        }
        if let (Some(_), Some(ws)) = (&self.own, ws.0.last_mut()) {
            for n in 0..self.rows {
                let (x, y) = self.row(n);
                self.gradient.run(&[theta, x, y], ws)?;
                let gradient = self.gradient.tensor(ws, 1)?;
                axpy(dot(gradient, v), gradient, out);
            }
        }
        Ok(())
    }

    /// The diagonal of the empirical Fisher matrix at `theta`, `[P]`.
    ///
    /// # Errors
    /// If `theta` has the wrong length.
    pub fn fisher_diagonal(&self, theta: &[T]) -> Result<Vec<f64>> {
        self.sum_rows(theta, |memory, n| {
            let (x, y) = self.row(n);
            let ws = memory.ws.get_or_insert_with(|| self.gradient.workspace());
            self.gradient.run(&[theta, x, y], ws)?;
            for (sum, g) in memory.sum.iter_mut().zip(self.gradient.tensor(ws, 1)?) {
                let g = g.to_f64();
                *sum += g * g;
            }
            Ok(())
        })
    }

    /// The exact diagonal of the Gauss-Newton matrix at `theta`, `[P]`.
    ///
    /// # Errors
    /// If `theta` has the wrong length.
    pub fn ggn_diagonal(&self, theta: &[T]) -> Result<Vec<f64>> {
        self.sum_rows(theta, |memory, n| {
            let (x, y) = self.row(n);
            let ws = memory.ws.get_or_insert_with(|| self.curved.workspace());
            let mut unit = vec![T::ZERO; self.outputs];
            for k in 0..self.outputs {
                unit[k] = T::ONE;
                self.curved.run(&[theta, x, y, &unit], ws)?;
                unit[k] = T::ZERO;
                for (sum, c) in memory.sum.iter_mut().zip(self.curved.tensor(ws, 0)?) {
                    *sum += c.to_f64();
                }
            }
            let Some(own) = &self.own else {
                return Ok(());
            };
            let ws = memory.own.get_or_insert_with(|| own.workspace());
            let mut unit = vec![T::ZERO; self.dim - self.weights];
            for q in 0..unit.len() {
                unit[q] = T::ONE;
                own.run(&[theta, x, y, &unit], ws)?;
                unit[q] = T::ZERO;
                memory.sum[self.weights + q] += own.tensor(ws, 0)?[q].to_f64();
            }
            Ok(())
        })
    }

    /// Adds up the contributions of all rows, shard by shard.
    fn sum_rows(
        &self,
        theta: &[T],
        add: impl Fn(&mut ShardMemory<T>, usize) -> Result<()> + Sync,
    ) -> Result<Vec<f64>> {
        self.check(theta.len())?;
        let mut total = vec![0.0; self.dim];
        let shards = self.rows.div_ceil(SHARD);
        let mut memory: Vec<ShardMemory<T>> = (0..shards.min(AT_ONCE))
            .map(|_| ShardMemory {
                sum: vec![0.0; self.dim],
                ws: None,
                own: None,
            })
            .collect();
        for first in (0..shards).step_by(AT_ONCE) {
            let busy = AT_ONCE.min(shards - first);
            parallel::try_for_each(&mut memory[..busy], |i, memory| {
                memory.sum.fill(0.0);
                let start = (first + i) * SHARD;
                (start..self.rows.min(start + SHARD)).try_for_each(|n| add(memory, n))
            })?;
            for shard in &memory[..busy] {
                axpy(1.0, &shard.sum, &mut total);
            }
        }
        Ok(total)
    }

    fn row(&self, n: usize) -> (&[T], &[T]) {
        let (d, e) = (self.features, self.encoded);
        (&self.x[n * d..(n + 1) * d], &self.y[n * e..(n + 1) * e])
    }

    fn check(&self, got: usize) -> Result<()> {
        if got == self.dim {
            return Ok(());
        }
        let expected = format!("a vector of {}", counted(self.dim, "parameter"));
        Err(Error::shape("RowCurvature", expected, got))
    }
}

/// The sum over one shard, and its memory.
struct ShardMemory<T> {
    sum: Vec<f64>,
    ws: Option<Workspace<T>>,
    own: Option<Workspace<T>>,
}
