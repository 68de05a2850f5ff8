//! Walks with gradients of random batches of rows: an approximation for data with many rows.
//!
//! Each step draws a batch `B` of `b` rows and takes place in the energy of that batch,
//! `U_B(theta) = (N / b) sum_{i in B} -log p(y_i | theta) - log p(theta)`. The mean of `U_B` over
//! draws is `U`. A particle caches the energy and gradient of its last batch; they are computed
//! anew in the new batch. Both ends of a step are then seen in one energy, so the **energy error is
//! the integrator's alone**. The noise of batches is far larger, and it does not reach the tuning
//! of the step. The price is a second gradient of `b` rows per step. Batches are drawn from the
//! particle's random stream, so the result does not depend on threads, and a walk resumes as any
//! other.
//!
//! What it drops: the noise of the gradient, of covariance
//! `(N^2 / b) Var(grad log p(y_i | theta))`, turns velocities in addition to the posterior's force.
//! The walk therefore spreads too far: the excess variance goes as `step_size^2 / b`. Nothing
//! corrects this, and there is no Metropolis test for it: an adjusted kernel is exact for each
//! `U_B`, and so for none of them. Recorded energies are energies of batches.

use rand_chacha::ChaCha8Rng;

use super::kernel::{Fields, Info, Kernel, StepStatistics, WarmUp};
use crate::error::{Error, Result};
use crate::model::{Batch, LogDensity, Minibatch};
use crate::scalar::Scalar;

/// A kernel whose particles can continue in another density.
pub trait Refresh<T: Scalar, D: LogDensity<T>>: Kernel<T, D> {
    /// Recomputes what `state` caches of the density at its point: one gradient.
    ///
    /// # Errors
    /// Only for misuse.
    fn refresh(&self, density: &D, state: &mut Self::State, ws: &mut Self::Workspace)
    -> Result<()>;
}

/// A kernel that takes each step in a fresh batch.
#[derive(Clone, Debug)]
pub struct Batched<K> {
    inner: K,
    rows: usize,
    /// Rows of a batch as a share of all.
    share: f64,
}

impl<K> Batched<K> {
    /// Steps of `inner` in batches of `rows` rows of `data`.
    ///
    /// # Errors
    /// If `rows` is zero.
    pub fn new<T: Scalar>(inner: K, data: &Minibatch<T>, rows: usize) -> Result<Self> {
        if rows == 0 {
            return Err(Error::config("walk_batch", 0, "must be positive"));
        }
        let share = rows as f64 / data.rows() as f64;
        Ok(Self { inner, rows, share })
    }

    /// The kernel that takes the steps.
    pub fn into_inner(self) -> K {
        self.inner
    }
}

impl<T: Scalar, K: Refresh<T, Batch<T>>> Kernel<T, Minibatch<T>> for Batched<K> {
    type State = K::State;
    type Workspace = K::Workspace;

    fn workspace(&self, density: &Minibatch<T>) -> K::Workspace {
        self.inner.workspace(&density.first())
    }

    fn init(
        &self,
        density: &Minibatch<T>,
        theta: &[T],
        rng: &mut ChaCha8Rng,
        ws: &mut K::Workspace,
    ) -> Result<K::State> {
        let batch = density.draw(self.rows, rng);
        self.inner.init(&batch, theta, rng, ws)
    }

    fn step(
        &self,
        density: &Minibatch<T>,
        state: &mut K::State,
        rng: &mut ChaCha8Rng,
        ws: &mut K::Workspace,
    ) -> Result<Info> {
        let batch = density.draw(self.rows, rng);
        self.inner.refresh(&batch, state, ws)?;
        let info = self.inner.step(&batch, state, rng, ws)?;
        Ok(Info {
            gradients: info.gradients + 1,
            ..info
        })
    }

    fn memory(&self) -> usize {
        self.inner.memory()
    }

    fn before_adapt(&self, state: &mut K::State, warm_up: &WarmUp<'_, T>) {
        self.inner.before_adapt(state, warm_up);
    }

    fn adapt(&mut self, warm_up: &WarmUp<'_, T>) -> Result<()> {
        // the kernel's frame budget counts gradients over all rows
        let gradients = warm_up.block.gradients as f64 * self.share;
        let block = StepStatistics {
            gradients: gradients as usize,
            ..warm_up.block.clone()
        };
        self.inner.adapt(&WarmUp {
            steps: warm_up.steps,
            at_most: warm_up.at_most,
            last: warm_up.last,
            block: &block,
            positions: warm_up.positions.clone(),
        })
    }

    fn fields(&mut self, fields: &mut dyn Fields<T>) -> Result<()> {
        self.inner.fields(fields)
    }
}
