//! Baselines that run chains: HMC, NUTS, and stochastic gradient Langevin dynamics.

use super::context::Problem;
use super::coordinates::Coordinates;
use super::map::share;
use super::progress::Steps;
use super::rates::at_viable_rate;
use super::{ChainSettings, FitReport, Method, Stage};
use crate::artifact::Fitted;
use crate::artifact::report::{self, Baseline};
use crate::baselines::{
    ChainOptions, Chains, HmcOptions, NutsOptions, RandomBatches, SgldOptions, hmc_with_progress,
    nuts_with_progress, sgld_with_progress,
};
use crate::curvature::EvidenceReport;
use crate::diagnose::{self, ess_bulk, rhat};
use crate::error::Result;
use crate::model::{LogDensity, Points, PosteriorDensity};
use crate::scalar::Scalar;
use crate::walk::viability_threshold;
use std::time::Instant;

/// Chains of HMC, NUTS and Langevin dynamics.
pub(super) const CHAINS: usize = 4;

impl Problem<'_> {
    pub(super) fn langevin<T: Scalar>(
        &self,
        settings: &ChainSettings,
        evidence: &EvidenceReport<T>,
        summary: &mut FitReport,
    ) -> Result<Vec<T>> {
        const ROWS: usize = 128;
        let data = self.minibatch(evidence.prior_precision, evidence.noise_std)?;
        let batches = RandomBatches::new(&data, ROWS)?;
        let mut options = SgldOptions {
            chains: CHAINS,
            keep: settings.samples.div_ceil(CHAINS),
            max_seconds: settings.max_seconds,
            ..SgldOptions::default()
        };
        let starts = [evidence.map.theta.clone()];
        // how many rates are tried is not known
        let steps = Steps::new(self.progress, Stage::Baseline, 0);
        // a chain with unstable steps can stay finite because activations saturate
        let threshold = viability_threshold(evidence.map.energy, data.dim());
        let started = Instant::now();
        let (report, rate, taken) = at_viable_rate(options.learning_rate, threshold, |rate| {
            options.learning_rate = rate;
            // the tries share the time; one that has none left takes a step
            let left = |seconds: f64| (seconds - started.elapsed().as_secs_f64()).max(1e-3);
            options.max_seconds = settings.max_seconds.map(left);
            let report =
                sgld_with_progress(&batches, &starts, &options, self.streams, |_| steps.step())?;
            let (energy, gradients) = (mean(&report.energies), report.gradients);
            Ok((report, energy, gradients))
        })?;
        summary.baseline = Some(Baseline::Sgld {
            chains: CHAINS,
            steps: report.steps,
            rate,
            diverged: report.diverged,
            mean_energy: mean(&report.energies),
            gradients: taken,
            batch_rows: ROWS,
        });
        summary.cut_chains(report.steps, options.steps, options.burn_in);
        summary.method_gradients = Some(taken as f64 * share(ROWS, data.rows()));
        Ok(report.posterior.into_values())
    }

    pub(super) fn chains<T: Scalar>(
        &self,
        settings: &ChainSettings,
        posterior: &PosteriorDensity<T>,
        evidence: &EvidenceReport<T>,
        summary: &mut FitReport,
    ) -> Result<Vec<T>> {
        let others = self.other_estimates(posterior, evidence, CHAINS)?;
        let trained: usize = others.iter().map(|map| map.gradients).sum();
        let mut starts = vec![evidence.map.theta.clone()];
        starts.extend(others.into_iter().map(|map| map.theta));
        let trained = trained as f64 * self.map_share();
        self.chains_from(settings, posterior, (&starts, trained), summary)
    }

    /// Chains over scales and parameters, started from draws of the prior.
    pub(super) fn scaled_chains<T: Scalar>(
        &self,
        settings: &ChainSettings,
        density: &PosteriorDensity<T>,
        coordinates: &Coordinates<'_>,
        summary: &mut FitReport,
    ) -> Result<Fitted<T>> {
        let Coordinates { scaled, own } = coordinates;
        let starts = self.scaled_starts(scaled, *own, CHAINS)?;
        let points = self.chains_from(settings, density, (&starts, 0.0), summary)?;
        let points = coordinates.stored(&points)?;
        Ok(Fitted::Points(Points::new(coordinates.width(), points)?))
    }

    /// Chains of HMC or NUTS from `starts`, whose training took `trained` gradients.
    fn chains_from<T: Scalar>(
        &self,
        settings: &ChainSettings,
        posterior: &PosteriorDensity<T>,
        (starts, trained): (&[Vec<T>], f64),
        summary: &mut FitReport,
    ) -> Result<Vec<T>> {
        let defaults = ChainOptions::default();
        let chains = ChainOptions {
            keep: Some(settings.samples.div_ceil(CHAINS).min(defaults.draws)),
            max_seconds: settings.max_seconds,
            ..defaults
        };
        let total = starts.len() * (chains.warm_up + chains.draws);
        let step = |done| self.progress.step(Stage::Baseline, done, total);
        let chains: Chains<T> = if self.method() == Method::Hmc {
            let options = HmcOptions {
                chains,
                ..HmcOptions::default()
            };
            hmc_with_progress(posterior, starts, &options, self.streams, step)?
        } else {
            let options = NutsOptions {
                chains,
                ..NutsOptions::default()
            };
            nuts_with_progress(posterior, starts, &options, self.streams, step)?
        };
        summary.chains(&chains)?;
        let drawn = chains.chains.first().map_or(0, |c| c.transitions.len());
        summary.cut_chains(drawn, defaults.draws, 0);
        summary.method_gradients = Some(chains.gradients() as f64 + trained);
        Ok(chains.into_points()?.into_values())
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

impl FitReport {
    /// Notes that a limit of time left chains with fewer draws or steps than `at_most`. Those up to
    /// `warm_up` are not kept.
    fn cut_chains(&mut self, taken: usize, at_most: usize, warm_up: usize) {
        let cut = report::CutChains {
            taken,
            at_most,
            in_warm_up: taken <= warm_up,
        };
        self.cut_chains = (taken < at_most).then_some(cut);
    }

    fn chains<T: Scalar>(&mut self, chains: &Chains<T>) -> Result<()> {
        let (energies, hamiltonians) = (chains.potentials(), chains.hamiltonians());
        // chains that a limit of time has cut may be too short
        let of = |values| diagnose::Chains::new(values, chains.count());
        let long = energies.len() >= 4 * chains.count();
        let (mut figures, mut worst) = ((f64::NAN, f64::NAN), f64::NAN);
        if long {
            let energies = of(&energies)?;
            figures = (rhat(&energies), ess_bulk(&energies));
            let e_bfmi = diagnose::e_bfmi(&of(&hamiltonians)?);
            worst = e_bfmi.iter().copied().fold(f64::INFINITY, f64::min);
        }
        let (rhat, ess) = figures;
        self.baseline = Some(Baseline::Chains {
            chains: chains.count(),
            acceptance: chains.mean_acceptance(),
            divergences: chains.divergences(),
            energy_rhat: rhat,
            energy_ess_bulk: ess,
            e_bfmi: worst,
            gradients: chains.gradients(),
        });
        Ok(())
    }
}
