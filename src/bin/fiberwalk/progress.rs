//! Progress bars on standard error: only on a terminal, and never with `--quiet`.

use std::sync::Mutex;

use fiberwalk::pipeline::Stage;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// One bar at a time, for the current stage of a fit.
pub struct Bars {
    quiet: bool,
    current: Mutex<Option<(Stage, ProgressBar)>>,
}

impl Bars {
    pub fn new(quiet: bool) -> Self {
        Self {
            quiet,
            current: Mutex::new(None),
        }
    }

    /// Shows progress: `done` of `total` in a stage. May be called from any thread.
    pub fn show(&self, stage: Stage, done: usize, total: usize) {
        // A poisoned lock means that another thread failed; that is reported elsewhere.
        let Ok(mut current) = self.current.lock() else {
            return;
        };
        if current.as_ref().is_none_or(|(s, _)| *s != stage) {
            if let Some((_, old)) = current.take() {
                old.finish_and_clear();
            }
            *current = Some((stage, self.bar(stage)));
        }
        if let Some((_, bar)) = current.as_ref() {
            bar.set_length(total as u64);
            bar.set_position(done as u64);
        }
    }

    /// Removes the bar from the screen.
    pub fn clear(&self) {
        if let Ok(Some((_, bar))) = self.current.lock().map(|mut c| c.take()) {
            bar.finish_and_clear();
        }
    }

    fn bar(&self, stage: Stage) -> ProgressBar {
        let target = if self.quiet {
            ProgressDrawTarget::hidden()
        } else {
            // indicatif draws nothing if standard error is not a terminal.
            ProgressDrawTarget::stderr()
        };
        let label = match stage {
            Stage::Map => "map",
            Stage::Walk => "walk",
            Stage::Flow => "flow",
        };
        let bar = ProgressBar::with_draw_target(None, target).with_message(label);
        match ProgressStyle::with_template("{msg:10} [{bar:40}] {pos}/{len} {elapsed}") {
            Ok(style) => bar.with_style(style.progress_chars("=> ")),
            Err(_) => bar,
        }
    }
}
