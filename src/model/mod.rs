//! The statistical model: likelihood, prior, and the posterior density over a network's parameters.
//!
//! Likelihoods are **sums** over the data, never means. Densities keep their constants. So
//! `-U(theta)` is `log p(D, theta)`, and evidences can be compared.

mod batch;
mod chunk;
mod coordinate_prior;
mod density;
mod law;
mod likelihood;
mod minibatch;
mod observation;
mod parts;
mod points_of;
mod posterior_density;
mod prior;
mod row_likelihood;
mod rows;
mod sampled;
mod scaled;
mod scales;
mod shards;

pub use batch::Batch;
pub use coordinate_prior::CoordinatePrior;
pub use density::{Curved, LogDensity};
pub use law::{Law, Predictive};
pub(crate) use likelihood::target_shape;
pub use likelihood::{
    Bernoulli, Categorical, ClosedForm, Gaussian, GaussianLearnedNoise, GaussianNoiseHead,
    GaussianPerOutput, HeteroscedasticGaussian, Likelihood, LikelihoodParam, LikelihoodParams,
    Poisson, PoissonWithBase, StudentT, Weighted,
};
pub use minibatch::{Minibatch, MinibatchWorkspace};
pub use observation::{Noise, Observation};
pub use parts::Model;
pub use points_of::PointsOf;
pub use posterior_density::{PosteriorDensity, PosteriorWorkspace, ProductWorkspace};
pub use prior::{FanInGaussian, IsotropicGaussian, PerLayerGaussian, Prior};
pub use row_likelihood::{RowLikelihood, RowLikelihoodWorkspace};
pub use rows::{FisherWorkspace, RowCurvature};
pub use sampled::{Points, Posterior, thinned};
pub use scaled::{
    ExactMove, HeadScales, HiddenFirst, ScaleGroups, ScaleParam, ScalePrior, ScaledHead,
    ScaledHeadPrior, ScaledNetwork, StdFromLogs,
};

pub use scales::{NOISE_STD, PRIOR_PRECISION};

use crate::error::{Error, Result};

/// `log(2 pi) / 2`, the constant of a normal density.
const HALF_LOG_2PI: f64 = 0.918_938_533_204_672_7;

/// Returns the value if it is positive and finite.
fn positive(field: &'static str, value: f64) -> Result<f64> {
    if value > 0.0 && value.is_finite() {
        Ok(value)
    } else {
        Err(Error::config(field, value, "must be positive and finite"))
    }
}
