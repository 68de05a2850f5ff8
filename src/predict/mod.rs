//! The posterior predictive: what parameter samples say about new inputs, and how sure they are.

mod draws;
mod linearised;
mod mixed_rows;
mod mixture;
mod output_gaussian;
mod outputs;
mod predictions;
mod real;
mod real_mixtures;
mod stretch;

#[cfg(feature = "safetensors")]
pub(crate) use draws::draw_class;
pub use draws::{DrawOptions, PredictiveDraws};
pub use linearised::{SoftmaxMean, class_probabilities, draw_outputs, regression_predictions};
pub use mixed_rows::{MemberLaws, MixedPredictions};
pub use mixture::{GaussianMixture, MixedPredictive, MixtureStds, Part};
pub use output_gaussian::{JointOutputGaussian, OutputGaussian};
pub use outputs::{Outputs, OutputsWorkspace, SampleOutputs, linearised_outputs, network_outputs};
#[cfg(feature = "safetensors")]
pub(crate) use predictions::entropy;
pub use predictions::{ClassPredictions, ClassSums};
pub use real::{RealMoments, RealPredictions};
pub use real_mixtures::RegressionPredictions;
