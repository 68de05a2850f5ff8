//! Adam (Kingma & Ba 2015).
//!
//! `m <- b1 m + (1 - b1) g`, `v <- b2 v + (1 - b2) g^2`,
//! `theta <- theta - lr m^ / (sqrt(v^) + eps)` with the bias-corrected `m^ = m / (1 - b1^t)`,
//! `v^ = v / (1 - b2^t)`.
//!
//! A step does not depend on the scale of the energy, so sums over the data need the same learning
//! rate as means.

use super::Optimizer;
use super::optimizer::{check_lengths, check_positive};
use crate::error::{Error, Result};
use crate::scalar::Scalar;
use crate::simd;

/// Decay rates, and the constant that guards the division. The defaults are the paper's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamOptions {
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Added to the root of the second moment.
    pub epsilon: f64,
}

impl Default for AdamOptions {
    fn default() -> Self {
        Self {
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
        }
    }
}

impl AdamOptions {
    /// Checks the settings.
    ///
    /// # Errors
    /// If a decay is outside `[0, 1)` or `epsilon` is not positive and finite.
    pub fn validate(&self) -> Result<()> {
        for (field, value) in [("beta1", self.beta1), ("beta2", self.beta2)] {
            if !(0.0..1.0).contains(&value) {
                return Err(Error::config(field, value, "must be in [0, 1)"));
            }
        }
        check_positive("epsilon", self.epsilon)
    }
}

/// Adam's moments for one parameter vector.
#[derive(Clone, Debug)]
pub struct Adam<T> {
    options: AdamOptions,
    first: Vec<T>,
    second: Vec<T>,
    steps: i32,
}

impl<T: Scalar> Adam<T> {
    /// Zero moments for `dim` parameters.
    ///
    /// # Errors
    /// If a setting is outside its range.
    pub fn new(dim: usize, options: AdamOptions) -> Result<Self> {
        options.validate()?;
        Ok(Self {
            options,
            first: vec![T::ZERO; dim],
            second: vec![T::ZERO; dim],
            steps: 0,
        })
    }

    pub(super) fn dim(&self) -> usize {
        self.first.len()
    }
}

impl<T: Scalar> Optimizer<T> for Adam<T> {
    fn step(&mut self, learning_rate: f64, grad: &[T], theta: &mut [T]) -> Result<()> {
        check_lengths("Adam", self.dim(), grad.len(), theta.len())?;
        self.steps = self.steps.saturating_add(1);
        let AdamOptions {
            beta1,
            beta2,
            epsilon,
        } = self.options;
        let of = T::from_f64;
        simd::dispatch(Step {
            keep: [of(beta1), of(beta2)],
            take: [of(1.0 - beta1), of(1.0 - beta2)],
            rate: of(learning_rate / (1.0 - beta1.powi(self.steps))),
            correction: of(1.0 / (1.0 - beta2.powi(self.steps))),
            epsilon: of(epsilon),
            grad,
            first: &mut self.first,
            second: &mut self.second,
            theta,
        });
        Ok(())
    }
}

struct Step<'a, T> {
    keep: [T; 2],
    take: [T; 2],
    rate: T,
    correction: T,
    epsilon: T,
    grad: &'a [T],
    first: &'a mut [T],
    second: &'a mut [T],
    theta: &'a mut [T],
}

impl<T: Scalar> simd::Vectorised for Step<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let ([b1, b2], [c1, c2]) = (self.keep, self.take);
        let (rate, correction, epsilon) = (self.rate, self.correction, self.epsilon);
        let moments = self.first.iter_mut().zip(self.second);
        for ((theta, &g), (m, v)) in self.theta.iter_mut().zip(self.grad).zip(moments) {
            *m = b1 * *m + c1 * g;
            *v = b2 * *v + c2 * g * g;
            *theta -= rate * *m / ((*v * correction).sqrt() + epsilon);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_two_steps_by_hand() {
        let mut adam = Adam::<f64>::new(1, AdamOptions::default()).unwrap();
        let mut theta = [1.0];
        adam.step(0.1, &[4.0], &mut theta).unwrap();
        // bias correction reduces the first step to the sign of the gradient
        assert!((theta[0] - 0.9).abs() < 1e-9);
        adam.step(0.1, &[-2.0], &mut theta).unwrap();
        let m = (0.9 * 0.1 * 4.0 - 0.1 * 2.0) / (1.0 - 0.81);
        let v: f64 = (0.999 * 0.001 * 16.0 + 0.001 * 4.0) / (1.0 - 0.998_001);
        assert!((theta[0] - (0.9 - 0.1 * m / v.sqrt())).abs() < 1e-8);
    }

    /// The moments are weighted sums of all gradients so far:
    /// `m_t = (1 - b1) sum_s b1^(t - s) g_s`, and likewise `v`.
    #[test]
    fn a_quadratic_follows_the_moments_in_closed_form() {
        let options = AdamOptions {
            beta1: 0.8,
            beta2: 0.95,
            epsilon: 1e-3,
        };
        let curvature = [1.0, 50.0];
        let mut adam = Adam::<f64>::new(2, options).unwrap();
        let mut theta = [1.0, -0.3];
        let mut expected = theta;
        let mut seen: Vec<[f64; 2]> = Vec::new();
        for t in 1..=50 {
            seen.push([curvature[0] * expected[0], curvature[1] * expected[1]]);
            for i in 0..2 {
                let moment = |beta: f64, power: i32| -> f64 {
                    let ages = seen.iter().rev().zip(0..);
                    let sum: f64 = ages.map(|(g, age)| beta.powi(age) * g[i].powi(power)).sum();
                    (1.0 - beta) * sum / (1.0 - beta.powi(t))
                };
                expected[i] -= 0.05 * moment(0.8, 1) / (moment(0.95, 2).sqrt() + 1e-3);
            }
            let grad = [curvature[0] * theta[0], curvature[1] * theta[1]];
            adam.step(0.05, &grad, &mut theta).unwrap();
            for i in 0..2 {
                assert!((theta[i] - expected[i]).abs() < 1e-12, "step {t}");
            }
        }
        assert!(theta[0].abs() < 0.2 && theta[1].abs() < 0.2, "{theta:?}");
    }
}
