//! The MAP estimate of a fit.
//!
//! It uses gradients of all rows with scales tuned by evidence, or minibatches. Minibatches learn
//! the noise of a regression with the weights, as the mode of `log noise_std` under the prior that
//! sampled noises have, and set it to the root mean square of the residuals at the end. With rows
//! by the thousands for each parameter, that mode and the evidence's noise agree up to the share of
//! the parameters among the rows, `P / N`. The prior precision is 1 unless it is given, or asked
//! for by evidence: its effect falls as `1 / N`.

use super::batch_evidence::{ROUNDS, Updates, shorter};
use super::context::Problem;
use super::coordinates::NOISE;
use super::progress::Steps;
use super::{Batch, FitReport, Method, Stage};
use crate::curvature::{
    Dense, DenseCurvature, EvidenceOptions, EvidenceReport, log_evidence, tune_by_evidence,
};
use crate::error::{Error, Result};
use crate::linalg::vector::norm;
use crate::model::{LogDensity, Minibatch, Noise, PosteriorDensity};
use crate::optim::{
    MapOptions, MapReport, MinibatchOptions, MinibatchProgress, MinibatchReport, PolishOptions,
    fit_map, fit_minibatch, polish,
};
use crate::parallel;
use crate::scalar::Scalar;

/// Rows times parameters beyond which thousands of full gradients take too long.
const LARGE: usize = 100_000_000;

/// Most parameters for which the Gauss-Newton matrix is formed: for exact evidences, and for the
/// last steps of the estimate.
const DENSE: usize = 2_000;

/// Floating-point operations that the matrices of the last steps may take, about, and how many there
/// may be at least and at most.
const LAST_STEPS: f64 = 5e10;
const MATRICES: (usize, usize) = (20, 400);

/// Initial noise levels of a regression, in units of the target: the fixed point has several
/// solutions.
const NOISE_STARTS: [f64; 4] = [1.0, 0.3, 0.1, 0.03];

/// The least noise that evidence allows too, in units of the target.
const LEAST_NOISE: f64 = 1e-2;

/// Default rows of a batch, and default prior precision.
const BATCH_ROWS: usize = 128;
const PRIOR_PRECISION: f64 = 1.0;

impl Problem<'_> {
    /// Rows of a batch; `None`: all rows at once.
    pub(super) fn batch_rows(&self) -> Option<usize> {
        let size = self.prepared.rows().saturating_mul(self.network.dim());
        match self.options.batch {
            Batch::Rows(rows) => Some(rows),
            // scales are sampled with gradients of all rows
            Batch::Auto if size > LARGE && self.groups().is_none() => Some(BATCH_ROWS),
            Batch::Auto | Batch::Full => None,
        }
    }

    /// Cost of one training gradient of the estimate, as a fraction of a full gradient.
    pub(super) fn map_share(&self) -> f64 {
        let rows = self.prepared.rows();
        self.batch_rows().map_or(1.0, |batch| share(batch, rows))
    }

    pub(super) fn minibatch_options(&self, batch_rows: usize) -> MinibatchOptions {
        let defaults = MinibatchOptions::default();
        // a walk starts from the estimate for all rows, so none can be held out
        let held_out = match self.method() {
            Method::Map => defaults.validation_fraction,
            _ => 0.0,
        };
        MinibatchOptions {
            batch_rows,
            epochs: self.options.epochs.unwrap_or(defaults.epochs),
            validation_fraction: held_out,
            ..defaults
        }
    }

    /// Refuses training options that do not fit together.
    pub(super) fn check_training(&self) -> Result<()> {
        match (self.batch_rows(), self.options.epochs) {
            (None, Some(epochs)) => {
                let requirement =
                    "is for minibatches; this fit takes all rows at once (see --batch)";
                Err(Error::config("epochs", epochs, requirement))
            }
            (Some(rows), _) => self.minibatch_options(rows).validate(),
            (None, None) => Ok(()),
        }
    }

    pub(super) fn fit_map<T: Scalar>(&self, summary: &mut FitReport) -> Result<EvidenceReport<T>> {
        match self.batch_rows() {
            Some(rows) => {
                summary.map_share(self.map_share());
                self.by_minibatches(rows, summary)
            }
            None => self.by_evidence(summary),
        }
    }

    fn by_minibatches<T: Scalar>(
        &self,
        batch_rows: usize,
        summary: &mut FitReport,
    ) -> Result<EvidenceReport<T>> {
        let options = self.minibatch_options(batch_rows);
        let mut at = Updates::new(self.options.prior_precision.unwrap_or(PRIOR_PRECISION));
        let (report, mut map, mut noise) = self.trained::<T>(at.alpha, &options, None)?;
        let tunes = self.tunes_by_sample();
        while tunes && at.rounds < ROUNDS {
            if !at.take(self.precision_by_sample(&map.theta, (at.alpha, noise))?) {
                break;
            }
            let (before, initial) = (map.gradients, map.initial_gradient_norm);
            let from = Some((std::mem::take(&mut map.theta), noise));
            (_, map, noise) = self.trained(at.alpha, &shorter(&options), from)?;
            map.gradients += before;
            map.initial_gradient_norm = initial;
        }
        summary.minibatches(&report, &options, at.alpha, self.options, noise);
        if tunes {
            summary.tuned_by_sample(at);
        }
        summary.map(&map, None);
        Ok(EvidenceReport::given(map, at.alpha, noise))
    }

    /// The estimate at a prior precision, with its noise. It starts from parameters and a noise, or
    /// anew.
    fn trained<T: Scalar>(
        &self,
        alpha: f64,
        options: &MinibatchOptions,
        from: Option<(Vec<T>, Option<f64>)>,
    ) -> Result<(MinibatchReport<T>, MapReport<T>, Option<f64>)> {
        let has_noise = self.prepared.observation.has_noise();
        let mut noise_std = self.options.noise_std.filter(|_| has_noise);
        let learns = has_noise && noise_std.is_none();
        let (density, mut start) = match learns {
            true => self.with_noise(alpha)?,
            false => (self.minibatch::<T>(alpha, noise_std)?, self.initial(0)),
        };
        if let Some((theta, noise)) = from {
            start = theta;
            start.extend(noise.filter(|_| learns).map(|std| T::from_f64(std.ln())));
        }
        let progress = |at: &MinibatchProgress| self.progress.step(Stage::Map, at.step, at.steps);
        let (report, mut map) = self.one_by_minibatches(&density, options, start, progress)?;
        if learns {
            // the noise is the only parameter of the likelihood, and comes last
            let learned = map.theta.pop().map_or(0.0, Scalar::to_f64).exp();
            noise_std = Some(self.noise_of_residuals(&map.theta, alpha, learned)?);
            let density = self.minibatch::<T>(alpha, noise_std)?;
            let mut grad = vec![T::ZERO; density.dim()];
            let ws = &mut density.workspace();
            map.energy = -density.log_density_and_grad(&map.theta, &mut grad, ws)?;
            map.gradient_norm = norm(&grad);
        }
        Ok((report, map, noise_std))
    }

    /// The noise at the root mean square of the residuals of all rows, its mode given the weights:
    /// few steps may not have brought it there. `near` is a value for it to be computed at.
    fn noise_of_residuals<T: Scalar>(&self, theta: &[T], alpha: f64, near: f64) -> Result<f64> {
        let density = self.minibatch::<T>(alpha, Some(near))?;
        let nll = density.neg_log_likelihood(theta, &mut density.workspace())?;
        let rows: f64 = (0..self.prepared.rows())
            .map(|row| self.prepared.target_of(row).1)
            .sum();
        let constant = rows * (near.ln() + 0.5 * (2.0 * std::f64::consts::PI).ln());
        let squares = 2.0 * near * near * (nll - constant).max(0.0);
        if !nll.is_finite() {
            let what = "residuals of the estimate by minibatches";
            return Err(Error::NonFinite { what, index: 0 });
        }
        Ok((squares / rows).sqrt().clamp(LEAST_NOISE, 1.0))
    }

    /// The density on batches with the noise as a parameter after the network's, and a start.
    fn with_noise<T: Scalar>(&self, alpha: f64) -> Result<(Minibatch<T>, Vec<T>)> {
        let outputs = self.network.output_dim();
        let noise = Noise::Sampled { scale: NOISE };
        let likelihood = self.prepared.likelihood(noise, outputs)?;
        let (prior, x, y) = (self.prior(alpha)?, &self.prepared.x, &self.prepared.y);
        let density = Minibatch::new(self.network, likelihood.as_ref(), prior.get(), x, y)?;
        let mut start = self.initial(0);
        let own = likelihood.params(outputs).init();
        start.extend(own.into_iter().map(T::from_f64));
        Ok((density, start))
    }

    /// The estimate from these initial parameters. All estimates use the same batches.
    fn one_by_minibatches<T: Scalar>(
        &self,
        density: &Minibatch<T>,
        options: &MinibatchOptions,
        start: Vec<T>,
        progress: impl FnMut(&MinibatchProgress) -> Result<()> + Send,
    ) -> Result<(MinibatchReport<T>, MapReport<T>)> {
        let (mut ws, mut grad) = (density.workspace(), vec![T::ZERO; density.dim()]);
        density.log_density_and_grad(&start, &mut grad, &mut ws)?;
        let initial_gradient_norm = norm(&grad);
        let mut report = fit_minibatch(density, None, start, options, self.streams, progress)?;
        let log_density = density.log_density_and_grad(&report.theta, &mut grad, &mut ws)?;
        let map = MapReport {
            theta: std::mem::take(&mut report.theta),
            energy: -log_density,
            gradient_norm: norm(&grad),
            initial_gradient_norm,
            gradients: report.gradients,
            clipped: report.clipped,
        };
        Ok((report, map))
    }

    /// Estimates from other initial parameters, trained like the first one and with its scales.
    pub(super) fn other_estimates<T: Scalar>(
        &self,
        posterior: &PosteriorDensity<T>,
        first: &EvidenceReport<T>,
        starts: usize,
    ) -> Result<Vec<MapReport<T>>> {
        if starts < 2 {
            return Ok(Vec::new());
        }
        let others = starts - 1;
        let all = |each: usize| Steps::new(self.progress, Stage::Starts, others * each);
        let Some(rows) = self.batch_rows() else {
            let options = MapOptions::default();
            let steps = all(options.steps);
            return parallel::try_map(others, |i| {
                fit_map(posterior, self.initial(i as u64 + 1), &options, |_| {
                    steps.step()
                })
            });
        };
        let density = self.minibatch::<T>(first.prior_precision, first.noise_std)?;
        let options = self.minibatch_options(rows);
        let steps = all(options.epochs * density.rows().div_ceil(rows));
        parallel::try_map(others, |i| {
            let start = self.initial(i as u64 + 1);
            let fit = self.one_by_minibatches(&density, &options, start, |_| steps.step());
            Ok(fit?.1)
        })
    }

    fn by_evidence<T: Scalar>(&self, summary: &mut FitReport) -> Result<EvidenceReport<T>> {
        let has_noise = self.prepared.observation.has_noise();
        let tunes_noise = has_noise && self.options.noise_std.is_none();
        let exact = self.network.dim() <= DENSE;
        let options = |noise: f64| EvidenceOptions {
            prior_precision: self.options.prior_precision.unwrap_or(1.0),
            tune_prior_precision: self.options.prior_precision.is_none(),
            noise_std: has_noise.then_some(noise),
            tune_noise_std: tunes_noise,
            ..EvidenceOptions::default()
        };
        // compiled here, before starts run in parallel: rounds change numbers only
        self.posterior::<T>(options(1.0).prior_precision, self.options.noise_std)?;
        let compiled = exact.then(|| self.compiled_curvature()).transpose()?;
        let dense = compiled.as_ref().map(|compiled| {
            |noise: Option<f64>, theta: &[T]| self.curvature(compiled, noise, theta)
        });
        let dense: Option<Dense<'_, T>> = dense.as_ref().map(|at| at as _);
        // only exact evidences can be compared
        let starts: Vec<f64> = match self.options.noise_std {
            Some(std) => vec![std],
            None if tunes_noise && exact => NOISE_STARTS.to_vec(),
            None => NOISE_STARTS[..1].to_vec(),
        };
        let most = starts
            .iter()
            .map(|&noise| options(noise).most_steps())
            .sum();
        let steps = Steps::new(self.progress, Stage::Map, most);
        let tuned = |noise: f64| {
            // the other starts go on if one fails, but not if the fit is cancelled
            self.progress.go_on(Stage::Map)?;
            tune_by_evidence(
                self.initial(0),
                |alpha, noise| self.posterior(alpha, noise),
                dense,
                &options(noise),
                self.streams,
                |_| steps.step(),
            )
        };
        let reports = parallel::map(starts.len(), |i| tuned(starts[i]));
        let value = |r: &EvidenceReport<T>| r.log_evidence.map_or(f64::NEG_INFINITY, |e| e.value);
        let values: Vec<Option<f64>> = reports.iter().map(|r| r.as_ref().ok().map(value)).collect();
        let gradients = reports.iter().flatten().map(|r| r.map.gradients).sum();
        let (mut best, mut failure) = (None, None);
        for report in reports {
            match report {
                Ok(report) if best.as_ref().is_none_or(|b| value(&report) > value(b)) => {
                    best = Some(report);
                }
                Ok(_) => {}
                Err(error @ Error::Cancelled { .. }) => return Err(error),
                // the other starts may still succeed
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        let none = || Error::config("noise_std", "auto", "no start led to an estimate");
        let mut report = best.ok_or_else(|| failure.unwrap_or_else(none))?;
        report.map.gradients = gradients;
        let (alpha, noise) = (report.prior_precision, report.noise_std);
        let posterior = self.posterior::<T>(alpha, noise)?;
        let options = options(noise.unwrap_or(1.0));
        // a walk starts better where first-order steps end: at the bottom of a narrow valley its
        // first steps diverge
        let mut matrix = None;
        if let (Some(dense), false) = (dense, self.method().walks()) {
            matrix = Some(self.polished(&posterior, dense, &mut report, summary)?);
            report.log_evidence = None;
        }
        let theta = &report.map.theta;
        let evidence = match report.log_evidence {
            Some(known) => known,
            None => log_evidence(&posterior, theta, matrix, &options, self.streams)?,
        };
        report.log_evidence = Some(evidence);
        summary.scales(&report, &options);
        if starts.len() > 1 {
            summary.noise_starts(&starts, &values);
        }
        summary.map(&report.map, Some(evidence));
        Ok(report)
    }

    /// The Gauss-Newton matrix of the likelihood, `[P, P]`, compiled.
    pub(super) fn compiled_curvature<T: Scalar>(&self) -> Result<DenseCurvature<'_, T>> {
        let likelihood = self.likelihood(self.options.noise_std)?;
        let rows = (&self.prepared.x[..], &self.prepared.y[..]);
        let all = 0..self.network.dim();
        DenseCurvature::new(self.network, likelihood.as_ref(), rows, all)
    }

    /// The matrix at a noise level and parameters.
    fn curvature<T: Scalar>(
        &self,
        compiled: &DenseCurvature<'_, T>,
        noise: Option<f64>,
        theta: &[T],
    ) -> Result<Vec<f64>> {
        self.progress.go_on(Stage::Map)?;
        compiled.at(self.likelihood(noise)?.as_ref(), theta)
    }

    /// Moves the estimate to its minimum, and returns the matrix there.
    fn polished<T: Scalar>(
        &self,
        posterior: &PosteriorDensity<T>,
        dense: Dense<'_, T>,
        report: &mut EvidenceReport<T>,
        summary: &mut FitReport,
    ) -> Result<Vec<f64>> {
        let (n, alpha, noise) = (self.network.dim(), report.prior_precision, report.noise_std);
        let with_prior = |theta: &[T]| {
            let mut matrix = dense(noise, theta)?;
            matrix.iter_mut().step_by(n + 1).for_each(|a| *a += alpha);
            Ok(matrix)
        };
        let (p, rows) = (n as f64, self.prepared.rows() as f64);
        let each = rows * self.network.output_dim() as f64 * p * p + p.powi(3) / 3.0;
        let options = PolishOptions {
            matrices: ((LAST_STEPS / each) as usize).clamp(MATRICES.0, MATRICES.1),
            ..PolishOptions::default()
        };
        let end = polish(posterior, &mut report.map, with_prior, &options)?;
        summary.polished(&end);
        dense(noise, &report.map.theta)
    }
}

/// Cost of a batch gradient as a fraction of a full gradient.
pub(super) fn share(batch_rows: usize, rows: usize) -> f64 {
    batch_rows.min(rows) as f64 / rows.max(1) as f64
}
