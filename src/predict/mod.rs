//! The posterior predictive: what a set of parameter samples says about new inputs, and how sure it is.

mod linearised;
mod mixture;
mod outputs;
mod predictions;

pub use linearised::{SoftmaxMean, class_probabilities, draw_outputs, regression_predictions};
pub use mixture::{GaussianMixture, MixtureStds, normal_cdf};
pub use outputs::{Outputs, linearised_outputs, network_outputs};
pub use predictions::{ClassPredictions, RegressionPredictions, RegressionSummary};
