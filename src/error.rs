//! Errors, with the numbers that say where they happened, and counts for their messages.

mod counted;

use std::path::PathBuf;

pub use counted::{Counted, counted};

/// The crate's result type.
pub type Result<T> = std::result::Result<T, Error>;

/// Everything that can fail: wrong input, numerical failure, or a file that cannot be used.
///
/// A divergence or a rejected proposal is *not* an error. It is data, and is reported with the
/// result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Operands whose shapes do not fit together.
    #[error("{op}: expected {expected}, got {got}")]
    Shape {
        /// The operation.
        op: &'static str,
        /// What was expected.
        expected: String,
        /// What was given.
        got: String,
    },
    /// A setting outside its domain.
    #[error("{field} = {value}: {requirement}")]
    Config {
        /// The setting.
        field: &'static str,
        /// The value it was given.
        value: String,
        /// What the value must satisfy.
        requirement: String,
    },
    /// A NaN or an infinity where a finite number is needed.
    #[error("{what}: a non-finite value at index {index}")]
    NonFinite {
        /// The quantity that is not finite.
        what: &'static str,
        /// Its first offending entry.
        index: usize,
    },
    /// A Cholesky factorisation met a pivot that is not positive.
    #[error("matrix of dimension {dim} is not positive definite: pivot {pivot}")]
    NotPositiveDefinite {
        /// Order of the matrix.
        dim: usize,
        /// Index of the pivot, from 0.
        pivot: usize,
    },
    /// A method for positive definite matrices met a direction along which the curvature is not
    /// positive.
    #[error(
        "{what}: not positive definite, curvature {curvature:.3e} along the direction of iteration {iteration}"
    )]
    Indefinite {
        /// The method.
        what: &'static str,
        /// The iteration, from 0.
        iteration: usize,
        /// `d^T A d / d^T d` of the direction.
        curvature: f64,
    },
    /// An iteration ended before it reached its tolerance.
    #[error(
        "{what}: no convergence in {} (residual {residual:.3e}, tolerance {tolerance:.3e})",
        counted(.iterations, "iteration")
    )]
    NoConvergence {
        /// The method.
        what: &'static str,
        /// Iterations spent.
        iterations: usize,
        /// The residual it ended with.
        residual: f64,
        /// The residual it should have reached.
        tolerance: f64,
    },
    /// Input data that cannot be used.
    #[error("{}", data_message(.file, *.line, .column, .what))]
    Data {
        /// The file, if the data came from one.
        file: Option<PathBuf>,
        /// The line of the file, from 1, the header included.
        line: Option<u64>,
        /// The name of the column.
        column: Option<String>,
        /// What is wrong with it.
        what: String,
    },
    /// A model file that is damaged, foreign, or of another version.
    #[error("{}: not a usable fiberwalk model: {what}", file.display())]
    Artifact {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// A checkpoint that a walk cannot be resumed from.
    #[error("{}: not a usable checkpoint: {what}", file.display())]
    Checkpoint {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// A file that another run writes to, in this process or another one.
    #[error(
        "{}: in use by another run; wait until it has ended, or write to another file",
        path.display()
    )]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// The operating system refused an operation on a file.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The operating system's reason.
        source: std::io::Error,
    },
}

impl Error {
    /// Data that did not come from a file.
    pub fn data(what: impl Into<String>) -> Self {
        Error::Data {
            file: None,
            line: None,
            column: None,
            what: what.into(),
        }
    }

    /// A shape error; `expected` and `got` are shown with `Display`.
    pub fn shape(op: &'static str, expected: impl ToString, got: impl ToString) -> Self {
        Error::Shape {
            op,
            expected: expected.to_string(),
            got: got.to_string(),
        }
    }

    /// A setting outside its domain.
    pub fn config(field: &'static str, value: impl ToString, requirement: &str) -> Self {
        Error::Config {
            field,
            value: value.to_string(),
            requirement: requirement.to_string(),
        }
    }
}

fn data_message(
    file: &Option<PathBuf>,
    line: Option<u64>,
    column: &Option<String>,
    what: &str,
) -> String {
    let mut place = Vec::new();
    if let Some(file) = file {
        place.push(file.display().to_string());
    }
    if let Some(line) = line {
        place.push(format!("line {line}"));
    }
    if let Some(column) = column {
        place.push(format!("column '{column}'"));
    }
    if place.is_empty() {
        what.to_string()
    } else {
        format!("{}: {what}", place.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_data_error_names_file_line_and_column() {
        let error = Error::Data {
            file: Some("a.csv".into()),
            line: Some(3),
            column: Some("age".into()),
            what: "'x' is not a number".into(),
        };
        assert_eq!(
            error.to_string(),
            "a.csv, line 3, column 'age': 'x' is not a number"
        );
        assert_eq!(Error::data("no rows").to_string(), "no rows");
    }
}
