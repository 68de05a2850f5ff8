//! Where, and how often, a walk is saved.

use std::path::PathBuf;
use std::time::Duration;

/// Where and how often a running walk is saved, and whether to resume it. While it runs, a fit
/// holds the [claim](crate::artifact::Claim) to the file, and a second fit to the same file is
/// refused. Whoever saves the model removes the file
/// ([`remove_checkpoint`](crate::artifact::remove_checkpoint)).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckpointOptions {
    /// The file.
    pub path: PathBuf,
    /// Time between writes, and before the first one; `None`: nothing is written while the walk
    /// goes on.
    pub every: Option<Duration>,
    /// Whether a walk that is [cancelled](super::Progress) is saved, even without `every`.
    pub on_cancel: bool,
    /// Resumes the walk from the file, which must have the same data and options. The model is then
    /// bit for bit the same as without an interruption, on any number of threads.
    pub resume: bool,
}

impl CheckpointOptions {
    /// True if a cancelled walk is saved: `every` is given, or `on_cancel` is true.
    pub fn saves_cancelled(&self) -> bool {
        self.every.is_some() || self.on_cancel
    }
}
