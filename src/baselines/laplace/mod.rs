//! Laplace's approximation: a Gaussian at the MAP estimate.
//!
//! MacKay 1992; Daxberger et al. 2021, "Laplace Redux", arXiv 2106.14806.
//!
//! `p(theta | D) ~ N(theta*, Q^{-1})`, `Q = H + diag(prior_precision)`
//!
//! `H` is the curvature of the negative log-likelihood at `theta*`, a **sum** over the data: the
//! Gauss-Newton matrix, the empirical Fisher matrix or the exact Hessian. From the Gaussian follow
//! - draws `theta* + R z`, `R R^T = Q^{-1}` ([`crate::model::Posterior`]);
//! - the predictive of the linearised network, `f(x) ~ N(f(x; theta*), J Q^{-1} J^T)` (Immer,
//!   Korzepa & Bauer 2021), in [`OutputGaussian`](crate::predict::OutputGaussian);
//!   [`crate::predict`] combines it with a likelihood;
//! - the evidence `log p(D | theta*) + log p(theta*) + q/2 log 2 pi - 1/2 log det Q`, and the prior
//!   precisions and noise level that maximise it at fixed `theta*` and `H` (`tune`).
//!
//! What it drops: everything that is not quadratic around one mode. Sampled weights leave the fiber
//! of near-equal networks, and predict badly where the posterior is not narrow. The linearised
//! predictive makes better use of the same Gaussian. The prior is treated as the zero-mean Gaussian
//! with the precisions of [`crate::model::Prior::precision`]; every prior of this crate is one.
//! `theta*` is not checked to be a mode. Elsewhere the evidence ignores the slope: it is that of a
//! Gaussian with the same value and curvature, as in laplace-torch.
//!
//! Defaults: KFAC and the Gauss-Newton matrix, as in laplace-torch.
//!
//! Deviations from laplace-torch: biases are joined to their weights unless
//! [`KfacBias::Separate`](crate::curvature::KfacBias) is chosen, and scales are tuned by an ascent
//! that cannot overshoot instead of Adam. As there, the prior enters KFAC in the eigenbasis of the
//! factors.
//!
//! | file | what |
//! |---|---|
//! | `options` | structures and curvatures |
//! | `structure` | the interface of the structures, and which curvature each one takes |
//! | `full`, `diagonal`, `low_rank`, `kronecker` | one structure each |
//! | `functional` | the linearised predictive |
//! | `evidence` | the log evidence |
//! | `tune` | scales by the evidence, or by the caller's score |

mod diagonal;
mod evidence;
mod full;
mod functional;
mod kronecker;
mod low_rank;
mod options;
mod structure;
mod tune;

pub use options::{Curvature, LaplaceOptions, Structure};
pub use tune::{PrecisionGroups, TuneOptions, TuneReport, precision_grid};

use std::ops::Range;
use std::sync::Arc;

use rand_chacha::ChaCha8Rng;

use crate::baselines::draws::independent;
use crate::curvature::{RowOutputs, Supervised};
use crate::error::{Error, Result, counted};
use crate::linalg::vector::first_non_finite;
use crate::model::{Posterior, Prior};
use crate::nn::ParamLayout;
use crate::rng::{Streams, fill_normal};
use crate::scalar::Scalar;
use structure::{Precision, StructuredCurvature};

/// A Gaussian posterior over the parameters of a network.
///
/// ```
/// use fiberwalk::baselines::{Laplace, LaplaceOptions, Structure, TuneOptions};
/// use fiberwalk::curvature::Supervised;
/// use fiberwalk::predict::regression_predictions;
/// use fiberwalk::{
///     Activation, Gaussian, IsotropicGaussian, MapOptions, Mlp, Network, Phase, Posterior,
///     PosteriorDensity, Streams, fit_map,
/// };
///
/// let (net, likelihood) = (Mlp::new(&[1, 5, 1], Activation::Tanh)?, Gaussian::new(0.2)?);
/// let prior = IsotropicGaussian::new(1.0)?;
/// let (x, y) = ([-1.0, -0.5, 0.0, 0.5, 1.0], [0.9, 0.3, 0.0, 0.2, 1.1]);
/// let density = PosteriorDensity::<f64>::new(&net, &likelihood, &prior, &x, &y)?;
/// let start = net.init(&mut Streams::new(0).rng(Phase::INIT, 0));
/// let options = MapOptions { steps: 500, ..MapOptions::default() };
/// let map = fit_map(&density, start, &options, |_| ())?;
///
/// let data = Supervised { network: &net, likelihood: &likelihood, x: &x, y: &y };
/// let options = LaplaceOptions {
///     structure: Structure::Full,
///     noise_std: Some(0.2),
///     ..LaplaceOptions::default()
/// };
/// let mut laplace = Laplace::fit(&data, &prior, &map.theta, &options, Streams::new(0))?;
/// laplace.tune_by_evidence(&TuneOptions { noise_std: true, ..TuneOptions::default() })?;
/// let outputs = laplace.linearised_all(&net, &[0.25, 3.0])?;
/// let noise_std = laplace.noise_std().unwrap_or(0.2);
/// let rows = regression_predictions(&outputs, noise_std, 0.0, 1.0)?.summaries(&[])?.moments;
/// assert!(rows[1].epistemic_std > rows[0].epistemic_std);
/// assert_eq!(laplace.sample(10, Streams::new(1))?.len(), 10 * net.dim());
/// # Ok::<(), fiberwalk::Error>(())
/// ```
#[derive(Clone)]
pub struct Laplace<T> {
    theta: Vec<T>,
    layout: ParamLayout,
    /// The uncertain parameters.
    active: Range<usize>,
    curvature: Arc<dyn StructuredCurvature>,
    precision: Arc<dyn Precision>,
    /// `[P]`.
    prior_precision: Vec<f64>,
    /// `-log p(D | theta*)` at the noise level of the fit.
    neg_log_likelihood: f64,
    /// Number of residuals: rows times outputs, each row with its weight.
    residuals: f64,
    /// Noise levels: of the fit, and now.
    noise: Option<(f64, f64)>,
}

impl<T> std::fmt::Debug for Laplace<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (q, p) = (self.active.len(), self.theta.len());
        write!(f, "Laplace for {q} of {}", counted(p, "parameter"))
    }
}

impl<T: Scalar> Laplace<T> {
    /// Fits the approximation at `theta` (`[P]`, a MAP estimate). `streams` seeds the Lanczos
    /// iterations.
    ///
    /// # Errors
    /// If a setting is out of range, lengths do not fit, the likelihood has parameters, the network
    /// does not suit the structure, or the precision is not positive definite.
    pub fn fit(
        data: &Supervised<'_>,
        prior: &dyn Prior,
        theta: &[T],
        options: &LaplaceOptions,
        streams: Streams,
    ) -> Result<Self> {
        options.validate()?;
        let network = data.network;
        let layout = network.layout();
        prior.check(layout)?;
        if let Some(index) = first_non_finite(theta) {
            let what = "theta of a Laplace approximation";
            return Err(Error::NonFinite { what, index });
        }
        let outputs = RowOutputs::new(data, theta)?;
        if let Some(noise) = options.noise_std {
            check_noise(data, noise)?;
        }
        let active = structure::active(network, options.structure)?;
        let curvature =
            structure::curvature(data, &outputs, theta, active.clone(), options, streams)?;
        let prior_precision = prior.precision(layout);
        let rows = match data.likelihood.row_weights(data.y) {
            Some(weights) => weights.iter().sum(),
            None => data.rows() as f64,
        };
        let precision = curvature.with_prior(1.0, &prior_precision[active.clone()])?;
        Ok(Self {
            theta: theta.to_vec(),
            layout: layout.clone(),
            active,
            curvature: curvature.into(),
            precision: precision.into(),
            prior_precision,
            neg_log_likelihood: outputs.neg_log_likelihood,
            residuals: rows * network.output_dim() as f64,
            noise: options.noise_std.map(|s| (s, s)),
        })
    }

    /// The mean, `[P]`.
    pub fn theta(&self) -> &[T] {
        &self.theta
    }

    /// The range of uncertain parameters: all, or those of the last layer.
    pub fn active(&self) -> Range<usize> {
        self.active.clone()
    }

    /// Precisions of the prior, `[P]`.
    pub fn prior_precision(&self) -> &[f64] {
        &self.prior_precision
    }

    /// The noise level, if it was given to the fit.
    pub fn noise_std(&self) -> Option<f64> {
        self.noise.map(|(_, now)| now)
    }

    /// Variances of the active parameters.
    pub fn variances(&self) -> Vec<f64> {
        self.precision.variances()
    }

    /// Sets another prior and keeps the curvature; `prior_precision` is `[P]`.
    ///
    /// # Errors
    /// If its length is wrong, a value is not positive and finite, the structure cannot hold such a
    /// prior, or the precision is not positive definite. Then nothing is changed.
    pub fn set_prior_precision(&mut self, prior_precision: &[f64]) -> Result<()> {
        if prior_precision.len() != self.theta.len() {
            let expected = counted(self.theta.len(), "prior precision");
            return Err(Error::shape("Laplace", expected, prior_precision.len()));
        }
        let bad = prior_precision
            .iter()
            .find(|p| !(**p > 0.0 && p.is_finite()));
        if let Some(p) = bad {
            let requirement = "must be positive and finite";
            return Err(Error::config("prior_precision", p, requirement));
        }
        self.precision = self.precision_with(prior_precision, self.scale())?.into();
        self.prior_precision = prior_precision.to_vec();
        Ok(())
    }

    /// Sets another noise level of the Gaussian likelihood and keeps mean and prior.
    ///
    /// # Errors
    /// If the fit was not given a noise level, or this one is not positive and finite. Then nothing
    /// is changed.
    pub fn set_noise_std(&mut self, noise_std: f64) -> Result<()> {
        let Some((fitted, _)) = self.noise else {
            let requirement = "the fit was not told the noise level of its likelihood";
            return Err(Error::config("noise_std", noise_std, requirement));
        };
        if !(noise_std > 0.0 && noise_std.is_finite()) {
            let requirement = "must be positive and finite";
            return Err(Error::config("noise_std", noise_std, requirement));
        }
        let scale = (fitted / noise_std).powi(2);
        self.precision = self.precision_with(&self.prior_precision, scale)?.into();
        self.noise = Some((fitted, noise_std));
        Ok(())
    }

    /// `Q` for another prior and another scale of the curvature.
    fn precision_with(&self, prior: &[f64], scale: f64) -> Result<Box<dyn Precision>> {
        self.curvature
            .with_prior(scale, &prior[self.active.clone()])
    }

    /// The factor of the curvature of the fit.
    fn scale(&self) -> f64 {
        self.noise.map_or(1.0, |(then, now)| (then / now).powi(2))
    }
}

/// Checks that a likelihood is Gaussian with the given noise: its `Lambda` is `I / noise_std^2`.
fn check_noise(data: &Supervised<'_>, noise: f64) -> Result<()> {
    let (k, m) = (data.network.output_dim(), data.y.len() / data.rows().max(1));
    let mut target = data.y[..m].to_vec();
    if let (Some(weight), Some(_)) = (target.last_mut(), data.likelihood.row_weights(data.y)) {
        // the last number of a weighted row: its curvature is that of one row
        *weight = 1.0;
    }
    let mut lambda = vec![0.0; k * k];
    let precision = noise.powi(-2);
    let fits = |(at, l): (usize, &f64)| {
        let want = if at % (k + 1) == 0 { precision } else { 0.0 };
        (l - want).abs() <= 1e-9 * precision
    };
    // at one point alone, a Bernoulli or Poisson likelihood can have the same value
    let mut all = true;
    for output in [0.0, 1.0] {
        lambda.fill(0.0);
        data.likelihood
            .output_hessian(&vec![output; k], &target, &[], &mut lambda)?;
        all &= lambda.iter().enumerate().all(fits);
    }
    if all {
        return Ok(());
    }
    let requirement = "not the noise of this likelihood, or that is not Gaussian";
    Err(Error::config("noise_std", noise, requirement))
}

impl<T: Scalar> Posterior<T> for Laplace<T> {
    fn dim(&self) -> usize {
        self.theta.len()
    }

    /// Independent draws, in parallel; draw `i` has its own stream.
    fn sample(&self, count: usize, streams: Streams) -> Result<Vec<T>> {
        let memory = || vec![0.0; self.active.len()];
        let draw = |z: &mut Vec<f64>, rng: &mut ChaCha8Rng, out: &mut [T]| {
            fill_normal(rng, z);
            self.precision.root(z);
            out.copy_from_slice(&self.theta);
            for (to, z) in out[self.active.clone()].iter_mut().zip(z.iter()) {
                *to = T::from_f64(to.to_f64() + z);
            }
            Ok(())
        };
        independent([count, self.theta.len()], streams, memory, draw)
    }
}
