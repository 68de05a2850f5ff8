//! Coordinates in which the posterior is about as wide in every direction.
//!
//! `D` is the prior's precision (diagonal), and `(lambda_i, b_i)` are the leading eigenpairs of the
//! Gauss-Newton matrix in whitened coordinates, `D^{-1/2} G D^{-1/2}`. A move `u` in the frame's
//! coordinates `y` is a move `S u` of the parameters,
//!
//! `S = D^{-1/2} (I + sum_i (s_i - 1) b_i b_i^T)`, `s_i = (c lambda_i + 1)^{-1/2}`,
//!
//! and the gradient there is `S^T grad U`. With `c = 1` and all eigenpairs, `S` is `(G + D)^{-1/2}`
//! up to a rotation: the coordinates in which Laplace's approximation is a unit ball. `c` is
//! smaller for two reasons: walkers leave `theta*` for places with less curvature, and directions
//! must not be stretched beyond what is measured.
//!
//! The Gauss-Newton step goes back along direction `i` by `b_i^T D^{-1/2} grad U / (lambda_i + 1)`.
//! So the distance from the fiber comes for free.
//!
//! **Lifted vectors.** `S = D^{-1/2} A` with the symmetric `A = I + sum_i (s_i - 1) b_i b_i^T`. Of
//! a vector `x` in the frame's coordinates, a walk needs inner products with others, and the image
//! `A x`, which moves the parameters. So it keeps
//!
//! `L x = (A x, (1 - s_i^2)^{1/2} b_i^T x)`,
//!
//! which has `P + k` numbers. `L` is linear, and it keeps inner products, since
//! `A^2 + (I - A^2) = I`. So kicks and refreshments act on lifted vectors as on plain ones, and a
//! move needs no matrix. Vectors that come from outside must be lifted: the gradient, as
//! `L S^T grad`, and noise. Lifting both together takes one pass over the `b_i` for all products
//! and one for all sums.
//!
//! What it drops: eigenpairs that were not computed, and the change of curvature along a walk.

use super::kernel::{Fields, same_length};
use crate::error::{Error, Result, counted};
use crate::linalg::vector::{add_rows, dot, dot_rows};
use crate::scalar::Scalar;
use crate::simd::{self, Elementary};

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
    /// The default of `c`.
    pub const SOFTENING: f64 = 0.01;

    /// The prior's coordinates alone: `S = D^{-1/2}`. `prior_precision` is `[P]`.
    ///
    /// # Errors
    /// If a precision is not positive and finite.
    pub fn diagonal(prior_precision: &[f64]) -> Result<Self> {
        Self::new(prior_precision, &[], &[], Self::SOFTENING)
    }

    /// The map for the prior precisions, `[P]`, the eigenvalues `[k]` and orthonormal eigenvectors
    /// `[k, P]` of the whitened Gauss-Newton matrix, and the softening `c`.
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

    /// The map from its parts: the rows `b_i` (`[k, P]`) and `s_i - 1`. It does not know the
    /// distance from the fiber.
    ///
    /// # Errors
    /// If lengths do not fit, a precision is not positive, or `s_i` is not in (0, 1].
    pub fn from_parts(prior_precision: &[f64], basis: Vec<T>, shrink: Vec<f64>) -> Result<Self> {
        if let Some(s) = shrink.iter().find(|s| !(**s > -1.0 && **s <= 0.0)) {
            return Err(Error::config("shrink", s, "must be above -1 and at most 0"));
        }
        let expected = shrink.len().saturating_mul(prior_precision.len());
        if basis.len() != expected {
            let (op, got) = ("InverseMassMatrix: basis", basis.len());
            return Err(Error::shape(op, expected, got));
        }
        Ok(Self {
            basis,
            newton: vec![0.0; shrink.len()],
            shrink,
            ..Self::diagonal(prior_precision)?
        })
    }

    /// The rows `b_i` (`[k, P]`), and `s_i - 1`.
    pub fn parts(&self) -> (&[T], &[f64]) {
        (&self.basis, &self.shrink)
    }

    /// `P`.
    pub fn dim(&self) -> usize {
        self.scale.len()
    }

    /// Number of directions besides the prior's scales.
    pub fn directions(&self) -> usize {
        self.shrink.len()
    }

    /// The spread of the points in these coordinates: the square root of the sum of the
    /// coordinates' variances over the points. `P^{1/2}` for fewer than eight points, whose
    /// variances would say little.
    ///
    /// # Errors
    /// If a point is not of `P` numbers.
    pub fn spread(&self, points: &[&[T]]) -> Result<f64> {
        let (n, dim) = (points.len(), self.dim());
        if let Some(point) = points.iter().find(|p| p.len() != dim) {
            let expected = format!("points of {}", counted(dim, "number"));
            return Err(Error::shape("InverseMassMatrix", expected, point.len()));
        }
        if n < 8 {
            return Ok((dim as f64).sqrt());
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
            dot_rows(&self.basis, [&whitened], [&mut along]);
            for (a, s) in along.iter().zip(&self.shrink) {
                let stretch = 1.0 / (1.0 + s);
                squares += a * a * (stretch * stretch - 1.0);
            }
        }
        Ok((squares / (n as f64 - 1.0)).sqrt())
    }

    /// Visits all of it.
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

    /// Length of a lifted vector, `P + k`.
    pub fn lifted_len(&self) -> usize {
        self.dim() + self.directions()
    }

    /// `out = S u`; `coefficients` is scratch of length [`InverseMassMatrix::directions`].
    ///
    /// # Errors
    /// If a length does not fit.
    pub fn apply(&self, u: &[T], out: &mut [T], coefficients: &mut [f64]) -> Result<()> {
        let (dim, k) = (self.dim(), self.directions());
        if u.len() != dim || out.len() != dim || coefficients.len() != k {
            let expected = format!("vectors of {} and scratch of {k}", counted(dim, "number"));
            let got = format!("{}, {} and {}", u.len(), out.len(), coefficients.len());
            return Err(Error::shape("InverseMassMatrix", expected, got));
        }
        out.copy_from_slice(u);
        dot_rows(&self.basis, [u], [&mut *coefficients]);
        for (x, s) in coefficients.iter_mut().zip(&self.shrink) {
            *x *= s;
        }
        add_rows([coefficients], &self.basis, [&mut *out]);
        for (o, &s) in out.iter_mut().zip(&self.scale) {
            *o *= s;
        }
        Ok(())
    }

    /// `L x` in place: `x` holds the vector in its first `P` numbers. `scratch` has length
    /// [`InverseMassMatrix::directions`].
    ///
    /// # Panics
    /// If a length does not fit: this is a part of every step.
    pub fn lift(&self, x: &mut [T], scratch: &mut [f64]) {
        self.raise([x], [1], [scratch]);
    }

    /// `L^T lifted`, `[P]`: the plain vector of a lifted one.
    ///
    /// # Errors
    /// If its length is not [`InverseMassMatrix::lifted_len`].
    pub fn lower(&self, lifted: &[T]) -> Result<Vec<T>> {
        if lifted.len() != self.lifted_len() {
            let expected = format!(
                "a lifted vector of {}",
                counted(self.lifted_len(), "number")
            );
            return Err(Error::shape("InverseMassMatrix", expected, lifted.len()));
        }
        let (image, tail) = lifted.split_at(self.dim());
        let mut along = vec![0.0; self.directions()];
        dot_rows(&self.basis, [image], [&mut along]);
        for ((a, &s), t) in along.iter_mut().zip(&self.shrink).zip(tail) {
            *a = s * *a + complement(s) * t.to_f64();
        }
        let mut out = image.to_vec();
        add_rows([&along], &self.basis, [&mut out]);
        Ok(out)
    }

    /// Lifts `S^T gradient` into `out`. Also lifts `noise` in place, from its first `P` numbers.
    /// Returns the distance from the fiber, if there is a frame.
    ///
    /// # Panics
    /// If a length does not fit: this is a part of every step.
    pub fn pull_back(
        &self,
        gradient: &[T],
        out: &mut [T],
        noise: Option<&mut [T]>,
        [scratch, more]: [&mut [f64]; 2],
    ) -> Option<f64> {
        for ((o, &g), &s) in out.iter_mut().zip(gradient).zip(&self.scale) {
            *o = g * s;
        }
        let [newton, ..] = match noise {
            Some(noise) => self.raise([out, noise], [2, 1], [scratch, more]),
            None => [self.raise([out], [2], [scratch])[0], 0.0],
        };
        (!self.shrink.is_empty()).then_some(newton)
    }

    /// `out = theta + time D^{-1/2} A u` for a lifted `u`; returns the length of the move.
    ///
    /// # Panics
    /// If a length does not fit: this is a part of every step.
    pub fn drift(&self, time: f64, lifted: &[T], theta: &[T], out: &mut [T]) -> f64 {
        let (time, scale) = (T::from_f64(time), &self.scale[..]);
        simd::dispatch(Move {
            time,
            scale,
            lifted,
            theta,
            out,
        })
    }

    /// Lifts `A^{p - 1} x` in place for every `x` and its power `p`. Each `x` is given by its first
    /// `P` numbers. Returns the length of `(lambda_i + 1)^{-1} b_i^T x` for each.
    fn raise<const V: usize>(
        &self,
        x: [&mut [T]; V],
        powers: [i32; V],
        mut along: [&mut [f64]; V],
    ) -> [f64; V] {
        let mut lengths = [0.0; V];
        if self.shrink.is_empty() {
            return lengths;
        }
        let mut parts = x.map(|x| x.split_at_mut(self.dim()));
        let images = parts.each_ref().map(|(image, _)| &**image);
        dot_rows(&self.basis, images, along.each_mut().map(|a| &mut **a));
        for j in 0..V {
            let ((_, tail), along) = (&mut parts[j], &mut along[j]);
            for (i, (a, t)) in along.iter_mut().zip(&mut **tail).enumerate() {
                lengths[j] += (*a * self.newton[i]).powi(2);
                let shrink = self.shrink[i];
                let shrunk = *a * (1.0 + shrink).powi(powers[j] - 1);
                *t = T::from_f64(complement(shrink) * shrunk);
                *a = (1.0 + shrink) * shrunk - *a;
            }
        }
        let along = along.each_ref().map(|a| &**a);
        add_rows(along, &self.basis, parts.map(|(image, _)| image));
        lengths.map(f64::sqrt)
    }
}

/// `(1 - s^2)^{1/2}` from `s - 1`.
fn complement(shrink: f64) -> f64 {
    (-shrink * (2.0 + shrink)).max(0.0).sqrt()
}

struct Move<'a, T> {
    time: T,
    scale: &'a [T],
    lifted: &'a [T],
    theta: &'a [T],
    out: &'a mut [T],
}

impl<T: Scalar> simd::Vectorised for Move<'_, T> {
    type Output = f64;
    #[inline(always)]
    fn run(self) -> f64 {
        let (time, n) = (self.time, self.out.len());
        let (scale, lifted) = (&self.scale[..n], &self.lifted[..n]);
        let ways = scale.iter().zip(lifted).zip(self.theta);
        for (out, ((&scale, &lifted), &theta)) in self.out.iter_mut().zip(ways) {
            *out = Elementary::times_plus(time, scale * lifted, theta);
        }
        // squares in lanes of type `T`: the length is only a diagnostic
        let mut squares = [T::ZERO; 32];
        let (mut scales, mut moves) = (scale.chunks_exact(32), lifted.chunks_exact(32));
        for (scale, lifted) in scales.by_ref().zip(moves.by_ref()) {
            for i in 0..32 {
                let way = scale[i] * lifted[i];
                squares[i] = Elementary::times_plus(way, way, squares[i]);
            }
        }
        let mut sum = 0.0;
        for (&scale, &lifted) in scales.remainder().iter().zip(moves.remainder()) {
            sum += (scale * lifted).to_f64().powi(2);
        }
        for square in squares {
            sum += square.to_f64();
        }
        time.to_f64().abs() * sum.sqrt()
    }
}

#[cfg(test)]
#[path = "inverse_mass_tests.rs"]
mod tests;
