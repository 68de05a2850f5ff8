//! The settings of the baselines.

use super::SAMPLES;

/// Settings of a method that draws from a distribution it has fitted: the Laplace approximations,
/// `swag`, `riemann`, `vi` and `dropout`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DrawSettings {
    /// Draws to keep.
    pub samples: usize,
}

impl Default for DrawSettings {
    fn default() -> Self {
        Self { samples: SAMPLES }
    }
}

/// Settings of a method that runs chains: `hmc`, `nuts` and `sgld`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ChainSettings {
    /// Points of the chains to keep, spread over the chains.
    pub samples: usize,
    /// Most refits that leave out one row each, for rows where leave-one-out by importance sampling
    /// fails. If more rows fail, none is refitted.
    pub loo_refits: usize,
    /// Seconds after which the chains end and keep the points so far; `None`: no limit.
    pub max_seconds: Option<f64>,
}

impl Default for ChainSettings {
    fn default() -> Self {
        Self {
            samples: SAMPLES,
            loo_refits: 0,
            max_seconds: None,
        }
    }
}
