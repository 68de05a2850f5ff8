//! Errors, with the numbers that say where they happened, and counts for their messages.

mod counted;
mod numbers;

use std::fmt;
use std::path::PathBuf;

pub use counted::{Counted, counted};
pub use numbers::{rounded, shortest};

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
        /// Its first offending entry, from 0.
        index: usize,
    },
    /// A NaN, an infinity, or a number beyond the range of the engine's number type, in a table:
    /// data that the caller gave, or predictions.
    #[error("{}", non_finite_message(.what, *.row, .column, *.value, .number))]
    NonFiniteData {
        /// The operation or the table.
        what: &'static str,
        /// The row, from 0.
        row: usize,
        /// The column.
        column: Column,
        /// The value there.
        value: f64,
        /// The number type in whose range it must be: "f32" or "f64".
        number: &'static str,
    },
    /// Training, or another iteration with gradients, left the range of finite numbers.
    #[error("{}", diverged_message(.what, .quantity, *.step, *.gradients, .advice))]
    Diverged {
        /// What was computed, for example "the MAP fit".
        what: &'static str,
        /// What is not finite, for example "energy" or "gradient".
        quantity: &'static str,
        /// Steps taken before. With 0, the start itself is not finite.
        step: usize,
        /// Gradients computed, including the one that is not finite.
        gradients: usize,
        /// What may help if the start is finite.
        advice: &'static str,
    },
    /// A Cholesky factorisation met a pivot that is not positive.
    #[error("matrix of dimension {dim} is not positive definite: pivot {pivot}")]
    NotPositiveDefinite {
        /// Order of the matrix.
        dim: usize,
        /// Index of the pivot, from 0.
        pivot: usize,
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
    /// A fit that its caller ended.
    #[error("cancelled at stage {stage}: {}", kept_message(.checkpoint))]
    Cancelled {
        /// The stage that the fit was in.
        stage: &'static str,
        /// The checkpoint that a fit with the same data and options can resume from, if there is
        /// one.
        checkpoint: Option<PathBuf>,
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
            value: numbers::brief(value.to_string()),
            requirement: requirement.to_string(),
        }
    }

    /// The same error for a part of a table that starts at row `first`: for rows in blocks.
    /// Other errors stay as they are.
    #[must_use]
    pub fn rows_from(mut self, first: usize) -> Self {
        if let Error::NonFiniteData { row, .. } = &mut self {
            *row = row.saturating_add(first);
        }
        self
    }

    /// The same error with the names of columns that had none ([`Column::Number`]). Other errors
    /// stay as they are.
    #[must_use]
    pub fn with_names(mut self, names: &[String]) -> Self {
        if let Error::NonFiniteData { column, .. } = &mut self
            && let Column::Number(index) = *column
            && let Some(name) = names.get(index)
        {
            *column = Column::Named(name.clone());
        }
        self
    }
}

/// A column of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Column {
    /// A column with a name. Targets that were given without a name are "target", or "target 0",
    /// "target 1", ... if there are several.
    Named(String),
    /// A column of data without a name, counted from 0.
    Number(usize),
    /// The probability of a class, counted from 0.
    Class(usize),
    /// An output of the network under one sample of the parameters, both counted from 0.
    Output {
        /// The sample.
        sample: usize,
        /// The output: for logits, the class.
        output: usize,
    },
}

impl Column {
    /// Target `index` of `count` targets in a row.
    pub(crate) fn target(index: usize, count: usize) -> Self {
        Self::Named(match count {
            0 | 1 => "target".into(),
            _ => format!("target {index}"),
        })
    }

    /// Number `index` of the `count` that a likelihood makes of `targets` targets.
    pub(crate) fn encoded(index: usize, count: usize, targets: usize) -> Self {
        match count == targets {
            true => Self::target(index, count),
            false => Self::Named(format!("number {index} of the encoded target")),
        }
    }
}

impl fmt::Display for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Column::Named(name) => write!(f, "column '{name}'"),
            Column::Number(index) => write!(f, "column {index}"),
            Column::Class(index) => write!(f, "class {index}"),
            Column::Output { sample, output } => write!(f, "output {output} of sample {sample}"),
        }
    }
}

fn non_finite_message(what: &str, row: usize, column: &Column, value: f64, number: &str) -> String {
    let place = match column {
        Column::Named(_) => format!("row {row} (from 0), {column}"),
        _ => format!("row {row}, {column} (all from 0)"),
    };
    format!("{what}: {place}: expected a finite number in the range of {number}, got {value:e}")
}

fn diverged_message(
    what: &str,
    quantity: &str,
    step: usize,
    gradients: usize,
    advice: &str,
) -> String {
    let spent = counted(grouped(gradients), "gradient");
    if step == 0 {
        return format!(
            "{what} cannot start ({spent}): the {quantity} is not finite; \
             check the starting parameters, and that the data are standardised"
        );
    }
    let step = grouped(step);
    format!("{what} diverged at step {step} ({spent}): the {quantity} is not finite; {advice}")
}

/// The digits of a count, in groups of three.
fn grouped(count: usize) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn kept_message(checkpoint: &Option<PathBuf>) -> String {
    match checkpoint {
        Some(path) => format!(
            "{} holds the walk so far; the same fit with `resume` goes on from there",
            path.display()
        ),
        None => "nothing was kept; the fit can only begin anew".into(),
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

    fn non_finite(row: usize, column: Column) -> Error {
        Error::NonFiniteData {
            what: "x",
            row,
            column,
            value: f64::INFINITY,
            number: "f32",
        }
    }

    #[test]
    fn rows_are_shifted_and_only_columns_without_a_name_get_one() {
        let names = ["a".to_string(), "b".to_string()];
        let said = |column| {
            let error = non_finite(2, column).rows_from(1024).with_names(&names);
            error.to_string()
        };
        let end = "expected a finite number in the range of f32, got inf";
        assert_eq!(
            said(Column::Number(1)),
            format!("x: row 1026 (from 0), column 'b': {end}")
        );
        assert_eq!(
            said(Column::Number(2)),
            format!("x: row 1026, column 2 (all from 0): {end}")
        );
        assert!(said(Column::Class(1)).contains("class 1"));
        assert!(said(Column::target(0, 1)).contains("column 'target'"));
        assert!(said(Column::encoded(2, 3, 1)).contains("number 2 of the encoded target"));
        let (sample, output) = (7, 1);
        let said = said(Column::Output { sample, output });
        assert!(said.contains("output 1 of sample 7"), "{said}");
    }

    #[test]
    fn counts_are_grouped_by_thousands() {
        for (count, text) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(grouped(count), text);
        }
    }
}
