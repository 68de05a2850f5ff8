//! What a fit has to say about its deformation.

use super::Summary;
use super::deform::Candidate;
use super::trust::Trust;
use crate::deform::{Atlas, ElboReport, FlowReport, TrainReport};
use crate::diagnose::Refusal;
use crate::scalar::Scalar;

/// The distance of the MAP estimate, where there is one: with sampled scales there is not.
fn of_map(map: Option<f64>) -> String {
    map.map_or_else(String::new, |map| format!(" (MAP {map:.3})"))
}

impl Summary {
    pub(super) fn framed(&mut self, report: &TrainReport) {
        let kept = match report.best_step {
            0 => "no coupling helped held-out walkers, a Gaussian is kept".into(),
            step => format!("couplings, best after {step} of {} steps", report.steps),
        };
        self.line(
            "frame",
            format!(
                "{} directions, {} + {} points of training + held-out walkers: {kept}; held-out log-likelihood {:.1} a point \
                 (Gaussian {:.1}; on training points {:.1})",
                report.directions,
                report.points,
                report.held_out,
                report.log_likelihood,
                report.gaussian_log_likelihood,
                report.train_log_likelihood
            ),
        );
        self.figure("frame_directions", report.directions as f64);
        self.figure("frame_best_step", report.best_step as f64);
        self.figure("frame_held_out_log_likelihood", report.log_likelihood);
    }

    pub(super) fn units(&mut self, report: &FlowReport) {
        self.line(
            "units",
            format!(
                "exchangeable units, best after {} of {} steps; held-out log-likelihood {:.1} a point (Gaussian {:.1}; on training points {:.1})",
                report.best_step,
                report.steps,
                report.log_likelihood,
                report.start_log_likelihood,
                report.train_log_likelihood
            ),
        );
        self.figure("units_held_out_log_likelihood", report.log_likelihood);
    }

    pub(super) fn refined(&mut self, report: &ElboReport) {
        self.line(
            "elbo",
            format!(
                "units refined from {:.1} to {:.1} nats, best after {} of {} steps, {} gradients",
                report.start, report.elbo, report.best_step, report.steps, report.gradients
            ),
        );
        self.figure("refinement_gradients", report.gradients as f64);
    }

    pub(super) fn candidates<T: Scalar>(
        &mut self,
        all: &[Candidate<T>],
        best: usize,
        map: Option<f64>,
    ) {
        let list: Vec<String> = all
            .iter()
            .map(|c| format!("{} {:.3}", c.what, c.distance))
            .collect();
        let Some(best) = all.get(best) else { return };
        self.line(
            "flow",
            format!(
                "{} is kept: distance of predictions to the walk's {:.3}{}; tried {}",
                best.what,
                best.distance,
                of_map(map),
                list.join(", ")
            ),
        );
        let proposals = best.deformation.proposals();
        if proposals > 1 {
            let text = format!("a draw takes one of {proposals} proposals by its evidence");
            self.line("flow", text);
        }
        self.figure("flow_distance", best.distance);
        self.map_distance(best.distance, map, "atlas or walk");
    }

    /// A deformation that is farther from the walk than the MAP estimate is not worth having.
    fn map_distance(&mut self, distance: f64, map: Option<f64>, instead: &str) {
        let Some(map) = map else { return };
        self.figure("map_distance", map);
        // also said when a distance is NaN
        let better = distance < map;
        if !better {
            self.line(
                "warning",
                format!("predictions are no nearer to the walk's than those of the MAP estimate: take --method {instead}"),
            );
        }
    }

    pub(super) fn atlas<T: Scalar>(
        &mut self,
        atlas: &Atlas<T>,
        recombined: bool,
        distance: f64,
        map: Option<f64>,
    ) {
        let how = match recombined {
            true => "recombined from the units of all walkers",
            false => "hidden parameters of the walk's points",
        };
        self.line(
            "atlas",
            format!(
                "{} anchors, {how}; distance of predictions to the walk's {distance:.3}{}",
                atlas.len(),
                of_map(map)
            ),
        );
        self.figure("anchors", atlas.len() as f64);
        self.figure("atlas_distance", distance);
        self.map_distance(distance, map, "walk");
    }

    pub(super) fn trust(&mut self, trust: &Trust, energies: &[f64]) {
        let i = &trust.importance;
        let evidence = match &i.log_evidence {
            Ok(e) => format!("log evidence {:.2} +- {:.2}", e.value, e.std_error),
            Err(Refusal::HeavyTail { limit, .. }) => {
                format!("no estimate of the evidence (k-hat is not below {limit})")
            }
            Err(Refusal::FewDraws { needed, .. }) => {
                format!("no estimate of the evidence (it would take {needed} draws)")
            }
        };
        self.line(
            "trust",
            format!(
                "ELBO {:.1} +- {:.1}, k-hat {:.2}, {:.0} of {} draws effective, {evidence}",
                i.elbo, i.elbo_error, i.k_hat, i.ess, i.draws
            ),
        );
        let n = energies.len().max(1) as f64;
        let walk = energies.iter().sum::<f64>() / n;
        let (mean, error) = trust.energy;
        self.line(
            "energy",
            format!("mean U of draws {mean:.1} +- {error:.1}, of the walk {walk:.1}"),
        );
        self.figure("elbo", i.elbo);
        self.figure("elbo_error", i.elbo_error);
        self.figure("k_hat", i.k_hat);
        self.figure("importance_ess", i.ess);
        if let Ok(e) = &i.log_evidence {
            self.figure("log_evidence", e.value);
            self.figure("log_evidence_error", e.std_error);
        }
        self.figure("draws_mean_energy", mean);
        self.figure("walk_mean_energy", walk);
    }

    pub(super) fn no_flow(&mut self) {
        self.line(
            "flow",
            "no hidden layer: the posterior is the last layer's conditional",
        );
    }

    pub(super) fn carries_data(&mut self, rows: usize) {
        let text = format!(
            "the file carries the {rows} training rows: each draw's last layer is conditioned on them (--frozen N stores draws instead)"
        );
        self.line("note", text);
    }

    pub(super) fn frozen(&mut self, count: usize) {
        let text = format!("the file holds {count} draws and no training data");
        self.line("frozen", text);
        self.figure("frozen", count as f64);
    }
}
