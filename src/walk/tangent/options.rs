//! Settings of the tangent walk, with their defaults.

use crate::curvature::{TangentOptions, TangentSpace};
use crate::scalar::Scalar;

/// Settings of the tangent walk. Lengths are in units of the prior's standard deviation.
#[derive(Clone, Debug)]
pub struct TangentWalkOptions {
    /// `eps`: how far the drift carries a particle in one step.
    pub step_size: f64,
    /// Steps back to the fiber after each drift.
    pub corrections: usize,
    /// Steps after which the normal space is recomputed.
    pub renew_every: usize,
    /// `U_max`, in nats.
    pub max_energy: f64,
    /// How often a step is tried again with half the drift, and a step back with more damping.
    pub retries: usize,
    /// How the normal space is chosen. Eigenvalues are compared with a prior precision of 1.
    pub space: TangentOptions,
}

impl TangentWalkOptions {
    /// Default number of steps.
    pub const DEFAULT_STEPS: usize = 200;

    /// Distance of a particle from its start at the end of the walk, as a share of
    /// `(P - gamma)^{1/2}`.
    pub const RADIUS: f64 = 1.0;

    /// The settings described at the head of `tangent`, for a walk of `steps` steps from a point
    /// with this tangent space.
    pub fn scaled<T: Scalar>(
        space: &TangentSpace<T>,
        options: &TangentOptions,
        steps: usize,
        max_energy: f64,
    ) -> Self {
        let free = (space.dim() as f64 - space.effective_dimension()).max(0.0);
        Self {
            step_size: Self::RADIUS * free.sqrt() / steps.max(1) as f64,
            corrections: 2,
            renew_every: 20,
            max_energy,
            retries: 6,
            space: options.clone(),
        }
    }
}
