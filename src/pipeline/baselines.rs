//! The baselines of a fit: methods that replace the walk, with the same estimate and scales.
//!
//! Each has the defaults of its module. For a fit, these rules hold:
//! - `laplace`, `riemann` and `laplace-glm` use the full Gauss-Newton matrix. The structured ones
//!   predict linearised as well, as laplace-torch does.
//! - Chains of `hmc` and `nuts` start from separate MAP estimates, `sgld` from the one estimate.
//! - The rate of `sgld` is lowered tenfold until its points are viable, as those of walks are. The
//!   rate of `swag` is chosen on held-out rows (`swag.rs`).
//! - `samples` draws or points are kept; an ensemble keeps its members.

use rand_chacha::ChaCha8Rng;

use super::fit::Problem;
use super::hierarchy::Coordinates;
use super::own::own_init;
use super::rates::at_viable_rate;
use super::{FitReport, Method, MethodOptions};
use crate::artifact::Fitted;
use crate::artifact::report::{self, Baseline};
use crate::baselines::{
    AllRows, ChainOptions, Chains, DropoutOptions, EnsembleOptions, HmcOptions, Laplace,
    LaplaceOptions, NutsOptions, OdeOptions, RandomBatches, RiemannLaplace, SgldOptions, Structure,
    VariationalOptions, fit_dropout, fit_ensemble, fit_ensemble_minibatch, fit_variational, hmc,
    nuts, sgld,
};
use crate::curvature::{EvidenceReport, KfacBias, Supervised};
use crate::diagnose::{self, ess_bulk, rhat};
use crate::error::{Error, Result};
use crate::model::{LogDensity, Points, Posterior, PosteriorDensity};
use crate::scalar::Scalar;
use crate::walk::viability_threshold;

/// Chains of HMC, NUTS and Langevin dynamics.
pub(super) const CHAINS: usize = 4;

impl Problem<'_> {
    /// Cost of one training gradient of the estimate, as a fraction of a full gradient.
    pub(super) fn map_share(&self) -> f64 {
        let rows = self.prepared.rows();
        self.batch_rows().map_or(1.0, |batch| share(batch, rows))
    }

    pub(super) fn baseline<T: Scalar>(
        &self,
        posterior: &PosteriorDensity<T>,
        evidence: &EvidenceReport<T>,
        summary: &mut FitReport,
    ) -> Result<Fitted<T>> {
        let points = match &self.options.method {
            MethodOptions::Ensemble => self.ensemble(posterior, evidence, summary)?,
            MethodOptions::Swag(draws) => self.swag(draws.samples, evidence, summary)?,
            MethodOptions::Sgld(chains) => self.langevin(chains.samples, evidence, summary)?,
            MethodOptions::Vi(draws) => {
                self.variational(draws.samples, posterior, evidence, summary)?
            }
            MethodOptions::Dropout(draws) => self.dropout(draws.samples, posterior, summary)?,
            MethodOptions::Hmc(chains) | MethodOptions::Nuts(chains) => {
                self.chains(chains.samples, posterior, evidence, summary)?
            }
            MethodOptions::Riemann(draws) => {
                let samples = draws.samples;
                let gaussian = self.gaussian(evidence, summary)?;
                let theta = evidence.map.theta.clone();
                let riemann =
                    RiemannLaplace::new(posterior, theta, &gaussian, OdeOptions::default())?;
                let (draws, report) = riemann.sample_with_report(samples, self.streams)?;
                if let Some(Baseline::Laplace(laplace)) = summary.baseline.take() {
                    summary.baseline = Some(Baseline::Riemann {
                        laplace,
                        geodesics: samples,
                        failed: report.failed,
                        steps: report.steps,
                        gradients: report.gradients,
                        products: report.products,
                    });
                }
                // a Hessian product costs about two gradients
                let gradients = report.gradients + 2 * report.products;
                summary.method_gradients = Some(gradients as f64);
                draws
            }
            MethodOptions::Laplace(draws)
            | MethodOptions::LaplaceGlm(draws)
            | MethodOptions::LaplaceKfac(draws)
            | MethodOptions::LaplaceDiag(draws)
            | MethodOptions::LaplaceLast(draws) => self
                .gaussian(evidence, summary)?
                .sample(draws.samples, self.streams)?,
            MethodOptions::Map
            | MethodOptions::Walk(_)
            | MethodOptions::Atlas(_)
            | MethodOptions::Flow(_)
            | MethodOptions::Auto(_) => {
                let requirement = "is not a baseline";
                return Err(Error::config("method", self.method(), requirement));
            }
        };
        Ok(Fitted::Points(Points::new(posterior.dim(), points)?))
    }

    /// The Laplace approximation with the method's structure.
    fn gaussian<T: Scalar>(
        &self,
        evidence: &EvidenceReport<T>,
        summary: &mut FitReport,
    ) -> Result<Laplace<T>> {
        let structure = match self.method() {
            Method::LaplaceKfac => Structure::Kfac {
                bias: KfacBias::default(),
            },
            Method::LaplaceDiag => Structure::Diagonal,
            Method::LaplaceLast => Structure::LastLayer,
            _ => Structure::Full,
        };
        let likelihood = self.likelihood(evidence.noise_std)?;
        let data = Supervised {
            network: self.network,
            likelihood: likelihood.as_ref(),
            x: &self.prepared.x,
            y: &self.prepared.y,
        };
        let prior = self.prior(evidence.prior_precision)?;
        let options = LaplaceOptions {
            structure,
            ..LaplaceOptions::default()
        };
        let theta = &evidence.map.theta;
        let laplace = Laplace::fit(&data, prior.get(), theta, &options, self.streams)?;
        summary.baseline = Some(Baseline::Laplace(report::Laplace {
            structure: match structure {
                Structure::Kfac { .. } => "Kronecker-factored",
                Structure::Diagonal => "diagonal",
                Structure::LastLayer => "full last-layer",
                _ => "full",
            }
            .into(),
            parameters: laplace.active().len(),
            effective_parameters: laplace.effective_parameters(),
            log_evidence: laplace.log_evidence(),
            linearised: self.method().is_linearised(),
        }));
        Ok(laplace)
    }

    fn ensemble<T: Scalar>(
        &self,
        posterior: &PosteriorDensity<T>,
        evidence: &EvidenceReport<T>,
        summary: &mut FitReport,
    ) -> Result<Vec<T>> {
        // the paper uses five; twice as many are a stronger baseline
        let mut options = EnsembleOptions {
            members: 10,
            ..EnsembleOptions::default()
        };
        let own = self.own.map_or_else(Vec::new, |model| {
            own_init(model.likelihood(), self.network.output_dim())
        });
        let init = |rng: &mut ChaCha8Rng| {
            let mut theta = self.network.init(rng);
            theta.extend(&own);
            theta
        };
        let report = match self.batch_rows() {
            None => fit_ensemble(posterior, init, &options, self.streams)?,
            Some(rows) => {
                options.minibatch = self.minibatch_options(rows);
                let data = self.minibatch(evidence.prior_precision, evidence.noise_std)?;
                fit_ensemble_minibatch(&data, init, &options, self.streams)?
            }
        };
        let energies = report.members.iter().map(|m| m.energy);
        let (low, high) = energies.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), e| {
            (a.min(e), b.max(e))
        });
        summary.baseline = Some(Baseline::Ensemble {
            members: report.members.len(),
            lowest_energy: low,
            highest_energy: high,
            gradients: report.gradients,
        });
        summary.method_gradients = Some(report.gradients as f64 * self.map_share());
        Ok(report.posterior.into_values())
    }

    fn langevin<T: Scalar>(
        &self,
        samples: usize,
        evidence: &EvidenceReport<T>,
        summary: &mut FitReport,
    ) -> Result<Vec<T>> {
        const ROWS: usize = 128;
        let data = self.minibatch(evidence.prior_precision, evidence.noise_std)?;
        let batches = RandomBatches::new(&data, ROWS)?;
        let mut options = SgldOptions {
            chains: CHAINS,
            keep: samples.div_ceil(CHAINS),
            ..SgldOptions::default()
        };
        let starts = [evidence.map.theta.clone()];
        // a chain with unstable steps can stay finite because activations saturate
        let threshold = viability_threshold(evidence.map.energy, data.dim());
        let (report, rate, taken) = at_viable_rate(options.learning_rate, threshold, |rate| {
            options.learning_rate = rate;
            let report = sgld(&batches, &starts, &options, self.streams)?;
            let (energy, gradients) = (mean(&report.energies), report.gradients);
            Ok((report, energy, gradients))
        })?;
        summary.baseline = Some(Baseline::Sgld {
            chains: CHAINS,
            steps: options.steps,
            rate,
            diverged: report.diverged,
            mean_energy: mean(&report.energies),
            gradients: taken,
            batch_rows: ROWS,
        });
        summary.method_gradients = Some(taken as f64 * share(ROWS, data.rows()));
        Ok(report.posterior.into_values())
    }

    fn variational<T: Scalar>(
        &self,
        samples: usize,
        posterior: &PosteriorDensity<T>,
        evidence: &EvidenceReport<T>,
        summary: &mut FitReport,
    ) -> Result<Vec<T>> {
        let rows = AllRows::new(posterior, self.prepared.rows())?;
        let (theta, options) = (evidence.map.theta.clone(), VariationalOptions::default());
        let report = fit_variational(&rows, theta, &options, self.streams, |_| ())?;
        summary.baseline = Some(Baseline::Vi {
            elbo: report.elbo,
            elbo_error: report.elbo_error,
            gradients: report.gradients,
        });
        summary.method_gradients = Some(report.gradients as f64);
        report.posterior.sample(samples, self.streams)
    }

    fn dropout<T: Scalar>(
        &self,
        samples: usize,
        posterior: &PosteriorDensity<T>,
        summary: &mut FitReport,
    ) -> Result<Vec<T>> {
        let rows = AllRows::new(posterior, self.prepared.rows())?;
        let (layout, options) = (self.network.layout(), DropoutOptions::default());
        let report = fit_dropout(
            &rows,
            layout,
            self.initial(0),
            &options,
            self.streams,
            |_| (),
        )?;
        summary.baseline = Some(Baseline::Dropout {
            rate: options.rate,
            gradients: report.gradients,
        });
        summary.method_gradients = Some(report.gradients as f64);
        report.posterior.sample(samples, self.streams)
    }

    fn chains<T: Scalar>(
        &self,
        samples: usize,
        posterior: &PosteriorDensity<T>,
        evidence: &EvidenceReport<T>,
        summary: &mut FitReport,
    ) -> Result<Vec<T>> {
        let others = self.other_estimates(posterior, evidence, CHAINS)?;
        let trained: usize = others.iter().map(|map| map.gradients).sum();
        let mut starts = vec![evidence.map.theta.clone()];
        starts.extend(others.into_iter().map(|map| map.theta));
        let trained = trained as f64 * self.map_share();
        self.chains_from(samples, posterior, (&starts, trained), summary)
    }

    /// Chains over scales and parameters, started from draws of the prior.
    pub(super) fn scaled_chains<T: Scalar>(
        &self,
        samples: usize,
        density: &PosteriorDensity<T>,
        coordinates: &Coordinates<'_>,
        summary: &mut FitReport,
    ) -> Result<Fitted<T>> {
        let Coordinates { scaled, own } = coordinates;
        let starts = self.scaled_starts(scaled, *own, CHAINS)?;
        let points = self.chains_from(samples, density, (&starts, 0.0), summary)?;
        let points = coordinates.stored(&points)?;
        Ok(Fitted::Points(Points::new(coordinates.width(), points)?))
    }

    /// Chains of HMC or NUTS from `starts`, whose training took `trained` gradients.
    fn chains_from<T: Scalar>(
        &self,
        samples: usize,
        posterior: &PosteriorDensity<T>,
        (starts, trained): (&[Vec<T>], f64),
        summary: &mut FitReport,
    ) -> Result<Vec<T>> {
        let defaults = ChainOptions::default();
        let chains = ChainOptions {
            keep: Some(samples.div_ceil(CHAINS).min(defaults.draws)),
            ..defaults
        };
        let chains: Chains<T> = if self.method() == Method::Hmc {
            let options = HmcOptions {
                chains,
                ..HmcOptions::default()
            };
            hmc(posterior, starts, &options, self.streams)?
        } else {
            let options = NutsOptions {
                chains,
                ..NutsOptions::default()
            };
            nuts(posterior, starts, &options, self.streams)?
        };
        summary.chains(&chains)?;
        summary.method_gradients = Some(chains.gradients() as f64 + trained);
        Ok(chains.into_points()?.into_values())
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

/// Cost of a batch gradient as a fraction of a full gradient.
pub(super) fn share(batch_rows: usize, rows: usize) -> f64 {
    batch_rows.min(rows) as f64 / rows.max(1) as f64
}

impl FitReport {
    fn chains<T: Scalar>(&mut self, chains: &Chains<T>) -> Result<()> {
        let energies = chains.potentials();
        let energies = diagnose::Chains::new(&energies, chains.count())?;
        let (rhat, ess) = (rhat(&energies), ess_bulk(&energies));
        let hamiltonians = chains.hamiltonians();
        let e_bfmi = diagnose::e_bfmi(&diagnose::Chains::new(&hamiltonians, chains.count())?);
        let worst = e_bfmi.iter().copied().fold(f64::INFINITY, f64::min);
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
