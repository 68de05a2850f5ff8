//! Coordinates in which the posterior is about as wide in every direction.
//!
//! With the prior's precision `D` (diagonal) and the leading eigenpairs `(lambda_i, b_i)` of the Gauss-Newton matrix in whitened
//! coordinates, `D^{-1/2} G D^{-1/2}`, a move `u` in the frame's coordinates `y` is a move `S u` of the parameters,
//!
//! `S = D^{-1/2} (I + sum_i (s_i - 1) b_i b_i^T)`, `s_i = (c lambda_i + 1)^{-1/2}`,
//!
//! and the gradient there is `S^T grad U`. With `c = 1` and all eigenpairs that is `(G + D)^{-1/2}` up to a rotation, the
//! coordinates in which Laplace's approximation is a unit ball. `c` is smaller because walkers leave `theta*` for places where
//! the curvature is less, and because directions must not be stretched beyond what is measured.
//!
//! `b_i^T D^{-1/2} grad U / (lambda_i + 1)` is how far the Gauss-Newton step goes back along direction `i`: the distance from the fiber comes for
//! free.
//!
//! What it drops: eigenpairs that were not computed, and how the curvature changes along a walk.

use super::kernel::{Fields, same_length};
use crate::error::{Error, Result};
use crate::linalg::vector::{add_rows, dot, dot_rows};
use crate::scalar::Scalar;

/// The map `S` and its transpose.
#[derive(Clone, Debug)]
pub struct InverseMassMatrix<T> {
    /// `D^{-1/2}`.
    scale: Vec<T>,
    /// Rows `b_i`, `[k, P]`.
    basis: Vec<T>,
    /// `s_i - 1`.
    shrink: Vec<f64>,
    /// `1 / (lambda_i + 1)`.
    newton: Vec<f64>,
}

impl<T: Scalar> InverseMassMatrix<T> {
    /// `c`, if nothing else is asked for.
    pub const SOFTENING: f64 = 0.01;

    /// The prior's coordinates alone: `S = D^{-1/2}`. `prior_precision` is `[P]`.
    ///
    /// # Errors
    /// If a precision is not positive and finite.
    pub fn diagonal(prior_precision: &[f64]) -> Result<Self> {
        Self::new(prior_precision, &[], &[], Self::SOFTENING)
    }

    /// The map for the precisions of the prior, `[P]`, eigenvalues `[k]` and orthonormal eigenvectors `[k, P]` of the whitened
    /// Gauss-Newton matrix, and the softening `c`.
    ///
    /// # Errors
    /// If lengths do not fit, or a number is out of range.
    pub fn new(prior_precision: &[f64], values: &[f64], basis: &[T], c: f64) -> Result<Self> {
        if let Some(alpha) = prior_precision
            .iter()
            .find(|a| !(**a > 0.0 && a.is_finite()))
        {
            let requirement = "must be positive and finite for every parameter";
            return Err(Error::config("prior_precision", alpha, requirement));
        }
        if !(c >= 0.0 && c.is_finite()) {
            return Err(Error::config(
                "softening",
                c,
                "must be finite and not negative",
            ));
        }
        let expected = values.len() * prior_precision.len();
        if basis.len() != expected {
            return Err(Error::shape(
                "InverseMassMatrix: basis",
                expected,
                basis.len(),
            ));
        }
        let values = values.iter().map(|v| v.max(0.0));
        Ok(Self {
            scale: prior_precision
                .iter()
                .map(|a| T::from_f64(1.0 / a.sqrt()))
                .collect(),
            basis: basis.to_vec(),
            shrink: values
                .clone()
                .map(|v| 1.0 / (c * v + 1.0).sqrt() - 1.0)
                .collect(),
            newton: values.map(|v| 1.0 / (v + 1.0)).collect(),
        })
    }

    /// `P`.
    pub fn dim(&self) -> usize {
        self.scale.len()
    }

    /// Number of directions besides the prior's scales.
    pub fn directions(&self) -> usize {
        self.shrink.len()
    }

    /// How far points are spread in these coordinates: the root of the sum over coordinates of their variance over the points.
    /// `P^{1/2}` for fewer than eight points, which would not say much.
    pub fn spread(&self, points: &[&[T]]) -> f64 {
        let (n, dim) = (points.len(), self.dim());
        if n < 8 {
            return (dim as f64).sqrt();
        }
        let mut mean = vec![0.0; dim];
        for point in points {
            for (m, x) in mean.iter_mut().zip(*point) {
                *m += x.to_f64() / n as f64;
            }
        }
        let (mut whitened, mut along) = (vec![T::ZERO; dim], vec![0.0; self.directions()]);
        let mut squares = 0.0;
        for point in points {
            for (i, w) in whitened.iter_mut().enumerate() {
                *w = T::from_f64((point[i].to_f64() - mean[i]) / self.scale[i].to_f64());
            }
            squares += dot(&whitened, &whitened);
            dot_rows(&self.basis, &whitened, &mut along);
            for (a, s) in along.iter().zip(&self.shrink) {
                let stretch = 1.0 / (1.0 + s);
                squares += a * a * (stretch * stretch - 1.0);
            }
        }
        (squares / (n as f64 - 1.0)).sqrt()
    }

    /// Goes through all of it.
    ///
    /// # Errors
    /// Those of `fields`, and if lengths do not fit.
    pub fn fields(&mut self, fields: &mut dyn Fields<T>) -> Result<()> {
        fields.fixed_vector("scale", &mut self.scale)?;
        fields.vector("basis", &mut self.basis)?;
        fields.numbers("shrink", &mut self.shrink)?;
        fields.numbers("newton", &mut self.newton)?;
        let directions = self.directions();
        same_length("newton", directions, self.newton.len())?;
        let numbers = directions.saturating_mul(self.dim());
        same_length("basis", numbers, self.basis.len())
    }

    /// `out = S u`; `coefficients` is scratch of length [`InverseMassMatrix::directions`].
    pub fn apply(&self, u: &[T], out: &mut [T], coefficients: &mut [f64]) {
        out.copy_from_slice(u);
        dot_rows(&self.basis, u, coefficients);
        for (x, s) in coefficients.iter_mut().zip(&self.shrink) {
            *x *= s;
        }
        add_rows(coefficients, &self.basis, out);
        for (o, &s) in out.iter_mut().zip(&self.scale) {
            *o *= s;
        }
    }

    /// `out = S^T gradient`; gives the distance from the fiber, if there is a frame. `coefficients` is scratch.
    pub fn pull_back(
        &self,
        gradient: &[T],
        out: &mut [T],
        coefficients: &mut [f64],
    ) -> Option<f64> {
        for ((o, &g), &s) in out.iter_mut().zip(gradient).zip(&self.scale) {
            *o = g * s;
        }
        if self.shrink.is_empty() {
            return None;
        }
        dot_rows(&self.basis, out, coefficients);
        let mut distance = 0.0;
        for ((x, s), n) in coefficients.iter_mut().zip(&self.shrink).zip(&self.newton) {
            distance += (*x * n) * (*x * n);
            *x *= s;
        }
        add_rows(coefficients, &self.basis, out);
        Some(distance.sqrt())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linalg::random_orthogonal;
    use crate::linalg::vector::{dot, fill_normal};
    use crate::rng::{Phase, Streams};

    #[test]
    fn it_is_the_dense_map() {
        let (n, k, c) = (23, 4, 0.3);
        let mut rng = Streams::new(1).rng(Phase::USER, 0);
        let q = random_orthogonal(n, &mut rng);
        let basis = &q[..k * n];
        let values = [50.0, 8.0, 3.0, 0.5];
        let precision: Vec<f64> = (0..n).map(|i| 0.5 + i as f64 / 10.0).collect();
        let s = InverseMassMatrix::new(&precision, &values, basis, c).unwrap();
        let (mut u, mut g) = (vec![0.0; n], vec![0.0; n]);
        fill_normal(&mut rng, &mut u);
        fill_normal(&mut rng, &mut g);
        let (mut su, mut stg, mut scratch) = (vec![0.0; n], vec![0.0; n], vec![0.0; k]);
        s.apply(&u, &mut su, &mut scratch);
        let distance = s.pull_back(&g, &mut stg, &mut scratch).unwrap();
        // S by its definition
        let mut squares = 0.0;
        for i in 0..n {
            let mut want = u[i];
            for (j, v) in values.iter().enumerate() {
                let b = &basis[j * n..(j + 1) * n];
                want += (1.0 / (c * v + 1.0).sqrt() - 1.0) * dot(b, &u) * b[i];
            }
            want /= precision[i].sqrt();
            assert!((su[i] - want).abs() < 1e-12);
        }
        let whitened: Vec<f64> = g
            .iter()
            .zip(&precision)
            .map(|(g, p)| g / p.sqrt())
            .collect();
        for (j, v) in values.iter().enumerate() {
            squares += (dot(&basis[j * n..(j + 1) * n], &whitened) / (v + 1.0)).powi(2);
        }
        assert!((distance - squares.sqrt()).abs() < 1e-12);
        // the transpose by adjointness
        assert!((dot(&su, &g) - dot(&u, &stg)).abs() < 1e-12);
        assert!(InverseMassMatrix::<f64>::diagonal(&[1.0, 0.0]).is_err());
        assert!(InverseMassMatrix::new(&precision, &values, &basis[1..], c).is_err());
    }
}
