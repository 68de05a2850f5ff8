//! A posterior that can be sampled: the result of walks, deformations and every baseline.

use crate::error::{Error, Result};
use crate::rng::Streams;
use crate::scalar::Scalar;

/// Anything that can draw parameters of a network.
///
/// Predictions need only the draws. An approximation that knows more (a linearised predictive, a
/// component in closed form) has extra methods for that.
///
/// ```
/// use fiberwalk::model::Points;
/// use fiberwalk::{Posterior, Streams};
/// let points = Points::new(2, vec![0.0, 1.0, 2.0, 3.0, 4.0, 5.0])?;
/// assert_eq!(points.sample(2, Streams::new(0))?, [0.0, 1.0, 2.0, 3.0]);
/// # Ok::<(), fiberwalk::Error>(())
/// ```
pub trait Posterior<T: Scalar>: Send + Sync {
    /// Number of parameters, `P`.
    fn dim(&self) -> usize;

    /// Draws `[n, P]`, row-major. `n` is `count`, or fewer if there are not that many distinct
    /// draws (kept points, members of an ensemble). The same streams give the same bits for any
    /// number of threads.
    ///
    /// # Errors
    /// If `count` is 0, or a draw fails.
    fn sample(&self, count: usize, streams: Streams) -> Result<Vec<T>>;
}

/// A posterior made of points of equal weight.
#[derive(Clone, Debug, PartialEq)]
pub struct Points<T> {
    dim: usize,
    values: Vec<T>,
}

impl<T: Scalar> Points<T> {
    /// Points `[n, dim]`, row-major.
    ///
    /// # Errors
    /// If there is no point, or the number of values is not a multiple of `dim`.
    pub fn new(dim: usize, values: Vec<T>) -> Result<Self> {
        if dim == 0 || values.is_empty() || !values.len().is_multiple_of(dim) {
            let expected = format!("[n, {dim}] numbers, at least one row");
            return Err(Error::shape("Points", expected, values.len()));
        }
        Ok(Self { dim, values })
    }

    /// Number of points.
    pub fn count(&self) -> usize {
        self.values.len() / self.dim
    }

    /// All points `[n, dim]`, by value.
    pub fn into_values(self) -> Vec<T> {
        self.values
    }

    /// All points `[n, dim]`.
    pub fn values(&self) -> &[T] {
        &self.values
    }
}

/// Indices of the points to take when `count` of `all` are requested: evenly spaced and in order.
pub fn thinned(all: usize, count: usize) -> impl Iterator<Item = usize> {
    let keep = count.min(all);
    (0..keep).map(move |i| i * all / keep)
}

impl<T: Scalar> Posterior<T> for Points<T> {
    fn dim(&self) -> usize {
        self.dim
    }

    /// At most `count` of the points, evenly thinned.
    fn sample(&self, count: usize, _: Streams) -> Result<Vec<T>> {
        if count == 0 {
            return Err(Error::config("samples", count, "must be positive"));
        }
        let row = |r: usize| &self.values[r * self.dim..(r + 1) * self.dim];
        Ok(thinned(self.count(), count)
            .flat_map(row)
            .copied()
            .collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_are_thinned_evenly_and_bad_ones_refused() {
        let points = Points::new(1, (0..10).map(f64::from).collect()).unwrap();
        let take = |n| points.sample(n, Streams::new(0)).unwrap();
        assert_eq!(take(3), [0.0, 3.0, 6.0]);
        assert_eq!(take(100).len(), 10);
        assert!(points.sample(0, Streams::new(0)).is_err());
        for (dim, n) in [(0, 3), (2, 3), (2, 0)] {
            assert!(Points::new(dim, vec![0.0; n]).is_err(), "{dim} {n}");
        }
    }
}
