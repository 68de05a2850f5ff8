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

use super::context::Problem;
use super::{FitReport, Method, MethodOptions, Stage};
use crate::artifact::Fitted;
use crate::artifact::report::{self, Baseline};
use crate::baselines::{
    AllRows, DropoutOptions, EnsembleOptions, Laplace, LaplaceOptions, OdeOptions, RiemannLaplace,
    Structure, VariationalOptions, fit_dropout, fit_ensemble, fit_ensemble_minibatch,
    fit_variational,
};
use crate::curvature::{EvidenceReport, KfacBias, Supervised};
use crate::error::{Error, Result};
use crate::model::{LogDensity, Points, Posterior, PosteriorDensity};
use crate::scalar::Scalar;

impl Problem<'_> {
    pub(super) fn baseline<T: Scalar>(
        &self,
        posterior: &PosteriorDensity<T>,
        evidence: &EvidenceReport<T>,
        summary: &mut FitReport,
    ) -> Result<Fitted<T>> {
        let points = match &self.options.method {
            MethodOptions::Ensemble => self.ensemble(posterior, evidence, summary)?,
            MethodOptions::Swag(draws) => self.swag(draws.samples, evidence, summary)?,
            MethodOptions::Sgld(chains) => self.langevin(chains, evidence, summary)?,
            MethodOptions::Vi(draws) => {
                self.variational(draws.samples, posterior, evidence, summary)?
            }
            MethodOptions::Dropout(draws) => self.dropout(draws.samples, posterior, summary)?,
            MethodOptions::Hmc(chains) | MethodOptions::Nuts(chains) => {
                self.chains(chains, posterior, evidence, summary)?
            }
            MethodOptions::Riemann(draws) => {
                let samples = draws.samples;
                let gaussian = self.gaussian(evidence, summary)?;
                let theta = evidence.map.theta.clone();
                let riemann =
                    RiemannLaplace::new(posterior, theta, &gaussian, OdeOptions::default())?;
                let (draws, report) =
                    riemann.sample_with_report(samples, self.streams, |done| {
                        self.progress.step(Stage::Baseline, done, samples)
                    })?;
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
        self.progress.go_on(Stage::Baseline)?;
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
        let own = self.initial_of_likelihood();
        let init = |rng: &mut ChaCha8Rng| {
            let mut theta = self.network.init(rng);
            theta.extend(&own);
            theta
        };
        let members = options.members;
        let step = |total| move |done| self.progress.step(Stage::Baseline, done, members * total);
        let report = match self.batch_rows() {
            None => {
                let step = step(options.map.steps);
                fit_ensemble(posterior, init, &options, self.streams, step)?
            }
            Some(rows) => {
                options.minibatch = self.minibatch_options(rows);
                let data = self.minibatch(evidence.prior_precision, evidence.noise_std)?;
                let step = step(options.minibatch.epochs * data.rows().div_ceil(rows));
                fit_ensemble_minibatch(&data, init, &options, self.streams, step)?
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

    fn variational<T: Scalar>(
        &self,
        samples: usize,
        posterior: &PosteriorDensity<T>,
        evidence: &EvidenceReport<T>,
        summary: &mut FitReport,
    ) -> Result<Vec<T>> {
        let rows = AllRows::new(posterior, self.prepared.rows())?;
        let (theta, options) = (evidence.map.theta.clone(), VariationalOptions::default());
        let step = |done| self.progress.step(Stage::Baseline, done, options.steps);
        let report = fit_variational(&rows, theta, &options, self.streams, step)?;
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
        let step = |done| self.progress.step(Stage::Baseline, done, options.steps);
        let start = self.initial(0);
        let report = fit_dropout(&rows, layout, start, &options, self.streams, step)?;
        summary.baseline = Some(Baseline::Dropout {
            rate: options.rate,
            gradients: report.gradients,
        });
        summary.method_gradients = Some(report.gradients as f64);
        report.posterior.sample(samples, self.streams)
    }
}
