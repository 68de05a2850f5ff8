//! What the verdict says of the models of a mixture.

use super::tests::walked;
use super::*;

/// A mixture of these walks, the heaviest first.
fn mixture(members: Vec<FitReport>) -> FitReport {
    let member = |fit: FitReport| Tried {
        name: "a model".into(),
        weight: Some(0.5),
        fit: Some(Box::new(fit.of_member())),
        ..Tried::default()
    };
    FitReport {
        portfolio: Some(Portfolio {
            tried: members.into_iter().map(member).collect(),
            ..Portfolio::default()
        }),
        ..FitReport::default()
    }
}

/// A walk with sampled scales and these R-hats.
fn agreeing(predictions: f64, scales: f64) -> FitReport {
    FitReport {
        mixing: Some(Mixing {
            predictions: Some(PredictionMixing {
                rhat_median: predictions,
                ..PredictionMixing::default()
            }),
            ..Mixing::default()
        }),
        sampled_scales: Some(SampledScales {
            scales: vec![SampledScale {
                rhat: scales,
                ..SampledScale::default()
            }],
            ..SampledScales::default()
        }),
        ..walked()
    }
}

fn cut(in_warm_up: bool) -> FitReport {
    let mut report = walked();
    report.walk.as_mut().unwrap().cut_short = Some(CutShort {
        at_most: 900,
        in_warm_up,
    });
    if in_warm_up {
        report.mixing = None;
    }
    report
}

/// Whatever is wrong with a walk alone is wrong with it in a mixture, and nothing else is.
#[test]
fn a_walk_in_a_mixture_is_held_against_the_limits_of_one_alone() {
    let mut lost = walked();
    lost.walk.as_mut().unwrap().divergence_rate = 0.02;
    let mut fresh = walked();
    fresh.walk.as_mut().unwrap().forgotten = false;
    let mut unknown = walked();
    unknown.mixing = None;
    let all = [
        walked(),
        agreeing(1.19, 1.49),
        agreeing(1.21, 1.0),
        agreeing(1.0, 1.51),
        cut(true),
        cut(false),
        lost,
        fresh,
        unknown,
    ];
    for report in all {
        let alone = report.verdict();
        let inside = mixture(vec![walked(), report]).verdict();
        if alone == [Finding::AllWell] {
            assert_eq!(inside, alone);
            continue;
        }
        let wrapped = alone.into_iter().map(|finding| Finding::OfModels {
            models: 1,
            of: 2,
            heaviest: Box::new(finding),
        });
        assert_eq!(inside, wrapped.collect::<Vec<_>>());
        assert!(inside.iter().all(|f| f.severity() == Severity::Warning));
        assert!(
            inside
                .iter()
                .map(|f| f.advice(&FitReport::default()))
                .all(|advice| advice.starts_with("Take") || advice.contains("--max-seconds"))
        );
    }
}

#[test]
fn each_finding_is_said_once_with_the_figures_of_the_heaviest() {
    let report = mixture(vec![
        agreeing(1.4, 1.0),
        cut(true),
        cut(false),
        agreeing(1.59, 2.0),
        cut(true),
    ]);
    let text = report.to_string();
    let verdicts: Vec<&str> = text.lines().filter(|l| l.starts_with("verdict")).collect();
    assert_eq!(verdicts.len(), 3, "{text}");
    let says = |words: &[&str]| {
        assert!(
            verdicts.iter().any(|v| words.iter().all(|w| v.contains(w))),
            "{words:?}: {text}"
        );
    };
    says(&["2 of the 5 models", "of predictions 1.40", "--steps"]);
    says(&["2 of the 5 models", "in its warm-up", "--max-seconds"]);
    says(&["1 of the 5 models", "with the points that it had kept"]);
    assert!(
        text.contains("no R-hat, cut short after 100 of 900 steps"),
        "{text}"
    );
    assert!(text.contains("R-hat of scales 2.00"), "{text}");
}

#[test]
fn walks_that_chose_among_models_count_too() {
    let mut report = mixture(vec![walked()]);
    let portfolio = report.portfolio.as_mut().unwrap();
    (portfolio.walks, portfolio.cut_in_warm_up) = (25, 0);
    assert_eq!(report.verdict(), [Finding::AllWell]);
    report.portfolio.as_mut().unwrap().cut_in_warm_up = 20;
    let found = report.verdict();
    assert_eq!(found, [Finding::ChoiceCutShort { walks: 20, of: 25 }]);
    assert!(found[0].sentence().contains("20 of the 25 walks"));
    assert_eq!(found[0].severity(), Severity::Warning);
    let back: FitReport = serde_json::from_str(&serde_json::to_string(&report).unwrap()).unwrap();
    assert_eq!(back, report);
}
