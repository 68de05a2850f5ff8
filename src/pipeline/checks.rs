//! Checks of settings that contradict each other, before anything takes time.

use super::chains::CHAINS;
use super::context::{MAX_NUMBERS, Problem};
use super::options::Deforming;
use super::{FlowChoice, KernelKind, Method, MethodOptions, PriorChoice};
use crate::baselines::{ChainOptions, SgldOptions, check_seconds};
use crate::error::{Error, Result, counted};
use crate::memory;
use crate::model::Observation;
use crate::walk::WalkOptions;

/// Most kinetic layers of a flow.
const MAX_LAYERS: usize = 100_000;

/// Most parameters for which a full covariance is computed: half a gigabyte.
const MAX_DENSE: usize = 8_192;

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
        self.check_bracket(settings)?;
        let walk = match self.groups() {
            Some(_) if kernel == KernelKind::Microcanonical => {
                self.scaled_walk_options(settings)?
            }
            _ => self.walk_options(settings)?,
        };
        self.check_room(&walk)?;
        match options.method.deforming() {
            Some(how) => self.check_deformation(how),
            None => Ok(()),
        }
    }

    /// Refuses more particles or points than numbers that are allowed, or than memory has room for.
    fn check_room(&self, walk: &WalkOptions) -> Result<()> {
        let dim = self.network.dim();
        let particles = walk.particles;
        if particles.saturating_mul(dim) > MAX_NUMBERS {
            let requirement = format!(
                "times {} must be at most 2^30 numbers",
                counted(dim, "parameter")
            );
            return Err(Error::config("particles", particles, &requirement));
        }
        // position, momentum, gradient and the estimates of a particle, and its bookkeeping
        let needed = memory::bytes(particles, 1_024 + 8 * dim * size_of::<f32>());
        memory::check("particles", particles, needed)?;
        let points = particles.saturating_mul(walk.keep);
        if points.saturating_mul(dim) > MAX_NUMBERS {
            let value = format!(
                "{} of {}",
                counted(points, "point"),
                counted(dim, "parameter")
            );
            return Err(Error::config(
                "samples",
                value,
                "must be at most 2^30 numbers",
            ));
        }
        let needed = memory::bytes(points, dim * size_of::<f32>());
        memory::check("samples", points, needed)
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
            && let Some(layers) = flow.layers
        {
            if flow.flow == FlowChoice::Latent && layers > 0 {
                let requirement = "is for flows with a density, and a latent model has none";
                return Err(Error::config("layers", layers, requirement));
            }
            if layers > MAX_LAYERS {
                let requirement = format!("must be at most {MAX_LAYERS}");
                return Err(Error::config("layers", layers, &requirement));
            }
            if self.network.hidden_params() == 0 && layers > 0 {
                let requirement = "are for hidden layers: a linear model is its own conditional";
                return Err(Error::config("layers", layers, requirement));
            }
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

    /// Refuses options that do not go with sampled scales.
    pub(super) fn check_prior(&self) -> Result<()> {
        let options = self.options;
        if matches!(options.prior, PriorChoice::Auto) {
            return Ok(());
        }
        let wrong = |field, value: &dyn std::fmt::Display, requirement: &str| {
            Err(Error::config(field, value, requirement))
        };
        let prior = options.prior.name();
        if let Some(alpha) = options.prior_precision {
            let requirement = format!("is one number for all parameters, and the prior is {prior}");
            return wrong("prior_precision", &alpha, &requirement);
        }
        if options.prior == PriorChoice::Evidence {
            return Ok(());
        }
        let (method, what) = (self.method(), format!("does not go with the prior {prior}"));
        let chains = matches!(method, Method::Hmc | Method::Nuts);
        if !method.walks() && !chains && method != Method::Map {
            let requirement =
                format!("goes with methods map, walk, atlas, flow, hmc and nuts, not {method}");
            return wrong("prior", &prior, &requirement);
        }
        if let Some(walk) = options.method.walk() {
            let kernel = walk.kernel.microcanonical();
            if let Some(rows) = kernel.and_then(|kernel| kernel.walk_batch) {
                return wrong("walk_batch", &rows, &what);
            }
            if walk.starts > 1 {
                let requirement = format!("{what}: its walkers start from draws of the prior");
                return wrong("starts", &walk.starts, &requirement);
            }
        }
        if let Some(rows) = self.batch_rows() {
            return wrong("batch", &rows, &what);
        }
        Ok(())
    }

    /// Refuses what a baseline cannot do before anything takes time.
    pub(super) fn check_baseline(&self) -> Result<()> {
        let (method, dim) = (self.method(), self.network.dim());
        let dense = matches!(
            method,
            Method::Laplace | Method::LaplaceGlm | Method::Riemann
        );
        if dense && dim > MAX_DENSE {
            let requirement = format!(
                "needs the covariance of all {}, at most {MAX_DENSE}; laplace-kfac does not",
                counted(dim, "parameter")
            );
            return Err(Error::config("method", method, &requirement));
        }
        let side = match method {
            Method::LaplaceLast => dim - self.network.hidden_params(),
            // the larger factor of a layer
            Method::LaplaceKfac => {
                let tensors = self.network.layout().tensors().iter();
                let sides = tensors.map(|t| {
                    let numbers: usize = t.shape.iter().product();
                    let first = t.shape.first().copied().unwrap_or(1).max(1);
                    first.max(numbers / first)
                });
                sides.max().unwrap_or(0)
            }
            _ => 0,
        };
        if side > MAX_DENSE {
            let requirement = format!(
                "needs a matrix of order {side}, at most {MAX_DENSE}; laplace-diag does not"
            );
            return Err(Error::config("method", method, &requirement));
        }
        if method == Method::Dropout && self.network.hidden_params() == 0 {
            let requirement = "needs a network with hidden units";
            return Err(Error::config("method", method, requirement));
        }
        if let MethodOptions::Hmc(chains)
        | MethodOptions::Nuts(chains)
        | MethodOptions::Sgld(chains) = &self.options.method
        {
            check_seconds(chains.max_seconds)?;
        }
        let Some(samples) = self.options.method.samples() else {
            return Ok(());
        };
        let most = match method {
            Method::Hmc | Method::Nuts => CHAINS * ChainOptions::default().draws,
            Method::Sgld => {
                let options = SgldOptions::default();
                CHAINS * (options.steps - options.burn_in)
            }
            _ => MAX_NUMBERS / dim.max(1),
        };
        let most = most.min(MAX_NUMBERS / dim.max(1));
        if !(1..=most).contains(&samples) {
            let requirement = format!(
                "must be in 1..={most} for method {method} and {}",
                counted(dim, "parameter")
            );
            return Err(Error::config("samples", samples, &requirement));
        }
        // the draws, and what is made of them before they are written
        let row = 3 * size_of::<f32>() * dim + 64;
        memory::check("samples", samples, memory::bytes(samples, row))
    }
}
