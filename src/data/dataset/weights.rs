//! Weights of the rows of a data set.

use super::{Dataset, in_column};
use crate::error::{Error, Result};
use crate::linalg::check_weights;

impl Dataset {
    /// The same set with a weight for each row, `[n]`: how often it counts in the likelihood.
    /// `name` says where the weights come from.
    ///
    /// # Errors
    /// If their number is not that of the rows, one is negative or not finite, all are 0, or their
    /// sum overflows.
    pub fn with_weights(self, name: impl Into<String>, weights: Vec<f64>) -> Result<Self> {
        let name = name.into();
        let checked = check_weights("Dataset::with_weights", self.n(), &weights);
        checked.map_err(|error| match error {
            Error::Data { what, .. } => in_column(&name, what),
            other => other,
        })?;
        let weights = Some((name, weights));
        Ok(Self { weights, ..self })
    }

    /// A weight for each row, `[n]`; `None`: every row counts once.
    pub fn weights(&self) -> Option<&[f64]> {
        self.weights.as_ref().map(|(_, weights)| weights.as_slice())
    }

    /// The name of the weights.
    pub fn weights_name(&self) -> Option<&str> {
        self.weights.as_ref().map(|(name, _)| name.as_str())
    }
}
