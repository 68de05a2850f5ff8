//! Laplace's evidence, and the prior precision and noise level that it favours.
//!
//! Around the MAP estimate, with `P` parameters and the Gauss-Newton matrix `G` of the likelihood,
//!
//! `log p(D) ~ log p(D | theta*) + log p(theta*) + P/2 log 2 pi - 1/2 log det(G + alpha I)`.
//!
//! Setting its derivatives to zero gives the fixed point of MacKay (1992). With the effective
//! number of parameters `gamma = tr G (G + alpha I)^{-1}`,
//!
//! `alpha <- gamma / |theta*|^2`, `noise_std^2 <- sum_i r_i^2 / (N - gamma)`,
//!
//! over the `N` residuals `r_i` (rows times outputs).
//!
//! Estimate and hyperparameters are improved in turn. If `G` is available as a matrix ([`Dense`]),
//! traces, determinants and the evidence are exact. The round with the highest evidence is then
//! kept, because the fixed point can lead away from it as the estimate moves. Without the matrix,
//! traces and determinants come from stochastic Lanczos quadrature, and `G` is never formed. The
//! evidence then has an error: of its probes, and of the number of Lanczos steps.
//!
//! The fixed point contracts slowly if the noise is small: a step of 3 % may be a tenth of the way.
//! So steps in the logarithms are extrapolated (Aitken 1926). The rounds end when the remaining
//! distance is small, not when the step is.
//!
//! Two approximations are made. The prior precision is one number for all parameters. The posterior
//! is a Gaussian at one mode, which is crude for networks: the evidence is used to set two scales,
//! not to sample.

use crate::error::{Error, Result};
use crate::linalg::vector::dot;
use crate::model::{LogDensity, PosteriorDensity};
use crate::optim::{Answer, MapOptions, MapReport, fit_map};
use crate::rng::Streams;
use crate::scalar::Scalar;

use super::log_evidence::{LogEvidence, Spectrum, evidence, spectrum};

/// Which hyperparameters to tune, and with how much effort.
#[derive(Clone, Debug)]
pub struct EvidenceOptions {
    /// Starting value, or the fixed value if it is not tuned.
    pub prior_precision: f64,
    /// Tune the prior precision.
    pub tune_prior_precision: bool,
    /// Starting or fixed value, for a Gaussian likelihood.
    pub noise_std: Option<f64>,
    /// Tune the noise level.
    pub tune_noise_std: bool,
    /// Largest number of rounds of refitting.
    pub rounds: usize,
    /// Rounds end when every hyperparameter is estimated to be within this distance of its limit,
    /// in its logarithm.
    pub tolerance: f64,
    /// Probes of the quadrature.
    pub probes: usize,
    /// Lanczos steps per probe.
    pub lanczos_steps: usize,
    /// The first fit. Refits take a quarter of its steps.
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

impl EvidenceOptions {
    /// The most steps that [`tune_by_evidence`] takes, over all rounds.
    pub fn most_steps(&self) -> usize {
        let tunes = self.tune_prior_precision || self.tune_noise_std;
        let rounds = if tunes { self.rounds } else { 0 };
        self.map.steps + rounds * self.refit_steps()
    }

    /// Steps of a refit.
    fn refit_steps(&self) -> usize {
        self.map.steps.div_ceil(4)
    }
}

/// The estimate under the tuned hyperparameters.
#[derive(Clone, Debug)]
pub struct EvidenceReport<T> {
    /// The final estimate. Its `gradients` count all rounds, without the products with `G`.
    pub map: MapReport<T>,
    /// The final prior precision.
    pub prior_precision: f64,
    /// The final noise level, for a Gaussian likelihood.
    pub noise_std: Option<f64>,
    /// Rounds that were taken.
    pub rounds: usize,
    /// True if the last round ended within the tolerance, or nothing was to be tuned.
    pub settled: bool,
    /// True if a tuned scale ended at one of its bounds: `1e-4..=1e4` for the precision,
    /// `1e-2..=1e2` for the noise.
    pub bounded: bool,
    /// Products with `G` that were taken.
    pub products: usize,
    /// The evidence at the estimate, if it was computed.
    pub log_evidence: Option<LogEvidence>,
}

impl<T> EvidenceReport<T> {
    /// An estimate under given scales: nothing was tuned.
    pub fn given(map: MapReport<T>, prior_precision: f64, noise_std: Option<f64>) -> Self {
        Self {
            map,
            prior_precision,
            noise_std,
            rounds: 0,
            settled: true,
            bounded: false,
            products: 0,
            log_evidence: None,
        }
    }
}

/// Computes the Gauss-Newton matrix of the likelihood at a noise level and parameters, `[P, P]`
/// row-major.
pub type Dense<'a, T> = &'a (dyn Fn(Option<f64>, &[T]) -> Result<Vec<f64>> + Sync);

/// Bounds of the scales. Outside them, a scale is an artefact of the fixed point and says nothing
/// about standardised data.
const PRECISIONS: (f64, f64) = (1e-4, 1e4);
const NOISES: (f64, f64) = (1e-2, 1e2);

/// A scale on its way to the fixed point, as its logarithm.
struct Tuned {
    log: f64,
    bounds: (f64, f64),
    last_step: f64,
    /// Estimated remaining distance to its limit.
    left: f64,
}

/// Ratios of successive steps for which the steps are extrapolated, and the longest jump (a factor
/// of 3).
const SHARES: (f64, f64) = (0.2, 0.95);
const JUMP: f64 = 1.1;

impl Tuned {
    fn new(value: f64, bounds: (f64, f64)) -> Self {
        Self {
            log: value.ln(),
            bounds,
            last_step: f64::NAN,
            left: f64::INFINITY,
        }
    }

    fn value(&self) -> f64 {
        self.log.exp()
    }

    /// Takes the step of the fixed point to `to`. If the last two steps have the same direction and
    /// the second is shorter, also adds the rest of their geometric series.
    fn step_to(&mut self, to: f64) {
        let (low, high) = (self.bounds.0.ln(), self.bounds.1.ln());
        let step = to.ln().clamp(low, high) - self.log;
        let share = step / self.last_step;
        // without a previous step, assume the slowest series
        let known = if share.is_finite() { share } else { SHARES.1 };
        let known = known.clamp(0.0, SHARES.1);
        let rest = step * known / (1.0 - known);
        self.left = step.abs().max(rest.abs());
        let jump = if (SHARES.0..SHARES.1).contains(&share) {
            rest.clamp(-JUMP, JUMP)
        } else {
            0.0
        };
        // after a jump, the next step does not continue the series
        self.last_step = if jump == 0.0 { step } else { f64::NAN };
        self.log = (self.log + step + jump).clamp(low, high);
    }
}

/// Fits the MAP estimate and tunes the hyperparameters by evidence. `build` makes the posterior for
/// a prior precision and a noise level. `dense` makes the Gauss-Newton matrix, if it is small
/// enough. `progress` is called after every step with the number of gradients so far, and may end
/// the fit ([`Answer`]). [`EvidenceOptions::most_steps`] bounds the number of calls.
///
/// # Errors
/// If a setting is out of range, `build` or `dense` fails, or a fit fails; that of `progress`.
pub fn tune_by_evidence<T: Scalar, R: Answer>(
    theta: Vec<T>,
    build: impl Fn(f64, Option<f64>) -> Result<PosteriorDensity<T>>,
    dense: Option<Dense<'_, T>>,
    options: &EvidenceOptions,
    streams: Streams,
    mut progress: impl FnMut(usize) -> R,
) -> Result<EvidenceReport<T>> {
    if options.tune_noise_std && options.noise_std.is_none() {
        let requirement = "a start value is needed to tune it";
        return Err(Error::config("noise_std", "none", requirement));
    }
    let mut alpha = Tuned::new(options.prior_precision, PRECISIONS);
    let mut noise = options.noise_std.map(|std| Tuned::new(std, NOISES));
    // given values are used as they are, even outside the bounds
    let alpha_of = |tuned: &Tuned| match options.tune_prior_precision {
        true => tuned.value(),
        false => options.prior_precision,
    };
    let noise_of = |tuned: &Option<Tuned>| match options.tune_noise_std {
        true => tuned.as_ref().map(Tuned::value),
        false => options.noise_std,
    };
    let mut posterior = build(alpha_of(&alpha), noise_of(&noise))?;
    let map = fit_map(&posterior, theta, &options.map, &mut progress)?;
    let refit = MapOptions {
        steps: options.refit_steps(),
        ..options.map.clone()
    };
    let tunes = options.tune_prior_precision || options.tune_noise_std;
    let mut now = EvidenceReport {
        settled: !tunes,
        ..EvidenceReport::given(map, alpha_of(&alpha), noise_of(&noise))
    };
    let (initial_gradient_norm, mut gradients) = (now.map.initial_gradient_norm, now.map.gradients);
    let mut best: Option<EvidenceReport<T>> = None;
    loop {
        let matrix = dense.map(|dense| dense(now.noise_std, &now.map.theta));
        let matrix = matrix.transpose()?;
        if matrix.is_none() {
            // nothing left to compute
            if now.settled || now.rounds == options.rounds {
                break;
            }
            now.products += options.probes * options.lanczos_steps.min(posterior.dim());
        }
        let spectrum = spectrum(&posterior, &now.map.theta, matrix, options, streams)?;
        let volume = spectrum.at(now.prior_precision)?;
        now.log_evidence = Some(evidence(-now.map.energy, posterior.dim(), &volume));
        if matches!(spectrum, Spectrum::Exact { .. }) {
            let value = |r: &EvidenceReport<T>| r.log_evidence.map_or(f64::NAN, |e| e.value);
            if best.as_ref().is_none_or(|best| value(&now) > value(best)) {
                best = Some(now.clone());
            }
            if now.settled || now.rounds == options.rounds {
                break;
            }
        }
        now.rounds += 1;
        let gamma = volume.gamma.max(1e-3);
        let (mut left, mut bounded) = (0.0, false);
        if options.tune_prior_precision {
            let norm = dot(&now.map.theta, &now.map.theta).max(f64::MIN_POSITIVE);
            alpha.step_to(gamma / norm);
            left = alpha.left;
            bounded |= [PRECISIONS.0.ln(), PRECISIONS.1.ln()].contains(&alpha.log);
        }
        if let (true, Some(std), Some(noise)) = (options.tune_noise_std, now.noise_std, &mut noise)
        {
            // every output of a row has its own residual
            let n = posterior.targets();
            let nll = posterior.neg_log_likelihood(&now.map.theta, &mut posterior.workspace())?;
            let constant = n * (std.ln() + 0.5 * (2.0 * std::f64::consts::PI).ln());
            let squares = 2.0 * std * std * (nll - constant).max(0.0);
            // a network that can fit every row must not explain all noise away
            let freedom = (n - gamma).max(0.1 * n);
            noise.step_to((squares / freedom).sqrt().max(f64::MIN_POSITIVE));
            left = noise.left.max(left);
            bounded |= [NOISES.0.ln(), NOISES.1.ln()].contains(&noise.log);
        }
        (now.prior_precision, now.noise_std) = (alpha_of(&alpha), noise_of(&noise));
        posterior = build(now.prior_precision, now.noise_std)?;
        let before = gradients;
        let theta = std::mem::take(&mut now.map.theta);
        now.map = fit_map(&posterior, theta, &refit, |done| progress(before + done))?;
        gradients += now.map.gradients;
        now.settled = left <= options.tolerance;
        now.bounded = bounded;
        now.log_evidence = None;
    }
    let mut report = match best {
        // rounds and `settled` describe the whole run
        Some(best) => EvidenceReport {
            rounds: now.rounds,
            settled: now.settled,
            ..best
        },
        None => now,
    };
    report.map.gradients = gradients;
    report.map.initial_gradient_norm = initial_gradient_norm;
    Ok(report)
}
