//! Why a command ended without success, and its exit status.

use std::fmt;
use std::io::ErrorKind;
use std::path::Path;
use std::process::ExitCode;

use fiberwalk::Error;

/// The result of a command.
pub type Outcome<R = ()> = std::result::Result<R, Failure>;

/// Why a command ended without success.
#[derive(Debug)]
pub enum Failure {
    /// Standard output refused the text: it is closed or full.
    Output(std::io::Error),
    /// The library refused, or failed.
    Run(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Run(error)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Output(error) => write!(f, "standard output: {error}"),
            Self::Run(error) => write!(f, "{error}"),
        }
    }
}

impl Failure {
    /// Exit status: 2 if the user can fix it in the call or the files, 1 if the mathematics or the
    /// machine failed.
    pub fn status(&self) -> ExitCode {
        match self {
            Self::Output(_) => ExitCode::from(1),
            Self::Run(error) => status(error),
        }
    }
}

/// Exit status of an error, as in [`Failure::status`].
pub fn status(error: &Error) -> ExitCode {
    ExitCode::from(match error {
        Error::Data { .. }
        | Error::NonFiniteData { .. }
        | Error::Config { .. }
        | Error::Shape { .. }
        | Error::Artifact { .. }
        | Error::Checkpoint { .. }
        | Error::InUse { .. } => 2,
        Error::Io { source, .. } if !of_the_machine(source.kind()) => 2,
        _ => 1,
    })
}

/// True for a disk that is full, or a place that may not be written: no other call would help.
fn of_the_machine(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::StorageFull
            | ErrorKind::QuotaExceeded
            | ErrorKind::FileTooLarge
            | ErrorKind::ReadOnlyFilesystem
            | ErrorKind::PermissionDenied
    )
}

/// Adds the file name to an error about the data.
pub fn in_file(error: Error, file: &Path) -> Error {
    let (line, column, what) = match error {
        Error::Data {
            file: None,
            line,
            column,
            what,
        } => (line, column, what),
        // the message names row and column
        Error::NonFiniteData { .. } => (None, None, error.to_string()),
        other => return other,
    };
    Error::Data {
        file: Some(file.to_path_buf()),
        line,
        column,
        what,
    }
}
