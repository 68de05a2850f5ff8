//! What was fitted, and to what.

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

/// The network.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Network {
    /// Widths and activation, or layers.
    pub description: String,
    /// Number of parameters.
    pub parameters: usize,
}
