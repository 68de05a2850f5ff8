//! The command-line arguments and their allowed values.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;
use fiberwalk::artifact::Metadata;
use fiberwalk::data::TaskKind;
use fiberwalk::nn::SequentialSpec;
use fiberwalk::pipeline::{
    ClassWeights, FeatureTransform, FlowChoice, KernelKind, Method, TargetTransform,
};
use fiberwalk::{Activation, Observation};

use crate::held_out::HeldOut;
use crate::prior::{Prior, parse_prior};
use crate::report_args::{ExportArgs, PlotArgs, ReportArgs};
use crate::table::{ColumnArgs, TableArgs};
pub use crate::threads::Threads;
pub use crate::values::Precision;
use crate::values::{
    Auto, BatchRows, Hidden, ImageShape, Methods, Period, RowFormat, Texts, parse_auto,
    parse_batch, parse_format, parse_hidden, parse_image, parse_methods, parse_period,
    parse_precision, parse_task, parse_texts,
};

/// Bayesian neural networks on a CPU: walk the fiber of near-equal parameters, then learn the
/// deformation that straightens it.
#[derive(Parser)]
#[command(name = "fiberwalk", version, about)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand)]
pub enum Command {
    /// Fit a posterior to the rows of a CSV file, or to images, and write a model file
    Fit(Box<FitArgs>),
    /// Predict the rows of a CSV file, or images, with a model file
    Predict(Box<PredictArgs>),
    /// Score a model file on rows or images with known targets
    Evaluate(EvaluateArgs),
    /// Fit several methods to the same rows and score them on the same held-out rows
    Compare(Box<CompareArgs>),
    /// Write an HTML page that says whether to trust a model file, with pictures
    Report(ReportArgs),
    /// Write a single picture of a report as an SVG file
    Plot(PlotArgs),
    /// Write posterior, predictions and diagnostics for other programs
    Export(ExportArgs),
    /// Show what a model file holds and how its fit went, verdict first
    Info(InfoArgs),
    /// Write a shell completion script to standard output
    Completions {
        /// bash, elvish, fish, powershell or zsh
        shell: Shell,
    },
    /// Write a manual page to standard output
    Man {
        /// The command that the page describes [default: the program]
        command: Option<String>,
    },
}

#[derive(Args)]
pub struct FitArgs {
    /// Training rows: a CSV file with a header (or -: standard input), or IDX files IMAGES,LABELS
    /// (plain or .gz). Images named as in MNIST need no LABELS if those are in the same directory
    pub train: PathBuf,
    /// Model file to write (or -: standard output; the report then goes to standard error)
    #[arg(long, value_name = "MODEL.fw", help_heading = "Files")]
    pub out: PathBuf,
    /// walk; auto (a mixture of walks of several models, about a minute; see docs/models.md); map,
    /// atlas or flow; or a baseline: ensemble, laplace, laplace-glm, laplace-kfac, laplace-diag,
    /// laplace-last, swag, riemann, sgld, vi, dropout, hmc or nuts (see docs/baselines.md)
    #[arg(long, default_value = "walk", help_heading = "Model")]
    pub method: Method,
    #[command(flatten)]
    pub settings: Settings,
    #[command(flatten)]
    pub held_out: HeldOut,
    /// For an atlas or a flow: store N draws in place of the sampler and the training rows that it
    /// needs
    #[arg(long, value_name = "N", help_heading = "Model")]
    pub frozen: Option<usize>,
    /// Save the walk to MODEL.fw.checkpoint every so many seconds, for --resume (0: never). The
    /// file is removed once the model is written [default: 60; never with --out -]
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true, value_parser = parse_period, help_heading = "Files")]
    pub checkpoint_every: Option<Period>,
    /// Continue the walk in MODEL.fw.checkpoint, written by the same fit. The model is the same as
    /// without the interruption
    #[arg(long, help_heading = "Files")]
    pub resume: bool,
    /// Refit without each row where leave-one-out by importance sampling fails, if there are at
    /// most N such rows [default: 0]
    #[arg(long, value_name = "N", help_heading = "Run")]
    pub loo_refits: Option<usize>,
    /// The report as one JSON object, with leave-one-out row by row
    #[arg(long, help_heading = "Run")]
    pub json: bool,
    /// No progress bars and no report
    #[arg(long, help_heading = "Run")]
    pub quiet: bool,
}

#[derive(Args)]
pub struct CompareArgs {
    /// Training rows: a CSV file with a header (or -: standard input), or IDX files IMAGES,LABELS
    /// (plain or .gz). Images named as in MNIST need no LABELS if those are in the same directory
    pub train: PathBuf,
    /// Rows to score on, as for fit (or -: standard input) [default: three tenths of the training
    /// rows, held out at random for every seed]
    #[arg(long, value_name = "TEST", help_heading = "Data")]
    pub test: Option<PathBuf>,
    /// Methods to compare, separated by commas
    #[arg(long, value_name = "A,B,...", default_value = "map,ensemble,laplace-glm,laplace-kfac,walk,atlas,flow", value_parser = parse_methods, help_heading = "Model")]
    pub methods: Methods,
    /// Number of fits of each method, with consecutive seeds
    #[arg(long, default_value_t = 1, help_heading = "Run")]
    pub seeds: u64,
    /// Write the rows of every seed to DIR, as seedN_train.csv and seedN_test.csv with the target
    /// last, to measure other programs on
    #[arg(long, value_name = "DIR", help_heading = "Files")]
    pub write_splits: Option<PathBuf>,
    /// Print a JSON list with one object per fit instead of a table
    #[arg(long, help_heading = "Run")]
    pub json: bool,
    /// Also write an HTML page with scores and curves of all methods
    #[arg(long, value_name = "REPORT.html", help_heading = "Files")]
    pub report: Option<PathBuf>,
    #[command(flatten)]
    pub settings: Settings,
    /// No progress bars
    #[arg(long, help_heading = "Run")]
    pub quiet: bool,
}

/// Settings of a fit. Those of some methods are given (`Some`) or not: see `settings.rs`.
#[derive(Args)]
pub struct Settings {
    #[command(flatten)]
    pub rows: Rows,
    /// Target column [default: the last one]
    #[arg(long, value_name = "NAME", help_heading = "Data")]
    pub target: Option<String>,
    /// classification or regression [default: texts and targets 0..K-1 mean classification]
    #[arg(long, value_parser = parse_task, help_heading = "Data")]
    pub task: Option<TaskKind>,
    #[command(flatten)]
    pub table: TableArgs,
    #[command(flatten)]
    pub columns: ColumnArgs,
    /// Layers of a network for images, in place of hidden layers: lenet5, precursor, or a list such
    /// as conv:6x5p2,tanh,avgpool:2,linear:84,tanh (see docs/networks.md)
    #[arg(long, value_name = "SPEC", conflicts_with_all = ["hidden", "activation"], help_heading = "Model")]
    pub conv: Option<SequentialSpec>,
    /// Read the columns of a CSV file as the pixels of images: height, width and channels (1 if
    /// left out)
    #[arg(long, value_name = "HxW|CxHxW", value_parser = parse_image, help_heading = "Data")]
    pub image: Option<ImageShape>,
    /// Widths of the hidden layers, separated by commas; 'none' for a linear model; 'auto' for the
    /// widths that predict held-out rows best
    #[arg(long, default_value = "50", value_parser = parse_hidden, help_heading = "Model")]
    pub hidden: Hidden,
    /// tanh, relu, sigmoid, silu, gelu, softplus or identity [default: tanh]
    #[arg(long, help_heading = "Model")]
    pub activation: Option<Activation>,
    /// Likelihood of the targets: categorical or bernoulli for classes; gaussian, student-t
    /// (outliers), heteroscedastic (noise that changes from row to row) or poisson (counts) for
    /// numbers [default: categorical or gaussian]
    #[arg(long, value_name = "NAME", help_heading = "Model")]
    pub likelihood: Option<Observation>,
    /// Weights of classes: none, or balanced (all classes count the same in all; probabilities are
    /// then those of balanced classes)
    #[arg(
        long,
        default_value = "none",
        value_name = "none|balanced",
        help_heading = "Model"
    )]
    pub class_weights: ClassWeights,
    /// Map applied to the features first: none, heavy-tails (a Yeo-Johnson map for columns with
    /// heavy tails) or yeo-johnson (for every column that it makes more nearly normal)
    #[arg(
        long,
        default_value = "none",
        value_name = "none|heavy-tails|yeo-johnson",
        help_heading = "Data"
    )]
    pub feature_transform: FeatureTransform,
    /// Map applied to a real target first: none, log or yeo-johnson. Predictions and scores stay in
    /// the target's units
    #[arg(
        long,
        default_value = "none",
        value_name = "none|log|yeo-johnson",
        help_heading = "Data"
    )]
    pub target_transform: TargetTransform,
    /// Prior scales and noise: hierarchical (sampled, for each layer), ard (sampled, for each input
    /// too), shared (sampled, one for all), evidence (one precision at its best estimate), a number
    /// (that precision), or auto (sampled by a walk, an atlas or a flow on tables that are not too
    /// large, else by evidence)
    #[arg(long, default_value = "auto", value_name = "PRIOR", allow_negative_numbers = true, conflicts_with = "prior_precision", value_parser = parse_prior, help_heading = "Model")]
    pub prior: Prior,
    /// Prior precision of every weight and bias: a number, or auto (as --prior says)
    #[arg(long, default_value = "auto", value_name = "auto|X", allow_negative_numbers = true, value_parser = parse_auto::<f64>, help_heading = "Model")]
    pub prior_precision: Auto<f64>,
    /// Noise of a regression target, in units of the target's standard deviation: a number, or auto
    /// (sampled with the prior's scales, or by evidence)
    #[arg(long, default_value = "auto", value_name = "auto|X", allow_negative_numbers = true, value_parser = parse_auto::<f64>, help_heading = "Model")]
    pub noise_std: Auto<f64>,
    /// Rows per gradient step of the MAP fit: a number, full (all rows), or auto (all, or 128 for
    /// large problems)
    #[arg(long, default_value = "auto", value_name = "auto|full|N", value_parser = parse_batch, help_heading = "Training")]
    pub batch: BatchRows,
    /// Most passes over the rows when training by minibatches [default: 20]
    #[arg(long, help_heading = "Training")]
    pub epochs: Option<usize>,
    /// How particles move: drift, tangent or microcanonical [default: microcanonical]
    #[arg(long, help_heading = "Walk")]
    pub kernel: Option<KernelKind>,
    /// Step size of a microcanonical walk: a number, or auto (tuned) [default: auto]
    #[arg(long, value_name = "auto|X", allow_negative_numbers = true, value_parser = parse_auto::<f64>, help_heading = "Walk")]
    pub step_size: Option<Auto<f64>>,
    /// Length over which a microcanonical walk forgets its direction: a number, or auto [default:
    /// auto]
    #[arg(long, value_name = "auto|X", allow_negative_numbers = true, value_parser = parse_auto::<f64>, help_heading = "Walk")]
    pub decoherence_length: Option<Auto<f64>>,
    /// Add a Metropolis test after each trajectory of a microcanonical walk
    #[arg(long, help_heading = "Walk")]
    pub adjusted: bool,
    /// MAP estimates that particles start from, in turn [default: 1]
    #[arg(long, help_heading = "Walk")]
    pub starts: Option<usize>,
    /// Number of particles that walk [default: 64; 16 where scales are sampled]
    #[arg(long, help_heading = "Walk")]
    pub particles: Option<usize>,
    /// Steps of each particle: a number, or auto. With auto, a microcanonical walk ends when it has
    /// forgotten its start, after 2,000 steps at most; the drift kernel takes 1,000; where scales
    /// are sampled, a walk takes up to 4,000 steps of about ten gradients [default: auto]
    #[arg(long, value_name = "auto|N", value_parser = parse_auto::<usize>, help_heading = "Walk")]
    pub steps: Option<Auto<usize>>,
    /// Points of the walk, or draws of a baseline, to keep [default: 256]
    #[arg(long, help_heading = "Walk")]
    pub samples: Option<usize>,
    /// The flow over hidden parameters: auto (the one whose draws are most like the walk's points),
    /// points, frame, units or latent [default: auto]
    #[arg(long, help_heading = "Model")]
    pub flow: Option<FlowChoice>,
    /// For a flow: kinetic layers after it, steps in the energy of the posterior; 0 for none
    /// [default: as many as draws need to have the energy of the walk]
    #[arg(long, value_name = "K", help_heading = "Model")]
    pub layers: Option<usize>,
    /// For an atlas: anchors whose hidden units each come from a different walker
    #[arg(long, help_heading = "Model")]
    pub recombine: bool,
    /// Rows per random batch for the gradients of a microcanonical walk. An approximation, for data
    /// with many rows [default: all rows]
    #[arg(long, value_name = "N", help_heading = "Walk")]
    pub walk_batch: Option<usize>,
    /// End a walk, or the chains of hmc, nuts or sgld, after so many seconds and keep the points so
    /// far
    #[arg(
        long,
        value_name = "SECONDS",
        allow_negative_numbers = true,
        help_heading = "Walk"
    )]
    pub max_seconds: Option<f64>,
    /// For methods that walk: refuse the walk if its particles do not fit; end it when more points
    /// would not fit (method walk keeps its points on disk)
    #[arg(long, value_name = "MIB", help_heading = "Walk")]
    pub max_memory: Option<usize>,
    /// Bracket the evidence after the walk: anneal from the prior to the posterior and from the
    /// walk's points back, at N temperatures each way. More close the bracket [default: none]
    #[arg(long, value_name = "N", help_heading = "Walk")]
    pub bracket: Option<usize>,
    /// Seed of all random numbers
    #[arg(long, default_value_t = 0, help_heading = "Run")]
    pub seed: u64,
    #[command(flatten)]
    pub threads: Threads,
    /// Number type of the computation: f32 or f64
    #[arg(long, default_value = "f32", value_parser = parse_precision, help_heading = "Run")]
    pub precision: Precision,
}

#[derive(Args)]
pub struct PredictArgs {
    /// Model file (or -: standard input)
    pub model: PathBuf,
    /// Rows to predict, as for fit (or -: standard input). The target column or the file of labels
    /// may be missing. Columns that the model does not know are not used
    pub test: PathBuf,
    #[command(flatten)]
    pub rows: Rows,
    #[command(flatten)]
    pub table: TableArgs,
    /// Columns to copy before the predictions, separated by commas (in quotes, as in CSV, where a
    /// name holds one)
    #[arg(long, value_name = "NAME,...", value_parser = parse_texts, help_heading = "Data")]
    pub keep: Vec<Texts>,
    /// Columns to leave out, as for fit: nothing is said about them
    #[arg(long, value_name = "NAME,...", value_parser = parse_texts, help_heading = "Data")]
    pub ignore: Vec<Texts>,
    /// Central intervals of this probability, with columns low_90 and high_90 for 0.9, in place of
    /// q05 and q95. For a real target or counts
    #[arg(long, value_name = "P", help_heading = "Predictions")]
    pub interval: Vec<f64>,
    /// Quantiles at these probabilities, with columns such as q10, in place of q05 and q95
    #[arg(
        long,
        value_name = "P,...",
        value_delimiter = ',',
        help_heading = "Predictions"
    )]
    pub quantiles: Vec<f64>,
    /// Draws of every row's target, with columns draw_0, draw_1, ... One posterior draw serves a
    /// column, so its rows belong together
    #[arg(long, value_name = "N", help_heading = "Predictions")]
    pub draws: Option<usize>,
    /// Draws without noise: of the mean of a number, or of the probabilities of classes
    #[arg(long, requires = "draws", help_heading = "Predictions")]
    pub noiseless: bool,
    /// csv, json (a list of objects) or jsonl (an object per line)
    #[arg(long, default_value = "csv", value_name = "csv|json|jsonl", value_parser = parse_format, help_heading = "Files")]
    pub format: RowFormat,
    /// File of predictions to write (or -: standard output) [default: -]
    #[arg(long, value_name = "PRED.csv", help_heading = "Files")]
    pub out: Option<PathBuf>,
    #[command(flatten)]
    pub sampling: Sampling,
    #[command(flatten)]
    pub threads: Threads,
    /// No output on success
    #[arg(long, help_heading = "Run")]
    pub quiet: bool,
}

#[derive(Args)]
pub struct EvaluateArgs {
    /// Model file (or -: standard input)
    pub model: PathBuf,
    /// Rows with known targets, as for fit (or -: standard input)
    pub test: PathBuf,
    #[command(flatten)]
    pub rows: Rows,
    /// Rows from elsewhere, as for predict: also score how well the model's uncertainty tells them
    /// from those of TEST. A target column is not needed
    #[arg(long, value_name = "OTHER", help_heading = "Data")]
    pub ood: Option<PathBuf>,
    #[command(flatten)]
    pub table: TableArgs,
    /// Print one JSON object instead of text
    #[arg(long, help_heading = "Run")]
    pub json: bool,
    /// Bootstraps of rows that the intervals of scores are made from (0: no intervals)
    #[arg(long, value_name = "N", default_value_t = 1000, help_heading = "Run")]
    pub bootstrap: usize,
    #[command(flatten)]
    pub sampling: Sampling,
    #[command(flatten)]
    pub threads: Threads,
}

#[derive(Args)]
pub struct InfoArgs {
    /// Model file (or -: standard input)
    pub model: PathBuf,
    /// Print one JSON object instead of text
    #[arg(long, help_heading = "Run")]
    pub json: bool,
}

#[derive(Args)]
pub struct Rows {
    /// Take only the first N rows or images
    #[arg(long, value_name = "N", help_heading = "Data")]
    pub rows: Option<usize>,
}

#[derive(Args)]
pub struct Sampling {
    /// Posterior samples to predict with
    #[arg(long, default_value_t = 256, help_heading = "Run")]
    pub samples: usize,
    /// Seed of the draws [default: the model's]
    #[arg(long, help_heading = "Run")]
    pub seed: Option<u64>,
}

impl Sampling {
    /// The seed of draws: the requested one, or else the model's.
    pub fn seed_of(&self, metadata: &Metadata) -> u64 {
        self.seed.unwrap_or(metadata.seed)
    }
}
