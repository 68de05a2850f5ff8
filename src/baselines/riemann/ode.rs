//! Adaptive integration of ordinary differential equations, by a Runge-Kutta pair of order 5(4).
//!
//! ```text
//! k_s = f(y + h sum_{r < s} a_sr k_r),   y' = y + h sum_s a_7s k_s,   e = h sum_s e_s k_s
//! err = rms(e_i / (atol + rtol max(|y_i|, |y'_i|))),   accepted if err <= 1
//! h <- h min(10, max(0.2, 0.9 err^{-1/5}))
//! ```
//!
//! J. R. Dormand, P. J. Prince, "A family of embedded Runge-Kutta formulae", J. Comp. Appl. Math. 6
//! (1980), table 2. The last stage is the first of the next step. Step control and the first step
//! follow Hairer, Norsett & Wanner, "Solving ordinary differential equations I", section II.4. A
//! stage that is not finite counts as too large an error.

use crate::error::{Error, Result};

/// Tolerances of an integration. The defaults are those of SciPy's `solve_ivp`, which the paper on
/// Riemannian Laplace approximations uses.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OdeOptions {
    /// Error allowed per step, relative to each value.
    pub relative_tolerance: f64,
    /// Error allowed per step, absolute.
    pub absolute_tolerance: f64,
    /// Most steps, rejected ones included.
    pub max_steps: usize,
}

impl Default for OdeOptions {
    fn default() -> Self {
        Self {
            relative_tolerance: 1e-3,
            absolute_tolerance: 1e-6,
            max_steps: 1_000,
        }
    }
}

impl OdeOptions {
    /// Checks the settings.
    ///
    /// # Errors
    /// If one is outside its range, with its name.
    pub fn validate(&self) -> Result<()> {
        for (field, value) in [
            ("relative_tolerance", self.relative_tolerance),
            ("absolute_tolerance", self.absolute_tolerance),
        ] {
            if !(value > 0.0 && value.is_finite()) {
                return Err(Error::config(field, value, "must be positive and finite"));
            }
        }
        if self.max_steps == 0 {
            return Err(Error::config("max_steps", 0, "must be positive"));
        }
        Ok(())
    }
}

/// The right-hand side of `y' = f(y)`: reads `y` and writes its derivative.
pub type OdeFunction<'a> = dyn FnMut(&[f64], &mut [f64]) -> Result<()> + 'a;

/// The cost of an integration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OdeReport {
    /// Accepted steps.
    pub steps: usize,
    /// Rejected steps.
    pub rejected: usize,
    /// Evaluations of the right-hand side.
    pub evaluations: usize,
}

/// Stages 2 to 7; the last is the solution of order 5.
const A: [&[f64]; 6] = [
    &[1.0 / 5.0],
    &[3.0 / 40.0, 9.0 / 40.0],
    &[44.0 / 45.0, -56.0 / 15.0, 32.0 / 9.0],
    &[
        19372.0 / 6561.0,
        -25360.0 / 2187.0,
        64448.0 / 6561.0,
        -212.0 / 729.0,
    ],
    &[
        9017.0 / 3168.0,
        -355.0 / 33.0,
        46732.0 / 5247.0,
        49.0 / 176.0,
        -5103.0 / 18656.0,
    ],
    &[
        35.0 / 384.0,
        0.0,
        500.0 / 1113.0,
        125.0 / 192.0,
        -2187.0 / 6784.0,
        11.0 / 84.0,
    ],
];

/// The solution of order 5 minus that of order 4.
const E: [f64; 7] = [
    71.0 / 57600.0,
    0.0,
    -71.0 / 16695.0,
    71.0 / 1920.0,
    -17253.0 / 339200.0,
    22.0 / 525.0,
    -1.0 / 40.0,
];

/// Memory of an integration.
#[derive(Clone, Debug)]
pub struct DormandPrince {
    stages: [Vec<f64>; 7],
    next: Vec<f64>,
}

impl DormandPrince {
    /// Memory for `dim` values.
    pub fn new(dim: usize) -> Self {
        Self {
            stages: std::array::from_fn(|_| vec![0.0; dim]),
            next: vec![0.0; dim],
        }
    }

    /// Integrates `y' = f(y)` over a time of `span`, in place.
    ///
    /// # Errors
    /// Those of `f`; lengths that differ; [`Error::NoConvergence`] if the steps run out or become
    /// too short.
    pub fn integrate(
        &mut self,
        f: &mut OdeFunction<'_>,
        y: &mut [f64],
        span: f64,
        options: &OdeOptions,
    ) -> Result<OdeReport> {
        options.validate()?;
        if y.len() != self.next.len() {
            return Err(Error::shape("DormandPrince", self.next.len(), y.len()));
        }
        let mut report = OdeReport::default();
        let mut count = |y: &[f64], out: &mut [f64]| {
            report.evaluations += 1;
            f(y, out)
        };
        count(y, &mut self.stages[0])?;
        let mut h = self.first_step(&mut count, y, span, options)?;
        let (mut t, mut error, mut steps, mut rejected) = (0.0, f64::NAN, 0, 0);
        let mut after_rejection = false;
        while t < span {
            if steps + rejected == options.max_steps || h <= 1e-14 * span {
                return Err(Error::NoConvergence {
                    what: "Dormand-Prince integration",
                    iterations: steps + rejected,
                    residual: error,
                    tolerance: 1.0,
                });
            }
            // the last step ends exactly at `span`, and no step is left that is as short as
            // rounding
            let last = t + 1.000_001 * h >= span;
            let step = if last { span - t } else { h };
            self.step(&mut count, y, step)?;
            error = self.error(y, step, options);
            if error <= 1.0 {
                t = if last { span } else { t + step };
                y.copy_from_slice(&self.next);
                self.stages.swap(0, 6);
                steps += 1;
                let most = if after_rejection { 1.0 } else { 10.0 };
                h = step * (0.9 * error.powf(-0.2)).clamp(0.2, most);
                after_rejection = false;
            } else {
                rejected += 1;
                let factor = 0.9 * error.powf(-0.2);
                h = step
                    * if factor.is_finite() {
                        factor.clamp(0.2, 1.0)
                    } else {
                        0.2
                    };
                after_rejection = true;
            }
        }
        Ok(OdeReport {
            steps,
            rejected,
            ..report
        })
    }

    /// One step of length `h` from `y`, whose derivative is stage 0. Sets `next` to the result, and
    /// stage 6 to its derivative.
    fn step(&mut self, f: &mut OdeFunction<'_>, y: &[f64], h: f64) -> Result<()> {
        for (s, weights) in A.iter().enumerate() {
            let (known, rest) = self.stages.split_at_mut(s + 1);
            for (i, next) in self.next.iter_mut().enumerate() {
                let slope: f64 = weights.iter().zip(&*known).map(|(a, k)| a * k[i]).sum();
                *next = y[i] + h * slope;
            }
            f(&self.next, &mut rest[0])?;
        }
        Ok(())
    }

    /// The error of the last step, in units of the tolerance. NaN is rejected, as it is not at
    /// most 1.
    fn error(&self, y: &[f64], h: f64, options: &OdeOptions) -> f64 {
        let mut sum = 0.0;
        for (i, (&from, &to)) in y.iter().zip(&self.next).enumerate() {
            let error: f64 = E.iter().zip(&self.stages).map(|(e, k)| e * k[i]).sum();
            let size = from.abs().max(to.abs());
            let tolerance = options.absolute_tolerance + options.relative_tolerance * size;
            sum += (h * error / tolerance).powi(2);
        }
        (sum / y.len().max(1) as f64).sqrt()
    }

    /// A first step for which an explicit Euler step would have about a hundredth of the allowed
    /// error.
    fn first_step(
        &mut self,
        f: &mut OdeFunction<'_>,
        y: &[f64],
        span: f64,
        options: &OdeOptions,
    ) -> Result<f64> {
        let n = y.len().max(1) as f64;
        let rms = |x: &dyn Fn(usize) -> f64| {
            let scaled = |i: usize| {
                let tolerance =
                    options.absolute_tolerance + options.relative_tolerance * y[i].abs();
                (x(i) / tolerance).powi(2)
            };
            ((0..y.len()).map(scaled).sum::<f64>() / n).sqrt()
        };
        let (start, rest) = self.stages.split_at_mut(1);
        let (slope, other) = (&start[0], &mut rest[0]);
        let (d0, d1) = (rms(&|i| y[i]), rms(&|i| slope[i]));
        let guess = if d0 < 1e-5 || d1 < 1e-5 {
            1e-6
        } else {
            0.01 * d0 / d1
        };
        let guess = guess.min(span);
        for (i, next) in self.next.iter_mut().enumerate() {
            *next = y[i] + guess * slope[i];
        }
        f(&self.next, other)?;
        let d2 = rms(&|i| other[i] - slope[i]) / guess;
        let steepest = d1.max(d2);
        let second = if steepest > 1e-15 {
            (0.01 / steepest).powf(0.2)
        } else {
            (1e-3 * guess).max(1e-6)
        };
        let h = (100.0 * guess).min(second).min(span);
        Ok(if h.is_finite() { h } else { guess })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A pendulum over more than a quarter period, with its closed form `(cos t, -sin t)`; and
    /// `y' = y (1 - y)`, `y_0 = 1/10`.
    fn problem(y: &[f64], out: &mut [f64]) -> Result<()> {
        out.copy_from_slice(&[y[1], -y[0], y[2] * (1.0 - y[2])]);
        Ok(())
    }

    const START: [f64; 3] = [1.0, 0.0, 0.1];

    fn solution(t: f64) -> [f64; 3] {
        [t.cos(), -t.sin(), 1.0 / (1.0 + 9.0 * (-t).exp())]
    }

    fn distance(a: &[f64], b: &[f64]) -> f64 {
        let largest = |m: f64, (a, b): (&f64, &f64)| m.max((a - b).abs());
        a.iter().zip(b).fold(0.0, largest)
    }

    /// The error at t = 2 after `n` equal steps, and the largest error estimate of a step.
    fn fixed(n: usize) -> (f64, f64) {
        let (mut pair, mut y, h) = (DormandPrince::new(3), START, 2.0 / n as f64);
        let mut estimate = 0.0f64;
        for _ in 0..n {
            problem(&y, &mut pair.stages[0]).unwrap();
            pair.step(&mut problem, &y, h).unwrap();
            for i in 0..3 {
                let error: f64 = E.iter().zip(&pair.stages).map(|(e, k)| e * k[i]).sum();
                estimate = estimate.max((h * error).abs());
            }
            y.copy_from_slice(&pair.next);
        }
        (distance(&y, &solution(2.0)), estimate)
    }

    /// The global error is of order 5. So is the local estimate, which is that of a method of
    /// order 4. Both fall by a factor of 32 when steps are halved. A wrong coefficient leaves order
    /// 4 at most, a factor of 16.
    #[test]
    fn the_order_is_five() {
        let (coarse, fine) = (fixed(20), fixed(40));
        for (coarse, fine) in [(coarse.0, fine.0), (coarse.1, fine.1)] {
            let order = (coarse / fine).log2();
            assert!((4.8..5.4).contains(&order), "{order}");
        }
        assert!(fine.0 < 1e-8, "{}", fine.0);
    }

    #[test]
    fn tighter_tolerances_give_smaller_errors_and_none_is_far_above() {
        let run = |tolerance: f64| {
            let options = OdeOptions {
                relative_tolerance: tolerance,
                absolute_tolerance: tolerance,
                ..OdeOptions::default()
            };
            let (mut y, mut calls) = (START, 0);
            let report = DormandPrince::new(3)
                .integrate(
                    &mut |y, out| {
                        calls += 1;
                        problem(y, out)
                    },
                    &mut y,
                    10.0,
                    &options,
                )
                .unwrap();
            // one at the start, one for the first step, six for each step
            assert_eq!(report.evaluations, 2 + 6 * (report.steps + report.rejected));
            assert_eq!(calls, report.evaluations);
            (distance(&y, &solution(10.0)), report.steps)
        };
        for (tolerance, most) in [(1e-4, 25), (1e-7, 100), (1e-10, 400)] {
            let (error, steps) = run(tolerance);
            // the problem is neutrally stable, so errors of steps add up; steps go as the fifth
            // root
            assert!(error < 10.0 * tolerance && steps < most, "{error} {steps}");
            assert!(
                error > 1e-3 * tolerance,
                "{error}: far more work than needed"
            );
        }
    }

    #[test]
    fn it_ends_at_the_end_and_a_state_at_rest_stays() {
        let mut y = [0.0];
        let mut clock = |_: &[f64], out: &mut [f64]| {
            out[0] = 1.0;
            Ok(())
        };
        let mut pair = DormandPrince::new(1);
        let options = OdeOptions::default();
        pair.integrate(&mut clock, &mut y, 0.7, &options).unwrap();
        assert!((y[0] - 0.7).abs() < 1e-15, "{}", y[0]);
        let mut rest = [0.0; 3];
        DormandPrince::new(3)
            .integrate(&mut problem, &mut rest, 1.0, &options)
            .unwrap();
        assert_eq!(rest, [0.0; 3]);
    }

    #[test]
    fn what_blows_up_is_an_error_and_not_a_result() {
        // y' = y^2 from 1 is infinite at t = 1
        let mut square = |y: &[f64], out: &mut [f64]| {
            out[0] = y[0] * y[0];
            Ok(())
        };
        let run = |f: &mut OdeFunction<'_>| {
            let mut y = [1.0];
            DormandPrince::new(1).integrate(f, &mut y, 2.0, &OdeOptions::default())
        };
        assert!(matches!(run(&mut square), Err(Error::NoConvergence { .. })));
        let mut nan = |_: &[f64], out: &mut [f64]| {
            out[0] = f64::NAN;
            Ok(())
        };
        assert!(matches!(run(&mut nan), Err(Error::NoConvergence { .. })));
        let wrong =
            DormandPrince::new(2).integrate(&mut nan, &mut [1.0], 1.0, &OdeOptions::default());
        assert!(matches!(wrong, Err(Error::Shape { .. })));
    }
}
