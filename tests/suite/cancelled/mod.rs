//! Fits that their caller ends: walks that go on, and at every other stage, with nothing left
//! behind.

mod parts;
mod stages;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use fiberwalk::data::{Dataset, banana, regression_with_gap};
use fiberwalk::pipeline::{
    CheckpointOptions, FitOptions, FlowChoice, FlowSettings, KernelOptions, Method, MethodOptions,
    MicrocanonicalSettings, PriorChoice, Progress, Stage, WalkSettings, fit,
};
use fiberwalk::{Error, Streams};

use crate::common::short;

/// Ends a fit at the first report that `at` accepts.
struct EndAt<F> {
    at: F,
    over: AtomicBool,
    /// Reports that came later.
    late: AtomicUsize,
}

fn end_at<F: Fn(Stage, usize, usize) -> bool + Sync>(at: F) -> EndAt<F> {
    EndAt {
        at,
        over: AtomicBool::new(false),
        late: AtomicUsize::new(0),
    }
}

impl<F: Fn(Stage, usize, usize) -> bool + Sync> Progress for EndAt<F> {
    fn progress(&self, stage: Stage, done: usize, total: usize) {
        if self.cancelled() {
            self.late.fetch_add(1, Ordering::SeqCst);
        }
        if (self.at)(stage, done, total) {
            self.over.store(true, Ordering::SeqCst);
        }
    }

    fn cancelled(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }
}

fn small(method: Method) -> FitOptions {
    FitOptions {
        hidden: vec![4],
        method: short(method, 5, 60, 10),
        ..FitOptions::default()
    }
}

/// The walk of [`small`] fits.
fn small_walk() -> WalkSettings {
    *short(Method::Walk, 5, 60, 10).walk().unwrap()
}

/// A flow of one kind, learned from a small walk.
fn small_flow(flow: FlowChoice) -> FlowSettings {
    let walk = small_walk();
    FlowSettings {
        walk,
        flow,
        ..FlowSettings::default()
    }
}

/// The method with files for its walk, as far as it has them.
fn kept(
    mut method: MethodOptions,
    checkpoint: CheckpointOptions,
    points: PathBuf,
) -> MethodOptions {
    match &mut method {
        MethodOptions::Walk(walk) => {
            (walk.checkpoint, walk.spool) = (Some(checkpoint), Some(points));
        }
        MethodOptions::Atlas(atlas) => atlas.checkpoint = Some(checkpoint),
        MethodOptions::Flow(flow) => flow.checkpoint = Some(checkpoint),
        _ => {}
    }
    method
}

fn with(mut options: FitOptions, set: impl Fn(&mut FitOptions)) -> FitOptions {
    set(&mut options);
    options
}

fn classes() -> Dataset {
    banana(80, &Streams::new(3)).unwrap()
}

fn real() -> Dataset {
    regression_with_gap(40, 0.3, &Streams::new(4)).unwrap()
}

fn names(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).unwrap();
    let mut all: Vec<String> = entries
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    all.sort();
    all
}

/// A walk of every kind is cancelled again and again, also after its last block, and resumed on one
/// thread and on several.
#[test]
fn a_cancelled_walk_is_resumed_to_the_same_bits() {
    let evidence = |options: &mut FitOptions| options.prior = PriorChoice::Evidence;
    let by = |kernel: KernelOptions, starts: usize| {
        with(small(Method::Walk), |options| {
            let walk = WalkSettings {
                kernel,
                starts,
                ..small_walk()
            };
            options.method = walk.into();
            evidence(options);
        })
    };
    let batches = MicrocanonicalSettings {
        walk_batch: Some(20),
        ..MicrocanonicalSettings::default()
    };
    let adjusted = MicrocanonicalSettings {
        adjusted: true,
        ..MicrocanonicalSettings::default()
    };
    let cases = [
        // scales are sampled
        ("classes", classes(), small(Method::Walk)),
        ("noise", real(), small(Method::Walk)),
        ("starts", classes(), by(KernelOptions::default(), 2)),
        (
            "batches",
            classes(),
            by(KernelOptions::Microcanonical(batches), 1),
        ),
        ("drift", classes(), by(KernelOptions::Drift, 2)),
        ("tangent", classes(), by(KernelOptions::Tangent, 2)),
        (
            "drift over scales",
            real(),
            with(by(KernelOptions::Drift, 1), |options| {
                options.prior = PriorChoice::Hierarchical;
            }),
        ),
        (
            "flow",
            classes(),
            with(small(Method::Flow), |options| {
                let mut flow = small_flow(FlowChoice::Frame);
                flow.walk.kernel = KernelOptions::Microcanonical(adjusted);
                options.method = flow.into();
            }),
        ),
    ];
    let dir = tempfile::tempdir().unwrap();
    let (path, points) = (dir.path().join("checkpoint"), dir.path().join("points"));
    let single = rayon::ThreadPoolBuilder::new().num_threads(1);
    let single = single.build().unwrap();
    for (what, data, options) in cases {
        let whole = fit::<f32>(&data, &options, &()).unwrap().model;
        let whole = whole.to_bytes().unwrap();
        let (mut times, mut resume) = (0, false);
        let model = loop {
            let checkpoint = CheckpointOptions {
                path: path.clone(),
                on_cancel: true,
                resume,
                ..CheckpointOptions::default()
            };
            let options = FitOptions {
                method: kept(options.method.clone(), checkpoint, points.clone()),
                ..options.clone()
            };
            // after three blocks; in the end, after the last one
            let blocks = AtomicUsize::new(0);
            let end = end_at(|stage, done, total| {
                let blocks = blocks.fetch_add(usize::from(stage == Stage::Walk), Ordering::SeqCst);
                stage == Stage::Walk && (blocks == 2 || done == total)
            });
            let run = || fit::<f32>(&data, &options, &end);
            let ended = match times % 2 {
                0 => run(),
                _ => single.install(run),
            };
            match ended {
                Ok(fitted) => break fitted.model,
                Err(Error::Cancelled { stage, checkpoint }) => {
                    assert_eq!(
                        (stage, checkpoint.as_ref()),
                        ("walk", Some(&path)),
                        "{what}"
                    );
                    assert_eq!(end.late.load(Ordering::SeqCst), 0, "{what}");
                }
                Err(error) => panic!("{what}: {error}"),
            }
            let left = names(dir.path());
            assert!(left.contains(&"checkpoint".into()), "{what}: {left:?}");
            assert!(
                left.iter().all(|n| !n.ends_with(".lock")),
                "{what}: {left:?}"
            );
            (times, resume) = (times + 1, true);
        };
        assert!(times > 3, "{what}: cancelled {times} times");
        assert!(model.to_bytes().unwrap() == whole, "{what}");
        drop(model);
        std::fs::remove_file(&path).unwrap();
        let _ = std::fs::remove_file(&points);
    }
}

/// A walk that nobody asked to save leaves no file, though it has kept points; the message says so.
/// One that was resumed can be resumed again from the same file.
#[test]
fn a_cancelled_walk_without_a_checkpoint_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (path, points) = (dir.path().join("checkpoint"), dir.path().join("points"));
    let kept = |every, on_cancel, resume| {
        let checkpoint = CheckpointOptions {
            path: path.clone(),
            every,
            on_cancel,
            resume,
        };
        with(small(Method::Walk), |options| {
            let method = options.method.clone();
            options.method = self::kept(method, checkpoint.clone(), points.clone());
        })
    };
    let late = || end_at(|stage, done, _| stage == Stage::Walk && done > 50);
    let ended = |options: &FitOptions| fit::<f32>(&classes(), options, &late()).err().unwrap();
    let error = ended(&kept(None, false, false));
    assert!(matches!(
        &error,
        Error::Cancelled {
            stage: "walk",
            checkpoint: None
        }
    ));
    assert!(error.to_string().contains("nothing was kept"), "{error}");
    assert_eq!(names(dir.path()), [""; 0]);
    // the file of another walk stays if this one has not come to its own
    let error = ended(&kept(None, true, false));
    let said = error.to_string();
    assert!(
        said.contains("checkpoint holds the walk") && said.contains("resume"),
        "{said}"
    );
    let before = std::fs::read(&points).unwrap();
    let early = end_at(|stage, _, _| stage == Stage::Walk);
    let error = fit::<f32>(&classes(), &kept(None, false, false), &early);
    assert!(error.is_err_and(|e| matches!(
        e,
        Error::Cancelled {
            checkpoint: None,
            ..
        }
    )));
    assert!(std::fs::read(&points).unwrap() == before);
    // resumed, and not saved anew: what was resumed from is still good
    let error = ended(&kept(None, false, true));
    assert!(matches!(error, Error::Cancelled { checkpoint: Some(p), .. } if p == path));
    fit::<f32>(&classes(), &kept(None, false, true), &()).unwrap();
}
