//! The MAP estimate, its training and its scales.

use serde::{Deserialize, Serialize};

use super::number;

/// The estimate, or the joint mode where scales are sampled.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Estimate {
    /// `U` at the estimate, in nats.
    #[serde(with = "number")]
    pub energy: f64,
    /// Norm of the gradient of `U` there.
    #[serde(with = "number")]
    pub gradient_norm: f64,
    /// The same where training began.
    #[serde(with = "number")]
    pub initial_gradient_norm: f64,
    /// Gradients that were taken.
    pub gradients: usize,
    /// Share of the rows that each gradient is of; `None`: all rows.
    pub share: Option<f64>,
    /// Laplace's log evidence, in nats.
    pub log_evidence: Option<f64>,
    /// Its standard error, where it is not exact.
    pub log_evidence_error: Option<f64>,
    /// The Gauss-Newton steps at the end.
    pub polish: Option<Polish>,
}

/// Gauss-Newton steps that bring an estimate to its minimum.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Polish {
    /// Gauss-Newton matrices that were formed.
    pub matrices: usize,
    /// How far `U` is above its minimum, in nats, as the last matrix tells.
    #[serde(with = "number")]
    pub decrement: f64,
    /// True if that is near enough.
    pub converged: bool,
}

/// Where a scale comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// It was given.
    #[default]
    Given,
    /// It was tuned by evidence.
    Evidence,
    /// Nobody gave it, and minibatches cannot tune it.
    Default,
    /// It was learned together with the weights, by minibatches.
    Learned,
}

/// Scales that are the same for all draws.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct GivenScales {
    /// Precision of the prior.
    #[serde(with = "number")]
    pub prior_precision: f64,
    /// Where it comes from.
    pub prior_origin: Origin,
    /// Standard deviation of the noise, in units of the target's.
    pub noise_std: Option<f64>,
    /// Where it comes from.
    pub noise_origin: Origin,
    /// Rounds of tuning.
    pub rounds: usize,
    /// True if the last round changed nothing any more, or nothing was tuned.
    pub settled: bool,
    /// True if a scale ended at the bound of what is allowed.
    pub bounded: bool,
    /// The levels that the noise started at, if there were several.
    pub noise_starts: Vec<NoiseStart>,
}

impl GivenScales {
    /// True if anything was tuned.
    pub fn is_tuned(&self) -> bool {
        [self.prior_origin, self.noise_origin].contains(&Origin::Evidence)
    }
}

/// One level that the noise started at.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct NoiseStart {
    /// The level, in units of the target's standard deviation.
    #[serde(with = "number")]
    pub start: f64,
    /// The evidence that it led to; `None`: no estimate was found.
    pub log_evidence: Option<f64>,
}

/// Training by minibatches.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Training {
    /// Passes over the rows.
    pub epochs: usize,
    /// Rows that were trained on.
    pub rows: usize,
    /// Rows of a batch.
    pub batch_rows: usize,
    /// The pass whose parameters were kept.
    pub best_epoch: usize,
    /// Mean negative log likelihood of the rows held out, after that pass.
    pub validation_nll: Option<f64>,
    /// Rows held out.
    pub validation_rows: usize,
}

/// The directions that the data determine at the estimate.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Tangent {
    /// Directions that were found.
    pub normal_directions: usize,
    /// False if there are more.
    pub complete: bool,
    /// The largest eigenvalue of the Gauss-Newton matrix.
    #[serde(with = "number")]
    pub largest_eigenvalue: f64,
    /// Parameters that the data determine, in sum.
    #[serde(with = "number")]
    pub effective_parameters: f64,
    /// The eigenvalues of these directions, the largest first, to five digits. Older files have
    /// none.
    #[serde(with = "number::list", skip_serializing_if = "Vec::is_empty")]
    pub eigenvalues: Vec<f64>,
    /// The precision of the prior, which they are held against. Older files have none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prior_precision: Option<f64>,
}

/// A scale of the joint mode.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ModeScale {
    /// Its name.
    pub name: String,
    /// Its value.
    #[serde(with = "number")]
    pub value: f64,
}
