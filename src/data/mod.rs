//! Data sets: reading, splitting, standardizing, and small synthetic problems with known answers.

#[cfg(feature = "csv")]
mod csv;
mod dataset;
#[cfg(feature = "csv")]
mod load;
mod split;
mod standardize;
mod synthetic;

#[cfg(feature = "csv")]
pub use csv::{Table, read_table};
pub use dataset::{Dataset, Task, TaskKind};
#[cfg(feature = "csv")]
pub use load::{CsvOptions, load_csv, load_features, load_for_schema};
pub use split::{Split, k_folds, random_split, stratified_split};
pub use standardize::Standardizer;
pub use synthetic::{banana, linear_regression, regression_with_gap};
