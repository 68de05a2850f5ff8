//! Where a fit puts its model: into a file, or on standard output.
//!
//! A file has others beside it while the fit runs ([`FitFiles`]): a checkpoint, the points of the
//! walk, and locks.
//! Standard output has none of them: the points are in memory, and a walk cannot be resumed. The
//! summary then goes to standard error.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::time::Duration;

use fiberwalk::artifact::{Compiled, FitFiles, FittedModel};
use fiberwalk::pipeline::CheckpointOptions;
use fiberwalk::{Error, Result};

use crate::args::FitArgs;
use crate::failure::Outcome;
use crate::input::Input;
use crate::streams::{self, STANDARD_OUTPUT, is_stream, say};
use crate::{check_destination, printable};

/// Time between two checkpoints, unless another is asked for.
const CHECKPOINT_EVERY: Duration = Duration::from_secs(60);

pub enum Destination {
    /// A file. The claim is held to the end.
    File(FitFiles),
    /// Standard output.
    Stream,
}

impl Destination {
    /// Checks that the model can be written before a fit, which can take long, begins.
    pub fn of(args: &FitArgs, input: &Input) -> Result<Self> {
        if is_stream(&args.out) {
            return check_stream(args).map(|()| Self::Stream);
        }
        for path in FitFiles::names(&args.out) {
            check_destination(&path, &input.files())?;
        }
        FitFiles::claim(&args.out).map(Self::File)
    }

    /// What messages call it.
    pub fn name(&self) -> String {
        match self {
            Self::File(files) => files.model().display().to_string(),
            Self::Stream => STANDARD_OUTPUT.into(),
        }
    }

    /// The file for the points of a walk.
    pub fn spool(&self) -> Option<PathBuf> {
        match self {
            Self::File(files) => Some(files.points().to_path_buf()),
            Self::Stream => None,
        }
    }

    /// Where, and how often, a running walk is saved.
    pub fn checkpoint(&self, args: &FitArgs) -> Option<CheckpointOptions> {
        let every = args
            .checkpoint_every
            .map_or(Some(CHECKPOINT_EVERY), |p| p.0);
        match self {
            Self::File(files) => Some(CheckpointOptions {
                path: files.checkpoint().to_path_buf(),
                every,
                resume: args.resume,
                ..CheckpointOptions::default()
            }),
            Self::Stream => None,
        }
    }

    /// Writes the model and removes the files of its fit. Returns the model's size in bytes.
    pub fn write<T: Compiled>(&self, model: FittedModel<T>) -> Outcome<u64> {
        match self {
            Self::File(files) => Ok(files.finish(model)?),
            Self::Stream => {
                let bytes = model.to_bytes()?;
                streams::write(|out| out.write_all(&bytes))?;
                Ok(bytes.len() as u64)
            }
        }
    }

    /// The interrupted walk that this fit does not go on with.
    pub fn replaced(&self, args: &FitArgs) -> Option<String> {
        match self {
            Self::File(files) if !args.resume && files.interrupted() => Some(format!(
                "{} holds an interrupted walk, which this fit replaces (--resume goes on with it)",
                files.checkpoint().display()
            )),
            _ => None,
        }
    }

    /// What the user should know about the file's protection from other runs.
    pub fn warning(&self) -> Option<String> {
        match self {
            Self::File(files) if !files.keeps_processes_out() => Some(
                "there are no file locks here: another run with the same --out would not have been noticed"
                    .into(),
            ),
            _ => None,
        }
    }

    /// Shows the summary of the fit, beside the model and not in it.
    pub fn show(&self, summary: &str) -> Outcome {
        match self {
            Self::File(_) => say(summary),
            Self::Stream => {
                // If this fails, there is nowhere left to report it.
                let _ = std::io::stderr().write_all(summary.as_bytes());
                Ok(())
            }
        }
    }
}

/// Refuses the options that need a model file, or standard output for themselves.
fn check_stream(args: &FitArgs) -> Result<()> {
    let refuse = |what: &str| {
        Err(Error::Config {
            field: "--out",
            value: printable(&args.out.display().to_string()),
            requirement: what.into(),
        })
    };
    if args.json {
        return refuse("--json writes to standard output too; give a file for the model");
    }
    if args.resume {
        return refuse("--resume needs the checkpoint beside a model file; give that file");
    }
    if args
        .checkpoint_every
        .is_some_and(|period| period.0.is_some())
    {
        return refuse("--checkpoint-every writes beside a model file; give that file");
    }
    if std::io::stdout().is_terminal() {
        return refuse("a model is not text, and standard output is a terminal; redirect it");
    }
    Ok(())
}
