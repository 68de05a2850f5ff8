//! Progress bars on standard error: only on a terminal, and not when asked to be quiet.

use std::sync::Mutex;

use fiberwalk::pipeline::Stage;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// One bar at a time, for the stage that a fit is in.
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

    /// Shows that `done` of `total` of a stage are done; called from any thread.
    pub fn show(&self, stage: Stage, done: usize, total: usize) {
        // a poisoned lock means that another thread failed, which is reported elsewhere
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

    /// Removes what is left on the screen.
    pub fn clear(&self) {
        if let Ok(Some((_, bar))) = self.current.lock().map(|mut c| c.take()) {
            bar.finish_and_clear();
        }
    }

    fn bar(&self, stage: Stage) -> ProgressBar {
        let target = if self.quiet {
            ProgressDrawTarget::hidden()
        } else {
            // indicatif draws nothing when standard error is not a terminal
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
