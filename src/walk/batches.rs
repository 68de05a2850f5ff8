//! Walks by gradients of random batches of rows: an approximation, for many rows.
//!
//! A step takes place in the energy of a batch `B` of `b` rows that is drawn for it,
//! `U_B(theta) = (N / b) sum_{i in B} -log p(y_i | theta) - log p(theta)`, whose mean over draws is `U`. What a particle keeps of the last
//! batch is computed anew in the new one, so both ends of a step are seen in one energy, and its **energy error is the integrator's
//! alone**: the noise of batches, which is far larger, does not reach the tuning of the step. That costs a second gradient of `b` rows a step. Batches are
//! drawn from the particle's own stream: the bits do not depend on threads, and a walk is resumed as any other.
//!
//! What it drops: the noise of the gradient, of covariance `(N^2 / b) Var(grad log p(y_i | theta))`, turns velocities besides what the posterior does. The
//! walk spreads too far, by an excess of the variance that goes as `step_size^2 / b`. It is not corrected, and there is no Metropolis test for
//! it: an adjusted kernel is exact for each `U_B` and so for none of them. Energies that are recorded are those of batches.

use rand_chacha::ChaCha8Rng;

use super::kernel::{Fields, Info, Kernel, Tally, WarmUp};
use crate::error::{Error, Result};
use crate::model::{Batch, LogDensity, Minibatch};
use crate::scalar::Scalar;

/// A kernel whose particles can go on in another density.
pub trait Refresh<T: Scalar, D: LogDensity<T>>: Kernel<T, D> {
    /// Computes anew what `state` keeps of the density where it is: one gradient.
    ///
    /// # Errors
    /// Only for misuse.
    fn refresh(&self, density: &D, state: &mut Self::State, ws: &mut Self::Workspace)
    -> Result<()>;
}

/// A kernel that takes each step in a batch of its own.
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
    /// If there are none in a batch.
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
        // what the kernel may spend on a frame it spends on all rows
        let gradients = warm_up.block.gradients as f64 * self.share;
        let block = Tally {
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
