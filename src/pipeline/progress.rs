//! How far a fit is, and the wish to end it.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::error::{Error, Result};

/// The stage of a fit, for progress bars. A total is the most that a stage may take, and does not
/// change while the stage goes on. It is 0 as long as it is not known; `done` then counts all the
/// same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stage {
    /// The choice of a model by cross-validation, in thousandths. With method `auto` the second
    /// half is for the fits to all rows.
    Choice,
    /// Gradient steps of the MAP estimate. The total is for all rounds of tuning and all starts of
    /// the noise. The rounds usually settle earlier.
    Map,
    /// Gradient steps from other initial parameters towards the starts of walkers and chains.
    Starts,
    /// Steps of the walk. If their number is not given, the total is not known until the warm-up
    /// has ended.
    Walk,
    /// Steps of a method that replaces the walk: gradient steps, transitions or geodesics. The
    /// total is not known where the learning rate is searched for (SGLD and SWAG).
    Baseline,
    /// Temperatures of all particles that bracket the evidence.
    Bracket,
    /// Training steps of all flows that are tried. Each may stop early.
    Flow,
    /// Refits of exact leave-one-out, in thousandths.
    LeaveOneOut,
}

impl Stage {
    /// A short name, for labels and errors.
    pub fn name(self) -> &'static str {
        match self {
            Stage::Choice => "choice",
            Stage::Map => "map",
            Stage::Starts => "starts",
            Stage::Walk => "walk",
            Stage::Baseline => "baseline",
            Stage::Bracket => "bracket",
            Stage::Flow => "flow",
            Stage::LeaveOneOut => "leave-one-out",
        }
    }

    /// The error of a fit that is a part of this stage.
    pub(super) fn of(self, error: Error) -> Error {
        match error {
            Error::Cancelled { checkpoint, .. } => Error::Cancelled {
                stage: self.name(),
                checkpoint,
            },
            other => other,
        }
    }
}

/// The total of a stage that is reported in thousandths.
pub(super) const WHOLE: usize = 1_000;

/// Sees how far a fit is, and may end it. Both methods are called from any thread, and often: they
/// should be quick. A closure `|stage, done, total| ...` is a progress that is never cancelled, and
/// so is `()`, which shows nothing.
///
/// A cancelled fit ends with [`Error::Cancelled`]. A walk ends between two blocks of steps, and is
/// saved if the fit writes checkpoints
/// ([`CheckpointOptions::saves_cancelled`](super::CheckpointOptions::saves_cancelled)). The fit
/// that resumes it gives the same model, bit for bit, as one that was never cancelled. Every other
/// stage ends at its next step, and nothing of it is kept.
///
/// ```
/// use std::sync::atomic::{AtomicBool, Ordering};
/// use fiberwalk::Error;
/// use fiberwalk::data::banana;
/// use fiberwalk::pipeline::{FitOptions, Progress, Stage, fit};
/// use fiberwalk::Streams;
///
/// /// Ends a fit when a button is pressed.
/// struct Button(AtomicBool);
///
/// impl Progress for Button {
///     fn progress(&self, stage: Stage, done: usize, _total: usize) {
///         // somebody presses it in the middle of the walk
///         self.0.fetch_or(stage == Stage::Walk && done > 20, Ordering::Relaxed);
///     }
///     fn cancelled(&self) -> bool {
///         self.0.load(Ordering::Relaxed)
///     }
/// }
///
/// let data = banana(60, &Streams::new(1))?;
/// let options = FitOptions { hidden: vec![3], ..FitOptions::default() };
/// let ended = fit::<f32>(&data, &options, &Button(false.into()));
/// assert!(matches!(ended, Err(Error::Cancelled { stage: "walk", checkpoint: None })));
/// # Ok::<(), fiberwalk::Error>(())
/// ```
pub trait Progress: Sync {
    /// `done` of at most `total` in a stage; a total of 0 is not known.
    fn progress(&self, stage: Stage, done: usize, total: usize) {
        let _ = (stage, done, total);
    }

    /// True if the fit is to end. Once true, it must stay true.
    fn cancelled(&self) -> bool {
        false
    }
}

impl<F: Fn(Stage, usize, usize) + Sync> Progress for F {
    fn progress(&self, stage: Stage, done: usize, total: usize) {
        self(stage, done, total);
    }
}

impl Progress for () {}

impl dyn Progress + '_ {
    /// Reports progress, and fails if the fit is cancelled.
    pub(super) fn step(&self, stage: Stage, done: usize, total: usize) -> Result<()> {
        self.progress(stage, done, total);
        self.go_on(stage)
    }

    /// Fails if the fit is cancelled.
    pub(super) fn go_on(&self, stage: Stage) -> Result<()> {
        if !self.cancelled() {
            return Ok(());
        }
        Err(Error::Cancelled {
            stage: stage.name(),
            checkpoint: None,
        })
    }
}

/// Steps of a stage that several threads take together.
pub(super) struct Steps<'a> {
    progress: &'a dyn Progress,
    stage: Stage,
    total: usize,
    done: AtomicUsize,
}

impl<'a> Steps<'a> {
    pub(super) fn new(progress: &'a dyn Progress, stage: Stage, total: usize) -> Self {
        Self {
            progress,
            stage,
            total,
            done: AtomicUsize::new(0),
        }
    }

    /// Reports one more step, and fails if the fit is cancelled.
    pub(super) fn step(&self) -> Result<()> {
        let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        self.progress.step(self.stage, done, self.total)
    }
}

/// A whole fit as one part of a stage: the share of its walk, or of the method that replaces it.
pub(super) struct Part<'a> {
    pub progress: &'a dyn Progress,
    pub stage: Stage,
    /// Where the part begins and ends, as shares of the stage.
    pub from: f64,
    pub to: f64,
}

impl Progress for Part<'_> {
    fn progress(&self, stage: Stage, done: usize, total: usize) {
        if total == 0 || !matches!(stage, Stage::Walk | Stage::Baseline) {
            return;
        }
        let share = done.min(total) as f64 / total as f64;
        let at = self.from + (self.to - self.from) * share;
        let done = (at * WHOLE as f64) as usize;
        self.progress.progress(self.stage, done, WHOLE);
    }

    fn cancelled(&self) -> bool {
        self.progress.cancelled()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// A part that reported in units of its own would make the bar of the whole jump.
    #[test]
    fn a_part_reports_its_share_of_the_whole() {
        let seen = Mutex::new(Vec::new());
        let whole = |stage, done, total| seen.lock().unwrap().push((stage, done, total));
        let part = Part {
            progress: &whole,
            stage: Stage::Choice,
            from: 0.25,
            to: 0.5,
        };
        part.progress(Stage::Map, 5, 10);
        part.progress(Stage::Walk, 5, 0);
        part.progress(Stage::Walk, 0, 8);
        part.progress(Stage::Walk, 4, 8);
        part.progress(Stage::Baseline, 8, 8);
        let wanted = [250, 375, 500].map(|done| (Stage::Choice, done, WHOLE));
        assert_eq!(*seen.lock().unwrap(), wanted);
        assert!(!part.cancelled());
    }

    struct Over;

    impl Progress for Over {
        fn cancelled(&self) -> bool {
            true
        }
    }

    #[test]
    fn a_part_and_steps_end_with_the_whole() {
        let part = Part {
            progress: &Over,
            stage: Stage::LeaveOneOut,
            from: 0.0,
            to: 1.0,
        };
        let part: &dyn Progress = &part;
        for ended in [
            part.go_on(Stage::Map),
            Steps::new(part, Stage::Map, 3).step(),
        ] {
            let error = ended.unwrap_err();
            assert!(matches!(error, Error::Cancelled { stage: "map", .. }));
            let error = Stage::LeaveOneOut.of(error);
            assert!(error.to_string().contains("stage leave-one-out: nothing"));
        }
    }
}
