//! The posterior density of a network's parameters given data, compiled.
//!
//! `U(theta) = -log p(D | theta) - log p(theta)`. As a [`LogDensity`] the posterior is `-U`, the
//! log of the joint density, whose integral over `theta` is the evidence. The posterior holds the
//! data, cast once to the engine's number type.
//!
//! `theta` holds the network's parameters, followed by the likelihood's own parameters, if it has
//! any. The likelihood is a sum over rows. The priors of both kinds of parameters are added once.

use std::time::Duration;

use super::chunk::{Checked, Chunk, Parts, Programs, cut, feature_major};
use super::{Curved, Likelihood, LogDensity, Prior};
use crate::autodiff::{Program, Workspace};
use crate::error::{Error, Result, counted};
use crate::nn::Network;
use crate::scalar::Scalar;

/// `p(theta | D)` up to the evidence, with gradient, Gauss-Newton and Hessian products.
///
/// Rows are processed in blocks, one after the other on the caller's thread. So the memory of an
/// evaluation does not grow with the number of rows.
#[derive(Clone, Debug)]
pub struct PosteriorDensity<T> {
    dim: usize,
    rows: usize,
    targets: usize,
    chunks: Vec<Chunk<T>>,
    /// The first block's programs, which include the prior, then those of further block sizes.
    programs: Vec<Programs<T>>,
    prior_precision: Vec<f64>,
}

/// Memory for evaluating a [`PosteriorDensity`].
#[derive(Clone, Debug)]
pub struct PosteriorWorkspace<T> {
    value: ProductWorkspace<T>,
    gradient: ProductWorkspace<T>,
}

/// Memory for a Gauss-Newton or Hessian product of a [`PosteriorDensity`].
#[derive(Clone, Debug)]
pub struct ProductWorkspace<T>(Vec<Workspace<T>>);

impl<T: Scalar> PosteriorDensity<T> {
    /// The posterior given rows `x` (`[n, input_dim]`, row-major) and targets `y` (`[n]`, or
    /// row-major `[n, m]` for a likelihood of `m` targets a row).
    ///
    /// # Errors
    /// If lengths do not fit, a number is not finite, the likelihood rejects the targets, or the
    /// prior rejects the parameters.
    pub fn new(
        network: &dyn Network,
        likelihood: &dyn Likelihood,
        prior: &dyn Prior,
        x: &[f64],
        y: &[f64],
    ) -> Result<Self> {
        let parts = (network, likelihood, prior);
        let Checked {
            rows: n,
            targets: y,
            encoded,
            own,
        } = Checked::new::<T>("PosteriorDensity::new", parts, x, y)?;
        let d = network.input_dim();
        let parts = Parts {
            network,
            likelihood,
            prior,
            own: &own,
            encoded,
        };
        let mut prior_precision = prior.precision(network.layout());
        prior_precision.extend(own.prior_precision());
        let mut posterior = Self {
            dim: parts.dim(),
            rows: n,
            targets: n * likelihood.target_dim(network.output_dim()),
            chunks: Vec::new(),
            programs: Vec::new(),
            prior_precision,
        };
        // block sizes that already have programs; those of the first block include the prior
        let mut known: Vec<usize> = Vec::new();
        let mut start = 0;
        for rows in cut(n, parts.block_rows::<T>()?) {
            let programs = match known.iter().skip(1).position(|&size| size == rows) {
                Some(index) => index + 1,
                None => {
                    posterior
                        .programs
                        .push(parts.programs(rows, known.is_empty())?);
                    known.push(rows);
                    known.len() - 1
                }
            };
            let end = start + rows;
            posterior.chunks.push(Chunk {
                x: feature_major(&x[start * d..end * d], rows),
                y: feature_major(&y[start * encoded..end * encoded], rows),
                programs,
            });
            start = end;
        }
        Ok(posterior)
    }

    /// Number of data rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Number of target values over all rows.
    pub fn targets(&self) -> usize {
        self.targets
    }

    /// Bytes of a workspace.
    pub fn workspace_bytes(&self) -> usize {
        let each = self.programs.iter();
        each.map(|p| p.value.workspace_bytes() + p.gradient.workspace_bytes())
            .sum()
    }

    /// Bytes that a Gauss-Newton product needs.
    pub fn product_bytes(&self) -> usize {
        let each = self.programs.iter();
        each.map(|p| p.ggn.workspace_bytes()).sum()
    }

    /// `-log p(D | theta)`, summed over the data, in nats.
    ///
    /// # Errors
    /// If `theta` has the wrong length.
    pub fn neg_log_likelihood(&self, theta: &[T], ws: &mut PosteriorWorkspace<T>) -> Result<f64> {
        let mut sum = 0.0;
        let of = |p: &Programs<T>, ws: &Workspace<T>| sum += p.value.scalar(ws, 1);
        self.each(|p| &p.value, theta, None, &mut ws.value, of)?;
        Ok(sum)
    }

    /// The time that each part of one gradient takes, for the first block of rows: see
    /// [`Program::profile`].
    ///
    /// # Errors
    /// If `theta` has the wrong length.
    pub fn profile(&self, theta: &[T], repeats: usize) -> Result<Vec<(String, Duration)>> {
        let Some((chunk, programs)) = self.chunks.first().zip(self.programs.first()) else {
            return Ok(Vec::new());
        };
        let mut ws = programs.gradient.workspace();
        let inputs = [theta, chunk.x.as_slice(), chunk.y.as_slice(), theta];
        programs.gradient.profile(&inputs, &mut ws, repeats)
    }

    /// The compiled gradient of the first block of rows, for inspection: its `Display` lists the
    /// instructions.
    pub fn gradient_program(&self) -> Option<&Program<T>> {
        self.programs.first().map(|p| &p.gradient)
    }

    /// Memory for [`PosteriorDensity::hessian_product`].
    pub fn hessian_workspace(&self) -> ProductWorkspace<T> {
        self.memory(|p| &p.hessian)
    }

    /// `out = H v` with the Hessian of the whole energy `U` at `theta`, prior included.
    ///
    /// # Errors
    /// If a length is wrong.
    pub fn hessian_product(
        &self,
        theta: &[T],
        v: &[T],
        out: &mut [T],
        ws: &mut ProductWorkspace<T>,
    ) -> Result<()> {
        self.sum(|p| &p.hessian, 0, theta, v, out, ws)
    }

    fn memory(&self, which: fn(&Programs<T>) -> &Program<T>) -> ProductWorkspace<T> {
        ProductWorkspace(self.programs.iter().map(|p| which(p).workspace()).collect())
    }

    /// Sums output number `index` of a program over the blocks.
    fn sum(
        &self,
        which: fn(&Programs<T>) -> &Program<T>,
        index: usize,
        theta: &[T],
        v: &[T],
        out: &mut [T],
        ws: &mut ProductWorkspace<T>,
    ) -> Result<()> {
        self.check_length(out.len())?;
        let mut first = true;
        self.each(which, theta, Some(v), ws, |p, ws| {
            add(&mut first, which(p).tensor(ws, index), out);
        })
    }

    /// Runs one of the programs on every block of rows, in order.
    fn each(
        &self,
        which: fn(&Programs<T>) -> &Program<T>,
        theta: &[T],
        v: Option<&[T]>,
        ws: &mut ProductWorkspace<T>,
        mut done: impl FnMut(&Programs<T>, &Workspace<T>),
    ) -> Result<()> {
        self.check_length(theta.len())?;
        for chunk in &self.chunks {
            let programs = &self.programs[chunk.programs];
            let Some(ws) = ws.0.get_mut(chunk.programs) else {
                let got = "the workspace of another one";
                return Err(Error::shape(
                    "PosteriorDensity",
                    "a workspace of this posterior",
                    got,
                ));
            };
            // programs that do not use the direction still take it as an input; any vector of its
            // length will do
            let inputs = [
                theta,
                chunk.x.as_slice(),
                chunk.y.as_slice(),
                v.unwrap_or(theta),
            ];
            which(programs).run(&inputs, ws)?;
            done(programs, ws);
        }
        Ok(())
    }

    fn check_length(&self, got: usize) -> Result<()> {
        if got == self.dim {
            return Ok(());
        }
        let expected = format!("a vector of {}", counted(self.dim, "parameter"));
        Err(Error::shape("PosteriorDensity", expected, got))
    }
}

/// Copies the first block's values, and adds those of later blocks.
fn add<T: Scalar>(first: &mut bool, from: &[T], to: &mut [T]) {
    if std::mem::take(first) {
        to.copy_from_slice(from);
    } else {
        for (t, &f) in to.iter_mut().zip(from) {
            *t += f;
        }
    }
}

impl<T: Scalar> LogDensity<T> for PosteriorDensity<T> {
    type Workspace = PosteriorWorkspace<T>;

    fn dim(&self) -> usize {
        self.dim
    }

    fn workspace(&self) -> PosteriorWorkspace<T> {
        PosteriorWorkspace {
            value: self.memory(|p| &p.value),
            gradient: self.memory(|p| &p.gradient),
        }
    }

    fn log_density(&self, theta: &[T], ws: &mut PosteriorWorkspace<T>) -> Result<f64> {
        let mut energy = 0.0;
        let of = |p: &Programs<T>, ws: &Workspace<T>| energy += p.value.scalar(ws, 0);
        self.each(|p| &p.value, theta, None, &mut ws.value, of)?;
        Ok(-energy)
    }

    fn log_density_and_grad(
        &self,
        theta: &[T],
        grad: &mut [T],
        ws: &mut PosteriorWorkspace<T>,
    ) -> Result<f64> {
        self.check_length(grad.len())?;
        let (mut value, mut first) = (0.0, true);
        self.each(
            |p| &p.gradient,
            theta,
            None,
            &mut ws.gradient,
            |p, ws| {
                value += p.gradient.scalar(ws, 0);
                add(&mut first, p.gradient.tensor(ws, 1), grad);
            },
        )?;
        Ok(value)
    }
}

impl<T: Scalar> Curved<T> for PosteriorDensity<T> {
    type ProductWorkspace = ProductWorkspace<T>;

    fn ggn_workspace(&self) -> ProductWorkspace<T> {
        self.memory(|p| &p.ggn)
    }

    /// If the likelihood owns parameters, `G` includes their block
    /// ([`Likelihood::params_hessian_product`]).
    fn ggn_product(
        &self,
        theta: &[T],
        v: &[T],
        out: &mut [T],
        ws: &mut ProductWorkspace<T>,
    ) -> Result<()> {
        self.sum(|p| &p.ggn, 0, theta, v, out, ws)
    }

    /// Includes the likelihood's parameters.
    fn prior_precision(&self) -> &[f64] {
        &self.prior_precision
    }
}
