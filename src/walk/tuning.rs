//! The step size of a kernel, tuned in the warm-up by what all particles did in a block.
//!
//! - By the **energy error**: over one step of the integrator it is of third order, its variance goes as `step_size^6`, so
//!   `step_size <- step_size (target / mean square error)^{1/6}`. At the start of a walk that is far from right, so a step
//!   changes by a factor of two at most; a block in which more than one step of ten diverged halves it.
//! - By the **acceptance** of whole trajectories: `log step_size <- log step_size + (acceptance - target)`, an iteration of Robbins & Monro (1951).
//!
//! The final size is the geometric mean over the last third of the blocks of the warm-up; by the energy error, 0.9 of it, since walkers come to stiffer places
//! later (0.9^6 is half the error).

use super::kernel::{Fields, Tally};
use crate::error::{Error, Result};

/// What the final size is short of the one that met the target.
const CAUTION: f64 = 0.9;

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
            if let Rule::Error(_) = self.rule {
                self.value *= CAUTION;
            }
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A block of 100 steps whose energy error has the given mean square.
    fn block(error: f64, acceptance: f64, divergences: usize) -> Tally {
        Tally {
            steps: 100,
            divergences,
            squared_errors: error * (100 - divergences) as f64,
            acceptance: 100.0 * acceptance,
            ..Tally::default()
        }
    }

    #[test]
    fn the_error_of_a_third_order_integrator_reaches_its_target() {
        // an error of 3 eps^3, from far below and far above
        for start in [1e-3, 10.0] {
            let mut size = StepSize::for_error(start, 0.09);
            for i in 0..40 {
                let error = (3.0 * size.value().powi(3)).powi(2);
                size.adapt(&block(error, 1.0, 0), i == 39);
            }
            let want = CAUTION * 0.1f64.powf(1.0 / 3.0);
            assert!((size.value() / want - 1.0).abs() < 1e-9, "{}", size.value());
        }
    }

    #[test]
    fn acceptance_reaches_its_target_and_divergences_halve() {
        let mut size = StepSize::for_acceptance(0.01, 0.9);
        for i in 0..200 {
            size.adapt(&block(0.0, 1.0 / (1.0 + size.value().powi(2)), 0), i == 199);
        }
        // 1 / (1 + x^2) = 0.9
        assert!(
            (size.value() - (1.0f64 / 9.0).sqrt()).abs() < 1e-3,
            "{}",
            size.value()
        );
        let mut size = StepSize::for_error(1.0, 1.0);
        size.adapt(&block(1.0, 1.0, 11), false);
        assert_eq!(size.value(), 0.5);
        size.adapt(&block(1.0, 1.0, 10), false);
        assert_eq!(size.value(), 0.5);
        let mut size = StepSize::fixed(0.3);
        size.adapt(&block(100.0, 0.0, 50), true);
        assert_eq!(size.value(), 0.3);
    }

    #[test]
    fn what_was_learned_in_other_coordinates_is_forgotten() {
        let mut size = StepSize::for_error(1.0, 1.0);
        for _ in 0..9 {
            size.adapt(&block(64.0, 1.0, 0), false);
        }
        size.forget();
        let before = size.value();
        size.adapt(&block(1.0, 1.0, 0), true);
        assert!((size.value() - CAUTION * before).abs() < 1e-12 * before);
    }
}
