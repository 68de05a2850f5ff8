//! Settings of Langevin dynamics, with their defaults, and when points are kept.

use crate::baselines::limit::check_seconds;
use crate::error::{Error, Result};

/// The scale of a step, parameter by parameter.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Preconditioner {
    /// No scale: SGLD.
    #[default]
    None,
    /// The root mean square of recent gradients: pSGLD.
    RmsProp {
        /// Fraction `a` of the mean square that a step keeps; 0.99 in the paper.
        decay: f64,
        /// `lambda`, added to the root; 1e-5 in the paper.
        epsilon: f64,
    },
}

impl Preconditioner {
    /// pSGLD with the paper's settings.
    pub fn rms_prop() -> Self {
        Preconditioner::RmsProp {
            decay: 0.99,
            epsilon: 1e-5,
        }
    }
}

/// How step sizes decay: `(1 + t / onset)^{-exponent}`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepDecay {
    /// Number of steps `b` after which the decay begins to show.
    pub onset: f64,
    /// `gamma`. A chain converges if it is in `(1/2, 1]`; 0.55 in the paper.
    pub exponent: f64,
}

/// Settings of Langevin dynamics.
#[derive(Clone, Debug, PartialEq)]
pub struct SgldOptions {
    /// Number of chains.
    pub chains: usize,
    /// Steps of each chain, burn-in included. Each takes one gradient.
    pub steps: usize,
    /// Steps before the first kept point.
    pub burn_in: usize,
    /// Points kept from each chain, evenly spaced in `sum eps_t`. The last point is one of them.
    pub keep: usize,
    /// Learning rate `lr` on the mean loss `U / N`: `eps_0 = 2 lr / N`. A step then descends like
    /// SGD at this rate, or like RMSprop if preconditioned (1e-3 is usual there).
    pub learning_rate: f64,
    /// Decay of the step size; `None`: constant.
    pub decay: Option<StepDecay>,
    /// SGLD or pSGLD.
    pub preconditioner: Preconditioner,
    /// Temperature `T`: 1 for the posterior, less for a colder one.
    pub temperature: f64,
    /// Seconds after which chains end, and keep the points so far, or else the last one. All keep
    /// equally many. `None`: no limit. With one, chains are not the same at every run.
    pub max_seconds: Option<f64>,
}

impl Default for SgldOptions {
    fn default() -> Self {
        Self {
            chains: 4,
            steps: 10_000,
            burn_in: 2_000,
            keep: 64,
            learning_rate: 0.01,
            decay: None,
            preconditioner: Preconditioner::None,
            temperature: 1.0,
            max_seconds: None,
        }
    }
}

impl SgldOptions {
    /// Checks the settings.
    ///
    /// # Errors
    /// If a setting is outside its range; the error names it.
    pub fn validate(&self) -> Result<()> {
        for (field, value) in [("chains", self.chains), ("keep", self.keep)] {
            if value == 0 {
                return Err(Error::config(field, value, "must be positive"));
            }
        }
        if self.steps <= self.burn_in || self.keep > self.steps - self.burn_in {
            let requirement = "must leave a step behind the burn-in for each point that is kept";
            return Err(Error::config("steps", self.steps, requirement));
        }
        check_seconds(self.max_seconds)?;
        let mut positive = vec![("learning_rate", self.learning_rate)];
        if let Some(StepDecay { onset, exponent }) = self.decay {
            positive.extend([("onset", onset), ("exponent", exponent)]);
        }
        if let Preconditioner::RmsProp { decay, epsilon } = self.preconditioner {
            positive.push(("epsilon", epsilon));
            if !(0.0..1.0).contains(&decay) {
                return Err(Error::config("decay", decay, "must be in [0, 1)"));
            }
        }
        for (field, value) in positive {
            if !(value > 0.0 && value.is_finite()) {
                return Err(Error::config(field, value, "must be positive and finite"));
            }
        }
        if !(self.temperature >= 0.0 && self.temperature.is_finite()) {
            let requirement = "must be finite and not negative";
            return Err(Error::config("temperature", self.temperature, requirement));
        }
        Ok(())
    }

    /// `eps_t` for a sum over `rows` rows.
    pub(super) fn step_size(&self, t: usize, rows: usize) -> f64 {
        let course = self
            .decay
            .map_or(1.0, |d| (1.0 + t as f64 / d.onset).powf(-d.exponent));
        2.0 * self.learning_rate / rows as f64 * course
    }

    /// The steps, counted from 1, after which a point is kept. A step that passes two marks appears
    /// twice.
    pub(super) fn marks(&self) -> Vec<usize> {
        let span = |t: usize| self.step_size(t, 1);
        let total: f64 = (self.burn_in..self.steps).map(span).sum();
        let mut marks = Vec::with_capacity(self.keep);
        let mut passed = 0.0;
        for t in self.burn_in..self.steps {
            passed += span(t);
            // half a step of tolerance: equal steps must give equal distances despite rounding
            while marks.len() + 1 < self.keep
                && passed + 0.5 * span(t) > total * (marks.len() + 1) as f64 / self.keep as f64
            {
                marks.push(t + 1);
            }
        }
        marks.push(self.steps);
        marks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(decay: Option<StepDecay>) -> SgldOptions {
        SgldOptions {
            steps: 40,
            burn_in: 8,
            keep: 8,
            decay,
            ..SgldOptions::default()
        }
    }

    #[test]
    fn equal_steps_are_thinned_evenly() {
        assert_eq!(options(None).marks(), [12, 16, 20, 24, 28, 32, 36, 40]);
        let all = SgldOptions {
            keep: 32,
            ..options(None)
        };
        assert_eq!(all.marks(), (9..=40).collect::<Vec<_>>());
    }

    #[test]
    fn shrinking_steps_are_kept_at_equal_times() {
        let options = options(Some(StepDecay {
            onset: 4.0,
            exponent: 0.8,
        }));
        let marks = options.marks();
        assert_eq!((marks.len(), marks[7]), (8, 40));
        let time = |mark: usize| (8..mark).map(|t| options.step_size(t, 1)).sum::<f64>();
        for (k, &mark) in marks.iter().enumerate() {
            let aim = time(40) * (k + 1) as f64 / 8.0;
            assert!((time(mark) - aim).abs() <= 0.51 * options.step_size(mark - 1, 1));
        }
        // by hand: eps_t = 2 lr / N (1 + t/4)^-0.8
        let at_12 = options.step_size(12, 10);
        assert!((at_12 - 0.002 * 4f64.powf(-0.8)).abs() < 1e-15);
    }
}
