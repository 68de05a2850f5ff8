//! Fixed orthogonal mixing: `y = z Q`.
//!
//! It keeps volume, and it shows the next coupling layer other combinations of the coordinates.

use rand::Rng;

use super::bijection::{Bijection, no_change};
use crate::autodiff::Var;
use crate::error::{Error, Result};
use crate::linalg::random_orthogonal;
use crate::linalg::vector::dot;

/// A rotation of coordinates that is chosen once and not learned.
#[derive(Clone, Debug)]
pub struct OrthogonalMixing {
    dim: usize,
    matrix: Vec<f64>,
}

impl OrthogonalMixing {
    /// A random rotation.
    pub fn random(dim: usize, rng: &mut impl Rng) -> Self {
        Self {
            dim,
            matrix: random_orthogonal(dim, rng),
        }
    }

    /// The rotation with this matrix, `[dim, dim]` row-major.
    ///
    /// # Errors
    /// If the rows are not orthonormal to 1e-5.
    pub fn from_matrix(dim: usize, matrix: Vec<f64>) -> Result<Self> {
        if matrix.len() != dim * dim {
            return Err(Error::shape("OrthogonalMixing", dim * dim, matrix.len()));
        }
        let rows: Vec<&[f64]> = matrix.chunks_exact(dim.max(1)).collect();
        for (i, a) in rows.iter().enumerate() {
            for (j, b) in rows[..=i].iter().enumerate() {
                let error = dot(a, b) - if i == j { 1.0 } else { 0.0 };
                if error.is_nan() || error.abs() > 1e-5 {
                    let got = format!("rows {i} and {j} that miss by {error:.1e}");
                    return Err(Error::shape("OrthogonalMixing", "orthonormal rows", got));
                }
            }
        }
        Ok(Self { dim, matrix })
    }

    fn matrix<'g>(&self, like: Var<'g>) -> Var<'g> {
        like.graph()
            .tensor(&[self.dim, self.dim], self.matrix.clone())
    }
}

impl Bijection for OrthogonalMixing {
    fn dim(&self) -> usize {
        self.dim
    }

    fn param_count(&self) -> usize {
        0
    }

    fn init(&self, _: &mut dyn Rng) -> Vec<f64> {
        Vec::new()
    }

    fn forward<'g>(&self, _: Var<'g>, z: Var<'g>) -> (Var<'g>, Var<'g>) {
        (z.matmul(self.matrix(z)), no_change(z.graph(), z))
    }

    fn inverse<'g>(&self, _: Var<'g>, y: Var<'g>) -> (Var<'g>, Var<'g>) {
        (y.matmul(self.matrix(y).t()), no_change(y.graph(), y))
    }
}
