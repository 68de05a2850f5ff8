//! A deformation: how it was learned, how near its predictions are to the walk's, and how far it is
//! to be trusted as a density.

use serde::{Deserialize, Serialize};

use super::number;

/// An atlas or a flow.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Deformation {
    /// The flow in a frame.
    pub frame: Option<FrameFit>,
    /// The flow of exchangeable units.
    pub units: Option<UnitsFit>,
    /// Its refinement on the ELBO.
    pub refinement: Option<Refinement>,
    /// The latent model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latent: Option<LatentFit>,
    /// The kinetic layers after the flow that was kept.
    pub layers: Option<KineticLayers>,
    /// The flows that were compared.
    pub candidates: Vec<Candidate>,
    /// Proposals of which a draw takes one by its evidence; 0: there is no flow.
    pub proposals: usize,
    /// The atlas.
    pub atlas: Option<Atlas>,
    /// Distance of its predictions to the walk's.
    pub distance: Option<f64>,
    /// Distance of the MAP estimate's predictions to the walk's, where scales are given.
    pub map_distance: Option<f64>,
    /// True if the network has no hidden layer: the last layer's conditional is all.
    pub no_hidden_layer: bool,
    /// What draws say of a flow as a density.
    pub trust: Option<Trust>,
    /// What the model file holds.
    pub stored: Option<Stored>,
}

/// Training of the flow in a frame.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct FrameFit {
    /// Directions of the frame.
    pub directions: usize,
    /// Points of the walkers that it was trained on.
    pub points: usize,
    /// Points of the walkers held out.
    pub held_out: usize,
    /// The step whose couplings were kept; 0: a Gaussian is kept.
    pub best_step: usize,
    /// Steps of training.
    pub steps: usize,
    /// Log-likelihood of a held-out point.
    #[serde(with = "number")]
    pub log_likelihood: f64,
    /// The same of the Gaussian.
    #[serde(with = "number")]
    pub gaussian_log_likelihood: f64,
    /// Log-likelihood of a point of training.
    #[serde(with = "number")]
    pub train_log_likelihood: f64,
}

/// Training of the flow of exchangeable units.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct UnitsFit {
    /// The step whose parameters were kept.
    pub best_step: usize,
    /// Steps of training.
    pub steps: usize,
    /// Log-likelihood of a held-out point.
    #[serde(with = "number")]
    pub log_likelihood: f64,
    /// The same of the Gaussian that training began with.
    #[serde(with = "number")]
    pub gaussian_log_likelihood: f64,
    /// Log-likelihood of a point of training.
    #[serde(with = "number")]
    pub train_log_likelihood: f64,
}

/// Refinement of units on the ELBO.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Refinement {
    /// The ELBO before, in nats.
    #[serde(with = "number")]
    pub start: f64,
    /// The ELBO after.
    #[serde(with = "number")]
    pub elbo: f64,
    /// The step whose parameters were kept.
    pub best_step: usize,
    /// Steps of the refinement.
    pub steps: usize,
    /// Gradients that it took.
    pub gradients: usize,
}

/// Training of a latent model, and how far its draws predict from the walk.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LatentFit {
    /// Principal coordinates of a point.
    pub directions: usize,
    /// Numbers of a code.
    pub codes: usize,
    /// The step whose parameters were kept; 0: principal component analysis.
    pub best_step: usize,
    /// Steps of training.
    pub steps: usize,
    /// Mean square error of a coordinate of held-out walkers, in units of the walk's scales.
    #[serde(with = "number")]
    pub error: f64,
    /// The same of principal component analysis with as many numbers.
    #[serde(with = "number")]
    pub linear_error: f64,
    /// Distance of predictions to the walk's, of draws whose last layer is computed.
    #[serde(with = "number")]
    pub computed: f64,
    /// The same of draws that are decoded as a whole.
    #[serde(with = "number")]
    pub decoded: f64,
}

/// A flow that could have been kept.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Candidate {
    /// What it is.
    pub name: String,
    /// Distance of its predictions to the walk's.
    #[serde(with = "number")]
    pub distance: f64,
    /// True of the one that was kept.
    pub kept: bool,
    /// The same after each number of kinetic layers that was tried. Older files have none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tried: Vec<Carried>,
}

/// Draws of a flow after some kinetic layers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Carried {
    /// Number of layers.
    pub layers: usize,
    /// Distance of their predictions to the walk's.
    #[serde(with = "number")]
    pub distance: f64,
    /// Spread of their predictions over the walk's.
    #[serde(with = "number")]
    pub spread: f64,
    /// Mean `U`.
    #[serde(with = "number")]
    pub energy: f64,
    /// By how much that may differ from the walk's.
    #[serde(with = "number")]
    pub allowed: f64,
    /// Whether energy and spread are the walk's, within what is allowed.
    pub faithful: bool,
}

/// Kinetic layers: steps in the energy of the posterior, after a flow.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct KineticLayers {
    /// How many.
    pub count: usize,
    /// Length of the first and of the last.
    pub steps: [f64; 2],
    /// Directions of the frame that they step in.
    pub directions: usize,
}

/// An atlas.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Atlas {
    /// Anchors.
    pub anchors: usize,
    /// True if every hidden unit of an anchor is from a walker of its own.
    pub recombined: bool,
}

/// What draws of a flow say of it as a density.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Trust {
    /// Draws that were weighted.
    pub draws: usize,
    /// The ELBO, in nats.
    #[serde(with = "number")]
    pub elbo: f64,
    /// Its standard error.
    #[serde(with = "number")]
    pub elbo_error: f64,
    /// Shape of the tail of the weights.
    #[serde(with = "number")]
    pub k_hat: f64,
    /// Draws of the posterior that the weighted draws are worth.
    #[serde(with = "number")]
    pub ess: f64,
    /// The evidence.
    pub evidence: Evidence,
    /// Mean `U` of the draws that predictions are made of.
    #[serde(with = "number")]
    pub mean_energy: f64,
    /// Its standard error.
    #[serde(with = "number")]
    pub mean_energy_error: f64,
    /// Mean `U` of the walk's points.
    #[serde(with = "number")]
    pub walk_mean_energy: f64,
}

/// The log evidence from weights, or why there is no estimate.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Evidence {
    /// It was not asked for.
    #[default]
    Unknown,
    /// In nats.
    Known {
        /// The estimate.
        #[serde(with = "number")]
        value: f64,
        /// Its standard error.
        #[serde(with = "number")]
        error: f64,
    },
    /// The tail of the weights is too heavy.
    HeavyTail {
        /// The bound of k-hat.
        #[serde(with = "number")]
        limit: f64,
    },
    /// There are too few draws.
    FewDraws {
        /// Draws that would do.
        needed: usize,
    },
}

/// What the file of a deformation holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Stored {
    /// The sampler, and the training rows that it needs.
    Rows {
        /// How many.
        rows: usize,
    },
    /// Draws, and no training rows.
    Draws {
        /// How many.
        draws: usize,
    },
}
