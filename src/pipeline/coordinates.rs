//! The coordinates of fits that sample the scales, the density over them, and points to start from.
//!
//! They are those of a [`ScaledNetwork`]: standard normal numbers, log scales, and for a real
//! target the log noise, with `noise_std ~ C+(0, 1/2)` in standardised units.

use rand::RngExt;

use super::context::Problem;
use super::{Method, PriorChoice};
use crate::artifact::SampledScales;
use crate::error::Result;
use crate::model::{Noise, Observation, PosteriorDensity, Prior, ScaleGroups, ScaledNetwork};
use crate::nn::Network;
use crate::rng::Phase;
use crate::scalar::Scalar;

/// Median of the prior of the noise, in standardised units.
pub(super) const NOISE: f64 = 0.5;

/// Initial noise, and initial `dof - 2` of a Student-t likelihood. A walker that starts with large
/// noise may stay where the noise explains everything.
const NOISE_START: f64 = 0.15;
const TAIL_START: f64 = 8.0;

/// Factor on the prior draw that the heads of a varying noise start from.
const HEAD_START: f64 = 0.05;

/// Most that log scales may differ from their medians at the start. Walkers that start farther out
/// get stuck: on snelson1d, with last-layer weights fifty times too large.
const SPREAD: f64 = 0.3;

/// Starts the noise heads near zero. A draw of the prior may give some rows a noise that is too
/// small by orders of magnitude, and a walker that starts there does not get out.
fn quiet_heads(network: &dyn Network, phi: &mut [f64]) {
    for tensor in network.layout().tensors().iter().rev().take(2) {
        // the second of two outputs: every other weight and bias
        let heads = phi[tensor.range.clone()].iter_mut().skip(1).step_by(2);
        heads.for_each(|z| *z *= HEAD_START);
    }
}

/// The coordinates of a walk that samples scales, and the form in which its points are kept.
pub(super) struct Coordinates<'a> {
    pub scaled: ScaledNetwork<'a>,
    /// Number of likelihood parameters, which follow the network's coordinates.
    pub own: usize,
}

impl Coordinates<'_> {
    /// Values per point.
    pub fn width(&self) -> usize {
        self.scaled.dim() + self.own
    }

    /// A name for each log scale and each likelihood parameter.
    pub fn names(&self) -> Vec<String> {
        let mut names = self.scaled.scale_names();
        let of_noise = ["noise_std", "dof_less_2"];
        names.extend(of_noise[..self.own].iter().map(|name| (*name).into()));
        names
    }

    /// Points `[n, width]` with parameters in place of the standard normal numbers.
    pub fn stored<T: Scalar>(&self, points: &[T]) -> Result<Vec<T>> {
        let (width, params) = (self.width(), self.scaled.inner().dim());
        let mut stored = points.to_vec();
        for (phi, row) in points
            .chunks_exact(width)
            .zip(stored.chunks_exact_mut(width))
        {
            self.scaled.theta(phi, &mut row[..params])?;
        }
        Ok(stored)
    }
}

impl<'a> Problem<'a> {
    /// The coordinates, if scales are sampled.
    pub(super) fn coordinates(&self) -> Option<Coordinates<'a>> {
        let groups = self.groups()?;
        Some(Coordinates {
            scaled: self.scaled_network(groups),
            own: self.own(),
        })
    }

    /// The network with its scales. An output that means noise has a separate scale.
    pub(super) fn scaled_network(&self, groups: ScaleGroups) -> ScaledNetwork<'a> {
        let network: &'a dyn Network = self.network;
        match self.prepared.observation {
            Observation::Heteroscedastic => ScaledNetwork::with_scale_per_output(network, groups),
            _ => ScaledNetwork::new(network, groups),
        }
    }
}

impl Problem<'_> {
    fn samples_noise(&self) -> bool {
        self.prepared.observation.has_noise() && self.options.noise_std.is_none()
    }

    /// Number of likelihood parameters that are sampled.
    pub(super) fn own(&self) -> usize {
        let own = self.prepared.observation.own();
        if self.samples_noise() { own } else { 0 }
    }

    /// How scales are grouped, if they are sampled.
    pub(super) fn groups(&self) -> Option<ScaleGroups> {
        let options = self.options;
        if self.own.is_some() {
            return None;
        }
        match options.prior {
            PriorChoice::Hierarchical => Some(ScaleGroups::PerTensor),
            PriorChoice::Ard => Some(ScaleGroups::Ard),
            PriorChoice::Shared => Some(ScaleGroups::Shared),
            PriorChoice::Evidence => None,
            PriorChoice::Auto => {
                let (rows, dim) = (self.prepared.rows(), self.network.dim());
                let groups = match self.prepared.observation.is_of_classes() {
                    true => ScaleGroups::Ard,
                    false => ScaleGroups::PerTensor,
                };
                options.walks_plainly(rows, dim).then_some(groups)
            }
        }
    }

    /// The model file's description of the sampled scales.
    pub(super) fn sampled_scales(&self) -> Option<SampledScales> {
        let coordinates = self.coordinates()?;
        if self.method() == Method::Map {
            return None;
        }
        Some(SampledScales {
            groups: self.groups()?.name().into(),
            names: coordinates.scaled.scale_names(),
            noise_std: coordinates.own > 0,
            dof: coordinates.own > 1,
        })
    }

    /// The density over standard normal numbers, log scales and likelihood parameters.
    pub(super) fn scaled_density<T: Scalar>(
        &self,
        scaled: &ScaledNetwork<'_>,
    ) -> Result<PosteriorDensity<T>> {
        let make = || self.density_of(scaled, &scaled.prior());
        self.densities.scaled.get(make)
    }

    /// The density of a network whose coordinates include scales. The options set the noise.
    pub(super) fn density_of<T: Scalar>(
        &self,
        network: &dyn Network,
        prior: &dyn Prior,
    ) -> Result<PosteriorDensity<T>> {
        let prepared = &self.prepared;
        let noise = match self.options.noise_std {
            Some(std) => Noise::Given(std),
            None => Noise::Sampled { scale: NOISE },
        };
        let likelihood = prepared.observation.likelihood(noise, prepared.base_rate)?;
        let (x, y) = (&prepared.x, &prepared.y);
        PosteriorDensity::new(network, likelihood.as_ref(), prior, x, y)
    }

    /// A start for each of `count` walkers: a draw of the prior with log scales near their medians.
    pub(super) fn scaled_starts<T: Scalar>(
        &self,
        scaled: &ScaledNetwork<'_>,
        own: usize,
        count: usize,
    ) -> Result<Vec<Vec<T>>> {
        let (prior, params) = (scaled.prior(), scaled.inner().dim());
        let medians: Vec<f64> = scaled.init_scales();
        let one = |index: usize| {
            let mut rng = self.streams.rng(Phase::PRIOR, index as u64);
            let mut phi = prior.draw(&mut rng)?;
            if self.prepared.observation == Observation::Heteroscedastic {
                quiet_heads(scaled.inner(), &mut phi);
            }
            for (t, median) in phi[params..].iter_mut().zip(&medians) {
                *t = median + (*t - median).clamp(-SPREAD, SPREAD);
            }
            for start in [NOISE_START, TAIL_START].iter().take(own) {
                phi.push(start.ln() + rng.random_range(-0.5..0.5));
            }
            Ok(phi.into_iter().map(T::from_f64).collect())
        };
        (0..count).map(one).collect()
    }
}
