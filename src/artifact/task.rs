//! What a model predicts, and the parameters that go with it.

use serde::{Deserialize, Serialize};

use crate::data::{TargetMap, Warp};
use crate::error::{Result, counted};
use crate::model::{Likelihood, Noise, Observation};

/// The task with its own parameters.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum TaskSpec {
    /// Classes.
    Classification {
        /// Number of classes.
        classes: usize,
        /// Softmax, or one logit for two classes.
        #[serde(default = "softmax", skip_serializing_if = "is_softmax")]
        likelihood: Observation,
    },
    /// A real target with noise around the network's output, or counts.
    Regression {
        /// Noise in standardised units; 1 where there is none.
        noise_std: f64,
        /// Training mean of the target, after its warp.
        target_mean: f64,
        /// Training standard deviation of the target, after its warp.
        target_scale: f64,
        /// Gaussian, or another likelihood.
        #[serde(default = "gaussian", skip_serializing_if = "is_gaussian")]
        likelihood: Observation,
        /// The warp of the target, before shift and scale.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        target_warp: Option<Warp>,
        /// The count rate at an output of 0, for a likelihood of counts.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        base_rate: Option<f64>,
    },
}

fn softmax() -> Observation {
    Observation::Categorical
}

fn gaussian() -> Observation {
    Observation::Gaussian
}

// serde passes a reference
#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_softmax(o: &Observation) -> bool {
    *o == Observation::Categorical
}

#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_gaussian(o: &Observation) -> bool {
    *o == Observation::Gaussian
}

impl TaskSpec {
    /// The kind of likelihood of the targets.
    pub fn observation(&self) -> Observation {
        match self {
            TaskSpec::Classification { likelihood, .. }
            | TaskSpec::Regression { likelihood, .. } => *likelihood,
        }
    }

    /// The likelihood, with the noise of the file or, with `sampled`, with noise as a parameter
    /// (under any prior: predictions do not need it).
    ///
    /// # Errors
    /// If a noise is given that the likelihood can only sample, or if it is the user's.
    pub(super) fn likelihood(&self, sampled: bool) -> Result<Box<dyn Likelihood>> {
        let noise_std = match self {
            TaskSpec::Regression { noise_std, .. } => *noise_std,
            TaskSpec::Classification { .. } => 1.0,
        };
        self.likelihood_with(match sampled {
            true => Noise::Sampled { scale: 1.0 },
            false => Noise::Given(noise_std),
        })
    }

    /// The likelihood with this noise.
    ///
    /// # Errors
    /// Those of [`TaskSpec::likelihood`].
    pub(super) fn likelihood_with(&self, noise: Noise) -> Result<Box<dyn Likelihood>> {
        let base_rate = match self {
            TaskSpec::Regression { base_rate, .. } => base_rate.unwrap_or(1.0),
            TaskSpec::Classification { .. } => 1.0,
        };
        self.observation().likelihood(noise, base_rate)
    }

    /// The number of classes; `None` for a regression.
    pub fn classes(&self) -> Option<usize> {
        match self {
            TaskSpec::Classification { classes, .. } => Some(*classes),
            TaskSpec::Regression { .. } => None,
        }
    }

    /// The map from a real target to what the network sees; the identity for classes.
    pub fn target_map(&self) -> TargetMap {
        match *self {
            TaskSpec::Classification { .. } => TargetMap::IDENTITY,
            TaskSpec::Regression {
                target_mean,
                target_scale,
                target_warp,
                ..
            } => TargetMap {
                warp: target_warp,
                mean: target_mean,
                scale: target_scale,
            },
        }
    }

    /// Checks the task. The error says what is wrong, as a sentence.
    pub(super) fn check(&self) -> std::result::Result<(), String> {
        let observation = self.observation();
        let fits = match self {
            TaskSpec::Classification { classes, .. } => {
                if *classes < 2 {
                    return Err(counted(classes, "class").to_string());
                }
                observation == Observation::Own
                    || observation == Observation::Categorical
                    || observation == Observation::Bernoulli && *classes == 2
            }
            TaskSpec::Regression {
                noise_std,
                target_mean,
                target_scale,
                target_warp,
                base_rate,
                ..
            } => {
                if let Some(rate) = base_rate {
                    positive("base_rate", *rate)?;
                }
                positive("noise_std", *noise_std)?;
                positive("target_scale", *target_scale)?;
                if !target_mean.is_finite() {
                    return Err(format!("target_mean is {target_mean}"));
                }
                if let Some(warp) = target_warp {
                    warp.check().map_err(|e| e.to_string())?;
                }
                let counts = observation == Observation::Poisson;
                let plain = self.target_map() == TargetMap::IDENTITY;
                let tails = observation == Observation::StudentT && target_warp.is_some();
                !observation.is_of_classes() && (!counts || plain) && !tails
            }
        };
        if fits {
            Ok(())
        } else {
            Err(format!(
                "its task does not go with the likelihood {observation}"
            ))
        }
    }
}

pub(super) fn positive(name: &str, value: f64) -> std::result::Result<(), String> {
    if value > 0.0 && value.is_finite() {
        Ok(())
    } else {
        Err(format!("{name} is {value}, not positive"))
    }
}
