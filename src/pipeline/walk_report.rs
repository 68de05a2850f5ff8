//! Entries of a walk in the report of its fit.

use super::FitReport;
use crate::artifact::report::{self, Kernel};
use crate::optim::MapReport;
use crate::scalar::Scalar;
use crate::walk::{DriftOptions, Microcanonical, MicrocanonicalOptions, TangentWalkOptions, Walk};

impl FitReport {
    pub(super) fn starts<T>(&mut self, others: &[MapReport<T>]) {
        if others.is_empty() {
            return;
        }
        self.starts = Some(report::Starts {
            energies: others.iter().map(|m| m.energy).collect(),
            gradients: others.iter().map(|m| m.gradients).sum(),
        });
    }

    pub(super) fn drift(&mut self, options: &DriftOptions) {
        self.kernel = Some(Kernel::Drift {
            step_size: options.step_size,
            correction: options.correction,
            max_energy: options.max_energy,
        });
    }

    pub(super) fn tangent_walk(&mut self, options: &TangentWalkOptions) {
        self.kernel = Some(Kernel::Tangent {
            step_size: options.step_size,
            corrections: options.corrections,
            renew_every: options.renew_every,
            max_energy: options.max_energy,
        });
    }

    pub(super) fn microcanonical<T: Scalar>(
        &mut self,
        walk: &Walk<T>,
        kernel: &Microcanonical<'_, T>,
        settings: &MicrocanonicalOptions,
    ) {
        let sampling = &walk.sampling;
        let error = sampling.mean_squared_error() / walk.dim as f64;
        let (adjusted, directions) = (settings.adjusted, kernel.inverse_mass().directions());
        self.kernel = Some(match settings.own_steps {
            false => Kernel::Microcanonical {
                step_size: kernel.step_size(),
                step_size_given: settings.step_size.is_some(),
                decoherence_length: kernel.decoherence_length(),
                decoherence_length_given: settings.decoherence_length.is_some(),
                directions,
                acceptance: adjusted.then(|| sampling.mean_acceptance()),
                energy_error: (!adjusted).then_some(error),
            },
            true => {
                let moved = sampling.steps.saturating_sub(sampling.divergences).max(1) as f64;
                Kernel::OwnSteps {
                    gradients_per_length: sampling.slowness / moved,
                    energy_error: error,
                    decoherence_length: kernel.decoherence_length(),
                    directions,
                }
            }
        });
    }

    /// A walk with given scales, or along a fiber.
    pub(super) fn walk<T: Scalar>(&mut self, walk: &Walk<T>, prior_radius: f64) {
        self.scaled_walk(walk);
        if let Some(said) = &mut self.walk {
            let particles = walk.particles() as f64;
            said.distance = Some(walk.distances.iter().sum::<f64>() / particles);
            said.prior_radius = Some(prior_radius);
            said.fiber_distance = walk.sampling.mean_fiber_distance();
        }
    }

    /// A walk that samples scales: distances have no meaning in its coordinates.
    pub(super) fn scaled_walk<T: Scalar>(&mut self, walk: &Walk<T>) {
        let total = walk.total();
        self.walk = Some(report::Walk {
            dim: walk.dim,
            particles: walk.particles(),
            steps: walk.steps,
            warm_up: walk.warm_up,
            kept: walk.len(),
            discarded: walk.discarded,
            mean_energy: walk.energies.iter().sum::<f64>() / walk.len().max(1) as f64,
            divergences: total.divergences,
            divergence_rate: walk.divergence_rate(),
            gradients: total.gradients,
            viability: walk.viability(),
            forgotten: walk.forgotten,
            trace: energy_trace(walk),
            energies: walk.energies.iter().map(|u| hundredths(*u)).collect(),
            ..report::Walk::default()
        });
    }

    /// Reports that a walk takes its gradients from batches.
    pub(super) fn batched(&mut self, rows: usize, of: usize) {
        self.walk_batches = Some(report::WalkBatches { rows, of });
    }

    /// Reports that a walk was ended by its budget.
    pub(super) fn cut_short<T: Scalar>(&mut self, walk: &Walk<T>, at_most: usize) {
        if let Some(said) = self.walk.as_mut().filter(|_| walk.cut_short) {
            said.cut_short = Some(report::CutShort {
                at_most,
                in_warm_up: walk.warm_up == walk.steps,
            });
        }
    }
}

/// Most blocks of the trace that a report keeps.
const BLOCKS: usize = 40;

/// Quantiles of the energy over the particles, after evenly spaced blocks.
fn energy_trace<T: Scalar>(walk: &Walk<T>) -> Option<report::EnergyTrace> {
    let trace = &walk.trace;
    let (blocks, kept) = (trace.blocks(), trace.blocks().min(BLOCKS));
    let mut all = report::EnergyTrace::default();
    for i in 0..kept {
        let block = i * (blocks - 1) / (kept - 1).max(1);
        let mut energies = trace.energies_after(block).ok()?.to_vec();
        energies.sort_by(f64::total_cmp);
        let at = |p: f64| hundredths(energies[(p * (energies.len() - 1) as f64).round() as usize]);
        if energies.is_empty() {
            return None;
        }
        all.steps.push(trace.steps[block]);
        all.low.push(at(0.05));
        all.median.push(at(0.5));
        all.high.push(at(0.95));
    }
    (kept > 1).then_some(all)
}

/// The number to a hundredth.
fn hundredths(value: f64) -> f64 {
    (100.0 * value).round() / 100.0
}
