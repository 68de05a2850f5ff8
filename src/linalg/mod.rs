//! Linear algebra on matrices that are only known by what they do to a vector, and small dense helpers on faer.

mod cholesky;
mod dense;
mod lanczos;
mod operator;
mod orthogonal;
pub(crate) mod product;
mod quadrature;
pub mod vector;

pub use cholesky::Cholesky;
pub use dense::{SymmetricEigen, symmetric_eigen};
pub use lanczos::{Eigenpairs, Lanczos, LanczosOptions, leading_eigenpairs};
pub use operator::{DenseOperator, SymmetricOperator};
pub use orthogonal::{orthonormal_rows, project_out, random_orthogonal};
pub use quadrature::{SpectralQuadrature, TraceEstimate};
