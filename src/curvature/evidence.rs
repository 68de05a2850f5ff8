//! Laplace's evidence, and the prior precision and noise level that it prefers.
//!
//! Around the MAP estimate, with `P` parameters and the Gauss-Newton matrix `G` of the likelihood,
//!
//! `log p(D) ~ log p(D | theta*) + log p(theta*) + P/2 log 2 pi - 1/2 log det(G + alpha I)`.
//!
//! Setting its derivatives to zero gives the fixed point of MacKay (1992): with the effective number of parameters
//! `gamma = tr G (G + alpha I)^{-1}`,
//!
//! `alpha <- gamma / |theta*|^2`, `noise_std^2 <- sum_i r_i^2 / (N - gamma)`,
//!
//! over the `N` residuals `r_i`, rows times outputs.
//!
//! Estimate and hyperparameters are improved in turn. Both traces come from stochastic Lanczos quadrature, so `G` is
//! never formed. What it drops: the prior precision is one number for all parameters, and the posterior is taken for a
//! Gaussian at one mode, which is crude for networks; the evidence is used to set two scales, not to sample.

use crate::error::{Error, Result};
use crate::linalg::SpectralQuadrature;
use crate::linalg::vector::dot;
use crate::model::{Curved, LogDensity, PosteriorDensity};
use crate::optim::{MapOptions, MapReport, fit_map};
use crate::rng::Streams;
use crate::scalar::Scalar;

use super::operators::GgnOperator;

/// Which hyperparameters to tune, and with what effort.
#[derive(Clone, Debug)]
pub struct EvidenceOptions {
    /// Start value, or the value itself if it is not tuned.
    pub prior_precision: f64,
    /// Tune the prior precision.
    pub tune_prior_precision: bool,
    /// Start value or value, for a Gaussian likelihood.
    pub noise_std: Option<f64>,
    /// Tune the noise level.
    pub tune_noise_std: bool,
    /// Largest number of rounds of refitting.
    pub rounds: usize,
    /// Rounds end when no hyperparameter changes by more than this factor minus one.
    pub tolerance: f64,
    /// Probes of the quadrature.
    pub probes: usize,
    /// Lanczos steps per probe.
    pub lanczos_steps: usize,
    /// The first fit; refits take a quarter of its steps.
    pub map: MapOptions,
}

impl Default for EvidenceOptions {
    fn default() -> Self {
        Self {
            prior_precision: 1.0,
            tune_prior_precision: true,
            noise_std: None,
            tune_noise_std: false,
            rounds: 10,
            tolerance: 0.03,
            probes: 4,
            lanczos_steps: 60,
            map: MapOptions::default(),
        }
    }
}

/// The estimate under the hyperparameters that were found.
#[derive(Clone, Debug)]
pub struct EvidenceReport<T> {
    /// The final estimate; its `gradients` count all rounds, products with `G` not included.
    pub map: MapReport<T>,
    /// The final prior precision.
    pub prior_precision: f64,
    /// The final noise level, for a Gaussian likelihood.
    pub noise_std: Option<f64>,
    /// Rounds that were taken.
    pub rounds: usize,
    /// True if the last round changed nothing any more, or nothing was to be tuned.
    pub settled: bool,
    /// True if a tuned scale ended at one of its bounds: `1e-4..=1e4` for the precision, `1e-2..=1e2` for the noise.
    pub bounded: bool,
    /// Products with `G` that were taken.
    pub products: usize,
}

/// Bounds outside which a scale is an accident of the fixed point, not a statement about standardised data.
const PRECISIONS: (f64, f64) = (1e-4, 1e4);
const NOISES: (f64, f64) = (1e-2, 1e2);

/// Laplace's estimate of `log p(D)` at the MAP estimate `theta`, for an isotropic prior, in nats.
///
/// # Errors
/// If `theta` has the wrong length or the quadrature fails.
pub fn log_evidence<T: Scalar>(
    posterior: &PosteriorDensity<T>,
    theta: &[T],
    options: &EvidenceOptions,
    streams: Streams,
) -> Result<f64> {
    let spectrum = spectrum(posterior, theta, options, streams)?;
    let alpha = mean_precision(posterior);
    let log_joint = posterior.log_density(theta, &mut posterior.workspace())?;
    let log_det = spectrum.trace(|l| (l.max(0.0) + alpha).ln()).value;
    let dim = posterior.dim() as f64;
    Ok(log_joint + 0.5 * dim * (2.0 * std::f64::consts::PI).ln() - 0.5 * log_det)
}

/// Fits the MAP estimate and tunes the hyperparameters by evidence. `build` makes the posterior for a prior precision
/// and a noise level; `progress` is called with the number of gradients so far.
///
/// # Errors
/// If a setting is out of range, `build` refuses, or a fit fails.
pub fn tune_by_evidence<T: Scalar>(
    theta: Vec<T>,
    build: impl Fn(f64, Option<f64>) -> Result<PosteriorDensity<T>>,
    options: &EvidenceOptions,
    streams: Streams,
    mut progress: impl FnMut(usize),
) -> Result<EvidenceReport<T>> {
    if options.tune_noise_std && options.noise_std.is_none() {
        return Err(Error::config(
            "noise_std",
            "none",
            "a start value is needed to tune it",
        ));
    }
    let (mut alpha, mut noise) = (options.prior_precision, options.noise_std);
    let mut posterior = build(alpha, noise)?;
    let mut map = fit_map(&posterior, theta, &options.map, &mut progress)?;
    let initial_gradient_norm = map.initial_gradient_norm;
    let mut gradients = map.gradients;
    let refit = MapOptions {
        steps: options.map.steps.div_ceil(4),
        ..options.map.clone()
    };
    let (mut rounds, mut products) = (0, 0);
    let mut settled = !(options.tune_prior_precision || options.tune_noise_std);
    while !settled && rounds < options.rounds {
        rounds += 1;
        let spectrum = spectrum(&posterior, &map.theta, options, streams)?;
        products += options.probes * options.lanczos_steps.min(posterior.dim());
        let gamma = spectrum
            .trace(|l| l.max(0.0) / (l.max(0.0) + alpha))
            .value
            .max(1e-3);
        let (old_alpha, old_noise) = (alpha, noise);
        if options.tune_prior_precision {
            alpha = (gamma / dot(&map.theta, &map.theta).max(f64::MIN_POSITIVE))
                .clamp(PRECISIONS.0, PRECISIONS.1);
        }
        if let (true, Some(std)) = (options.tune_noise_std, noise) {
            // every output of a row has a residual of its own
            let n = posterior.targets() as f64;
            let nll = posterior.neg_log_likelihood(&map.theta, &mut posterior.workspace())?;
            let constant = n * (std.ln() + 0.5 * (2.0 * std::f64::consts::PI).ln());
            let squares = 2.0 * std * std * (nll - constant).max(0.0);
            // a network that can fit every row must not explain all noise away
            let freedom = (n - gamma).max(0.1 * n);
            noise = Some((squares / freedom).sqrt().clamp(NOISES.0, NOISES.1));
        }
        posterior = build(alpha, noise)?;
        let before = gradients;
        map = fit_map(&posterior, map.theta, &refit, |done| {
            progress(before + done)
        })?;
        gradients += map.gradients;
        let changed = |a: f64, b: f64| (a / b).ln().abs() > options.tolerance;
        let moved = changed(alpha, old_alpha)
            || matches!((noise, old_noise), (Some(a), Some(b)) if changed(a, b));
        settled = !moved;
    }
    map.gradients = gradients;
    map.initial_gradient_norm = initial_gradient_norm;
    Ok(EvidenceReport {
        map,
        prior_precision: alpha,
        noise_std: noise,
        rounds,
        settled,
        bounded: (options.tune_prior_precision && [PRECISIONS.0, PRECISIONS.1].contains(&alpha))
            || (options.tune_noise_std && noise.is_some_and(|s| [NOISES.0, NOISES.1].contains(&s))),
        products,
    })
}

fn spectrum<T: Scalar>(
    posterior: &PosteriorDensity<T>,
    theta: &[T],
    options: &EvidenceOptions,
    streams: Streams,
) -> Result<SpectralQuadrature> {
    let mut op = GgnOperator::new(posterior, theta)?;
    SpectralQuadrature::new(&mut op, options.probes, options.lanczos_steps, streams)
}

fn mean_precision<T: Scalar>(posterior: &PosteriorDensity<T>) -> f64 {
    let precision = posterior.prior_precision();
    precision.iter().sum::<f64>() / precision.len().max(1) as f64
}
