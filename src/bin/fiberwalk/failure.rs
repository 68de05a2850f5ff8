//! Why a command ended without success, and its exit status.

use std::fmt;
use std::io::ErrorKind;
use std::path::Path;
use std::process::ExitCode;

use fiberwalk::Error;
use fiberwalk::error::Column;

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
    in_rows(error, file, |_| None)
}

/// The same, with the line of a row, which `line_of` knows or not.
pub fn in_rows(error: Error, file: &Path, line_of: impl Fn(usize) -> Option<u64>) -> Error {
    let (line, column, what) = match error {
        Error::Data {
            file: None,
            line,
            column,
            what,
        } => (line, column, what),
        Error::NonFiniteData {
            what,
            row,
            column: Column::Named(column),
            value,
            number,
        } if line_of(row).is_some() => {
            let what =
                format!("{what}: expected a finite number in the range of {number}, got {value:e}");
            (line_of(row), Some(column), what)
        }
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
