//! The problem that is fitted, as every stage sees it: data, network, options, and its densities.

use super::densities::Densities;
use super::prepare::Prepared;
use super::{FitOptions, Method, Progress};
use crate::artifact::{Files, own_last_layer};
use crate::deform::LastLayer;
use crate::error::Result;
use crate::model::{
    IsotropicGaussian, Likelihood, Minibatch, Model, Noise, PosteriorDensity, Prior,
};
use crate::nn::LinearHead;
use crate::rng::{Phase, Streams};
use crate::scalar::Scalar;

/// Most values that the points of a walk may hold.
pub(super) const MAX_NUMBERS: usize = 1 << 30;

pub(super) struct Problem<'a> {
    /// Where the files of the walk are.
    pub files: &'a Files,
    pub options: &'a FitOptions,
    /// The user's model, if there is one.
    pub own: Option<&'a Model>,
    pub network: &'a dyn LinearHead,
    pub prepared: Prepared,
    pub streams: Streams,
    pub progress: &'a dyn Progress,
    pub densities: Densities,
}

impl Problem<'_> {
    /// The method, without its settings.
    pub(super) fn method(&self) -> Method {
        self.options.method.method()
    }

    /// Parameters of a point: those of the network and of a user's likelihood.
    pub(super) fn dim(&self) -> usize {
        self.network.dim() + self.own.map_or(0, Model::own_params)
    }

    /// The density with these scales. It is compiled at the first call only. A user's model keeps
    /// its own scales.
    pub(super) fn posterior<T: Scalar>(
        &self,
        prior_precision: f64,
        noise_std: Option<f64>,
    ) -> Result<PosteriorDensity<T>> {
        let density = self.densities.plain.get(|| {
            let prior = self.prior(prior_precision)?;
            let (network, x, y) = (self.network, &self.prepared.x, &self.prepared.y);
            let likelihood = self.likelihood(noise_std)?;
            PosteriorDensity::new(network, likelihood.as_ref(), prior.get(), x, y)
        })?;
        match self.own {
            Some(_) => Ok(density),
            None => density.with_scales(prior_precision, self.noise(noise_std)),
        }
    }

    /// The given noise, if the likelihood has one.
    fn noise(&self, noise_std: Option<f64>) -> Option<f64> {
        let has_noise = self.prepared.observation.has_noise();
        has_noise.then(|| noise_std.unwrap_or(1.0))
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
        let noise = Noise::Given(self.noise(noise_std).unwrap_or(1.0));
        self.prepared.likelihood(noise, self.network.output_dim())
    }

    /// The last layer given the rest.
    pub(super) fn last_layer<T: Scalar>(
        &self,
        prior_precision: f64,
        noise_std: Option<f64>,
    ) -> Result<LastLayer<T>> {
        let (x, y) = (&self.prepared.x, &self.prepared.y);
        if let Some(model) = self.own {
            return own_last_layer(model, x, y);
        }
        let likelihood = self.likelihood(noise_std)?;
        LastLayer::new(self.network, likelihood.as_ref(), prior_precision, x, y)
    }

    /// The same density, to be evaluated on batches.
    pub(super) fn minibatch<T: Scalar>(
        &self,
        prior_precision: f64,
        noise_std: Option<f64>,
    ) -> Result<Minibatch<T>> {
        let density = self.densities.batched.get(|| {
            let prior = self.prior(prior_precision)?;
            let (network, x, y) = (self.network, &self.prepared.x, &self.prepared.y);
            let likelihood = self.likelihood(noise_std)?;
            Minibatch::new(network, likelihood.as_ref(), prior.get(), x, y)
        })?;
        match self.own {
            Some(_) => Ok(density),
            None => density.with_scales(prior_precision, self.noise(noise_std)),
        }
    }

    /// Initial parameters with number `index`.
    pub(super) fn initial<T: Scalar>(&self, index: u64) -> Vec<T> {
        let mut start = self.network.init(&mut self.streams.rng(Phase::INIT, index));
        start.extend(self.initial_of_likelihood());
        start.into_iter().map(T::from_f64).collect()
    }

    /// Initial parameters of a user's likelihood, which follow the network's.
    pub(super) fn initial_of_likelihood(&self) -> Vec<f64> {
        let init = |model: &Model| {
            let params = model.likelihood().params(self.network.output_dim());
            params.init()
        };
        self.own.map_or_else(Vec::new, init)
    }
}

/// The prior of a fit: the model's, or an isotropic one with a given precision.
pub(super) enum PriorOf<'a> {
    /// The prior of a user's model.
    Own(&'a dyn Prior),
    /// Built-in.
    Isotropic(IsotropicGaussian),
}

impl PriorOf<'_> {
    pub(super) fn get(&self) -> &dyn Prior {
        match self {
            PriorOf::Own(prior) => *prior,
            PriorOf::Isotropic(prior) => prior,
        }
    }
}
