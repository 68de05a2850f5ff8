//! Adam (Kingma & Ba 2015): `m <- b1 m + (1 - b1) g`, `v <- b2 v + (1 - b2) g^2`,
//! `theta <- theta - lr m^ / (sqrt(v^) + eps)` with the bias-corrected `m^ = m / (1 - b1^t)`, `v^ = v / (1 - b2^t)`.

use crate::error::{Error, Result};
use crate::scalar::Scalar;

/// Decay rates and the guard of the division. The defaults are the paper's.
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

/// The moments of one parameter vector.
#[derive(Clone, Debug)]
pub struct Adam<T> {
    options: AdamOptions,
    first: Vec<T>,
    second: Vec<T>,
    steps: i32,
}

impl<T: Scalar> Adam<T> {
    /// Moments of zero for `dim` parameters.
    ///
    /// # Errors
    /// If a decay is outside `[0, 1)` or `epsilon` is not positive.
    pub fn new(dim: usize, options: AdamOptions) -> Result<Self> {
        let decays = [("beta1", options.beta1), ("beta2", options.beta2)];
        for (field, value) in decays {
            if !(0.0..1.0).contains(&value) {
                return Err(Error::config(field, value, "must be in [0, 1)"));
            }
        }
        if options.epsilon.is_nan() || options.epsilon <= 0.0 {
            return Err(Error::config(
                "epsilon",
                options.epsilon,
                "must be positive",
            ));
        }
        Ok(Self {
            options,
            first: vec![T::ZERO; dim],
            second: vec![T::ZERO; dim],
            steps: 0,
        })
    }

    /// One step down the gradient `grad`.
    pub fn step(&mut self, learning_rate: f64, grad: &[T], theta: &mut [T]) {
        self.steps = self.steps.saturating_add(1);
        let AdamOptions {
            beta1,
            beta2,
            epsilon,
        } = self.options;
        let of = T::from_f64;
        let (b1, b2, c1, c2) = (of(beta1), of(beta2), of(1.0 - beta1), of(1.0 - beta2));
        let rate = of(learning_rate / (1.0 - beta1.powi(self.steps)));
        let correction = of(1.0 / (1.0 - beta2.powi(self.steps)));
        let epsilon = of(epsilon);
        let moments = self.first.iter_mut().zip(&mut self.second);
        for ((theta, &g), (m, v)) in theta.iter_mut().zip(grad).zip(moments) {
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
        adam.step(0.1, &[4.0], &mut theta);
        // bias correction makes the first step the sign of the gradient
        assert!((theta[0] - 0.9).abs() < 1e-9);
        adam.step(0.1, &[-2.0], &mut theta);
        let m = (0.9 * 0.1 * 4.0 - 0.1 * 2.0) / (1.0 - 0.81);
        let v: f64 = (0.999 * 0.001 * 16.0 + 0.001 * 4.0) / (1.0 - 0.998_001);
        assert!((theta[0] - (0.9 - 0.1 * m / v.sqrt())).abs() < 1e-8);
    }
}
