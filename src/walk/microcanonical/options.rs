//! Settings of a microcanonical walk, with their defaults.

/// Settings of a microcanonical walk. Lengths are in the coordinates of the inverse mass matrix,
/// where the prior's standard deviation is 1.
#[derive(Clone, Debug, PartialEq)]
pub struct MicrocanonicalOptions {
    /// Length of a step; `None`: tuned in the warm-up.
    pub step_size: Option<f64>,
    /// Length `L` over which a direction is forgotten. `None`: it starts at `P^{1/2} / 2` and is
    /// set at the end of the warm-up from the spread of the particles.
    pub decoherence_length: Option<f64>,
    /// Do a Metropolis test after each trajectory.
    pub adjusted: bool,
    /// Let each walker take its own steps, as long as its energy error allows (`pace`). A step of
    /// the kernel is then a stretch of the flow, of the same length in time for all walkers.
    pub own_steps: bool,
    /// Variance of the energy error per dimension to which an unadjusted walk is tuned.
    pub target_error: f64,
    /// Mean acceptance to which an adjusted walk is tuned.
    pub target_acceptance: f64,
}

impl Default for MicrocanonicalOptions {
    fn default() -> Self {
        Self {
            step_size: None,
            decoherence_length: None,
            adjusted: false,
            own_steps: false,
            target_error: 5e-4,
            target_acceptance: 0.9,
        }
    }
}
