//! The maximum a posteriori estimate: the minimum of `U(theta) = -log p(D | theta) - log p(theta)` by Adam on all data.

use super::{Adam, AdamOptions, Schedule};
use crate::error::{Error, Result};
use crate::linalg::vector::{first_non_finite, norm};
use crate::model::LogDensity;
use crate::scalar::Scalar;

/// Settings of a fit. The defaults, 4,000 steps of Adam from 0.01 along a cosine, bring networks of some thousand
/// parameters on some thousand rows to a gradient that is small beside its start; the report says how small.
#[derive(Clone, Debug)]
pub struct MapOptions {
    /// Number of steps, each with one gradient of all data.
    pub steps: usize,
    /// Learning rate at the start.
    pub learning_rate: f64,
    /// Its course.
    pub schedule: Schedule,
    /// Decays of Adam.
    pub adam: AdamOptions,
}

impl Default for MapOptions {
    fn default() -> Self {
        Self {
            steps: 4_000,
            learning_rate: 1e-2,
            schedule: Schedule::Cosine,
            adam: AdamOptions::default(),
        }
    }
}

impl MapOptions {
    /// Checks the settings.
    ///
    /// # Errors
    /// If the learning rate is not positive and finite.
    pub fn validate(&self) -> Result<()> {
        if self.learning_rate > 0.0 && self.learning_rate.is_finite() {
            Ok(())
        } else {
            Err(Error::config(
                "learning_rate",
                self.learning_rate,
                "must be positive and finite",
            ))
        }
    }
}

/// The estimate and how well it was reached.
#[derive(Clone, Debug)]
pub struct MapReport<T> {
    /// The estimate.
    pub theta: Vec<T>,
    /// `U` there, in nats.
    pub energy: f64,
    /// `|grad U|` there.
    pub gradient_norm: f64,
    /// `|grad U|` at the start, to compare with.
    pub initial_gradient_norm: f64,
    /// Gradients computed.
    pub gradients: usize,
}

/// Minimises the energy `-log_density` from `theta`. `progress` is called after every step with the number done.
///
/// # Errors
/// If a setting is out of range, `theta` has the wrong length, or the energy stops being finite.
pub fn fit_map<T: Scalar, D: LogDensity<T>>(
    density: &D,
    mut theta: Vec<T>,
    options: &MapOptions,
    mut progress: impl FnMut(usize),
) -> Result<MapReport<T>> {
    options.validate()?;
    let mut ws = density.workspace();
    let mut grad = vec![T::ZERO; density.dim()];
    let mut adam = Adam::new(density.dim(), options.adam)?;
    let mut initial_gradient_norm = f64::NAN;
    for step in 0..options.steps {
        let log_density = density.log_density_and_grad(&theta, &mut grad, &mut ws)?;
        check(log_density, &grad, step)?;
        if step == 0 {
            initial_gradient_norm = norm(&grad);
        }
        for g in &mut grad {
            *g = -*g;
        }
        let rate = options.learning_rate * options.schedule.factor(step, options.steps);
        adam.step(rate, &grad, &mut theta);
        progress(step + 1);
    }
    let log_density = density.log_density_and_grad(&theta, &mut grad, &mut ws)?;
    check(log_density, &grad, options.steps)?;
    let gradient_norm = norm(&grad);
    if options.steps == 0 {
        initial_gradient_norm = gradient_norm;
    }
    Ok(MapReport {
        theta,
        energy: -log_density,
        gradient_norm,
        initial_gradient_norm,
        gradients: options.steps + 1,
    })
}

fn check<T: Scalar>(log_density: f64, grad: &[T], step: usize) -> Result<()> {
    if !log_density.is_finite() {
        let what = "energy during the MAP fit (index = step)";
        return Err(Error::NonFinite { what, index: step });
    }
    match first_non_finite(grad) {
        Some(index) => Err(Error::NonFinite {
            what: "gradient during the MAP fit",
            index,
        }),
        None => Ok(()),
    }
}
