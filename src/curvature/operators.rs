//! The two curvatures of a posterior at a point, as symmetric operators.
//!
//! - Gauss-Newton: `G = J^T Lambda J`, of the likelihood alone; positive semidefinite. One JVP, one small product, one VJP.
//! - Hessian of `U`, prior included: `H v = grad <grad U, v>`.

use crate::error::{Error, Result};
use crate::linalg::SymmetricOperator;
use crate::model::{Curved, LogDensity, Posterior, ProductWorkspace};
use crate::scalar::Scalar;

/// `v -> G v` at a point.
pub struct GgnOperator<'a, T> {
    posterior: &'a Posterior<T>,
    theta: Vec<T>,
    ws: ProductWorkspace<T>,
}

/// `v -> H v` at a point.
pub struct HessianOperator<'a, T> {
    posterior: &'a Posterior<T>,
    theta: Vec<T>,
    ws: ProductWorkspace<T>,
}

impl<'a, T: Scalar> GgnOperator<'a, T> {
    /// The operator at `theta`.
    ///
    /// # Errors
    /// If `theta` has the wrong length.
    pub fn new(posterior: &'a Posterior<T>, theta: &[T]) -> Result<Self> {
        check_length(posterior, theta)?;
        Ok(Self {
            posterior,
            theta: theta.to_vec(),
            ws: posterior.ggn_workspace(),
        })
    }
}

impl<'a, T: Scalar> HessianOperator<'a, T> {
    /// The operator at `theta`.
    ///
    /// # Errors
    /// If `theta` has the wrong length.
    pub fn new(posterior: &'a Posterior<T>, theta: &[T]) -> Result<Self> {
        check_length(posterior, theta)?;
        Ok(Self {
            posterior,
            theta: theta.to_vec(),
            ws: posterior.hessian_workspace(),
        })
    }
}

fn check_length<T: Scalar>(posterior: &Posterior<T>, theta: &[T]) -> Result<()> {
    if theta.len() == posterior.dim() {
        Ok(())
    } else {
        Err(Error::shape(
            "curvature operator",
            posterior.dim(),
            theta.len(),
        ))
    }
}

impl<T: Scalar> SymmetricOperator<T> for GgnOperator<'_, T> {
    fn dim(&self) -> usize {
        self.theta.len()
    }

    fn apply(&mut self, v: &[T], out: &mut [T]) -> Result<()> {
        self.posterior
            .ggn_product(&self.theta, v, out, &mut self.ws)
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
