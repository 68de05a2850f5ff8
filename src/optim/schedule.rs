//! Learning-rate schedules: a warm-up from near zero, then a decay.

use std::f64::consts::PI;

use super::optimizer::check_positive;
use crate::error::{Error, Result};

/// How the learning rate falls after the warm-up of a [`Schedule`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Decay {
    /// Stays at its full value.
    Constant,
    /// Falls from its full value to zero along half a cosine (Loshchilov & Hutter 2017, no
    /// restarts).
    Cosine,
    /// Is multiplied by `factor` after every `every` steps.
    Step {
        /// Number of steps at one rate.
        every: usize,
        /// Factor that multiplies the rate.
        factor: f64,
    },
}

/// The course of the learning rate: a linear warm-up, then any decay.
///
/// ```
/// use fiberwalk::optim::{Decay, Schedule};
/// let schedule = Schedule { warmup: 0.1, decay: Decay::Cosine };
/// assert_eq!(schedule.factor(0, 1000), 1.0 / 101.0);
/// assert_eq!(schedule.factor(100, 1000), 1.0);
/// assert!(schedule.factor(999, 1000) < 1e-5);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Schedule {
    /// Share of all steps, in `[0, 1)`, over which the rate rises linearly to its full value.
    pub warmup: f64,
    /// The decay after the warm-up.
    pub decay: Decay,
}

impl From<Decay> for Schedule {
    /// The decay without a warm-up.
    fn from(decay: Decay) -> Self {
        Self { warmup: 0.0, decay }
    }
}

impl Schedule {
    /// Checks the settings.
    ///
    /// # Errors
    /// If the share is outside `[0, 1)`, or a step decay has no steps or a factor that is not
    /// positive.
    pub fn validate(&self) -> Result<()> {
        if !(0.0..1.0).contains(&self.warmup) {
            return Err(Error::config("warmup", self.warmup, "must be in [0, 1)"));
        }
        match self.decay {
            Decay::Step { every: 0, .. } => Err(Error::config("every", 0, "must be positive")),
            Decay::Step { factor, .. } => check_positive("factor", factor),
            Decay::Constant | Decay::Cosine => Ok(()),
        }
    }

    /// The factor on the learning rate at `step` of `total`, counted from 0.
    ///
    /// The warm-up has `w` steps: its share of `total`, rounded. Before step `w` the factor is
    /// `(step + 1) / (w + 1)`. The decay begins at step `w`, at 1.
    pub fn factor(&self, step: usize, total: usize) -> f64 {
        let warmup = (self.warmup * total as f64).round() as usize;
        if step < warmup {
            return (step + 1) as f64 / (warmup + 1) as f64;
        }
        self.decay
            .factor(step - warmup, total.saturating_sub(warmup))
    }
}

impl Decay {
    fn factor(self, step: usize, total: usize) -> f64 {
        match self {
            Decay::Constant => 1.0,
            Decay::Cosine => 0.5 * (1.0 + (PI * step as f64 / total.max(1) as f64).cos()),
            Decay::Step { every, factor } => factor.powf((step / every.max(1)) as f64),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn factors(schedule: Schedule, total: usize) -> Vec<f64> {
        (0..=total)
            .map(|step| schedule.factor(step, total))
            .collect()
    }

    #[test]
    fn a_cosine_falls_from_one_to_zero_through_a_half() {
        let at = factors(Decay::Cosine.into(), 8);
        assert_eq!(at[0], 1.0);
        assert!((at[4] - 0.5).abs() < 1e-15 && at[8] < 1e-15);
        assert!((at[2] - 0.5 * (1.0 + 0.5f64.sqrt())).abs() < 1e-15);
        assert_eq!(factors(Decay::Constant.into(), 3), [1.0; 4]);
    }

    #[test]
    fn a_step_decay_falls_at_its_joints_and_nowhere_else() {
        let decay = Decay::Step {
            every: 3,
            factor: 0.5,
        };
        let expected = [1.0, 1.0, 1.0, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25, 0.125];
        assert_eq!(factors(decay.into(), 9), expected);
        // after a warm-up of two steps it is the same, two steps later
        let late = factors(Schedule { warmup: 0.2, decay }, 10);
        assert_eq!(late[2..], expected[..9]);
    }

    #[test]
    fn a_warmup_rises_in_equal_steps_to_where_the_decay_begins() {
        let schedule = |decay| Schedule {
            warmup: 0.25,
            decay,
        };
        let rise = [0.2, 0.4, 0.6, 0.8, 1.0];
        let constant = factors(schedule(Decay::Constant), 16);
        assert_eq!(constant[..5], rise);
        assert_eq!(constant[5..], [1.0; 12]);
        let cosine = factors(schedule(Decay::Cosine), 16);
        assert_eq!(cosine[..5], rise);
        // the rest is a whole half cosine over the 12 steps left
        assert_eq!(cosine[4..], factors(Decay::Cosine.into(), 12));
    }

    #[test]
    fn settings_out_of_range_are_refused_by_name() {
        let step = |every, factor| Schedule::from(Decay::Step { every, factor });
        let warm = |warmup| Schedule {
            warmup,
            decay: Decay::Cosine,
        };
        for (field, schedule) in [
            ("every", step(0, 0.5)),
            ("factor", step(1, 0.0)),
            ("factor", step(1, f64::NAN)),
            ("warmup", warm(1.0)),
            ("warmup", warm(-0.1)),
            ("warmup", warm(f64::NAN)),
        ] {
            let error = schedule.validate().unwrap_err();
            assert!(matches!(error, Error::Config { field: f, .. } if f == field));
        }
        assert!(warm(0.0).validate().is_ok() && step(1, 0.1).validate().is_ok());
    }

    proptest! {
        #[test]
        fn a_rate_is_positive_before_the_end_and_never_above_its_full_value(
            warmup in 0.0f64..1.0, total in 1usize..300, kind in 0usize..3
        ) {
            let decay = [Decay::Constant, Decay::Cosine, Decay::Step { every: 7, factor: 0.3 }][kind];
            for step in 0..total {
                let factor = Schedule { warmup, decay }.factor(step, total);
                prop_assert!(factor > 0.0 && factor <= 1.0, "{factor} at {step}");
            }
        }
    }
}
