//! The energy of a batch of rows, scaled to all rows, and its gradient on all cores.
//!
//! `U_B(theta) = (N / |B|) sum_{i in B} -log p(y_i | theta) - log p(theta)`.
//!
//! Over a uniformly drawn `B`, the mean of `U_B` is `U`. The same holds for the gradient (Robbins &
//! Monro 1951).
//!
//! A batch is cut into shards of a fixed number of rows (see `shards`). So one gradient uses all
//! cores, and its bits do not depend on the number of cores.

use std::sync::Arc;

use super::chunk::{Checked, Parts};
use super::shards::{Rows, ShardMemory, Shards};
use super::{Batch, Likelihood, LogDensity, Prior};
use crate::autodiff::{Program, Workspace};
use crate::error::{Error, Result, counted};
use crate::nn::Network;
use crate::scalar::Scalar;

/// The posterior given many rows, evaluated on some of them at a time. It holds the data, cast once
/// to the engine's number type.
///
/// As a [`LogDensity`] it is the same density as [`super::PosteriorDensity`], over all its rows,
/// but computed shard by shard.
#[derive(Clone, Debug)]
pub struct Minibatch<T> {
    pub(super) compiled: Arc<Compiled<T>>,
    /// The rows of the data that this posterior uses, in order. The shared data may hold others.
    rows: Vec<usize>,
    /// The number of rows that energies are scaled to: `rows.len()`, except in a batch of a larger
    /// set.
    of: usize,
}

/// What a posterior and its subsets share.
#[derive(Clone, Debug)]
pub(super) struct Compiled<T> {
    dim: usize,
    /// `-log p(theta)` and its gradient.
    prior: Program<T>,
    likelihood: Shards<T>,
}

impl<T: Scalar> Compiled<T> {
    pub fn programs(&self) -> impl Iterator<Item = &Program<T>> {
        std::iter::once(&self.prior).chain(self.likelihood.programs())
    }

    pub fn programs_mut(&mut self) -> impl Iterator<Item = &mut Program<T>> {
        std::iter::once(&mut self.prior).chain(self.likelihood.programs_mut())
    }
}

/// Memory for evaluating a [`Minibatch`]. It grows to what the largest batch needs, and then stays.
#[derive(Clone, Debug)]
pub struct MinibatchWorkspace<T> {
    prior: Workspace<T>,
    shards: ShardMemory<T>,
}

impl<T: Scalar> Minibatch<T> {
    /// Rows of a shard by default.
    pub const SHARD_ROWS: usize = 32;

    /// The posterior given rows `x` (`[n, input_dim]`, row-major) and targets `y` (`[n]`, or
    /// row-major `[n, m]`), in shards of [`Minibatch::SHARD_ROWS`] rows.
    ///
    /// # Errors
    /// As [`super::PosteriorDensity::new`].
    pub fn new(
        network: &dyn Network,
        likelihood: &dyn Likelihood,
        prior: &dyn Prior,
        x: &[f64],
        y: &[f64],
    ) -> Result<Self> {
        Self::with_shard_rows(network, likelihood, prior, x, y, Self::SHARD_ROWS)
    }

    /// The same with shards of `shard_rows` rows. Small shards spread a batch over more cores.
    /// Large shards leave fewer partial sums to add up.
    ///
    /// # Errors
    /// As [`Minibatch::new`], and if `shard_rows` is 0.
    pub fn with_shard_rows(
        network: &dyn Network,
        likelihood: &dyn Likelihood,
        prior: &dyn Prior,
        x: &[f64],
        y: &[f64],
        shard_rows: usize,
    ) -> Result<Self> {
        if shard_rows == 0 {
            return Err(Error::config("shard_rows", 0, "must be positive"));
        }
        let checked = Checked::new::<T>("Minibatch::new", (network, likelihood, prior), x, y)?;
        let parts = Parts {
            network,
            likelihood,
            prior,
            own: &checked.own,
            encoded: checked.encoded,
        };
        let n = checked.rows;
        let compiled = Compiled {
            dim: parts.dim(),
            prior: parts.prior()?,
            likelihood: Shards::new(&parts, x, &checked.targets, n, shard_rows)?,
        };
        Ok(Self {
            compiled: Arc::new(compiled),
            rows: (0..n).collect(),
            of: n,
        })
    }

    /// The posterior given only the rows in `rows`, so `N` is their number. Data and programs are
    /// shared.
    ///
    /// # Errors
    /// If `rows` is empty, or an index is out of range.
    pub fn select(&self, rows: &[usize]) -> Result<Self> {
        self.check_batch(rows)?;
        Ok(Self {
            compiled: Arc::clone(&self.compiled),
            rows: rows.iter().map(|&row| self.rows[row]).collect(),
            of: rows.len(),
        })
    }

    /// Some of these rows, known to be valid, as a batch of all.
    pub(super) fn scaled_part(&self, rows: Vec<usize>) -> Self {
        Self {
            compiled: Arc::clone(&self.compiled),
            rows: rows.iter().map(|&row| self.rows[row]).collect(),
            of: self.of,
        }
    }

    /// The first row as a batch. It has the same shape as any other batch.
    pub(crate) fn first(&self) -> Batch<T> {
        Batch(self.scaled_part(vec![0]))
    }

    /// `N`, the number of rows that the energy is scaled to.
    pub fn rows(&self) -> usize {
        self.rows.len()
    }

    /// `U_B(theta)` in nats, for the rows in `batch`.
    ///
    /// # Errors
    /// If `theta` has the wrong length, the batch is empty, or a row in it is out of range.
    pub fn energy(
        &self,
        theta: &[T],
        batch: &[usize],
        ws: &mut MinibatchWorkspace<T>,
    ) -> Result<f64> {
        self.check_batch(batch)?;
        self.run(theta, Some(batch), None, ws)
    }

    /// `U_B(theta)` in nats, and its gradient in `grad`.
    ///
    /// # Errors
    /// As [`Minibatch::energy`], and if `grad` has the wrong length.
    pub fn energy_and_grad(
        &self,
        theta: &[T],
        batch: &[usize],
        grad: &mut [T],
        ws: &mut MinibatchWorkspace<T>,
    ) -> Result<f64> {
        self.check_batch(batch)?;
        self.run(theta, Some(batch), Some(grad), ws)
    }

    /// `-log p(D | theta)`, summed over all rows, in nats.
    ///
    /// # Errors
    /// If `theta` has the wrong length.
    pub fn neg_log_likelihood(&self, theta: &[T], ws: &mut MinibatchWorkspace<T>) -> Result<f64> {
        self.check_length("parameters", theta.len())?;
        let (rows, likelihood) = (self.batch(None), &self.compiled.likelihood);
        likelihood.sum(theta, rows, None, &mut ws.shards)
    }

    fn batch<'a>(&'a self, chosen: Option<&'a [usize]>) -> Rows<'a> {
        let rows = &self.rows;
        Rows { rows, chosen }
    }

    fn check_length(&self, what: &str, len: usize) -> Result<()> {
        if len == self.compiled.dim {
            return Ok(());
        }
        let expected = format!("{} {what}", self.compiled.dim);
        Err(Error::shape("Minibatch", expected, len))
    }

    fn check_batch(&self, batch: &[usize]) -> Result<()> {
        let n = self.rows();
        let got = match batch.iter().find(|&&row| row >= n) {
            Some(row) => format!("row {row}"),
            None if batch.is_empty() => "an empty batch".into(),
            None => return Ok(()),
        };
        Err(Error::shape(
            "Minibatch",
            format!("some of {}", counted(n, "row")),
            got,
        ))
    }

    /// The energy of a batch that has been checked.
    fn run(
        &self,
        theta: &[T],
        chosen: Option<&[usize]>,
        mut grad: Option<&mut [T]>,
        ws: &mut MinibatchWorkspace<T>,
    ) -> Result<f64> {
        self.check_length("parameters", theta.len())?;
        if let Some(grad) = grad.as_deref_mut() {
            self.check_length("entries of a gradient", grad.len())?;
            grad.fill(T::ZERO);
        }
        let Compiled {
            prior, likelihood, ..
        } = &*self.compiled;
        let batch = self.batch(chosen);
        let scale = self.of as f64 / batch.len() as f64;
        let nll = likelihood.sum(theta, batch, grad.as_deref_mut(), &mut ws.shards)?;
        prior.run(&[theta], &mut ws.prior)?;
        if let Some(grad) = grad {
            let (of_prior, scale) = (prior.tensor(&ws.prior, 1)?, T::from_f64(scale));
            for (g, &p) in grad.iter_mut().zip(of_prior) {
                *g = scale * *g + p;
            }
        }
        Ok(scale * nll + prior.scalar(&ws.prior, 0)?)
    }
}

impl<T: Scalar> LogDensity<T> for Minibatch<T> {
    type Workspace = MinibatchWorkspace<T>;

    fn dim(&self) -> usize {
        self.compiled.dim
    }

    fn workspace(&self) -> MinibatchWorkspace<T> {
        MinibatchWorkspace {
            prior: self.compiled.prior.workspace(),
            shards: self.compiled.likelihood.memory(),
        }
    }

    fn log_density(&self, theta: &[T], ws: &mut MinibatchWorkspace<T>) -> Result<f64> {
        Ok(-self.run(theta, None, None, ws)?)
    }

    fn log_density_and_grad(
        &self,
        theta: &[T],
        grad: &mut [T],
        ws: &mut MinibatchWorkspace<T>,
    ) -> Result<f64> {
        let energy = self.run(theta, None, Some(grad), ws)?;
        for g in grad {
            *g = -*g;
        }
        Ok(-energy)
    }
}
