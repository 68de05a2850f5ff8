//! Gaussian noise of known standard deviation.
//!
//! `-log p(y | o) = sum_j (y_j - o_j)^2 / (2 noise_std_j^2) + log noise_std_j + log(2 pi) / 2`,
//! `Lambda = diag(1 / noise_std_j^2)`.

use super::{ClosedForm, Likelihood, check_finite, check_row, fill_diagonal, normal};
use crate::autodiff::Var;
use crate::error::{Error, Result, counted};
use crate::model::{HALF_LOG_2PI, NOISE_STD, Predictive, positive};

/// Real targets, one per output, with independent Gaussian noise of one fixed standard deviation.
/// It is recorded by the name [`NOISE_STD`], so a compiled density can change it.
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
        let noise_std = positive("noise_std", noise_std)?;
        Ok(Self { noise_std })
    }

    /// Standard deviation of the noise.
    pub fn noise_std(&self) -> f64 {
        self.noise_std
    }
}

impl Likelihood for Gaussian {
    fn target_dim(&self, outputs: usize) -> usize {
        outputs
    }

    fn neg_log_likelihood<'g>(&self, outputs: Var<'g>, targets: Var<'g>, _: Var<'g>) -> Var<'g> {
        let n = targets.shape().iter().product::<usize>() as f64;
        let residual = outputs - targets.reshape(&outputs.shape());
        let of_noise = |of| outputs.graph().named(NOISE_STD, self.noise_std, of);
        let half_precision = of_noise(|std| 0.5 / std.powi(2));
        let constant = of_noise(|std| std.ln() + HALF_LOG_2PI) * n;
        residual.square().sum() * half_precision + constant
    }

    fn row_neg_log_likelihoods<'g>(
        &self,
        outputs: Var<'g>,
        targets: Var<'g>,
        _: Var<'g>,
    ) -> Option<Var<'g>> {
        let (shape, graph) = (outputs.shape(), outputs.graph());
        let residual = outputs - targets.reshape(&shape);
        let of_noise = |of| graph.named(NOISE_STD, self.noise_std, of);
        let half_precision = of_noise(|std| 0.5 / std.powi(2));
        let constant = of_noise(|std| std.ln() + HALF_LOG_2PI) * shape[1] as f64;
        Some(residual.square().sum_axis(1) * half_precision + constant)
    }

    fn output_hessian(
        &self,
        outputs: &[f64],
        target: &[f64],
        params: &[f64],
        hessian: &mut [f64],
    ) -> Result<()> {
        check_row(self, outputs, target, params, hessian)?;
        let precision = self.noise_std.powi(-2);
        fill_diagonal(hessian, outputs.iter().map(|_| precision));
        Ok(())
    }

    fn predictive(&self, outputs: &[f64], params: &[f64]) -> Predictive {
        self.predictive_of(0, outputs, params)
    }

    fn predictive_of(&self, target: usize, outputs: &[f64], _: &[f64]) -> Predictive {
        normal(outputs.get(target), self.noise_std)
    }

    fn closed_form(&self) -> Option<ClosedForm> {
        Some(ClosedForm::Gaussian {
            noise_std: self.noise_std,
        })
    }

    fn check(&self, outputs: usize, targets: &[f64]) -> Result<()> {
        check_finite(outputs, targets)
    }
}

/// Real targets, one per output, with independent Gaussian noise and a fixed standard deviation for
/// each output.
#[derive(Clone, Debug, PartialEq)]
pub struct GaussianPerOutput {
    noise_std: Vec<f64>,
}

impl GaussianPerOutput {
    /// Noise with the given standard deviations, one for each output, in units of its target.
    ///
    /// # Errors
    /// If there are none, or one is not positive and finite.
    pub fn new(noise_std: &[f64]) -> Result<Self> {
        if noise_std.is_empty() {
            return Err(Error::config("noise_std", "[]", "one for each output"));
        }
        for &s in noise_std {
            positive("noise_std", s)?;
        }
        Ok(Self {
            noise_std: noise_std.to_vec(),
        })
    }

    /// Standard deviations of the noise.
    pub fn noise_std(&self) -> &[f64] {
        &self.noise_std
    }
}

impl Likelihood for GaussianPerOutput {
    fn target_dim(&self, outputs: usize) -> usize {
        outputs
    }

    fn neg_log_likelihood<'g>(&self, outputs: Var<'g>, targets: Var<'g>, _: Var<'g>) -> Var<'g> {
        let n = targets.shape()[0] as f64;
        let inverse = self.noise_std.iter().map(|s| 1.0 / s).collect();
        let inverse = outputs.graph().tensor(&[self.noise_std.len()], inverse);
        let scaled = (outputs - targets.reshape(&outputs.shape())) * inverse;
        let constant: f64 = self.noise_std.iter().map(|s| s.ln() + HALF_LOG_2PI).sum();
        scaled.square().sum() * 0.5 + n * constant
    }

    fn row_neg_log_likelihoods<'g>(
        &self,
        outputs: Var<'g>,
        targets: Var<'g>,
        _: Var<'g>,
    ) -> Option<Var<'g>> {
        let inverse = self.noise_std.iter().map(|s| 1.0 / s).collect();
        let inverse = outputs.graph().tensor(&[self.noise_std.len()], inverse);
        let scaled = (outputs - targets.reshape(&outputs.shape())) * inverse;
        let constant: f64 = self.noise_std.iter().map(|s| s.ln() + HALF_LOG_2PI).sum();
        Some(scaled.square().sum_axis(1) * 0.5 + constant)
    }

    fn output_hessian(
        &self,
        outputs: &[f64],
        target: &[f64],
        params: &[f64],
        hessian: &mut [f64],
    ) -> Result<()> {
        check_row(self, outputs, target, params, hessian)?;
        fill_diagonal(hessian, self.noise_std.iter().map(|s| s.powi(-2)));
        Ok(())
    }

    fn predictive(&self, outputs: &[f64], params: &[f64]) -> Predictive {
        self.predictive_of(0, outputs, params)
    }

    fn predictive_of(&self, target: usize, outputs: &[f64], _: &[f64]) -> Predictive {
        let std = self.noise_std.get(target).copied().unwrap_or(f64::NAN);
        normal(outputs.get(target), std)
    }

    fn check(&self, outputs: usize, targets: &[f64]) -> Result<()> {
        if outputs != self.noise_std.len() {
            let expected = counted(self.noise_std.len(), "network output");
            return Err(Error::shape("GaussianPerOutput", expected, outputs));
        }
        check_finite(outputs, targets)
    }
}
