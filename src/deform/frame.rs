//! The frame: the few directions of parameter space that the flow acts on, and the width of the
//! others.
//!
//! `theta = mu + D^{1/2} (B^T g + s (I - B^T B) z)`, `z ~ N(0, I_P)`, `g = flow(B z)`. The `K`
//! orthonormal rows of `B` carry the flow. Everything orthogonal to them is a Gaussian with one
//! scale `s`. The log-determinant of the frame is `1/2 sum log D_i + (P - K) log s`; that of the
//! flow comes on top.
//!
//! `mu`, `D` and `s` are estimated from the points of a walk. `B` comes from one of two sources:
//! - Given directions ([`Frame::fit`]), such as the leading Gauss-Newton directions. A displacement
//!   `D^{1/2} w` changes the outputs by `J D^{1/2} w`, so the directions are scaled by `D^{1/2}`
//!   before they are orthonormalised.
//! - The principal components of the points, in units of their scales ([`Frame::principal`]). With
//!   a few dozen walkers that each went separate ways, the leading components can be the walkers
//!   themselves. Held-out walkers must show how many of them hold for others.

use crate::error::{Error, Result, counted};
use crate::linalg::vector::{self, axpy, dot, first_non_finite, norm};
use crate::linalg::{orthonormal_rows, symmetric_eigen};
use crate::scalar::Scalar;

/// How a frame is estimated.
#[derive(Clone, Debug)]
pub struct FrameOptions {
    /// Largest number of directions.
    pub directions: usize,
    /// The variance of each parameter is shrunk towards the mean of all, as if by this many more
    /// walkers.
    pub shrinkage: f64,
}

impl Default for FrameOptions {
    fn default() -> Self {
        Self {
            directions: 64,
            shrinkage: 8.0,
        }
    }
}

/// Mean, scales and directions.
#[derive(Clone, Debug, PartialEq)]
pub struct Frame<T> {
    /// `mu`, `[P]`.
    mean: Vec<T>,
    /// `D^{1/2}`, `[P]`.
    scale: Vec<T>,
    /// `B`, `[K, P]` row-major.
    basis: Vec<T>,
    /// `s`.
    complement: T,
    log_det: f64,
}

impl<T: Scalar> Frame<T> {
    /// Estimates a frame from `points` (`[n, P]`) of `walkers` walkers, with the leading rows of
    /// `directions` (`[*, P]`).
    ///
    /// # Errors
    /// If there are fewer than two points or they do not vary.
    pub fn fit(
        points: &[T],
        dim: usize,
        walkers: usize,
        directions: &[T],
        options: &FrameOptions,
    ) -> Result<Self> {
        if dim == 0 || !directions.len().is_multiple_of(dim) {
            let expected = format!("directions of {dim}");
            return Err(Error::shape("Frame::fit", expected, directions.len()));
        }
        let (mean, scale) = Self::moments(points, dim, walkers, options)?;
        let count = options.directions.min(directions.len() / dim);
        let mut basis = directions[..count * dim].to_vec();
        for row in basis.chunks_exact_mut(dim) {
            row.iter_mut().zip(&scale).for_each(|(b, s)| *b *= *s);
        }
        orthonormal_rows(&mut basis, dim);
        Self::around(points, mean, scale, basis)
    }

    /// A frame whose directions are the leading principal components of the points in units of
    /// their scales, at most `options.directions` of them: the directions along which a walk went
    /// farthest.
    ///
    /// They are computed from the Gram matrix of the points, since there are fewer points than
    /// parameters.
    ///
    /// # Errors
    /// Those of [`Frame::fit`].
    pub fn principal(
        points: &[T],
        dim: usize,
        walkers: usize,
        options: &FrameOptions,
    ) -> Result<Self> {
        let (mean, scale) = Self::moments(points, dim, walkers, options)?;
        let mut whitened = points.to_vec();
        for row in whitened.chunks_exact_mut(dim) {
            for ((x, &m), &s) in row.iter_mut().zip(&mean).zip(&scale) {
                *x = (*x - m) / s;
            }
        }
        let rows: Vec<&[T]> = whitened.chunks_exact(dim).collect();
        let n = rows.len();
        let mut gram = vec![0.0; n * n];
        for i in 0..n {
            for j in 0..=i {
                let product = dot(rows[i], rows[j]);
                (gram[i * n + j], gram[j * n + i]) = (product, product);
            }
        }
        let eigen = symmetric_eigen(&gram, n)?;
        // n points around their mean span n - 1 dimensions
        let count = options.directions.min(n - 1).min(dim);
        let mut basis = vec![T::ZERO; count * dim];
        let leading = eigen.vectors.chunks_exact(n).rev();
        for (direction, weights) in basis.chunks_exact_mut(dim).zip(leading) {
            for (&w, row) in weights.iter().zip(&rows) {
                axpy(w, row, direction);
            }
            let length = norm(direction);
            if length > 0.0 {
                vector::scale(1.0 / length, direction);
            }
        }
        orthonormal_rows(&mut basis, dim);
        Self::around(points, mean, scale, basis)
    }

    /// `mu` and `D^{1/2}` of the points.
    fn moments(
        points: &[T],
        dim: usize,
        walkers: usize,
        options: &FrameOptions,
    ) -> Result<(Vec<T>, Vec<T>)> {
        let n = points.len() / dim.max(1);
        if n < 2 || points.len() != n * dim {
            let got = counted(points.len(), "number");
            return Err(Error::shape(
                "Frame::fit",
                format!("at least 2 points of {dim}"),
                got,
            ));
        }
        let mut mean = vec![0.0f64; dim];
        for point in points.chunks_exact(dim) {
            mean.iter_mut()
                .zip(point)
                .for_each(|(m, x)| *m += x.to_f64() / n as f64);
        }
        let mut variance = vec![0.0f64; dim];
        for point in points.chunks_exact(dim) {
            for ((v, x), m) in variance.iter_mut().zip(point).zip(&mean) {
                *v += (x.to_f64() - m).powi(2) / n as f64;
            }
        }
        let pooled = variance.iter().sum::<f64>() / dim as f64;
        if !(pooled > 0.0 && pooled.is_finite()) {
            let requirement = "the points of a walk must differ and be finite";
            return Err(Error::config("variance of the walk", pooled, requirement));
        }
        let (w, c) = (walkers as f64, options.shrinkage);
        let scale: Vec<T> = variance
            .iter()
            .map(|v| T::from_f64(((w * v + c * pooled) / (w + c)).sqrt()))
            .collect();
        let mean = mean.into_iter().map(T::from_f64).collect();
        Ok((mean, scale))
    }

    /// The frame with these directions; the scale of all others is the maximum likelihood estimate.
    fn around(points: &[T], mean: Vec<T>, scale: Vec<T>, basis: Vec<T>) -> Result<Self> {
        let dim = mean.len();
        let n = points.len() / dim;
        let mut frame = Self::from_parts(mean, scale, basis, T::ONE)?;
        // the maximum likelihood estimate of s, over the remaining dimensions
        let rest = dim - frame.directions();
        if rest > 0 {
            let mut squares = 0.0;
            for point in points.chunks_exact(dim) {
                let (_, c) = frame.coordinates(point);
                squares += dot(&c, &c);
            }
            let s = (squares / (n * rest) as f64)
                .sqrt()
                .max(f64::from(f32::MIN_POSITIVE));
            frame = Self::from_parts(frame.mean, frame.scale, frame.basis, T::from_f64(s))?;
        }
        Ok(frame)
    }

    /// A frame from its parts, as read from a file: `mean` and `scale` of length `P`, `basis`
    /// `[K, P]`.
    ///
    /// # Errors
    /// If lengths do not fit, a number is not finite, a scale is not positive, or the rows are not
    /// orthonormal to 1e-3.
    pub fn from_parts(mean: Vec<T>, scale: Vec<T>, basis: Vec<T>, complement: T) -> Result<Self> {
        let dim = mean.len();
        if scale.len() != dim || dim == 0 || !basis.len().is_multiple_of(dim) {
            let got = format!("{}, {} and {}", dim, scale.len(), basis.len());
            return Err(Error::shape(
                "Frame",
                "mean and scale [P], basis [K, P]",
                got,
            ));
        }
        if basis.len() / dim > dim {
            let got = counted(basis.len() / dim, "direction");
            return Err(Error::shape(
                "Frame",
                format!("at most {}", counted(dim, "direction")),
                got,
            ));
        }
        for (what, values) in [
            ("frame mean", &mean),
            ("frame scale", &scale),
            ("frame basis", &basis),
        ] {
            if let Some(index) = first_non_finite(values) {
                return Err(Error::NonFinite { what, index });
            }
        }
        if let Some(at) = scale.iter().position(|&s| s <= T::ZERO) {
            return Err(Error::config("frame scale", scale[at], "must be positive"));
        }
        if !(complement > T::ZERO && Scalar::is_finite(complement)) {
            return Err(Error::config(
                "frame complement",
                complement,
                "must be positive",
            ));
        }
        let rows: Vec<&[T]> = basis.chunks_exact(dim).collect();
        for (i, a) in rows.iter().enumerate() {
            for (j, b) in rows[..=i].iter().enumerate() {
                let error = dot(a, b) - if i == j { 1.0 } else { 0.0 };
                if error.abs() > 1e-3 {
                    let got = format!("rows {i} and {j} that miss by {error:.1e}");
                    return Err(Error::shape("Frame", "orthonormal directions", got));
                }
            }
        }
        let rest = (dim - rows.len()) as f64;
        let log_det =
            scale.iter().map(|s| s.to_f64().ln()).sum::<f64>() + rest * complement.to_f64().ln();
        Ok(Self {
            mean,
            scale,
            basis,
            complement,
            log_det,
        })
    }

    /// The same frame with all scales multiplied by `factor`, for instance narrower around its
    /// mean.
    ///
    /// # Errors
    /// If the scales do not stay positive and finite.
    pub fn scaled(&self, factor: f64) -> Result<Self> {
        let scale = self.scale.iter().map(|s| T::from_f64(s.to_f64() * factor));
        let (mean, basis) = (self.mean.clone(), self.basis.clone());
        Self::from_parts(mean, scale.collect(), basis, self.complement)
    }

    /// The same frame around another mean, `[P]`.
    ///
    /// # Errors
    /// If its length is wrong or a number is not finite.
    pub fn centred(&self, mean: Vec<T>) -> Result<Self> {
        let (scale, basis) = (self.scale.clone(), self.basis.clone());
        Self::from_parts(mean, scale, basis, self.complement)
    }

    /// `P`.
    pub fn dim(&self) -> usize {
        self.mean.len()
    }

    /// `K`.
    pub fn directions(&self) -> usize {
        self.basis.len() / self.mean.len()
    }

    /// `mu`, `D^{1/2}`, `B` and `s`.
    pub fn parts(&self) -> (&[T], &[T], &[T], T) {
        (&self.mean, &self.scale, &self.basis, self.complement)
    }

    /// `1/2 sum log D_i + (P - K) log s`.
    pub fn log_det(&self) -> f64 {
        self.log_det
    }

    /// `(g, c)` of a point: `g = B w` and `c = (I - B^T B) w`, with `w = D^{-1/2} (theta - mu)`.
    /// `c` is not divided by `s`.
    pub(super) fn coordinates(&self, theta: &[T]) -> (Vec<T>, Vec<T>) {
        let whiten = |((&x, &m), &s): ((&T, &T), &T)| (x - m) / s;
        let mut w: Vec<T> = theta
            .iter()
            .zip(&self.mean)
            .zip(&self.scale)
            .map(whiten)
            .collect();
        let g = self.take_out(&mut w);
        (g, w)
    }

    /// `mu + D^{1/2} (B^T g + s c)`, `c` in the complement.
    pub(super) fn place(&self, g: &[T], c: &[T]) -> Vec<T> {
        let mut w: Vec<T> = c.iter().map(|&c| self.complement * c).collect();
        for (&g, row) in g.iter().zip(self.basis.chunks_exact(self.dim())) {
            axpy(g.to_f64(), row, &mut w);
        }
        let lift = |((&w, &m), &s): ((&T, &T), &T)| m + s * w;
        w.iter()
            .zip(&self.mean)
            .zip(&self.scale)
            .map(lift)
            .collect()
    }

    /// `F(z)`: `mu + D^{1/2} (B^T B z + s (I - B^T B) z)`.
    pub(super) fn image(&self, mut z: Vec<T>) -> Vec<T> {
        let g = self.take_out(&mut z);
        self.place(&g, &z)
    }

    /// `z = F^{-1}(theta)`.
    pub(super) fn latent(&self, theta: &[T]) -> Vec<T> {
        let (g, mut z) = self.coordinates(theta);
        z.iter_mut().for_each(|c| *c /= self.complement);
        for (&g, row) in g.iter().zip(self.basis.chunks_exact(self.dim())) {
            axpy(g.to_f64(), row, &mut z);
        }
        z
    }

    /// Splits a vector into its coordinates along the directions, which it returns, and the rest,
    /// which stays in `w`.
    pub(super) fn take_out(&self, w: &mut [T]) -> Vec<T> {
        let rows = || self.basis.chunks_exact(self.dim());
        let g: Vec<T> = rows().map(|row| T::from_f64(dot(row, w))).collect();
        for (g, row) in g.iter().zip(rows()) {
            axpy(-g.to_f64(), row, w);
        }
        g
    }
}
