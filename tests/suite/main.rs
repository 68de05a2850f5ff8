//! The tests of the crate from outside, in one program.
//!
//! So the engine's generic kernels are compiled once for all of them. (Tests that count allocations
//! have their own allocator and stand apart.)

#![allow(clippy::unwrap_used, clippy::panic)]

#[path = "../common/mod.rs"]
mod common;

mod annealed;
#[cfg(feature = "cli")]
mod arguments;
mod baselines;
mod calibrated;
mod calibrated_rows;
mod calibration;
mod conformal;
mod continued;
mod curvature;
mod deformation;
mod derivatives;
mod early_stopping;
#[cfg(feature = "cli")]
mod edges;
mod errors;
mod evidence;
mod exactness;
#[cfg(feature = "cli")]
mod extremes;
mod fiber;
#[cfg(feature = "cli")]
mod findings;
mod flow_choices;
mod flows;
mod geometry;
mod hierarchy;
mod hmc;
mod invariance;
mod kfac;
mod laplace;
mod laplace_evidence;
mod laplace_limits;
mod laplace_torch;
mod layering;
mod likelihoods;
mod linear;
mod minibatch;
mod minimum;
mod old_files;
mod own;
mod precision;
mod predictive;
mod predictor;
mod resume;
mod samplers;
#[cfg(feature = "cli")]
mod several;
mod tables;
mod tangent;
mod training;
mod twin;
mod units;
mod walk;
mod walk_batches;
mod weighted_scores;
mod weights;

// these need the command line, or model files
#[cfg(feature = "cli")]
mod beside;
mod bracket;
#[cfg(feature = "cli")]
mod cancelled;
#[cfg(feature = "cli")]
mod checkpoints;
#[cfg(feature = "cli")]
mod choice;
#[cfg(feature = "cli")]
mod cli;
#[cfg(feature = "cli")]
mod compare;
#[cfg(feature = "cli")]
mod damage;
#[cfg(feature = "cli")]
mod evaluate;
#[cfg(feature = "cli")]
mod export;
#[cfg(feature = "cli")]
mod fidelity;
#[cfg(feature = "cli")]
mod images;
#[cfg(feature = "cli")]
mod info;
#[cfg(feature = "cli")]
mod mixtures;
#[cfg(feature = "cli")]
mod model_file;
mod noise_calibration;
mod noise_starts;
#[cfg(feature = "cli")]
mod observations;
#[cfg(feature = "cli")]
mod pictures;
mod pipeline;
#[cfg(feature = "cli")]
mod predictions;
#[cfg(feature = "cli")]
mod refusals;
#[cfg(feature = "cli")]
mod report;
#[cfg(feature = "cli")]
mod report_files;
#[cfg(feature = "cli")]
mod settings;
#[cfg(feature = "cli")]
mod signals;
mod streams;
#[cfg(feature = "cli")]
mod two_at_once;
