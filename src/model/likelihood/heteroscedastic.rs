//! Gaussian noise whose standard deviation the network predicts row by row (Nix & Weigend 1994).
//!
//! The first `m` of `2 m` outputs are means, the others are scale heads:
//! `noise_std_j = softplus(h_j) + floor`, and
//!
//! ```text
//! -log p(y | mu, h) = sum_j (y_j - mu_j)^2 / (2 noise_std_j^2) + log noise_std_j + log(2 pi) / 2
//! ```
//!
//! Let `r = mu - y` be the residual and `c = d noise_std / dh = sigmoid(h)`. The Hessian in
//! `(mu_j, h_j)` has `-2 r c / noise_std^3` off its diagonal, and a lower corner that is negative
//! near `r = 0`, so it is indefinite. `Lambda` is therefore its expectation over `y`: the Fisher
//! information `diag(1 / noise_std_j^2, 2 c_j^2 / noise_std_j^2)`. The dropped part has mean zero
//! under the model.
//!
//! This is a part for models of your own, and for ensembles as in Lakshminarayanan et al. (2017): it
//! has no parameters besides the network's. `fit --likelihood heteroscedastic` takes
//! [`GaussianNoiseHead`](super::GaussianNoiseHead), whose level is sampled with the scales.

use super::{Likelihood, check_finite, check_row, fill_diagonal, normal};
use crate::autodiff::Var;
use crate::error::{Error, Result};
use crate::model::{HALF_LOG_2PI, Predictive, positive};

/// Real targets, half as many as outputs, with independent Gaussian noise. The first half of the
/// outputs are means, the second half scale heads: `noise_std = softplus(head) + scale_floor`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HeteroscedasticGaussian {
    scale_floor: f64,
}

impl Default for HeteroscedasticGaussian {
    /// A floor of 0.001, made for standardised targets.
    fn default() -> Self {
        Self { scale_floor: 1e-3 }
    }
}

impl HeteroscedasticGaussian {
    /// Noise whose standard deviation stays above `scale_floor`, in units of the target. Without a
    /// floor, the density is unbounded at a row that is fitted exactly.
    ///
    /// # Errors
    /// If it is not positive and finite.
    pub fn new(scale_floor: f64) -> Result<Self> {
        let scale_floor = positive("scale_floor", scale_floor)?;
        Ok(Self { scale_floor })
    }

    /// The smallest standard deviation of the noise.
    pub fn scale_floor(&self) -> f64 {
        self.scale_floor
    }

    /// The standard deviation of the noise for a given scale head.
    pub fn noise_std(&self, head: f64) -> f64 {
        // log(1 + e^h) without overflow
        head.max(0.0) + (-head.abs()).exp().ln_1p() + self.scale_floor
    }
}

impl Likelihood for HeteroscedasticGaussian {
    fn target_dim(&self, outputs: usize) -> usize {
        outputs / 2
    }

    fn neg_log_likelihood<'g>(&self, outputs: Var<'g>, targets: Var<'g>, _: Var<'g>) -> Var<'g> {
        let (means, heads) = halves(outputs);
        let noise_std = heads.softplus() + self.scale_floor;
        let scaled = (means - targets.reshape(&means.shape())) / noise_std;
        let count = targets.shape().iter().product::<usize>() as f64;
        (scaled.square() * 0.5 + noise_std.ln()).sum() + count * HALF_LOG_2PI
    }

    fn row_neg_log_likelihoods<'g>(
        &self,
        outputs: Var<'g>,
        targets: Var<'g>,
        _: Var<'g>,
    ) -> Option<Var<'g>> {
        let (means, heads) = halves(outputs);
        let (shape, noise_std) = (means.shape(), heads.softplus() + self.scale_floor);
        let scaled = (means - targets.reshape(&shape)) / noise_std;
        let each = scaled.square() * 0.5 + noise_std.ln() + HALF_LOG_2PI;
        Some(each.sum_axis(1))
    }

    /// The Fisher information: the Hessian is indefinite.
    fn output_hessian_product<'g>(
        &self,
        outputs: Var<'g>,
        _: Var<'g>,
        _: Var<'g>,
        w: Var<'g>,
    ) -> Result<Var<'g>> {
        let (_, heads) = halves(outputs);
        let (along_means, along_heads) = halves(w);
        let noise_std = heads.softplus() + self.scale_floor;
        let of_means = along_means / noise_std.square();
        let of_heads = along_heads * ((heads.sigmoid() / noise_std).square() * 2.0);
        Ok(outputs.graph().concat(1, &[of_means, of_heads]))
    }

    fn output_hessian(
        &self,
        outputs: &[f64],
        target: &[f64],
        params: &[f64],
        hessian: &mut [f64],
    ) -> Result<()> {
        check_row(self, outputs, target, params, hessian)?;
        let m = outputs.len() / 2;
        let entry = |i: usize| {
            let head = outputs[m + i % m];
            let weight = if i < m {
                1.0
            } else {
                2.0 / (1.0 + (-head).exp()).powi(2)
            };
            weight / self.noise_std(head).powi(2)
        };
        fill_diagonal(hessian, (0..2 * m).map(entry));
        Ok(())
    }

    fn predictive(&self, outputs: &[f64], params: &[f64]) -> Predictive {
        self.predictive_of(0, outputs, params)
    }

    fn predictive_of(&self, target: usize, outputs: &[f64], _: &[f64]) -> Predictive {
        let (means, heads) = outputs.split_at(outputs.len() / 2);
        let head = heads.get(target).copied().unwrap_or(f64::NAN);
        // softplus without overflow
        let softplus = head.max(0.0) + (-head.abs()).exp().ln_1p();
        normal(means.get(target), softplus + self.scale_floor)
    }

    fn check(&self, outputs: usize, targets: &[f64]) -> Result<()> {
        if outputs == 0 || outputs % 2 == 1 {
            let expected = "an even number of network outputs, means and scale heads";
            return Err(Error::shape("HeteroscedasticGaussian", expected, outputs));
        }
        check_finite(outputs / 2, targets)
    }
}

/// Means and scale heads, each `[n, m]`.
fn halves(outputs: Var<'_>) -> (Var<'_>, Var<'_>) {
    let k = outputs.shape().last().copied().unwrap_or(0);
    (outputs.slice(1, 0..k / 2), outputs.slice(1, k / 2..k))
}
