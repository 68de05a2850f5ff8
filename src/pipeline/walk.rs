//! The walk of a fit.

use rayon::prelude::*;

use super::fit::Problem;
use super::probe::Probe;
use super::{KernelKind, Stage, Summary};
use crate::curvature::{EvidenceReport, TangentSpace};
use crate::error::{Error, Result};
use crate::model::Posterior;
use crate::optim::{MapOptions, fit_map};
use crate::rng::Phase;
use crate::scalar::Scalar;
use crate::walk::{
    Drift, DriftOptions, FrameOptions, FrameSource, GgnFrame, Kernel, Microcanonical,
    MicrocanonicalOptions, Run, Walk, WalkOptions, viability_threshold,
};

impl Problem<'_> {
    /// The settings of the walk. A short one keeps fewer points than were asked for.
    pub(super) fn walk_options(&self) -> Result<WalkOptions> {
        let options = self.options;
        let steps = match (options.steps, options.kernel()) {
            (None, KernelKind::Drift) => Some(DriftOptions::DEFAULT_STEPS),
            (steps, _) => steps,
        };
        let per_particle = options.samples.div_ceil(options.particles.max(1));
        let defaults = WalkOptions::default();
        let half = steps.unwrap_or(defaults.max_steps).div_ceil(2);
        let options = WalkOptions {
            particles: options.particles,
            steps,
            keep: per_particle.min(half),
            ..defaults
        };
        options.validate()?;
        let starts = self.options.starts;
        if starts == 0 || starts > options.particles {
            let requirement = format!("must be in 1..={}, the particles", options.particles);
            return Err(Error::config("starts", starts, &requirement));
        }
        Ok(options)
    }

    pub(super) fn walk<T: Scalar>(
        &self,
        posterior: &Posterior<T>,
        evidence: &EvidenceReport<T>,
        space: &TangentSpace<T>,
        summary: &mut Summary,
    ) -> Result<Walk<T>> {
        let (dim, alpha) = (self.network.dim(), evidence.prior_precision);
        let options = self.walk_options()?;
        let max_energy = viability_threshold(evidence.map.energy, dim);
        let starts = self.starts(posterior, evidence, summary)?;
        let walked = match self.options.kernel() {
            KernelKind::Drift => {
                let largest = space.values().first().copied().unwrap_or(0.0);
                let steps = options.steps.unwrap_or(DriftOptions::DEFAULT_STEPS);
                let drift = DriftOptions::scaled(dim, alpha, largest, steps, max_energy);
                let mut kernel = Drift::new(drift)?;
                let walked = self.walked(&mut kernel, posterior, &starts, &options)?;
                summary.drift(&walked, kernel.options());
                walked
            }
            KernelKind::Microcanonical => {
                let source = GgnFrame::new(posterior, &FrameOptions::default(), self.streams)?;
                let points: Vec<&[T]> = starts.iter().map(Vec::as_slice).collect();
                let settings = MicrocanonicalOptions {
                    step_size: self.options.step_size,
                    decoherence_length: self.options.decoherence_length,
                    adjusted: self.options.adjusted,
                    ..MicrocanonicalOptions::default()
                };
                let frame = source.frame(&points, None)?;
                let mut kernel = Microcanonical::new(frame, &settings)?.renewed_by(&source);
                let walked = self.walked(&mut kernel, posterior, &starts, &options)?;
                summary.microcanonical(&walked, &kernel, &settings);
                walked
            }
        };
        if walked.is_empty() {
            return Err(Error::NoConvergence {
                what: "walk: no viable point was left to keep",
                iterations: walked.steps,
                residual: f64::NAN,
                tolerance: max_energy,
            });
        }
        summary.walk(&walked, (dim as f64 / alpha).sqrt());
        Ok(walked)
    }

    /// The MAP estimate, and others from other initial parameters if more than one start is asked for.
    fn starts<T: Scalar>(
        &self,
        posterior: &Posterior<T>,
        evidence: &EvidenceReport<T>,
        summary: &mut Summary,
    ) -> Result<Vec<Vec<T>>> {
        let others = (1..self.options.starts)
            .into_par_iter()
            .map(|index| {
                let mut rng = self.streams.rng(Phase::INIT, index as u64);
                let theta = self.network.init(&mut rng).into_iter().map(T::from_f64);
                fit_map(posterior, theta.collect(), &MapOptions::default(), |_| ())
            })
            .collect::<Result<Vec<_>>>()?;
        summary.starts(&others);
        let mut starts = vec![evidence.map.theta.clone()];
        starts.extend(others.into_iter().map(|map| map.theta));
        Ok(starts)
    }

    fn walked<T: Scalar, K: Kernel<T, Posterior<T>>>(
        &self,
        kernel: &mut K,
        posterior: &Posterior<T>,
        starts: &[Vec<T>],
        options: &WalkOptions,
    ) -> Result<Walk<T>> {
        let classes = self.prepared.target.is_none();
        let probe = Probe::new(self.network.as_ref(), &self.prepared.x, classes)?;
        let mut run = Run::new(kernel, posterior, starts, options, self.streams)?;
        while run.advance(kernel, posterior, &probe)? {
            (self.progress)(Stage::Walk, run.steps(), run.at_most());
        }
        Ok(run.finish())
    }
}
