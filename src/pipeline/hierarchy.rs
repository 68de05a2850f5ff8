//! Fits that sample the scales: each sample has its own prior scales and its own noise.
//!
//! The density and its coordinates are in `coordinates`. The walk is microcanonical, with a
//! separate step size for each walker. It alternates its steps with draws of the scales given the
//! parameters. Walkers start from draws of the prior near its medians, for a real target after a
//! short descent. They do not start at the MAP estimate, where scales are too small.
//!
//! The length of the walk follows from its cost: `6 N P` operations per gradient, and [`WORK`]
//! operations in all.

use super::checkpoint::Keeper;
use super::context::Problem;
use super::coordinates::Coordinates;
use super::probe::ScaledProbe;
use super::progress::Steps;
use super::walk::{Way, check_kept};
use super::{FitReport, MicrocanonicalSettings, Stage, WalkSettings};
use crate::artifact::report::Starts;
use crate::error::Result;
use crate::model::{Curved, Observation, PosteriorDensity, ScaleGroups};
use crate::optim::{MapOptions, fit_map};
use crate::parallel;
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
pub(super) const DIRECTIONS: usize = 32;

/// Steps and learning rate of the descent that follows for a real target.
const DESCENT: usize = 300;
const DESCENT_RATE: f64 = 0.02;

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

impl Problem<'_> {
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

    /// Runs a microcanonical walk in the coordinates of a scaled network.
    pub(super) fn scaled_walk<T: Scalar>(
        &self,
        (walk, of_kernel): (&WalkSettings, &MicrocanonicalSettings),
        density: &PosteriorDensity<T>,
        coordinates: &Coordinates<'_>,
        groups: ScaleGroups,
        keeper: &mut Keeper<'_, T>,
        summary: &mut FitReport,
    ) -> Result<Walk<T>> {
        let (scaled, own) = (&coordinates.scaled, coordinates.own);
        let x = &self.prepared.x;
        let observation = self.prepared.observation;
        let options = self.scaled_walk_options(walk)?;
        // a resumed walk does not need the starts, but its figures must be the same
        let starts = self.scaled_starts(scaled, own, options.particles)?;
        let starts = match observation.is_of_classes() {
            true => starts,
            false => self.descended(density, &starts, summary)?,
        };
        let frame = FrameOptions {
            max_directions: DIRECTIONS,
            ..FrameOptions::default()
        };
        let source = GgnFrame::new(density, &frame, self.streams)?;
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
            kernel = kernel.interwoven_with(scaled);
        }
        let softmax = observation == Observation::Categorical;
        let probe = ScaledProbe::new(scaled, own, x, softmax)?;
        let walked = self.walked(&mut kernel, density, &starts, &options, &probe, &mut way)?;
        check_kept(&walked, of_kernel)?;
        let predictions = probe.predictions();
        summary.microcanonical(&walked, &kernel, &settings);
        summary.scaled_walk(&walked);
        summary.convergence(&walked, 1, predictions)?;
        summary.sampled_scales(&walked, groups, &coordinates.names(), predictions)?;
        summary.cut_short(&walked, options.most_steps());
        Ok(walked)
    }

    /// Moves the starts by some steps of Adam: not to a mode, but to where the network explains
    /// the data. All are kept: taking those of least energy made yacht worse (NLL 0.42 instead of
    /// 0.05).
    fn descended<T: Scalar>(
        &self,
        density: &PosteriorDensity<T>,
        starts: &[Vec<T>],
        summary: &mut FitReport,
    ) -> Result<Vec<Vec<T>>> {
        let options = descent();
        let steps = Steps::new(self.progress, Stage::Starts, starts.len() * options.steps);
        let reports = parallel::try_map(starts.len(), |i| {
            fit_map(density, starts[i].clone(), &options, |_| steps.step())
        })?;
        let gradients: usize = reports.iter().map(|r| r.gradients).sum();
        let energies = Vec::new();
        summary.starts = Some(Starts {
            energies,
            gradients,
        });
        Ok(reports.into_iter().map(|r| r.theta).collect())
    }
}
