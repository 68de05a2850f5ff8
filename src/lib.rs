//! fiberwalk
pub mod autodiff;
pub mod error;
pub mod rng;
pub mod scalar;
#[doc(hidden)]
pub mod simd;
pub use error::{Error, Result};
pub use rng::{Phase, Streams};
pub use scalar::Scalar;
