//! What to do about a finding, with the option that does it.

use super::{Finding, FitReport};

impl Finding {
    /// What to do about the fit that `report` is of, with the option that does it; empty if there
    /// is nothing to do.
    pub fn advice(&self, report: &FitReport) -> &'static str {
        // what was done already helps no more
        let double = report.double;
        match self {
            Self::AllWell | Self::Other { .. } | Self::LooFailed { .. } => "",
            Self::WalkersDisagree { .. }
            | Self::WalkersRemember { .. }
            | Self::StartNotForgotten { .. } => "Take more --steps.",
            Self::LargeEnergyError { .. } => "Take a smaller --step-size, or --adjusted.",
            Self::WalkNotJudged {
                particles: 0 | 1, ..
            } => "Take more --particles.",
            // more steps would not be taken either
            Self::WalkNotJudged { .. }
                if report.walk.as_ref().is_some_and(|w| w.cut_short.is_some()) =>
            {
                "Raise --max-seconds or --max-memory."
            }
            Self::WalkNotJudged { .. } => "Take more --steps.",
            Self::OfModels { heaviest, .. } => match heaviest.as_ref() {
                // networks and priors are chosen by the method
                Self::CutShort {
                    in_warm_up: true, ..
                } => "Raise --max-seconds or --max-memory, or fit one model: --method walk.",
                Self::FrequentDivergences { .. } if double => "Take more --steps.",
                Self::FrequentDivergences { .. } => "Take --precision f64.",
                finding => finding.advice(report),
            },
            Self::ChoiceCutShort { .. } => {
                "Raise --max-seconds or --max-memory, or fit one model: --method walk."
            }
            Self::JointMode => "Take --prior evidence or --method walk.",
            Self::FrequentDivergences { sampler: true, .. } if double => {
                "Take other scales: --prior hierarchical or evidence."
            }
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
            // without a walk a prior of sampled scales is a joint mode, which predicts badly
            Self::EvidenceNotSettled { .. } | Self::ScaleAtBound if report.walk.is_none() => {
                "Sample the scales (--method walk), or give them: --prior-precision and --noise-std."
            }
            Self::EvidenceNotSettled { .. } | Self::ScaleAtBound => {
                "Sample the scales (--prior hierarchical), or give them: --prior-precision and \
                 --noise-std."
            }
            Self::AboveMinimum { .. } if double => {
                "Take other scales or layers: --prior-precision, \
                                                    --hidden."
            }
            Self::AboveMinimum { .. } => "Take --precision f64.",
            Self::ChainsDisagree { .. } if double => "Compare with --method walk.",
            Self::ChainsDisagree { .. } => "Take --precision f64, or compare with --method walk.",
            Self::BaselineDiverged { .. } if double => "Take another --method.",
            Self::BaselineDiverged { .. } => "Take --precision f64, or another --method.",
            Self::NoModelAgrees => "Take more --steps.",
            Self::RowsNotRefitted { .. } if double => "Leave out --loo-refits.",
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

#[cfg(test)]
mod tests {
    use super::super::{CutShort, Mixing, ModeScale, Walk};
    use super::*;
    use crate::artifact::report::tests::walked;

    /// Walks that went nowhere leave no R-hat, so no check of agreement can pass.
    #[test]
    fn a_walk_that_cannot_be_judged_is_not_well() {
        let of = |steps, particles| FitReport {
            mixing: None,
            walk: Some(Walk {
                steps,
                particles,
                ..walked().walk.unwrap_or_default()
            }),
            ..walked()
        };
        for (steps, particles, why, option) in [
            (3, 64, "too short", "--steps"),
            (8_000, 1, "one particle", "--particles"),
        ] {
            let report = of(steps, particles);
            let all = report.verdict();
            assert_eq!(all, [Finding::WalkNotJudged { steps, particles }]);
            assert!(all[0].sentence().contains(why), "{}", all[0].sentence());
            assert!(all[0].advice(&report).contains(option));
        }
        let mut cut = of(3, 64);
        if let Some(walk) = &mut cut.walk {
            walk.cut_short = Some(CutShort::default());
        }
        let found = cut.verdict().into_iter();
        let mut found = found.filter(|f| matches!(f, Finding::WalkNotJudged { .. }));
        assert!(
            found
                .next()
                .is_some_and(|f| f.advice(&cut).contains("--max-seconds"))
        );
        let judged = FitReport {
            mixing: Some(Mixing::default()),
            ..of(3, 64)
        };
        assert_eq!(judged.verdict(), [Finding::AllWell]);
    }

    /// The joint mode is a model only where nothing walks from it.
    #[test]
    fn a_joint_mode_is_not_well_and_advice_depends_on_the_fit() {
        let mode = FitReport {
            mode_scales: vec![ModeScale::default()],
            ..FitReport::default()
        };
        assert_eq!(mode.verdict(), [Finding::JointMode]);
        let advice = Finding::JointMode.advice(&mode);
        assert!(advice.contains("--prior evidence") && advice.contains("--method walk"));
        let found = Finding::ScaleAtBound;
        assert!(found.advice(&walked()).contains("--prior hierarchical"));
        let of_map = found.advice(&mode);
        assert!(of_map.contains("--method walk") && !of_map.contains("hierarchical"));
    }

    /// A small number never looks like zero, and a large one takes no 300 digits.
    #[test]
    fn numbers_in_lines_are_short_and_not_zero() {
        let mut report = walked();
        if let Some(scales) = &mut report.scales {
            (scales.prior_precision, scales.noise_std) = (1e-9, Some(1e300));
        }
        let text = report.to_string();
        assert!(text.contains("prior precision 1.000e-9 ("), "{text}");
        assert!(text.contains("noise std 1.000e300 ("), "{text}");
        assert!(text.contains("step 0.1000 ("), "{text}");
        let share = 0.5;
        let step_size = 1e300;
        let said = Finding::StepTooLong { step_size, share }.sentence();
        assert!(said.contains("step of 1e300 is"), "{said}");
    }

    #[test]
    fn a_fit_in_double_precision_is_not_told_to_take_it() {
        let all = [
            Finding::FrequentDivergences {
                share: 0.1,
                sampler: true,
            },
            Finding::AboveMinimum {
                nats: 1.0,
                matrices: 3,
            },
            Finding::ChainsDisagree {
                rhat: 2.0,
                e_bfmi: 0.1,
            },
            Finding::BaselineDiverged {
                failed: 1,
                what: "of 3 chains diverged".into(),
            },
            Finding::RowsNotRefitted { rows: 1 },
        ];
        let double = FitReport {
            double: true,
            ..FitReport::default()
        };
        for finding in all {
            let single = finding.advice(&FitReport::default());
            assert!(single.contains("--precision f64"), "{single}");
            let advice = finding.advice(&double);
            assert!(!advice.is_empty() && !advice.contains("f64"), "{advice}");
        }
    }
}
