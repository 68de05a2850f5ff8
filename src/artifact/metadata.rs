//! The metadata of a model file, and the checks that they must pass.

mod columns;
mod flow;
mod version;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::calibration::Calibration;
use super::network_spec::NetworkSpec;
use super::report::{self, FitReport};
use super::task::{TaskSpec, positive};
use crate::data::{Schema, Standardizer, Task, Warp};
use crate::error::{Error, Result, counted};
use crate::model::{Model, Observation};
use crate::nn::LinearHead;

pub use version::FORMAT_VERSION;
pub(crate) use version::SEALED;

/// The JSON in a model file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Metadata {
    /// Format version, at most [`FORMAT_VERSION`].
    pub format_version: u32,
    /// Version of the crate that wrote the file.
    pub crate_version: String,
    /// `f32` or `f64`.
    pub precision: String,
    /// What is predicted.
    pub task: TaskSpec,
    /// Names of the features, in order: columns of the training file, or what they were encoded
    /// as.
    pub feature_names: Vec<String>,
    /// Column of the training file that is the target.
    pub target_name: String,
    /// Where the weights of the training rows came from, if they had any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weights: Option<RowWeights>,
    /// The columns of the training file, if they are not plain numbers or classes have names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<Schema>,
    /// Training mean of each feature.
    pub feature_mean: Vec<f64>,
    /// Population standard deviation of each feature; 0 for a constant feature.
    pub feature_scale: Vec<f64>,
    /// Maps applied to each feature before it is shifted and scaled; empty if there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub feature_warps: Vec<Option<Warp>>,
    /// Height, width and channels, if the features are the pixels of images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<[usize; 3]>,
    /// The network.
    pub network: NetworkSpec,
    /// Prior precision of every weight and bias.
    pub prior_precision: f64,
    /// The scales that follow the parameters in each sample, if scales are part of the posterior.
    /// `prior_precision` and the noise of the task then belong to the MAP estimate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scales: Option<SampledScales>,
    /// Name of the method: `map`, `walk`, `atlas`, `flow` or a baseline.
    pub method: String,
    /// True if predictions use the network linearised at the MAP estimate.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub linearised: bool,
    /// True if the file stores draws in place of the deformation that they came from.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub frozen: bool,
    /// Seed of the fit. Predictions use it too, unless told otherwise.
    pub seed: u64,
    /// Hidden widths of the flow's conditioners, for `flow`.
    #[serde(default)]
    pub flow_hidden: Vec<usize>,
    /// Number of pairs of couplings and size of a pool, for a `flow` of exchangeable units.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flow_units: Option<[usize; 2]>,
    /// Proposals per draw of a `flow`; the draw is one of them.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub flow_proposals: usize,
    /// Number of kinetic layers after a `flow`.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub flow_layers: usize,
    /// Scale of the prior of the noise, which kinetic layers need where the noise is sampled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flow_noise_scale: Option<f64>,
    /// The models of a mixture. The network, scales and noise above are those of the heaviest
    /// model.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub members: Vec<MemberSpec>,
    /// Calibration on held-out rows, if the fit kept some back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibration: Option<Calibration>,
    /// A report on the fit, for the reader. Older files have none.
    #[serde(
        default,
        deserialize_with = "report::if_known",
        skip_serializing_if = "Option::is_none"
    )]
    pub report: Option<FitReport>,
    /// The figures that older files hold in place of a report.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub diagnostics: BTreeMap<String, f64>,
}

/// Where the weights of training rows came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowWeights {
    /// The column that held them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    /// True if classes were given equal weight in all.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub balanced: bool,
}

/// One model of a mixture.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MemberSpec {
    /// Its weight in the mixture, in (0, 1].
    pub weight: f64,
    /// Its metadata.
    pub metadata: Metadata,
}

fn one() -> usize {
    1
}

// serde passes a reference
#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_one(n: &usize) -> bool {
    *n == 1
}

// serde passes a reference
#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_zero(n: &usize) -> bool {
    *n == 0
}

/// The logarithms that follow the parameters in each sample: first of the prior scales, then of the
/// noise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SampledScales {
    /// How scales are grouped: see [`ScaleGroups`](crate::model::ScaleGroups).
    pub groups: String,
    /// A name for each scale.
    pub names: Vec<String>,
    /// True if the log standard deviation of the noise follows, in standardised units.
    pub noise_std: bool,
    /// True if `log(dof - 2)` of Student-t noise follows that.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dof: bool,
}

impl SampledScales {
    /// How many numbers follow the parameters.
    pub fn len(&self) -> usize {
        self.names.len() + usize::from(self.noise_std) + usize::from(self.dof)
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Metadata {
    /// The task in the form that data sets use.
    pub fn data_task(&self) -> Task {
        match self.task {
            TaskSpec::Classification { classes, .. } => Task::Classification { classes },
            TaskSpec::Regression { .. } => Task::Regression,
        }
    }

    /// How many numbers follow the parameters in each sample.
    pub fn extras(&self) -> usize {
        self.scales.as_ref().map_or(0, SampledScales::len)
    }

    /// Name of the program's own model that the file was made with, if any.
    pub fn own_model(&self) -> Option<&str> {
        match &self.network {
            NetworkSpec::Own { own, .. } => Some(own),
            _ => None,
        }
    }

    /// The network.
    ///
    /// # Errors
    /// If its description is impossible.
    pub fn build_network(&self) -> Result<Box<dyn LinearHead>> {
        self.network.build(self.image)
    }

    /// The network, built from the program's own parts if the file needs them.
    ///
    /// # Errors
    /// If its description is impossible, if parts are missing, or if they belong to another model.
    pub fn network_with(&self, parts: Option<&Model>) -> Result<Arc<dyn LinearHead>> {
        let NetworkSpec::Own {
            own,
            inputs,
            outputs,
            parameters,
            targets,
            likelihood_parameters,
        } = &self.network
        else {
            return Ok(Arc::from(self.build_network()?));
        };
        let Some(model) = parts else {
            return Err(self.network.build(None).err().unwrap_or_else(|| {
                Error::config(
                    "network",
                    own,
                    "is a network of the program that made the file",
                )
            }));
        };
        let network = model.network();
        let shape = |n: [usize; 5]| {
            let nouns = ["input", "output", "parameter", "target", "parameter"];
            let [inputs, outputs, parameters, targets, own] =
                std::array::from_fn(|i| counted(n[i], nouns[i]));
            format!("{inputs}, {outputs}, {parameters}, {targets} a row, {own} of the likelihood")
        };
        let expected = [
            *inputs,
            *outputs,
            *parameters,
            *targets,
            *likelihood_parameters,
        ];
        let got = [
            network.input_dim(),
            network.output_dim(),
            network.dim(),
            model.target_dim(),
            model.own_params(),
        ];
        if model.name() != own {
            let requirement =
                format!("is another model than '{own}', which the file was made with");
            return Err(Error::config("model", model.name(), &requirement));
        }
        if expected != got {
            return Err(Error::shape(
                "the model of the file",
                shape(expected),
                shape(got),
            ));
        }
        Ok(model.linear_head())
    }

    /// The standardisation of features.
    ///
    /// # Errors
    /// If lengths or values are impossible.
    pub fn standardizer(&self) -> Result<Standardizer> {
        Standardizer::from_parts(self.feature_mean.clone(), self.feature_scale.clone())?
            .with_warps(self.feature_warps.clone())
    }

    /// Checks everything that can be checked without the tensors; an error is a sentence. `parts`
    /// are the program's own, if the file needs them.
    pub(super) fn check(
        &self,
        parts: Option<&Model>,
    ) -> std::result::Result<Arc<dyn LinearHead>, String> {
        self.check_version()?;
        self.task.check()?;
        let observation = self.task.observation();
        if let Some(scales) = &self.scales {
            if scales.noise_std && !observation.has_noise() {
                return Err(format!(
                    "its samples have a noise, which the likelihood {observation} has not"
                ));
            }
            if scales.dof != (observation == Observation::StudentT) {
                return Err(format!(
                    "its samples do not fit the likelihood {observation}"
                ));
            }
        }
        self.check_members()?;
        self.check_schema()?;
        self.check_flow()?;
        if let Some(calibration) = &self.calibration {
            let checked =
                calibration.check(self.task.classes(), self.stretches(), self.members.len());
            checked.map_err(|e| e.to_string())?;
        }
        if self.precision != "f32" && self.precision != "f64" {
            return Err(format!("precision '{}' is not f32 or f64", self.precision));
        }
        let features = self.feature_names.len();
        let pixels = |shape: [usize; 3]| shape.iter().try_fold(1usize, |n, &x| n.checked_mul(x));
        if let Some(shape) = self.image
            && pixels(shape) != Some(features)
        {
            return Err(format!(
                "{} cannot be images of {shape:?}",
                counted(features, "feature")
            ));
        }
        let network = self.network_with(parts).map_err(|e| e.to_string())?;
        self.standardizer().map_err(|e| e.to_string())?;
        positive("prior_precision", self.prior_precision)?;
        let outputs = match &self.network {
            NetworkSpec::Own { outputs, .. } => *outputs,
            _ => observation.outputs(self.task.classes().unwrap_or(1)),
        };
        if network.input_dim() != features || self.feature_mean.len() != features {
            return Err(format!(
                "{}, {} and a network with {}",
                counted(features, "feature name"),
                counted(self.feature_mean.len(), "mean"),
                counted(network.input_dim(), "input")
            ));
        }
        if network.output_dim() != outputs {
            return Err(format!(
                "the network has {}, the task needs {outputs}",
                counted(network.output_dim(), "output")
            ));
        }
        Ok(network)
    }

    /// Checks that the models of a mixture share their columns and kind of target.
    fn check_members(&self) -> std::result::Result<(), String> {
        let kind = |o: Observation| (o.is_of_classes(), o == Observation::Poisson);
        for (k, member) in self.members.iter().enumerate() {
            let other = &member.metadata;
            if !(member.weight > 0.0 && member.weight <= 1.0) {
                return Err(format!(
                    "model {k} of the mixture has weight {}",
                    member.weight
                ));
            }
            let alike = other.members.is_empty()
                && other.calibration.is_none()
                && other.precision == self.precision
                && other.feature_names == self.feature_names
                && other.target_name == self.target_name
                && other.task.classes() == self.task.classes()
                && kind(other.task.observation()) == kind(self.task.observation());
            if !alike {
                return Err(format!("model {k} of the mixture is of other data"));
            }
            let wrong = |e| format!("model {k} of the mixture: {e}");
            other.check(None).map_err(wrong)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
