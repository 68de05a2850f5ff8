//! The Gaussian, from its covariance or from its precision.
//!
//! ```text
//! log p(x) = -|L^T (x - m)|^2 / 2 + log det L - d log(2 pi) / 2,     precision A = L L^T
//! grad log p = -A (x - m),    draw = m + L^{-T} z,  z ~ N(0, I)
//! ```

use rand_chacha::ChaCha8Rng;

use super::{KnownDensity, point, write};
use crate::error::{Error, Result};
use crate::linalg::Cholesky;
use crate::linalg::vector::{dot, first_non_finite};
use crate::model::LogDensity;
use crate::rng::fill_normal;
use crate::scalar::Scalar;

/// `N(mean, covariance)`, normalised.
///
/// ```
/// use fiberwalk::LogDensity;
/// use fiberwalk::testing::{GaussianDensity, KnownDensity};
/// let density = GaussianDensity::new(vec![1.0, 0.0], vec![2.0, 0.6, 0.6, 1.0])?;
/// let at_mode = LogDensity::<f64>::log_density(&density, &[1.0, 0.0], &mut ())?;
/// let det: f64 = 2.0 - 0.36;
/// assert!((at_mode + (2.0 * std::f64::consts::PI * det.sqrt()).ln()).abs() < 1e-14);
/// assert!((KnownDensity::<f64>::covariance(&density)[1] - 0.6).abs() < 1e-15);
/// # Ok::<(), fiberwalk::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct GaussianDensity {
    mean: Vec<f64>,
    covariance: Vec<f64>,
    precision: Vec<f64>,
    /// Of the precision.
    factor: Cholesky,
}

impl GaussianDensity {
    /// From `mean` `[d]` and `covariance` `[d, d]`, row-major, of which the lower triangle is read.
    ///
    /// # Errors
    /// If there is no dimension, a length or a number is wrong, or the covariance is not positive
    /// definite.
    pub fn new(mean: Vec<f64>, covariance: Vec<f64>) -> Result<Self> {
        let precision = inverse(&mean, &covariance)?;
        Self::of(mean, covariance, precision)
    }

    /// From `mean` `[d]` and `precision` `[d, d]`, row-major.
    ///
    /// # Errors
    /// As for [`GaussianDensity::new`].
    pub fn with_precision(mean: Vec<f64>, precision: Vec<f64>) -> Result<Self> {
        let covariance = inverse(&mean, &precision)?;
        Self::of(mean, covariance, precision)
    }

    /// `N(0, I)` of `dim` coordinates.
    ///
    /// # Errors
    /// If there is no dimension.
    pub fn standard(dim: usize) -> Result<Self> {
        let entry = |i: usize| f64::from(u8::from(i.is_multiple_of(dim + 1)));
        Self::new(vec![0.0; dim], (0..dim * dim).map(entry).collect())
    }

    fn of(mean: Vec<f64>, covariance: Vec<f64>, precision: Vec<f64>) -> Result<Self> {
        let factor = Cholesky::new(&precision, mean.len())?;
        Ok(Self {
            mean,
            covariance,
            precision,
            factor,
        })
    }

    /// The precision, `[dim, dim]` row-major: the Hessian of `-log p`.
    pub fn precision(&self) -> &[f64] {
        &self.precision
    }

    fn value(&self, centred: &[f64]) -> f64 {
        let mut whitened = vec![0.0; centred.len()];
        self.factor.multiply_transposed(centred, &mut whitened);
        let constant = self.mean.len() as f64 * (2.0 * std::f64::consts::PI).ln();
        0.5 * (self.factor.log_det() - constant - dot(&whitened, &whitened))
    }

    fn centred<T: Scalar>(&self, theta: &[T]) -> Result<Vec<f64>> {
        let mut x = point("GaussianDensity", self.mean.len(), theta)?;
        x.iter_mut().zip(&self.mean).for_each(|(x, m)| *x -= m);
        Ok(x)
    }
}

/// The inverse of a positive definite matrix, as long as the mean.
fn inverse(mean: &[f64], matrix: &[f64]) -> Result<Vec<f64>> {
    let d = mean.len();
    if d == 0 {
        return Err(Error::shape("GaussianDensity", "at least 1 dimension", 0));
    }
    for (what, numbers) in [("mean", mean), ("matrix", matrix)] {
        if let Some(index) = first_non_finite(numbers) {
            return Err(Error::NonFinite { what, index });
        }
    }
    let factor = Cholesky::new(matrix, d)?;
    let mut all = vec![0.0; d * d];
    for (i, row) in all.chunks_exact_mut(d).enumerate() {
        row[i] = 1.0;
        factor.solve(row);
    }
    Ok(all)
}

impl<T: Scalar> LogDensity<T> for GaussianDensity {
    type Workspace = ();

    fn dim(&self) -> usize {
        self.mean.len()
    }

    fn workspace(&self) {}

    fn log_density(&self, theta: &[T], (): &mut ()) -> Result<f64> {
        Ok(self.value(&self.centred(theta)?))
    }

    fn log_density_and_grad(&self, theta: &[T], grad: &mut [T], (): &mut ()) -> Result<f64> {
        let x = self.centred(theta)?;
        let rows = self.precision.chunks_exact(x.len());
        let slope: Vec<f64> = rows.map(|row| -dot(row, &x)).collect();
        write("GaussianDensity", &slope, grad)?;
        Ok(self.value(&x))
    }
}

impl<T: Scalar> KnownDensity<T> for GaussianDensity {
    fn mean(&self) -> Vec<f64> {
        self.mean.clone()
    }

    fn covariance(&self) -> Vec<f64> {
        self.covariance.clone()
    }

    fn draw(&self, rng: &mut ChaCha8Rng) -> Vec<f64> {
        let mut x = vec![0.0; self.mean.len()];
        fill_normal(rng, &mut x);
        self.factor.solve_transposed(&mut x);
        x.iter_mut().zip(&self.mean).for_each(|(x, m)| *x += m);
        x
    }
}
