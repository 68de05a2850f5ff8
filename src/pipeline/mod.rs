//! From a data set to a fitted model in one call: what the command line does, for programs.
//!
//! standardise -> network -> MAP estimate and scales by evidence -> tangent space -> walk -> deformation -> [`Model`].
//!
//! [`Model`]: crate::artifact::Model

mod agreement;
mod budget;
mod checkpoint;
mod convergence;
mod deform;
mod deform_summary;
mod fit;
mod map;
mod options;
mod prepare;
mod probe;
mod summary;
mod trust;
mod walk;
mod walk_summary;

pub use checkpoint::CheckpointOptions;
pub use fit::{FitResult, fit, fit_owned};
pub use options::{Batch, FitOptions, FlowChoice, KernelKind, Method, Stage};
pub use summary::Summary;
