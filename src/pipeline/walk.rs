//! The walk of a fit.

use super::budget::Budget;
use super::checkpoint::Keeper;
use super::context::Problem;
use super::probe::Probe;
use super::{FitReport, KernelKind, KernelOptions, MicrocanonicalSettings, Stage, WalkSettings};
use crate::curvature::{EvidenceReport, TangentOptions, TangentSpace};
use crate::error::{Error, Result};
use crate::model::{Curved, LogDensity, Minibatch, Observation, PosteriorDensity};
use crate::parallel;
use crate::scalar::Scalar;
use crate::walk::{
    Batched, Drift, DriftOptions, FrameOptions, FrameSource, GgnFrame, InverseMassMatrix, Kernel,
    Microcanonical, MicrocanonicalOptions, Observable, Run, Tangent, TangentWalkOptions, Walk,
    WalkOptions, viability_threshold, whitened_space,
};

/// The context of a walk: settings, files, report, and memory.
pub(super) struct Way<'k, 'a, T> {
    pub settings: &'k WalkSettings,
    pub keeper: &'k mut Keeper<'a, T>,
    pub summary: &'k mut FitReport,
    /// Bytes of memory for a gradient.
    pub workspace: usize,
    /// Bytes of the frames, and of the memory to compute them.
    pub frame: usize,
}

/// The fiber that a walk follows.
pub(super) struct Along<'a, T> {
    pub density: &'a PosteriorDensity<T>,
    pub starts: &'a [Vec<T>],
    /// `U` at the first start, which is a mode.
    pub energy: f64,
    /// Precision of the prior.
    pub alpha: f64,
    /// The tangent space at the first start.
    pub space: &'a TangentSpace<T>,
    pub probe: &'a dyn Observable<T>,
}

impl Problem<'_> {
    /// The settings of the walk. A short walk keeps fewer points than were asked for.
    pub(super) fn walk_options(&self, settings: &WalkSettings) -> Result<WalkOptions> {
        let steps = match (settings.steps, settings.kernel.kind()) {
            (None, KernelKind::Drift) => Some(DriftOptions::DEFAULT_STEPS),
            (None, KernelKind::Tangent) => Some(TangentWalkOptions::DEFAULT_STEPS),
            (steps, _) => steps,
        };
        let defaults = WalkOptions::default();
        let particles = settings.particles.unwrap_or(defaults.particles);
        let per_particle = settings.samples.div_ceil(particles.max(1));
        let half = steps.unwrap_or(defaults.max_steps).div_ceil(2);
        let options = WalkOptions {
            particles,
            steps,
            keep: per_particle.min(half),
            ..defaults
        };
        options.validate()?;
        let starts = settings.starts;
        if starts == 0 || starts > options.particles {
            let requirement = format!("must be in 1..={}, the particles", options.particles);
            return Err(Error::config("starts", starts, &requirement));
        }
        Ok(options)
    }

    /// Refuses batches for a Metropolis test, which needs exact energies, and more rows than there
    /// are.
    pub(super) fn check_walk_batch(&self, settings: &WalkSettings) -> Result<()> {
        let n = self.prepared.rows();
        let Some(kernel) = settings.kernel.microcanonical() else {
            return Ok(());
        };
        let Some(rows) = kernel.walk_batch else {
            return Ok(());
        };
        let requirement = if kernel.adjusted {
            "is for the microcanonical kernel without a Metropolis test".into()
        } else if rows == 0 || rows > n {
            format!("must be in 1..={n}, the rows")
        } else {
            return Ok(());
        };
        Err(Error::config("walk_batch", rows, &requirement))
    }

    /// The walk, and the coordinates of its kernel if it has any.
    pub(super) fn walk<T: Scalar>(
        &self,
        settings: &WalkSettings,
        posterior: &PosteriorDensity<T>,
        evidence: &EvidenceReport<T>,
        space: &TangentSpace<T>,
        keeper: &mut Keeper<'_, T>,
        summary: &mut FitReport,
    ) -> Result<(Walk<T>, Option<InverseMassMatrix<T>>)> {
        let (dim, alpha) = (self.network.dim(), evidence.prior_precision);
        let options = self.walk_options(settings)?;
        let starts = self.starts(settings.starts, posterior, evidence, keeper, summary)?;
        let classes = self.prepared.observation == Observation::Categorical;
        let probe = Probe::new(self.network, &self.prepared.x, classes)?;
        let mut way = Way {
            settings,
            keeper,
            summary,
            workspace: posterior.workspace_bytes(),
            frame: size_of_val(space.basis()),
        };
        let mut mass = None;
        let walked = match &settings.kernel {
            KernelOptions::Drift | KernelOptions::Tangent => {
                let along = Along {
                    density: posterior,
                    starts: &starts,
                    energy: evidence.map.energy,
                    alpha,
                    space,
                    probe: &probe,
                };
                self.along_the_fiber(&along, &options, &mut way)?
            }
            KernelOptions::Microcanonical(of_kernel) => {
                let source = GgnFrame::new(posterior, &FrameOptions::default(), self.streams)?;
                let points: Vec<&[T]> = starts.iter().map(Vec::as_slice).collect();
                let settings = MicrocanonicalOptions {
                    step_size: of_kernel.step_size,
                    decoherence_length: of_kernel.decoherence_length,
                    adjusted: of_kernel.adjusted,
                    ..MicrocanonicalOptions::default()
                };
                let known = if starts.len() > 1 {
                    None
                } else {
                    source.known(&space.whitened())?
                };
                let frame = match known {
                    // the checkpoint holds the frame
                    _ if way.keeper.resumes() => {
                        InverseMassMatrix::diagonal(posterior.prior_precision())?
                    }
                    Some(frame) => frame,
                    // at most half as many gradients as the first twenty steps take
                    None => source.frame(&points, Some(10 * options.particles))?,
                };
                let mut kernel = Microcanonical::new(frame, &settings)?.renewed_by(&source);
                way.frame += source.bytes::<T>(posterior.product_bytes());
                let walked = match of_kernel.walk_batch {
                    None => {
                        self.walked(&mut kernel, posterior, &starts, &options, &probe, &mut way)?
                    }
                    Some(rows) => {
                        let data = self.minibatch(alpha, evidence.noise_std)?;
                        // a gradient for each of the shards that are computed at once
                        let shards = rows.div_ceil(Minibatch::<T>::SHARD_ROWS).min(16);
                        way.workspace = shards * dim * size_of::<T>() + posterior.workspace_bytes();
                        way.summary.batched(rows, self.prepared.rows());
                        let mut batched = Batched::new(kernel, &data, rows)?;
                        let walked =
                            self.walked(&mut batched, &data, &starts, &options, &probe, &mut way)?;
                        kernel = batched.into_inner();
                        walked
                    }
                };
                check_kept(&walked, of_kernel)?;
                way.summary.microcanonical(&walked, &kernel, &settings);
                mass = Some(kernel.inverse_mass().clone());
                walked
            }
        };
        summary.walk(&walked, (dim as f64 / alpha).sqrt());
        summary.convergence(&walked, starts.len(), walked.trace.len)?;
        summary.cut_short(&walked, options.most_steps());
        Ok((walked, mass))
    }

    /// Runs a walk with a kernel that stays near the fiber of a mode.
    pub(super) fn along_the_fiber<T: Scalar>(
        &self,
        along: &Along<'_, T>,
        options: &WalkOptions,
        way: &mut Way<'_, '_, T>,
    ) -> Result<Walk<T>> {
        let (density, starts, space) = (along.density, along.starts, along.space);
        let dim = density.dim();
        let max_energy = viability_threshold(along.energy, dim);
        let walked = if way.settings.kernel.kind() == KernelKind::Drift {
            let free = dim as f64 - space.effective_dimension();
            let largest = space.values().first().copied().unwrap_or(0.0);
            let steps = options.steps.unwrap_or(DriftOptions::DEFAULT_STEPS);
            let drift = DriftOptions::scaled(free, along.alpha, largest, steps, max_energy);
            let mut kernel = Drift::new(drift)?;
            let walked = self.walked(&mut kernel, density, starts, options, along.probe, way)?;
            way.summary.drift(kernel.options());
            walked
        } else {
            let how = TangentOptions::default();
            // the space of the first start is known
            let known = parallel::try_map(starts.len(), |i| {
                let space = match i {
                    0 => space.whitened(),
                    _ => whitened_space(density, &starts[i], None, &how, self.streams)?,
                };
                Ok((starts[i].clone(), space))
            })?;
            let steps = options.steps.unwrap_or(TangentWalkOptions::DEFAULT_STEPS);
            let settings = TangentWalkOptions::scaled(space, &how, steps, max_energy);
            // a separate space for every start
            let sizes = known.iter().map(|k| size_of_val(k.1.basis()));
            way.frame += sizes.sum::<usize>();
            let mut kernel = Tangent::new(settings, known, self.streams)?;
            let walked = self.walked(&mut kernel, density, starts, options, along.probe, way)?;
            way.summary.tangent_walk(kernel.options());
            walked
        };
        if walked.is_empty() {
            let advice = "more --steps make each of them shorter; or take --kernel microcanonical";
            return Err(lost(&walked, advice));
        }
        Ok(walked)
    }

    /// The MAP estimate, and estimates from other initial parameters if several starts are asked
    /// for.
    fn starts<T: Scalar>(
        &self,
        count: usize,
        posterior: &PosteriorDensity<T>,
        evidence: &EvidenceReport<T>,
        keeper: &mut Keeper<'_, T>,
        summary: &mut FitReport,
    ) -> Result<Vec<Vec<T>>> {
        let others = keeper.others(|| self.other_estimates(posterior, evidence, count))?;
        summary.starts(&others);
        let mut starts = vec![evidence.map.theta.clone()];
        starts.extend(others.into_iter().map(|map| map.theta));
        Ok(starts)
    }

    pub(super) fn walked<T: Scalar, D: LogDensity<T>, K: Kernel<T, D>>(
        &self,
        kernel: &mut K,
        density: &D,
        starts: &[Vec<T>],
        options: &WalkOptions,
        probe: &dyn Observable<T>,
        way: &mut Way<'_, '_, T>,
    ) -> Result<Walk<T>> {
        let of = (&*kernel, density);
        let memory = (way.workspace, way.frame);
        let budget = Budget::new(self, way.settings, of, &starts[0], options, memory)?;
        let mut run = Run::new(kernel, density, starts, options, self.streams)?;
        way.keeper.restore(kernel, &mut run, way.summary)?;
        while run.advance(kernel, density, probe)? {
            let total = run.total().unwrap_or(0);
            self.progress.progress(Stage::Walk, run.steps(), total);
            way.keeper.spool(&mut run)?;
            if self.progress.cancelled() {
                return Err(way.keeper.cancelled(kernel, &mut run));
            }
            if budget.is_spent(&run) {
                return Ok(run.finish_early());
            }
            way.keeper.between_blocks(kernel, &mut run)?;
        }
        Ok(run.finish())
    }
}

/// Refuses a walk of the microcanonical kernel that kept no point: all its steps diverged.
pub(super) fn check_kept<T: Scalar>(
    walked: &Walk<T>,
    settings: &MicrocanonicalSettings,
) -> Result<()> {
    match settings.step_size {
        _ if !walked.is_empty() => Ok(()),
        Some(step_size) => {
            let requirement = "is too long: the walk kept no point, because its steps diverged; take \
                               a smaller one, or auto";
            Err(Error::config("step_size", step_size, requirement))
        }
        None => {
            let advice = "--precision f64, or other scales (--prior hierarchical or evidence), may \
                          help";
            Err(lost(walked, advice))
        }
    }
}

/// The error of a walk that kept no point.
fn lost<T: Scalar>(walked: &Walk<T>, advice: &'static str) -> Error {
    Error::Diverged {
        what: "the walk",
        quantity: "energy of every point that it should keep",
        step: walked.steps,
        gradients: walked.gradients(),
        advice,
    }
}
