//! Optimisers: rules that turn gradients into steps.
//!
//! Three are built in, and users can write others.

use super::{Adam, AdamOptions, AdamW, AdamWOptions, Sgd, SgdOptions};
use crate::error::{Error, Result};
use crate::scalar::Scalar;

/// A rule for steps down a gradient. It may remember earlier gradients.
///
/// ```
/// use fiberwalk::optim::{MapOptions, Optimizer, fit_map_with};
/// use fiberwalk::{LogDensity, Result};
///
/// /// Uses only the sign of the gradient.
/// struct SignDescent;
/// impl Optimizer<f64> for SignDescent {
///     fn step(&mut self, learning_rate: f64, grad: &[f64], theta: &mut [f64]) -> Result<()> {
///         for (t, g) in theta.iter_mut().zip(grad) {
///             *t -= learning_rate * g.signum();
///         }
///         Ok(())
///     }
/// }
/// # struct Normal;
/// # impl LogDensity<f64> for Normal {
/// #     type Workspace = ();
/// #     fn dim(&self) -> usize { 1 }
/// #     fn workspace(&self) {}
/// #     fn log_density(&self, theta: &[f64], _: &mut ()) -> Result<f64> {
/// #         Ok(-0.5 * theta[0].powi(2))
/// #     }
/// #     fn log_density_and_grad(
/// #         &self,
/// #         theta: &[f64],
/// #         grad: &mut [f64],
/// #         ws: &mut (),
/// #     ) -> Result<f64> {
/// #         grad[0] = -theta[0];
/// #         self.log_density(theta, ws)
/// #     }
/// # }
/// let options = MapOptions::default();
/// let report = fit_map_with(&Normal, &mut SignDescent, vec![3.0], &options, |_| ())?;
/// assert!(report.theta[0].abs() < 0.01);
/// # Ok::<(), fiberwalk::Error>(())
/// ```
pub trait Optimizer<T: Scalar>: Send {
    /// Takes one step. `grad` is the gradient at `theta` of the function to minimise.
    ///
    /// # Errors
    /// If a length differs from the one the optimiser was made for.
    fn step(&mut self, learning_rate: f64, grad: &[T], theta: &mut [T]) -> Result<()>;
}

/// The choice of optimiser, with its settings.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum OptimizerOptions {
    /// Gradient descent, with momentum.
    Sgd(SgdOptions),
    /// Adam.
    Adam(AdamOptions),
    /// Adam with decoupled weight decay.
    AdamW(AdamWOptions),
}

impl Default for OptimizerOptions {
    fn default() -> Self {
        OptimizerOptions::Adam(AdamOptions::default())
    }
}

impl OptimizerOptions {
    /// Checks the settings.
    ///
    /// # Errors
    /// If one is outside its range.
    pub fn validate(&self) -> Result<()> {
        match self {
            OptimizerOptions::Sgd(options) => options.validate(),
            OptimizerOptions::Adam(options) => options.validate(),
            OptimizerOptions::AdamW(options) => options.validate(),
        }
    }

    /// Creates the optimiser for `dim` parameters, before its first step.
    ///
    /// # Errors
    /// If a setting is outside its range.
    pub fn build<T: Scalar>(&self, dim: usize) -> Result<Box<dyn Optimizer<T>>> {
        Ok(match *self {
            OptimizerOptions::Sgd(options) => Box::new(Sgd::new(dim, options)?),
            OptimizerOptions::Adam(options) => Box::new(Adam::new(dim, options)?),
            OptimizerOptions::AdamW(options) => Box::new(AdamW::new(dim, options)?),
        })
    }
}

/// Checks that gradient and parameters have the length that the optimiser was made for.
pub(super) fn check_lengths(op: &'static str, dim: usize, grad: usize, theta: usize) -> Result<()> {
    if grad == dim && theta == dim {
        return Ok(());
    }
    let got = format!("a gradient of {grad} and parameters of {theta}");
    Err(Error::shape(op, format!("length {dim}"), got))
}

/// Checks that a setting is positive and finite.
pub(super) fn check_positive(field: &'static str, value: f64) -> Result<()> {
    if value > 0.0 && value.is_finite() {
        return Ok(());
    }
    Err(Error::config(field, value, "must be positive and finite"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_adam_and_every_kind_steps_down() {
        let kinds = [
            OptimizerOptions::default(),
            OptimizerOptions::Sgd(SgdOptions::default()),
            OptimizerOptions::AdamW(AdamWOptions::default()),
        ];
        assert!(matches!(kinds[0], OptimizerOptions::Adam(_)));
        for kind in kinds {
            let mut optimizer = kind.build::<f64>(2).unwrap();
            let mut theta = [1.0, -1.0];
            optimizer.step(0.1, &[2.0, -3.0], &mut theta).unwrap();
            assert!(theta[0] < 1.0 && theta[1] > -1.0, "{kind:?}");
        }
    }

    #[test]
    fn other_lengths_are_refused_and_nothing_moves() {
        for kind in [
            OptimizerOptions::default(),
            OptimizerOptions::Sgd(SgdOptions::default()),
            OptimizerOptions::AdamW(AdamWOptions::default()),
        ] {
            let mut optimizer = kind.build::<f64>(2).unwrap();
            let (mut short, mut right) = ([1.0], [1.0, 1.0]);
            let error = optimizer.step(0.1, &[1.0, 1.0], &mut short).unwrap_err();
            assert!(error.to_string().contains("expected length 2"), "{error}");
            assert!(optimizer.step(0.1, &[1.0], &mut right).is_err());
            assert_eq!((short, right), ([1.0], [1.0, 1.0]));
        }
    }

    #[test]
    fn settings_out_of_range_are_refused_by_name() {
        let adam = AdamOptions::default();
        let refused = [
            (
                "momentum",
                OptimizerOptions::Sgd(SgdOptions {
                    momentum: 1.0,
                    nesterov: false,
                }),
            ),
            (
                "momentum",
                OptimizerOptions::Sgd(SgdOptions {
                    momentum: f64::NAN,
                    nesterov: false,
                }),
            ),
            (
                "nesterov",
                OptimizerOptions::Sgd(SgdOptions {
                    momentum: 0.0,
                    nesterov: true,
                }),
            ),
            (
                "beta1",
                OptimizerOptions::Adam(AdamOptions { beta1: 1.0, ..adam }),
            ),
            (
                "beta2",
                OptimizerOptions::Adam(AdamOptions {
                    beta2: -0.1,
                    ..adam
                }),
            ),
            (
                "epsilon",
                OptimizerOptions::Adam(AdamOptions {
                    epsilon: 0.0,
                    ..adam
                }),
            ),
            (
                "weight_decay",
                OptimizerOptions::AdamW(AdamWOptions {
                    adam,
                    weight_decay: -1.0,
                }),
            ),
            (
                "weight_decay",
                OptimizerOptions::AdamW(AdamWOptions {
                    adam,
                    weight_decay: f64::INFINITY,
                }),
            ),
            (
                "beta1",
                OptimizerOptions::AdamW(AdamWOptions {
                    adam: AdamOptions {
                        beta1: f64::NAN,
                        ..adam
                    },
                    weight_decay: 0.0,
                }),
            ),
        ];
        for (field, options) in refused {
            let by_check = options.validate().unwrap_err();
            assert!(
                matches!(by_check, Error::Config { field: f, .. } if f == field),
                "{options:?}"
            );
            assert!(options.build::<f32>(1).is_err());
        }
    }
}
