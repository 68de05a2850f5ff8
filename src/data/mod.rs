//! Data sets: reading, splitting and standardizing.
//!
//! Tables and images can be read from files, tables from any reader. Small synthetic problems have
//! known answers.

mod builder;
#[cfg(feature = "csv")]
mod columns;
#[cfg(feature = "csv")]
mod csv;
#[cfg(feature = "csv")]
mod csv_text;
mod dataset;
#[cfg(feature = "csv")]
mod dialect;
#[cfg(feature = "idx")]
mod idx;
#[cfg(test)]
#[cfg(feature = "idx")]
mod idx_tests;
#[cfg(feature = "idx")]
mod images;
mod labels;
#[cfg(feature = "csv")]
mod load;
#[cfg(feature = "csv")]
mod memory;
#[cfg(feature = "csv")]
mod options;
#[cfg(feature = "csv")]
mod quotes;
mod schema;
mod split;
mod standardize;
#[cfg(feature = "csv")]
mod stream;
#[cfg(feature = "csv")]
mod surprises;
#[cfg(feature = "csv")]
mod survey;
mod synthetic;
mod target_map;
mod targets;
mod warp;

pub use builder::DatasetBuilder;
#[cfg(feature = "csv")]
pub use csv::{CsvFormat, Header, Table, read_table};
#[cfg(feature = "csv")]
pub use csv_text::CsvText;
pub use dataset::{Dataset, Task, TaskKind};
#[cfg(feature = "csv")]
pub use dialect::{Decimal, Dialect, DialectOptions};
#[cfg(feature = "idx")]
pub use idx::{IdxArray, IdxType, looks_like_idx, read_idx};
#[cfg(feature = "idx")]
pub use images::{
    IdxOptions, Images, load_idx, load_idx_for_schema, load_images, load_images_for_schema,
};
#[cfg(feature = "csv")]
pub use load::{line_of_row, load_csv, load_features, load_for_schema};
#[cfg(feature = "csv")]
pub use options::{CsvOptions, FeatureRows, MissingCells, RowOptions};
pub use schema::{Cell, Encoder, Feature, FeatureKind, Level, MISSING, Schema, Target, Unknown};
pub use split::{Split, k_folds, random_split, stratified_split};
pub use standardize::Standardizer;
#[cfg(feature = "csv")]
pub use survey::ColumnType;
pub use synthetic::{banana, linear_regression, regression_with_gap};
pub use target_map::TargetMap;
pub use warp::Warp;
