//! What the verdict says of groups of walkers.

use super::tests::walked;
use super::*;

/// A walk whose plain R-hat is `rhat`, and whose nested one is `nested`.
fn report(rhat: f64, nested: f64) -> FitReport {
    FitReport {
        mixing: Some(Mixing {
            energy_rhat: rhat,
            predictions: Some(PredictionMixing {
                count: 3,
                rhat_median: rhat,
                rhat_worst: rhat,
                ..PredictionMixing::default()
            }),
            groups: Some(GroupMixing {
                groups: 4,
                energy: 1.1,
                predictions: nested,
                worst: nested,
                limit: 1.18,
            }),
            ..Mixing::default()
        }),
        ..walked()
    }
}

/// Short walkers have not been everywhere, which is no fault if they have forgotten where they
/// were.
#[test]
fn groups_decide_where_there_are_any() {
    let healthy = report(6.5, 1.02);
    assert_eq!(healthy.verdict(), [Finding::AllWell]);
    let text = healthy.to_string();
    let says = text.contains("nested R-hat 1.020") && !text.contains("6.5");
    assert!(says, "{text}");
    let stuck = report(1.01, 1.3).verdict();
    assert!(matches!(stuck[..], [Finding::WalkersRemember { .. }]));
    let sentence = stuck[0].sentence();
    assert!(sentence.contains("1.30, to be below 1.18"), "{sentence}");
    assert!(stuck[0].advice(&healthy).contains("--steps"));
}
