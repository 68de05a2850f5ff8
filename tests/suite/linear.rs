//! Bayesian linear regression: a Gaussian posterior with mean, covariance and fiber in closed form.

use crate::common::normals;
use fiberwalk::diagnose::GaussianTarget;
use fiberwalk::linalg::vector::dot;
use fiberwalk::linalg::{Cholesky, symmetric_eigen};
use fiberwalk::walk::{InverseMassMatrix, Kernel, Walk, WalkOptions, walk};
use fiberwalk::{
    Activation, Gaussian, LogDensity, Mlp, Network, PerLayerGaussian, PosteriorDensity, Prior,
    Result, Streams,
};

pub const NOISE: f64 = 0.5;

/// A linear model of `d` features with a bias: `P = d + 1`.
pub struct Linear {
    pub posterior: PosteriorDensity<f64>,
    /// Rows with a one for the bias, `[n, P]`.
    pub design: Vec<f64>,
    pub targets: Vec<f64>,
    pub prior_precision: Vec<f64>,
    /// `G + D`, `[P, P]`.
    pub precision: Vec<f64>,
    pub mean: Vec<f64>,
    /// Exact by Cholesky.
    pub covariance: Vec<f64>,
}

impl Linear {
    /// A prior that is not isotropic: precision 2 for weights, 0.7 for the bias.
    pub fn new(x: &[f64], d: usize) -> Self {
        Self::with_prior(x, d, &[("layer0.weight", 2.0), ("layer0.bias", 0.7)])
    }

    pub fn with_prior(x: &[f64], d: usize, precisions: &[(&str, f64)]) -> Self {
        let (n, p) = (x.len() / d, d + 1);
        let design: Vec<f64> = x
            .chunks_exact(d)
            .flat_map(|row| row.iter().copied().chain([1.0]))
            .collect();
        let noise = normals(n, 31);
        let y: Vec<f64> = (0..n)
            .map(|i| 0.8 * x[i * d] - 0.6 * x[i * d + 1] + 0.4 + NOISE * noise[i])
            .collect();
        let network = Mlp::new(&[d, 1], Activation::Tanh).unwrap();
        let prior = PerLayerGaussian::new(precisions).unwrap();
        let likelihood = Gaussian::new(NOISE).unwrap();
        let posterior = PosteriorDensity::new(&network, &likelihood, &prior, x, &y).unwrap();
        let prior_precision = prior.precision(network.layout());
        let column = |j: usize| (0..n).map(|i| design[i * p + j]).collect::<Vec<f64>>();
        let product = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let (mut precision, mut mean) = (vec![0.0; p * p], vec![0.0; p]);
        for i in 0..p {
            for j in 0..p {
                precision[i * p + j] = product(&column(i), &column(j)) / (NOISE * NOISE);
            }
            precision[i * p + i] += prior_precision[i];
            mean[i] = product(&column(i), &y) / (NOISE * NOISE);
        }
        let factor = Cholesky::new(&precision, p).unwrap();
        factor.solve(&mut mean);
        let covariance = inverse(&precision, p);
        Self {
            posterior,
            design,
            targets: y,
            prior_precision,
            precision,
            mean,
            covariance,
        }
    }

    /// More rows than parameters: 14 rows of 4 correlated features.
    pub fn full_rank() -> Self {
        let (n, d) = (14, 4);
        let z = normals(n * d, 21);
        let x = z
            .chunks_exact(d)
            .flat_map(|z| [z[0], 0.8 * z[0] + 0.6 * z[1], z[2], 0.5 * z[3]]);
        Self::new(&x.collect::<Vec<f64>>(), d)
    }

    /// 3 rows for 7 parameters: the fiber is an affine subspace of 4 dimensions.
    pub fn few_rows() -> Self {
        Self::new(&normals(3 * 6, 22), 6)
    }

    /// 12 rows, but the third and fourth feature are copies of the first and the second: a fiber of
    /// 2 dimensions.
    pub fn duplicated_columns() -> Self {
        let z = normals(12 * 2, 23);
        let x: Vec<f64> = z
            .chunks_exact(2)
            .flat_map(|z| [z[0], z[1], z[0], z[1]])
            .collect();
        Self::new(&x, 4)
    }

    pub fn dim(&self) -> usize {
        self.mean.len()
    }

    /// A point that is not typical of the posterior.
    pub fn start(&self) -> Vec<Vec<f64>> {
        vec![vec![0.1; self.dim()]]
    }

    pub fn target(&self) -> GaussianTarget {
        GaussianTarget::new(&self.mean, &self.covariance).unwrap()
    }

    pub fn prior_coordinates(&self) -> InverseMassMatrix<f64> {
        InverseMassMatrix::diagonal(&self.prior_precision).unwrap()
    }

    /// `(P / lambda)^{1/2}` with the largest eigenvalue of `S^T A S`. At half of it a leapfrog step
    /// begins to be rough; at twice it the step is unstable.
    pub fn step_scale(&self, map: &InverseMassMatrix<f64>) -> f64 {
        let p = self.dim();
        let columns: Vec<Vec<f64>> = (0..p)
            .map(|j| {
                let (mut unit, mut column) = (vec![0.0; p], vec![0.0; p]);
                unit[j] = 1.0;
                map.apply(&unit, &mut column, &mut vec![0.0; map.directions()])
                    .unwrap();
                column
            })
            .collect();
        let product = |a: &[f64], b: &[f64]| {
            let row = |i: usize| dot(&self.precision[i * p..(i + 1) * p], b);
            (0..p).map(|i| a[i] * row(i)).sum::<f64>()
        };
        let entries = (0..p * p).map(|ij| product(&columns[ij / p], &columns[ij % p]));
        let eigen = symmetric_eigen(&entries.collect::<Vec<f64>>(), p).unwrap();
        (p as f64 / eigen.values[p - 1]).sqrt()
    }

    /// The same density by hand, for slow kernels.
    pub fn quadratic(&self) -> Quadratic {
        Quadratic {
            precision: self.precision.clone(),
            mean: self.mean.clone(),
        }
    }

    /// Predictions for the rows.
    pub fn predictions(&self, theta: &[f64]) -> Vec<f64> {
        let rows = self.design.chunks_exact(self.dim());
        rows.map(|row| row.iter().zip(theta).map(|(x, t)| x * t).sum())
            .collect()
    }
}

pub fn inverse(a: &[f64], n: usize) -> Vec<f64> {
    let factor = Cholesky::new(a, n).unwrap();
    let mut out = vec![0.0; n * n];
    for (i, row) in out.chunks_exact_mut(n).enumerate() {
        row[i] = 1.0;
        factor.solve(row);
    }
    out
}

/// `U = 1/2 (theta - mean)^T A (theta - mean)`.
pub struct Quadratic {
    pub precision: Vec<f64>,
    pub mean: Vec<f64>,
}

impl LogDensity<f64> for Quadratic {
    type Workspace = ();
    fn dim(&self) -> usize {
        self.mean.len()
    }
    fn workspace(&self) {}
    fn log_density(&self, theta: &[f64], (): &mut ()) -> Result<f64> {
        self.log_density_and_grad(theta, &mut vec![0.0; theta.len()], &mut ())
    }
    fn log_density_and_grad(&self, theta: &[f64], grad: &mut [f64], (): &mut ()) -> Result<f64> {
        let n = theta.len();
        let mut value = 0.0;
        for i in 0..n {
            let row = &self.precision[i * n..(i + 1) * n];
            let slope: f64 = (0..n).map(|j| row[j] * (theta[j] - self.mean[j])).sum();
            grad[i] = -slope;
            value -= 0.5 * slope * (theta[i] - self.mean[i]);
        }
        Ok(value)
    }
}

/// Where `particles` particles are after `steps` steps from `starts`, `[particles, P]`. They are
/// independent draws if that is long enough.
pub fn ends<D: LogDensity<f64>>(
    kernel: &mut impl Kernel<f64, D>,
    density: &D,
    starts: &[Vec<f64>],
    (particles, steps): (usize, usize),
    seed: u64,
) -> Walk<f64> {
    let options = WalkOptions {
        particles,
        steps: Some(steps),
        keep: 1,
        ..WalkOptions::default()
    };
    let streams = Streams::new(seed);
    let walked = walk(kernel, density, starts, &options, streams).unwrap();
    assert_eq!(walked.len(), particles, "a draw was discarded");
    walked
}

/// The smallest p-value of three tests of independent draws: mean, covariance, and distribution of
/// the squared distance. It is 0 for draws that are not finite.
pub fn p_value(target: &GaussianTarget, draws: &[f64]) -> f64 {
    if draws.iter().any(|x| !x.is_finite()) {
        return 0.0;
    }
    let n = (draws.len() / target.dim()) as f64;
    let tests = [
        target.mean_test(draws, n),
        target.covariance_test(draws, n),
        target.radius_test(draws),
    ];
    tests
        .map(|t| t.unwrap().p_value)
        .into_iter()
        .fold(1.0, f64::min)
}
