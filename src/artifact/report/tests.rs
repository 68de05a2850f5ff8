//! Reports as JSON, their totals, and what the verdict says.

use super::*;

fn through_json(report: &FitReport) -> FitReport {
    serde_json::from_str(&serde_json::to_string(report).unwrap()).unwrap()
}

/// A walk with given scales that has nothing to complain about.
pub(super) fn walked() -> FitReport {
    FitReport {
        network: Some(Network {
            description: "1-6-1 tanh".into(),
            parameters: 19,
        }),
        scales: Some(GivenScales {
            prior_precision: 1.5,
            settled: true,
            ..GivenScales::default()
        }),
        estimate: Some(Estimate {
            energy: 30.0,
            gradients: 400,
            share: Some(0.25),
            ..Estimate::default()
        }),
        kernel: Some(Kernel::Microcanonical {
            step_size: 0.1,
            step_size_given: false,
            decoherence_length: 2.0,
            decoherence_length_given: true,
            directions: 3,
            acceptance: None,
            energy_error: Some(1e-4),
        }),
        walk: Some(Walk {
            dim: 19,
            particles: 4,
            steps: 100,
            mean_energy: 41.0,
            gradients: 1_000,
            forgotten: true,
            ..Walk::default()
        }),
        mixing: Some(Mixing::default()),
        ..FitReport::default()
    }
}

fn only(report: &FitReport) -> Finding {
    let mut all = report.verdict();
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}

#[test]
fn a_report_survives_json_and_numbers_that_are_not_finite_do_not_end_it() {
    let full = FitReport {
        data: Some(Data {
            target_transform: Some(crate::data::Warp::Log),
            warped_features: vec!["a".into()],
            ..Data::default()
        }),
        starts: Some(Starts {
            energies: vec![1.0 / 3.0, 2.5],
            gradients: 7,
        }),
        baseline: Some(Baseline::Riemann {
            laplace: Laplace::default(),
            geodesics: 5,
            failed: 1,
            steps: 2,
            gradients: 3,
            products: 4,
        }),
        deformation: Some(Deformation {
            trust: Some(Trust::default()),
            stored: Some(Stored::Draws { draws: 3 }),
            ..Deformation::default()
        }),
        portfolio: Some(Portfolio {
            tried: vec![Tried {
                left_out: Some(LeftOut::Failed { why: "no".into() }),
                ..Tried::default()
            }],
            ..Portfolio::default()
        }),
        ..walked()
    };
    assert_eq!(through_json(&full), full);
    assert_eq!(
        through_json(&FitReport::default()),
        FitReport::default(),
        "nothing is known"
    );

    let mut odd = walked();
    odd.estimate.as_mut().unwrap().energy = f64::INFINITY;
    odd.walk.as_mut().unwrap().distance = Some(f64::NAN);
    odd.starts = Some(Starts {
        energies: vec![f64::NAN, 1.0],
        gradients: 0,
    });
    odd.kernel = Some(Kernel::OwnSteps {
        gradients_per_length: f64::NAN,
        energy_error: 0.0,
        decoherence_length: f64::NEG_INFINITY,
        directions: 0,
    });
    let json = serde_json::to_value(&odd).unwrap();
    assert!(json["estimate"]["energy"].is_null());
    let back = through_json(&odd);
    assert!(back.estimate.as_ref().unwrap().energy.is_nan());
    assert_eq!(back.walk.as_ref().unwrap().distance, None);
    let energies = &back.starts.as_ref().unwrap().energies;
    assert!(energies[0].is_nan() && energies[1] == 1.0);
    // written again it is the same
    assert_eq!(serde_json::to_value(&back).unwrap(), json);
    assert!(back.to_string().contains("U = NaN"));
}

#[test]
fn reports_of_other_programs_are_read_as_far_as_they_are_known() {
    // sections and fields that are missing, and fields that nobody knows
    let some = r#"{"walk":{"steps":3,"colour":"red"},"weather":1}"#;
    let report: FitReport = serde_json::from_str(some).unwrap();
    assert_eq!(report.walk.unwrap().steps, 3);
    #[derive(Deserialize)]
    struct File {
        #[serde(default, deserialize_with = "if_known")]
        report: Option<FitReport>,
    }
    let read = |json: &str| serde_json::from_str::<File>(json).unwrap().report;
    assert!(read("{}").is_none());
    assert!(read(r#"{"report":{"walk":{"steps":3}}}"#).is_some());
    // a kernel of a later program
    assert!(read(r#"{"report":{"kernel":{"kind":"teleport"}}}"#).is_none());
}

#[test]
fn gradients_are_counted_by_the_rows_that_they_are_of() {
    let mut report = walked();
    assert_eq!(report.gradients(), 100.0 + 1_000.0);
    report.walk_batches = Some(WalkBatches { rows: 10, of: 100 });
    report.starts = Some(Starts {
        energies: Vec::new(),
        gradients: 40,
    });
    report.method_gradients = Some(5.5);
    report.loo = Some(LeaveOneOut {
        refits: Some(Refits {
            gradients: 3.0,
            ..Refits::default()
        }),
        ..LeaveOneOut::default()
    });
    assert_eq!(report.gradients(), 100.0 + 10.0 + 100.0 + 5.5 + 3.0);
    // without an estimate what stands in its place counts
    report.estimate = None;
    report.descent_gradients = Some(60);
    assert_eq!(report.gradients(), 60.0 + 40.0 + 100.0 + 5.5 + 3.0);
    assert_eq!(FitReport::default().gradients(), 0.0);
}

#[test]
fn the_verdict_comes_first_and_what_is_expected_stands_beside_energies() {
    let report = walked();
    assert_eq!(only(&report), Finding::AllWell);
    let text = report.to_string();
    assert!(text.starts_with("verdict    all is well"), "{text}");
    // 30 + 19 / 2
    assert!(
        text.contains("mean U 41.0 (expected of draws: about 39.5)"),
        "{text}"
    );
}

#[test]
fn each_thing_that_is_wrong_has_a_sentence_and_an_option() {
    let with = |change: &dyn Fn(&mut FitReport)| {
        let mut report = walked();
        change(&mut report);
        report
    };
    let mixing = |rhat_median| Mixing {
        predictions: Some(PredictionMixing {
            rhat_median,
            ..PredictionMixing::default()
        }),
        ..Mixing::default()
    };
    let scale = |rhat| SampledScale {
        rhat,
        ..SampledScale::default()
    };
    let sampled = |rhat| SampledScales {
        groups: String::new(),
        scales: vec![scale(1.0), scale(rhat)],
    };
    let deformed = |distance, map| Deformation {
        distance: Some(distance),
        map_distance: Some(map),
        ..Deformation::default()
    };
    let cases: Vec<(FitReport, &str, &str)> = vec![
        (
            with(&|r| r.mixing = Some(mixing(1.7))),
            "do not agree",
            "--steps",
        ),
        (
            with(&|r| r.sampled_scales = Some(sampled(1.6))),
            "of scales 1.60",
            "--steps",
        ),
        (with(&|r| r.mixing = None), "found the posterior", "--steps"),
        (
            with(&|r| r.walk.as_mut().unwrap().forgotten = false),
            "not forgotten its start",
            "--steps",
        ),
        (
            with(&|r| r.walk.as_mut().unwrap().divergence_rate = 0.02),
            "2.0 % of the steps diverged",
            "--precision",
        ),
        (
            with(&|r| r.walk.as_mut().unwrap().cut_short = Some(CutShort::default())),
            "budget ended the walk",
            "--max-seconds",
        ),
        (
            with(&|r| r.scales.as_mut().unwrap().settled = false),
            "still changing",
            "--prior",
        ),
        (
            with(&|r| r.scales.as_mut().unwrap().bounded = true),
            "bound",
            "--prior-precision",
        ),
        (
            with(&|r| r.estimate.as_mut().unwrap().polish = Some(Polish::default())),
            "above its minimum",
            "--precision",
        ),
        (
            with(&|r| r.deformation = Some(deformed(0.5, 0.4))),
            "no nearer",
            "--method",
        ),
        (
            with(&|r| r.deformation = Some(deformed(f64::NAN, 0.4))),
            "no nearer",
            "--method",
        ),
        (
            with(&|r| {
                let failure = Some("full".into());
                r.checkpoint = Some(Checkpoint {
                    failure,
                    ..Checkpoint::default()
                });
            }),
            "no checkpoint could be written: full",
            "--checkpoint-every",
        ),
    ];
    for (report, sentence, option) in cases {
        let finding = only(&report);
        assert_eq!(finding.severity(), Severity::Warning, "{finding:?}");
        assert!(
            finding.sentence().contains(sentence),
            "{}",
            finding.sentence()
        );
        assert!(finding.advice(&report).contains(option), "{finding:?}");
        let text = report.to_string();
        assert!(
            text.starts_with("verdict ") && text.contains(sentence),
            "{text}"
        );
    }
    let error = |energy_error| {
        let mut report = walked();
        if let Some(Kernel::Microcanonical {
            energy_error: e, ..
        }) = &mut report.kernel
        {
            *e = energy_error;
        }
        report
    };
    let long = only(&error(Some(2e-3)));
    assert!(long.sentence().contains("biased") && long.advice(&walked()).contains("--adjusted"));
    assert_eq!(only(&error(None)), Finding::AllWell);
    // scales are given: walkers that have not been everywhere are no problem yet
    assert_eq!(
        only(&with(&|r| r.mixing = Some(mixing(1.3)))),
        Finding::AllWell
    );
    // nor are walkers that go along the fiber, wherever they are
    let along = with(&|r| {
        r.mixing = Some(mixing(6.0));
        r.kernel = Some(Kernel::Drift {
            step_size: 0.1,
            correction: 0.1,
            max_energy: 60.0,
        });
    });
    assert_eq!(only(&along), Finding::AllWell);
    let both = with(&|r| {
        r.mixing = Some(mixing(1.3));
        r.sampled_scales = Some(sampled(1.1));
    });
    assert!(matches!(only(&both), Finding::WalkersDisagree { .. }));
}

#[test]
fn notes_follow_and_do_not_spoil_the_verdict() {
    let mut report = walked();
    report.deformation = Some(Deformation {
        trust: Some(Trust {
            k_hat: 1.2,
            evidence: Evidence::HeavyTail { limit: 0.7 },
            ..Trust::default()
        }),
        ..Deformation::default()
    });
    report.loo = Some(LeaveOneOut {
        rows: 50,
        unreliable_rows: 3,
        ..LeaveOneOut::default()
    });
    let severities: Vec<Severity> = report.verdict().iter().map(Finding::severity).collect();
    assert_eq!(
        severities,
        [Severity::Well, Severity::Note, Severity::Note],
        "nothing has to be done"
    );
    assert!(
        report
            .to_string()
            .contains("\nnote       the flow is no density")
    );
    report.warnings.push("a locked door".into());
    let first = &report.verdict()[0];
    assert_eq!(first.severity(), Severity::Warning);
    assert!(
        report
            .to_string()
            .starts_with("verdict    a locked door.\n")
    );
    let json = serde_json::to_value(report.verdict()).unwrap();
    assert_eq!(json[0]["finding"], "other");
    assert_eq!(json[1]["finding"], "large_k_hat");
}

#[test]
fn names_from_outside_cannot_steer_a_terminal() {
    let report = FitReport {
        data: Some(Data {
            target: "y\u{1b}[2J\n".into(),
            ..Data::default()
        }),
        ..FitReport::default()
    };
    let text = report.to_string();
    assert!(
        !text.contains('\u{1b}') && text.lines().count() == 2,
        "{text:?}"
    );
}

#[test]
fn what_another_run_would_not_say_is_not_in_a_model_file() {
    let mut report = walked();
    report.checkpoint = Some(Checkpoint {
        resumed_after: Some(3),
        ..Checkpoint::default()
    });
    assert!(report.to_string().contains("resumed    after 3 steps"));
    assert_eq!(report.of_model(), walked());
}
