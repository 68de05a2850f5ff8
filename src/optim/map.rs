//! The maximum a posteriori estimate, from gradients of all data.
//!
//! It is the minimum of `U(theta) = -log p(D | theta) - log p(theta)`.

use super::descent::{Descent, LOWER_RATE};
use super::optimizer::check_positive;
use super::{Answer, Decay, Optimizer, OptimizerOptions, Schedule, clip_by_norm};
use crate::error::Result;
use crate::linalg::vector::norm;
use crate::model::LogDensity;
use crate::scalar::Scalar;

/// Settings of a fit. The defaults are 4,000 steps of Adam, from 0.01 along a cosine. For networks
/// of some thousand parameters on some thousand rows, the final gradient is then small compared
/// with the first one. The report gives both.
#[derive(Clone, Debug)]
pub struct MapOptions {
    /// Number of steps, each with one gradient of all data.
    pub steps: usize,
    /// The full learning rate.
    pub learning_rate: f64,
    /// Its schedule.
    pub schedule: Schedule,
    /// The rule that turns gradients into steps.
    pub optimizer: OptimizerOptions,
    /// Largest norm of a gradient of `U`, a sum over the data. Longer gradients are shortened to
    /// it. With `None`, none is.
    pub clip_norm: Option<f64>,
}

impl Default for MapOptions {
    fn default() -> Self {
        Self {
            steps: 4_000,
            learning_rate: 1e-2,
            schedule: Decay::Cosine.into(),
            optimizer: OptimizerOptions::default(),
            clip_norm: None,
        }
    }
}

impl MapOptions {
    /// Checks the settings.
    ///
    /// # Errors
    /// If the learning rate or the norm is not positive and finite, or the schedule or the
    /// optimiser is out of range.
    pub fn validate(&self) -> Result<()> {
        check_positive("learning_rate", self.learning_rate)?;
        self.clip_norm
            .map_or(Ok(()), |c| check_positive("clip_norm", c))?;
        self.schedule.validate()?;
        self.optimizer.validate()
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
    /// `|grad U|` at the start, for comparison.
    pub initial_gradient_norm: f64,
    /// Gradients computed.
    pub gradients: usize,
    /// Gradients that were clipped.
    pub clipped: usize,
}

/// Minimises the energy `-log_density` from `theta`. `progress` is called after every step, with
/// the number of steps so far, and may end the fit ([`Answer`]).
///
/// # Errors
/// If a setting is out of range, or `theta` has the wrong length.
/// [`Error::Diverged`](crate::Error::Diverged) if the energy or its gradient stops being finite.
/// That of `progress`, if it ends the work.
pub fn fit_map<T: Scalar, D: LogDensity<T>, R: Answer>(
    density: &D,
    theta: Vec<T>,
    options: &MapOptions,
    progress: impl FnMut(usize) -> R,
) -> Result<MapReport<T>> {
    let mut optimizer = options.optimizer.build(density.dim())?;
    fit_map_with(density, optimizer.as_mut(), theta, options, progress)
}

/// [`fit_map`] with the caller's optimiser. The one in the options is ignored.
///
/// # Errors
/// As [`fit_map`], and any error of the optimiser.
pub fn fit_map_with<T: Scalar, D: LogDensity<T>, R: Answer>(
    density: &D,
    optimizer: &mut dyn Optimizer<T>,
    theta: Vec<T>,
    options: &MapOptions,
    mut progress: impl FnMut(usize) -> R,
) -> Result<MapReport<T>> {
    fit_in(density, optimizer, theta, options, &mut |step| {
        progress(step).result()
    })
}

/// [`fit_map_with`], compiled once for all that `progress` may be.
fn fit_in<T: Scalar, D: LogDensity<T>>(
    density: &D,
    optimizer: &mut dyn Optimizer<T>,
    mut theta: Vec<T>,
    options: &MapOptions,
    progress: &mut dyn FnMut(usize) -> Result<()>,
) -> Result<MapReport<T>> {
    options.validate()?;
    let mut ws = density.workspace();
    let mut grad = vec![T::ZERO; density.dim()];
    let mut initial_gradient_norm = f64::NAN;
    let mut clipped = 0;
    for step in 0..options.steps {
        let log_density = density.log_density_and_grad(&theta, &mut grad, &mut ws)?;
        descent(step).check(log_density, &grad)?;
        if step == 0 {
            initial_gradient_norm = norm(&grad);
        }
        for g in &mut grad {
            *g = -*g;
        }
        if let Some(max_norm) = options.clip_norm {
            clipped += usize::from(clip_by_norm(&mut grad, max_norm) > max_norm);
        }
        let rate = options.learning_rate * options.schedule.factor(step, options.steps);
        optimizer.step(rate, &grad, &mut theta)?;
        progress(step + 1)?;
    }
    let log_density = density.log_density_and_grad(&theta, &mut grad, &mut ws)?;
    descent(options.steps).check(log_density, &grad)?;
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
        clipped,
    })
}

fn descent(step: usize) -> Descent {
    Descent {
        what: "the MAP fit",
        step,
        gradients: step + 1,
        advice: LOWER_RATE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;
    use crate::optim::{AdamOptions, SgdOptions};

    /// `U = sum_i c_i (theta_i - i)^2 / 2`.
    struct Quadratic([f32; 3]);

    impl LogDensity<f32> for Quadratic {
        type Workspace = ();
        fn dim(&self) -> usize {
            3
        }
        fn workspace(&self) {}
        fn log_density(&self, theta: &[f32], _: &mut ()) -> Result<f64> {
            let term = |i: usize| f64::from(self.0[i]) * (f64::from(theta[i]) - i as f64).powi(2);
            Ok(-0.5 * (0..3).map(term).sum::<f64>())
        }
        fn log_density_and_grad(
            &self,
            theta: &[f32],
            grad: &mut [f32],
            ws: &mut (),
        ) -> Result<f64> {
            for i in 0..3 {
                grad[i] = -self.0[i] * (theta[i] - i as f32);
            }
            self.log_density(theta, ws)
        }
    }

    const DENSITY: Quadratic = Quadratic([1.0, 10.0, 0.1]);
    const START: [f32; 3] = [0.3, -0.7, 0.9];

    /// The loop written out by hand, with the defaults: same operations, same bits.
    #[test]
    fn the_defaults_are_adam_along_a_cosine_to_the_last_bit() {
        let AdamOptions {
            beta1,
            beta2,
            epsilon,
        } = AdamOptions::default();
        let total = 500;
        let mut theta = START;
        let (mut m, mut v, mut grad) = ([0.0f32; 3], [0.0f32; 3], [0.0f32; 3]);
        for step in 0..total {
            DENSITY
                .log_density_and_grad(&theta, &mut grad, &mut ())
                .unwrap();
            let cosine = (std::f64::consts::PI * step as f64 / total as f64).cos();
            let rate = 1e-2 * (0.5 * (1.0 + cosine));
            let t = step as i32 + 1;
            let rate = (rate / (1.0 - beta1.powi(t))) as f32;
            let correction = (1.0 / (1.0 - beta2.powi(t))) as f32;
            for i in 0..3 {
                let g = -grad[i];
                m[i] = beta1 as f32 * m[i] + (1.0 - beta1) as f32 * g;
                v[i] = beta2 as f32 * v[i] + (1.0 - beta2) as f32 * g * g;
                theta[i] -= rate * m[i] / ((v[i] * correction).sqrt() + epsilon as f32);
            }
        }
        let options = MapOptions {
            steps: total,
            ..MapOptions::default()
        };
        let report = fit_map(&DENSITY, START.to_vec(), &options, |_| ()).unwrap();
        let bits = |x: &[f32]| x.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&report.theta), bits(&theta));
        assert_eq!((report.gradients, report.clipped), (total + 1, 0));
    }

    #[test]
    fn any_optimiser_schedule_and_bound_reaches_the_minimum() {
        let options = MapOptions {
            steps: 2_000,
            learning_rate: 0.05,
            schedule: Schedule {
                warmup: 0.1,
                decay: Decay::Constant,
            },
            optimizer: OptimizerOptions::Sgd(SgdOptions {
                momentum: 0.8,
                nesterov: true,
            }),
            clip_norm: Some(2.0),
        };
        let mut seen = Vec::new();
        let report = fit_map(&DENSITY, START.to_vec(), &options, |step| seen.push(step)).unwrap();
        for (i, x) in report.theta.iter().enumerate() {
            assert!((x - i as f32).abs() < 1e-5, "{:?}", report.theta);
        }
        assert!(report.initial_gradient_norm > 2.0, "before clipping");
        assert!((1..100).contains(&report.clipped), "{}", report.clipped);
        assert_eq!(seen, (1..=2_000).collect::<Vec<_>>());
    }

    #[test]
    fn clipped_steps_have_the_length_of_the_bound() {
        let options = MapOptions {
            steps: 1,
            learning_rate: 1.0,
            schedule: Decay::Constant.into(),
            optimizer: OptimizerOptions::Sgd(SgdOptions::default()),
            clip_norm: Some(0.25),
        };
        let report = fit_map(&DENSITY, START.to_vec(), &options, |_| ()).unwrap();
        let moved: Vec<f32> = report.theta.iter().zip(START).map(|(a, b)| a - b).collect();
        assert!((norm(&moved) - 0.25).abs() < 1e-6);
        assert_eq!(report.clipped, 1);
    }

    #[test]
    fn settings_out_of_range_are_refused_by_name() {
        let change = |f: fn(&mut MapOptions)| {
            let mut options = MapOptions::default();
            f(&mut options);
            options.validate().unwrap_err()
        };
        for (field, error) in [
            ("learning_rate", change(|o| o.learning_rate = 0.0)),
            ("clip_norm", change(|o| o.clip_norm = Some(0.0))),
            ("warmup", change(|o| o.schedule.warmup = 1.0)),
        ] {
            assert!(
                matches!(error, Error::Config { field: f, .. } if f == field),
                "{error}"
            );
        }
    }
}
