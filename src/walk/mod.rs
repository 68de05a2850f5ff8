//! Walks along the fiber: many particles leave a trained network while the loss stays low.

mod annealed;
mod batches;
mod drift;
mod ensemble;
mod forget;
mod inverse_mass;
mod kernel;
mod microcanonical;
mod observe;
mod pool;
mod renew;
mod run;
mod tangent;
#[cfg(test)]
mod tests;
mod tuning;
#[allow(clippy::module_inception)]
mod walk;

pub use annealed::{AnnealedEvidence, AnnealedOptions, annealed_evidence};
pub use batches::{Batched, Refresh};
pub use drift::{Drift, DriftOptions, DriftState, DriftWorkspace, viability_threshold};
pub use inverse_mass::InverseMassMatrix;
pub use kernel::{Fields, Info, Kernel, Particle, Tally, WarmUp};
pub use microcanonical::{
    Microcanonical, MicrocanonicalOptions, MicrocanonicalState, MicrocanonicalWorkspace,
};
pub use observe::{Observable, Trace};
// the pipeline also keeps its workspaces in a pool
#[cfg(feature = "safetensors")]
pub(crate) use pool::Pool;
pub use renew::{FrameOptions, FrameSource, GgnFrame};
pub use run::{Run, WalkOptions, walk};
pub use tangent::{Tangent, TangentState, TangentWalkOptions, TangentWorkspace, whitened_space};
pub use walk::Walk;
