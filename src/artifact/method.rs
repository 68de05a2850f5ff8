//! The ways to represent a posterior, and their names.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};

/// How the posterior is represented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// The MAP estimate alone: no uncertainty about the parameters.
    Map,
    /// MAP estimates from different starts.
    Ensemble,
    /// A Gaussian at the MAP estimate with full covariance; predictions by sampled weights.
    Laplace,
    /// The same Gaussian; predictions by the network linearised at the estimate.
    LaplaceGlm,
    /// Kronecker factors for every layer; linearised.
    LaplaceKfac,
    /// A diagonal covariance; linearised.
    LaplaceDiag,
    /// The last layer alone, with full covariance; linearised, which is exact for it.
    LaplaceLast,
    /// The moments of stochastic gradient descent at a constant rate.
    Swag,
    /// Draws of the Laplace approximation, moved along geodesics.
    Riemann,
    /// Langevin dynamics on minibatches.
    Sgld,
    /// The Gaussian of independent parameters with the best ELBO.
    Vi,
    /// A network trained with dropout, which also stays on for predictions.
    Dropout,
    /// Hamiltonian Monte Carlo: the ground truth, where it is feasible.
    Hmc,
    /// The No-U-Turn sampler: likewise.
    Nuts,
    /// Points of walks along the fiber.
    Walk,
    /// Hidden parameters of the walks' points, with the last layer drawn from its conditional.
    Atlas,
    /// A deformation learned from the walks' hidden parameters, with the last layer drawn from its
    /// conditional.
    Flow,
    /// A mixture of walks of different models, weighted by how well they predict rows left out.
    Auto,
}

impl Method {
    /// All methods.
    pub const ALL: [Method; 18] = [
        Method::Map,
        Method::Ensemble,
        Method::Laplace,
        Method::LaplaceGlm,
        Method::LaplaceKfac,
        Method::LaplaceDiag,
        Method::LaplaceLast,
        Method::Swag,
        Method::Riemann,
        Method::Sgld,
        Method::Vi,
        Method::Dropout,
        Method::Hmc,
        Method::Nuts,
        Method::Walk,
        Method::Atlas,
        Method::Flow,
        Method::Auto,
    ];

    /// The name that the command line and model files use.
    pub fn name(self) -> &'static str {
        match self {
            Method::Map => "map",
            Method::Ensemble => "ensemble",
            Method::Laplace => "laplace",
            Method::LaplaceGlm => "laplace-glm",
            Method::LaplaceKfac => "laplace-kfac",
            Method::LaplaceDiag => "laplace-diag",
            Method::LaplaceLast => "laplace-last",
            Method::Swag => "swag",
            Method::Riemann => "riemann",
            Method::Sgld => "sgld",
            Method::Vi => "vi",
            Method::Dropout => "dropout",
            Method::Hmc => "hmc",
            Method::Nuts => "nuts",
            Method::Walk => "walk",
            Method::Atlas => "atlas",
            Method::Flow => "flow",
            Method::Auto => "auto",
        }
    }

    /// True if the method starts with a walk.
    pub fn walks(self) -> bool {
        matches!(self, Method::Walk | Method::Atlas | Method::Flow)
    }

    /// True if the method predicts with the network linearised at the MAP estimate.
    pub fn is_linearised(self) -> bool {
        matches!(
            self,
            Method::LaplaceGlm | Method::LaplaceKfac | Method::LaplaceDiag | Method::LaplaceLast
        )
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // applies padding, if the caller asks for it
        f.pad(self.name())
    }
}

impl FromStr for Method {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let found = Method::ALL.into_iter().find(|m| m.name() == name);
        found.ok_or_else(|| {
            let names = Method::ALL.map(Method::name).join(", ");
            Error::config("method", name, &format!("must be one of {names}"))
        })
    }
}
