//! What a fit has to say about a walk whose scales are sampled.

use super::Summary;
use crate::diagnose::{Chains, rhat};
use crate::error::Result;
use crate::model::ScaleGroups;
use crate::scalar::Scalar;
use crate::walk::{Microcanonical, MicrocanonicalOptions, Walk};

/// R-hat of a prediction, and of a log scale, beyond which the walk is said not to have arrived.
const PREDICTIONS: f64 = 1.2;
const SCALES: f64 = 1.5;

/// Scales that are listed one by one.
const LISTED: usize = 8;

/// Mean, standard deviation and R-hat over the walkers of one number observed.
struct Posterior {
    mean: f64,
    std: f64,
    rhat: f64,
}

impl Summary {
    pub(super) fn scaled_kernel<T: Scalar>(
        &mut self,
        walk: &Walk<T>,
        kernel: &Microcanonical<'_, T>,
        settings: &MicrocanonicalOptions,
    ) {
        if !settings.own_steps {
            return self.microcanonical(walk, kernel, settings);
        }
        let total = &walk.sampling;
        let moved = total.steps.saturating_sub(total.divergences).max(1) as f64;
        let error = total.mean_squared_error() / walk.dim as f64;
        let text = format!(
            "microcanonical, a step for each walker and place: {:.1} gradients a unit of length on average, energy error {error:.1e} a dimension, \
             forgets its direction in {:.1}, {} directions in the frame",
            total.slowness / moved,
            kernel.decoherence_length(),
            kernel.inverse_mass().directions(),
        );
        self.line("kernel", text);
        self.figure("walk_energy_error", error);
        self.figure("walk_decoherence_length", kernel.decoherence_length());
        self.figure(
            "frame_directions",
            kernel.inverse_mass().directions() as f64,
        );
    }

    pub(super) fn scaled_walk<T: Scalar>(&mut self, walk: &Walk<T>) {
        let (particles, total) = (walk.particles(), walk.total());
        let energy = walk.energies.iter().sum::<f64>() / walk.len().max(1) as f64;
        let text = format!(
            "{particles} particles x {} steps ({} of warm-up), {} gradients: {} points kept, {} discarded, mean U {energy:.1}",
            walk.steps,
            walk.warm_up,
            total.gradients,
            walk.len(),
            walk.discarded,
        );
        self.line("walk", text);
        self.figure("walk_steps", walk.steps as f64);
        self.figure("walk_gradients", total.gradients as f64);
        self.figure("walk_energy", energy);
        self.figure("walk_divergences", total.divergences as f64);
        if walk.divergence_rate() > 0.01 {
            let share = 100.0 * walk.divergence_rate();
            let text =
                format!("{share:.1} % of the steps diverged: the posterior is too stiff there");
            self.line("warning", text);
        }
    }

    /// The scales at the joint mode.
    pub(super) fn joint_mode(&mut self, names: &[String], scales: &[f64]) {
        let each = names.iter().zip(scales);
        let listed = each.clone().filter(|(name, _)| !name.contains(".inputs"));
        let text: Vec<String> = listed.map(|(n, s)| format!("{n} {s:.3}")).collect();
        self.line("scales", format!("at the joint mode: {}", text.join(", ")));
        for (name, scale) in each {
            self.figure(&format!("scale_{name}"), *scale);
        }
    }

    /// The posterior of the scales, and whether walkers agree about them. `first` numbers are observed before the logarithms.
    pub(super) fn sampled_scales<T: Scalar>(
        &mut self,
        walk: &Walk<T>,
        groups: ScaleGroups,
        names: &[String],
        first: usize,
    ) -> Result<()> {
        let trace = &walk.trace;
        if trace.blocks() < 4 || trace.particles() < 2 {
            return Ok(());
        }
        let particles = trace.particles();
        let mut all = Vec::new();
        for i in 0..names.len() {
            let at = first + i;
            let logs: Vec<f64> = (0..particles)
                .flat_map(|p| (0..trace.blocks()).map(move |b| (b, p)))
                .map(|(b, p)| trace.observed_after(b)[p * trace.len + at])
                .collect();
            let n = logs.len() as f64;
            let mean = logs.iter().map(|t| t.exp()).sum::<f64>() / n;
            let squares: f64 = logs.iter().map(|t| (t.exp() - mean).powi(2)).sum();
            all.push(Posterior {
                mean,
                std: (squares / n).sqrt(),
                rhat: rhat(&Chains::new(&logs, particles)?),
            });
        }
        let (mut text, mut inputs) = (format!("sampled, {groups}:"), Vec::new());
        for (name, scale) in names.iter().zip(&all) {
            self.figure(&format!("scale_{name}"), scale.mean);
            self.figure(&format!("scale_{name}_sd"), scale.std);
            if name.contains(".inputs") {
                inputs.push(scale.mean);
            } else if all.len() - inputs.len() <= LISTED || name == "noise_std" {
                text += &format!(" {name} {:.3} +- {:.3},", scale.mean, scale.std);
            }
        }
        if !inputs.is_empty() {
            let low = inputs.iter().copied().fold(f64::INFINITY, f64::min);
            let high = inputs.iter().copied().fold(0.0, f64::max);
            text += &format!(" {} inputs {low:.2} to {high:.2},", inputs.len());
        }
        let worst = all.iter().map(|s| s.rhat).fold(0.0, f64::max);
        text += &format!(" R-hat at most {worst:.2}");
        self.figure("scale_rhat_worst", worst);
        self.line("scales", text);
        let predictions = self.figures().get("prediction_rhat_median").copied();
        if worst > SCALES || predictions.is_some_and(|r| r > PREDICTIONS) {
            let text = "walkers do not agree yet: the walk has not arrived; take more --steps";
            self.line("warning", text);
            self.figure("walk_arrived", 0.0);
        } else {
            self.figure("walk_arrived", 1.0);
        }
        Ok(())
    }
}
