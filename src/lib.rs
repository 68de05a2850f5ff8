//! fiberwalk
#[cfg(feature = "safetensors")]
pub mod artifact;
pub mod autodiff;
pub mod curvature;
pub mod data;
pub mod deform;
pub mod error;
pub mod linalg;
pub mod metrics;
pub mod model;
pub mod nn;
pub mod optim;
pub mod predict;
pub mod rng;
pub mod scalar;
#[doc(hidden)]
pub mod simd;
pub mod walk;
pub use error::{Error, Result};
pub use model::{
    Categorical, Gaussian, IsotropicGaussian, Likelihood, LogDensity, Posterior, Prior,
};
pub use nn::{Activation, LinearHead, Mlp, Network};
pub use rng::{Phase, Streams};
pub use scalar::Scalar;
