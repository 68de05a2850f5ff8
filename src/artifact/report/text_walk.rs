//! What a report says of walks and of what is learned from them.

use super::text::Lines;
use super::text_data::LISTED;
use super::text_flow::distances;
use super::{Deformation, Evidence, FitReport, Kernel, Mixing, SampledScales, Stored, Trust, Walk};
use crate::error::{counted, rounded};

/// R-hat up to which walkers are said to agree about a prediction.
const AGREEMENT: f64 = 1.1;

/// The part of a report that is about a walk.
pub(super) struct Walked<'a>(pub &'a FitReport);

impl Walked<'_> {
    pub(super) fn say(&self, lines: &mut Lines) {
        let report = self.0;
        if let Some(starts) = report.starts.as_ref().filter(|s| !s.energies.is_empty()) {
            let each: Vec<String> = starts.energies.iter().map(|u| format!("{u:.2}")).collect();
            let more = counted(each.len(), "more MAP estimate");
            let text = format!("{more}, U = {}", each.join(", "));
            lines.add("starts", &text);
        }
        if let Some(batches) = &report.walk_batches {
            let text = "an approximation: the walk spreads the further, the smaller they are";
            let text = format!(
                "of {} of {}, {text}",
                batches.rows,
                counted(batches.of, "row")
            );
            lines.add("batches", &text);
        }
        if let Some(kernel) = &report.kernel {
            let viability = report.walk.as_ref().map_or(f64::NAN, |w| w.viability);
            lines.add("kernel", &kernel_text(kernel, viability));
        }
        let resumed = report.checkpoint.as_ref();
        if let Some(steps) = resumed.and_then(|c| c.resumed_after) {
            let file = resumed.and_then(|c| c.file.as_deref()).unwrap_or_default();
            lines.add(
                "resumed",
                &format!("after {}, {file}", counted(steps, "step")),
            );
        }
        report
            .walk
            .iter()
            .for_each(|w| lines.add("walk", &self.walk(w)));
        report
            .mixing
            .iter()
            .for_each(|m| lines.add("mixing", &mixing(m)));
        let sampled = report.sampled_scales.iter();
        sampled.for_each(|s| lines.add("scales", &scales(s)));
        report.bracket.iter().for_each(|b| b.lines(lines));
        report
            .deformation
            .iter()
            .for_each(|d| self.deformation(d, lines));
    }

    /// That the mean of a walk is far above the mode is no failure: what is expected stands beside
    /// it.
    fn expected(&self) -> String {
        let energy = self.0.expected_energy();
        energy.map_or(String::new(), |u| {
            format!(" (expected of draws: about {u:.1})")
        })
    }

    fn walk(&self, walk: &Walk) -> String {
        let expected = match self.0.kernel.as_ref().is_some_and(Kernel::samples) {
            true => self.expected(),
            // points that stay near the fiber are no draws
            false => String::new(),
        };
        let mut text = format!(
            "{} x {} ({} of warm-up): {} kept, {} discarded, mean U \
             {:.1}{expected}",
            counted(walk.particles, "particle"),
            counted(walk.steps, "step"),
            walk.warm_up,
            counted(walk.kept, "point"),
            walk.discarded,
            walk.mean_energy
        );
        if let (Some(distance), Some(radius)) = (walk.distance, walk.prior_radius) {
            text += &format!(", distance {distance:.2} (radius of the prior {radius:.2})");
        }
        if let Some(fiber) = walk.fiber_distance {
            text += &format!(", {fiber:.2} from the fiber");
        }
        let (divergences, gradients) = (walk.divergences, walk.gradients);
        text + &format!(
            ", {}, {}",
            counted(divergences, "divergence"),
            counted(gradients, "gradient")
        )
    }

    fn deformation(&self, of: &Deformation, lines: &mut Lines) {
        if let Some(fit) = &of.frame {
            let kept = match fit.best_step {
                0 => "no coupling helped held-out walkers, a Gaussian is kept".into(),
                step => format!(
                    "couplings, best after {step} of {}",
                    counted(fit.steps, "step")
                ),
            };
            let text = format!(
                "{}, {} + {} points of training + held-out walkers: {kept}; held-out \
                 log-likelihood {:.1} a point (Gaussian {:.1}; on training points {:.1})",
                counted(fit.directions, "direction"),
                fit.points,
                fit.held_out,
                fit.log_likelihood,
                fit.gaussian_log_likelihood,
                fit.train_log_likelihood
            );
            lines.add("frame", &text);
        }
        if let Some(fit) = &of.units {
            let text = format!(
                "exchangeable units, best after {} of {}; held-out log-likelihood {:.1} a \
                 point (Gaussian {:.1}; on training points {:.1})",
                fit.best_step,
                counted(fit.steps, "step"),
                fit.log_likelihood,
                fit.gaussian_log_likelihood,
                fit.train_log_likelihood
            );
            lines.add("units", &text);
        }
        if let Some(r) = &of.refinement {
            let text = format!(
                "units refined from {:.1} to {:.1} nats, best after {} of {}, {}",
                r.start,
                r.elbo,
                r.best_step,
                counted(r.steps, "step"),
                counted(r.gradients, "gradient")
            );
            lines.add("elbo", &text);
        }
        if of.no_hidden_layer {
            lines.add(
                "flow",
                "no hidden layer: the posterior is the last layer's conditional",
            );
        }
        distances(of, lines);
        of.trust.iter().for_each(|t| self.trust(t, lines));
        match of.stored {
            Some(Stored::Rows { rows }) => {
                let text = format!(
                    "the file carries the {}: each draw's last layer is \
                     conditioned on them (--frozen N stores draws instead)",
                    counted(rows, "training row")
                );
                lines.add("file", &text);
            }
            Some(Stored::Draws { draws }) => {
                lines.add(
                    "file",
                    &format!("holds {} and no training data", counted(draws, "draw")),
                );
            }
            None => {}
        }
    }

    fn trust(&self, trust: &Trust, lines: &mut Lines) {
        let evidence = match trust.evidence {
            Evidence::Unknown => String::new(),
            Evidence::Known { value, error } => format!(", log evidence {value:.2} +- {error:.2}"),
            Evidence::HeavyTail { limit } => {
                format!(", no estimate of the evidence (k-hat is not below {limit})")
            }
            Evidence::FewDraws { needed } => {
                format!(
                    ", no estimate of the evidence (it would take {})",
                    counted(needed, "draw")
                )
            }
        };
        let text = format!(
            "ELBO {:.1} +- {:.1}, k-hat {:.2}, {:.0} of {} effective{evidence}",
            trust.elbo,
            trust.elbo_error,
            trust.k_hat,
            trust.ess,
            counted(trust.draws, "draw")
        );
        lines.add("trust", &text);
        let text = format!(
            "mean U of draws {:.1} +- {:.1}, of the walk {:.1}{}",
            trust.mean_energy,
            trust.mean_energy_error,
            trust.walk_mean_energy,
            self.expected()
        );
        lines.add("energy", &text);
    }
}

fn kernel_text(kernel: &Kernel, viability: f64) -> String {
    let viability = 100.0 * viability;
    match kernel {
        Kernel::Drift {
            step_size,
            correction,
            max_energy,
        } => format!(
            "drift: step {step_size:.3e}, correction {correction:.3e}, viability {viability:.1} % \
             (U <= {max_energy:.1})"
        ),
        Kernel::Tangent {
            step_size,
            corrections,
            renew_every,
            max_energy,
        } => format!(
            "tangent: step {step_size:.3e}, {}, frame renewed every {}, \
             viability {viability:.1} % (U <= {max_energy:.1})",
            counted(corrections, "correction"),
            counted(renew_every, "step")
        ),
        Kernel::Microcanonical {
            step_size,
            step_size_given,
            decoherence_length,
            decoherence_length_given,
            directions,
            acceptance,
            energy_error,
        } => {
            let how = |given: bool| if given { "given" } else { "tuned" };
            let form = if acceptance.is_some() {
                ", adjusted"
            } else {
                ""
            };
            let mut text = format!(
                "microcanonical{form}: step {} ({}), forgets its direction in {} ({}), {} in the frame",
                rounded(*step_size, 4),
                how(*step_size_given),
                rounded(*decoherence_length, 2),
                how(*decoherence_length_given),
                counted(directions, "direction")
            );
            if let Some(acceptance) = acceptance {
                text += &format!(", acceptance {acceptance:.3}");
            }
            if let Some(error) = energy_error {
                text += &format!(", energy error {error:.2e} a dimension");
            }
            text
        }
        Kernel::OwnSteps {
            gradients_per_length,
            energy_error,
            decoherence_length,
            directions,
        } => {
            format!(
                "microcanonical, a step for each walker and place: {gradients_per_length:.1} \
                 gradients a unit of length on average, energy error {energy_error:.1e} a \
                 dimension, forgets its direction in {decoherence_length:.1}, {} in the frame",
                counted(directions, "direction")
            )
        }
    }
}

fn mixing(mixing: &Mixing) -> String {
    // short chains have an R-hat far above 1 however well the ensemble does
    let energy_rhat = match &mixing.groups {
        Some(groups) => format!("nested R-hat {:.3}", groups.energy),
        None => format!("R-hat {:.3}", mixing.energy_rhat),
    };
    let mut text = format!(
        "energy: {energy_rhat}, ESS {:.0} (tail {:.0})",
        mixing.energy_ess_bulk, mixing.energy_ess_tail
    );
    if let Some(p) = &mixing.predictions {
        let rhat = match &mixing.groups {
            Some(g) => format!(
                "nested R-hat {:.3} (worst {:.3}; a walk that has forgotten where it was is below \
                 {:.2})",
                g.predictions, g.worst, g.limit
            ),
            None => format!("R-hat {:.3} (worst {:.3})", p.rhat_median, p.rhat_worst),
        };
        text += &format!(
            "; {}: {rhat}, least ESS {:.0} (tail {:.0})",
            counted(p.count, "prediction"),
            p.ess_bulk,
            p.ess_tail
        );
        if mixing.groups.is_none() && p.rhat_median > AGREEMENT {
            text += "; a single particle has not been everywhere (all together may have)";
        }
    }
    if let Some(nested) = &mixing.nested {
        let (starts, rhat) = (nested.starts, nested.rhat_worst);
        text += &format!(
            "; over {}: nested R-hat at most {rhat:.3}",
            counted(starts, "start")
        );
    }
    text
}

fn scales(of: &SampledScales) -> String {
    let (mut text, mut inputs) = (format!("sampled, {}:", of.groups), Vec::new());
    for scale in &of.scales {
        let name = &scale.name;
        if name.contains(".inputs") {
            inputs.push(scale.mean);
        } else if of.scales.len() - inputs.len() <= LISTED || name == "noise_std" {
            text += &format!(" {name} {:.3} +- {:.3},", scale.mean, scale.std);
        }
    }
    if !inputs.is_empty() {
        let low = inputs.iter().copied().fold(f64::INFINITY, f64::min);
        let high = inputs.iter().copied().fold(0.0, f64::max);
        text += &format!(" {} {low:.2} to {high:.2},", counted(inputs.len(), "input"));
    }
    text + &format!(" R-hat at most {:.2}", of.worst_rhat())
}
