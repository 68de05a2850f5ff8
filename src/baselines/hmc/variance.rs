//! Variances of a window's draws, from which the mass matrix is estimated.
//!
//! B. P. Welford, "Note on a method for calculating corrected sums of squares and products",
//! Technometrics 4 (1962): one pass, no draws kept. The estimate is shrunk towards a small value,
//! as in Stan (Stan Reference Manual, "Automatic parameter tuning"), so that it is positive for any
//! draws:
//!
//! `M^{-1}_ii = n/(n + 5) var_i + 10^{-3} 5/(n + 5)`.

use crate::error::Result;
use crate::scalar::Scalar;
use crate::walk::{Fields, same_length};

#[derive(Clone, Debug)]
pub(super) struct Variance {
    count: f64,
    mean: Vec<f64>,
    squares: Vec<f64>,
}

impl Variance {
    pub fn new(dim: usize) -> Self {
        Self {
            count: 0.0,
            mean: vec![0.0; dim],
            squares: vec![0.0; dim],
        }
    }

    pub fn add<T: Scalar>(&mut self, draw: &[T]) {
        self.count += 1.0;
        let moments = self.mean.iter_mut().zip(&mut self.squares);
        for ((mean, squares), x) in moments.zip(draw) {
            let delta = x.to_f64() - *mean;
            *mean += delta / self.count;
            *squares += delta * (x.to_f64() - *mean);
        }
    }

    /// Writes the inverse mass matrix of the draws added so far to `out`, and forgets them. With
    /// fewer than two draws, `out` stays as it is.
    pub fn finish(&mut self, out: &mut [f64]) {
        let n = self.count;
        if n >= 2.0 {
            for (out, squares) in out.iter_mut().zip(&self.squares) {
                *out = n / (n + 5.0) * squares / (n - 1.0) + 1e-3 * 5.0 / (n + 5.0);
            }
        }
        self.count = 0.0;
        self.mean.fill(0.0);
        self.squares.fill(0.0);
    }

    pub fn fields<T>(&mut self, fields: &mut dyn Fields<T>) -> Result<()> {
        let dim = self.mean.len();
        fields.number("draws", &mut self.count)?;
        fields.numbers("mean", &mut self.mean)?;
        fields.numbers("squares", &mut self.squares)?;
        same_length("mean", dim, self.mean.len())?;
        same_length("squares", dim, self.squares.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variance_of_a_window_regularised() {
        let mut variance = Variance::new(2);
        let mut out = [7.0, 7.0];
        variance.add(&[5.0f32, 1.0]);
        variance.finish(&mut out);
        assert_eq!(out, [7.0, 7.0]);
        // 1e6 added: the variance loses no digits
        for x in [1.0, 2.0, 6.0] {
            variance.add(&[x + 1e6, 3.0]);
        }
        variance.finish(&mut out);
        let expected = [3.0 / 8.0 * 7.0 + 1e-3 * 5.0 / 8.0, 1e-3 * 5.0 / 8.0];
        for (got, expected) in out.iter().zip(expected) {
            assert!((got - expected).abs() < 1e-9, "{got} {expected}");
        }
        // the previous window is forgotten
        variance.add(&[1.0, 0.0]);
        variance.add(&[1.0, 2.0]);
        variance.finish(&mut out);
        assert!((out[0] - 1e-3 * 5.0 / 7.0).abs() < 1e-15);
        assert!((out[1] - (4.0 + 5e-3) / 7.0).abs() < 1e-15);
    }
}
