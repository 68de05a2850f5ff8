//! Tuning of prior precisions and noise level, by the evidence or by a score on other data.
//!
//! The mean and the curvature of the fit stay fixed.
//!
//! For a group `g` of parameters with one precision `p_g`, let
//! `gamma_g = sum_{i in g} (1 - p_g (Q^{-1})_ii)`. With `M` residuals,
//!
//! `d log p(D) / d log p_g = 1/2 (gamma_g - p_g |theta_g|^2)`,
//! `d log p(D) / d log noise_std = squares / noise_std^2 - (M - gamma)`.
//!
//! Both are zero at the fixed points of MacKay (1992), `p_g = gamma_g / |theta_g|^2` and
//! `noise_std^2 = squares / (M - gamma)`. In log space, each coordinate of the step towards them
//! has the sign of the derivative, so the step ascends. It is halved until the evidence does not
//! fall and the precision is positive definite.
//!
//! A structure that is not the exact Gauss-Newton matrix can claim more determined parameters than
//! there are residuals. The derivative is then positive for any noise, and the noise grows to its
//! bound.

use super::Laplace;
use super::structure::Precision;
use crate::error::{Error, Result};
use crate::scalar::Scalar;

/// Bounds of the tuned noise level, in the units of the targets.
const NOISES: (f64, f64) = (1e-6, 1e6);

/// Which parameters share a precision.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PrecisionGroups {
    /// All parameters.
    #[default]
    One,
    /// Those of a layer: tensors whose names agree before the last dot.
    PerLayer,
    /// Those of a tensor.
    PerTensor,
}

/// Settings of [`Laplace::tune_by_evidence`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TuneOptions {
    /// Which precisions to tune; `None` leaves the prior.
    pub groups: Option<PrecisionGroups>,
    /// Whether to tune the noise level too.
    pub noise_std: bool,
    /// Most steps. laplace-torch takes 100 steps of Adam.
    pub steps: usize,
    /// The ascent ends when no scale changes by more than this in log space.
    pub tolerance: f64,
    /// Bounds of the precisions. They stop an evidence that rises for ever.
    pub bounds: (f64, f64),
}

impl Default for TuneOptions {
    fn default() -> Self {
        Self {
            groups: Some(PrecisionGroups::One),
            noise_std: false,
            steps: 100,
            tolerance: 1e-6,
            bounds: (1e-6, 1e6),
        }
    }
}

impl TuneOptions {
    /// Checks the settings.
    ///
    /// # Errors
    /// If the tolerance is not positive, or the bounds are not positive, finite and ordered.
    pub fn validate(&self) -> Result<()> {
        if self.tolerance.is_nan() || self.tolerance <= 0.0 {
            let requirement = "must be positive";
            return Err(Error::config("tolerance", self.tolerance, requirement));
        }
        let (low, high) = self.bounds;
        if low > 0.0 && low < high && high.is_finite() {
            return Ok(());
        }
        let value = format!("({low}, {high})");
        let requirement = "must be positive, finite and ordered";
        Err(Error::config("bounds", value, requirement))
    }
}

/// The result of tuning. The approximation now has these scales.
#[derive(Clone, Debug, PartialEq)]
pub struct TuneReport {
    /// Precision of each group, with its name (`all`, a layer or a tensor).
    pub prior_precision: Vec<(String, f64)>,
    /// The noise level, if the fit was given one.
    pub noise_std: Option<f64>,
    /// The evidence, in nats.
    pub log_evidence: f64,
    /// Steps taken.
    pub steps: usize,
    /// True if the ascent ended within the tolerance.
    pub settled: bool,
    /// True if a precision or the noise level ended at a bound.
    pub bounded: bool,
}

/// A grid of `count` precisions, evenly spaced in log space, both ends included. laplace-torch
/// searches 100 in `1e-4..=1e4`.
pub fn precision_grid(from: f64, to: f64, count: usize) -> Vec<f64> {
    let last = count.saturating_sub(1).max(1) as f64;
    let at = |i: usize| from.ln() + (to.ln() - from.ln()) * i as f64 / last;
    (0..count).map(|i| at(i).exp()).collect()
}

/// The tuned scales, in log space.
#[derive(Clone)]
struct Scales {
    precisions: Vec<f64>,
    noise: Option<f64>,
}

impl<T: Scalar> Laplace<T> {
    /// Ascends the evidence over the precisions of the groups, and over the noise level if asked.
    ///
    /// # Errors
    /// If a setting is out of range, the noise level is to be tuned but the fit was not given one,
    /// or the structure cannot hold a precision for each group.
    pub fn tune_by_evidence(&mut self, options: &TuneOptions) -> Result<TuneReport> {
        options.validate()?;
        if options.noise_std && self.noise.is_none() {
            let requirement = "to tune it, the fit must be told the level";
            return Err(Error::config("noise_std", "none", requirement));
        }
        let groups = self.groups(options.groups);
        let (low, high) = (options.bounds.0.ln(), options.bounds.1.ln());
        let start = |(_, members): &(String, Vec<usize>)| {
            let sum: f64 = members.iter().map(|&i| self.prior_precision[i].ln()).sum();
            (sum / members.len().max(1) as f64).clamp(low, high)
        };
        let mut scales = Scales {
            precisions: groups.iter().map(start).collect(),
            noise: self.noise.map(|(_, now)| now.ln()),
        };
        let mut here = self.at(&groups, &scales)?;
        let mut value = self.evidence_at(&here, &scales);
        let (mut steps, mut settled) = (0, false);
        while !settled && steps < options.steps {
            steps += 1;
            let mut step = self.direction(&groups, &here, &scales, options);
            for (d, s) in step.precisions.iter_mut().zip(&scales.precisions) {
                *d = (s + *d).clamp(low, high) - s;
            }
            if let (Some(d), Some(s)) = (&mut step.noise, scales.noise) {
                *d = (s + *d).clamp(NOISES.0.ln(), NOISES.1.ln()) - s;
            }
            settled = step.largest() <= options.tolerance;
            // an ascent direction: some fraction of it does not lower the evidence, except for
            // rounding
            for _ in 0..30 {
                let trial = scales.moved(&step);
                let there = match self.at(&groups, &trial) {
                    // an exact Hessian needs a larger prior precision
                    Err(Error::NotPositiveDefinite { .. }) => {
                        step.halve();
                        continue;
                    }
                    outcome => outcome?,
                };
                let next = self.evidence_at(&there, &trial);
                if next >= value - 1e-12 * value.abs() {
                    (here, value, scales) = (there, next, trial);
                    break;
                }
                step.halve();
                settled = step.largest() <= options.tolerance;
            }
        }
        let (prior, precision) = here;
        self.prior_precision = prior;
        self.precision = precision.into();
        if let (Some((_, now)), Some(log)) = (&mut self.noise, scales.noise) {
            *now = log.exp();
        }
        let bounded = |&p: &f64| p <= low || p >= high;
        let noise_bounded = options.noise_std
            && scales
                .noise
                .is_some_and(|s| s <= NOISES.0.ln() || s >= NOISES.1.ln());
        let named = groups.iter().zip(&scales.precisions);
        Ok(TuneReport {
            prior_precision: named.map(|(g, p)| (g.0.clone(), p.exp())).collect(),
            noise_std: self.noise_std(),
            log_evidence: value,
            steps,
            settled,
            bounded: noise_bounded || scales.precisions.iter().any(bounded),
        })
    }

    /// Sets the precision with the lowest score, one for all parameters, and returns it with its
    /// score.
    ///
    /// A score is, for instance, the negative log-likelihood of validation data. `score` gets this
    /// approximation with each of `precisions`.
    ///
    /// # Errors
    /// If `precisions` is empty, one of them is not positive and finite, or `score` fails or is
    /// never finite.
    pub fn tune_by_score(
        &mut self,
        precisions: &[f64],
        mut score: impl FnMut(&Self) -> Result<f64>,
    ) -> Result<(f64, f64)> {
        let before = self.prior_precision.clone();
        let dim = self.theta.len();
        let mut best: Option<(f64, f64)> = None;
        for &p in precisions {
            let outcome = match self.set_prior_precision(&vec![p; dim]) {
                // an exact Hessian needs a larger prior precision
                Err(Error::NotPositiveDefinite { .. }) => continue,
                outcome => outcome,
            };
            let value = match outcome.and_then(|()| score(self)) {
                Ok(value) => value,
                Err(error) => {
                    self.set_prior_precision(&before)?;
                    return Err(error);
                }
            };
            if value.is_finite() && best.is_none_or(|(_, b)| value < b) {
                best = Some((p, value));
            }
        }
        match best {
            Some((p, value)) => {
                self.set_prior_precision(&vec![p; dim])?;
                Ok((p, value))
            }
            None => {
                self.set_prior_precision(&before)?;
                let requirement = "at least one with a finite score";
                Err(Error::config("prior_precision", "grid", requirement))
            }
        }
    }

    /// Names and active members of the groups.
    fn groups(&self, groups: Option<PrecisionGroups>) -> Vec<(String, Vec<usize>)> {
        let mut all: Vec<(String, Vec<usize>)> = Vec::new();
        let Some(groups) = groups else {
            return all;
        };
        for tensor in self.layout.tensors() {
            if tensor.range.start < self.active.start {
                continue;
            }
            let name = match groups {
                PrecisionGroups::One => "all",
                PrecisionGroups::PerTensor => &tensor.name,
                PrecisionGroups::PerLayer => match tensor.name.rsplit_once('.') {
                    Some((layer, _)) => layer,
                    None => &tensor.name,
                },
            };
            match all.iter_mut().find(|(other, _)| other == name) {
                Some((_, members)) => members.extend(tensor.range.clone()),
                None => all.push((name.to_string(), tensor.range.clone().collect())),
            }
        }
        all
    }

    /// Prior and precision at the given scales.
    fn at(
        &self,
        groups: &[(String, Vec<usize>)],
        scales: &Scales,
    ) -> Result<(Vec<f64>, Box<dyn Precision>)> {
        let mut prior = self.prior_precision.clone();
        for ((_, members), p) in groups.iter().zip(&scales.precisions) {
            members.iter().for_each(|&i| prior[i] = p.exp());
        }
        let scale = match (self.noise, scales.noise) {
            (Some((fitted, _)), Some(now)) => (2.0 * (fitted.ln() - now)).exp(),
            _ => 1.0,
        };
        let precision = self.precision_with(&prior, scale)?;
        Ok((prior, precision))
    }

    fn evidence_at(&self, here: &(Vec<f64>, Box<dyn Precision>), scales: &Scales) -> f64 {
        self.evidence_of(here.1.as_ref(), &here.0, scales.noise.map(f64::exp))
    }

    /// The step towards MacKay's fixed points.
    fn direction(
        &self,
        groups: &[(String, Vec<usize>)],
        (prior, precision): &(Vec<f64>, Box<dyn Precision>),
        scales: &Scales,
        options: &TuneOptions,
    ) -> Scales {
        let variances = precision.variances();
        let determined = |i: usize| 1.0 - prior[i] * variances[i - self.active.start];
        // rounding, or a group that the data do not constrain, must not give the logarithm of zero
        let least = f64::MIN_POSITIVE.sqrt();
        let to = |(_, members): &(String, Vec<usize>), log: f64| {
            let gamma: f64 = members.iter().map(|&i| determined(i)).sum();
            let square = |&i: &usize| self.theta[i].to_f64().powi(2);
            let squares: f64 = members.iter().map(square).sum();
            gamma.max(least).ln() - squares.max(least).ln() - log
        };
        let pairs = groups.iter().zip(&scales.precisions);
        let noise = |log: f64| {
            let gamma: f64 = self.active.clone().map(determined).sum();
            let free = self.residuals() - gamma;
            match self.squares() {
                Some(squares) if options.noise_std && free > 0.0 => {
                    0.5 * (squares.max(least) / free).ln() - log
                }
                Some(_) if options.noise_std => std::f64::consts::LN_2,
                _ => 0.0,
            }
        };
        Scales {
            precisions: pairs.map(|(g, &log)| to(g, log)).collect(),
            noise: scales.noise.map(noise),
        }
    }
}

impl Scales {
    fn moved(&self, step: &Scales) -> Scales {
        let pairs = self.precisions.iter().zip(&step.precisions);
        Scales {
            precisions: pairs.map(|(a, b)| a + b).collect(),
            noise: self.noise.map(|a| a + step.noise.unwrap_or(0.0)),
        }
    }

    fn halve(&mut self) {
        self.precisions.iter_mut().for_each(|d| *d *= 0.5);
        self.noise = self.noise.map(|d| 0.5 * d);
    }

    fn largest(&self) -> f64 {
        let all = self.precisions.iter().chain(self.noise.as_ref());
        all.fold(0.0, |m, d| m.max(d.abs()))
    }
}
