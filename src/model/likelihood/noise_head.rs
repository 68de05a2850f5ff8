//! Gaussian noise whose level is a parameter, scaled by the network from row to row.
//!
//! The first `m` of `2 m` outputs are means, the others are heads `h`. `s = log noise_std` follows
//! the network's parameters in `theta`. The noise of row `i` is `e^{s + h_i}`:
//!
//! ```text
//! -log p(y | mu, h, s) = sum_j (y_j - mu_j)^2 e^{-2 (s + h_j)} / 2 + s + h_j + log(2 pi) / 2
//! ```
//!
//! If the heads' weights are small, this is [`GaussianLearnedNoise`](super::GaussianLearnedNoise).
//! Give the heads a separate scale in the prior ([`ScaledNetwork`](crate::model::ScaledNetwork)),
//! and the data determine how much the noise changes; a walk can shrink the heads to nothing. In
//! [`HeteroscedasticGaussian`](super::HeteroscedasticGaussian) it cannot, because the heads carry
//! the level too.
//!
//! The Hessian is indefinite, so all blocks are Fisher information: `e^{-2 (s + h)}` for a mean, 2
//! for a head, `2 m n` for `s`. The block between `s` and a head is 2, but it is dropped. It
//! couples the level to the mean of the heads, and the prior separates these two.

use super::{
    Likelihood, LikelihoodParam, LikelihoodParams, check_finite, check_row, fill_diagonal, first,
    normal,
};
use crate::autodiff::Var;
use crate::error::{Error, Result};
use crate::model::{CoordinatePrior, HALF_LOG_2PI, Predictive, positive};

/// Real targets, half as many as outputs. The outputs are means, then the logarithms of the factors
/// that multiply the noise. The noise's level `log noise_std` is a parameter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GaussianNoiseHead {
    scale: f64,
}

impl GaussianNoiseHead {
    /// A likelihood with the prior `noise_std ~ C+(0, scale)` of the level, in units of the target.
    ///
    /// # Errors
    /// If the scale is not positive and finite.
    pub fn new(scale: f64) -> Result<Self> {
        let scale = positive("scale", scale)?;
        Ok(Self { scale })
    }
}

/// Means and heads, each `[n, m]`.
fn halves(outputs: Var<'_>) -> (Var<'_>, Var<'_>) {
    let k = outputs.shape().last().copied().unwrap_or(0);
    (outputs.slice(1, 0..k / 2), outputs.slice(1, k / 2..k))
}

impl Likelihood for GaussianNoiseHead {
    fn target_dim(&self, outputs: usize) -> usize {
        outputs / 2
    }

    fn params(&self, _: usize) -> LikelihoodParams {
        let mut params = LikelihoodParams::default();
        params.push(LikelihoodParam {
            name: "log_noise_std".into(),
            len: 1,
            init: self.scale.ln(),
            prior: CoordinatePrior::HalfCauchy { scale: self.scale },
        });
        params
    }

    fn neg_log_likelihood<'g>(
        &self,
        outputs: Var<'g>,
        targets: Var<'g>,
        params: Var<'g>,
    ) -> Var<'g> {
        let (means, heads) = halves(outputs);
        let count = targets.shape().iter().product::<usize>() as f64;
        let s = params.reshape(&[]);
        let residual = means - targets.reshape(&means.shape());
        let squares = (residual * (-heads).exp()).square().sum();
        // scalars outside the sums over rows, which stay in f64
        squares * ((s * -2.0).exp() * 0.5) + heads.sum() + s * count + count * HALF_LOG_2PI
    }

    fn row_neg_log_likelihoods<'g>(
        &self,
        outputs: Var<'g>,
        targets: Var<'g>,
        params: Var<'g>,
    ) -> Option<Var<'g>> {
        let (means, heads) = halves(outputs);
        let (shape, s) = (means.shape(), params.reshape(&[]));
        let scaled = (means - targets.reshape(&shape)) * (-(heads + s)).exp();
        let each = scaled.square() * 0.5 + heads;
        Some(each.sum_axis(1) + (s + HALF_LOG_2PI) * shape[1] as f64)
    }

    /// The Fisher information.
    fn output_hessian_product<'g>(
        &self,
        outputs: Var<'g>,
        _: Var<'g>,
        params: Var<'g>,
        w: Var<'g>,
    ) -> Result<Var<'g>> {
        let (_, heads) = halves(outputs);
        let (along_means, along_heads) = halves(w);
        let s = params.reshape(&[]);
        let of_means = along_means * (heads * -2.0).exp() * (s * -2.0).exp();
        Ok(outputs.graph().concat(1, &[of_means, along_heads * 2.0]))
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
        let entry = |i: usize| match i < m {
            true => (-2.0 * (params[0] + outputs[m + i])).exp(),
            false => 2.0,
        };
        fill_diagonal(hessian, (0..2 * m).map(entry));
        Ok(())
    }

    /// The Fisher information: 2 for each residual.
    fn params_hessian_product<'g>(
        &self,
        outputs: Var<'g>,
        _: Var<'g>,
        _: Var<'g>,
        u: Var<'g>,
    ) -> Result<Var<'g>> {
        // half of the outputs are means
        Ok(u * outputs.shape().iter().product::<usize>() as f64)
    }

    fn predictive(&self, outputs: &[f64], params: &[f64]) -> Predictive {
        self.predictive_of(0, outputs, params)
    }

    fn predictive_of(&self, target: usize, outputs: &[f64], params: &[f64]) -> Predictive {
        let (means, heads) = outputs.split_at(outputs.len() / 2);
        let head = heads.get(target).copied().unwrap_or(f64::NAN);
        normal(means.get(target), first(params).exp() * head.exp())
    }

    fn check(&self, outputs: usize, targets: &[f64]) -> Result<()> {
        if outputs == 0 || outputs % 2 == 1 {
            let expected = "an even number of network outputs, means and heads of the noise";
            return Err(Error::shape("GaussianNoiseHead", expected, outputs));
        }
        check_finite(outputs / 2, targets)
    }
}
