//! Adam with decoupled weight decay (Loshchilov & Hutter 2019, algorithm 2).
//!
//! `theta <- theta - lr weight_decay theta - lr m^ / (sqrt(v^) + eps)`.
//!
//! In Adam, a penalty in the gradient is divided by `sqrt(v^)` like the rest, so parameters with
//! large gradients shrink less. The decay here shrinks all parameters at the same rate. (The
//! paper's `lambda` is `lr weight_decay` at the full learning rate: schedules act on both.)
//!
//! The posterior's energy already includes its prior, and the decay is added to it. The result is
//! no longer the minimum of `U`. For the MAP estimate of a given prior, use Adam.

use super::optimizer::check_lengths;
use super::{Adam, AdamOptions, Optimizer};
use crate::error::{Error, Result};
use crate::linalg::vector::scale;
use crate::scalar::Scalar;

/// Settings of [`AdamW`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamWOptions {
    /// Settings of the Adam step.
    pub adam: AdamOptions,
    /// Share of a parameter that a step with learning rate 1 removes.
    pub weight_decay: f64,
}

impl Default for AdamWOptions {
    fn default() -> Self {
        Self {
            adam: AdamOptions::default(),
            weight_decay: 0.01,
        }
    }
}

impl AdamWOptions {
    /// Checks the settings.
    ///
    /// # Errors
    /// If the decay is negative or not finite, or a setting of Adam is outside its range.
    pub fn validate(&self) -> Result<()> {
        self.adam.validate()?;
        if self.weight_decay >= 0.0 && self.weight_decay.is_finite() {
            return Ok(());
        }
        let requirement = "must be finite and not negative";
        Err(Error::config(
            "weight_decay",
            self.weight_decay,
            requirement,
        ))
    }
}

/// AdamW's moments for one parameter vector, and its decay.
#[derive(Clone, Debug)]
pub struct AdamW<T> {
    adam: Adam<T>,
    weight_decay: f64,
}

impl<T: Scalar> AdamW<T> {
    /// Zero moments for `dim` parameters.
    ///
    /// # Errors
    /// If a setting is outside its range.
    pub fn new(dim: usize, options: AdamWOptions) -> Result<Self> {
        options.validate()?;
        Ok(Self {
            adam: Adam::new(dim, options.adam)?,
            weight_decay: options.weight_decay,
        })
    }
}

impl<T: Scalar> Optimizer<T> for AdamW<T> {
    fn step(&mut self, learning_rate: f64, grad: &[T], theta: &mut [T]) -> Result<()> {
        check_lengths("AdamW", self.adam.dim(), grad.len(), theta.len())?;
        scale(1.0 - learning_rate * self.weight_decay, theta);
        self.adam.step(learning_rate, grad, theta)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DECAY: f64 = 0.5;

    fn adamw(dim: usize) -> AdamW<f64> {
        let options = AdamWOptions {
            weight_decay: DECAY,
            ..AdamWOptions::default()
        };
        AdamW::new(dim, options).unwrap()
    }

    #[test]
    fn the_first_step_by_hand() {
        let mut theta = [2.0, -2.0];
        adamw(2).step(0.1, &[300.0, 0.0], &mut theta).unwrap();
        // 2 (1 - 0.1 * 0.5) - 0.1 sign(300); without a gradient, only the decay
        assert!((theta[0] - 1.8).abs() < 1e-9);
        assert_eq!(theta[1], -1.9);
    }

    /// Section 2 of the paper: a penalty in the gradient is normalised with it, decoupled decay is
    /// not. Beside a large gradient of alternating sign, the penalty all but vanishes. The decay
    /// keeps its full share.
    #[test]
    fn decay_is_decoupled_and_a_penalty_in_the_gradient_is_not() {
        let (rate, steps) = (1e-3, 400);
        let decayed = |gradient: f64| {
            let (mut coupled, mut decoupled) = ([1.0], [1.0]);
            let mut adam = Adam::new(1, AdamOptions::default()).unwrap();
            let mut adamw = adamw(1);
            for t in 0..steps {
                let g = if t % 2 == 0 { gradient } else { -gradient };
                adam.step(rate, &[g + DECAY * coupled[0]], &mut coupled)
                    .unwrap();
                adamw.step(rate, &[g], &mut decoupled).unwrap();
            }
            (coupled[0], decoupled[0])
        };
        // AdamW's decay does not depend on the size of the gradient
        let (coupled, decoupled) = decayed(1e3);
        let expected = (1.0 - rate * DECAY).powi(steps);
        assert!(
            (decoupled - expected).abs() < 5.0 * rate,
            "{decoupled} {expected}"
        );
        assert!(coupled > 1.0 - 5.0 * rate, "{coupled}");
        // with a tiny gradient, the penalty dominates, and Adam normalises it to its full rate
        let (coupled, decoupled) = decayed(1e-9);
        assert!((decoupled - expected).abs() < 5.0 * rate);
        assert!(
            (coupled - (1.0 - rate * f64::from(steps))).abs() < 0.05,
            "{coupled}"
        );
    }

    #[test]
    fn without_decay_it_is_adam() {
        let options = AdamWOptions {
            weight_decay: 0.0,
            ..AdamWOptions::default()
        };
        let mut adamw = AdamW::<f32>::new(2, options).unwrap();
        let mut adam = Adam::<f32>::new(2, AdamOptions::default()).unwrap();
        let (mut a, mut b) = ([1.0, 2.0], [1.0, 2.0]);
        for t in 0..20 {
            let grad = [t as f32 - 3.0, 0.5];
            adamw.step(0.1, &grad, &mut a).unwrap();
            adam.step(0.1, &grad, &mut b).unwrap();
        }
        assert_eq!(a.map(f32::to_bits), b.map(f32::to_bits));
    }
}
