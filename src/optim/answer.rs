//! What a callback for progress may answer: go on, or stop here.

use crate::error::Result;

/// The answer of a callback for progress. Training calls it after every step. With `()` it always
/// goes on. With a [`Result`] it ends at the first error, and returns that error.
///
/// ```
/// use fiberwalk::optim::{MapOptions, fit_map};
/// use fiberwalk::{Error, LogDensity, Result};
/// # struct Normal;
/// # impl LogDensity<f64> for Normal {
/// #     type Workspace = ();
/// #     fn dim(&self) -> usize { 1 }
/// #     fn workspace(&self) {}
/// #     fn log_density(&self, theta: &[f64], _: &mut ()) -> Result<f64> {
/// #         Ok(-0.5 * theta[0].powi(2))
/// #     }
/// #     fn log_density_and_grad(&self, theta: &[f64], grad: &mut [f64], ws: &mut ())
/// #         -> Result<f64> {
/// #         grad[0] = -theta[0];
/// #         self.log_density(theta, ws)
/// #     }
/// # }
/// let options = MapOptions::default();
/// let ended = fit_map(&Normal, vec![1.0], &options, |done| match done {
///     10 => Err(Error::data("ten steps are enough")),
///     _ => Ok(()),
/// });
/// assert!(ended.is_err_and(|e| e.to_string().contains("enough")));
/// # Ok::<(), fiberwalk::Error>(())
/// ```
pub trait Answer {
    /// The answer as a result.
    ///
    /// # Errors
    /// If the work is to end here.
    fn result(self) -> Result<()>;
}

impl Answer for () {
    fn result(self) -> Result<()> {
        Ok(())
    }
}

impl Answer for Result<()> {
    fn result(self) -> Result<()> {
        self
    }
}
