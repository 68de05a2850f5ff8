//! A kit to test your own parts as this crate tests its own (feature `testing`).
//!
//! Each check takes a part and settings, and returns a [`Failure`] that says what differs, where,
//! by how much, and with which seed it replays. Nothing panics and nothing is printed. All random
//! numbers come from [`crate::rng::Streams`]: the same seed gives the same result.
//!
//! | check | part | what must hold |
//! |---|---|---|
//! | [`check_layer`] | [`crate::nn::Layer`] | shapes; derivatives; rows do not see one another |
//! | [`check_network`] | [`crate::nn::Network`] | the same; layout; initialisation |
//! | [`check_linear_head`] | [`crate::nn::LinearHead`] | `f = phi W + b` |
//! | [`check_likelihood`] | [`crate::model::Likelihood`] | a sum over rows; derivatives; curvature |
//! | [`check_likelihood_sampler`] | and a sampler of targets | score and information identity |
//! | [`check_prior`] | [`crate::model::Prior`] | derivatives; precision at the mode; mass 1 |
//! | [`check_density`] | [`crate::model::LogDensity`] | gradient; finite values; wrong lengths |
//! | [`check_curved`], [`check_hessian`] | [`crate::model::Curved`] | products |
//! | [`check_bijection`] | [`crate::deform::Bijection`] | there and back; log-determinants |
//! | [`check_operator`] | [`crate::linalg::SymmetricOperator`] | linear; symmetric; positive |
//! | [`check_kernel`] | [`crate::walk::Kernel`] | invariance; movement; save and continue |
//!
//! **Tolerances** are stated where they are used and are part of a failure. Derivatives are
//! compared with central differences, whose error is estimated from two steps (file `differences`).
//! A difference that steps over a kink is tried again with a smaller step.
//!
//! **Tests of distributions** reject a right part with the probability `level`, once for each seed.
//!
//! Densities with known moments ([`GaussianDensity`], [`Banana`]) and strategies of `proptest`
//! ([`shapes`], [`regression`], [`classes`], [`networks`]) come along. `docs/testing.md` shows the
//! checks on parts of your own.

mod bijection;
mod checker;
mod density;
mod derivatives;
mod differences;
mod failure;
mod integral;
mod kernel;
mod layer;
mod likelihood;
mod network;
mod operator;
mod options;
mod prior;
mod property;
mod record;
mod rows;
mod strategies;
mod targets;
#[cfg(test)]
mod tests;

#[cfg(test)]
pub(crate) use bijection::log_abs_det;
pub use bijection::{BijectionOptions, check_bijection};
pub use density::{check_curved, check_density, check_hessian};
pub use failure::{Cause, Failure, Place};
pub use kernel::{
    ContinueOptions, KernelOptions, SavedState, check_continues, check_invariance, check_kernel,
};
pub use layer::check_layer;
pub use likelihood::{
    LikelihoodOptions, SamplerOptions, Support, check_likelihood, check_likelihood_sampler,
};
pub use network::{check_linear_head, check_network};
pub use operator::check_operator;
pub use options::CheckOptions;
pub use prior::check_prior;
pub use property::property;
pub use strategies::{
    Extents, SMOOTH, SmallData, SmallNetwork, classes, networks, regression, shapes,
};
pub use targets::{Banana, GaussianDensity, KnownDensity};
