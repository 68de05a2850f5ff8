//! Student's t noise for real targets with outliers. Scale and degrees of freedom are parameters.
//!
//! `s = log noise_std` and `u = log(nu - 2)` follow the network's parameters in `theta`. With
//! residual `r = o - y`, `z = r e^{-s}` and `x = nu / 2`:
//!
//! ```text
//! -log p(y | o, s, u) = s + (nu + 1)/2 log(1 + z^2 / nu) - D(x) + log(x)/2 + log(2 pi)/2
//! D(x) = log Gamma(x + 1/2) - log Gamma(x)
//! ```
//!
//! (Lange, Little & Taylor 1989, JASA 84.) `nu > 2`, so the variance `e^{2s} nu / (nu - 2)` exists.
//! As `nu` grows, this approaches Gaussian noise of standard deviation `e^s`. The prior of `u` is
//! normal. The default has its median at `nu = 10`, with 95 % between 3.1 and 59.
//!
//! `D` is computed at `x + 6` by its series in `w = x + 6 - 1/4`, whose odd powers vanish (DLMF
//! 5.11.13). The recurrence `D(x) = D(x + 1) - log(1 + 1/(2 x))` brings it back to `x`. The error
//! is below 1e-10.
//!
//! The Hessian is indefinite: it is negative for outliers. So all blocks are Fisher information
//! (Lange et al., section 4). The value for an output is `(nu + 1) / ((nu + 3) e^{2s})`. For
//! `(s, nu)`, each residual contributes
//!
//! ```text
//! [ 2 nu / (nu + 3)              -2 / ((nu + 1)(nu + 3))                            ]
//! [ -2 / ((nu + 1)(nu + 3))      -D''(x)/4 - (nu + 5) / (2 nu (nu + 1)(nu + 3))     ]
//! ```
//!
//! with `d nu / du = nu - 2`. The block between outputs and parameters is zero.

use super::{
    Likelihood, LikelihoodParam, LikelihoodParams, check_finite, check_row, fill_diagonal, first,
};
use crate::autodiff::Var;
use crate::error::Result;
use crate::model::{CoordinatePrior, HALF_LOG_2PI, Law, Predictive, positive};

/// Real targets, one per output, with independent Student-t noise of common scale and degrees of
/// freedom. Both are learned: the parameters are `log noise_std` and `log(dof - 2)`.
///
/// ```
/// use fiberwalk::{Likelihood, StudentT};
/// let likelihood = StudentT::default();
/// let s = likelihood.params(1).init();
/// assert!((StudentT::dof(s[1]) - 10.0).abs() < 1e-12);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StudentT {
    scale_prior: CoordinatePrior,
    dof_prior: CoordinatePrior,
    scale_init: f64,
}

/// Prior of `nu - 2`: its median, and the standard deviation of its logarithm.
const TAIL: f64 = 8.0;
const TAIL_LOG_STD: f64 = 1.0;

/// Prior median of the noise's scale, for standardised targets.
const SCALE: f64 = 0.5;

/// Steps of the recurrence: the series of `D` is accurate at `x + SHIFT`.
const SHIFT: usize = 6;

/// `D(x) = log(w)/2 + sum_k SERIES[k] w^{-2(k+1)}`, with coefficients `2 B_{n+1}(1/4) / (n (n+1))`
/// for `n = 2, 4, 6, 8`.
const SERIES: [f64; 4] = [
    1.0 / 64.0,
    -5.0 / 2048.0,
    0.001_241_048_177_083_333_3,
    -0.001_320_838_928_222_656_2,
];

impl Default for StudentT {
    /// `noise_std ~ C+(0, 1/2)`, made for standardised targets, and a log-normal `dof - 2` with
    /// median 8 and `log_std` 1.
    fn default() -> Self {
        Self {
            scale_prior: CoordinatePrior::HalfCauchy { scale: SCALE },
            dof_prior: CoordinatePrior::Normal {
                mean: TAIL.ln(),
                precision: TAIL_LOG_STD.powi(-2),
            },
            scale_init: SCALE,
        }
    }
}

impl StudentT {
    /// Sets the prior of the scale, `noise_std ~ C+(0, scale)`, in units of the target.
    ///
    /// # Errors
    /// If the scale is not positive and finite.
    pub fn with_half_cauchy(self, scale: f64) -> Result<Self> {
        let scale_init = positive("scale", scale)?;
        Ok(Self {
            scale_prior: CoordinatePrior::HalfCauchy { scale },
            scale_init,
            ..self
        })
    }

    /// Sets the prior of the degrees of freedom, `log(dof - 2) ~ N(log(median - 2), log_std^2)`.
    ///
    /// # Errors
    /// If the median is not above 2, the spread is not positive, or either is not finite.
    pub fn with_dof_prior(self, median: f64, log_std: f64) -> Result<Self> {
        let above = positive("median - 2", median - 2.0)?;
        Ok(Self {
            dof_prior: CoordinatePrior::Normal {
                mean: above.ln(),
                precision: positive("log_std", log_std)?.powi(-2),
            },
            ..self
        })
    }

    /// The degrees of freedom for the parameter `u = log(dof - 2)`.
    pub fn dof(u: f64) -> f64 {
        2.0 + u.exp()
    }
}

/// `D(x)`.
fn log_gamma_ratio(x: Var<'_>) -> Var<'_> {
    let w = x + (SHIFT as f64 - 0.25);
    let v = x.graph().constant(1.0) / w.square();
    let mut series = v * SERIES[3];
    for coefficient in SERIES[..3].iter().rev() {
        series = (series + *coefficient) * v;
    }
    let mut ratio = w.ln() * 0.5 + series;
    for k in 0..SHIFT {
        let at = x + k as f64;
        ratio = ratio - (x.graph().constant(0.5) / at).ln_1p();
    }
    ratio
}

/// `D''(x)`.
fn bend(x: Var<'_>) -> Var<'_> {
    let one = x.graph().constant(1.0);
    let w = x + (SHIFT as f64 - 0.25);
    let v = one / w.square();
    // d^2/dx^2 of c w^{-n} is n (n + 1) c w^{-n-2}
    let mut series = v * (72.0 * SERIES[3]);
    for (coefficient, n) in SERIES[..3].iter().zip([2.0, 4.0, 6.0]).rev() {
        series = (series + coefficient * n * (n + 1.0)) * v;
    }
    let mut bend = (series - 0.5) * v;
    for k in 0..SHIFT {
        let (whole, half) = (x + k as f64, x + (k as f64 + 0.5));
        bend = bend + one / half.square() - one / whole.square();
    }
    bend
}

impl Likelihood for StudentT {
    fn target_dim(&self, outputs: usize) -> usize {
        outputs
    }

    fn params(&self, _: usize) -> LikelihoodParams {
        let mut params = LikelihoodParams::default();
        params.push(LikelihoodParam {
            name: "log_noise_std".into(),
            len: 1,
            init: self.scale_init.ln(),
            prior: self.scale_prior,
        });
        params.push(LikelihoodParam {
            name: "log_dof_less_2".into(),
            len: 1,
            init: self.dof_prior.mode(),
            prior: self.dof_prior,
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
        let (s, u) = (params.slice(0, 0..1), params.slice(0, 1..2));
        let (s, nu) = (s.reshape(&[]), u.reshape(&[]).exp() + 2.0);
        let x = nu * 0.5;
        let residual = outputs - targets.reshape(&shape);
        let scaled = residual.square() * ((s * -2.0).exp() / nu);
        let each = s - log_gamma_ratio(x) + x.ln() * 0.5 + HALF_LOG_2PI;
        // scalars outside the sum over rows, which stays in f64
        scaled.ln_1p().sum() * ((nu + 1.0) * 0.5) + each * count
    }

    fn row_neg_log_likelihoods<'g>(
        &self,
        outputs: Var<'g>,
        targets: Var<'g>,
        params: Var<'g>,
    ) -> Option<Var<'g>> {
        let shape = outputs.shape();
        let (s, u) = (params.slice(0, 0..1), params.slice(0, 1..2));
        let (s, nu) = (s.reshape(&[]), u.reshape(&[]).exp() + 2.0);
        let x = nu * 0.5;
        let residual = outputs - targets.reshape(&shape);
        let scaled = residual.square() * ((s * -2.0).exp() / nu);
        let each = s - log_gamma_ratio(x) + x.ln() * 0.5 + HALF_LOG_2PI;
        let tails = scaled.ln_1p().sum_axis(1) * ((nu + 1.0) * 0.5);
        Some(tails + each * shape[1] as f64)
    }

    /// The Fisher information.
    fn output_hessian_product<'g>(
        &self,
        _: Var<'g>,
        _: Var<'g>,
        params: Var<'g>,
        w: Var<'g>,
    ) -> Result<Var<'g>> {
        let (s, u) = (params.slice(0, 0..1), params.slice(0, 1..2));
        let nu = u.reshape(&[]).exp() + 2.0;
        Ok(w * ((s.reshape(&[]) * -2.0).exp() * (nu + 1.0) / (nu + 3.0)))
    }

    fn output_hessian(
        &self,
        outputs: &[f64],
        target: &[f64],
        params: &[f64],
        hessian: &mut [f64],
    ) -> Result<()> {
        check_row(self, outputs, target, params, hessian)?;
        let nu = Self::dof(params[1]);
        let each = (-2.0 * params[0]).exp() * (nu + 1.0) / (nu + 3.0);
        fill_diagonal(hessian, outputs.iter().map(|_| each));
        Ok(())
    }

    /// The Fisher information.
    fn params_hessian_product<'g>(
        &self,
        outputs: Var<'g>,
        _: Var<'g>,
        params: Var<'g>,
        u: Var<'g>,
    ) -> Result<Var<'g>> {
        let residuals = outputs.shape().iter().product::<usize>() as f64;
        let above = params.slice(0, 1..2).exp();
        let nu = above + 2.0;
        let far = (nu + 1.0) * (nu + 3.0);
        let scale = nu * 2.0 / (nu + 3.0);
        let cross = above * -2.0 / far;
        let dof = (bend(nu * 0.5) * -0.25 - (nu + 5.0) / (nu * far * 2.0)) * above.square();
        let (along_s, along_u) = (u.slice(0, 0..1), u.slice(0, 1..2));
        let parts = [
            scale * along_s + cross * along_u,
            cross * along_s + dof * along_u,
        ];
        Ok(outputs.graph().concat(0, &parts) * residuals)
    }

    fn predictive(&self, outputs: &[f64], params: &[f64]) -> Predictive {
        self.predictive_of(0, outputs, params)
    }

    fn predictive_of(&self, target: usize, outputs: &[f64], params: &[f64]) -> Predictive {
        Predictive::Law(Law::StudentT {
            mean: outputs.get(target).copied().unwrap_or(f64::NAN),
            scale: first(params).exp(),
            dof: params.get(1).map_or(f64::NAN, |&u| Self::dof(u)),
        })
    }

    fn check(&self, outputs: usize, targets: &[f64]) -> Result<()> {
        check_finite(outputs, targets)
    }
}
