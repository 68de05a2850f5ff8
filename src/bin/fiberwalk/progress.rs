//! Progress bars on standard error: only on a terminal, and never with `--quiet`.

use std::sync::Mutex;

use crate::complain;
use crate::signals::Signals;
use fiberwalk::data::CsvText;
use fiberwalk::pipeline::{Progress, Stage};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressFinish, ProgressStyle};

/// With a total, and without one: then the time left is not known.
const BAR: &str = "{msg:13} [{bar:40}] {pos}/{len}, {elapsed}, {eta} left";
const SPINNER: &str = "{msg:13} {spinner} {pos}, {elapsed}";

/// For the bytes of a table.
const BYTES: &str = "{msg:13} [{bar:40}] {bytes}/{total_bytes}, {elapsed}";

/// Smaller tables are read before anybody could see a bar.
const LARGE: usize = 8 << 20;

/// A table that shows a bar while it is read, if it is large.
pub fn watched(text: CsvText, quiet: bool) -> CsvText {
    if quiet || text.size() < LARGE {
        return text;
    }
    let bar = ProgressBar::with_draw_target(Some(text.size() as u64), ProgressDrawTarget::stderr())
        .with_message("read")
        .with_finish(ProgressFinish::AndClear);
    if let Ok(style) = ProgressStyle::with_template(BYTES) {
        bar.set_style(style.progress_chars("=> "));
    }
    // the bar goes when the text does
    text.watched(move |done, _| bar.set_position(done))
}

/// One bar at a time, for the current stage of a fit.
pub struct Bars {
    quiet: bool,
    signals: Signals,
    /// Said once, when a walk begins: then nothing is left that could refuse the fit.
    before_walk: Mutex<Option<String>>,
    current: Mutex<Option<Current>>,
}

struct Current {
    stage: Stage,
    /// 0 if it is not known.
    total: usize,
    bar: ProgressBar,
}

impl Progress for Bars {
    fn cancelled(&self) -> bool {
        self.signals.came()
    }

    fn progress(&self, stage: Stage, done: usize, total: usize) {
        if stage == Stage::Walk {
            self.say_note();
        }
        // A poisoned lock means that another thread failed; that is reported elsewhere.
        let Ok(mut current) = self.current.lock() else {
            return;
        };
        if let Some(old) = current.take_if(|c| c.stage != stage) {
            old.bar.finish_and_clear();
        }
        match current.as_ref().filter(|c| c.total == total) {
            Some(current) => current.bar.set_position(done as u64),
            None => {
                let bar = match current.take() {
                    Some(old) => old.bar,
                    None => self.bar(stage),
                };
                measure(&bar, done, total);
                *current = Some(Current { stage, total, bar });
            }
        }
    }
}

impl Bars {
    /// `signals` end the fit.
    pub fn new(quiet: bool, signals: &Signals) -> Self {
        Self {
            quiet,
            signals: signals.clone(),
            before_walk: Mutex::new(None),
            current: Mutex::new(None),
        }
    }

    /// The same, with a note to say when a walk begins.
    pub fn before_walk(self, note: Option<String>) -> Self {
        Self {
            before_walk: Mutex::new(note),
            ..self
        }
    }

    /// Says the note, if that was not done yet.
    pub fn say_note(&self) {
        if let Ok(Some(note)) = self.before_walk.lock().map(|mut note| note.take()) {
            complain(&format!("note: {note}"));
        }
    }

    /// Removes the bar from the screen.
    pub fn clear(&self) {
        if let Ok(Some(current)) = self.current.lock().map(|mut c| c.take()) {
            current.bar.finish_and_clear();
        }
    }

    fn bar(&self, stage: Stage) -> ProgressBar {
        let target = if self.quiet {
            ProgressDrawTarget::hidden()
        } else {
            // indicatif draws nothing if standard error is not a terminal.
            ProgressDrawTarget::stderr()
        };
        ProgressBar::with_draw_target(None, target).with_message(stage.name())
    }
}

/// Gives a bar its total. A stage may be half done when its total becomes known, and a resumed walk
/// when it begins: speed counts from there.
fn measure(bar: &ProgressBar, done: usize, total: usize) {
    let template = if total == 0 { SPINNER } else { BAR };
    // A template that does not parse leaves the default one.
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.progress_chars("=> "));
    }
    match total {
        0 => bar.unset_length(),
        total => bar.set_length(total as u64),
    }
    bar.set_position(done as u64);
    bar.reset_eta();
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One that does not would leave the default style, which shows no time.
    #[test]
    fn the_templates_parse() {
        for template in [BAR, SPINNER, BYTES] {
            assert!(ProgressStyle::with_template(template).is_ok());
        }
    }

    /// A walk whose length is not known at first, then a flow: one bar each, with the total as soon
    /// as there is one.
    #[test]
    fn a_bar_follows_its_stage() {
        let bars = Bars::new(true, &Signals::default());
        let shown = || {
            let current = bars.current.lock().unwrap();
            let current = current.as_ref().unwrap();
            let bar = &current.bar;
            (bar.message(), bar.position(), bar.length())
        };
        bars.progress(Stage::Walk, 50, 0);
        assert_eq!(shown(), ("walk".into(), 50, None));
        bars.progress(Stage::Walk, 100, 200);
        assert_eq!(shown(), ("walk".into(), 100, Some(200)));
        bars.progress(Stage::Walk, 150, 200);
        assert_eq!(shown(), ("walk".into(), 150, Some(200)));
        bars.progress(Stage::Flow, 1, 9);
        assert_eq!(shown(), ("flow".into(), 1, Some(9)));
        bars.clear();
        assert!(bars.current.lock().unwrap().is_none());
    }
}
