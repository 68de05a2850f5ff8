//! Linear algebra on matrices known only by their products, and small dense helpers on faer.

mod blocked;
mod cholesky;
mod dense;
mod diagonal;
mod lanczos;
mod log_mean;
mod operator;
mod orthogonal;
pub(crate) mod product;
mod quadrature;
mod rows;
mod table;
pub mod vector;

pub use cholesky::{Cholesky, Factoriser};
pub use dense::{SymmetricEigen, singular_values, symmetric_eigen};
pub use diagonal::{DiagonalEstimate, estimate_diagonal, estimate_trace, exact_diagonal};
pub use lanczos::{
    ConvergedPairs, Eigenpairs, Lanczos, LanczosOptions, Ritz, converged_eigenpairs,
    leading_eigenpairs, leading_eigenpairs_from,
};
pub use log_mean::{LogMean, log_mean_exp};
pub use operator::{DeflatedOperator, DenseOperator, ShiftedOperator, SymmetricOperator};
pub use orthogonal::{orthonormal_rows, project_out, random_orthogonal};
pub use quadrature::{SpectralDensity, SpectralQuadrature, TraceEstimate};
pub(crate) use table::{cell, check_table, check_weights, not_a_number, output_of};
