//! Gaussian noise whose standard deviation is a parameter.
//!
//! `s = log noise_std` follows the network's parameters in `theta`. Its prior is log-normal,
//! `s ~ N(log median, log_std^2)`, or half-Cauchy, `noise_std ~ C+(0, scale)`.
//!
//! `-log p(y | o, s) = sum_j (y_j - o_j)^2 e^{-2 s_j} / 2 + s_j + log(2 pi) / 2`,
//! `Lambda = diag(e^{-2 s_j})`.
//!
//! In the Gauss-Newton matrix the block of `s` is the Fisher information. A residual `r` has second
//! derivative `2 r^2 e^{-2 s}` in `s`, with expectation 2. So the block is 2 for each residual:
//! `2 n` for one noise level of `n` rows. It does not depend on the data or on `s`, whereas the
//! Hessian falls to zero as `s` grows. The block between `s` and the outputs, `-2 r e^{-2 s}`, has
//! expectation zero.

use super::{
    Likelihood, LikelihoodParam, LikelihoodParams, check_finite, check_row, fill_diagonal, normal,
};
use crate::autodiff::Var;
use crate::error::Result;
use crate::model::{CoordinatePrior, HALF_LOG_2PI, Predictive, positive};

/// Real targets, one per output, with independent Gaussian noise whose standard deviation is
/// learned: one for all outputs, or one for each. Its parameters are `log noise_std`.
///
/// ```
/// use fiberwalk::{
///     Activation, GaussianLearnedNoise, IsotropicGaussian, Likelihood, LogDensity, Mlp, Network,
///     Phase, PosteriorDensity, Streams,
/// };
/// let network = Mlp::new(&[1, 8, 1], Activation::Tanh)?;
/// let likelihood = GaussianLearnedNoise::shared();
/// let prior = IsotropicGaussian::new(1.0)?;
/// let (x, y) = ([-1.0, 0.0, 1.0], [0.9, 0.1, 1.1]);
/// let posterior = PosteriorDensity::<f64>::new(&network, &likelihood, &prior, &x, &y)?;
/// let mut theta = network.init(&mut Streams::new(0).rng(Phase::INIT, 0));
/// theta.extend(likelihood.params(network.output_dim()).init());
/// assert_eq!(theta.len(), posterior.dim());
/// # Ok::<(), fiberwalk::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GaussianLearnedNoise {
    per_output: bool,
    prior: CoordinatePrior,
    init: f64,
}

/// The default prior, made for standardised targets. 95 % of it lies between 0.04 and 2.1.
const MEDIAN: f64 = 0.3;
const LOG_STD: f64 = 1.0;

impl GaussianLearnedNoise {
    /// One noise level for all outputs, with a log-normal prior: median 0.3 (in units of the
    /// target) and `log_std` 1.
    pub fn shared() -> Self {
        Self {
            per_output: false,
            prior: CoordinatePrior::Normal {
                mean: MEDIAN.ln(),
                precision: LOG_STD.powi(-2),
            },
            init: MEDIAN,
        }
    }

    /// A noise level for each output. Levels are independent, with the same prior.
    pub fn per_output() -> Self {
        Self {
            per_output: true,
            ..Self::shared()
        }
    }

    /// Sets the prior `log noise_std ~ N(log median, log_std^2)`, and starts a fit at its median
    /// (in units of the target).
    ///
    /// # Errors
    /// If the median or the spread is not positive and finite.
    pub fn with_prior(self, median: f64, log_std: f64) -> Result<Self> {
        Ok(Self {
            prior: CoordinatePrior::Normal {
                mean: positive("median", median)?.ln(),
                precision: positive("log_std", log_std)?.powi(-2),
            },
            init: median,
            ..self
        })
    }

    /// Sets the prior `noise_std ~ C+(0, scale)`, and starts a fit at its median, `scale` (in units
    /// of the target).
    ///
    /// # Errors
    /// If the scale is not positive and finite.
    pub fn with_half_cauchy(self, scale: f64) -> Result<Self> {
        let init = positive("scale", scale)?;
        Ok(Self {
            prior: CoordinatePrior::HalfCauchy { scale },
            init,
            ..self
        })
    }

    /// Starts a fit at `noise_std`, not at the prior's median.
    ///
    /// # Errors
    /// If it is not positive and finite.
    pub fn with_init(self, noise_std: f64) -> Result<Self> {
        let init = positive("noise_std", noise_std)?;
        Ok(Self { init, ..self })
    }

    /// Number of noise levels for this many outputs.
    fn levels(&self, outputs: usize) -> usize {
        if self.per_output { outputs } else { 1 }
    }
}

impl Likelihood for GaussianLearnedNoise {
    fn target_dim(&self, outputs: usize) -> usize {
        outputs
    }

    fn params(&self, outputs: usize) -> LikelihoodParams {
        let mut params = LikelihoodParams::default();
        params.push(LikelihoodParam {
            name: "log_noise_std".into(),
            len: self.levels(outputs),
            init: self.init.ln(),
            prior: self.prior,
        });
        params
    }

    fn neg_log_likelihood<'g>(
        &self,
        outputs: Var<'g>,
        targets: Var<'g>,
        params: Var<'g>,
    ) -> Var<'g> {
        let shape = outputs.shape();
        let count = shape.iter().product::<usize>() as f64;
        let residual = outputs - targets.reshape(&shape);
        let levels = params.shape().iter().product::<usize>();
        let constant = count * HALF_LOG_2PI;
        if levels == 1 {
            // a scalar outside the sum over rows, which stays in f64
            let log_std = params.reshape(&[]);
            let half_precision = (log_std * -2.0).exp() * 0.5;
            return residual.square().sum() * half_precision + log_std * count + constant;
        }
        let scaled = residual * (-params).exp();
        scaled.square().sum() * 0.5 + params.sum() * shape[0] as f64 + constant
    }

    fn row_neg_log_likelihoods<'g>(
        &self,
        outputs: Var<'g>,
        targets: Var<'g>,
        params: Var<'g>,
    ) -> Option<Var<'g>> {
        let shape = outputs.shape();
        let scaled = (outputs - targets.reshape(&shape)) * (-params).exp();
        let levels = params.shape().iter().product::<usize>();
        let of_levels = params.sum() * (shape[1] as f64 / levels as f64);
        let constant = of_levels + shape[1] as f64 * HALF_LOG_2PI;
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
        let log_std = |j: usize| {
            if self.per_output {
                params[j]
            } else {
                params[0]
            }
        };
        let precision = (0..outputs.len()).map(|j| (-2.0 * log_std(j)).exp());
        fill_diagonal(hessian, precision);
        Ok(())
    }

    /// The Fisher information: 2 for each residual.
    fn params_hessian_product<'g>(
        &self,
        outputs: Var<'g>,
        _: Var<'g>,
        params: Var<'g>,
        u: Var<'g>,
    ) -> Result<Var<'g>> {
        let residuals = outputs.shape().iter().product::<usize>() as f64;
        let levels = params.shape().iter().product::<usize>() as f64;
        Ok(u * (2.0 * residuals / levels))
    }

    fn predictive(&self, outputs: &[f64], params: &[f64]) -> Predictive {
        self.predictive_of(0, outputs, params)
    }

    fn predictive_of(&self, target: usize, outputs: &[f64], params: &[f64]) -> Predictive {
        // one level for all outputs, or one for each
        let at = if params.len() > 1 { target } else { 0 };
        let level = params.get(at).copied().unwrap_or(f64::NAN);
        normal(outputs.get(target), level.exp())
    }

    fn check(&self, outputs: usize, targets: &[f64]) -> Result<()> {
        check_finite(outputs, targets)
    }
}
