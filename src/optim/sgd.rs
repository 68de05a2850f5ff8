//! Gradient descent with momentum (Polyak 1964).
//!
//! `v <- mu v + g`, `theta <- theta - lr v`. Nesterov's form looks one step ahead,
//! `theta <- theta - lr (g + mu v)` (Sutskever et al. 2013).
//!
//! The energies of this crate are sums over the data. So stable learning rates are of the order of
//! one over the number of rows: below `2 (1 + mu) / lambda` for the largest curvature `lambda`.

use super::Optimizer;
use super::optimizer::check_lengths;
use crate::error::{Error, Result};
use crate::scalar::Scalar;
use crate::simd;

/// Settings of [`Sgd`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SgdOptions {
    /// Share `mu` of the velocity that a step keeps. 0 is plain gradient descent.
    pub momentum: f64,
    /// Use Nesterov's form.
    pub nesterov: bool,
}

impl Default for SgdOptions {
    fn default() -> Self {
        Self {
            momentum: 0.9,
            nesterov: false,
        }
    }
}

impl SgdOptions {
    /// Checks the settings.
    ///
    /// # Errors
    /// If the momentum is outside `[0, 1)`, or is 0 with Nesterov's form.
    pub fn validate(&self) -> Result<()> {
        if !(0.0..1.0).contains(&self.momentum) {
            let requirement = "must be in [0, 1)";
            return Err(Error::config("momentum", self.momentum, requirement));
        }
        if self.nesterov && self.momentum == 0.0 {
            return Err(Error::config("nesterov", true, "needs a momentum"));
        }
        Ok(())
    }
}

/// Velocity of one parameter vector.
#[derive(Clone, Debug)]
pub struct Sgd<T> {
    options: SgdOptions,
    velocity: Vec<T>,
}

impl<T: Scalar> Sgd<T> {
    /// Zero velocity for `dim` parameters.
    ///
    /// # Errors
    /// If a setting is outside its range.
    pub fn new(dim: usize, options: SgdOptions) -> Result<Self> {
        options.validate()?;
        Ok(Self {
            options,
            velocity: vec![T::ZERO; dim],
        })
    }
}

impl<T: Scalar> Optimizer<T> for Sgd<T> {
    fn step(&mut self, learning_rate: f64, grad: &[T], theta: &mut [T]) -> Result<()> {
        check_lengths("Sgd", self.velocity.len(), grad.len(), theta.len())?;
        simd::dispatch(Step {
            rate: T::from_f64(learning_rate),
            momentum: T::from_f64(self.options.momentum),
            nesterov: self.options.nesterov,
            grad,
            velocity: &mut self.velocity,
            theta,
        });
        Ok(())
    }
}

struct Step<'a, T> {
    rate: T,
    momentum: T,
    nesterov: bool,
    grad: &'a [T],
    velocity: &'a mut [T],
    theta: &'a mut [T],
}

impl<T: Scalar> simd::Vectorised for Step<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let (rate, momentum) = (self.rate, self.momentum);
        let all = self.theta.iter_mut().zip(self.grad).zip(self.velocity);
        if self.nesterov {
            for ((theta, &g), v) in all {
                *v = momentum * *v + g;
                *theta -= rate * (g + momentum * *v);
            }
        } else {
            for ((theta, &g), v) in all {
                *v = momentum * *v + g;
                *theta -= rate * *v;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sgd(momentum: f64, nesterov: bool) -> Sgd<f64> {
        Sgd::new(1, SgdOptions { momentum, nesterov }).unwrap()
    }

    fn run(mut sgd: Sgd<f64>, grads: &[f64]) -> Vec<f64> {
        let mut theta = [0.0];
        let step = |&g: &f64| {
            sgd.step(0.1, &[g], &mut theta).unwrap();
            theta[0]
        };
        grads.iter().map(step).collect()
    }

    fn close(got: &[f64], expected: &[f64]) {
        for (a, b) in got.iter().zip(expected) {
            assert!((a - b).abs() < 1e-15, "{got:?} {expected:?}");
        }
    }

    #[test]
    fn the_first_steps_by_hand() {
        close(
            &run(sgd(0.0, false), &[4.0, -2.0, 1.0]),
            &[-0.4, -0.2, -0.3],
        );
        // v = 4, 0, 1
        close(
            &run(sgd(0.5, false), &[4.0, -2.0, 1.0]),
            &[-0.4, -0.4, -0.5],
        );
        // g + v / 2 = 6, -2, 1.5
        close(
            &run(sgd(0.5, true), &[4.0, -2.0, 1.0]),
            &[-0.6, -0.4, -0.55],
        );
    }

    /// On `c theta^2 / 2` both forms are `theta_{t+1} = b theta_t - p theta_{t-1}`. With momentum,
    /// `b = 1 + mu - lr c` and `p = mu`. With Nesterov's form, `b = (1 + mu) (1 - lr c)` and
    /// `p = mu (1 - lr c)`. With the roots `r = (b +- sqrt(b^2 - 4 p)) / 2`, the closed form is
    /// `theta_t = A r_1^t + B r_2^t`.
    #[test]
    fn a_quadratic_follows_its_closed_form() {
        let (c, rate, mu) = (3.0, 0.02, 0.5f64);
        for nesterov in [false, true] {
            let keep = 1.0 - rate * c;
            let (b, p) = if nesterov {
                ((1.0 + mu) * keep, mu * keep)
            } else {
                (mu + keep, mu)
            };
            // at rest at the start: the first step is plain, or (1 + mu) times as long
            let first = if nesterov {
                1.0 - (1.0 + mu) * rate * c
            } else {
                keep
            };
            let root: f64 = (b * b - 4.0 * p).sqrt();
            assert!(
                root > 0.1,
                "real and distinct roots, the case of this closed form"
            );
            let (r1, r2) = (0.5 * (b + root), 0.5 * (b - root));
            let (weight1, weight2) = ((first - r2) / (r1 - r2), (r1 - first) / (r1 - r2));

            let mut optimizer = sgd(mu, nesterov);
            let mut theta = [1.0];
            for t in 1..=60 {
                let grad = [c * theta[0]];
                optimizer.step(rate, &grad, &mut theta).unwrap();
                let expected = weight1 * r1.powi(t) + weight2 * r2.powi(t);
                assert!((theta[0] - expected).abs() < 1e-13, "{nesterov} step {t}");
            }
        }
    }
}
