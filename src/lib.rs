//! Bayesian neural networks on a CPU, in pure Rust.
//!
//! The crate trains a network and walks the fiber of near-equal parameters around it. It then
//! learns the deformation that straightens the fiber, and draws posterior samples directly.
//!
//! The idea comes from "Walking on the Fiber: A Simple Geometric Approximation for Bayesian Neural
//! Networks" (Reichlin, Vasco & Kragic 2025, arXiv 2512.01500). Everything it needs is here, from
//! automatic differentiation up.
//!
//! # A guided tour
//!
//! | stage | equation | module |
//! |---|---|---|
//! | data | columns of a CSV file or pixels of images, standardised | [`data`] |
//! | network | `f(x; theta)` | [`nn`], on the engine of [`autodiff`] |
//! | posterior | `U(theta) = -log p(D \| theta) - log p(theta)`, sums and not means | [`model`] |
//! | MAP estimate | `theta* = argmin U`, on all data or on minibatches | [`optim`] |
//! | tangent space | eigenvectors of `G = J^T Lambda J` by Lanczos | [`curvature`], [`linalg`] |
//! | scales | `alpha <- gamma / \|theta*\|^2`, by evidence | [`curvature`] |
//! | walk | drift, `theta <- theta + eps d - eta grad U(theta)`; tangent, back by `(lambda + 1)^{-1}`; microcanonical, `\|u\| = 1` | [`walk`](mod@walk) |
//! | deformation | `theta = T(z)`, `z ~ N(0, I)`, with exact inverse and density | [`deform`] |
//! | predictive | `p(y \| x, D) ~ mean_s p(y \| x, theta_s)` | [`predict`] |
//! | trust | R-hat, effective sizes, simulation-based calibration, tests of samplers, leave-one-out | [`diagnose`] |
//! | scores | likelihood, calibration, coverage | [`metrics`] |
//! | repair | recalibration and conformal prediction on held-out rows | [`calibrate`] |
//! | your own parts | a kit to test them | `testing` (feature `testing`) |
//! | model file | safetensors and JSON | `artifact` (feature `safetensors`) |
//! | all in one call | | `pipeline` (feature `safetensors`) |
//! | pictures, and a page that says whether to trust a model | | `report` (feature `report`) |
//!
//! # In a program
//!
#![cfg_attr(feature = "safetensors", doc = "```")]
#![cfg_attr(not(feature = "safetensors"), doc = "```ignore")]
//! use fiberwalk::Streams;
//! use fiberwalk::data::banana;
//! use fiberwalk::pipeline::{FitOptions, WalkSettings, fit};
//!
//! let train = banana(80, &Streams::new(1))?;
//! let test = banana(200, &Streams::new(2))?;
//! let walk = WalkSettings { steps: Some(50), ..WalkSettings::default() };
//! let options = FitOptions { hidden: vec![8], method: walk.into(), ..FitOptions::default() };
//! let fitted = fit::<f32>(&train, &options, &())?;
//! let scores = fitted.model.evaluate(&test, 64, Streams::new(0))?;
//! println!("{}\n{scores:?}", fitted.report);
//! # Ok::<(), fiberwalk::Error>(())
//! ```
//!
//! # What can be relied on
//!
//! - **The same seed gives the same bits** for any number of threads. Every random number comes
//!   from [`Streams`], and no sum is taken in an order that depends on scheduling. Errors do not
//!   depend on it either: of all rows, particles or chains that fail, the first is named.
//! - **No global state, no prints, no thread pool**: parallel work runs in the caller's rayon
//!   pool.
//! - **No `unsafe`** in this crate, and no `unwrap` in library code. Bad input is an [`Error`]
//!   that says what is wrong and where, in fields that a program can read. A NaN in data names its
//!   row and column; training that diverges says its step and the gradients it took.

#[cfg(feature = "safetensors")]
pub mod artifact;
pub mod autodiff;
pub mod baselines;
pub mod calibrate;
pub mod curvature;
pub mod data;
pub mod deform;
pub mod diagnose;
pub mod error;
pub mod linalg;
mod memory;
pub mod metrics;
pub mod model;
pub mod nn;
pub mod optim;
mod parallel;
#[cfg(feature = "safetensors")]
pub mod pipeline;
pub mod predict;
#[cfg(feature = "report")]
pub mod report;
pub mod rng;
pub mod scalar;
pub mod simd;
pub mod special;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod walk;

pub use error::{Column, Error, Result};
pub use model::{
    Bernoulli, Categorical, CoordinatePrior, Curved, FanInGaussian, Gaussian, GaussianLearnedNoise,
    GaussianNoiseHead, GaussianPerOutput, HeteroscedasticGaussian, IsotropicGaussian, Law,
    Likelihood, LikelihoodParam, LikelihoodParams, LogDensity, Minibatch, Model, Noise,
    Observation, PerLayerGaussian, Poisson, PoissonWithBase, Posterior, PosteriorDensity,
    Predictive, Prior, RowCurvature, ScaleGroups, ScaledNetwork, StudentT,
};
pub use nn::{Activation, LinearHead, Mlp, Network};
pub use optim::{
    MapOptions, MinibatchOptions, Optimizer, OptimizerOptions, fit_map, fit_minibatch,
};
pub use rng::{Phase, Streams};
pub use scalar::Scalar;

/// The README's programs, run as doc tests.
#[cfg(all(doctest, feature = "cli"))]
#[doc = include_str!("../README.md")]
pub struct Readme;

/// The programs in `docs/testing.md`, also run as doc tests.
#[cfg(all(doctest, feature = "testing"))]
#[doc = include_str!("../docs/testing.md")]
pub struct TestingGuide;
