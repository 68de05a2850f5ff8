//! Samplers that are wrong on purpose: simulation-based calibration must reject them.

use fiberwalk::model::ExactMove;
use fiberwalk::walk::{Fields, Info, Kernel, Particle, WarmUp};
use fiberwalk::{LogDensity, PosteriorDensity, Result};
use rand_chacha::ChaCha8Rng;

/// The posterior, or what it would be without the Jacobians of its coordinates from `without` on.
pub(super) struct Target {
    pub posterior: PosteriorDensity<f64>,
    pub without: usize,
}

impl LogDensity<f64> for Target {
    type Workspace = <PosteriorDensity<f64> as LogDensity<f64>>::Workspace;
    fn dim(&self) -> usize {
        self.posterior.dim()
    }
    fn workspace(&self) -> Self::Workspace {
        self.posterior.workspace()
    }
    fn log_density(&self, phi: &[f64], ws: &mut Self::Workspace) -> Result<f64> {
        let missing: f64 = phi[self.without..].iter().sum();
        Ok(self.posterior.log_density(phi, ws)? - missing)
    }
    fn log_density_and_grad(
        &self,
        phi: &[f64],
        grad: &mut [f64],
        ws: &mut Self::Workspace,
    ) -> Result<f64> {
        let value = self.posterior.log_density_and_grad(phi, grad, ws)?;
        grad[self.without..].iter_mut().for_each(|g| *g -= 1.0);
        Ok(value - phi[self.without..].iter().sum::<f64>())
    }
}

/// An inner kernel with an exact move before each of its steps that it is not told of: it goes on
/// with the energy and the force from before the move.
///
/// This is the bug of a kernel that caches both in its state, and does not compute them anew after
/// a draw of the scales. The first kick of the next trajectory then has the force of the old
/// scales, and the Metropolis test compares with the old energy.
pub(super) struct Stale<'a, K> {
    pub inner: K,
    pub exact_move: &'a dyn ExactMove<f64>,
}

impl<D, K: Kernel<f64, D>> Kernel<f64, D> for Stale<'_, K> {
    type State = K::State;
    type Workspace = K::Workspace;
    fn workspace(&self, density: &D) -> Self::Workspace {
        self.inner.workspace(density)
    }
    fn init(
        &self,
        density: &D,
        theta: &[f64],
        rng: &mut ChaCha8Rng,
        ws: &mut Self::Workspace,
    ) -> Result<Self::State> {
        self.inner.init(density, theta, rng, ws)
    }
    fn step(
        &self,
        density: &D,
        state: &mut Self::State,
        rng: &mut ChaCha8Rng,
        ws: &mut Self::Workspace,
    ) -> Result<Info> {
        let mut theta = state.theta().to_vec();
        self.exact_move.apply(&mut theta, rng)?;
        state.fields(&mut Moved(&theta))?;
        self.inner.step(density, state, rng, ws)
    }
    fn memory(&self) -> usize {
        self.inner.memory()
    }
    fn before_adapt(&self, state: &mut Self::State, warm_up: &WarmUp<'_, f64>) {
        self.inner.before_adapt(state, warm_up);
    }
    fn adapt(&mut self, warm_up: &WarmUp<'_, f64>) -> Result<()> {
        self.inner.adapt(warm_up)
    }
    fn fields(&mut self, fields: &mut dyn Fields<f64>) -> Result<()> {
        self.inner.fields(fields)
    }
}

/// Puts a particle somewhere else, and leaves the rest of its state as it is.
struct Moved<'a>(&'a [f64]);

impl Fields<f64> for Moved<'_> {
    fn vector(&mut self, name: &str, value: &mut Vec<f64>) -> Result<()> {
        if name == "theta" {
            value.copy_from_slice(self.0);
        }
        Ok(())
    }
    fn numbers(&mut self, _: &str, _: &mut Vec<f64>) -> Result<()> {
        Ok(())
    }
    fn counts(&mut self, _: &str, _: &mut Vec<usize>) -> Result<()> {
        Ok(())
    }
}
