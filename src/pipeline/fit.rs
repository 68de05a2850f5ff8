//! The problem that is fitted, its densities, and checks of settings that contradict each other.

use std::path::Path;

use super::checkpoint::Keeper;
use super::own::PriorOf;
use super::prepare::Prepared;
use super::{FitOptions, FitReport, FlowChoice, KernelKind, Method, Stage};
use crate::artifact::{Fitted, own_last_layer};
use crate::curvature::{EvidenceReport, GgnOperator, TangentOptions, TangentSpace};
use crate::deform::{HeadLikelihood, LastLayer};
use crate::error::{Error, Result, counted};
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

impl<'a> Problem<'a> {
    /// File for the points of the walk, if they are not needed in memory.
    pub(super) fn spool_path(&self) -> Option<&'a Path> {
        let options = self.options;
        let path = options.spool.as_deref();
        path.filter(|_| options.method == Method::Walk)
    }
}

impl Problem<'_> {
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
        options.check_budget()?;
        if options.loo_refits > 0 && !options.samples_posterior() {
            let requirement = format!(
                "is for methods that draw from the posterior, not for {}",
                options.method
            );
            return Err(Error::config(
                "loo_refits",
                options.loo_refits,
                &requirement,
            ));
        }
        if !options.method.walks() {
            self.check_deformation()?;
            self.only_walks()?;
            self.check_baseline()?;
            return match &options.checkpoint {
                Some(checkpoint) if checkpoint.resume => {
                    let requirement = format!(
                        "is for walks; method {} has none to go on with",
                        options.method
                    );
                    Err(Error::config("resume", "true", &requirement))
                }
                _ => Ok(()),
            };
        }
        if options.samples == 0 {
            return Err(Error::config("samples", 0, "must be positive"));
        }
        self.check_walk_batch()?;
        let walk = match self.groups() {
            Some(_) if options.kernel == KernelKind::Microcanonical => {
                self.scaled_walk_options()?
            }
            _ => self.walk_options()?,
        };
        let points = walk.particles.saturating_mul(walk.keep);
        if points.saturating_mul(self.network.dim()) > MAX_NUMBERS {
            let value = format!(
                "{} of {}",
                counted(points, "point"),
                counted(self.network.dim(), "parameter")
            );
            return Err(Error::config(
                "samples",
                value,
                "must be at most 2^30 numbers",
            ));
        }
        self.check_deformation()?;
        Ok(())
    }

    /// Refuses likelihoods that the method does not support.
    fn check_likelihood(&self) -> Result<()> {
        let (observation, method) = (self.prepared.observation, self.options.method);
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
    fn check_deformation(&self) -> Result<()> {
        let options = self.options;
        let observation = self.prepared.observation;
        let deforms = matches!(options.method, Method::Atlas | Method::Flow);
        let only = |field, value: &dyn std::fmt::Display, what| {
            Err(Error::config(field, value, &format!("is for {what}")))
        };
        if options.recombine && options.method != Method::Atlas {
            return only("recombine", &true, "method atlas");
        }
        if options.flow != FlowChoice::Auto && options.method != Method::Flow {
            return only("flow", &options.flow.name(), "method flow");
        }
        match options.frozen {
            Some(count) if !deforms => return only("frozen", &count, "methods atlas and flow"),
            Some(0) => return Err(Error::config("frozen", 0, "must be positive")),
            Some(count) if count.saturating_mul(self.network.dim()) > MAX_NUMBERS => {
                let requirement = "times the parameters must be at most 2^30 numbers";
                return Err(Error::config("frozen", count, requirement));
            }
            _ => {}
        }
        if deforms {
            if options.method == Method::Flow
                && self.network.hidden_params() > 0
                && let Some(particles @ 0..5) = options.particles
            {
                let requirement = "must be at least 5 for a flow, which holds out every fifth";
                return Err(Error::config("particles", particles, requirement));
            }
            let noise_std = observation.has_noise().then_some(1.0);
            self.last_layer::<f32>(1.0, noise_std)?;
        }
        Ok(())
    }

    /// Refuses options that bound or change a walk if the method does not walk.
    fn only_walks(&self) -> Result<()> {
        let options = self.options;
        let text = |value: Option<usize>| value.map(|v| v.to_string());
        let given = [
            ("walk_batch", text(options.walk_batch)),
            ("max_seconds", options.max_seconds.map(|s| s.to_string())),
            ("max_memory", text(options.max_memory)),
            ("adjusted", options.adjusted.then(|| "true".into())),
        ];
        for (field, value) in given {
            if let Some(value) = value {
                let requirement = format!("is for methods that walk, not {}", options.method);
                return Err(Error::config(field, value, &requirement));
            }
        }
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
        let (observation, method) = (self.prepared.observation, self.options.method);
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
        if self.options.method == Method::Map {
            return Ok(Fitted::Map);
        }
        if let Some(groups) = self.groups() {
            return self.sample_scales(groups, keeper, summary);
        }
        let posterior = self.posterior(evidence.prior_precision, evidence.noise_std)?;
        if !self.options.method.walks() {
            return self.baseline(&posterior, evidence, summary);
        }
        let mut op = GgnOperator::new(&posterior, &evidence.map.theta)?;
        let options = TangentOptions::default();
        let space = TangentSpace::new(&mut op, evidence.prior_precision, &options, self.streams)?;
        summary.tangent(&space);
        let walked = self.walk(&posterior, evidence, &space, keeper, summary)?;
        match self.options.method {
            Method::Walk => keeper.points(walked),
            _ => self.deform(&posterior, &walked, evidence, summary),
        }
    }
}
