//! Tests of whether draws come from a known Gaussian: mean, covariance and shape.
//!
//! With `C = L L^T` and `z = L^{-1} (x - mu)`, the target is `N(0, I)`. These `d + d(d+1)/2`
//! features have mean 0 and variance 1, and are uncorrelated:
//!
//! ```text
//! z_i;   (z_i^2 - 1) / sqrt 2;   z_i z_j, i < j
//! ```
//!
//! *Independent draws*, or draws that are worth `e` independent ones: `e |mean of the features|^2`
//! is chi-square, with `d` degrees of freedom for the first kind and `d(d+1)/2` for the others.
//! (The sum of those is `e/2 |Z - I|_F^2`, with `Z` the second moments: Nagao 1973.) For the mean
//! of independent draws this is exact. For the second moments it holds in the limit of many draws,
//! with an expectation that is exact for any number. Neither depends on the choice of the root `L`.
//!
//! *Autocorrelated draws of independent chains*: one effective size does not hold for all
//! directions, and still less for their squares. So the features are averaged over each chain.
//! [`hotelling`] tests these means, with their covariance taken from the chains themselves.

use super::chi_square::chi_square_survival;
use super::hotelling::hotelling;
use super::kolmogorov::ks_test;
use super::outcome::TestOutcome;
use crate::error::{Error, Result, counted};
use crate::linalg::Cholesky;
use crate::linalg::vector::{dot, first_non_finite};
use crate::special::regularized_gamma_p;

/// A Gaussian `N(mean, covariance)` that draws are claimed to come from.
#[derive(Clone, Debug)]
pub struct GaussianTarget {
    mean: Vec<f64>,
    factor: Cholesky,
}

impl GaussianTarget {
    /// The target of `mean` `[d]` and `covariance` `[d, d]`, row-major.
    ///
    /// # Errors
    /// If there is no dimension, the covariance has the wrong size or is not positive definite, or
    /// the mean is not finite.
    pub fn new(mean: &[f64], covariance: &[f64]) -> Result<Self> {
        if mean.is_empty() {
            return Err(Error::shape("GaussianTarget", "at least 1 dimension", 0));
        }
        if let Some(index) = first_non_finite(mean) {
            let what = "mean of GaussianTarget";
            return Err(Error::NonFinite { what, index });
        }
        Ok(Self {
            mean: mean.to_vec(),
            factor: Cholesky::new(covariance, mean.len())?,
        })
    }

    /// Number of dimensions.
    pub fn dim(&self) -> usize {
        self.mean.len()
    }

    /// `L^{-1} (x - mean)`: standard normal if `x` is a draw.
    ///
    /// # Panics
    /// If `x` is shorter than [`GaussianTarget::dim`].
    pub fn whiten(&self, x: &[f64]) -> Vec<f64> {
        let mut z: Vec<f64> = self.mean.iter().zip(x).map(|(m, x)| x - m).collect();
        self.factor.solve_lower(&mut z);
        z
    }

    /// Tests the mean of `draws` `[n, d]`, worth `effective` independent ones (`n` if they are
    /// independent): `e |mean z|^2 ~ chi^2(d)`.
    ///
    /// # Errors
    /// If there are no draws, the length is not a multiple of `d`, a value is not finite, or
    /// `effective` is not positive.
    pub fn mean_test(&self, draws: &[f64], effective: f64) -> Result<TestOutcome> {
        self.feature_test(draws, effective, |z| z.to_vec())
    }

    /// Tests the second moments of `draws` `[n, d]` around the target's mean:
    /// `e/2 |mean z z^T - I|_F^2 ~ chi^2(d(d+1)/2)`.
    ///
    /// `effective` is the effective size for the *squares*, which for HMC differs from that of the
    /// mean.
    ///
    /// # Errors
    /// Those of [`GaussianTarget::mean_test`].
    pub fn covariance_test(&self, draws: &[f64], effective: f64) -> Result<TestOutcome> {
        self.feature_test(draws, effective, second_features)
    }

    /// Tests the shape: `|z|^2` of independent `draws` `[n, d]` against the chi-square distribution
    /// with `d` degrees of freedom.
    ///
    /// # Errors
    /// If there are no draws, the length is not a multiple of `d`, or a value is not finite.
    pub fn radius_test(&self, draws: &[f64]) -> Result<TestOutcome> {
        self.check(draws)?;
        let square = |x| {
            let z = self.whiten(x);
            dot(&z, &z)
        };
        let squares: Vec<f64> = draws.chunks_exact(self.dim()).map(square).collect();
        let shape = 0.5 * self.dim() as f64;
        ks_test(&squares, |r| regularized_gamma_p(shape, 0.5 * r))
    }

    /// Tests the mean with `chains` independent chains: `draws` `[chains, n, d]`, which may be
    /// correlated within a chain.
    ///
    /// # Errors
    /// Those of [`hotelling`] (more than `d` chains are needed), or if `chains` does not divide the
    /// draws.
    pub fn chain_mean_test(&self, draws: &[f64], chains: usize) -> Result<TestOutcome> {
        self.chain_test(draws, chains, |z| z.to_vec())
    }

    /// Tests the second moments with `chains` independent chains: `draws` `[chains, n, d]`.
    ///
    /// # Errors
    /// Those of [`hotelling`] (more than `d(d+1)/2` chains are needed), or if `chains` does not
    /// divide the draws.
    pub fn chain_covariance_test(&self, draws: &[f64], chains: usize) -> Result<TestOutcome> {
        self.chain_test(draws, chains, second_features)
    }

    fn feature_test(
        &self,
        draws: &[f64],
        effective: f64,
        features: impl Fn(&[f64]) -> Vec<f64>,
    ) -> Result<TestOutcome> {
        self.check(draws)?;
        if !(effective > 0.0 && effective.is_finite()) {
            return Err(Error::config("effective", effective, "must be positive"));
        }
        let mean = self.mean_features(draws, features);
        let statistic = effective * dot(&mean, &mean);
        Ok(TestOutcome {
            statistic,
            p_value: chi_square_survival(statistic, mean.len() as f64),
        })
    }

    fn chain_test(
        &self,
        draws: &[f64],
        chains: usize,
        features: impl Fn(&[f64]) -> Vec<f64>,
    ) -> Result<TestOutcome> {
        self.check(draws)?;
        if chains == 0 || !(draws.len() / self.dim()).is_multiple_of(chains) {
            let requirement = format!("must divide {}", counted(draws.len() / self.dim(), "draw"));
            return Err(Error::config("chains", chains, &requirement));
        }
        let rows = draws.chunks_exact(draws.len() / chains);
        let means: Vec<f64> = rows
            .flat_map(|c| self.mean_features(c, &features))
            .collect();
        hotelling(&means, &vec![0.0; means.len() / chains])
    }

    fn mean_features(&self, draws: &[f64], features: impl Fn(&[f64]) -> Vec<f64>) -> Vec<f64> {
        let n = (draws.len() / self.dim()) as f64;
        let mut mean = Vec::new();
        for x in draws.chunks_exact(self.dim()) {
            let f = features(&self.whiten(x));
            mean.resize(f.len(), 0.0);
            for (m, f) in mean.iter_mut().zip(f) {
                *m += f / n;
            }
        }
        mean
    }

    fn check(&self, draws: &[f64]) -> Result<()> {
        if draws.is_empty() || !draws.len().is_multiple_of(self.dim()) {
            let expected = format!("draws [n, {}], at least 1", self.dim());
            return Err(Error::shape("GaussianTarget", expected, draws.len()));
        }
        match first_non_finite(draws) {
            None => Ok(()),
            Some(index) => Err(Error::NonFinite {
                what: "draws of GaussianTarget",
                index,
            }),
        }
    }
}

/// `z_i z_j` for `i < j` and `(z_i^2 - 1) / sqrt 2`: mean 0, variance 1, uncorrelated.
fn second_features(z: &[f64]) -> Vec<f64> {
    let mut out = Vec::with_capacity(z.len() * (z.len() + 1) / 2);
    for (i, a) in z.iter().enumerate() {
        out.extend(z[..i].iter().map(|b| a * b));
        out.push((a * a - 1.0) * std::f64::consts::FRAC_1_SQRT_2);
    }
    out
}
