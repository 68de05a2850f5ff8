//! fiberwalk
pub mod error;
pub mod rng;
pub mod scalar;
pub use error::{Error, Result};
pub use rng::{Phase, Streams};
pub use scalar::Scalar;
