//! Likelihoods: what the outputs of a network say about the targets.
//!
//! `-log p(y | o) = sum_i -log p(y_i | o_i)` over the rows of a batch.

use std::f64::consts::PI;

use crate::autodiff::Var;
use crate::error::{Error, Result};

/// A likelihood of targets given network outputs.
pub trait Likelihood: Send + Sync {
    /// Records the **sum** over rows of `-log p(y | outputs)`, a scalar in nats, constants included. `outputs` is
    /// `[n, k]`, `targets` is `[n]`.
    fn neg_log_likelihood<'g>(&self, outputs: Var<'g>, targets: Var<'g>) -> Var<'g>;

    /// Checks that targets can come from this likelihood on `outputs` network outputs.
    ///
    /// # Errors
    /// A data error that names the first row that cannot.
    fn check(&self, outputs: usize, targets: &[f64]) -> Result<()>;
}

/// Classes `0..k` by softmax: `p(y | o) = exp(o_y) / sum_j exp(o_j)`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Categorical;

impl Likelihood for Categorical {
    fn neg_log_likelihood<'g>(&self, outputs: Var<'g>, targets: Var<'g>) -> Var<'g> {
        outputs.logsumexp().sum() - outputs.pick(targets).sum()
    }

    fn check(&self, outputs: usize, targets: &[f64]) -> Result<()> {
        let fits = |y: f64| y >= 0.0 && y.fract() == 0.0 && y < outputs as f64;
        match targets.iter().position(|&y| !fits(y)) {
            None => Ok(()),
            Some(row) => Err(Error::data(format!(
                "target of row {row} is {}, not one of the classes 0..{outputs}",
                targets[row]
            ))),
        }
    }
}

/// One real target with Gaussian noise of fixed standard deviation:
/// `-log p(y | o) = (y - o)^2 / (2 noise_std^2) + log noise_std + log(2 pi) / 2`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gaussian {
    noise_std: f64,
}

impl Gaussian {
    /// Noise of the given standard deviation, in units of the target.
    ///
    /// # Errors
    /// If it is not positive and finite.
    pub fn new(noise_std: f64) -> Result<Self> {
        if noise_std > 0.0 && noise_std.is_finite() {
            Ok(Self { noise_std })
        } else {
            Err(Error::config(
                "noise_std",
                noise_std,
                "must be positive and finite",
            ))
        }
    }

    /// Standard deviation of the noise.
    pub fn noise_std(&self) -> f64 {
        self.noise_std
    }
}

impl Likelihood for Gaussian {
    fn neg_log_likelihood<'g>(&self, outputs: Var<'g>, targets: Var<'g>) -> Var<'g> {
        let n = targets.shape().iter().product::<usize>() as f64;
        let residual = outputs.reshape(&targets.shape()) - targets;
        let constant = n * (self.noise_std.ln() + 0.5 * (2.0 * PI).ln());
        residual.square().sum() * (0.5 / self.noise_std.powi(2)) + constant
    }

    fn check(&self, outputs: usize, targets: &[f64]) -> Result<()> {
        if outputs != 1 {
            return Err(Error::shape(
                "Gaussian likelihood",
                "1 network output",
                outputs,
            ));
        }
        match targets.iter().position(|y| !y.is_finite()) {
            None => Ok(()),
            Some(row) => Err(Error::data(format!("target of row {row} is not finite"))),
        }
    }
}
