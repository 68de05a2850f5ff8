//! How to read a table, and what reading one for a model gives.

use std::collections::HashMap;

use super::csv::CsvFormat;
use super::dataset::TaskKind;
use super::survey::ColumnType;

/// How to read a CSV file as a data set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CsvOptions {
    /// Name of the target column. The last column if `None`.
    pub target: Option<String>,
    /// What the targets are. See [`load_csv`](super::load_csv) for the rule if `None`.
    pub task: Option<TaskKind>,
    /// What columns are read as, by name. Others are numbers if all their cells are.
    pub types: HashMap<String, ColumnType>,
    /// Columns to leave out.
    pub ignore: Vec<String>,
    /// The column of the weights of the rows: how often each counts in the likelihood. It is no
    /// feature.
    pub weights: Option<String>,
    /// What to do about missing cells of features.
    pub missing: MissingCells,
    /// Texts or numbers that stand for a missing cell, in place of [`MISSING`](super::MISSING). An
    /// empty cell is always a missing one.
    pub missing_values: Option<Vec<String>>,
    /// Read only the first rows, so many at most.
    pub rows: Option<usize>,
    /// Delimiter, decimal sign, comments and header.
    pub format: CsvFormat,
}

/// What to do about missing cells of features. A missing target is always an error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MissingCells {
    /// They get the median or the most frequent level, and one more column says where they are.
    #[default]
    Fill,
    /// They are an error.
    Refuse,
}

/// How to read rows for a trained model: for predictions, or for scores.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RowOptions {
    /// Delimiter, decimal sign, comments and header.
    pub format: CsvFormat,
    /// Columns to copy as they are. For predictions alone.
    pub keep: Vec<String>,
    /// Columns to leave out before anything is said about them. For predictions alone.
    pub ignore: Vec<String>,
    /// The column of weights of the training rows. Rows with known targets get theirs, if the table
    /// has this column; otherwise every row counts once, and a note says so. For scores alone.
    pub weights: Option<String>,
    /// Read only the first rows, so many at most.
    pub rows: Option<usize>,
}

/// Rows for a trained model.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FeatureRows {
    /// Encoded features, row-major, as wide as
    /// [`Schema::encoded_names`](super::Schema::encoded_names).
    pub features: Vec<f64>,
    /// Number of rows.
    pub rows: usize,
    /// The cells of [`RowOptions::keep`], row by row.
    pub kept: Vec<Vec<String>>,
    /// What a reader should know: columns that were not used, levels that are not known.
    pub notes: Vec<String>,
}
