//! The curvatures of a density at a point, as symmetric operators.
//!
//! - Gauss-Newton: `G = J^T Lambda J`, of the likelihood alone, positive semidefinite. One JVP, one
//!   small product, one VJP.
//! - Hessian of `U`, prior included: `H v = grad <grad U, v>`.
//! - Empirical Fisher: `F = sum_n g_n g_n^T` with the gradients of single rows, of the likelihood
//!   alone. It is not the Fisher information: its expectation is taken over the data, not over the
//!   model (Kunstner et al. 2019).
//! - Any of them in whitened coordinates: `S A S` with a diagonal `S`.
//!
//! With `S = diag(prior_precision)^{-1/2}` the coordinates are `phi = S^{-1} theta`, in which every
//! Gaussian prior is standard normal. Eigenvalues of `S G S` then say how much more the data
//! determine than the prior, even if precisions differ between layers.

use crate::error::{Error, Result, counted};
use crate::linalg::SymmetricOperator;
use crate::model::{
    Curved, FisherWorkspace, LogDensity, PosteriorDensity, ProductWorkspace, RowCurvature,
};
use crate::scalar::Scalar;

/// `v -> G v` at a point, with the Gauss-Newton matrix of the **likelihood alone**. The curvature
/// of the energy also includes the prior's precision. To get it, use
/// [`ShiftedOperator`](crate::linalg::ShiftedOperator) with this operator and
/// [`Curved::prior_precision`]. [`HessianOperator`] includes the prior.
pub struct GgnOperator<'a, T: Scalar, D: Curved<T> = PosteriorDensity<T>> {
    density: &'a D,
    theta: Vec<T>,
    ws: D::ProductWorkspace,
}

/// `v -> H v` at a point, with the Hessian of the **whole energy, prior included**. [`GgnOperator`]
/// leaves the prior out: to compare the two, add the prior's precision there.
pub struct HessianOperator<'a, T> {
    posterior: &'a PosteriorDensity<T>,
    theta: Vec<T>,
    ws: ProductWorkspace<T>,
}

/// `v -> F v` at a point.
pub struct EmpiricalFisherOperator<'a, T> {
    rows: &'a RowCurvature<T>,
    theta: Vec<T>,
    ws: FisherWorkspace<T>,
}

/// `v -> S A S v` with a diagonal `S`: the operator in the coordinates `S^{-1} theta`.
pub struct WhitenedOperator<T, A> {
    inner: A,
    scale: Vec<T>,
    scaled: Vec<T>,
}

impl<'a, T: Scalar, D: Curved<T>> GgnOperator<'a, T, D> {
    /// The operator at `theta`.
    ///
    /// # Errors
    /// If `theta` has the wrong length.
    pub fn new(density: &'a D, theta: &[T]) -> Result<Self> {
        check_length("GgnOperator", density.dim(), theta.len())?;
        Ok(Self {
            density,
            theta: theta.to_vec(),
            ws: density.ggn_workspace(),
        })
    }

    /// Moves the operator to another point and reuses its memory.
    ///
    /// # Errors
    /// If `theta` has the wrong length.
    pub fn move_to(&mut self, theta: &[T]) -> Result<()> {
        check_length("GgnOperator::move_to", self.theta.len(), theta.len())?;
        self.theta.copy_from_slice(theta);
        Ok(())
    }
}

impl<'a, T: Scalar> HessianOperator<'a, T> {
    /// The operator at `theta`.
    ///
    /// # Errors
    /// If `theta` has the wrong length.
    pub fn new(posterior: &'a PosteriorDensity<T>, theta: &[T]) -> Result<Self> {
        check_length("HessianOperator", posterior.dim(), theta.len())?;
        Ok(Self {
            posterior,
            theta: theta.to_vec(),
            ws: posterior.hessian_workspace(),
        })
    }
}

impl<'a, T: Scalar> EmpiricalFisherOperator<'a, T> {
    /// The operator at `theta`.
    ///
    /// # Errors
    /// If `theta` has the wrong length.
    pub fn new(rows: &'a RowCurvature<T>, theta: &[T]) -> Result<Self> {
        check_length("EmpiricalFisherOperator", rows.dim(), theta.len())?;
        Ok(Self {
            rows,
            theta: theta.to_vec(),
            ws: rows.fisher_workspace(),
        })
    }
}

impl<T: Scalar, A: SymmetricOperator<T>> WhitenedOperator<T, A> {
    /// The operator with `scale` as the diagonal of `S`.
    ///
    /// # Errors
    /// If `scale` has the wrong length, or a number in it is not positive and finite.
    pub fn new(inner: A, scale: Vec<T>) -> Result<Self> {
        check_length("WhitenedOperator", inner.dim(), scale.len())?;
        if let Some(s) = scale.iter().find(|s| !(**s > T::ZERO && s.is_finite())) {
            return Err(Error::config("scale", s, "must be positive and finite"));
        }
        let scaled = vec![T::ZERO; scale.len()];
        Ok(Self {
            inner,
            scale,
            scaled,
        })
    }

    /// The operator in the coordinates where a Gaussian prior with these precisions is standard
    /// normal: `S = diag(prior_precision)^{-1/2}`.
    ///
    /// # Errors
    /// As for [`WhitenedOperator::new`].
    pub fn by_prior(inner: A, prior_precision: &[f64]) -> Result<Self> {
        let scale = prior_precision.iter().map(|a| T::from_f64(1.0 / a.sqrt()));
        Self::new(inner, scale.collect())
    }

    /// The diagonal of `S`: `theta = S phi`.
    pub fn scale(&self) -> &[T] {
        &self.scale
    }

    /// The inner operator, `A`.
    pub fn inner_mut(&mut self) -> &mut A {
        &mut self.inner
    }
}

fn check_length(op: &'static str, expected: usize, got: usize) -> Result<()> {
    if got == expected {
        return Ok(());
    }
    Err(Error::shape(
        op,
        format!("a vector of {}", counted(expected, "parameter")),
        got,
    ))
}

impl<T: Scalar, D: Curved<T>> SymmetricOperator<T> for GgnOperator<'_, T, D> {
    fn dim(&self) -> usize {
        self.theta.len()
    }

    fn apply(&mut self, v: &[T], out: &mut [T]) -> Result<()> {
        self.density.ggn_product(&self.theta, v, out, &mut self.ws)
    }
}

impl<T: Scalar> SymmetricOperator<T> for EmpiricalFisherOperator<'_, T> {
    fn dim(&self) -> usize {
        self.theta.len()
    }

    fn apply(&mut self, v: &[T], out: &mut [T]) -> Result<()> {
        self.rows.fisher_product(&self.theta, v, out, &mut self.ws)
    }
}

impl<T: Scalar, A: SymmetricOperator<T>> SymmetricOperator<T> for WhitenedOperator<T, A> {
    fn dim(&self) -> usize {
        self.scale.len()
    }

    fn apply(&mut self, v: &[T], out: &mut [T]) -> Result<()> {
        check_length("WhitenedOperator::apply", self.scale.len(), v.len())?;
        for ((x, &v), &s) in self.scaled.iter_mut().zip(v).zip(&self.scale) {
            *x = s * v;
        }
        self.inner.apply(&self.scaled, out)?;
        for (x, &s) in out.iter_mut().zip(&self.scale) {
            *x *= s;
        }
        Ok(())
    }
}

impl<T: Scalar> SymmetricOperator<T> for HessianOperator<'_, T> {
    fn dim(&self) -> usize {
        self.theta.len()
    }

    fn apply(&mut self, v: &[T], out: &mut [T]) -> Result<()> {
        self.posterior
            .hessian_product(&self.theta, v, out, &mut self.ws)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linalg::DenseOperator;

    #[test]
    fn whitening_scales_rows_and_columns() {
        let a = DenseOperator::new(2, vec![8.0, 3.0, 3.0, 9.0]).unwrap();
        // prior precisions 4 and 9: S = diag(1/2, 1/3)
        let mut op = WhitenedOperator::by_prior(a.clone(), &[4.0, 9.0]).unwrap();
        let mut out = [0.0; 2];
        op.apply(&[1.0, 0.0], &mut out).unwrap();
        assert_eq!(out, [2.0, 0.5]);
        op.apply(&[0.0, 1.0], &mut out).unwrap();
        assert_eq!(out, [0.5, 1.0]);
        assert!(op.apply(&[1.0], &mut out).is_err());
        assert!(WhitenedOperator::by_prior(a.clone(), &[4.0, 0.0]).is_err());
        assert!(WhitenedOperator::new(a, vec![1.0]).is_err());
    }
}
