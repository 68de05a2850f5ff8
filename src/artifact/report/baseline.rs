//! The baselines, each with its own figures.

use serde::{Deserialize, Serialize};

use super::number;

/// What took the place of a walk.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Baseline {
    /// A Laplace approximation.
    Laplace(Laplace),
    /// Draws of it, carried along geodesics.
    Riemann {
        /// The approximation.
        laplace: Laplace,
        /// Geodesics.
        geodesics: usize,
        /// Those that could not be followed to their end.
        failed: usize,
        /// Steps of all together.
        steps: usize,
        /// Gradients of all together.
        gradients: usize,
        /// Hessian products of all together.
        products: usize,
    },
    /// MAP estimates from different starts.
    Ensemble {
        /// Their number.
        members: usize,
        /// The lowest `U`.
        #[serde(with = "number")]
        lowest_energy: f64,
        /// The highest `U`.
        #[serde(with = "number")]
        highest_energy: f64,
        /// Gradients that were taken.
        gradients: usize,
    },
    /// Moments of stochastic gradient descent.
    Swag {
        /// The learning rate.
        #[serde(with = "number")]
        rate: f64,
        /// The rate that predicts held-out rows best, if there are rows enough to tell.
        chosen: Option<ChosenRate>,
        /// Points that the moments are of.
        points: usize,
        /// `U` at their mean.
        #[serde(with = "number")]
        energy: f64,
        /// `U` at the estimate.
        #[serde(with = "number")]
        initial_energy: f64,
        /// Gradients of batches.
        gradients: usize,
        /// Rows of a batch.
        batch_rows: usize,
    },
    /// Langevin dynamics.
    Sgld {
        /// Chains.
        chains: usize,
        /// Steps of each.
        steps: usize,
        /// The learning rate.
        #[serde(with = "number")]
        rate: f64,
        /// Chains that diverged.
        diverged: usize,
        /// Mean `U` of the points.
        #[serde(with = "number")]
        mean_energy: f64,
        /// Gradients of batches.
        gradients: usize,
        /// Rows of a batch.
        batch_rows: usize,
    },
    /// Variational inference.
    Vi {
        /// The ELBO, in nats.
        #[serde(with = "number")]
        elbo: f64,
        /// Its standard error.
        #[serde(with = "number")]
        elbo_error: f64,
        /// Gradients that were taken.
        gradients: usize,
    },
    /// A network trained with dropout.
    Dropout {
        /// Share of the units that are left out.
        #[serde(with = "number")]
        rate: f64,
        /// Gradients that were taken.
        gradients: usize,
    },
    /// Chains of HMC or NUTS.
    Chains {
        /// Their number.
        chains: usize,
        /// Mean acceptance.
        #[serde(with = "number")]
        acceptance: f64,
        /// Trajectories that diverged.
        divergences: usize,
        /// R-hat of the energy.
        #[serde(with = "number")]
        energy_rhat: f64,
        /// Effective number of draws of the energy, in the bulk.
        #[serde(with = "number")]
        energy_ess_bulk: f64,
        /// The least E-BFMI of a chain.
        #[serde(with = "number")]
        e_bfmi: f64,
        /// Gradients that were taken.
        gradients: usize,
    },
}

/// Chains that a limit of time ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CutChains {
    /// Draws of each chain, or steps of one of Langevin dynamics.
    pub taken: usize,
    /// How many there would have been.
    pub at_most: usize,
    /// True if the chains were still in their warm-up.
    pub in_warm_up: bool,
}

/// A Laplace approximation.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Laplace {
    /// The structure of its precision.
    pub structure: String,
    /// Parameters that it is over.
    pub parameters: usize,
    /// Parameters that the data determine, in sum.
    #[serde(with = "number")]
    pub effective_parameters: f64,
    /// Its log evidence, in nats.
    #[serde(with = "number")]
    pub log_evidence: f64,
    /// True if predictions are those of the linearised network.
    pub linearised: bool,
}

/// The learning rate that predicts held-out rows best.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ChosenRate {
    /// The rate.
    #[serde(with = "number")]
    pub rate: f64,
    /// Mean negative log likelihood of the rows.
    #[serde(with = "number")]
    pub nll: f64,
}
