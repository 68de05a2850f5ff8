//! What a walk is made of: a rule that moves one particle by one step.

use rand_chacha::ChaCha8Rng;

use crate::error::Result;
use crate::model::LogDensity;
use crate::scalar::Scalar;

/// A rule that moves a particle. The state caches what the next step needs; [`Info`] is for the reader and never feeds
/// back.
pub trait Kernel<T: Scalar, D: LogDensity<T>>: Sync {
    /// What a particle carries.
    type State: Send;

    /// A particle at `theta`.
    ///
    /// # Errors
    /// If `theta` has the wrong length or the density is not finite there.
    fn init(
        &self,
        density: &D,
        theta: &[T],
        rng: &mut ChaCha8Rng,
        ws: &mut D::Workspace,
    ) -> Result<Self::State>;

    /// One step, in place.
    ///
    /// # Errors
    /// Only for misuse: a divergence is part of [`Info`].
    fn step(
        &self,
        density: &D,
        state: &mut Self::State,
        rng: &mut ChaCha8Rng,
        ws: &mut D::Workspace,
    ) -> Result<Info>;

    /// Where a particle is.
    fn theta<'s>(&self, state: &'s Self::State) -> &'s [T];
}

/// What happened in a step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Info {
    /// `U` at the new point, in nats.
    pub energy: f64,
    /// Length of the move.
    pub displacement: f64,
    /// The point is one that the kernel vouches for.
    pub viable: bool,
    /// The step could not be taken as it was meant: the arithmetic left its domain, or the energy could not be held. The
    /// particle stayed, or took what the kernel falls back on.
    pub diverged: bool,
    /// Gradients computed.
    pub gradients: usize,
}
