//! What a model file says about itself, and the checks that it must pass.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::data::{Standardizer, Task};
use crate::error::Result;
use crate::nn::{Activation, Mlp, Network};

/// Version of the format that this crate writes and reads.
pub const FORMAT_VERSION: u32 = 1;

/// The JSON in a model file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Metadata {
    /// [`FORMAT_VERSION`] of the writer.
    pub format_version: u32,
    /// Version of the crate that wrote the file.
    pub crate_version: String,
    /// `f32` or `f64`.
    pub precision: String,
    /// What is predicted.
    pub task: TaskSpec,
    /// Columns of the training file that are features, in order.
    pub feature_names: Vec<String>,
    /// Column of the training file that is the target.
    pub target_name: String,
    /// Training mean of each feature.
    pub feature_mean: Vec<f64>,
    /// Population standard deviation of each feature; 0 for one that was constant.
    pub feature_scale: Vec<f64>,
    /// The network.
    pub network: NetworkSpec,
    /// Precision of the prior of every weight and bias.
    pub prior_precision: f64,
    /// `map`, `walk` or `flow`.
    pub method: String,
    /// Seed of the fit, and of predictions unless told otherwise.
    pub seed: u64,
    /// Hidden widths of the flow's conditioners, for `flow`.
    #[serde(default)]
    pub flow_hidden: Vec<usize>,
    /// Figures of the fit, for the reader.
    #[serde(default)]
    pub diagnostics: BTreeMap<String, f64>,
}

/// The task with its own parameters.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum TaskSpec {
    /// Softmax over classes.
    Classification {
        /// Number of classes.
        classes: usize,
    },
    /// Gaussian noise around the network's output.
    Regression {
        /// Noise in standardised units.
        noise_std: f64,
        /// Training mean of the target.
        target_mean: f64,
        /// Training standard deviation of the target.
        target_scale: f64,
    },
}

/// The architecture.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NetworkSpec {
    /// Widths, from inputs to outputs.
    pub sizes: Vec<usize>,
    /// Name of the nonlinearity.
    pub activation: String,
}

impl Metadata {
    /// The task as data sets know it.
    pub fn data_task(&self) -> Task {
        match self.task {
            TaskSpec::Classification { classes } => Task::Classification { classes },
            TaskSpec::Regression { .. } => Task::Regression,
        }
    }

    /// The network.
    ///
    /// # Errors
    /// If the sizes or the activation are impossible.
    pub fn build_network(&self) -> Result<Mlp> {
        Mlp::new(
            &self.network.sizes,
            self.network.activation.parse::<Activation>()?,
        )
    }

    /// The standardisation of features.
    ///
    /// # Errors
    /// If lengths or values are impossible.
    pub fn standardizer(&self) -> Result<Standardizer> {
        Standardizer::from_parts(self.feature_mean.clone(), self.feature_scale.clone())
    }

    /// Everything that can be wrong with the metadata alone, as a sentence.
    pub(super) fn check(&self) -> std::result::Result<Mlp, String> {
        if self.format_version != FORMAT_VERSION {
            return Err(format!(
                "its format is version {}, this program reads version {FORMAT_VERSION}",
                self.format_version
            ));
        }
        if self.precision != "f32" && self.precision != "f64" {
            return Err(format!("precision '{}' is not f32 or f64", self.precision));
        }
        let network = self.build_network().map_err(|e| e.to_string())?;
        self.standardizer().map_err(|e| e.to_string())?;
        let positive = |name: &str, value: f64| {
            if value > 0.0 && value.is_finite() {
                Ok(())
            } else {
                Err(format!("{name} is {value}, not positive"))
            }
        };
        positive("prior_precision", self.prior_precision)?;
        let outputs = match self.task {
            TaskSpec::Classification { classes } if classes < 2 => {
                return Err(format!("{classes} classes"));
            }
            TaskSpec::Classification { classes } => classes,
            TaskSpec::Regression {
                noise_std,
                target_mean,
                target_scale,
            } => {
                positive("noise_std", noise_std)?;
                positive("target_scale", target_scale)?;
                if !target_mean.is_finite() {
                    return Err(format!("target_mean is {target_mean}"));
                }
                1
            }
        };
        let features = self.feature_names.len();
        if network.input_dim() != features || self.feature_mean.len() != features {
            return Err(format!(
                "{features} feature names, {} means and a network with {} inputs",
                self.feature_mean.len(),
                network.input_dim()
            ));
        }
        if network.output_dim() != outputs {
            return Err(format!(
                "the network has {} outputs, the task needs {outputs}",
                network.output_dim()
            ));
        }
        Ok(network)
    }
}
