//! What each finding says.

use super::Finding;
use super::finding::{CHAINS, E_BFMI, ENERGY_ERROR};
use crate::error::{counted, shortest};

impl Finding {
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
            Self::OfModels {
                models,
                of,
                heaviest,
            } => format!(
                "{models} of the {} of the mixture (figures of the heaviest of them): {}",
                counted(of, "model"),
                heaviest.sentence()
            ),
            Self::ChoiceCutShort { walks, of } => format!(
                "the budget ended {walks} of the {} that chose among models in their warm-up: the \
                 choice is by fits that had not arrived.",
                counted(of, "walk")
            ),
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
