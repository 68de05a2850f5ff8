//! The points of a walk, smoothed: a mixture of Gaussians, one for each of some points.
//!
//! With the frame `F` of a walk ([`Frame`]: mean, scales, directions) a point is `h = F(z)`. A
//! component is a Gaussian around a point `h_a = F(z_a)` that has moved a little towards the mean:
//!
//! ```text
//! h = F((1 - s^2)^{1/2} z_a + s z),  z ~ N(0, I)
//! q(h) = 1/n sum_a N(F^{-1}(h); (1 - s^2)^{1/2} z_a, s^2 I) / |det F|
//! ```
//!
//! Let latent numbers of the points have mean `m` and covariance `V`. Then those of draws have
//! `(1 - s^2)^{1/2} m` and `(1 - s^2) V + s^2 I`: for any width the mean and the variances of the
//! points, if the frame is made of their own mean and scales. `s -> 0` gives the points themselves,
//! `s = 1` the Gaussian of the frame. So `s` says how much of a draw is new.
//!
//! Source: mixtures with shrunken kernel locations, M. West, "Approximating posterior distributions
//! by mixtures", JRSS B 55 (1993).
//!
//! What it drops: a mixture is no bijection. Row `i` of latent numbers goes through component
//! `i mod n`, and the density is that of the mixture.

use super::Frame;
use crate::error::{Error, Result, counted};
use crate::linalg::vector::{distance, first_non_finite};
use crate::parallel;
use crate::scalar::Scalar;

/// A mixture of Gaussians around points, with the shape of a frame.
#[derive(Clone, Debug)]
pub struct Smoothed<T> {
    frame: Frame<T>,
    /// `z_a`, `[n, dim]`.
    latents: Vec<T>,
    width: f64,
}

impl<T: Scalar> Smoothed<T> {
    /// The points `[n, dim]`, smoothed by a width in (0, 1].
    ///
    /// # Errors
    /// If there is no point, the points are not of the frame's dimension, or the width is out of
    /// range.
    pub fn new(frame: Frame<T>, points: &[T], width: f64) -> Result<Self> {
        if !points.len().is_multiple_of(frame.dim()) {
            let expected = format!("rows of {}", counted(frame.dim(), "number"));
            return Err(Error::shape("Smoothed", expected, points.len()));
        }
        let rows = points.chunks_exact(frame.dim());
        let latents = rows.flat_map(|row| frame.latent(row)).collect();
        Self::from_latents(frame, latents, width)
    }

    /// The mixture of these latent points `z_a` (`[n, dim]`), as read from a file.
    ///
    /// # Errors
    /// If there is none, a number is not finite, lengths do not fit, or the width is not in (0, 1].
    pub fn from_latents(frame: Frame<T>, latents: Vec<T>, width: f64) -> Result<Self> {
        if latents.is_empty() || !latents.len().is_multiple_of(frame.dim()) {
            let expected = format!("rows of {}, at least one", counted(frame.dim(), "number"));
            return Err(Error::shape("Smoothed", expected, latents.len()));
        }
        if let Some(index) = first_non_finite(&latents) {
            let what = "points of a smoothed walk";
            return Err(Error::NonFinite { what, index });
        }
        if !(width > 0.0 && width <= 1.0) {
            let requirement = "must be above 0 and at most 1";
            return Err(Error::config("width", width, requirement));
        }
        Ok(Self {
            frame,
            latents,
            width,
        })
    }

    /// Number of coordinates.
    pub fn dim(&self) -> usize {
        self.frame.dim()
    }

    /// `n`, the number of components.
    pub fn components(&self) -> usize {
        self.latents.len() / self.dim()
    }

    /// The points that are smoothed, `F(z_a)`, `[n, dim]`.
    pub fn points(&self) -> Vec<T> {
        let rows = self.latents.chunks_exact(self.dim());
        rows.flat_map(|row| self.frame.image(row.to_vec()))
            .collect()
    }

    /// The frame, `z_a` (`[n, dim]`) and `s`.
    pub fn parts(&self) -> (&Frame<T>, &[T], f64) {
        (&self.frame, &self.latents, self.width)
    }

    /// `h` for rows of `z` (`[m, dim]`), row `i` through component `i mod n`, and `log |det dh/dz|`
    /// of that component.
    ///
    /// # Errors
    /// If `z` is not rows of `dim` numbers.
    pub fn forward(&self, z: &[T]) -> Result<(Vec<T>, Vec<f64>)> {
        let (dim, n) = (self.dim(), self.components());
        self.check(z)?;
        let keep = T::from_f64((1.0 - self.width * self.width).max(0.0).sqrt());
        let width = T::from_f64(self.width);
        let mut all = Vec::with_capacity(z.len());
        for (i, row) in z.chunks_exact(dim).enumerate() {
            let centre = &self.latents[(i % n) * dim..(i % n + 1) * dim];
            let latent = centre.iter().zip(row).map(|(&c, &z)| keep * c + width * z);
            all.extend(self.frame.image(latent.collect()));
        }
        let log_det = dim as f64 * self.width.ln() + self.frame.log_det();
        Ok((all, vec![log_det; z.len() / dim]))
    }

    /// `log q` of rows (`[m, dim]`), in nats.
    ///
    /// # Errors
    /// If the rows have another length.
    pub fn log_density(&self, theta: &[T]) -> Result<Vec<f64>> {
        self.check(theta)?;
        let dim = self.dim();
        let keep = (1.0 - self.width * self.width).max(0.0).sqrt();
        let centres = self.latents.iter().map(|&z| T::from_f64(keep * z.to_f64()));
        let centres: Vec<T> = centres.collect();
        let constant = 0.5 * (2.0 * std::f64::consts::PI).ln() + self.width.ln();
        let constant = dim as f64 * constant + self.frame.log_det();
        let rows: Vec<&[T]> = theta.chunks_exact(dim).collect();
        parallel::try_map(rows.len(), |i| {
            let latent = self.frame.latent(rows[i]);
            let logs = centres.chunks_exact(dim).map(|centre| {
                let far = distance(&latent, centre) / self.width;
                -0.5 * far * far
            });
            let logs: Vec<f64> = logs.collect();
            let top = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let sum: f64 = logs.iter().map(|l| (l - top).exp()).sum();
            Ok(top + (sum / logs.len() as f64).ln() - constant)
        })
    }

    fn check(&self, rows: &[T]) -> Result<()> {
        if rows.len().is_multiple_of(self.dim()) {
            return Ok(());
        }
        let expected = format!("rows of {}", counted(self.dim(), "number"));
        Err(Error::shape("Smoothed", expected, rows.len()))
    }
}

#[cfg(test)]
#[path = "smoothed_tests.rs"]
mod tests;
