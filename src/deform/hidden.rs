//! The flows that hidden parameters can have.

use super::{FramedFlow, Smoothed, UnitFlow};
use crate::error::{Error, Result};
use crate::scalar::Scalar;

/// A density over the hidden parameters that can be drawn from, with its learned parameters.
#[derive(Clone, Debug)]
pub enum HiddenFlow<T> {
    /// A Gaussian in a frame, with couplings on its leading directions: covers the surroundings of
    /// one point.
    Framed(FramedFlow<T>),
    /// Exchangeable units: covers everywhere that walkers go.
    Units(UnitFlow<T>),
    /// A mixture of Gaussians around points of a walk.
    Smoothed(Smoothed<T>),
}

impl<T: Scalar> HiddenFlow<T> {
    /// Number of hidden parameters.
    pub fn dim(&self) -> usize {
        match self {
            HiddenFlow::Framed(flow) => flow.dim(),
            HiddenFlow::Units(flow) => flow.dim(),
            HiddenFlow::Smoothed(flow) => flow.dim(),
        }
    }

    /// Hidden parameters and `log |det|` for rows of `z` (`[n, dim]`). Of a mixture, row `i` goes
    /// through component `i` modulo their number.
    ///
    /// # Errors
    /// If `z` is not rows of [`HiddenFlow::dim`] numbers.
    pub fn forward(&self, z: &[T]) -> Result<(Vec<T>, Vec<f64>)> {
        match self {
            HiddenFlow::Framed(flow) => flow.forward(z),
            HiddenFlow::Units(flow) => flow.forward(z),
            HiddenFlow::Smoothed(flow) => flow.forward(z),
        }
    }

    /// `z` and its `log |det|` for rows of hidden parameters (`[n, dim]`).
    ///
    /// # Errors
    /// If they are not rows of [`HiddenFlow::dim`] numbers, or the flow is a mixture.
    pub fn inverse(&self, theta: &[T]) -> Result<(Vec<T>, Vec<f64>)> {
        match self {
            HiddenFlow::Framed(flow) => flow.inverse(theta),
            HiddenFlow::Units(flow) => flow.inverse(theta),
            HiddenFlow::Smoothed(_) => {
                let requirement = "is a mixture of Gaussians, which has a density but no inverse";
                Err(Error::config("flow", "points", requirement))
            }
        }
    }

    /// `log q` of rows of hidden parameters (`[n, dim]`), in nats.
    ///
    /// # Errors
    /// If they are not rows of [`HiddenFlow::dim`] numbers.
    pub fn log_density(&self, theta: &[T]) -> Result<Vec<f64>> {
        match self {
            HiddenFlow::Framed(flow) => flow.log_density(theta),
            HiddenFlow::Units(flow) => flow.log_density(theta),
            HiddenFlow::Smoothed(flow) => flow.log_density(theta),
        }
    }
}
