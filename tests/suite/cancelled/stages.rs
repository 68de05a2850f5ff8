//! Every stage, and what a bar is given.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::{classes, end_at, kept, names, real, small, small_flow, small_walk, with};
use crate::common::{normals, short};
use fiberwalk::Error;
use fiberwalk::data::{Dataset, Task};
use fiberwalk::pipeline::{
    Batch, CheckpointOptions, FitOptions, FlowChoice, Method, PointsSettings, PriorChoice, Stage,
    WalkSettings, fit,
};

/// Rows of which one cannot be left out by weights, see `choice`.
fn contradicted() -> Dataset {
    let mut x = normals(30, 3);
    let errors = normals(30, 4);
    let mut y: Vec<f64> = x.iter().zip(errors).map(|(x, e)| x + 0.3 * e).collect();
    (x[7], y[7]) = (6.0, -4.0);
    Dataset::new(x, y, vec!["x".into()], "y", Task::Regression).unwrap()
}

/// Data, options, and the report of a stage at which the fit is cancelled.
type Case = (Dataset, FitOptions, Stage, fn(usize, usize) -> bool);

/// Cancelled in the middle of a stage, a fit ends at once. Before the walk and in place of a walk
/// nothing is kept. After it, the last checkpoint of the walk is.
#[test]
fn every_stage_can_be_cancelled() {
    let evidence = |method| with(small(method), |o| o.prior = PriorChoice::Evidence);
    let batches = |method| {
        with(evidence(method), |options| {
            (options.batch, options.epochs) = (Batch::Rows(20), Some(5));
        })
    };
    let flow = |choice| {
        with(small(Method::Flow), |o| {
            o.method = small_flow(choice).into()
        })
    };
    let (units, frame) = (flow(FlowChoice::Units), flow(FlowChoice::Frame));
    let starts = WalkSettings {
        starts: 3,
        ..small_walk()
    };
    let refits = PointsSettings {
        walk: WalkSettings {
            samples: 128,
            steps: Some(200),
            ..small_walk()
        },
        loo_refits: 30,
        ..PointsSettings::default()
    };
    let refits = with(small(Method::Walk), |options| {
        (options.hidden, options.method) = (Vec::new(), refits.clone().into());
    });
    let auto = FitOptions {
        method: short(Method::Auto, 4, 20, 8),
        ..FitOptions::default()
    };
    let third = |done: usize, _: usize| done == 3;
    let first = |_: usize, _: usize| true;
    let mut cases: Vec<Case> = vec![
        (classes(), evidence(Method::Walk), Stage::Map, third),
        // the third round of tuning
        (classes(), evidence(Method::Map), Stage::Map, |done, _| {
            done > 6_000
        }),
        (real(), evidence(Method::Walk), Stage::Map, third),
        (classes(), batches(Method::Walk), Stage::Map, third),
        (
            classes(),
            with(small(Method::Map), |o| o.prior = PriorChoice::Ard),
            Stage::Map,
            third,
        ),
        (real(), small(Method::Walk), Stage::Starts, third),
        (
            classes(),
            with(evidence(Method::Walk), |o| o.method = starts.into()),
            Stage::Starts,
            third,
        ),
        (
            classes(),
            with(batches(Method::Walk), |o| o.method = starts.into()),
            Stage::Starts,
            third,
        ),
        (classes(), small(Method::Walk), Stage::Walk, third),
        (classes(), frame, Stage::Flow, first),
        (classes(), units.clone(), Stage::Flow, third),
        // in the refinement
        (classes(), units, Stage::Flow, |done, total| {
            total - done < 150
        }),
        (contradicted(), refits, Stage::LeaveOneOut, first),
        (classes(), auto.clone(), Stage::Choice, |done, _| done >= 2),
        // the fits to all rows
        (classes(), auto, Stage::Choice, |done, _| done > 510),
        (
            classes(),
            with(small(Method::Map), |options| {
                options.choose_hidden = Some(small_walk());
            }),
            Stage::Choice,
            |done, _| done >= 2,
        ),
        (classes(), batches(Method::Ensemble), Stage::Baseline, third),
    ];
    for method in [
        Method::Ensemble,
        Method::Swag,
        Method::Sgld,
        Method::Vi,
        Method::Dropout,
        Method::Hmc,
        Method::Nuts,
        Method::Riemann,
    ] {
        cases.push((classes(), evidence(method), Stage::Baseline, third));
    }
    for (data, options, stage, at) in cases {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("checkpoint");
        let checkpoint = CheckpointOptions {
            path: path.clone(),
            every: Some(Duration::ZERO),
            ..CheckpointOptions::default()
        };
        let options = FitOptions {
            method: kept(options.method, checkpoint, dir.path().join("points")),
            ..options
        };
        let what = format!("{} at {}", options.method.method(), stage.name());
        let end = end_at(|s, done, total| s == stage && at(done, total));
        let error = fit::<f32>(&data, &options, &end).err();
        let Some(Error::Cancelled {
            stage: told,
            checkpoint,
        }) = error
        else {
            panic!("{what}: {error:?}");
        };
        assert_eq!(told, stage.name(), "{what}");
        // every thread may be in the middle of a step
        let late = end.late.load(Ordering::SeqCst);
        assert!(
            late <= rayon::current_num_threads(),
            "{what}: {late} steps more"
        );
        let walked = [Stage::Walk, Stage::Flow, Stage::LeaveOneOut].contains(&stage);
        assert_eq!(checkpoint, walked.then(|| path.clone()), "{what}");
        let left = names(dir.path());
        let mut known = vec!["checkpoint".to_string()];
        if stage == Stage::LeaveOneOut {
            known.push("points".into());
        }
        known.retain(|_| walked);
        assert_eq!(left, known, "{what}");
    }
}

/// What a bar is given over whole fits: a total that does not change once it is known, and never
/// less than what is done.
#[test]
fn totals_are_honest_and_do_not_jump() {
    let evidence = |method| with(small(method), |o| o.prior = PriorChoice::Evidence);
    let starts = WalkSettings {
        starts: 2,
        steps: None,
        ..small_walk()
    };
    let cases = [
        // noise from several starts, tuned in rounds
        (real(), evidence(Method::Walk)),
        (
            classes(),
            with(evidence(Method::Walk), |o| o.method = starts.into()),
        ),
        (classes(), small(Method::Flow)),
        (classes(), evidence(Method::Ensemble)),
        (classes(), evidence(Method::Riemann)),
        (
            classes(),
            with(small(Method::Map), |options| {
                options.choose_hidden = Some(small_walk());
            }),
        ),
    ];
    for (data, options) in cases {
        let reports: Mutex<BTreeMap<&str, Vec<[usize; 2]>>> = Mutex::default();
        let record = |stage: Stage, done, total| {
            let mut all = reports.lock().unwrap();
            all.entry(stage.name()).or_default().push([done, total]);
        };
        fit::<f32>(&data, &options, &record).unwrap();
        let reports = reports.into_inner().unwrap();
        let what = format!("{} {:?}", options.method.method(), reports.keys());
        assert!(!reports.is_empty());
        for (stage, reports) in reports {
            let known = reports.iter().position(|r| r[1] > 0);
            let known = known.unwrap_or_else(|| panic!("{what}: {stage} has no total"));
            let walk = options.method.walk();
            let auto = stage == "walk" && walk.is_some_and(|walk| walk.steps.is_none());
            assert_eq!(known > 0, auto, "{what}: {stage}");
            let total = reports[known][1];
            for &[done, of] in &reports[known..] {
                assert!(
                    of == total && done <= total,
                    "{what}: {stage}: {done} of {of}"
                );
            }
            // a walk and a count end full; training may end early
            if ["walk", "baseline"].contains(&stage) {
                let most = reports.iter().map(|r| r[0]).max();
                assert_eq!(most, Some(total), "{what}: {stage}");
            }
        }
    }
}
