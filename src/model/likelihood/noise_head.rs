//! Gaussian noise whose level is a parameter, and which the network changes from row to row.
//!
//! Of `2 m` outputs the first `m` are means, the others heads `h`; `s = log noise_std` follows the
//! network's parameters in `theta`. The noise of row `i` is `e^{s + h_i}`:
//!
//! ```text
//! -log p(y | mu, h, s) = sum_j (y_j - mu_j)^2 e^{-2 (s + h_j)} / 2 + s + h_j + log(2 pi) / 2
//! ```
//!
//! Where the heads' weights are small this is [`GaussianLearnedNoise`](super::GaussianLearnedNoise).
//! With a scale of their own in the prior ([`ScaledNetwork`](crate::model::ScaledNetwork)) the data
//! say how much the noise changes, and a walk can shrink the heads to nothing. In
//! [`HeteroscedasticGaussian`](super::HeteroscedasticGaussian) they carry the level too, and cannot.
//!
//! The Hessian is indefinite; all blocks are Fisher information: `e^{-2 (s + h)}` for a mean, 2 for
//! a head, `2 m n` for `s`. The block between `s` and a head is 2 and dropped: it ties the level to
//! the mean of the heads, which the prior tells apart.

use super::{
    Likelihood, LikelihoodParam, LikelihoodParams, check_finite, check_row, fill_diagonal,
};
use crate::autodiff::Var;
use crate::error::{Error, Result};
use crate::model::{CoordinatePrior, HALF_LOG_2PI, positive};

/// Real targets, half as many as outputs: means, then the logarithms of what the noise is
/// multiplied by. The noise's level `log noise_std` is its parameter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GaussianNoiseHead {
    scale: f64,
}

impl GaussianNoiseHead {
    /// With the prior `noise_std ~ C+(0, scale)` of the level, in units of the target.
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

    fn check(&self, outputs: usize, targets: &[f64]) -> Result<()> {
        if outputs == 0 || outputs % 2 == 1 {
            let expected = "an even number of network outputs, means and heads of the noise";
            return Err(Error::shape("GaussianNoiseHead", expected, outputs));
        }
        check_finite(outputs / 2, targets)
    }
}
