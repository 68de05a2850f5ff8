//! What a fit has to say about its walk.

use super::Summary;
use crate::optim::MapReport;
use crate::scalar::Scalar;
use crate::walk::{DriftOptions, Microcanonical, MicrocanonicalOptions, TangentWalkOptions, Walk};

/// Variance of the energy error per dimension beyond which an unadjusted walk is said to be biased.
const LARGE_ERROR: f64 = 1e-3;

impl Summary {
    pub(super) fn starts<T>(&mut self, others: &[MapReport<T>]) {
        if others.is_empty() {
            return;
        }
        let energies: Vec<String> = others.iter().map(|m| format!("{:.2}", m.energy)).collect();
        let gradients: usize = others.iter().map(|m| m.gradients).sum();
        let text = format!(
            "{} more MAP estimates, U = {}",
            others.len(),
            energies.join(", ")
        );
        self.line("starts", text);
        self.figure("starts", 1.0 + others.len() as f64);
        self.figure("starts_gradients", gradients as f64);
    }

    pub(super) fn drift<T: Scalar>(&mut self, walk: &Walk<T>, options: &DriftOptions) {
        let viability = walk.viability();
        self.line(
            "kernel",
            format!(
                "drift: step {:.3e}, correction {:.3e}, viability {:.1} % (U <= {:.1})",
                options.step_size,
                options.correction,
                100.0 * viability,
                options.max_energy
            ),
        );
        self.lost_drift(walk);
        self.figure("walk_threshold", options.max_energy);
        self.figure("walk_step_size", options.step_size);
    }

    pub(super) fn tangent_walk<T: Scalar>(&mut self, walk: &Walk<T>, options: &TangentWalkOptions) {
        self.line(
            "kernel",
            format!(
                "tangent: step {:.3e}, {} corrections, frame renewed every {} steps, viability {:.1} % (U <= {:.1})",
                options.step_size,
                options.corrections,
                options.renew_every,
                100.0 * walk.viability(),
                options.max_energy
            ),
        );
        self.lost_drift(walk);
        self.figure("walk_threshold", options.max_energy);
        self.figure("walk_step_size", options.step_size);
    }

    fn lost_drift<T: Scalar>(&mut self, walk: &Walk<T>) {
        if walk.divergence_rate() > 0.5 {
            let share = 100.0 * walk.divergence_rate();
            let text = format!(
                "{share:.0} % of the steps could not be taken with their drift: the walk explored little"
            );
            self.line("warning", text);
        }
    }

    pub(super) fn microcanonical<T: Scalar>(
        &mut self,
        walk: &Walk<T>,
        kernel: &Microcanonical<'_, T>,
        settings: &MicrocanonicalOptions,
    ) {
        let how = |given: bool| if given { "given" } else { "tuned" };
        let (step, length) = (kernel.step_size(), kernel.decoherence_length());
        let error = walk.sampling.mean_squared_error() / walk.dim as f64;
        let form = if settings.adjusted { ", adjusted" } else { "" };
        let mut text = format!(
            "microcanonical{form}: step {step:.4} ({}), forgets its direction in {length:.2} ({}), {} directions in the frame",
            how(settings.step_size.is_some()),
            how(settings.decoherence_length.is_some()),
            kernel.inverse_mass().directions(),
        );
        if settings.adjusted {
            let acceptance = walk.sampling.mean_acceptance();
            text += &format!(", acceptance {acceptance:.3}");
            self.figure("walk_acceptance", acceptance);
        } else {
            text += &format!(", energy error {error:.2e} a dimension");
            self.figure("walk_energy_error", error);
        }
        self.line("kernel", text);
        if !settings.adjusted && error > LARGE_ERROR {
            let text = format!(
                "the variance of the energy error per dimension, {error:.1e}, is above {LARGE_ERROR:.0e}: the walk is biased (shorter steps: --step-size; \
                 exact: --adjusted)"
            );
            self.line("warning", text);
        }
        self.figure("walk_step_size", step);
        self.figure("walk_decoherence_length", length);
        self.figure(
            "frame_directions",
            kernel.inverse_mass().directions() as f64,
        );
    }

    pub(super) fn walk<T: Scalar>(&mut self, walk: &Walk<T>, prior_radius: f64) {
        let particles = walk.particles();
        let total = walk.total();
        let distance = walk.distances.iter().sum::<f64>() / particles as f64;
        let energy = walk.energies.iter().sum::<f64>() / walk.len() as f64;
        let mut text = format!(
            "{particles} particles x {} steps ({} of warm-up): {} points kept, {} discarded, mean U {energy:.1}, distance {distance:.2} (radius of the prior \
             {prior_radius:.2})",
            walk.steps,
            walk.warm_up,
            walk.len(),
            walk.discarded,
        );
        if let Some(fiber) = walk.sampling.mean_fiber_distance() {
            text += &format!(", {fiber:.2} from the fiber");
            self.figure("walk_fiber_distance", fiber);
        }
        text += &format!(
            ", {} divergences, {} gradients",
            total.divergences, total.gradients
        );
        self.line("walk", text);
        let cut_in_warm_up = walk.cut_short && walk.warm_up == walk.steps;
        if !(walk.forgotten || cut_in_warm_up) {
            let text = "the walk had not forgotten its start when its steps were used up";
            self.line("warning", text);
        }
        self.figure("walk_steps", walk.steps as f64);
        self.figure("walk_warm_up", walk.warm_up as f64);
        self.figure("walk_viability", walk.viability());
        self.figure("walk_mean_energy", energy);
        self.figure("walk_distance", distance);
        self.figure("walk_divergences", total.divergences as f64);
        self.figure("walk_gradients", total.gradients as f64);
    }
}
