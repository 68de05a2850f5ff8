//! The walk: where it starts, how it moves, what it left behind, and whether walkers agree.

use serde::{Deserialize, Serialize};

use super::number;

/// Where particles start, besides the estimate.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Starts {
    /// `U` of the further MAP estimates; empty where particles have starts of their own.
    #[serde(with = "number::list")]
    pub energies: Vec<f64>,
    /// Gradients that the starts took.
    pub gradients: usize,
}

/// The random batches that a walk takes its gradients from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct WalkBatches {
    /// Rows of a batch.
    pub rows: usize,
    /// All rows.
    pub of: usize,
}

/// How particles move.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Kernel {
    /// The drift walk of the paper.
    Drift {
        /// Length of a step.
        #[serde(with = "number")]
        step_size: f64,
        /// Size of the gradient step that follows it.
        #[serde(with = "number")]
        correction: f64,
        /// The energy up to which a point is viable.
        #[serde(with = "number")]
        max_energy: f64,
    },
    /// The same, brought back to the fiber by Gauss-Newton steps.
    Tangent {
        /// Length of a step.
        #[serde(with = "number")]
        step_size: f64,
        /// Gauss-Newton steps after it.
        corrections: usize,
        /// Steps after which the tangent space is computed anew.
        renew_every: usize,
        /// The energy up to which a point is viable.
        #[serde(with = "number")]
        max_energy: f64,
    },
    /// A sampler of the posterior, with one step size for all.
    Microcanonical {
        /// Length of a step.
        #[serde(with = "number")]
        step_size: f64,
        /// True if it was given, not tuned.
        step_size_given: bool,
        /// Length over which a walker forgets its direction.
        #[serde(with = "number")]
        decoherence_length: f64,
        /// True if it was given, not tuned.
        decoherence_length_given: bool,
        /// Directions of the frame.
        directions: usize,
        /// Share of the trajectories that were accepted; `None`: there is no test.
        acceptance: Option<f64>,
        /// Variance of the energy error per dimension; `None`: a test makes up for it.
        energy_error: Option<f64>,
    },
    /// The same, with a step of its own for each walker and place.
    OwnSteps {
        /// Gradients that a unit of length takes, on average.
        #[serde(with = "number")]
        gradients_per_length: f64,
        /// Variance of the energy error per dimension.
        #[serde(with = "number")]
        energy_error: f64,
        /// Length over which a walker forgets its direction.
        #[serde(with = "number")]
        decoherence_length: f64,
        /// Directions of the frame.
        directions: usize,
    },
}

impl Kernel {
    /// True of those that draw from the posterior.
    pub fn samples(&self) -> bool {
        matches!(self, Self::Microcanonical { .. } | Self::OwnSteps { .. })
    }

    /// Variance of the energy error per dimension, where it makes a difference.
    pub fn energy_error(&self) -> Option<f64> {
        match self {
            Self::Microcanonical { energy_error, .. } => *energy_error,
            Self::OwnSteps { energy_error, .. } => Some(*energy_error),
            _ => None,
        }
    }

    /// The length of a step that was given.
    pub fn given_step(&self) -> Option<f64> {
        match self {
            Self::Microcanonical {
                step_size,
                step_size_given: true,
                ..
            } => Some(*step_size),
            _ => None,
        }
    }

    /// The energy up to which a point is viable.
    pub fn max_energy(&self) -> Option<f64> {
        match self {
            Self::Drift { max_energy, .. } | Self::Tangent { max_energy, .. } => Some(*max_energy),
            _ => None,
        }
    }
}

/// The walk.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Walk {
    /// Numbers that walk: the parameters, and the scales where they are sampled.
    pub dim: usize,
    /// Particles.
    pub particles: usize,
    /// Steps of each, warm-up included.
    pub steps: usize,
    /// Steps of the warm-up.
    pub warm_up: usize,
    /// Points that were kept.
    pub kept: usize,
    /// Points that were due but not viable.
    pub discarded: usize,
    /// Mean `U` of the points, in nats.
    #[serde(with = "number")]
    pub mean_energy: f64,
    /// Mean distance of the particles from their starts.
    pub distance: Option<f64>,
    /// The radius of the prior, to compare it with.
    pub prior_radius: Option<f64>,
    /// Mean distance from the fiber, where it is measured.
    pub fiber_distance: Option<f64>,
    /// Steps that could not be taken as intended.
    pub divergences: usize,
    /// Their share of all steps.
    #[serde(with = "number")]
    pub divergence_rate: f64,
    /// Gradients that all particles took.
    pub gradients: usize,
    /// Share of the steps that ended at a viable point.
    #[serde(with = "number")]
    pub viability: f64,
    /// True if the walk had forgotten its start when it began to keep points, or its number of
    /// steps was given and nothing was tested.
    pub forgotten: bool,
    /// That a budget of time or memory ended it.
    pub cut_short: Option<CutShort>,
    /// Energies along the walk, after the warm-up. Older files have none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace: Option<EnergyTrace>,
    /// `U` of each kept point, in the order of the file, to a hundredth of a nat. Older files have
    /// none.
    #[serde(with = "number::list", skip_serializing_if = "Vec::is_empty")]
    pub energies: Vec<f64>,
}

/// Quantiles of `U` over the particles, after some blocks of the walk. All of the same length.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct EnergyTrace {
    /// Steps taken.
    pub steps: Vec<usize>,
    /// The 5 % quantiles, in nats.
    #[serde(with = "number::list")]
    pub low: Vec<f64>,
    /// The medians.
    #[serde(with = "number::list")]
    pub median: Vec<f64>,
    /// The 95 % quantiles.
    #[serde(with = "number::list")]
    pub high: Vec<f64>,
}

/// A walk that was ended by its budget.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CutShort {
    /// Steps that it would have taken at most.
    pub at_most: usize,
    /// True if it was still in its warm-up.
    pub in_warm_up: bool,
}

/// Scales that are part of the posterior.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SampledScales {
    /// How they are grouped.
    pub groups: String,
    /// Each of them.
    pub scales: Vec<SampledScale>,
}

impl SampledScales {
    /// The largest R-hat; 0 if there is no scale.
    pub fn worst_rhat(&self) -> f64 {
        self.scales.iter().map(|s| s.rhat).fold(0.0, f64::max)
    }

    /// The scale of this name.
    pub fn named(&self, name: &str) -> Option<&SampledScale> {
        self.scales.iter().find(|s| s.name == name)
    }
}

/// The posterior of one scale.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SampledScale {
    /// Its name.
    pub name: String,
    /// Its mean.
    #[serde(with = "number")]
    pub mean: f64,
    /// Its standard deviation.
    #[serde(with = "number")]
    pub std: f64,
    /// R-hat of its logarithm over the walkers.
    #[serde(with = "number")]
    pub rhat: f64,
}

/// Whether walkers agree with one another.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Mixing {
    /// R-hat of the energy.
    #[serde(with = "number")]
    pub energy_rhat: f64,
    /// Effective number of draws of the energy, in the bulk.
    #[serde(with = "number")]
    pub energy_ess_bulk: f64,
    /// The same in the tails.
    #[serde(with = "number")]
    pub energy_ess_tail: f64,
    /// The same of predictions for some training rows.
    pub predictions: Option<PredictionMixing>,
    /// Whether particles from different starts agree.
    pub nested: Option<NestedMixing>,
    /// Whether particles have forgotten where they were when the warm-up ended. Older files have
    /// none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub groups: Option<GroupMixing>,
}

/// The nested R-hat over groups of particles that were alike when the warm-up ended.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct GroupMixing {
    /// Number of groups.
    pub groups: usize,
    /// That of the energy.
    #[serde(with = "number")]
    pub energy: f64,
    /// The median of predictions.
    #[serde(with = "number")]
    pub predictions: f64,
    /// The largest one of a prediction.
    #[serde(with = "number")]
    pub worst: f64,
    /// What a walk that has forgotten exceeds once in a thousand times.
    #[serde(with = "number")]
    pub limit: f64,
}

/// R-hat and effective numbers of draws over several predictions.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PredictionMixing {
    /// Predictions that vary.
    pub count: usize,
    /// The median R-hat.
    #[serde(with = "number")]
    pub rhat_median: f64,
    /// The largest one.
    #[serde(with = "number")]
    pub rhat_worst: f64,
    /// The least effective number of draws, in the bulk.
    #[serde(with = "number")]
    pub ess_bulk: f64,
    /// The same in the tails.
    #[serde(with = "number")]
    pub ess_tail: f64,
}

/// The nested R-hat over several starts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct NestedMixing {
    /// Number of starts.
    pub starts: usize,
    /// The largest nested R-hat of a prediction.
    #[serde(with = "number")]
    pub rhat_worst: f64,
}
