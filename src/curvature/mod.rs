//! Curvature of the energy around a point.
//!
//! There are matrix-free operators, dense matrices, Kronecker factors, the tangent space of the
//! fiber, and the evidence.

mod dense;
mod evidence;
mod jacobian;
mod kfac;
mod log_evidence;
mod operators;
mod roots;
mod tangent;

pub(crate) use dense::dense_from_roots;
pub use dense::{DenseCurvature, dense_curvature, dense_operator};
pub use evidence::{Dense, EvidenceOptions, EvidenceReport, tune_by_evidence};
pub use jacobian::{JacobianMemory, JacobianRows};
pub use kfac::{KfacBias, KfacOptions, KroneckerBlock, KroneckerFactors};
pub(crate) use kfac::{KroneckerEigen, ShiftedKronecker};
pub use log_evidence::{LogEvidence, log_evidence};
pub use operators::{EmpiricalFisherOperator, GgnOperator, HessianOperator, WhitenedOperator};
pub(crate) use roots::{OutputRoots, RowOutputs};
pub use roots::{RowFisher, Supervised};
pub use tangent::{NormalDimension, TangentOptions, TangentSpace};
