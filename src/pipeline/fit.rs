//! The problem that is fitted, its densities, and checks of settings that contradict each other.

use super::checkpoint::Keeper;
use super::options::Deforming;
use super::own::PriorOf;
use super::prepare::Prepared;
use super::{FitOptions, FitReport, KernelKind, Method, MethodOptions, Stage};
use crate::artifact::{Fitted, own_last_layer};
use crate::curvature::{EvidenceReport, GgnOperator, TangentOptions, TangentSpace};
use crate::deform::{HeadLikelihood, LastLayer};
use crate::error::{Error, Result};
use crate::model::{
    IsotropicGaussian, Likelihood, Minibatch, Model, Noise, Observation, PosteriorDensity,
};
use crate::nn::LinearHead;
use crate::rng::Streams;
use crate::scalar::Scalar;

/// Most values that the points of a walk may hold.
pub(super) const MAX_NUMBERS: usize = 1 << 30;

pub(super) struct Problem<'a> {
    pub options: &'a FitOptions,
    /// The user's model, if there is one.
    pub own: Option<&'a Model>,
    pub network: &'a dyn LinearHead,
    pub prepared: Prepared,
    pub streams: Streams,
    pub progress: &'a (dyn Fn(Stage, usize, usize) + Sync),
}

impl Problem<'_> {
    /// The method, without its settings.
    pub(super) fn method(&self) -> Method {
        self.options.method.method()
    }

    pub(super) fn posterior<T: Scalar>(
        &self,
        prior_precision: f64,
        noise_std: Option<f64>,
    ) -> Result<PosteriorDensity<T>> {
        let prior = self.prior(prior_precision)?;
        let (network, x, y) = (self.network, &self.prepared.x, &self.prepared.y);
        let likelihood = self.likelihood(noise_std)?;
        PosteriorDensity::new(network, likelihood.as_ref(), prior.get(), x, y)
    }

    /// The prior: the model's, or an isotropic one with the given precision.
    pub(super) fn prior(&self, prior_precision: f64) -> Result<PriorOf<'_>> {
        Ok(match self.own {
            Some(model) => PriorOf::Own(model.prior()),
            None => PriorOf::Isotropic(IsotropicGaussian::new(prior_precision)?),
        })
    }

    /// The likelihood, with the given noise if it has one.
    pub(super) fn likelihood(&self, noise_std: Option<f64>) -> Result<Box<dyn Likelihood>> {
        if let Some(model) = self.own {
            return Ok(Box::new(model.shared_likelihood()));
        }
        let noise = Noise::Given(noise_std.unwrap_or(1.0));
        let prepared = &self.prepared;
        prepared.observation.likelihood(noise, prepared.base_rate)
    }

    /// The same density, to be evaluated on batches.
    pub(super) fn minibatch<T: Scalar>(
        &self,
        prior_precision: f64,
        noise_std: Option<f64>,
    ) -> Result<Minibatch<T>> {
        let prior = self.prior(prior_precision)?;
        let (network, x, y) = (self.network, &self.prepared.x, &self.prepared.y);
        let likelihood = self.likelihood(noise_std)?;
        Minibatch::new(network, likelihood.as_ref(), prior.get(), x, y)
    }

    /// Checks the user's options before anything takes time.
    pub(super) fn check_options(&self) -> Result<()> {
        let in_range = |field, value: Option<f64>, low: f64, high: f64| match value {
            Some(x) if !(low..=high).contains(&x) => {
                let requirement = format!("must be positive, from {low:e} to {high:e}");
                Err(Error::config(field, x, &requirement))
            }
            _ => Ok(()),
        };
        let options = self.options;
        in_range("prior_precision", options.prior_precision, 1e-12, 1e12)?;
        in_range("noise_std", options.noise_std, 1e-6, 1e6)?;
        let observation = self.prepared.observation;
        if let (false, Some(std)) = (observation.has_noise(), options.noise_std) {
            let what = match observation.is_of_classes() {
                true => "is for regression; this target has classes".into(),
                false => format!("is for real targets; the likelihood {observation} has no noise"),
            };
            return Err(Error::config("noise_std", std, &what));
        }
        self.check_likelihood()?;
        self.check_training()?;
        self.check_prior()?;
        let Some(settings) = options.method.walk() else {
            return self.check_baseline();
        };
        let kernel = settings.kernel.kind();
        settings.check_budget()?;
        if options.method.loo_refits() > 0 && !options.method.samples_posterior() {
            let requirement =
                format!("is for draws of the posterior, and the kernel {kernel} gives none");
            let refits = options.method.loo_refits();
            return Err(Error::config("loo_refits", refits, &requirement));
        }
        if settings.samples == 0 {
            return Err(Error::config("samples", 0, "must be positive"));
        }
        self.check_walk_batch(settings)?;
        let walk = match self.groups() {
            Some(_) if kernel == KernelKind::Microcanonical => {
                self.scaled_walk_options(settings)?
            }
            _ => self.walk_options(settings)?,
        };
        let points = walk.particles.saturating_mul(walk.keep);
        if points.saturating_mul(self.network.dim()) > MAX_NUMBERS {
            let value = format!("{points} points of {} parameters", self.network.dim());
            return Err(Error::config(
                "samples",
                value,
                "must be at most 2^30 numbers",
            ));
        }
        match options.method.deforming() {
            Some(how) => self.check_deformation(how),
            None => Ok(()),
        }
    }

    /// Refuses likelihoods that the method does not support.
    fn check_likelihood(&self) -> Result<()> {
        let (observation, method) = (self.prepared.observation, self.method());
        let wrong =
            |requirement: String| Err(Error::config("likelihood", observation, &requirement));
        match observation {
            Observation::Categorical | Observation::Gaussian | Observation::Own => Ok(()),
            Observation::StudentT | Observation::Heteroscedastic => {
                if self.options.noise_std.is_some() {
                    return wrong("samples its noise, and --noise-std gives one".into());
                }
                if self.groups().is_some() {
                    return Ok(());
                }
                let requirement = "needs sampled scales: a plain walk on a table, or any method that \
                                   samples them with --prior hierarchical (walk, hmc, nuts)";
                wrong(requirement.into())
            }
            Observation::Bernoulli | Observation::Poisson => {
                // `check_deformation` covers the last layer of an atlas or a flow
                if method != Method::Swag {
                    return Ok(());
                }
                wrong(format!("is not known to method {method}"))
            }
        }
    }

    /// Refuses early what an atlas or a flow cannot do.
    fn check_deformation(&self, how: Deforming<'_>) -> Result<()> {
        match how.frozen() {
            Some(0) => return Err(Error::config("frozen", 0, "must be positive")),
            Some(count) if count.saturating_mul(self.network.dim()) > MAX_NUMBERS => {
                let requirement = "times the parameters must be at most 2^30 numbers";
                return Err(Error::config("frozen", count, requirement));
            }
            _ => {}
        }
        if let Deforming::Flow(flow) = how
            && self.network.hidden_params() > 0
            && let Some(particles @ 0..5) = flow.walk.particles
        {
            let requirement = "must be at least 5 for a flow, which holds out every fifth";
            return Err(Error::config("particles", particles, requirement));
        }
        let noise_std = self.prepared.observation.has_noise().then_some(1.0);
        self.last_layer::<f32>(1.0, noise_std)?;
        Ok(())
    }

    pub(super) fn last_layer<T: Scalar>(
        &self,
        prior_precision: f64,
        noise_std: Option<f64>,
    ) -> Result<LastLayer<T>> {
        let (x, y) = (&self.prepared.x, &self.prepared.y);
        if let Some(model) = self.own {
            return own_last_layer(model, x, y);
        }
        let likelihood = self.head_likelihood(noise_std)?;
        LastLayer::new(self.network, likelihood, prior_precision, x, y)
    }

    /// The likelihood of the last layer given the rest.
    pub(super) fn head_likelihood(&self, noise_std: Option<f64>) -> Result<HeadLikelihood> {
        let (observation, method) = (self.prepared.observation, self.method());
        HeadLikelihood::of(observation, noise_std.unwrap_or(1.0)).ok_or_else(|| {
            let requirement = format!("is not known to method {method}");
            Error::config("likelihood", observation, &requirement)
        })
    }

    pub(super) fn fit_method<T: Scalar>(
        &mut self,
        evidence: &EvidenceReport<T>,
        keeper: &mut Keeper<'_, T>,
        summary: &mut FitReport,
    ) -> Result<Fitted<T>> {
        let method = &self.options.method;
        if matches!(method, MethodOptions::Map) {
            return Ok(Fitted::Map);
        }
        if let Some(groups) = self.groups() {
            return self.sample_scales(groups, keeper, summary);
        }
        let posterior = self.posterior(evidence.prior_precision, evidence.noise_std)?;
        let Some(settings) = method.walk() else {
            return self.baseline(&posterior, evidence, summary);
        };
        let mut op = GgnOperator::new(&posterior, &evidence.map.theta)?;
        let options = TangentOptions::default();
        let space = TangentSpace::new(&mut op, evidence.prior_precision, &options, self.streams)?;
        summary.tangent(&space);
        let walked = self.walk(settings, &posterior, evidence, &space, keeper, summary)?;
        match method.deforming() {
            None => keeper.points(walked),
            Some(how) => self.deform(how, &posterior, &walked, evidence, summary),
        }
    }
}
