//! Observation models by name: how targets arise from a network's outputs.
//!
//! Each name selects a likelihood, and fixes what the network's outputs and the likelihood's own
//! parameters mean.
//!
//! | observation | outputs | own parameters, where the noise is sampled |
//! |---|---|---|
//! | `categorical` | a logit for each class | none |
//! | `bernoulli` | the logit of class 1 | none |
//! | `gaussian` | mean | `log noise_std` |
//! | `student-t` | centre | `log noise_std`, `log(dof - 2)` |
//! | `heteroscedastic` | mean, head `h` of the noise `e^{s + h}` | `s = log noise_std` |
//! | `poisson` | log rate | none |

use std::fmt;
use std::str::FromStr;

use super::{
    Bernoulli, Categorical, Gaussian, GaussianLearnedNoise, GaussianNoiseHead, Likelihood,
    PoissonWithBase, StudentT,
};
use crate::error::{Error, Result};

/// How a target arises from the network's outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "safetensors",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "kebab-case")
)]
pub enum Observation {
    /// Classes by softmax.
    Categorical,
    /// Two classes by one logit.
    Bernoulli,
    /// A real target with Gaussian noise.
    Gaussian,
    /// A real target with outliers.
    StudentT,
    /// A real target whose noise changes from row to row.
    Heteroscedastic,
    /// Counts.
    Poisson,
    /// A likelihood of the user's, which a [`Model`](super::Model) has.
    Own,
}

impl Observation {
    /// All that this crate has.
    pub const ALL: [Observation; 6] = [
        Observation::Categorical,
        Observation::Bernoulli,
        Observation::Gaussian,
        Observation::StudentT,
        Observation::Heteroscedastic,
        Observation::Poisson,
    ];

    /// The name that the command line and model files use.
    pub fn name(self) -> &'static str {
        match self {
            Observation::Categorical => "categorical",
            Observation::Bernoulli => "bernoulli",
            Observation::Gaussian => "gaussian",
            Observation::StudentT => "student-t",
            Observation::Heteroscedastic => "heteroscedastic",
            Observation::Poisson => "poisson",
            Observation::Own => "own",
        }
    }

    /// True for targets that are classes.
    pub fn is_of_classes(self) -> bool {
        matches!(self, Observation::Categorical | Observation::Bernoulli)
    }

    /// True if the model has a noise level.
    pub fn has_noise(self) -> bool {
        matches!(
            self,
            Observation::Gaussian | Observation::StudentT | Observation::Heteroscedastic
        )
    }

    /// Number of network outputs. `classes` matters for `categorical` only.
    pub fn outputs(self, classes: usize) -> usize {
        match self {
            Observation::Categorical => classes,
            Observation::Heteroscedastic => 2,
            _ => 1,
        }
    }

    /// Number of the likelihood's own parameters, where the noise is sampled. They follow the
    /// network's.
    pub fn own(self) -> usize {
        match self {
            Observation::StudentT => 2,
            Observation::Gaussian | Observation::Heteroscedastic => 1,
            _ => 0,
        }
    }

    /// The likelihood, with a given noise or with a sampled one, `noise_std ~ C+(0, scale)`. Both
    /// are in standardised units. `base_rate` is the count rate of `poisson` at an output of 0.
    ///
    /// # Errors
    /// If the noise, the scale or the base rate is not positive. Also if a noise is given for a
    /// likelihood that always samples it (`student-t`, `heteroscedastic`).
    pub fn likelihood(self, noise: Noise, base_rate: f64) -> Result<Box<dyn Likelihood>> {
        Ok(match (self, noise) {
            (Observation::Categorical, _) => Box::new(Categorical),
            (Observation::Bernoulli, _) => Box::new(Bernoulli),
            (Observation::Poisson, _) => Box::new(PoissonWithBase::new(base_rate)?),
            (Observation::Gaussian, Noise::Given(std)) => Box::new(Gaussian::new(std)?),
            (Observation::Gaussian, Noise::Sampled { scale }) => {
                Box::new(GaussianLearnedNoise::shared().with_half_cauchy(scale)?)
            }
            (Observation::StudentT, Noise::Sampled { scale }) => {
                Box::new(StudentT::default().with_half_cauchy(scale)?)
            }
            (Observation::Heteroscedastic, Noise::Sampled { scale }) => {
                Box::new(GaussianNoiseHead::new(scale)?)
            }
            (Observation::Own, _) => {
                let requirement = "is the user's: it comes with the model's parts";
                return Err(Error::config("likelihood", "own", requirement));
            }
            (_, Noise::Given(std)) => {
                let requirement =
                    format!("is sampled by the likelihood {self}, and cannot be given");
                return Err(Error::config("noise_std", std, &requirement));
            }
        })
    }
}

/// The noise of a real target.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Noise {
    /// A standard deviation.
    Given(f64),
    /// Sampled.
    Sampled {
        /// Median of its half-Cauchy prior.
        scale: f64,
    },
}

impl fmt::Display for Observation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Observation {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|o| o.name() == name);
        found.ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            Error::config("likelihood", name, &format!("must be one of {names}"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The outputs and own parameters described here are those that the likelihoods take.
    #[test]
    fn likelihoods_are_as_described() {
        for observation in Observation::ALL {
            let name = observation.name();
            assert_eq!(name.parse::<Observation>().unwrap(), observation);
            let noise = Noise::Sampled { scale: 0.5 };
            let sampled = observation.likelihood(noise, 2.0).unwrap();
            let outputs = observation.outputs(3);
            assert_eq!(sampled.params(outputs).len(), observation.own(), "{name}");
            assert_eq!(sampled.target_dim(outputs), 1, "{name}");
            assert!(sampled.check(outputs, &[1.0, 0.0]).is_ok(), "{name}");
            let given = observation.likelihood(Noise::Given(0.3), 2.0);
            assert_eq!(
                given.is_ok(),
                observation.own() < 2 && outputs != 2,
                "{name}"
            );
        }
        assert!("normal".parse::<Observation>().is_err());
    }
}
