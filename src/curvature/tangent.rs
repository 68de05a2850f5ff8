//! The tangent space of the fiber, and its orthogonal complement.
//!
//! Near `theta` the training outputs change by `J dtheta`. Directions that change them are the leading eigenvectors of
//! `G = J^T Lambda J`: those with `lambda > kappa alpha`, where the data say more than `kappa` times what the prior says,
//! span the **normal space**. Its complement, in which one can move and keep the predictions, is the **tangent space**.
//! With `B` the orthonormal normal directions as rows, the projectors are `B^T B` and `I - B^T B`.
//!
//! What it drops: normal directions beyond `max_normal`, and those that Lanczos did not resolve within its budget. The
//! report says how many there are and whether the spectrum was followed down to the threshold.

use crate::error::{Error, Result};
use crate::linalg::{Lanczos, SymmetricOperator, project_out};
use crate::rng::{Phase, Streams};
use crate::scalar::Scalar;

/// How the normal space is chosen and computed.
#[derive(Clone, Debug)]
pub struct TangentOptions {
    /// Eigenvalues above `kappa` times the prior precision are normal directions.
    pub kappa: f64,
    /// At most so many of them.
    pub max_normal: usize,
    /// Residual of an accepted eigenpair, relative to the largest eigenvalue.
    pub tolerance: f64,
    /// Largest number of products with the operator.
    pub max_products: usize,
}

impl Default for TangentOptions {
    fn default() -> Self {
        Self {
            kappa: 1.0,
            max_normal: 64,
            tolerance: 1e-5,
            max_products: 200,
        }
    }
}

/// The split of parameter space at a point.
#[derive(Clone, Debug)]
pub struct TangentSpace<T> {
    dim: usize,
    values: Vec<f64>,
    basis: Vec<T>,
    prior_precision: f64,
    complete: bool,
    products: usize,
}

impl<T: Scalar> TangentSpace<T> {
    /// The split by the leading eigenvectors of `op`, a Gauss-Newton matrix, against the given prior precision.
    ///
    /// # Errors
    /// If a setting is out of range or the operator fails.
    pub fn new(
        op: &mut impl SymmetricOperator<T>,
        prior_precision: f64,
        options: &TangentOptions,
        streams: Streams,
    ) -> Result<Self> {
        if options.kappa.is_nan() || options.kappa <= 0.0 {
            return Err(Error::config("kappa", options.kappa, "must be positive"));
        }
        if options.tolerance.is_nan() || options.tolerance <= 0.0 {
            return Err(Error::config(
                "tolerance",
                options.tolerance,
                "must be positive",
            ));
        }
        let dim = op.dim();
        let threshold = options.kappa * prior_precision;
        let mut rng = streams.rng(Phase::LANCZOS, 0);
        let mut lanczos = Lanczos::new(dim, &mut rng)?;
        let limit = options.max_products.min(dim);
        while lanczos.len() < limit {
            lanczos.step(op, &mut rng)?;
            let m = lanczos.len();
            if !m.is_multiple_of(8) && m < limit {
                continue;
            }
            let ritz = lanczos.ritz()?;
            let top = ritz.values.first().map_or(0.0, |v| v.abs());
            let converged = ritz
                .residuals
                .iter()
                .take_while(|&&r| r <= options.tolerance * top)
                .count();
            let above = ritz.values[..converged]
                .iter()
                .take_while(|&&v| v > threshold)
                .count();
            let complete = above < converged || m == dim;
            if complete || above >= options.max_normal || m >= limit {
                let count = above.min(options.max_normal);
                return Ok(Self {
                    dim,
                    values: ritz.values[..count].to_vec(),
                    basis: lanczos.vectors(&ritz, count),
                    prior_precision,
                    complete: complete && above <= options.max_normal,
                    products: m,
                });
            }
        }
        Err(Error::config(
            "max_products",
            options.max_products,
            "must be positive",
        ))
    }

    /// `P`.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// Eigenvalues of the normal directions, descending.
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// The normal directions, `[k, P]` row-major, orthonormal rows.
    pub fn basis(&self) -> &[T] {
        &self.basis
    }

    /// Dimension of the normal space.
    pub fn normal_dim(&self) -> usize {
        self.values.len()
    }

    /// True if the spectrum was followed down to the threshold: there is no further normal direction.
    pub fn is_complete(&self) -> bool {
        self.complete
    }

    /// Products that were taken.
    pub fn products(&self) -> usize {
        self.products
    }

    /// `sum lambda / (lambda + alpha)` over the normal directions: how many parameters the data determine.
    pub fn effective_dimension(&self) -> f64 {
        let alpha = self.prior_precision;
        self.values.iter().map(|l| l / (l + alpha)).sum()
    }

    /// Projects on the tangent space, in place.
    pub fn project_tangent(&self, v: &mut [T]) {
        project_out(&self.basis, v);
    }

    /// Projects on the normal space, in place.
    pub fn project_normal(&self, v: &mut [T]) {
        let mut tangent = v.to_vec();
        project_out(&self.basis, &mut tangent);
        for (x, t) in v.iter_mut().zip(&tangent) {
            *x -= *t;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linalg::DenseOperator;
    use crate::linalg::vector::{dot, fill_normal, norm};

    #[test]
    fn projectors_split_the_space() {
        let n = 12;
        let mut a = vec![0.0f64; n * n];
        for i in 0..n {
            a[i * n + i] = 4f64.powi(5 - i as i32);
        }
        let mut op = DenseOperator::new(n, a).unwrap();
        let streams = Streams::new(0);
        let options = TangentOptions::default();
        // eigenvalues 1024, 256, 64, 16, 4, 1, 1/4...: five are above 2
        let space = TangentSpace::new(&mut op, 2.0, &options, streams).unwrap();
        assert_eq!(space.normal_dim(), 5);
        assert!(space.is_complete());
        let want: f64 = [1024.0, 256.0, 64.0, 16.0, 4.0]
            .iter()
            .map(|l| l / (l + 2.0))
            .sum();
        assert!((space.effective_dimension() - want).abs() < 1e-10);
        let mut v = vec![0.0; n];
        fill_normal(&mut streams.rng(Phase::USER, 0), &mut v);
        let (mut t, mut m) = (v.clone(), v.clone());
        space.project_tangent(&mut t);
        space.project_normal(&mut m);
        assert!(norm(&t[..5]) < 1e-9 && norm(&m[5..]) < 1e-9);
        assert!(dot(&t, &m).abs() < 1e-12);
        let (mut tt, mut tm) = (t.clone(), m.clone());
        space.project_tangent(&mut tt);
        space.project_tangent(&mut tm);
        for i in 0..n {
            assert!((t[i] + m[i] - v[i]).abs() < 1e-12, "complementary");
            assert!((tt[i] - t[i]).abs() < 1e-12, "idempotent");
            assert!(tm[i].abs() < 1e-12, "they annihilate one another");
        }
        let few = TangentOptions {
            max_normal: 3,
            ..options
        };
        let space = TangentSpace::new(&mut op, 2.0, &few, streams).unwrap();
        assert_eq!((space.normal_dim(), space.is_complete()), (3, false));
    }
}
