//! What each finding says, and what to do about it.

use super::Finding;
use super::finding::{CHAINS, E_BFMI, ENERGY_ERROR};
use crate::error::counted;

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
            Self::AgreementUnknown => {
                "there are too few walkers or steps to say whether the walkers agree.".into()
            }
            Self::WalkersRemember { rhat, limit } => format!(
                "the walkers still are near where they were when the warm-up ended (nested R-hat \
                 of predictions {rhat:.2}, to be below {limit:.2})."
            ),
            Self::StartNotForgotten { steps } => format!(
                "the walk had not forgotten its start when its steps were used up, after {steps}."
            ),
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
                "the given step of {step_size} is too long: {:.1} % of the steps diverged.",
                100.0 * share
            ),
            Self::StepTooShort { step_size, path } => format!(
                "the given step of {step_size} is too short: a walker's whole path is {path:.0e} \
                 times as long as the posterior is wide, so all points are near its start."
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

    /// What to do, with the option that does it; empty if there is nothing to do.
    pub fn advice(&self) -> &'static str {
        match self {
            Self::AllWell | Self::Other { .. } | Self::LooFailed { .. } => "",
            Self::WalkersDisagree { .. }
            | Self::WalkersRemember { .. }
            | Self::StartNotForgotten { .. } => "Take more --steps.",
            Self::AgreementUnknown => "Take more --steps, and at least two --particles.",
            Self::OfModels { heaviest, .. } => match heaviest.as_ref() {
                // networks and priors are chosen by the method
                Self::CutShort {
                    in_warm_up: true, ..
                } => "Raise --max-seconds or --max-memory, or fit one model: --method walk.",
                Self::FrequentDivergences { .. } => "Take --precision f64.",
                finding => finding.advice(),
            },
            Self::ChoiceCutShort { .. } => {
                "Raise --max-seconds or --max-memory, or fit one model: --method walk."
            }
            Self::LargeEnergyError { .. } => "Take a smaller --step-size, or --adjusted.",
            Self::FrequentDivergences { sampler: true, .. } => {
                "Take --precision f64, or other scales: --prior hierarchical or evidence."
            }
            Self::FrequentDivergences { sampler: false, .. } => {
                "Take a smaller --step-size, or --kernel microcanonical."
            }
            Self::StepTooLong { .. } => "Take a smaller --step-size, or --step-size auto.",
            Self::StepTooShort { .. } => "Take a larger --step-size, or --step-size auto.",
            Self::ConstantPredictions { .. } => {
                "If they do tell something, take fewer or other layers (--hidden, --activation), or \
                 other scales (--prior hierarchical, --prior-precision 1)."
            }
            Self::ChainsCutShort { .. } => "Raise --max-seconds.",
            Self::CutShort {
                in_warm_up: true, ..
            } => "Raise --max-seconds or --max-memory, or take a smaller network: --hidden.",
            Self::CutShort { .. } => {
                "If the walkers agree nothing need be done; else raise --max-seconds or \
                 --max-memory."
            }
            Self::DeformationFar { flow: true, .. } | Self::FlowUnfaithful { .. } => {
                "Take --method atlas or --method walk."
            }
            Self::DeformationFar { .. } => "Take --method walk.",
            Self::WideBracket { .. } => "Take more temperatures: --bracket.",
            Self::CrossedBracket { .. } => "Take more --steps or more --particles.",
            Self::LargeKHat { .. } => {
                "Nothing need be done; to compare models, take leave-one-out (--method walk)."
            }
            Self::EvidenceNotSettled { .. } | Self::ScaleAtBound => {
                "Sample the scales (--prior hierarchical), or give them: --prior-precision and \
                 --noise-std."
            }
            Self::AboveMinimum { .. } => "Take --precision f64.",
            Self::ChainsDisagree { .. } => "Take --precision f64, or compare with --method walk.",
            Self::BaselineDiverged { .. } => "Take --precision f64, or another --method.",
            Self::NoModelAgrees => "Take more --steps.",
            Self::RowsNotRefitted { .. } => "Take --precision f64, or leave out --loo-refits.",
            Self::CheckpointNotWritten { .. } => {
                "See that the disk of --out has room, or write none: --checkpoint-every 0."
            }
            Self::LooUnreliable { .. } => {
                "Predictions are not concerned. To compare models by it, keep more --samples, or fit \
                 without these rows: --loo-refits N."
            }
        }
    }
}
