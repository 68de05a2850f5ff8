//! The MAP estimate of a fit: by gradients of all rows with the scales tuned by evidence, or by minibatches with the scales given.

use rayon::prelude::*;

use super::fit::Problem;
use super::{Batch, Method, Stage, Summary};
use crate::curvature::{EvidenceOptions, EvidenceReport, log_evidence, tune_by_evidence};
use crate::error::{Error, Result};
use crate::linalg::vector::norm;
use crate::model::{LogDensity, Minibatch, PosteriorDensity};
use crate::optim::{
    MapOptions, MapReport, MinibatchOptions, MinibatchProgress, MinibatchReport, fit_map,
    fit_minibatch,
};
use crate::rng::Phase;
use crate::scalar::Scalar;

/// Rows times parameters beyond which thousands of gradients of all rows take too long.
const LARGE: usize = 100_000_000;

/// Rows of a batch, and prior precision, if nothing else is asked for.
const BATCH_ROWS: usize = 128;
const PRIOR_PRECISION: f64 = 1.0;

impl Problem<'_> {
    /// Rows of a batch; `None`: all rows at once.
    pub(super) fn batch_rows(&self) -> Option<usize> {
        // the noise of a regression is tuned by evidence, and that needs all rows
        let tunes_noise = self.prepared.observation.has_noise() && self.options.noise_std.is_none();
        let size = self.prepared.y.len().saturating_mul(self.network.dim());
        match self.options.batch {
            Batch::Rows(rows) => Some(rows),
            Batch::Auto if size > LARGE && !tunes_noise => Some(BATCH_ROWS),
            Batch::Auto | Batch::Full => None,
        }
    }

    pub(super) fn minibatch_options(&self, batch_rows: usize) -> MinibatchOptions {
        let defaults = MinibatchOptions::default();
        // a walk starts from the estimate given all rows: none can be held out
        let held_out = match self.options.method {
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

    /// What cannot be trained as asked for.
    pub(super) fn check_training(&self) -> Result<()> {
        match (self.batch_rows(), self.options.epochs) {
            (None, Some(epochs)) => {
                let requirement =
                    "is for minibatches; this fit takes all rows at once (see --batch)";
                Err(Error::config("epochs", epochs, requirement))
            }
            (Some(_), _)
                if self.prepared.observation.has_noise() && self.options.noise_std.is_none() =>
            {
                let requirement =
                    "must be a number for minibatches: tuning it takes all rows at once";
                Err(Error::config("noise_std", "auto", requirement))
            }
            (Some(rows), _) => self.minibatch_options(rows).validate(),
            (None, None) => Ok(()),
        }
    }

    pub(super) fn fit_map<T: Scalar>(&self, summary: &mut Summary) -> Result<EvidenceReport<T>> {
        match self.batch_rows() {
            Some(rows) => {
                summary.figure("map_share", self.map_share());
                self.by_minibatches(rows, summary)
            }
            None => self.by_evidence(summary),
        }
    }

    fn by_minibatches<T: Scalar>(
        &self,
        batch_rows: usize,
        summary: &mut Summary,
    ) -> Result<EvidenceReport<T>> {
        let alpha = self.options.prior_precision.unwrap_or(PRIOR_PRECISION);
        let has_noise = self.prepared.observation.has_noise();
        let noise_std = self.options.noise_std.filter(|_| has_noise);
        let density = self.minibatch::<T>(alpha, noise_std)?;
        let options = self.minibatch_options(batch_rows);
        let (report, map) = self.one_by_minibatches(&density, &options, 0, |at| {
            (self.progress)(Stage::Map, at.step, at.steps);
        })?;
        summary.minibatches(
            &report,
            &options,
            alpha,
            self.options.prior_precision.is_some(),
        );
        summary.map(&map, None);
        Ok(EvidenceReport {
            map,
            prior_precision: alpha,
            noise_std,
            rounds: 0,
            settled: true,
            bounded: false,
            products: 0,
        })
    }

    /// The estimate from the initial parameters of number `index`. The batches are the same for all.
    fn one_by_minibatches<T: Scalar>(
        &self,
        density: &Minibatch<T>,
        options: &MinibatchOptions,
        index: u64,
        progress: impl FnMut(&MinibatchProgress) + Send,
    ) -> Result<(MinibatchReport<T>, MapReport<T>)> {
        let start = self.initial(index);
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

    /// Initial parameters of number `index`.
    pub(super) fn initial<T: Scalar>(&self, index: u64) -> Vec<T> {
        let start = self.network.init(&mut self.streams.rng(Phase::INIT, index));
        start.into_iter().map(T::from_f64).collect()
    }

    /// Estimates from other initial parameters, trained as the first one was, with the scales that it has.
    pub(super) fn other_estimates<T: Scalar>(
        &self,
        posterior: &PosteriorDensity<T>,
        first: &EvidenceReport<T>,
        starts: usize,
    ) -> Result<Vec<MapReport<T>>> {
        let others = (1..starts as u64).into_par_iter();
        let Some(rows) = self.batch_rows() else {
            let options = MapOptions::default();
            return others
                .map(|index| fit_map(posterior, self.initial(index), &options, |_| ()))
                .collect();
        };
        if starts < 2 {
            return Ok(Vec::new());
        }
        let density = self.minibatch::<T>(first.prior_precision, first.noise_std)?;
        let options = self.minibatch_options(rows);
        others
            .map(|index| {
                let fit = self.one_by_minibatches(&density, &options, index, |_| ());
                Ok(fit?.1)
            })
            .collect()
    }

    fn by_evidence<T: Scalar>(&self, summary: &mut Summary) -> Result<EvidenceReport<T>> {
        let has_noise = self.prepared.observation.has_noise();
        let options = EvidenceOptions {
            prior_precision: self.options.prior_precision.unwrap_or(1.0),
            tune_prior_precision: self.options.prior_precision.is_none(),
            noise_std: has_noise.then(|| self.options.noise_std.unwrap_or(1.0)),
            tune_noise_std: has_noise && self.options.noise_std.is_none(),
            ..EvidenceOptions::default()
        };
        let steps = options.map.steps;
        let report = tune_by_evidence(
            self.initial(0),
            |alpha, noise| self.posterior(alpha, noise),
            &options,
            self.streams,
            |done| (self.progress)(Stage::Map, done, steps.max(done)),
        )?;
        let posterior = self.posterior::<T>(report.prior_precision, report.noise_std)?;
        let evidence = log_evidence(&posterior, &report.map.theta, &options, self.streams)?;
        summary.scales(&report, &options);
        summary.map(&report.map, Some(evidence));
        Ok(report)
    }
}
