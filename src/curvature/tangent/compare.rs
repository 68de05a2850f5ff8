//! Compares two tangent spaces: the angles between them, and the transport of a direction.
//!
//! The principal angles of two subspaces with orthonormal rows `B1`, `B2` have as cosines the
//! singular values of `B1 B2^T`, and as sines those of `B2 (I - B1^T B1)` (Bjoerck & Golub 1973).
//! Cosines cannot resolve angles below `1e-8`. Sines cannot resolve angles that close to a right
//! angle. The arc tangent of both is accurate everywhere. The angles between two tangent spaces are
//! those between the normal spaces, plus zeros.

use super::TangentSpace;
use crate::error::{Error, Result, counted};
use crate::linalg::vector::{dot, norm, scale};
use crate::linalg::{project_out, singular_values};
use crate::scalar::Scalar;

impl<T: Scalar> TangentSpace<T> {
    /// Principal angles between the two normal spaces, ascending, in radians. There are as many as
    /// the smaller space has dimensions. If both have the same dimension, these are also the angles
    /// between the tangent spaces, without the zeros.
    ///
    /// # Errors
    /// If the spaces belong to different numbers of parameters.
    pub fn angles(&self, other: &Self) -> Result<Vec<f64>> {
        self.check(other)?;
        let (large, small) = if self.normal_dim() >= other.normal_dim() {
            (self, other)
        } else {
            (other, self)
        };
        let n = self.dim.max(1);
        let k = small.normal_dim();
        let products: Vec<f64> = small
            .basis
            .chunks_exact(n)
            .flat_map(|b| large.basis.chunks_exact(n).map(move |a| dot(a, b)))
            .collect();
        let cosines = singular_values(&products, k, large.normal_dim())?;
        let mut rest = small.basis.clone();
        for row in rest.chunks_exact_mut(n) {
            project_out(&large.basis, row);
        }
        let sines = singular_values(&lower_factor(&mut rest, n), k, k)?;
        // both cosines and sines descend; angles ascend
        let pairs = cosines.iter().zip(sines.iter().rev());
        Ok(pairs.map(|(&c, &s)| s.atan2(c)).collect())
    }

    /// Carries a direction of this tangent space to that of a nearby point, in place: projects it
    /// and restores its length. Returns false if nothing is left of `v`: within rounding, all of it
    /// was normal to the other space. Its numbers then mean nothing.
    ///
    /// # Errors
    /// If a length is wrong.
    pub fn transport(&self, to: &Self, v: &mut [T]) -> Result<bool> {
        self.check(to)?;
        if v.len() != self.dim {
            return Err(Error::shape("TangentSpace::transport", self.dim, v.len()));
        }
        let before = norm(v);
        to.project_tangent(v);
        let after = norm(v);
        // catches NaN in either, too
        if after.partial_cmp(&(100.0 * T::EPSILON.to_f64() * before))
            != Some(std::cmp::Ordering::Greater)
        {
            return Ok(false);
        }
        scale(before / after, v);
        Ok(true)
    }

    fn check(&self, other: &Self) -> Result<()> {
        if self.dim == other.dim {
            return Ok(());
        }
        let expected = format!("a space of {}", counted(self.dim, "parameter"));
        Err(Error::shape("TangentSpace", expected, other.dim))
    }
}

/// `L` of `rows = L Q` with orthonormal rows `Q`; `L` is `[k, k]` and has the same singular values.
/// The rows become `Q`.
fn lower_factor<T: Scalar>(rows: &mut [T], n: usize) -> Vec<f64> {
    let k = rows.len() / n;
    let mut lower = vec![0.0; k * k];
    for i in 0..k {
        let (done, rest) = rows.split_at_mut(i * n);
        let row = &mut rest[..n];
        let before = norm(row);
        for (j, q) in done.chunks_exact(n).enumerate() {
            lower[i * k + j] = dot(q, row);
        }
        project_out(done, row);
        let length = norm(row);
        // a dependent row leaves only rounding errors, not a direction
        if length > 10.0 * T::EPSILON.to_f64() * before {
            lower[i * k + i] = length;
            scale(1.0 / length, row);
        } else {
            row.fill(T::ZERO);
        }
    }
    lower
}
