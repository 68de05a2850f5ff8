//! Curvature of the energy around a point: matrix-free operators, the tangent space of the fiber, and the evidence.

mod evidence;
mod operators;
mod tangent;

pub use evidence::{EvidenceOptions, EvidenceReport, log_evidence, tune_by_evidence};
pub use operators::{EmpiricalFisherOperator, GgnOperator, HessianOperator, WhitenedOperator};
pub use tangent::{NormalDimension, TangentOptions, TangentSpace};
