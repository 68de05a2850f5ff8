//! Damped Gauss-Newton steps for the last part of the way to a minimum.
//!
//! (Levenberg 1944, Marquardt 1963; damping rule by Nielsen 1999.) Let `g` be the gradient of the
//! energy `U`, `M` a positive definite matrix close to its Hessian, and `l` the damping:
//!
//! `(M + l diag M) d = -g`, `rho = (U(theta) - U(theta + d)) / p`,
//! `p = -g . d - d . M d / 2 = -g . d / 2 + l d . diag(M) d / 2`.
//!
//! A step is taken if `rho` is positive. The damping falls if the quadratic model was right. If it
//! was wrong, the damping doubles, and grows faster each time. The iteration ends when the model
//! promises `p` below `tolerance` nats with little damping. `p` is then about half of Newton's
//! decrement.
//!
//! One matrix costs as much as hundreds of gradients, so first-order steps come first. These steps
//! only finish the rest: posteriors with little noise have valleys along which thousands of
//! first-order steps make no progress. They suit some thousand parameters.

use super::MapReport;
use crate::error::{Error, Result};
use crate::linalg::Factoriser;
use crate::linalg::vector::{dot, norm};
use crate::model::LogDensity;
use crate::scalar::Scalar;

/// Settings of [`polish`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PolishOptions {
    /// Largest number of matrices.
    pub matrices: usize,
    /// The fit ends when a further step promises fewer nats than this.
    pub tolerance: f64,
}

impl Default for PolishOptions {
    fn default() -> Self {
        Self {
            matrices: 20,
            tolerance: 0.1,
        }
    }
}

/// How the fit ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PolishReport {
    /// Matrices computed.
    pub matrices: usize,
    /// Nats that an undamped step promised, as last computed.
    pub decrement: f64,
    /// True if that is below the tolerance.
    pub converged: bool,
}

/// The damping at the start, and the damping at which the search for a step stops.
const START: f64 = 1e-3;
const MOST: f64 = 1e9;

/// Largest damping at which a step still shows how far away the minimum is.
const LITTLE: f64 = 0.01;

/// Continues from `map` to the minimum. `matrix` returns `M` at a point, `[P, P]` row-major. Only
/// its lower triangle is read.
///
/// # Errors
/// If `matrix` or the density fails, or `M` with its damping is not positive definite.
pub fn polish<T: Scalar, D: LogDensity<T>>(
    density: &D,
    map: &mut MapReport<T>,
    mut matrix: impl FnMut(&[T]) -> Result<Vec<f64>>,
    options: &PolishOptions,
) -> Result<PolishReport> {
    let n = density.dim();
    let (mut ws, mut grad) = (density.workspace(), vec![T::ZERO; n]);
    let mut factoriser = Factoriser::new(n);
    let mut report = PolishReport {
        matrices: 0,
        decrement: f64::INFINITY,
        converged: false,
    };
    let (mut damping, mut growth) = (START, 2.0);
    let mut energy = -density.log_density_and_grad(&map.theta, &mut grad, &mut ws)?;
    map.gradients += 1;
    let mut trial = map.theta.clone();
    let mut step = vec![0.0; n];
    while report.matrices < options.matrices {
        let m = matrix(&map.theta)?;
        if m.len() != n * n {
            return Err(Error::shape("polish", format!("[{n}, {n}]"), m.len()));
        }
        report.matrices += 1;
        // `grad` is of the log density: minus the energy's
        let g: Vec<f64> = grad.iter().map(|g| g.to_f64()).collect();
        if damping > LITTLE {
            step.copy_from_slice(&g);
            factoriser.factorise(&m)?.solve(&mut step);
            report.decrement = 0.5 * dot(&g, &step);
            report.converged = report.decrement <= options.tolerance;
            if report.converged {
                break;
            }
        }
        let mut moved = false;
        while !moved && damping < MOST {
            let entry = |i: usize, j: usize| {
                let shift = if i == j { 1.0 + damping } else { 1.0 };
                m[i * n + j] * shift
            };
            step.copy_from_slice(&g);
            factoriser.factorise_entries(entry)?.solve(&mut step);
            let diagonal = m.iter().step_by(n + 1).zip(&step);
            let stretched: f64 = diagonal.map(|(m, d)| m * d * d).sum();
            let promised = 0.5 * (dot(&g, &step) + damping * stretched);
            if damping <= LITTLE {
                report.decrement = promised;
                report.converged = promised <= options.tolerance;
            }
            let places = trial.iter_mut().zip(&map.theta).zip(&step);
            places.for_each(|((to, from), d)| *to = T::from_f64(from.to_f64() + d));
            let there = -density.log_density(&trial, &mut ws)?;
            let rho = (energy - there) / promised;
            if rho > 1e-4 {
                moved = true;
                damping *= (1.0 - (2.0 * rho - 1.0).powi(3)).max(1.0 / 3.0);
                growth = 2.0;
            } else if report.converged {
                // only rounding errors are left
                break;
            } else {
                // also if the energy is NaN
                damping *= growth;
                growth *= 2.0;
            }
        }
        if !moved {
            break;
        }
        std::mem::swap(&mut map.theta, &mut trial);
        energy = -density.log_density_and_grad(&map.theta, &mut grad, &mut ws)?;
        map.gradients += 1;
        if report.converged {
            break;
        }
    }
    map.energy = energy;
    map.gradient_norm = norm(&grad);
    Ok(report)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rosenbrock's valley as least squares, `r = (10 (y - x^2), 1 - x)`, `U = |r|^2 / 2`.
    struct Valley;

    impl LogDensity<f64> for Valley {
        type Workspace = ();
        fn dim(&self) -> usize {
            2
        }
        fn workspace(&self) {}
        fn log_density(&self, t: &[f64], _: &mut ()) -> Result<f64> {
            let (a, b) = (10.0 * (t[1] - t[0] * t[0]), 1.0 - t[0]);
            Ok(-0.5 * (a * a + b * b))
        }
        fn log_density_and_grad(&self, t: &[f64], grad: &mut [f64], ws: &mut ()) -> Result<f64> {
            let (a, b) = (10.0 * (t[1] - t[0] * t[0]), 1.0 - t[0]);
            grad[0] = 20.0 * t[0] * a + b;
            grad[1] = -10.0 * a;
            self.log_density(t, ws)
        }
    }

    fn curvature(t: &[f64]) -> Result<Vec<f64>> {
        let x = t[0];
        Ok(vec![400.0 * x * x + 1.0, 0.0, -200.0 * x, 100.0])
    }

    fn start() -> MapReport<f64> {
        MapReport {
            theta: vec![-1.2, 1.0],
            energy: f64::NAN,
            gradient_norm: f64::NAN,
            initial_gradient_norm: 0.0,
            gradients: 7,
            clipped: 0,
        }
    }

    #[test]
    fn the_end_of_a_valley_is_found() {
        let mut map = start();
        let options = PolishOptions {
            matrices: 50,
            tolerance: 1e-12,
        };
        let report = polish(&Valley, &mut map, curvature, &options).unwrap();
        assert!(report.converged && report.matrices < 50, "{report:?}");
        assert!((map.theta[0] - 1.0).abs() < 1e-5 && (map.theta[1] - 1.0).abs() < 1e-5);
        assert!(map.energy < 1e-11 && map.gradient_norm < 1e-4);
        // one at the start, one for each step
        assert_eq!(map.gradients, 8 + report.matrices);
    }

    #[test]
    fn too_few_matrices_are_said_and_never_lead_uphill() {
        let before = 0.5 * (10.0f64 * (1.0 - 1.44)).powi(2) + 0.5 * 2.2f64.powi(2);
        let mut map = start();
        let options = PolishOptions {
            matrices: 2,
            ..PolishOptions::default()
        };
        let report = polish(&Valley, &mut map, curvature, &options).unwrap();
        assert!(!report.converged && report.matrices == 2);
        assert!(map.energy < before);
        let wrong = |_: &[f64]| Ok(vec![1.0; 3]);
        assert!(polish(&Valley, &mut map, wrong, &options).is_err());
        let indefinite = |_: &[f64]| Ok(vec![-1.0, 0.0, 0.0, 1.0]);
        assert!(polish(&Valley, &mut map, indefinite, &options).is_err());
    }
}
