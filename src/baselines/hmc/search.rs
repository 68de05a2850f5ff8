//! The search for a first step size, from which dual averaging begins.
//!
//! The step size is doubled or halved until the acceptance of one leapfrog step,
//! `exp(H(theta, r) - H(theta', r'))`, crosses 0.8. In algorithm 4 of Hoffman & Gelman, JMLR 15
//! (2014), the threshold is 0.5; the momentum is new each time, as in Stan.

use rand_chacha::ChaCha8Rng;

use super::kernel::Dynamics;
use crate::error::{Error, Result};
use crate::model::LogDensity;
use crate::rng::fill_normal;
use crate::scalar::Scalar;
use crate::walk::{Leapfrog, PhasePoint};

/// The search gives up beyond these step sizes. (Stan's limits are 0 and 1e7.)
const SMALLEST: f64 = 1e-10;
const LARGEST: f64 = 1e7;

/// The acceptance that the step size found is about to cross.
const THRESHOLD: f64 = 0.8;

/// A step size, and what it cost.
pub(super) struct Found {
    pub step_size: f64,
    pub gradients: usize,
}

/// Searches at `at`, from a step size and with a scale. An error if no step size is found.
pub(super) fn search<T: Scalar, D: LogDensity<T>>(
    density: &D,
    at: &PhasePoint<T>,
    (step_size, scale): (f64, &[T]),
    rng: &mut ChaCha8Rng,
    (trial, ws): (&mut PhasePoint<T>, &mut D::Workspace),
) -> Result<Found> {
    let mut gradients = 0;
    let mut is_short = |step_size: f64| -> Result<bool> {
        trial.place(at);
        fill_normal(rng, &mut trial.momentum);
        let before = trial.hamiltonian();
        let leapfrog = Leapfrog { scale, step_size };
        Dynamics { density, leapfrog }.step(trial, true, ws)?;
        gradients += 1;
        Ok(before - trial.hamiltonian() > THRESHOLD.ln())
    };
    // a window of the warm-up may end with any step size
    let from = step_size.clamp(SMALLEST, LARGEST);
    let mut step_size = from;
    let grow = is_short(step_size)?;
    loop {
        let next = step_size * if grow { 2.0 } else { 0.5 };
        if !(SMALLEST..=LARGEST).contains(&next) {
            return Err(not_found(grow, from, step_size));
        }
        step_size = next;
        if is_short(step_size)? != grow {
            return Ok(Found {
                step_size,
                gradients,
            });
        }
    }
}

/// Explains why no step size is found: all are too short, or all too long.
fn not_found(grow: bool, first: f64, last: f64) -> Error {
    let why = match grow {
        true => {
            "no step is so long that the energy changes: the log density is flat where the chain is (is the posterior proper?), or so wide that an \
             inverse mass is needed"
        }
        false => {
            "no step is so short that the energy is kept: the gradient is not that of the log density, or the log density jumps where the chain is, or is \
             so narrow that an inverse mass is needed"
        }
    };
    let requirement = format!("none is found from {first:.1e} to there: {why}");
    Error::config("step_size", format!("{last:.1e}"), &requirement)
}
