//! How many directions are normal, and the budget for finding them.

use crate::error::{Error, Result};
use crate::linalg::LanczosOptions;

/// Which leading eigenvectors of the Gauss-Newton matrix span the normal space.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum NormalDimension {
    /// This many, whatever their eigenvalues.
    Count(usize),
    /// Those with an eigenvalue above `kappa` times the prior precision: the data determine them
    /// more than `kappa` times as strongly as the prior.
    Relative {
        /// The factor.
        kappa: f64,
    },
    /// The fewest that explain this share of the trace.
    Share {
        /// The share, between 0 and 1, both excluded.
        share: f64,
        /// Number of random sign vectors for estimating the trace (Hutchinson). Each costs a
        /// product.
        probes: usize,
    },
}

/// How the normal space is chosen and computed.
#[derive(Clone, Debug)]
pub struct TangentOptions {
    /// Which directions are normal.
    pub normal: NormalDimension,
    /// Largest number of normal directions.
    pub max_normal: usize,
    /// Residual of an accepted eigenpair, relative to the largest eigenvalue.
    pub tolerance: f64,
    /// Largest number of products with the operator, not counting those for the trace.
    pub max_products: usize,
    /// Largest number of vectors in memory during the search for eigenvectors: see
    /// [`LanczosOptions::max_basis`].
    pub max_basis: Option<usize>,
}

impl Default for TangentOptions {
    fn default() -> Self {
        Self {
            normal: NormalDimension::Relative { kappa: 1.0 },
            max_normal: 64,
            tolerance: 1e-5,
            max_products: 200,
            max_basis: None,
        }
    }
}

impl TangentOptions {
    /// Checks every setting. `dim` is the number of parameters.
    pub(super) fn lanczos(&self, dim: usize) -> Result<LanczosOptions> {
        match self.normal {
            NormalDimension::Count(count) if count == 0 || count > dim => {
                let requirement = format!("must be in 1..={dim}");
                return Err(Error::config("count", count, &requirement));
            }
            NormalDimension::Relative { kappa } if kappa.is_nan() || kappa <= 0.0 => {
                return Err(Error::config("kappa", kappa, "must be positive"));
            }
            NormalDimension::Share { share, .. } if !(share > 0.0 && share < 1.0) => {
                return Err(Error::config("share", share, "must be between 0 and 1"));
            }
            NormalDimension::Share { probes: 0, .. } => {
                return Err(Error::config("probes", 0, "must be positive"));
            }
            _ => {}
        }
        if self.max_normal == 0 {
            return Err(Error::config("max_normal", 0, "must be positive"));
        }
        // one more than is kept: only an eigenvalue below the threshold shows that no more lie
        // above it
        let wanted = match self.normal {
            NormalDimension::Count(count) => count.min(self.max_normal),
            NormalDimension::Relative { .. } => self.max_normal + 1,
            NormalDimension::Share { .. } => self.max_normal,
        };
        Ok(LanczosOptions {
            count: wanted.min(dim),
            tolerance: self.tolerance,
            max_products: self.max_products,
            max_basis: self.max_basis,
            ..LanczosOptions::default()
        })
    }
}
