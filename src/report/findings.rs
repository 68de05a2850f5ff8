//! Findings of the fit's own checks, in plain words.

use super::verdict::{Reason, Trust, reason};
use crate::artifact::Metadata;
use crate::artifact::report::{Finding, FitReport, Severity};

/// What the model file says of its fit.
pub fn of_fit(metadata: &Metadata) -> Vec<Reason> {
    let Some(report) = &metadata.report else {
        return vec![reason(
            Trust::LookCloser,
            "The model file is from an older program and does not say how its fit went.",
            "Fit again with this version.",
        )];
    };
    // notes are in the summary: nothing has to be done about them
    let findings = report.verdict();
    let findings = findings.iter().filter(|f| f.severity() != Severity::Note);
    let mut all: Vec<Reason> = findings.map(|f| of_finding(f, report)).collect();
    if metadata.method == "map" {
        all.push(reason(
            Trust::LookCloser,
            "It is a single network (method map). It does not know what it does not know: away from \
             the training rows it may be sure and wrong.",
            "Fit with --method walk.",
        ));
    }
    all
}

/// A finding in plain words. Its own sentence is kept beside them.
fn of_finding(finding: &Finding, report: &FitReport) -> Reason {
    // what is wrong with models of a mixture is that of the heaviest of them
    if let Finding::OfModels { heaviest, .. } = finding {
        let of_one = of_finding(heaviest, report);
        return Reason {
            what: format!("Of some of its models: {}", of_one.what),
            advice: finding.advice(report).into(),
            detail: finding.sentence(),
            ..of_one
        };
    }
    let more_steps = match report.walk.as_ref() {
        // more steps would not be taken either
        Some(walk) if walk.cut_short.is_some() => {
            "Fit again with more time: raise --max-seconds.".into()
        }
        Some(walk) => {
            let steps = walk.steps.saturating_mul(2);
            format!("Fit again for longer: --steps {steps}.")
        }
        None => "Fit again with more --steps.".into(),
    };
    let (trust, what) = match finding {
        Finding::AllWell => (
            Trust::Trust,
            "All checks of the fit itself passed: the search for plausible networks went well.",
        ),
        Finding::WalkersDisagree { .. } | Finding::WalkersRemember { .. } => (
            Trust::LookCloser,
            "The fit searched for plausible networks from several starting points, and the searches \
             do not agree well enough yet. What it says it is unsure of may be off; the test rows \
             below show by how much for rows like them.",
        ),
        Finding::StartNotForgotten { .. } => (
            Trust::LookCloser,
            "The search for plausible networks was still under way when its time was up.",
        ),
        Finding::CutShort {
            in_warm_up: true, ..
        }
        | Finding::ChainsCutShort {
            in_warm_up: true, ..
        } => (
            Trust::DoNotTrust,
            "The time limit ended the fit before it had really begun to collect plausible networks.",
        ),
        Finding::CutShort { .. } | Finding::ChainsCutShort { .. } => (
            Trust::LookCloser,
            "The time limit ended the fit early. It did collect plausible networks before that.",
        ),
        Finding::LargeEnergyError { .. }
        | Finding::StepTooLong { .. }
        | Finding::FrequentDivergences { .. }
        | Finding::BaselineDiverged { .. } => (
            Trust::LookCloser,
            "Part of the search for plausible networks went numerically wrong, so some plausible \
             networks may be missing.",
        ),
        Finding::StepTooShort { .. } => (
            Trust::DoNotTrust,
            "The search for plausible networks hardly moved, so the model knows of one network only \
             and is surer than it should be.",
        ),
        Finding::WalkNotJudged { .. } => (
            Trust::DoNotTrust,
            "The search for plausible networks was too small to tell whether it found any.",
        ),
        Finding::JointMode => (
            Trust::DoNotTrust,
            "It is a single network at the joint mode of weights and scales, which predicts badly.",
        ),
        Finding::ChoiceCutShort { .. } => (
            Trust::LookCloser,
            "The time limit cut the comparison of models short, so a better one may be missing.",
        ),
        Finding::ConstantPredictions { .. } => (
            Trust::DoNotTrust,
            "It predicts nearly the same for every row, so it has learned next to nothing from the \
             columns.",
        ),
        Finding::DeformationFar { .. } | Finding::FlowUnfaithful { .. } => (
            Trust::LookCloser,
            "The compact form that the model is stored in does not reproduce the plausible networks \
             that the fit found.",
        ),
        Finding::EvidenceNotSettled { .. } | Finding::ScaleAtBound => (
            Trust::LookCloser,
            "How large weights and noise may be was not settled, so the model may be too rigid or \
             too flexible.",
        ),
        Finding::AboveMinimum { .. } => (
            Trust::LookCloser,
            "Training stopped a little before its end.",
        ),
        Finding::ChainsDisagree { .. } | Finding::NoModelAgrees => (
            Trust::LookCloser,
            "Repeated searches for plausible networks do not agree with one another.",
        ),
        Finding::RowsNotRefitted { .. } | Finding::CheckpointNotWritten { .. } => (
            Trust::Trust,
            "A side task of the fit failed. Predictions are not concerned.",
        ),
        _ => (Trust::LookCloser, "The fit reported something unusual."),
    };
    let longer = matches!(
        finding,
        Finding::WalkersDisagree { .. }
            | Finding::WalkersRemember { .. }
            | Finding::StartNotForgotten { .. }
    ) || matches!(finding, Finding::WalkNotJudged { particles: 2.., .. });
    Reason {
        trust,
        what: what.into(),
        advice: match longer {
            true => more_steps,
            false => finding.advice(report).into(),
        },
        detail: match finding {
            Finding::AllWell => String::new(),
            _ => finding.sentence(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Models of a mixture have the words of a model alone, with the advice for a mixture.
    #[test]
    fn what_is_wrong_with_models_of_a_mixture_is_said_plainly() {
        let inner = Finding::StepTooShort {
            step_size: 1e-9,
            path: 1e-6,
        };
        let found = Finding::OfModels {
            models: 1,
            of: 2,
            heaviest: Box::new(inner.clone()),
        };
        let report = FitReport::default();
        let (one, all) = (of_finding(&inner, &report), of_finding(&found, &report));
        assert_eq!(all.trust, one.trust);
        assert!(all.what.contains(&one.what) && all.what.starts_with("Of some"));
        assert_eq!(all.advice, found.advice(&report));
        assert!(all.detail.contains("1 of the 2 models"), "{}", all.detail);
    }

    /// A walk that ran out of time would not take more steps.
    #[test]
    fn a_walk_is_to_be_longer_in_what_ended_it() {
        use crate::artifact::report::{CutShort, Walk};
        let advice = |cut_short| {
            let walk = Walk {
                steps: 20,
                cut_short,
                ..Walk::default()
            };
            let report = FitReport {
                walk: Some(walk),
                ..FitReport::default()
            };
            let remember = Finding::WalkersRemember {
                rhat: 2.0,
                limit: 1.1,
            };
            of_finding(&remember, &report).advice
        };
        assert!(advice(None).contains("--steps 40"));
        let cut = advice(Some(CutShort::default()));
        assert!(
            cut.contains("--max-seconds") && !cut.contains("--steps"),
            "{cut}"
        );
    }

    #[test]
    fn the_worst_reason_decides_and_old_files_ask_for_a_look() {
        let report = FitReport {
            constant_predictions: Some(1e-4),
            ..FitReport::default()
        };
        let all: Vec<Reason> = report
            .verdict()
            .iter()
            .map(|f| of_finding(f, &report))
            .collect();
        assert_eq!(all[0].trust, Trust::DoNotTrust);
        assert!(Trust::DoNotTrust > Trust::LookCloser && Trust::LookCloser > Trust::Trust);
    }
}
