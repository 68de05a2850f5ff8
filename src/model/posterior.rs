//! The posterior density of a network's parameters given data, compiled.
//!
//! `U(theta) = -log p(D | theta) - log p(theta)`; as a [`LogDensity`] it is `-U`, the log of the joint density, whose
//! integral over `theta` is the evidence. The data are part of it, cast once to the engine's number type.

use std::time::Duration;

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
    /// The posterior given rows `x` (`[n, input_dim]`, row-major) and targets `y` (`[n]`).
    ///
    /// # Errors
    /// If lengths do not fit, an input is not finite, or the likelihood refuses the targets.
    pub fn new(
        network: &dyn Network,
        likelihood: &dyn Likelihood,
        prior: &dyn Prior,
        x: &[f64],
        y: &[f64],
    ) -> Result<Self> {
        let (n, d) = (y.len(), network.input_dim());
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
        // numbers beyond the engine's range become infinite in the cast
        if let Some(index) = x.iter().position(|&v| !Scalar::is_finite(T::from_f64(v))) {
            let what = "features";
            return Err(Error::NonFinite { what, index });
        }
        likelihood.check(network.output_dim(), y)?;

        let graph = Graph::new();
        let theta = graph.input(&[network.dim()]);
        // feature-major: rows of data are contiguous, whatever the width of a layer
        let inputs = graph.input(&[d, n]).batch_first();
        let targets = graph.input(&[n]);
        let v = graph.input(&[network.dim()]);
        let outputs = network.forward(theta, inputs);
        let nll = likelihood.neg_log_likelihood(outputs, targets);
        let energy = nll + prior.neg_log_density(theta, network.layout());
        let gradient = graph.grad(energy, &[theta])?[0];
        // G v = J^T Lambda J v, with Lambda w = d <d nll / d outputs, w> / d outputs
        let tangent = graph.jvp(outputs, theta, v)?;
        let curved = graph.hvp(nll, outputs, tangent)?;
        let ggn = graph.vjp(outputs, curved, &[theta])?[0];
        let hessian = graph.hvp(energy, theta, v)?;
        Ok(Self {
            dim: network.dim(),
            rows: n,
            x: (0..d)
                .flat_map(|j| (0..n).map(move |i| T::from_f64(x[i * d + j])))
                .collect(),
            y: y.iter().map(|&v| T::from_f64(v)).collect(),
            prior_precision: prior.precision(network.layout()),
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

    /// Curvature of the prior, parameter by parameter.
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

    /// Where the time of one gradient goes: see [`Program::profile`].
    ///
    /// # Errors
    /// If `theta` has the wrong length.
    pub fn profile(&self, theta: &[T], repeats: usize) -> Result<Vec<(String, Duration)>> {
        let mut ws = self.gradient.workspace();
        self.run(&self.gradient, theta, None, &mut ws)?;
        let inputs = [theta, &self.x, &self.y, theta];
        self.gradient.profile(&inputs, &mut ws, repeats)
    }

    /// Memory for [`Posterior::ggn_product`].
    pub fn ggn_workspace(&self) -> Workspace<T> {
        self.ggn.workspace()
    }

    /// `out = G v` with the generalised Gauss-Newton matrix `G = J^T Lambda J` of the likelihood at `theta`; the prior
    /// is not in it.
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
