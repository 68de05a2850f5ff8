//! The dense Gauss-Newton matrix of a network and rows of data, compiled once for all parameters.

use std::ops::Range;

use super::by_rows;
use super::linear::LinearLayers;
use crate::curvature::jacobian::JacobianRows;
use crate::curvature::roots::{OutputPrograms, OutputRoots, RowFisher, Supervised};
use crate::error::Result;
use crate::model::Likelihood;
use crate::nn::Network;
use crate::scalar::Scalar;

/// What [`dense_curvature`](super::dense_curvature) compiles for the Gauss-Newton matrix, to be
/// used at many parameters and under many noise levels.
pub struct DenseCurvature<'a, T: Scalar> {
    network: &'a dyn Network,
    x: &'a [f64],
    y: &'a [f64],
    range: Range<usize>,
    outputs: OutputPrograms<T>,
    layers: Option<LinearLayers<T>>,
    rows: JacobianRows<T>,
}

impl<'a, T: Scalar> DenseCurvature<'a, T> {
    /// The matrix for the parameters `range`, given rows `x` (`[n, input_dim]`, row-major) and
    /// targets `y` (`[n, m]`, row-major).
    ///
    /// # Errors
    /// If lengths do not fit, there are no rows, a number is not finite in `T`, or the likelihood
    /// rejects the targets or owns parameters.
    pub fn new(
        network: &'a dyn Network,
        likelihood: &dyn Likelihood,
        (x, y): (&'a [f64], &'a [f64]),
        range: Range<usize>,
    ) -> Result<Self> {
        let data = Supervised {
            network,
            likelihood,
            x,
            y,
        };
        Ok(Self {
            outputs: OutputPrograms::new(&data)?,
            layers: LinearLayers::all(&data, range.clone()),
            rows: JacobianRows::new(network, &vec![T::ZERO; network.dim()])?,
            network,
            x,
            y,
            range,
        })
    }

    /// The matrix at `theta`, `[q, q]` row-major. `likelihood` may differ in its noise from the one
    /// that was compiled.
    ///
    /// # Errors
    /// If `theta` has the wrong length or an output is not finite.
    pub fn at(&self, likelihood: &dyn Likelihood, theta: &[T]) -> Result<Vec<f64>> {
        let data = Supervised {
            network: self.network,
            likelihood,
            x: self.x,
            y: self.y,
        };
        // the matrix takes only the network's outputs from here, which do not depend on the noise
        let outputs = self.outputs.at(&data, theta)?;
        let roots = OutputRoots::new(&data, &outputs, RowFisher::Ggn)?;
        match &self.layers {
            Some(layers) if layers.are_less_work(roots.rank) => layers.matrix(&data, theta, &roots),
            _ => by_rows(&data, self.range.clone(), &self.rows.at(theta)?, &roots),
        }
    }
}
