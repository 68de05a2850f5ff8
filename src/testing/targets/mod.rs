//! Densities with known moments and exact draws.
//!
//! Their constants are included: the integral of each is 1, so the log evidence is 0. They can be
//! used wherever a [`LogDensity`] can, in f32 and f64; inside they compute in f64.
//!
//! | file | density |
//! |---|---|
//! | `gaussian` | `N(mean, covariance)` of any dimension |
//! | `banana` | a Gaussian bent along a parabola, two dimensions |

mod banana;
mod gaussian;

pub use banana::Banana;
pub use gaussian::GaussianDensity;

use rand_chacha::ChaCha8Rng;

use crate::error::{Error, Result, counted};
use crate::model::LogDensity;
use crate::scalar::Scalar;

/// A density whose moments are known and that can be drawn from.
pub trait KnownDensity<T: Scalar>: LogDensity<T> {
    /// The mean, `[dim]`.
    fn mean(&self) -> Vec<f64>;

    /// The covariance, `[dim, dim]` row-major.
    fn covariance(&self) -> Vec<f64>;

    /// An exact draw, `[dim]`, independent of all others.
    fn draw(&self, rng: &mut ChaCha8Rng) -> Vec<f64>;
}

/// The point in f64.
///
/// # Errors
/// If it has another length.
fn point<T: Scalar>(op: &'static str, dim: usize, theta: &[T]) -> Result<Vec<f64>> {
    if theta.len() != dim {
        return Err(Error::shape(op, counted(dim, "coordinate"), theta.len()));
    }
    Ok(theta.iter().map(|t| t.to_f64()).collect())
}

/// Writes a gradient.
///
/// # Errors
/// If there is room for another number of derivatives.
fn write<T: Scalar>(op: &'static str, from: &[f64], to: &mut [T]) -> Result<()> {
    if from.len() != to.len() {
        let expected = format!("room for {}", counted(from.len(), "derivative"));
        return Err(Error::shape(op, expected, to.len()));
    }
    for (to, &from) in to.iter_mut().zip(from) {
        *to = T::from_f64(from);
    }
    Ok(())
}
