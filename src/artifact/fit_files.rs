//! The files of one fit: its model, and those beside it while the fit runs.

use std::io;
use std::path::{Path, PathBuf};

use super::checkpoint::{holds_checkpoint, remove_checkpoint_in};
use super::claim::Claim;
use super::compiled::Compiled;
use super::files::Files;
use super::fitted::Fitted;
use super::model::FittedModel;
use super::spool::{Spool, remove_spool_in};
use crate::error::{Error, Result};

/// A model file to be, claimed: `MODEL`, and beside it `MODEL.checkpoint` and `MODEL.points`, which
/// are there only while the fit runs, or when a walk can be resumed.
///
/// The claim is held until this is dropped: another run with the same model file would use the same
/// names.
#[derive(Debug)]
pub struct FitFiles {
    model: PathBuf,
    checkpoint: PathBuf,
    points: PathBuf,
    claim: Claim,
    files: Files,
}

impl FitFiles {
    /// All files that a fit to this model file may write to or remove: the model, the checkpoint,
    /// the points, and a lock for each.
    pub fn names(model: &Path) -> [PathBuf; 6] {
        let [checkpoint, points] = Self::beside(model);
        let locks = [model, &checkpoint, &points].map(|path| with(path, ".lock"));
        let [a, b, c] = locks;
        [model.to_path_buf(), checkpoint, points, a, b, c]
    }

    fn beside(model: &Path) -> [PathBuf; 2] {
        [".checkpoint", ".points"].map(|ending| with(model, ending))
    }

    /// Claims a model file.
    ///
    /// # Errors
    /// Those of [`Claim::of`].
    pub fn claim(model: &Path) -> Result<Self> {
        Self::claim_in(&Files::default(), model)
    }

    /// [`FitFiles::claim`] in the given file system.
    pub(crate) fn claim_in(files: &Files, model: &Path) -> Result<Self> {
        let [checkpoint, points] = Self::beside(model);
        Ok(Self {
            claim: Claim::within(files, model)?,
            model: model.to_path_buf(),
            checkpoint,
            points,
            files: files.clone(),
        })
    }

    /// The model file.
    pub fn model(&self) -> &Path {
        &self.model
    }

    /// The place for a checkpoint of the walk.
    pub fn checkpoint(&self) -> &Path {
        &self.checkpoint
    }

    /// The place for the points of the walk.
    pub fn points(&self) -> &Path {
        &self.points
    }

    /// True if an earlier fit left a checkpoint.
    pub fn interrupted(&self) -> bool {
        holds_checkpoint(&self.files, &self.checkpoint)
    }

    /// See [`Claim::keeps_processes_out`].
    pub fn keeps_processes_out(&self) -> bool {
        self.claim.keeps_processes_out()
    }

    /// Writes the model, and removes the checkpoint and the points. Returns the model's size in
    /// bytes.
    ///
    /// # Errors
    /// [`Error::Io`] if a file cannot be written or removed. If it is the model, points that no
    /// checkpoint goes on from are removed all the same, and the error says so.
    pub fn finish<T: Compiled>(&self, model: FittedModel<T>) -> Result<u64> {
        let files = &self.files;
        let saved = model.save_in(files, &self.model);
        // the model reads its points from the file that is about to be removed
        let spool = match model.fitted {
            Fitted::Spooled(spool) => Some(spool),
            _ => None,
        };
        match (saved, spool) {
            (Err(Error::Io { path, source }), Some(spool)) => {
                return Err(match spool.is_resumable() {
                    true => lost((path, &source), Some(&self.checkpoint), Ok(())),
                    false => lost((path, &source), None, spool.remove()),
                });
            }
            (saved, spool) => {
                saved?;
                // first, for it is of no use without the points
                remove_free(files, &self.checkpoint, remove_checkpoint_in)?;
                spool.map_or_else(|| remove_points(files, &self.points), Spool::remove)?;
            }
        }
        Ok(std::fs::metadata(&self.model).map_or(0, |m| m.len()))
    }
}

/// Removes a file of points, unless another run has claimed it.
pub(crate) fn remove_points(files: &Files, path: &Path) -> Result<()> {
    remove_free(files, path, remove_spool_in)
}

/// Removes a file, unless another run has claimed it under that name.
fn remove_free(files: &Files, path: &Path, remove: fn(&Files, &Path) -> Result<()>) -> Result<()> {
    match Claim::within(files, path) {
        Ok(_claim) => remove(files, path),
        Err(Error::InUse { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

/// The error of a file, with what it means for the walk that was under way: the checkpoint that it
/// can be resumed from; or that it is lost, and whether its points are removed.
pub(crate) fn lost(
    (path, source): (PathBuf, &io::Error),
    checkpoint: Option<&Path>,
    removed: Result<()>,
) -> Error {
    let what = match (checkpoint, removed) {
        (Some(path), _) => format!(
            "{} holds the walk up to its last save, to resume from",
            path.display()
        ),
        (None, Ok(())) => "the walk is lost, and its points are removed".into(),
        (None, Err(error)) => {
            format!("the walk is lost, and its points could not be removed: {error}")
        }
    };
    Error::Io {
        path,
        source: io::Error::new(source.kind(), format!("{source}; {what}")),
    }
}

/// The path with `ending` added to its name.
fn with(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_os_string();
    name.push(ending);
    name.into()
}
