//! What was fitted, and to what.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::data::Warp;

/// The rows.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Data {
    /// Number of rows.
    pub rows: usize,
    /// Number of features.
    pub features: usize,
    /// Channels, height and width, if the features are the pixels of images.
    pub image: Option<[usize; 3]>,
    /// Number of classes; `None`: the target is a number.
    pub classes: Option<usize>,
    /// Name of the target.
    pub target: String,
    /// How targets come about, if it is not softmax for classes or Gaussian noise for a number.
    pub likelihood: Option<String>,
    /// The weights of the rows, if they have any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weights: Option<Weights>,
    /// What is done to the target before it is standardised.
    pub target_transform: Option<Warp>,
    /// How columns that are not plain numbers were read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<String>,
    /// What a reader should know about how the table was read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// Names of the features that a Yeo-Johnson map is applied to.
    pub warped_features: Vec<String>,
}

/// The weights of the rows.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Weights {
    /// The column that held them.
    pub column: Option<String>,
    /// True if they make all classes equal in weight.
    pub balanced: bool,
    /// Their sum: the number of rows in the likelihood.
    pub sum: f64,
    /// Rows of equal weight that would say as much: `(sum w)^2 / sum w^2` (Kish 1965).
    pub effective_rows: f64,
}

impl Weights {
    /// Of rows with these weights.
    pub(crate) fn of(weights: &[f64]) -> Self {
        let sum: f64 = weights.iter().sum();
        let squares: f64 = weights.iter().map(|w| w * w).sum();
        Self {
            sum,
            effective_rows: sum * sum / squares,
            ..Self::default()
        }
    }
}

impl fmt::Display for Weights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        if let Some(column) = &self.column {
            parts.push(format!("column '{column}'"));
        }
        if self.balanced {
            parts.push("classes balanced, so probabilities are those of balanced classes".into());
        }
        let (sum, effective) = (self.sum, self.effective_rows);
        write!(
            f,
            "{}; sum {sum:.1}, as much as {effective:.1} equal rows",
            parts.join("; ")
        )
    }
}

/// The network.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Network {
    /// Widths and activation, or layers.
    pub description: String,
    /// Number of parameters.
    pub parameters: usize,
}
