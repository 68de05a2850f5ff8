//! Densities whose moments are known.

use std::sync::atomic::{AtomicUsize, Ordering};

use fiberwalk::linalg::Cholesky;
use fiberwalk::linalg::random_orthogonal;
use fiberwalk::{LogDensity, Phase, Result, Scalar, Streams};

/// A density of few parameters: its logarithm and gradient.
pub trait Target: Sync {
    fn dim(&self) -> usize;
    fn value(&self, theta: &[f64], gradient: &mut [f64]) -> f64;
}

/// A target as a density of the crate; counts the gradients that are asked for.
pub struct Counted<D> {
    pub target: D,
    pub gradients: AtomicUsize,
}

pub fn counted<D>(target: D) -> Counted<D> {
    let gradients = AtomicUsize::new(0);
    Counted { target, gradients }
}

impl<T: Scalar, D: Target> LogDensity<T> for Counted<D> {
    type Workspace = ();
    fn dim(&self) -> usize {
        self.target.dim()
    }
    fn workspace(&self) {}
    fn log_density(&self, theta: &[T], (): &mut ()) -> Result<f64> {
        let theta: Vec<f64> = theta.iter().map(|t| t.to_f64()).collect();
        Ok(self.target.value(&theta, &mut vec![0.0; theta.len()]))
    }
    fn log_density_and_grad(&self, theta: &[T], gradient: &mut [T], (): &mut ()) -> Result<f64> {
        self.gradients.fetch_add(1, Ordering::Relaxed);
        let theta: Vec<f64> = theta.iter().map(|t| t.to_f64()).collect();
        let mut g = vec![0.0; theta.len()];
        let value = self.target.value(&theta, &mut g);
        for (out, g) in gradient.iter_mut().zip(g) {
            *out = T::from_f64(g);
        }
        Ok(value)
    }
}

/// `N(mean, covariance)`.
pub struct Gauss {
    pub mean: Vec<f64>,
    pub covariance: Vec<f64>,
    factor: Cholesky,
}

impl Gauss {
    pub fn new(mean: Vec<f64>, covariance: Vec<f64>) -> Self {
        let factor = Cholesky::new(&covariance, mean.len()).unwrap();
        Self {
            mean,
            covariance,
            factor,
        }
    }

    /// Variances from 1 to `condition` along random directions, none of them along a coordinate.
    pub fn rotated(dim: usize, condition: f64) -> Self {
        let q = random_orthogonal(dim, &mut Streams::new(1).rng(Phase::USER, 1));
        let variance = |k: usize| condition.powf(k as f64 / (dim - 1) as f64);
        let entry = |ij: usize| -> f64 {
            let (i, j) = (ij / dim, ij % dim);
            (0..dim)
                .map(|k| variance(k) * q[k * dim + i] * q[k * dim + j])
                .sum()
        };
        let mean = (0..dim).map(|i| i as f64 - 3.0).collect();
        Self::new(mean, (0..dim * dim).map(entry).collect())
    }
}

impl Target for Gauss {
    fn dim(&self) -> usize {
        self.mean.len()
    }
    fn value(&self, theta: &[f64], gradient: &mut [f64]) -> f64 {
        let x: Vec<f64> = theta.iter().zip(&self.mean).map(|(t, m)| t - m).collect();
        gradient.copy_from_slice(&x);
        self.factor.solve(gradient);
        gradient.iter_mut().for_each(|g| *g = -*g);
        0.5 * x.iter().zip(gradient).map(|(x, g)| x * *g).sum::<f64>()
    }
}

/// `x ~ N(0, 1)`, `y | x ~ N(x^2, 1/4)`.
pub struct Banana;

impl Target for Banana {
    fn dim(&self) -> usize {
        2
    }
    fn value(&self, t: &[f64], gradient: &mut [f64]) -> f64 {
        let r = t[1] - t[0] * t[0];
        gradient.copy_from_slice(&[-t[0] + 8.0 * r * t[0], -4.0 * r]);
        -0.5 * t[0] * t[0] - 2.0 * r * r
    }
}

/// Neal's funnel: `v ~ N(0, sd^2)`, and five `x_i | v ~ N(0, e^v)`.
pub struct Funnel {
    pub sd: f64,
}

impl Target for Funnel {
    fn dim(&self) -> usize {
        6
    }
    fn value(&self, t: &[f64], gradient: &mut [f64]) -> f64 {
        let (v, x) = (t[0], &t[1..]);
        let precision = (-v).exp();
        let squares: f64 = x.iter().map(|x| x * x).sum();
        let count = x.len() as f64;
        gradient[0] = -v / (self.sd * self.sd) - 0.5 * count + 0.5 * precision * squares;
        for (g, x) in gradient[1..].iter_mut().zip(x) {
            *g = -precision * x;
        }
        -0.5 * (v / self.sd).powi(2) - 0.5 * count * v - 0.5 * precision * squares
    }
}

/// A target with its gradient times one factor, and its logarithm times another.
pub struct Distorted<D> {
    pub target: D,
    pub gradient: f64,
    pub value: f64,
}

impl<D: Target> Target for Distorted<D> {
    fn dim(&self) -> usize {
        self.target.dim()
    }
    fn value(&self, theta: &[f64], gradient: &mut [f64]) -> f64 {
        let value = self.target.value(theta, gradient);
        gradient.iter_mut().for_each(|g| *g *= self.gradient);
        self.value * value
    }
}
