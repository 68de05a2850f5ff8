//! Data sets: reading, splitting and standardizing.
//!
//! Tables and images can be read from files, tables from any reader. Small synthetic problems have
//! known answers.

#[cfg(feature = "csv")]
mod csv;
#[cfg(feature = "csv")]
mod csv_text;
mod dataset;
#[cfg(feature = "idx")]
mod idx;
#[cfg(test)]
#[cfg(feature = "idx")]
mod idx_tests;
#[cfg(feature = "idx")]
mod images;
#[cfg(any(feature = "csv", feature = "idx"))]
mod labels;
#[cfg(feature = "csv")]
mod load;
#[cfg(feature = "csv")]
mod quotes;
mod split;
mod standardize;
mod synthetic;
mod target_map;
mod warp;

#[cfg(feature = "csv")]
pub use csv::{Table, read_table};
#[cfg(feature = "csv")]
pub use csv_text::CsvText;
pub use dataset::{Dataset, Task, TaskKind};
#[cfg(feature = "idx")]
pub use idx::{IdxArray, IdxType, looks_like_idx, read_idx};
#[cfg(feature = "idx")]
pub use images::{
    IdxOptions, Images, load_idx, load_idx_for_schema, load_images, load_images_for_schema,
};
#[cfg(feature = "csv")]
pub use load::{CsvOptions, load_csv, load_features, load_for_schema};
pub use split::{Split, k_folds, random_split, stratified_split};
pub use standardize::Standardizer;
pub use synthetic::{banana, linear_regression, regression_with_gap};
pub use target_map::TargetMap;
pub use warp::Warp;
