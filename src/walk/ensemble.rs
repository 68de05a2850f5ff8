//! Many particles, each with its own random stream, its own state and its own memory, in parallel.
//!
//! A particle's path depends on its index and the seed alone, and results are collected in index order: any number of
//! threads gives the same bits. Memory is `O(points kept x P + threads x workspace)`.

use rayon::prelude::*;

use super::kernel::Kernel;
use crate::error::{Error, Result};
use crate::model::LogDensity;
use crate::rng::{Phase, Streams};
use crate::scalar::Scalar;

/// How many particles walk, how far, and what is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WalkOptions {
    /// Number of particles.
    pub particles: usize,
    /// Steps of each.
    pub steps: usize,
    /// Points kept of each particle: evenly spaced over the second half of its walk, the last point among them.
    pub keep: usize,
}

impl Default for WalkOptions {
    fn default() -> Self {
        Self {
            particles: 64,
            steps: 200,
            keep: 4,
        }
    }
}

impl WalkOptions {
    /// Checks the settings.
    ///
    /// # Errors
    /// If there is nothing to do, or more points are to be kept than half the walk has.
    pub fn validate(&self) -> Result<()> {
        for (field, value) in [
            ("particles", self.particles),
            ("steps", self.steps),
            ("keep", self.keep),
        ] {
            if value == 0 {
                return Err(Error::config(field, value, "must be positive"));
            }
        }
        let half = self.steps.div_ceil(2);
        if self.keep > half {
            let requirement = format!("must be at most {half}, half of {} steps", self.steps);
            return Err(Error::config("keep", self.keep, &requirement));
        }
        Ok(())
    }

    /// True if the point after step `step` (from 1) is kept.
    fn keeps(&self, step: usize) -> bool {
        let half = self.steps.div_ceil(2);
        // wide, because a number of steps may be any
        let offset = |i: usize| (i as u128 * half as u128 / self.keep as u128) as usize;
        (1..=self.keep).any(|i| self.steps - half + offset(i) == step)
    }
}

/// What became of one particle.
#[derive(Clone, Debug, PartialEq)]
pub struct ParticleReport {
    /// Energy at its end, in nats.
    pub energy: f64,
    /// Distance from its start.
    pub distance: f64,
    /// Steps that ended at a viable point.
    pub viable: usize,
    /// Steps that diverged.
    pub divergences: usize,
    /// Gradients computed.
    pub gradients: usize,
}

/// The points of a walk.
#[derive(Clone, Debug)]
pub struct Walk<T> {
    /// Number of parameters.
    pub dim: usize,
    /// Steps that each particle took.
    pub steps: usize,
    /// The viable points that were kept, `[len, dim]` row-major, particle by particle.
    pub points: Vec<T>,
    /// The particle of each point.
    pub particle: Vec<usize>,
    /// The energy at each point, in nats.
    pub energies: Vec<f64>,
    /// A report for each particle.
    pub reports: Vec<ParticleReport>,
    /// Points that were due to be kept and were not viable.
    pub discarded: usize,
}

impl<T: Scalar> Walk<T> {
    /// Number of points.
    pub fn len(&self) -> usize {
        self.particle.len()
    }

    /// True if no point was viable.
    pub fn is_empty(&self) -> bool {
        self.particle.is_empty()
    }

    /// Point `i`.
    pub fn point(&self, i: usize) -> &[T] {
        &self.points[i * self.dim..(i + 1) * self.dim]
    }

    /// Share of all steps that ended at a viable point.
    pub fn viability(&self) -> f64 {
        let viable: usize = self.reports.iter().map(|r| r.viable).sum();
        viable as f64 / self.total_steps()
    }

    /// Share of all steps that diverged: could not be taken as they were meant.
    pub fn divergence_rate(&self) -> f64 {
        self.divergences() as f64 / self.total_steps()
    }

    fn total_steps(&self) -> f64 {
        self.steps as f64 * self.reports.len() as f64
    }

    /// Gradients that the whole walk computed.
    pub fn gradients(&self) -> usize {
        self.reports.iter().map(|r| r.gradients).sum()
    }

    /// Steps that diverged.
    pub fn divergences(&self) -> usize {
        self.reports.iter().map(|r| r.divergences).sum()
    }
}

struct Path<T> {
    points: Vec<T>,
    energies: Vec<f64>,
    discarded: usize,
    report: ParticleReport,
}

/// Walks all particles from `start`. `progress` is called from any thread after each particle.
///
/// # Errors
/// If a setting is out of range or the density is not finite at the start.
pub fn walk<T, D, K>(
    kernel: &K,
    density: &D,
    start: &[T],
    options: &WalkOptions,
    streams: Streams,
    progress: &(dyn Fn() + Sync),
) -> Result<Walk<T>>
where
    T: Scalar,
    D: LogDensity<T>,
    K: Kernel<T, D>,
{
    options.validate()?;
    let paths: Vec<Path<T>> = (0..options.particles)
        .into_par_iter()
        .map_init(
            || density.workspace(),
            |ws, index| {
                let mut rng = streams.rng(Phase::WALK, index as u64);
                let mut state = kernel.init(density, start, &mut rng, ws)?;
                let mut path = Path {
                    points: Vec::with_capacity(options.keep * start.len()),
                    energies: Vec::with_capacity(options.keep),
                    discarded: 0,
                    report: ParticleReport {
                        energy: f64::NAN,
                        distance: 0.0,
                        viable: 0,
                        divergences: 0,
                        gradients: 1,
                    },
                };
                for step in 1..=options.steps {
                    let info = kernel.step(density, &mut state, &mut rng, ws)?;
                    path.report.energy = info.energy;
                    path.report.gradients += info.gradients;
                    path.report.viable += usize::from(info.viable);
                    path.report.divergences += usize::from(info.diverged);
                    if options.keeps(step) {
                        if info.viable {
                            path.points.extend_from_slice(kernel.theta(&state));
                            path.energies.push(info.energy);
                        } else {
                            path.discarded += 1;
                        }
                    }
                }
                let end = kernel.theta(&state);
                let squares = end
                    .iter()
                    .zip(start)
                    .map(|(a, b)| (*a - *b).to_f64().powi(2));
                path.report.distance = squares.sum::<f64>().sqrt();
                progress();
                Ok(path)
            },
        )
        .collect::<Result<_>>()?;
    let mut walk = Walk {
        dim: start.len(),
        steps: options.steps,
        points: Vec::new(),
        particle: Vec::new(),
        energies: Vec::new(),
        reports: Vec::with_capacity(paths.len()),
        discarded: 0,
    };
    for (index, path) in paths.into_iter().enumerate() {
        walk.points.extend_from_slice(&path.points);
        walk.particle.extend(path.energies.iter().map(|_| index));
        walk.energies.extend_from_slice(&path.energies);
        walk.discarded += path.discarded;
        walk.reports.push(path.report);
    }
    Ok(walk)
}
