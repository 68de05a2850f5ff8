//! Settings of the Hamiltonian samplers, with their defaults.

use crate::baselines::limit::check_seconds;
use crate::error::{Error, Result, counted};

/// Length of the chains, what is kept of them, and how they adapt, for HMC and NUTS alike.
///
/// The defaults are Stan's: 1,000 transitions of warm-up and 1,000 draws, an acceptance of 0.8, and
/// an adapted step size and diagonal mass matrix.
#[derive(Clone, Debug, PartialEq)]
pub struct ChainOptions {
    /// Transitions of the warm-up. It adapts step size and mass; none of its points is kept.
    pub warm_up: usize,
    /// Transitions after the warm-up.
    pub draws: usize,
    /// Points kept per chain, evenly spaced over its draws, the last draw included; `None` keeps
    /// all. Energies and other diagnostics are kept for all draws. A chain's memory is `keep x P`
    /// values and its working memory.
    pub keep: Option<usize>,
    /// The mean acceptance that the step size is tuned to, between 0 and 1. Use a value nearer to 1
    /// if some regions of the density are much narrower than others; divergences show it.
    pub target_acceptance: f64,
    /// A fixed step size, in the units that the inverse mass makes standard; `None` finds one by
    /// dual averaging over the warm-up. Without a warm-up, it is the one whose first step has an
    /// acceptance of 0.8. The search covers 1e-10 to 1e7. It is an error if it finds none there.
    pub step_size: Option<f64>,
    /// The initial diagonal of the inverse mass matrix, `[P]`: estimates of the parameters'
    /// variances. `None`: ones.
    pub inverse_mass: Option<Vec<f64>>,
    /// Whether the inverse mass is adapted.
    pub adapt_mass: bool,
    /// Seconds after which chains end. All are cut to the length of the shortest. Chains that are
    /// still in their warm-up have no draws, and keep the point where they are. `None`: no limit.
    /// With one, chains are not the same at every run.
    pub max_seconds: Option<f64>,
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
            max_seconds: None,
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
            let requirement = format!("must be from 1 to the {}", counted(self.draws, "draw"));
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
        check_seconds(self.max_seconds)?;
        let mut variances = self.inverse_mass.iter().flatten();
        match variances.find(|v| !positive(**v)) {
            Some(v) => Err(Error::config("inverse_mass", v, requirement)),
            None => Ok(()),
        }
    }

    /// Points kept per chain.
    pub(super) fn kept(&self) -> usize {
        self.keep.unwrap_or(self.draws)
    }
}

/// How far a trajectory of [`hmc()`](super::hmc()) goes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Trajectory {
    /// For this integration time. The number of leapfrog steps follows from the step size, and is
    /// at most `max_steps`. In the units that the inverse mass makes standard, a Gaussian's draws
    /// are independent after a quarter of its period, `pi/2`.
    Time {
        /// `number of leapfrog steps x step size`.
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
    /// The number of leapfrog steps is drawn uniformly within this fraction of its mean, and is at
    /// least one. This avoids directions whose period all trajectories hit (Neal 2011, section
    /// 3.2). 0: always the same number.
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
    /// Most doublings of a trajectory, which then has at most `2^max_tree_depth - 1` leapfrog
    /// steps. A chain's working memory is about `6 max_tree_depth + 20` vectors of length `P`.
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
    /// A deeper tree would take for ever.
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
