//! Settings of a Laplace approximation.

use crate::curvature::KfacBias;
use crate::error::{Error, Result};
use crate::linalg::LanczosOptions;

/// The form of the posterior precision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Structure {
    /// Dense, for all parameters: `O(P^2)` memory, `O(P^3)` time.
    Full,
    /// The diagonal alone.
    Diagonal,
    /// The leading eigenpairs of the curvature, found by Lanczos, and the prior.
    LowRank {
        /// Number of eigenpairs.
        rank: usize,
    },
    /// Kronecker factors, layer by layer.
    Kfac {
        /// Whether biases are joined to their weights.
        bias: KfacBias,
    },
    /// Dense, for the last weight and bias. Everything before them is taken as known.
    LastLayer,
}

/// The curvature of the negative log-likelihood.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Curvature {
    /// The generalised Gauss-Newton matrix: positive semidefinite everywhere.
    #[default]
    Ggn,
    /// The sum over rows of `g g^T`, with `g` the row's gradient at its target. For all structures.
    EmpiricalFisher,
    /// The exact Hessian, for dense and diagonal structures. With the prior it must be positive
    /// definite, as it is at a strict mode.
    Hessian,
}

/// Settings of a Laplace approximation.
///
/// The defaults are KFAC and the Gauss-Newton matrix, as in laplace-torch (Daxberger et al. 2021),
/// but for all layers. By default, that program treats the last layer alone, as
/// [`Structure::LastLayer`] does.
#[derive(Clone, Debug)]
pub struct LaplaceOptions {
    /// The form of the precision.
    pub structure: Structure,
    /// The curvature that it approximates.
    pub curvature: Curvature,
    /// The noise level that a Gaussian likelihood was given. Needed to tune it.
    pub noise_std: Option<f64>,
    /// How eigenpairs are found, for [`Structure::LowRank`]; its `count` is ignored.
    pub lanczos: LanczosOptions,
}

impl Default for LaplaceOptions {
    fn default() -> Self {
        Self {
            structure: Structure::Kfac {
                bias: KfacBias::default(),
            },
            curvature: Curvature::default(),
            noise_std: None,
            lanczos: LanczosOptions {
                max_products: 3_000,
                ..LanczosOptions::default()
            },
        }
    }
}

impl LaplaceOptions {
    /// Checks the settings.
    ///
    /// # Errors
    /// If the structure cannot hold the curvature, or the noise level is not positive and finite.
    pub fn validate(&self) -> Result<()> {
        let signed = matches!(
            self.structure,
            Structure::Kfac { .. } | Structure::LowRank { .. }
        );
        if signed && self.curvature == Curvature::Hessian {
            let value = format!("Hessian with {:?}", self.structure);
            let requirement = "this structure needs a positive semidefinite curvature";
            return Err(Error::config("curvature", value, requirement));
        }
        match self.noise_std {
            Some(s) if !(s > 0.0 && s.is_finite()) => {
                let requirement = "must be positive and finite";
                Err(Error::config("noise_std", s, requirement))
            }
            _ => Ok(()),
        }
    }
}
