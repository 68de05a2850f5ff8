//! The energy of one batch of rows as a density: a step of a minibatch walk is taken in it.

use rand::{Rng, RngExt};

use super::LogDensity;
use super::minibatch::{Minibatch, MinibatchWorkspace};
use crate::error::Result;
use crate::scalar::Scalar;

/// `-U_B`: the batch `B` and the scale `N / |B|` are fixed. A batch shares the data and programs of
/// the posterior it was drawn from.
#[derive(Clone, Debug)]
pub struct Batch<T>(pub(super) Minibatch<T>);

impl<T: Scalar> Minibatch<T> {
    /// Draws `count` rows (at least one) independently, so a row may occur twice. The mean of `U_B`
    /// over draws is `U`. The variance of its gradient scales as `1 / count`.
    pub fn draw(&self, count: usize, rng: &mut impl Rng) -> Batch<T> {
        let any = |_| rng.random_range(0..self.rows());
        Batch(self.scaled_part((0..count.max(1)).map(any).collect()))
    }
}

impl<T: Scalar> LogDensity<T> for Batch<T> {
    type Workspace = MinibatchWorkspace<T>;

    fn dim(&self) -> usize {
        self.0.dim()
    }

    fn workspace(&self) -> MinibatchWorkspace<T> {
        self.0.workspace()
    }

    fn log_density(&self, theta: &[T], ws: &mut MinibatchWorkspace<T>) -> Result<f64> {
        self.0.log_density(theta, ws)
    }

    fn log_density_and_grad(
        &self,
        theta: &[T],
        grad: &mut [T],
        ws: &mut MinibatchWorkspace<T>,
    ) -> Result<f64> {
        self.0.log_density_and_grad(theta, grad, ws)
    }
}
