//! The length of a walk and what is kept of it.

use crate::error::{Error, Result, counted};

/// How many particles walk, how far, and how many points are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WalkOptions {
    /// Number of particles.
    pub particles: usize,
    /// Steps of each particle, half of them the warm-up. `None`: the warm-up ends when the walk has
    /// forgotten its start.
    pub steps: Option<usize>,
    /// Most steps, if `steps` is `None`.
    pub max_steps: usize,
    /// Points kept of each particle: evenly spaced over the steps after the warm-up, and including
    /// the last one.
    pub keep: usize,
    /// Steps of a block.
    pub block: usize,
}

impl Default for WalkOptions {
    fn default() -> Self {
        Self {
            particles: 64,
            steps: None,
            max_steps: 2_000,
            keep: 4,
            block: 5,
        }
    }
}

impl WalkOptions {
    /// Checks the settings.
    ///
    /// # Errors
    /// If a count is zero, or `keep` is more than half of the steps.
    pub fn validate(&self) -> Result<()> {
        for (field, value) in [
            ("particles", self.particles),
            ("steps", self.steps.unwrap_or(1)),
            ("max_steps", self.max_steps),
            ("keep", self.keep),
            ("block", self.block),
        ] {
            if value == 0 {
                return Err(Error::config(field, value, "must be positive"));
            }
        }
        let steps = self.steps.unwrap_or(self.max_steps);
        let half = steps.div_ceil(2);
        if self.keep > half {
            let requirement = format!("must be at most {half}, half of {}", counted(steps, "step"));
            return Err(Error::config("keep", self.keep, &requirement));
        }
        Ok(())
    }

    /// The most steps that the walk can have.
    pub fn most_steps(&self) -> usize {
        self.steps.unwrap_or(self.max_steps)
    }
}
