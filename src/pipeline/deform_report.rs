//! Entries of a deformation in the report of its fit.

use super::FitReport;
use super::choice::Rule;
use super::layers::Candidate;
use super::trust::Trust;
use crate::artifact::report::{self, Evidence, Stored};
use crate::deform::{Atlas, ElboReport, FlowReport, LatentReport, TrainReport};
use crate::diagnose::Refusal;
use crate::scalar::Scalar;

impl FitReport {
    pub(super) fn framed(&mut self, fit: &TrainReport) {
        self.deformation.get_or_insert_default().frame = Some(report::FrameFit {
            directions: fit.directions,
            points: fit.points,
            held_out: fit.held_out,
            best_step: fit.best_step,
            steps: fit.steps,
            log_likelihood: fit.log_likelihood,
            gaussian_log_likelihood: fit.gaussian_log_likelihood,
            train_log_likelihood: fit.train_log_likelihood,
        });
    }

    pub(super) fn units(&mut self, fit: &FlowReport) {
        self.deformation.get_or_insert_default().units = Some(report::UnitsFit {
            best_step: fit.best_step,
            steps: fit.steps,
            log_likelihood: fit.log_likelihood,
            gaussian_log_likelihood: fit.start_log_likelihood,
            train_log_likelihood: fit.train_log_likelihood,
        });
    }

    pub(super) fn refined(&mut self, fit: &ElboReport) {
        self.deformation.get_or_insert_default().refinement = Some(report::Refinement {
            start: fit.start,
            elbo: fit.elbo,
            best_step: fit.best_step,
            steps: fit.steps,
            gradients: fit.gradients,
        });
    }

    pub(super) fn candidates<T: Scalar>(
        &mut self,
        all: &[Candidate<T>],
        best: Option<(usize, usize)>,
        rule: &Rule,
        map: Option<f64>,
    ) {
        let deformation = self.deformation.get_or_insert_default();
        let list = all.iter().enumerate().map(|(i, c)| {
            let kept = best.filter(|(map, _)| *map == i).map(|(_, at)| at);
            let tried = c.tried.iter().map(|t| report::Carried {
                layers: t.layers,
                distance: t.close.distance,
                spread: t.close.spread,
                energy: t.energy.0,
                allowed: rule.allowed(t),
                faithful: rule.is_faithful(t),
            });
            let tried: Vec<report::Carried> = tried.collect();
            let distances = tried.iter().map(|t| t.distance);
            let least = distances.fold(f64::INFINITY, f64::min);
            report::Candidate {
                name: c.what.clone(),
                distance: kept
                    .and_then(|at| tried.get(at))
                    .map_or(least, |t| t.distance),
                kept: kept.is_some(),
                tried,
            }
        });
        deformation.candidates = list.collect();
        let Some((candidate, tried)) = best.and_then(|(map, at)| {
            let candidate = all.get(map)?;
            Some((candidate, candidate.tried.get(at)?))
        }) else {
            return;
        };
        let steps = candidate.kinetic.steps().get(..tried.layers).unwrap_or(&[]);
        if let (Some(&first), Some(&last)) = (steps.first(), steps.last()) {
            deformation.layers = Some(report::KineticLayers {
                count: steps.len(),
                steps: [first, last],
                directions: candidate.kinetic.mass().directions(),
            });
        }
        deformation.proposals = candidate.map.proposals();
        deformation.distance = Some(tried.close.distance);
        deformation.map_distance = map;
    }

    pub(super) fn atlas<T: Scalar>(
        &mut self,
        atlas: &Atlas<T>,
        recombined: bool,
        distance: f64,
        map: Option<f64>,
    ) {
        let deformation = self.deformation.get_or_insert_default();
        deformation.atlas = Some(report::Atlas {
            anchors: atlas.len(),
            recombined,
        });
        deformation.distance = Some(distance);
        deformation.map_distance = map;
    }

    pub(super) fn trust(&mut self, trust: &Trust, energies: &[f64]) {
        let i = &trust.importance;
        let evidence = match &i.log_evidence {
            Ok(e) => Evidence::Known {
                value: e.value,
                error: e.std_error,
            },
            Err(Refusal::HeavyTail { limit, .. }) => Evidence::HeavyTail { limit: *limit },
            Err(Refusal::FewDraws { needed, .. }) => Evidence::FewDraws { needed: *needed },
        };
        let n = energies.len().max(1) as f64;
        let (mean_energy, mean_energy_error) = trust.energy;
        self.deformation.get_or_insert_default().trust = Some(report::Trust {
            draws: i.draws,
            elbo: i.elbo,
            elbo_error: i.elbo_error,
            k_hat: i.k_hat,
            ess: i.ess,
            evidence,
            mean_energy,
            mean_energy_error,
            walk_mean_energy: energies.iter().sum::<f64>() / n,
        });
    }

    pub(super) fn latent(&mut self, fit: &LatentReport, distances: [f64; 2], map: Option<f64>) {
        let [computed, decoded] = distances;
        let deformation = self.deformation.get_or_insert_default();
        deformation.latent = Some(report::LatentFit {
            directions: fit.sizes[0],
            codes: fit.sizes[1],
            best_step: fit.best_step,
            steps: fit.steps,
            error: fit.error,
            linear_error: fit.linear_error,
            computed,
            decoded,
        });
        deformation.distance = Some(computed.min(decoded));
        deformation.map_distance = map;
    }

    pub(super) fn no_flow(&mut self) {
        self.deformation.get_or_insert_default().no_hidden_layer = true;
    }

    pub(super) fn carries_data(&mut self, rows: usize) {
        self.deformation.get_or_insert_default().stored = Some(Stored::Rows { rows });
    }

    pub(super) fn frozen(&mut self, draws: usize) {
        self.deformation.get_or_insert_default().stored = Some(Stored::Draws { draws });
    }
}
