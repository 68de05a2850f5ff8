//! Densities that can be evaluated: what walks, samplers and optimisers need.

use crate::error::Result;
use crate::scalar::Scalar;

/// An unnormalised log density on `R^dim`, with its gradient.
///
/// A value that is not finite is not an error. It means that the point is outside the support, or
/// that the arithmetic overflowed there. Samplers treat it as a divergence.
///
/// ```
/// use fiberwalk::{LogDensity, Result};
/// struct Normal;
/// impl LogDensity<f64> for Normal {
///     type Workspace = ();
///     fn dim(&self) -> usize { 2 }
///     fn workspace(&self) {}
///     fn log_density(&self, theta: &[f64], _: &mut ()) -> Result<f64> {
///         Ok(-0.5 * (theta[0].powi(2) + theta[1].powi(2)))
///     }
///     fn log_density_and_grad(
///         &self,
///         theta: &[f64],
///         grad: &mut [f64],
///         ws: &mut (),
///     ) -> Result<f64> {
///         grad.copy_from_slice(&[-theta[0], -theta[1]]);
///         self.log_density(theta, ws)
///     }
/// }
/// ```
pub trait LogDensity<T: Scalar>: Sync {
    /// Memory for an evaluation. Each thread needs one.
    type Workspace: Send;

    /// Number of coordinates.
    fn dim(&self) -> usize;

    /// Fresh memory.
    fn workspace(&self) -> Self::Workspace;

    /// The log density at `theta`, in nats.
    ///
    /// # Errors
    /// If `theta` has the wrong length.
    fn log_density(&self, theta: &[T], ws: &mut Self::Workspace) -> Result<f64>;

    /// The log density at `theta`, and its gradient in `grad`.
    ///
    /// # Errors
    /// If a length is wrong.
    fn log_density_and_grad(
        &self,
        theta: &[T],
        grad: &mut [T],
        ws: &mut Self::Workspace,
    ) -> Result<f64>;
}

/// A density whose log-likelihood has a positive semidefinite curvature, available as products with
/// vectors. Tangent spaces, preconditioners and Gauss-Newton steps use it.
pub trait Curved<T: Scalar>: LogDensity<T> {
    /// Memory for a product. Each thread needs one.
    type ProductWorkspace: Send;

    /// Fresh memory for [`Curved::ggn_product`].
    fn ggn_workspace(&self) -> Self::ProductWorkspace;

    /// `out = G v` with the generalised Gauss-Newton matrix `G = J^T Lambda J` of the likelihood at
    /// `theta`, prior excluded.
    ///
    /// # Errors
    /// If a length is wrong.
    fn ggn_product(
        &self,
        theta: &[T],
        v: &[T],
        out: &mut [T],
        ws: &mut Self::ProductWorkspace,
    ) -> Result<()>;

    /// Curvature of the prior, one value per parameter.
    fn prior_precision(&self) -> &[f64];
}
