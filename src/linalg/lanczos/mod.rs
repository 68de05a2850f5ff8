//! The Lanczos iteration with full reorthogonalisation.
//!
//! From a start vector the iteration builds `A V_m = V_m T_m + beta_m v_{m+1} e_m^T`, with
//! `V_m^T V_m = I` and `T_m` tridiagonal. An eigenpair `(theta, s)` of `T_m` gives the Ritz pair
//! `(theta, V_m s)` of `A` with residual `|beta_m s_m|` (Golub & Van Loan, Matrix Computations,
//! section 10.1). Every new vector is orthogonalised twice against all before it. That costs
//! `O(m^2 P)`, which is little beside the products with a Gauss-Newton matrix, and there are no
//! ghost eigenvalues.
//!
//! When the iteration exhausts an invariant subspace, it goes on with a random vector orthogonal to
//! it. So the whole spectrum can be reached. [`Lanczos`] keeps all its vectors, `m P` values: it
//! serves quadrature. Leading eigenpairs are found in a basis of bounded size, by thick restart
//! (file `restarted`).
//!
//! # One vector or a block
//!
//! The table counts products until 32 eigenpairs of a Gauss-Newton matrix have residuals below
//! `1e-4` of the largest eigenvalue, from 1, 2, 4 or 8 random vectors. The networks are 18-50-4 on
//! the vehicle data (trained: 500 steps) and LeNet-5 on 1,000 images of MNIST, both in f32:
//!
//! | start vectors | 1 | 2 | 4 | 8 |
//! |---|---|---|---|---|
//! | 18-50-4, at the start of training | 51 | 52 | 59 | 78 |
//! | 18-50-4, trained | 56 | 62 | 69 | 83 |
//! | LeNet-5 | 70 | 70 | 77 | |
//!
//! A product with a block costs as much as products with its vectors one by one, so a single vector
//! wins. The next table is about warm starts for a trained 18-50-4. They start from the
//! eigenvectors at a distance `h` from it, added up to 1, 2, 4 or 32 vectors. All 32 make a
//! Rayleigh-Ritz step that goes on as a band. The column `random` is a random start:
//!
//! | `h` | random | 1 | 2 | 4 | 32 |
//! |---|---|---|---|---|---|
//! | 0.001 | 57 | 51 | 46 | 37 | 32 |
//! | 0.01 | 57 | 51 | 46 | 46 | 36 |
//! | 0.1 | 57 | 51 | 51 | 51 | 66 |
//! | 1 | 57 | 57 | 57 | 63 | 110 |
//!
//! Rayleigh-Ritz wins where almost nothing moved, and loses by a factor of two elsewhere. Two sums
//! never lose, so they are the default ([`LanczosOptions::start_block`]). The tables leave out the
//! search for copies of eigenvalues (file `probe`), which adds 10 to 12 products to each number.

use rand::Rng;

mod leading;
mod probe;
mod restarted;
#[cfg(test)]
mod tests;

pub use leading::{
    ConvergedPairs, Eigenpairs, LanczosOptions, converged_eigenpairs, leading_eigenpairs,
    leading_eigenpairs_from,
};

use super::dense::{SymmetricEigen, symmetric_eigen};
use super::operator::SymmetricOperator;
use super::orthogonal::project_out;
use super::vector::{axpy, dot, norm, scale};
use crate::error::{Error, Result};
use crate::rng::fill_normal;
use crate::scalar::Scalar;

/// A growing Lanczos factorisation.
#[derive(Clone, Debug)]
pub struct Lanczos<T> {
    dim: usize,
    basis: Vec<T>,
    alpha: Vec<f64>,
    beta: Vec<f64>,
    /// The next basis vector before normalisation.
    residual: Vec<T>,
}

/// Ritz pairs of a factorisation, largest value first.
#[derive(Clone, Debug)]
pub struct Ritz {
    /// Ritz values, descending.
    pub values: Vec<f64>,
    /// `|A y - theta y|` of each pair.
    pub residuals: Vec<f64>,
    /// Row `i`: coordinates of Ritz vector `i` in the Lanczos basis.
    pub coefficients: Vec<f64>,
}

impl<T: Scalar> Lanczos<T> {
    /// A factorisation that starts from a Gaussian random vector.
    ///
    /// # Errors
    /// If `dim` is 0.
    pub fn new(dim: usize, rng: &mut impl Rng) -> Result<Self> {
        let mut start = vec![T::ZERO; dim];
        fill_normal(rng, &mut start);
        Self::from_start(start)
    }

    /// A factorisation that starts from the given vector.
    ///
    /// # Errors
    /// If the vector is empty, zero or not finite.
    pub fn from_start(start: Vec<T>) -> Result<Self> {
        let length = norm(&start);
        if !(length > 0.0 && length.is_finite()) {
            return Err(Error::config(
                "start vector",
                length,
                "its norm must be positive and finite",
            ));
        }
        Ok(Self {
            dim: start.len(),
            basis: Vec::new(),
            alpha: Vec::new(),
            beta: Vec::new(),
            residual: start,
        })
    }

    /// Number of basis vectors.
    pub fn len(&self) -> usize {
        self.alpha.len()
    }

    /// True before the first step.
    pub fn is_empty(&self) -> bool {
        self.alpha.is_empty()
    }

    /// The orthonormal basis, `[len, dim]` row-major.
    pub fn basis(&self) -> &[T] {
        &self.basis
    }

    /// Takes one product and extends the basis by one vector. Does nothing once the basis spans the
    /// space.
    ///
    /// # Errors
    /// If the operator fails or returns values that are not finite.
    pub fn step(&mut self, op: &mut dyn SymmetricOperator<T>, rng: &mut impl Rng) -> Result<()> {
        if self.len() == self.dim {
            return Ok(());
        }
        // the vector's memory is reused for the next one
        let mut w = std::mem::take(&mut self.residual);
        let length = norm(&w);
        scale(1.0 / length, &mut w);
        self.basis.extend_from_slice(&w);
        let v = &self.basis[self.len() * self.dim..];
        op.apply(v, &mut w)?;
        let image = norm(&w);
        if !image.is_finite() {
            let what = "product of a symmetric operator";
            let index = w.iter().position(|x| !x.is_finite()).unwrap_or(0);
            return Err(Error::NonFinite { what, index });
        }
        let alpha = dot(v, &w);
        axpy(-alpha, v, &mut w);
        project_out(&self.basis, &mut w);
        let mut beta = norm(&w);
        // what rounding leaves when the space spanned so far is invariant
        let scale_so_far = self.beta.iter().fold(image, |a, &b| a.max(b));
        if beta <= 10.0 * T::EPSILON.to_f64() * (self.dim as f64).sqrt() * scale_so_far
            || beta == 0.0
        {
            beta = 0.0;
            if self.len() + 1 < self.dim {
                fill_normal(rng, &mut w);
                project_out(&self.basis, &mut w);
            }
        }
        self.alpha.push(alpha);
        self.beta.push(beta);
        self.residual = w;
        Ok(())
    }

    /// Ritz pairs of the current factorisation.
    ///
    /// # Errors
    /// If the small eigenproblem fails.
    pub fn ritz(&self) -> Result<Ritz> {
        let m = self.len();
        let SymmetricEigen { values, vectors } = self.tridiagonal_eigen()?;
        let last = if m == self.dim {
            0.0
        } else {
            self.beta.last().copied().unwrap_or(0.0)
        };
        let mut ritz = Ritz {
            values: Vec::with_capacity(m),
            residuals: Vec::with_capacity(m),
            coefficients: Vec::with_capacity(m * m),
        };
        for i in (0..m).rev() {
            let s = &vectors[i * m..(i + 1) * m];
            ritz.values.push(values[i]);
            ritz.residuals.push((last * s[m - 1]).abs());
            ritz.coefficients.extend_from_slice(s);
        }
        Ok(ritz)
    }

    /// Eigen-decomposition of the tridiagonal matrix.
    pub(super) fn tridiagonal_eigen(&self) -> Result<SymmetricEigen> {
        let m = self.len();
        let mut t = vec![0.0; m * m];
        for i in 0..m {
            t[i * m + i] = self.alpha[i];
            if i + 1 < m {
                t[i * m + i + 1] = self.beta[i];
                t[(i + 1) * m + i] = self.beta[i];
            }
        }
        symmetric_eigen(&t, m)
    }

    /// The first `count` Ritz vectors (all, if there are fewer), `[count, dim]` row-major.
    pub fn vectors(&self, ritz: &Ritz, count: usize) -> Vec<T> {
        let m = self.len().max(1);
        let count = count.min(self.len());
        let mut out = vec![T::ZERO; count * self.dim];
        for (row, s) in out
            .chunks_exact_mut(self.dim)
            .zip(ritz.coefficients.chunks_exact(m))
        {
            for (v, &c) in self.basis.chunks_exact(self.dim).zip(s) {
                axpy(c, v, row);
            }
            let length = norm(row);
            scale(1.0 / length, row);
        }
        out
    }
}
