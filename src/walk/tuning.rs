//! Tunes the step size of a kernel in the warm-up, from what all particles did in each block.
//!
//! - By the **energy error**: over one step of the integrator it is of third order, so its variance
//!   goes as `step_size^6`, and `step_size <- step_size (target / mean square error)^{1/6}`. At the
//!   start of a walk this rule is far from right. So a step changes by a factor of two at most, and
//!   a block in which more than one step of ten diverged halves it.
//! - By the **acceptance** of whole trajectories:
//!   `log step_size <- log step_size + g (acceptance - target)`, an iteration of Robbins & Monro
//!   (1951) with `g = max(1, 1 / (4 (1 - target)))`. This rule suits steps near the target. Far
//!   below it is slow: with a target of 0.9, an acceptance of 1 grows the step by only a tenth per
//!   block, and the warm-up would be over before a step that is 30 times too short had grown. So
//!   far from the target another rule holds. The share of rejections goes as the root mean square
//!   of the energy error, which over a trajectory is of second order. Where the share is below half
//!   or above twice the allowed one, by more than chance,
//!   `step_size <- step_size (allowed / rejected)^{1/2}`, by a factor of two at most. Sizes from
//!   before such a change do not count. The kernel's warm-up does not end by itself before three
//!   sizes count ([`StepSize::is_settled`]).
//!
//! The final size is the geometric mean over the last third of the warm-up sizes that count. When
//! tuned by the energy error it is 0.9 times that mean, since walkers reach stiffer places later
//! (0.9^6 is half the error).

use super::kernel::{Fields, StepStatistics};
use crate::error::{Error, Result};

/// Ratio of the final size to the one that met the target.
const CAUTION: f64 = 0.9;

/// Blocks near the target after which a step tuned by acceptance is settled.
const SETTLED: usize = 3;

#[derive(Clone, Debug)]
enum Rule {
    Fixed,
    /// Target mean square of the energy error, in nats squared.
    Error(f64),
    /// Target mean acceptance, and the longest step.
    Acceptance(f64, f64),
}

/// A step size and the rule that adapts it.
#[derive(Clone, Debug)]
pub(super) struct StepSize {
    rule: Rule,
    value: f64,
    /// Logarithms of the sizes that count, one for each block.
    history: Vec<f64>,
}

impl StepSize {
    pub(super) fn fixed(value: f64) -> Self {
        Self::new(Rule::Fixed, value)
    }

    pub(super) fn for_error(start: f64, target: f64) -> Self {
        Self::new(Rule::Error(target), start)
    }

    /// Steps are `longest` at most: where nothing is ever rejected they would grow for ever.
    pub(super) fn for_acceptance(start: f64, target: f64, longest: f64) -> Self {
        Self::new(Rule::Acceptance(target, longest), start)
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

    /// False for a step that is tuned by acceptance and has not yet been near its target for three
    /// blocks.
    pub(super) fn is_settled(&self) -> bool {
        !matches!(self.rule, Rule::Acceptance(..)) || self.history.len() >= SETTLED
    }

    pub(super) fn adapt(&mut self, block: &StepStatistics, last: bool) {
        if let Rule::Acceptance(target, longest) = self.rule {
            self.adapt_to_acceptance(block, target, longest, last);
            return;
        }
        let factor = match self.rule {
            Rule::Fixed => return,
            _ if 10 * block.divergences > block.steps => 0.5,
            Rule::Error(target) => {
                let error = block.mean_squared_error();
                (target / error.max(f64::MIN_POSITIVE))
                    .powf(1.0 / 6.0)
                    .clamp(0.5, 2.0)
            }
            Rule::Acceptance(..) => 1.0,
        };
        self.value *= factor;
        self.history.push(self.value.ln());
        if last {
            self.value = CAUTION * self.recent();
        }
    }

    fn adapt_to_acceptance(
        &mut self,
        block: &StepStatistics,
        target: f64,
        longest: f64,
        last: bool,
    ) {
        let (allowed, rejected) = (1.0 - target, 1.0 - block.mean_acceptance());
        // largest standard error of a mean of numbers between 0 and 1, if the true mean is the
        // target
        let chance = (allowed * target / block.steps.max(1) as f64).sqrt();
        let many = 10 * block.divergences > block.steps;
        let gain = (0.25 / allowed).max(1.0);
        let far = many
            || rejected > 2.0 * (allowed + chance)
            || rejected < (0.5 * allowed - chance).max(0.05 * allowed);
        if far {
            let wanted = (allowed / rejected.max(f64::MIN_POSITIVE)).sqrt();
            self.value *= if many { 0.5 } else { wanted.clamp(0.5, 2.0) };
            self.history.clear();
        } else {
            self.value *= (gain * (allowed - rejected)).exp();
        }
        let at_most = self.value.min(longest);
        if !far || at_most < self.value {
            self.history.push(at_most.ln());
        }
        self.value = at_most;
        if last && !self.history.is_empty() {
            self.value = self.recent();
        }
    }

    /// The geometric mean over the last third of the sizes that count.
    fn recent(&self) -> f64 {
        let recent = &self.history[self.history.len() * 2 / 3..];
        (recent.iter().sum::<f64>() / recent.len() as f64).exp()
    }

    /// The coordinates have changed: sizes learned in the old ones do not count.
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
    fn block(error: f64, acceptance: f64, divergences: usize) -> StepStatistics {
        StepStatistics {
            steps: 100,
            divergences,
            squared_errors: error * (100 - divergences) as f64,
            acceptance: 100.0 * acceptance,
            ..StepStatistics::default()
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
        let mut size = StepSize::for_acceptance(0.01, 0.9, 10.0);
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

    /// From 30 times too short or too long, a step comes near the target within eight blocks. No
    /// block on the way counts.
    #[test]
    fn acceptance_is_reached_in_a_short_warm_up() {
        for start in [0.01, 10.0] {
            let mut size = StepSize::for_acceptance(start, 0.9, 100.0);
            for i in 0..11 {
                assert!(!size.is_settled() || i > 5, "{start}: {i}");
                // the share of rejections goes as the square of the step
                let rejected = size.value().powi(2).min(1.0);
                size.adapt(&block(0.0, 1.0 - rejected, 0), i == 10);
            }
            assert!(size.is_settled());
            let acceptance = 1.0 - size.value().powi(2);
            assert!((0.85..0.94).contains(&acceptance), "{start}: {acceptance}");
        }
        // where everything is accepted, steps end at the longest
        let mut size = StepSize::for_acceptance(0.01, 0.9, 1.0);
        for i in 0..12 {
            size.adapt(&block(0.0, 1.0, 0), i == 11);
        }
        assert_eq!((size.value(), size.is_settled()), (1.0, false));
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
