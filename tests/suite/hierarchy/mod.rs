//! Sampled scales: walks of a scaled network with a step size per walker, and draws of the scales.
//!
//! The tests compare with closed forms, calibrate by simulation, and include kernels that are wrong
//! on purpose.

mod bits;
mod calibration;
mod chains;
mod closed;
mod deformed;
mod gibbs;
mod reference;
mod time;
mod wrong;

use fiberwalk::walk::{InverseMassMatrix, Microcanonical, MicrocanonicalOptions};

/// The kernel as a fit makes it, in the coordinates of the prior.
fn kernel<'a>(precision: &[f64]) -> Microcanonical<'a, f64> {
    let options = MicrocanonicalOptions {
        own_steps: true,
        target_error: 1e-4,
        ..MicrocanonicalOptions::default()
    };
    kernel_with(precision, &options)
}

fn kernel_with<'a>(precision: &[f64], options: &MicrocanonicalOptions) -> Microcanonical<'a, f64> {
    let mass = InverseMassMatrix::diagonal(precision).unwrap();
    Microcanonical::new(mass, options).unwrap()
}

/// The distribution function of a density known up to a factor, by the trapezoidal rule on a grid.
struct Quadrature {
    start: f64,
    step: f64,
    cumulative: Vec<f64>,
    /// Probability of each point of the grid.
    weights: Vec<f64>,
}

impl Quadrature {
    /// 20,000 intervals. For a smooth density that spans a hundredth of the range the error is
    /// below 1e-5.
    const POINTS: usize = 20_000;

    fn new(log_density: impl Fn(f64) -> f64, from: f64, to: f64) -> Self {
        let step = (to - from) / Self::POINTS as f64;
        let at = |i: usize| log_density(from + step * i as f64);
        let logs: Vec<f64> = (0..=Self::POINTS).map(at).collect();
        let most = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let mut weights: Vec<f64> = logs.iter().map(|l| (l - most).exp()).collect();
        let total: f64 = weights.iter().sum();
        weights.iter_mut().for_each(|w| *w /= total);
        let mut sum = 0.0;
        let until = weights.iter().map(|w| {
            sum += w;
            // half of a point's weight lies on either side
            (sum - 0.5 * w).clamp(0.0, 1.0)
        });
        Self {
            start: from,
            step,
            cumulative: until.collect(),
            weights,
        }
    }

    fn cdf(&self, x: f64) -> f64 {
        let at = ((x - self.start) / self.step).clamp(0.0, Self::POINTS as f64);
        let low = (at as usize).min(Self::POINTS - 1);
        let [a, b] = [self.cumulative[low], self.cumulative[low + 1]];
        a + (b - a) * (at - low as f64)
    }

    /// Mean of a function.
    fn mean(&self, f: impl Fn(f64) -> f64) -> f64 {
        let points = self.weights.iter().enumerate();
        points
            .map(|(i, w)| w * f(self.start + self.step * i as f64))
            .sum()
    }
}
