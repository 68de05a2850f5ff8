//! The posterior density of a network's parameters given data, compiled.
//!
//! `U(theta) = -log p(D | theta) - log p(theta)`. As a [`LogDensity`] the posterior is `-U`, the
//! log of the joint density, whose integral over `theta` is the evidence. The posterior holds the
//! data, cast once to the engine's number type.
//!
//! `theta` holds the network's parameters, followed by the likelihood's own parameters, if it has
//! any. The likelihood is a sum over rows. The priors of both kinds of parameters are added once.

use std::sync::Arc;
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
///
/// Data and programs are shared by copies, also by those with other scales
/// ([`PosteriorDensity::with_scales`]): only a new network, kind of likelihood or prior, or other
/// rows need new programs.
///
/// ```
/// use fiberwalk::{Activation, Gaussian, IsotropicGaussian, LogDensity, Mlp, PosteriorDensity};
/// let network = Mlp::new(&[1, 3, 1], Activation::Tanh)?;
/// let (x, y) = ([-1.0, 0.0, 1.0], [0.9, 0.1, 1.1]);
/// let at = |alpha, noise| {
///     let (likelihood, prior) = (Gaussian::new(noise)?, IsotropicGaussian::new(alpha)?);
///     PosteriorDensity::<f64>::new(&network, &likelihood, &prior, &x, &y)
/// };
/// let (first, second) = (at(1.0, 0.5)?, at(4.0, 0.1)?);
/// let same = first.with_scales(4.0, Some(0.1))?;
/// let theta = [0.1; 10];
/// let value = |density: &PosteriorDensity<f64>| {
///     density.log_density(&theta, &mut density.workspace())
/// };
/// assert_eq!(value(&same)?, value(&second)?);
/// # Ok::<(), fiberwalk::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct PosteriorDensity<T> {
    dim: usize,
    /// Number of network parameters, which come first.
    pub(super) weights: usize,
    rows: usize,
    targets: f64,
    chunks: Arc<Vec<Chunk<T>>>,
    /// The first block's programs, which include the prior, then those of further block sizes.
    pub(super) programs: Vec<Programs<T>>,
    pub(super) prior_precision: Vec<f64>,
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
    /// If lengths do not fit, the likelihood rejects the targets, or the prior rejects the
    /// parameters. [`Error::NonFiniteData`] names row and column of a number that is not finite in
    /// `T`.
    pub fn new(
        network: &dyn Network,
        likelihood: &dyn Likelihood,
        prior: &dyn Prior,
        x: &[f64],
        y: &[f64],
    ) -> Result<Self> {
        let parts = (network, likelihood, prior);
        let m = likelihood.target_dim(network.output_dim());
        let weights = likelihood.row_weights(y);
        let Checked {
            rows: n,
            targets: y,
            encoded,
            own,
        } = Checked::new::<T>("PosteriorDensity::new", parts, x, y)?;
        // the last number of a weighted row is its weight
        let count = match weights {
            None => (n * m) as f64,
            Some(weights) => weights.iter().sum::<f64>() * (m - 1) as f64,
        };
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
        let (mut chunks, mut all) = (Vec::new(), Vec::new());
        // block sizes that already have programs; those of the first block include the prior
        let mut known: Vec<usize> = Vec::new();
        let mut start = 0;
        for rows in cut(n, parts.block_rows::<T>()?) {
            let programs = match known.iter().skip(1).position(|&size| size == rows) {
                Some(index) => index + 1,
                None => {
                    all.push(parts.programs(rows, known.is_empty())?);
                    known.push(rows);
                    known.len() - 1
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
            rows: n,
            targets: count,
            chunks: Arc::new(chunks),
            programs: all,
            prior_precision,
        })
    }

    /// Number of data rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Number of target values over all rows, each times the weight of its row.
    pub fn targets(&self) -> f64 {
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
        self.each(
            |p| &p.value,
            theta,
            None,
            &mut ws.value,
            |p, ws| {
                sum += p.value.scalar(ws, 1)?;
                Ok(())
            },
        )?;
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
            add(&mut first, which(p).tensor(ws, index)?, out);
            Ok(())
        })
    }

    /// Runs one of the programs on every block of rows, in order.
    fn each(
        &self,
        which: fn(&Programs<T>) -> &Program<T>,
        theta: &[T],
        v: Option<&[T]>,
        ws: &mut ProductWorkspace<T>,
        mut done: impl FnMut(&Programs<T>, &Workspace<T>) -> Result<()>,
    ) -> Result<()> {
        self.check_length(theta.len())?;
        for chunk in self.chunks.iter() {
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
            done(programs, ws)?;
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
        self.each(
            |p| &p.value,
            theta,
            None,
            &mut ws.value,
            |p, ws| {
                energy += p.value.scalar(ws, 0)?;
                Ok(())
            },
        )?;
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
                value += p.gradient.scalar(ws, 0)?;
                add(&mut first, p.gradient.tensor(ws, 1)?, grad);
                Ok(())
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
