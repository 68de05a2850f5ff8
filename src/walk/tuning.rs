//! The step size of a kernel, tuned in the warm-up by what all particles did in a block.
//!
//! - By the **energy error**: over one step of the integrator it is of third order, its variance goes as `step_size^6`, so
//!   `step_size <- step_size (target / mean square error)^{1/6}`. At the start of a walk that is far from right, so a step
//!   changes by a factor of two at most; a block in which more than one step of ten diverged halves it.
//! - By the **acceptance** of whole trajectories: `log step_size <- log step_size + (acceptance - target)`, an iteration of Robbins & Monro (1951).
//!
//! The final size is the geometric mean over the last third of the blocks of the warm-up.

use super::kernel::{Fields, Tally};
use crate::error::{Error, Result};

#[derive(Clone, Debug)]
enum Rule {
    Fixed,
    /// Mean square of the energy error, in nats squared.
    Error(f64),
    Acceptance(f64),
}

/// A step size with the rule by which it adapts.
#[derive(Clone, Debug)]
pub(super) struct StepSize {
    rule: Rule,
    value: f64,
    /// Logarithms of the sizes that blocks were walked with, and would be.
    history: Vec<f64>,
}

impl StepSize {
    pub(super) fn fixed(value: f64) -> Self {
        Self::new(Rule::Fixed, value)
    }

    pub(super) fn for_error(start: f64, target: f64) -> Self {
        Self::new(Rule::Error(target), start)
    }

    pub(super) fn for_acceptance(start: f64, target: f64) -> Self {
        Self::new(Rule::Acceptance(target), start)
    }

    fn new(rule: Rule, value: f64) -> Self {
        Self {
            rule,
            value,
            history: Vec::new(),
        }
    }

    pub(super) fn value(&self) -> f64 {
        self.value
    }

    pub(super) fn adapt(&mut self, block: &Tally, last: bool) {
        let factor = match self.rule {
            Rule::Fixed => return,
            _ if 10 * block.divergences > block.steps => 0.5,
            Rule::Error(target) => {
                let error = block.mean_squared_error();
                (target / error.max(f64::MIN_POSITIVE))
                    .powf(1.0 / 6.0)
                    .clamp(0.5, 2.0)
            }
            Rule::Acceptance(target) => (block.mean_acceptance() - target).exp(),
        };
        self.value *= factor;
        self.history.push(self.value.ln());
        if last {
            let recent = &self.history[self.history.len() * 2 / 3..];
            self.value = (recent.iter().sum::<f64>() / recent.len() as f64).exp();
        }
    }

    /// The coordinates have changed: what was learned in the old ones does not count.
    pub(super) fn forget(&mut self) {
        self.history.clear();
    }

    pub(super) fn fields<T>(&mut self, fields: &mut dyn Fields<T>) -> Result<()> {
        fields.number("step_size", &mut self.value)?;
        if !(self.value > 0.0 && self.value.is_finite()) {
            let requirement = "must be positive and finite";
            return Err(Error::config("step_size", self.value, requirement));
        }
        fields.numbers("step_sizes", &mut self.history)
    }
}
