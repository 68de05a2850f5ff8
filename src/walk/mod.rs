//! Walks along the fiber: many particles leave a trained network while the loss stays low.
//!
//! The interface is that of all samplers of the crate. A [`Kernel`] moves one particle, a
//! [`Walker`] is a particle with its random stream, and a [`Run`] moves many. HMC, NUTS and
//! Langevin dynamics ([`baselines`](crate::baselines)) are kernels too.

mod annealed;
mod at_once;
mod batches;
mod divergence;
mod drift;
mod ensemble;
mod forget;
mod inverse_mass;
mod kernel;
mod leapfrog;
mod microcanonical;
mod observe;
mod options;
mod renew;
mod run;
mod tangent;
#[cfg(test)]
mod tests;
mod tuning;
#[allow(clippy::module_inception)]
mod walk;
mod walker;

pub use annealed::{
    AnnealedEvidence, AnnealedOptions, Bound, EvidenceBracket, annealed_evidence, evidence_bracket,
};
pub use at_once::walk;
pub use batches::{Batched, Refresh};
pub use divergence::{Divergence, DivergenceCause};
pub use drift::{Drift, DriftOptions, DriftState, DriftWorkspace, viability_threshold};
pub use inverse_mass::InverseMassMatrix;
pub use kernel::{Fields, Info, Kernel, Particle, StepStatistics, WarmUp};
pub(crate) use kernel::{same_dim, same_length};
pub(crate) use leapfrog::{Leapfrog, PhasePoint};
pub use microcanonical::{
    Microcanonical, MicrocanonicalOptions, MicrocanonicalState, MicrocanonicalWorkspace,
};
pub(crate) use microcanonical::{kick, normalise};
pub use observe::{Observable, Trace};
pub use options::WalkOptions;
pub use renew::{FrameOptions, FrameSource, GgnFrame};
pub use run::Run;
pub use tangent::{Tangent, TangentState, TangentWalkOptions, TangentWorkspace, whitened_space};
pub use walk::Walk;
pub use walker::Walker;
