//! The verdict on a fit: what its sections have to say, held against limits.

use super::bracket::NARROW;
use super::finding::{CHAINS, E_BFMI, ENERGY_ERROR};
use super::{Baseline, Bracket, Evidence, Finding, FitReport, Kernel, Severity};
use crate::error::counted;

/// Median R-hat of predictions, and largest R-hat of a sampled scale, beyond which walkers are said
/// not to agree where scales are sampled.
const PREDICTIONS: f64 = 1.2;
const SCALES: f64 = 1.5;

/// The same of predictions where scales are given and nothing better is known. A single particle
/// need not have been everywhere for all together to have been; beyond this some are stuck where
/// others never are.
const STUCK: f64 = 1.6;

/// Share of the steps that may diverge: of a sampler, and of a walk along the fiber.
const DIVERGED: f64 = 0.01;
const LOST_DRIFT: f64 = 0.5;

/// Length of a walker's path, in widths of the posterior, below which it has not moved. The
/// coordinates of the walk make the posterior about `sqrt(P)` wide.
const NO_PATH: f64 = 0.05;

impl FitReport {
    /// What there is to say about the fit, warnings first. Without a warning the first finding is
    /// [`Finding::AllWell`].
    pub fn verdict(&self) -> Vec<Finding> {
        let mut all = Vec::new();
        self.judge_walk(&mut all);
        self.judge_members(&mut all);
        self.judge_estimate(&mut all);
        self.judge_bracket(&mut all);
        self.judge_deformation(&mut all);
        self.judge_baseline(&mut all);
        self.judge_loo(&mut all);
        if let Some(spread) = self.constant_predictions {
            all.push(Finding::ConstantPredictions { spread });
        }
        if self.portfolio.as_ref().is_some_and(|p| p.none_agrees) {
            all.push(Finding::NoModelAgrees);
        }
        let failure = self.checkpoint.as_ref().and_then(|c| c.failure.clone());
        all.extend(failure.map(|why| Finding::CheckpointNotWritten { why }));
        let others = self.warnings.iter().cloned();
        all.extend(others.map(|what| Finding::Other { what }));
        if all.iter().all(|f| f.severity() != Severity::Warning) {
            all.insert(0, Finding::AllWell);
        }
        all.sort_by_key(|f| f.severity() == Severity::Note);
        all
    }

    fn judge_walk(&self, all: &mut Vec<Finding>) {
        let mixing = self.mixing.as_ref();
        let predictions = mixing.and_then(|m| m.predictions.as_ref());
        let predictions = predictions.map(|p| p.rhat_median);
        let groups = mixing.and_then(|m| m.groups.as_ref());
        let sampled = self.sampled_scales.as_ref();
        let scales = sampled.map(|s| s.worst_rhat());
        let sampler = self.kernel.as_ref().is_none_or(|k| k.samples());
        let limit = match (sampled.is_some(), sampler) {
            (true, _) => PREDICTIONS,
            // groups of particles tell it better
            (false, true) if groups.is_some() => f64::INFINITY,
            (false, true) => STUCK,
            // a walk along the fiber is not meant to be everywhere
            (false, false) => f64::INFINITY,
        };
        let apart = |rhat: Option<f64>, limit: f64| rhat.is_some_and(|r| r > limit);
        if apart(predictions, limit) || apart(scales, SCALES) {
            all.push(Finding::WalkersDisagree {
                scales,
                predictions,
            });
        }
        if let Some(groups) = groups.filter(|g| sampler && g.predictions > g.limit) {
            let (rhat, limit) = (groups.predictions, groups.limit);
            all.push(Finding::WalkersRemember { rhat, limit });
        }
        let Some(walk) = &self.walk else { return };
        let cut_in_warm_up = walk.cut_short.as_ref().is_some_and(|c| c.in_warm_up);
        let steps = walk.steps;
        if sampler && mixing.is_none() && sampled.is_none() && !cut_in_warm_up {
            let particles = walk.particles;
            all.push(Finding::WalkNotJudged { steps, particles });
        }
        if !walk.forgotten && !cut_in_warm_up {
            all.push(Finding::StartNotForgotten { steps });
        }
        let error = self.kernel.as_ref().and_then(|k| k.energy_error());
        if let Some(error) = error.filter(|e| *e > ENERGY_ERROR) {
            all.push(Finding::LargeEnergyError { error });
        }
        let share = walk.divergence_rate;
        let given = self.kernel.as_ref().and_then(Kernel::given_step);
        if let Some(step_size) = given {
            let path = step_size * walk.gradients as f64 / walk.particles.max(1) as f64;
            let path = path / (walk.dim as f64).sqrt();
            if path < NO_PATH {
                all.push(Finding::StepTooShort { step_size, path });
            }
        }
        if let (Some(step_size), true) = (given, share > DIVERGED) {
            all.push(Finding::StepTooLong { step_size, share });
        } else if share > if sampler { DIVERGED } else { LOST_DRIFT } {
            all.push(Finding::FrequentDivergences { share, sampler });
        }
        if let Some(cut) = &walk.cut_short {
            let (at_most, in_warm_up) = (cut.at_most, cut.in_warm_up);
            all.push(Finding::CutShort {
                steps,
                at_most,
                in_warm_up,
            });
        }
    }

    /// The walks of a mixture's models are held against the limits of a walk that is alone. Each
    /// finding is said once for all of them.
    fn judge_members(&self, all: &mut Vec<Finding>) {
        let Some(portfolio) = &self.portfolio else {
            return;
        };
        if portfolio.cut_in_warm_up > 0 {
            all.push(Finding::ChoiceCutShort {
                walks: portfolio.cut_in_warm_up,
                of: portfolio.walks,
            });
        }
        let members = || portfolio.tried.iter().filter_map(|t| t.fit.as_deref());
        let mut found: Vec<(usize, Finding)> = Vec::new();
        for member in members() {
            let mut own = Vec::new();
            member.judge_walk(&mut own);
            for finding in own {
                match found.iter_mut().find(|(_, first)| first.is_like(&finding)) {
                    Some((models, _)) => *models += 1,
                    None => found.push((1, finding)),
                }
            }
        }
        let of = members().count();
        all.extend(found.into_iter().map(|(models, first)| Finding::OfModels {
            models,
            of,
            heaviest: Box::new(first),
        }));
    }

    fn judge_estimate(&self, all: &mut Vec<Finding>) {
        // a walk starts there, and does not stay
        if !self.mode_scales.is_empty() && self.walk.is_none() && self.baseline.is_none() {
            all.push(Finding::JointMode);
        }
        if let Some(scales) = &self.scales {
            let rounds = scales.rounds;
            if !scales.settled {
                all.push(Finding::EvidenceNotSettled { rounds });
            }
            if scales.bounded {
                all.push(Finding::ScaleAtBound);
            }
        }
        let polish = self.estimate.as_ref().and_then(|e| e.polish.as_ref());
        if let Some(end) = polish.filter(|p| !p.converged) {
            let (nats, matrices) = (end.decrement, end.matrices);
            all.push(Finding::AboveMinimum { nats, matrices });
        }
    }

    fn judge_bracket(&self, all: &mut Vec<Finding>) {
        let Some(bracket) = &self.bracket else {
            return;
        };
        let width = bracket.width();
        match bracket.crossed() {
            Some(over) => all.push(Finding::CrossedBracket { over }),
            None if width > NARROW => all.push(Finding::WideBracket { width }),
            // also where a bound is no number
            None if !width.is_finite() => all.push(Finding::WideBracket { width }),
            None => {}
        }
    }

    fn judge_deformation(&self, all: &mut Vec<Finding>) {
        let Some(deformation) = &self.deformation else {
            return;
        };
        if let (Some(distance), Some(map_distance)) =
            (deformation.distance, deformation.map_distance)
        {
            // also said when a distance is NaN
            let better = distance < map_distance;
            if !better {
                let flow = deformation.atlas.is_none();
                all.push(Finding::DeformationFar {
                    distance,
                    map_distance,
                    flow,
                });
            }
        }
        let kept = deformation.candidates.iter().find(|c| c.kept);
        let layers = deformation.layers.as_ref().map_or(0, |l| l.count);
        let kept = kept.and_then(|c| c.tried.iter().find(|t| t.layers == layers));
        if let Some(kept) = kept.filter(|k| !k.faithful) {
            let (energy, spread) = (kept.energy, kept.spread);
            all.push(Finding::FlowUnfaithful { energy, spread });
        }
        // a narrow bracket has the evidence that k-hat refuses
        let narrow = |b: &Bracket| b.width() <= NARROW && b.crossed().is_none();
        let bracketed = self.bracket.as_ref().is_some_and(narrow);
        if let Some(trust) = &deformation.trust
            && let Evidence::HeavyTail { limit } = trust.evidence
            && !bracketed
        {
            let k_hat = trust.k_hat;
            all.push(Finding::LargeKHat { k_hat, limit });
        }
    }

    fn judge_baseline(&self, all: &mut Vec<Finding>) {
        if let Some(cut) = &self.cut_chains {
            all.push(Finding::ChainsCutShort {
                taken: cut.taken,
                at_most: cut.at_most,
                in_warm_up: cut.in_warm_up,
            });
        }
        let mut diverged = |failed: usize, what: String| {
            if failed > 0 {
                all.push(Finding::BaselineDiverged { failed, what });
            }
        };
        match &self.baseline {
            Some(Baseline::Riemann {
                failed, geodesics, ..
            }) => {
                diverged(
                    *failed,
                    format!(
                        "of {} could not be followed to the end",
                        counted(geodesics, "geodesic")
                    ),
                );
            }
            Some(Baseline::Sgld {
                diverged: failed,
                chains,
                ..
            }) => {
                diverged(*failed, format!("of {} diverged", counted(chains, "chain")));
            }
            Some(Baseline::Chains {
                divergences,
                energy_rhat,
                e_bfmi,
                ..
            }) => {
                diverged(
                    *divergences,
                    "of the trajectories of the chains diverged".into(),
                );
                if *energy_rhat > CHAINS || *e_bfmi < E_BFMI {
                    let (rhat, e_bfmi) = (*energy_rhat, *e_bfmi);
                    all.push(Finding::ChainsDisagree { rhat, e_bfmi });
                }
            }
            _ => {}
        }
    }

    fn judge_loo(&self, all: &mut Vec<Finding>) {
        if let Some(why) = &self.loo_failure {
            all.push(Finding::LooFailed { why: why.clone() });
        }
        let Some(loo) = &self.loo else { return };
        let failed = loo.refits.as_ref().map_or(0, |r| r.failed.len());
        if failed > 0 {
            all.push(Finding::RowsNotRefitted { rows: failed });
        }
        if loo.unreliable_rows > 0 {
            let (rows, of) = (loo.unreliable_rows, loo.rows);
            all.push(Finding::LooUnreliable { rows, of });
        }
    }
}
