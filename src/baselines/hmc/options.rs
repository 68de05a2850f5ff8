//! What the Hamiltonian samplers can be told, with its defaults.

use crate::error::{Error, Result};

/// How long chains are, what is kept of them, and how they adapt: for HMC and NUTS alike.
///
/// The defaults are Stan's: 1,000 transitions of warm-up and 1,000 draws, an acceptance of 0.8, step size and diagonal mass matrix learned.
#[derive(Clone, Debug, PartialEq)]
pub struct ChainOptions {
    /// Transitions of the warm-up, in which step size and mass are learned and of which nothing is kept.
    pub warm_up: usize,
    /// Transitions after it.
    pub draws: usize,
    /// Points kept of each chain, evenly spaced over its draws, the last draw among them; `None` keeps all. Energies and the other numbers of a transition are
    /// kept of all draws. A chain holds `keep x P` numbers and its working memory.
    pub keep: Option<usize>,
    /// The mean acceptance that the step size is tuned to, between 0 and 1. Nearer to 1 for a density of which some places are much narrower than others:
    /// divergences say so.
    pub target_acceptance: f64,
    /// A step size that is kept, in the units that the inverse mass makes standard; `None` to find one: by dual averaging over the warm-up, and without
    /// a warm-up the one whose first step has an acceptance of 0.8. It is sought from 1e-10 to 1e7; a density without one there is an error.
    pub step_size: Option<f64>,
    /// The diagonal of the inverse mass matrix to begin with, `[P]`: variances of the parameters, as well as they are known. `None` for ones.
    pub inverse_mass: Option<Vec<f64>>,
    /// Whether the inverse mass is learned.
    pub adapt_mass: bool,
}

impl Default for ChainOptions {
    fn default() -> Self {
        Self {
            warm_up: 1_000,
            draws: 1_000,
            keep: None,
            target_acceptance: 0.8,
            step_size: None,
            inverse_mass: None,
            adapt_mass: true,
        }
    }
}

impl ChainOptions {
    /// Checks the settings.
    ///
    /// # Errors
    /// If one is outside its domain.
    pub fn validate(&self) -> Result<()> {
        if self.draws == 0 {
            return Err(Error::config("draws", 0, "must be positive"));
        }
        if let Some(keep) = self.keep
            && !(1..=self.draws).contains(&keep)
        {
            let requirement = format!("must be from 1 to the {} draws", self.draws);
            return Err(Error::config("keep", keep, &requirement));
        }
        if !(self.target_acceptance > 0.0 && self.target_acceptance < 1.0) {
            let requirement = "must be between 0 and 1";
            let value = self.target_acceptance;
            return Err(Error::config("target_acceptance", value, requirement));
        }
        let positive = |x: f64| x > 0.0 && x.is_finite();
        let requirement = "must be positive and finite";
        if let Some(step_size) = self.step_size.filter(|&s| !positive(s)) {
            return Err(Error::config("step_size", step_size, requirement));
        }
        let mut variances = self.inverse_mass.iter().flatten();
        match variances.find(|v| !positive(**v)) {
            Some(v) => Err(Error::config("inverse_mass", v, requirement)),
            None => Ok(()),
        }
    }

    /// Points kept of each chain.
    pub(super) fn kept(&self) -> usize {
        self.keep.unwrap_or(self.draws)
    }
}

/// How far a trajectory of [`hmc()`](super::hmc()) goes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Trajectory {
    /// For this integration time: the number of leapfrog steps follows from the step size, and is at most `max_steps`. In the units that the inverse mass makes
    /// standard, a Gaussian's draws are independent after a quarter of its period, `pi/2`.
    Time {
        /// `leapfrog steps x step size`.
        length: f64,
        /// Most leapfrog steps of a trajectory.
        max_steps: usize,
    },
    /// For this many leapfrog steps.
    LeapfrogSteps(usize),
}

/// Settings of [`hmc()`](super::hmc()).
#[derive(Clone, Debug, PartialEq)]
pub struct HmcOptions {
    /// Length of the chains and their adaptation.
    pub chains: ChainOptions,
    /// How far a trajectory goes.
    pub trajectory: Trajectory,
    /// The number of leapfrog steps of each trajectory is uniform within this part of the mean (at least one step), so that no direction has a period
    /// that all trajectories meet (Neal 2011, section 3.2); 0 for the same number always.
    pub jitter: f64,
}

impl Default for HmcOptions {
    fn default() -> Self {
        Self {
            chains: ChainOptions::default(),
            trajectory: Trajectory::Time {
                length: std::f64::consts::FRAC_PI_2,
                max_steps: 1_024,
            },
            jitter: 0.2,
        }
    }
}

impl HmcOptions {
    /// Checks the settings.
    ///
    /// # Errors
    /// If one is outside its domain.
    pub fn validate(&self) -> Result<()> {
        self.chains.validate()?;
        let steps = match self.trajectory {
            Trajectory::Time { length, max_steps } => {
                if !(length > 0.0 && length.is_finite()) {
                    let requirement = "must be positive and finite";
                    return Err(Error::config("trajectory length", length, requirement));
                }
                max_steps
            }
            Trajectory::LeapfrogSteps(steps) => steps,
        };
        if steps == 0 {
            let requirement = "must be positive";
            return Err(Error::config("leapfrog steps", steps, requirement));
        }
        if !(0.0..1.0).contains(&self.jitter) {
            let requirement = "must be in [0, 1)";
            return Err(Error::config("jitter", self.jitter, requirement));
        }
        Ok(())
    }
}

/// Settings of [`nuts()`](super::nuts()).
#[derive(Clone, Debug, PartialEq)]
pub struct NutsOptions {
    /// Length of the chains and their adaptation.
    pub chains: ChainOptions,
    /// Most doublings of a trajectory, which has at most `2^max_tree_depth - 1` leapfrog steps. A chain's working memory is about `6 max_tree_depth + 20`
    /// vectors of `P`.
    pub max_tree_depth: usize,
}

impl Default for NutsOptions {
    fn default() -> Self {
        Self {
            chains: ChainOptions::default(),
            max_tree_depth: 10,
        }
    }
}

impl NutsOptions {
    /// Deeper trees would not end.
    const DEEPEST: usize = 24;

    /// Checks the settings.
    ///
    /// # Errors
    /// If one is outside its domain.
    pub fn validate(&self) -> Result<()> {
        self.chains.validate()?;
        if !(1..=Self::DEEPEST).contains(&self.max_tree_depth) {
            let requirement = format!("must be from 1 to {}", Self::DEEPEST);
            let value = self.max_tree_depth;
            return Err(Error::config("max_tree_depth", value, &requirement));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_out_of_range_is_named() {
        assert!(HmcOptions::default().validate().is_ok());
        assert!(NutsOptions::default().validate().is_ok());
        let refused = |change: fn(&mut ChainOptions), field: &str| {
            let mut chains = ChainOptions::default();
            change(&mut chains);
            let hmc = HmcOptions {
                chains: chains.clone(),
                ..HmcOptions::default()
            };
            let nuts = NutsOptions {
                chains,
                ..NutsOptions::default()
            };
            for error in [hmc.validate(), nuts.validate()] {
                assert!(error.unwrap_err().to_string().starts_with(field), "{field}");
            }
        };
        refused(|o| o.draws = 0, "draws = 0");
        refused(|o| o.keep = Some(0), "keep = 0");
        refused(|o| o.keep = Some(1001), "keep = 1001");
        refused(|o| o.target_acceptance = 1.0, "target_acceptance = 1");
        refused(
            |o| o.target_acceptance = f64::NAN,
            "target_acceptance = NaN",
        );
        refused(|o| o.step_size = Some(0.0), "step_size = 0");
        refused(
            |o| o.inverse_mass = Some(vec![1.0, -1.0]),
            "inverse_mass = -1",
        );
        for (trajectory, jitter) in [
            (Trajectory::LeapfrogSteps(0), 0.0),
            (Trajectory::LeapfrogSteps(1), 1.0),
            (Trajectory::LeapfrogSteps(1), f64::NAN),
            (
                Trajectory::Time {
                    length: 0.0,
                    max_steps: 9,
                },
                0.0,
            ),
            (
                Trajectory::Time {
                    length: 1.0,
                    max_steps: 0,
                },
                0.0,
            ),
        ] {
            let options = HmcOptions {
                trajectory,
                jitter,
                ..HmcOptions::default()
            };
            assert!(options.validate().is_err(), "{options:?}");
        }
        for max_tree_depth in [0, 25] {
            let options = NutsOptions {
                max_tree_depth,
                ..NutsOptions::default()
            };
            assert!(options.validate().is_err());
        }
    }
}
