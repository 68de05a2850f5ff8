//! The flows that hidden parameters can have.

use super::{FramedFlow, UnitFlow};
use crate::error::Result;
use crate::scalar::Scalar;

/// A bijection of the hidden parameters, with its learned parameters.
#[derive(Clone, Debug)]
pub enum HiddenFlow<T> {
    /// A Gaussian in a frame, with couplings on its leading directions: covers the surroundings of
    /// one point.
    Framed(FramedFlow<T>),
    /// Exchangeable units: covers everywhere that walkers go.
    Units(UnitFlow<T>),
}

impl<T: Scalar> HiddenFlow<T> {
    /// Number of hidden parameters.
    pub fn dim(&self) -> usize {
        match self {
            HiddenFlow::Framed(flow) => flow.dim(),
            HiddenFlow::Units(flow) => flow.dim(),
        }
    }

    /// Hidden parameters and `log |det|` for rows of `z` (`[n, dim]`).
    ///
    /// # Errors
    /// If `z` is not rows of [`HiddenFlow::dim`] numbers.
    pub fn forward(&self, z: &[T]) -> Result<(Vec<T>, Vec<f64>)> {
        match self {
            HiddenFlow::Framed(flow) => flow.forward(z),
            HiddenFlow::Units(flow) => flow.forward(z),
        }
    }

    /// `z` and its `log |det|` for rows of hidden parameters (`[n, dim]`).
    ///
    /// # Errors
    /// If they are not rows of [`HiddenFlow::dim`] numbers.
    pub fn inverse(&self, theta: &[T]) -> Result<(Vec<T>, Vec<f64>)> {
        match self {
            HiddenFlow::Framed(flow) => flow.inverse(theta),
            HiddenFlow::Units(flow) => flow.inverse(theta),
        }
    }
}
