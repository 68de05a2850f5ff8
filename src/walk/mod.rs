//! Walks along the fiber: many particles that start at a trained network and move away from it, each in a direction of
//! its own, while the loss stays low.

mod drift;
mod ensemble;
mod kernel;

pub use drift::{Drift, DriftOptions, DriftState, viability_threshold};
pub use ensemble::{ParticleReport, Walk, WalkOptions, walk};
pub use kernel::{Info, Kernel};
