//! What a verdict can say: each finding with a sentence, and what to do about it.

use crate::error::{counted, shortest};
use serde::Serialize;

/// Variance of the energy error per dimension beyond which a walk without a test is biased.
pub(super) const ENERGY_ERROR: f64 = 1e-3;

/// R-hat of the energy, and E-BFMI, of chains that are to be trusted.
pub(super) const CHAINS: f64 = 1.1;
pub(super) const E_BFMI: f64 = 0.3;

/// Whether something has to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Nothing is wrong.
    Well,
    /// Good to know; predictions are as good as they look.
    Note,
    /// Predictions may be worse than they look.
    Warning,
}

/// One thing that the verdict says.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "finding", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Finding {
    /// No check found a problem.
    AllWell,
    /// The walkers do not agree.
    WalkersDisagree {
        /// Largest R-hat of a sampled scale.
        scales: Option<f64>,
        /// Median R-hat of predictions.
        predictions: Option<f64>,
    },
    /// Walkers that were alike when points began to be kept still are.
    WalkersRemember {
        /// Median nested R-hat of predictions.
        rhat: f64,
        /// What it should be below.
        limit: f64,
    },
    /// The walk kept points before it had forgotten where it started.
    StartNotForgotten {
        /// Steps that it took.
        steps: usize,
    },
    /// The walk is too short, or of too few particles, to be judged.
    WalkNotJudged {
        /// Steps that it took.
        steps: usize,
        /// Its particles.
        particles: usize,
    },
    /// The walk's steps are too long.
    LargeEnergyError {
        /// Variance of the energy error per dimension.
        error: f64,
    },
    /// Many steps of the walk diverged.
    FrequentDivergences {
        /// Their share.
        share: f64,
        /// True of a kernel that draws from the posterior.
        sampler: bool,
    },
    /// The step that was given is too long: steps diverged.
    StepTooLong {
        /// The step.
        step_size: f64,
        /// Share of the steps that diverged.
        share: f64,
    },
    /// The step that was given is too short: walkers hardly moved.
    StepTooShort {
        /// The step.
        step_size: f64,
        /// Length of a walker's whole path, as a share of the width of the posterior.
        path: f64,
    },
    /// Predictions hardly depend on the features.
    ConstantPredictions {
        /// Their spread over training rows, as a share of the target's.
        spread: f64,
    },
    /// A limit of time ended chains.
    ChainsCutShort {
        /// Draws, or steps, of each chain.
        taken: usize,
        /// How many there would have been.
        at_most: usize,
        /// True if they were still in their warm-up.
        in_warm_up: bool,
    },
    /// A budget of time or memory ended the walk.
    CutShort {
        /// Steps that it took.
        steps: usize,
        /// Steps that it would have taken at most.
        at_most: usize,
        /// True if it was still in its warm-up.
        in_warm_up: bool,
    },
    /// The deformation predicts no more like the walk than the MAP estimate does.
    DeformationFar {
        /// Its distance to the walk.
        distance: f64,
        /// That of the MAP estimate.
        map_distance: f64,
        /// True of a flow, false of an atlas.
        flow: bool,
    },
    /// Draws of the flow do not have the energy and the spread of the walk.
    FlowUnfaithful {
        /// Mean `U` of its draws.
        energy: f64,
        /// Spread of its predictions over the walk's.
        spread: f64,
    },
    /// The bounds of the evidence are far apart.
    WideBracket {
        /// By how many nats.
        width: f64,
    },
    /// The lower bound of the evidence is above the upper one: the walk's points are no draws of
    /// the posterior.
    CrossedBracket {
        /// By how many nats.
        over: f64,
    },
    /// The flow is too far from the posterior to be used as a density.
    LargeKHat {
        /// Shape of the tail of the weights.
        k_hat: f64,
        /// What it should be below.
        limit: f64,
    },
    /// The scales were still changing when tuning ended.
    EvidenceNotSettled {
        /// Rounds of tuning.
        rounds: usize,
    },
    /// A scale ended at the bound of what is allowed.
    ScaleAtBound,
    /// The model is the joint mode of parameters and scales.
    JointMode,
    /// The MAP estimate is above its minimum.
    AboveMinimum {
        /// By so many nats.
        nats: f64,
        /// After so many Gauss-Newton matrices.
        matrices: usize,
    },
    /// Chains of HMC or NUTS do not agree, or explore their energies badly.
    ChainsDisagree {
        /// R-hat of the energy.
        rhat: f64,
        /// The least E-BFMI.
        e_bfmi: f64,
    },
    /// Trajectories, chains or geodesics of a baseline could not be followed.
    BaselineDiverged {
        /// How many.
        failed: usize,
        /// What they are.
        what: String,
    },
    /// The walkers of no model of a mixture agree.
    NoModelAgrees,
    /// Rows without which no fit could be made.
    RowsNotRefitted {
        /// How many.
        rows: usize,
    },
    /// A checkpoint could not be written.
    CheckpointNotWritten {
        /// Why.
        why: String,
    },
    /// Leave-one-out is too good for some rows.
    LooUnreliable {
        /// How many.
        rows: usize,
        /// Of all.
        of: usize,
    },
    /// There is no leave-one-out.
    LooFailed {
        /// Why.
        why: String,
    },
    /// Something else.
    Other {
        /// What.
        what: String,
    },
}

impl Finding {
    /// Whether something has to be done.
    pub fn severity(&self) -> Severity {
        match self {
            Self::AllWell => Severity::Well,
            Self::LargeKHat { .. }
            | Self::WideBracket { .. }
            | Self::LooUnreliable { .. }
            | Self::LooFailed { .. } => Severity::Note,
            _ => Severity::Warning,
        }
    }

    /// A sentence that says what was found.
    pub fn sentence(&self) -> String {
        match self {
            Self::AllWell => "all is well: no check of this fit found a problem.".into(),
            Self::WalkersDisagree {
                scales,
                predictions,
            } => {
                let parts = [("scales", scales), ("predictions", predictions)];
                let parts = parts
                    .into_iter()
                    .filter_map(|(what, r)| r.map(|r| format!("of {what} {r:.2}")));
                let parts: Vec<String> = parts.collect();
                format!("the walkers do not agree (R-hat {}).", parts.join(", "))
            }
            Self::WalkersRemember { rhat, limit } => format!(
                "the walkers still are near where they were when the warm-up ended (nested R-hat \
                 of predictions {rhat:.2}, to be below {limit:.2})."
            ),
            Self::StartNotForgotten { steps } => format!(
                "the walk had not forgotten its start when its steps were used up, after {steps}."
            ),
            Self::WalkNotJudged { steps, particles } => {
                let why = match particles {
                    0 | 1 => "one particle has no other to be compared with",
                    _ => "it is too short for its particles to be compared",
                };
                let steps = counted(steps, "step");
                format!("nobody knows whether the walk of {steps} found the posterior: {why}.")
            }
            Self::LargeEnergyError { error } => format!(
                "the steps are too long, so the walk is biased: the variance of the energy \
                 error is {error:.1e} per dimension, and should be below {ENERGY_ERROR:.0e}."
            ),
            Self::FrequentDivergences { share, sampler } => {
                let share = 100.0 * share;
                match sampler {
                    true => format!(
                        "{share:.1} % of the steps diverged: the walk does not get to where the \
                         posterior is narrow."
                    ),
                    false => format!(
                        "{share:.0} % of the steps could not be taken with their drift: the walk \
                         explored little."
                    ),
                }
            }
            Self::StepTooLong { step_size, share } => format!(
                "the given step of {} is too long: {:.1} % of the steps diverged.",
                shortest(*step_size),
                100.0 * share
            ),
            Self::StepTooShort { step_size, path } => format!(
                "the given step of {} is too short: a walker's whole path is {path:.0e} times as long \
                 as the posterior is wide, so all points are near its start.",
                shortest(*step_size)
            ),
            Self::ConstantPredictions { spread } => format!(
                "predictions are nearly the same for all training rows: their spread is {spread:.0e} \
                 times the target's, so next to nothing was learned from the features."
            ),
            Self::ChainsCutShort {
                taken,
                at_most,
                in_warm_up,
            } => {
                let what = match in_warm_up {
                    true => "in their warm-up: their points remember their start",
                    false => "with the points that they had kept",
                };
                format!("the budget ended the chains after {taken} of {at_most}, {what}.")
            }
            Self::CutShort {
                steps,
                at_most,
                in_warm_up,
            } => {
                let what = match in_warm_up {
                    true => "in its warm-up: its points remember their start",
                    false => "with the points that it had kept",
                };
                format!(
                    "the budget ended the walk after {steps} of {}, {what}.",
                    counted(at_most, "step")
                )
            }
            Self::DeformationFar {
                distance,
                map_distance,
                flow,
            } => {
                let what = if *flow { "flow" } else { "atlas" };
                format!(
                    "predictions of the {what} are no nearer to the walk's than those of the MAP \
                     estimate (distance {distance:.3}, MAP {map_distance:.3})."
                )
            }
            Self::FlowUnfaithful { energy, spread } => format!(
                "draws of the flow do not have the energy and the spread of the walk (mean U \
                 {energy:.1}, spread {spread:.2} times the walk's); no flow that was tried has both."
            ),
            Self::WideBracket { width } => format!(
                "the bounds of the evidence are {width:.1} nats apart: too wide to compare models \
                 by, or to say how near the walk is to the posterior."
            ),
            Self::CrossedBracket { over } => format!(
                "the lower bound of the evidence is {over:.1} nats above the upper one, which the \
                 walk's points give: these are no draws of the whole posterior."
            ),
            Self::LargeKHat { k_hat, limit } => format!(
                "the flow is no density to compute with (k-hat {k_hat:.2}, to be below \
                 {limit:.2}), so there is no estimate of the evidence. This is common, and \
                 predictions are not concerned: their distance to the walk's is what counts."
            ),
            Self::EvidenceNotSettled { rounds } => {
                let rounds = counted(rounds, "round");
                format!("the scales were still changing after {rounds} of tuning.")
            }
            Self::ScaleAtBound => "a tuned scale ended at the bound of what is allowed.".into(),
            Self::JointMode => {
                "the model is at the joint mode of parameters and scales, which predicts badly."
                    .into()
            }
            Self::AboveMinimum { nats, matrices } => format!(
                "the estimate is {nats:.2} nats above its minimum (Gauss-Newton matrices \
                 formed: {matrices})."
            ),
            Self::ChainsDisagree { rhat, e_bfmi } => format!(
                "the chains are not to be trusted yet (R-hat of the energy {rhat:.3}, to be below \
                 {CHAINS}; E-BFMI {e_bfmi:.2}, to be above {E_BFMI})."
            ),
            Self::BaselineDiverged { failed, what } => format!("{failed} {what}."),
            Self::NoModelAgrees => "the walkers of no model agree: the one of most weight is kept \
                                    all the same."
                .into(),
            Self::RowsNotRefitted { rows } => {
                format!("no fit could be made without {rows} of the rows that need one.")
            }
            Self::CheckpointNotWritten { why } => {
                format!("no checkpoint could be written: {why}.")
            }
            Self::LooUnreliable { rows, of } => {
                format!(
                    "leave-one-out is too good for {rows} of {} (where k is too large).",
                    counted(of, "row")
                )
            }
            Self::LooFailed { why } => format!("there is no leave-one-out: {why}."),
            Self::Other { what } => format!("{what}."),
        }
    }
}
