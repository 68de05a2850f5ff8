//! Checks of settings that contradict each other, before anything takes time.

use super::context::{MAX_NUMBERS, Problem};
use super::{FlowChoice, KernelKind, Method};
use crate::error::{Error, Result, counted};
use crate::model::Observation;

impl Problem<'_> {
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
}
