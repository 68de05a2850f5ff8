//! Fits that sample the scales: each sample has its own prior scales and its own noise.
//!
//! The density is that of a [`ScaledNetwork`]. Its coordinates are standard normal numbers, log
//! scales, and for a real target the log noise, with `noise_std ~ C+(0, 1/2)` in standardised
//! units. The walk is microcanonical, with a separate step size for each walker. It alternates its
//! steps with draws of the scales given the parameters. Walkers start from draws of the prior near
//! its medians, for a real target after a short descent. They do not start at the MAP estimate,
//! where scales are too small.
//!
//! The length of the walk follows from its cost: `6 N P` operations per gradient, and [`WORK`]
//! operations in all.

use rand::RngExt;
use rayon::prelude::*;

use super::checkpoint::Keeper;
use super::fit::Problem;
use super::probe::ScaledProbe;
use super::walk::Way;
use super::{FitReport, KernelOptions, Method, MethodOptions, PriorChoice, WalkSettings};
use crate::artifact::{Fitted, SampledScales, report::Starts};
use crate::error::{Error, Result};
use crate::model::{
    Curved, Noise, Observation, PosteriorDensity, Prior, ScaleGroups, ScaledNetwork,
};
use crate::nn::Network;
use crate::optim::{MapOptions, fit_map};
use crate::rng::Phase;
use crate::scalar::Scalar;
use crate::walk::{
    FrameOptions, GgnFrame, InverseMassMatrix, Microcanonical, MicrocanonicalOptions, Walk,
    WalkOptions,
};

/// Floating-point operations of a whole walk: about ten seconds on two cores.
const WORK: f64 = 1.6e12;

/// Least and most gradients of a walker, if their number is not given.
const GRADIENTS: (f64, f64) = (2_000.0, 40_000.0);

/// Walkers: fewer than in a walk with given scales, because each must go farther.
const WALKERS: usize = 16;

/// Gradients per step of the kernel.
pub(super) const STRETCH: usize = 10;

/// Directions of the frame: the stiffest. More would cost more time than they save.
const DIRECTIONS: usize = 32;

/// Median of the prior of the noise, in standardised units.
const NOISE: f64 = 0.5;

/// Initial noise, and initial `dof - 2` of a Student-t likelihood. A walker that starts with large
/// noise may stay where the noise explains everything.
const NOISE_START: f64 = 0.15;
const TAIL_START: f64 = 8.0;

/// Factor on the prior draw that the heads of a varying noise start from.
const HEAD_START: f64 = 0.05;

/// Steps and learning rate of the descent that follows for a real target.
const DESCENT: usize = 300;
const DESCENT_RATE: f64 = 0.02;

/// Most that log scales may differ from their medians at the start. Walkers that start farther out
/// get stuck: on snelson1d, with last-layer weights fifty times too large.
const SPREAD: f64 = 0.3;

/// Target for the mean squared energy error per dimension.
const TARGET_ERROR: f64 = 1e-4;

/// The descent of a start towards the data.
pub(super) fn descent() -> MapOptions {
    MapOptions {
        steps: DESCENT,
        learning_rate: DESCENT_RATE,
        ..MapOptions::default()
    }
}

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
    fn scaled_network(&self, groups: ScaleGroups) -> ScaledNetwork<'a> {
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

    /// The settings of a walk with sampled scales.
    pub(super) fn scaled_walk_options(&self, settings: &WalkSettings) -> Result<WalkOptions> {
        let particles = settings.particles.unwrap_or(WALKERS);
        let steps = settings.steps.unwrap_or_else(|| {
            let gradient = 6.0 * self.prepared.rows() as f64 * self.network.dim() as f64;
            let each = WORK / (gradient * particles.max(1) as f64);
            (each.clamp(GRADIENTS.0, GRADIENTS.1) / STRETCH as f64) as usize
        });
        let per_particle = settings.samples.div_ceil(particles.max(1));
        let options = WalkOptions {
            particles,
            steps: Some(steps),
            keep: per_particle.min(steps.div_ceil(2)),
            // short enough for budgets and checkpoints, which are handled between blocks
            block: (steps / 100).clamp(1, 50),
            ..WalkOptions::default()
        };
        options.validate()?;
        Ok(options)
    }

    /// Runs a walk, or chains, in the coordinates of a scaled network.
    pub(super) fn sample_scales<T: Scalar>(
        &mut self,
        groups: ScaleGroups,
        keeper: &mut Keeper<'_, T>,
        summary: &mut FitReport,
    ) -> Result<Fitted<T>> {
        let (scaled, own) = (self.scaled_network(groups), self.own());
        let density = self.scaled_density(&scaled)?;
        let x = &self.prepared.x;
        let observation = self.prepared.observation;
        let method = &self.options.method;
        if let MethodOptions::Hmc(chains) | MethodOptions::Nuts(chains) = method {
            let coordinates = Coordinates { scaled, own };
            return self.scaled_chains(chains.samples, &density, &coordinates, summary);
        }
        let Some(walk) = method.walk() else {
            let requirement = "does not sample scales";
            return Err(Error::config("method", self.method(), requirement));
        };
        let KernelOptions::Microcanonical(of_kernel) = &walk.kernel else {
            let coordinates = Coordinates { scaled, own };
            let walked =
                self.along_the_scaled_fiber(walk, &density, &coordinates, keeper, summary)?;
            return self.keep_scaled(groups, walked, keeper, summary);
        };
        let options = self.scaled_walk_options(walk)?;
        // a resumed walk does not need the starts, but its figures must be the same
        let starts = match observation.is_of_classes() {
            true => self.scaled_starts(&scaled, own, options.particles)?,
            false => {
                let starts = self.scaled_starts(&scaled, own, options.particles)?;
                self.descended(&density, starts, summary)?
            }
        };
        let frame = FrameOptions {
            max_directions: DIRECTIONS,
            ..FrameOptions::default()
        };
        let source = GgnFrame::new(&density, &frame, self.streams)?;
        let settings = MicrocanonicalOptions {
            step_size: of_kernel.step_size,
            decoherence_length: of_kernel.decoherence_length,
            adjusted: of_kernel.adjusted,
            own_steps: !of_kernel.adjusted && of_kernel.step_size.is_none(),
            target_error: TARGET_ERROR,
            ..MicrocanonicalOptions::default()
        };
        let mass = InverseMassMatrix::diagonal(density.prior_precision())?;
        let mut kernel = Microcanonical::new(mass, &settings)?;
        let mut way = Way {
            settings: walk,
            keeper,
            summary,
            workspace: density.workspace_bytes(),
            frame: 0,
        };
        // small noise makes the same directions stiff for all walkers; with classes this is not so
        if observation.has_noise() {
            way.frame = source.bytes::<T>(density.product_bytes());
            kernel = kernel.renewed_by(&source);
        }
        if !of_kernel.adjusted {
            kernel = kernel.interwoven_with(&scaled);
        }
        let softmax = observation == Observation::Categorical;
        let probe = ScaledProbe::new(&scaled, own, x, softmax)?;
        let walked = self.walked(&mut kernel, &density, &starts, &options, &probe, &mut way)?;
        let predictions = probe.predictions();
        summary.microcanonical(&walked, &kernel, &settings);
        summary.scaled_walk(&walked);
        summary.convergence(&walked, 1, predictions)?;
        let names = Coordinates { scaled, own }.names();
        summary.sampled_scales(&walked, groups, &names, predictions)?;
        summary.cut_short(&walked, options.most_steps());
        self.keep_scaled(groups, walked, keeper, summary)
    }

    /// Keeps the points, as the method needs them.
    fn keep_scaled<T: Scalar>(
        &mut self,
        groups: ScaleGroups,
        walked: Walk<T>,
        keeper: &mut Keeper<'_, T>,
        summary: &mut FitReport,
    ) -> Result<Fitted<T>> {
        match self.options.method.deforming() {
            None => keeper.points(walked),
            Some(how) => self.deform_scaled(how, groups, walked, summary),
        }
    }

    /// Moves the starts by some steps of Adam: not to a mode, but to where the network explains
    /// the data. All are kept: taking those of least energy made yacht worse (NLL 0.42 instead of
    /// 0.05).
    fn descended<T: Scalar>(
        &self,
        density: &PosteriorDensity<T>,
        starts: Vec<Vec<T>>,
        summary: &mut FitReport,
    ) -> Result<Vec<Vec<T>>> {
        let options = descent();
        let reports = starts
            .into_par_iter()
            .map(|start| fit_map(density, start, &options, |_| ()))
            .collect::<Result<Vec<_>>>()?;
        let gradients: usize = reports.iter().map(|r| r.gradients).sum();
        let energies = Vec::new();
        summary.starts = Some(Starts {
            energies,
            gradients,
        });
        Ok(reports.into_iter().map(|r| r.theta).collect())
    }

    /// The density over standard normal numbers, log scales and likelihood parameters.
    pub(super) fn scaled_density<T: Scalar>(
        &self,
        scaled: &ScaledNetwork<'_>,
    ) -> Result<PosteriorDensity<T>> {
        self.density_of(scaled, &scaled.prior())
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
