//! The posterior density of a network's parameters given data, compiled.
//!
//! `U(theta) = -log p(D | theta) - log p(theta)`; as a [`LogDensity`] it is `-U`, the log of the joint density, whose
//! integral over `theta` is the evidence. The data are part of it, cast once to the engine's number type.
//!
//! `theta` holds the network's parameters and behind them those that the likelihood owns, if it has some. The likelihood is
//! a sum over rows and the priors of both kinds of parameters are added once.

use super::likelihood::target_shape;
use super::{Likelihood, LogDensity, Prior};
use crate::autodiff::{Graph, Program, Workspace};
use crate::error::{Error, Result};
use crate::nn::Network;
use crate::scalar::Scalar;

/// `p(theta | D)` up to the evidence, with gradient, Gauss-Newton and Hessian products.
#[derive(Clone, Debug)]
pub struct Posterior<T> {
    dim: usize,
    rows: usize,
    x: Vec<T>,
    y: Vec<T>,
    prior_precision: Vec<f64>,
    value: Program<T>,
    gradient: Program<T>,
    ggn: Program<T>,
    hessian: Program<T>,
}

/// Memory for evaluating a [`Posterior`].
#[derive(Clone, Debug)]
pub struct PosteriorWorkspace<T> {
    value: Workspace<T>,
    gradient: Workspace<T>,
}

impl<T: Scalar> Posterior<T> {
    /// The posterior given rows `x` (`[n, input_dim]`, row-major) and targets `y` (`[n]`, or row-major `[n, m]` for a likelihood
    /// of `m` targets a row).
    ///
    /// # Errors
    /// If lengths do not fit, a number is not finite, the likelihood refuses the targets or the prior the parameters.
    pub fn new(
        network: &dyn Network,
        likelihood: &dyn Likelihood,
        prior: &dyn Prior,
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
            let expected = format!("rows of {m} targets");
            return Err(Error::shape("Posterior::new", expected, y.len()));
        }
        let n = y.len() / m;
        if x.len() != n * d {
            let expected = format!("{n} rows of {d} features");
            return Err(Error::shape(
                "Posterior::new",
                expected,
                format!("{} numbers", x.len()),
            ));
        }
        if n == 0 {
            return Err(Error::shape("Posterior::new", "at least one row", 0));
        }
        let y = likelihood.encode(y);
        // numbers beyond the engine's range become infinite in the cast
        for (what, numbers) in [("features", x), ("targets", &y)] {
            let beyond = |&v: &f64| !Scalar::is_finite(T::from_f64(v));
            if let Some(index) = numbers.iter().position(beyond) {
                return Err(Error::NonFinite { what, index });
            }
        }

        let graph = Graph::new();
        let (split, dim) = (network.dim(), network.dim() + own.len());
        let theta = graph.input(&[dim]);
        let inputs = graph.input(&[n, d]);
        let targets = graph.input(&target_shape(n, y.len() / n));
        let v = graph.input(&[dim]);
        let (weights, params) = (theta.slice(0, 0..split), theta.slice(0, split..dim));
        let (v_weights, v_params) = (v.slice(0, 0..split), v.slice(0, split..dim));
        let outputs = network.forward(weights, inputs);
        let nll = likelihood.neg_log_likelihood(outputs, targets, params);
        let prior_terms =
            prior.neg_log_density(weights, network.layout()) + own.neg_log_prior(params);
        let energy = nll + prior_terms;
        let gradient = graph.grad(energy, &[theta])?[0];
        // G v = J^T Lambda J v, and beside it the block of the likelihood's parameters
        let tangent = graph.jvp(outputs, weights, v_weights)?;
        let curved = likelihood.output_hessian_product(outputs, targets, params, tangent)?;
        let mut ggn = graph.vjp(outputs, curved, &[weights])?[0];
        if !own.is_empty() {
            let block = likelihood.params_hessian_product(outputs, targets, params, v_params)?;
            ggn = graph.concat(0, &[ggn, block]);
        }
        let hessian = graph.hvp(energy, theta, v)?;
        let mut prior_precision = prior.precision(network.layout());
        prior_precision.extend(own.prior_precision());
        Ok(Self {
            dim,
            rows: n,
            x: x.iter().map(|&v| T::from_f64(v)).collect(),
            y: y.iter().map(|&v| T::from_f64(v)).collect(),
            prior_precision,
            value: graph.compile(&[energy, nll])?,
            gradient: graph.compile(&[energy, gradient])?,
            ggn: graph.compile(&[ggn])?,
            hessian: graph.compile(&[hessian])?,
        })
    }

    /// Number of data rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Curvature of the prior, parameter by parameter, those of the likelihood included.
    pub fn prior_precision(&self) -> &[f64] {
        &self.prior_precision
    }

    /// `-log p(D | theta)`, the sum over the data, in nats.
    ///
    /// # Errors
    /// If `theta` has the wrong length.
    pub fn neg_log_likelihood(&self, theta: &[T], ws: &mut PosteriorWorkspace<T>) -> Result<f64> {
        self.run(&self.value, theta, None, &mut ws.value)?;
        Ok(self.value.scalar(&ws.value, 1))
    }

    /// Memory for [`Posterior::ggn_product`].
    pub fn ggn_workspace(&self) -> Workspace<T> {
        self.ggn.workspace()
    }

    /// `out = G v` with the generalised Gauss-Newton matrix `G = J^T Lambda J` of the likelihood at `theta`, and its block for
    /// parameters of its own ([`Likelihood::params_hessian_product`]); the prior is not in it.
    ///
    /// # Errors
    /// If a length is wrong.
    pub fn ggn_product(
        &self,
        theta: &[T],
        v: &[T],
        out: &mut [T],
        ws: &mut Workspace<T>,
    ) -> Result<()> {
        self.run(&self.ggn, theta, Some(v), ws)?;
        copy(self.ggn.tensor(ws, 0), out)
    }

    /// Memory for [`Posterior::hessian_product`].
    pub fn hessian_workspace(&self) -> Workspace<T> {
        self.hessian.workspace()
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
        ws: &mut Workspace<T>,
    ) -> Result<()> {
        self.run(&self.hessian, theta, Some(v), ws)?;
        copy(self.hessian.tensor(ws, 0), out)
    }

    fn run(
        &self,
        program: &Program<T>,
        theta: &[T],
        v: Option<&[T]>,
        ws: &mut Workspace<T>,
    ) -> Result<()> {
        if theta.len() != self.dim {
            return Err(Error::shape(
                "Posterior",
                format!("{} parameters", self.dim),
                theta.len(),
            ));
        }
        // programs that do not use the direction still have the input; any vector of the right length will do
        program.run(&[theta, &self.x, &self.y, v.unwrap_or(theta)], ws)
    }
}

impl<T: Scalar> LogDensity<T> for Posterior<T> {
    type Workspace = PosteriorWorkspace<T>;

    fn dim(&self) -> usize {
        self.dim
    }

    fn workspace(&self) -> PosteriorWorkspace<T> {
        PosteriorWorkspace {
            value: self.value.workspace(),
            gradient: self.gradient.workspace(),
        }
    }

    fn log_density(&self, theta: &[T], ws: &mut PosteriorWorkspace<T>) -> Result<f64> {
        self.run(&self.value, theta, None, &mut ws.value)?;
        Ok(-self.value.scalar(&ws.value, 0))
    }

    fn log_density_and_grad(
        &self,
        theta: &[T],
        grad: &mut [T],
        ws: &mut PosteriorWorkspace<T>,
    ) -> Result<f64> {
        self.run(&self.gradient, theta, None, &mut ws.gradient)?;
        copy(self.gradient.tensor(&ws.gradient, 1), grad)?;
        for g in grad {
            *g = -*g;
        }
        Ok(-self.gradient.scalar(&ws.gradient, 0))
    }
}

fn copy<T: Scalar>(from: &[T], to: &mut [T]) -> Result<()> {
    if from.len() != to.len() {
        return Err(Error::shape(
            "Posterior",
            format!("a vector of length {}", from.len()),
            to.len(),
        ));
    }
    to.copy_from_slice(from);
    Ok(())
}
