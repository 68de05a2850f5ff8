//! The arguments of reports, pictures and exports.

use std::path::PathBuf;

use clap::Args;

use crate::args::{Rows, Sampling, Threads};
use crate::table::TableArgs;

/// What a report or a picture is of.
#[derive(Args)]
pub struct Shown {
    /// Model file (or -: standard input)
    pub model: PathBuf,
    /// Rows with known targets, as for fit (or -: standard input)
    pub test: PathBuf,
    #[command(flatten)]
    pub rows: Rows,
    /// Rows from elsewhere, as for predict: also show how the model doubts them. A target column is
    /// not needed
    #[arg(long, value_name = "OTHER", help_heading = "Data")]
    pub ood: Option<PathBuf>,
    /// The rows that the model was fitted to: adds contours of its energy to the picture
    /// directions. Files of an atlas or a flow have them already
    #[arg(long, value_name = "TRAIN", help_heading = "Data")]
    pub train: Option<PathBuf>,
    /// Take only the first N rows or images of TRAIN, as the fit did with --rows N
    #[arg(long, value_name = "N", requires = "train", help_heading = "Data")]
    pub train_rows: Option<usize>,
    #[command(flatten)]
    pub table: TableArgs,
    #[command(flatten)]
    pub sampling: Sampling,
    #[command(flatten)]
    pub threads: Threads,
}

#[derive(Args)]
pub struct ReportArgs {
    #[command(flatten)]
    pub shown: Shown,
    /// HTML file to write (or -: standard output)
    #[arg(long, value_name = "REPORT.html", help_heading = "Files")]
    pub out: PathBuf,
    /// Bootstraps of rows that the intervals of scores are made from (0: no intervals)
    #[arg(long, value_name = "N", default_value_t = 1000, help_heading = "Run")]
    pub bootstrap: usize,
    /// No output on success
    #[arg(long, help_heading = "Run")]
    pub quiet: bool,
}

#[derive(Args)]
pub struct PlotArgs {
    #[command(flatten)]
    pub shown: Shown,
    /// The picture: line, map, reliability, confidence, confusion, doubt, predicted, widths,
    /// coverage, pit, qq, errors, risk-coverage, dependence, elsewhere, energy, predictions, ranks,
    /// mixing, directions, beside, scales, spectrum or loo (see docs/uncertainty.md)
    #[arg(long, value_name = "NAME", help_heading = "Data")]
    pub picture: String,
    /// SVG or PNG file to write, by its ending (or -: SVG on standard output). PNG needs a program
    /// that was built with `--features png`
    #[arg(long, value_name = "PICTURE.svg", help_heading = "Files")]
    pub out: PathBuf,
}

#[derive(Args)]
pub struct ExportArgs {
    /// Model file (or -: standard input)
    pub model: PathBuf,
    /// Rows with known targets, as for fit (or -: standard input): adds log-likelihoods,
    /// predictions and the targets
    pub test: Option<PathBuf>,
    #[command(flatten)]
    pub rows: Rows,
    #[command(flatten)]
    pub table: TableArgs,
    /// JSON file to write for ArviZ, as its from_dict takes it (or -: standard output)
    #[arg(long, value_name = "OUT.json", help_heading = "Files")]
    pub arviz: PathBuf,
    #[command(flatten)]
    pub sampling: Sampling,
    #[command(flatten)]
    pub threads: Threads,
}
