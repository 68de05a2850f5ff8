//! The statistical model: likelihood, prior, and the posterior density that they make with a network and data.
//!
//! Likelihoods are **sums** over the data, never means, and densities keep their constants, so that `-U(theta)` is
//! `log p(D, theta)` and evidences can be compared.

mod density;
mod likelihood;
mod minibatch;
mod posterior;
mod prior;
mod shards;

pub use density::LogDensity;
pub use likelihood::{Categorical, Gaussian, Likelihood};
pub use minibatch::{Minibatch, MinibatchWorkspace};
pub use posterior::{Posterior, PosteriorWorkspace};
pub use prior::{IsotropicGaussian, Prior};
