//! One particle with its random stream: all that its next step depends on, besides the kernel and
//! the density.
//!
//! It can be stored between any two steps. Restored into a walker that was made alike, it goes on
//! bit for bit:
//!
//! ```
//! use fiberwalk::baselines::{Nuts, NutsOptions};
//! use fiberwalk::walk::{Kernel, Walker};
//! # use fiberwalk::{LogDensity, Phase, Result, Streams};
//! # struct Normal;
//! # impl LogDensity<f64> for Normal {
//! #     type Workspace = ();
//! #     fn dim(&self) -> usize { 1 }
//! #     fn workspace(&self) {}
//! #     fn log_density(&self, theta: &[f64], _: &mut ()) -> Result<f64> {
//! #         Ok(-0.5 * theta[0].powi(2))
//! #     }
//! #     fn log_density_and_grad(&self, theta: &[f64], grad: &mut [f64], ws: &mut ())
//! #         -> Result<f64> {
//! #         grad[0] = -theta[0];
//! #         self.log_density(theta, ws)
//! #     }
//! # }
//! let kernel = Nuts::new(&NutsOptions::default())?;
//! let mut ws = Kernel::<f64, Normal>::workspace(&kernel, &Normal);
//! let rng = Streams::new(0).rng(Phase::USER, 0);
//! let mut walker = Walker::new(&kernel, &Normal, &[0.3], rng, &mut ws)?;
//! for _ in 0..10 {
//!     let info = walker.step(&kernel, &Normal, &mut ws)?;
//!     // a step may diverge while its size is tuned; the walker then stays where it was
//!     assert!(info.energy.is_finite());
//! }
//! # Ok::<(), fiberwalk::Error>(())
//! ```

use rand_chacha::ChaCha8Rng;

use super::kernel::{Fields, Info, Kernel, Particle};
use crate::error::Result;
use crate::scalar::Scalar;

/// A particle with its random generator.
#[derive(Clone, Debug)]
pub struct Walker<S> {
    pub(super) state: S,
    pub(super) rng: ChaCha8Rng,
}

impl<S> Walker<S> {
    /// A particle at `theta` that draws from `rng`.
    ///
    /// # Errors
    /// Those of [`Kernel::init`].
    pub fn new<T, D, K>(
        kernel: &K,
        density: &D,
        theta: &[T],
        mut rng: ChaCha8Rng,
        ws: &mut K::Workspace,
    ) -> Result<Self>
    where
        T: Scalar,
        K: Kernel<T, D, State = S>,
    {
        let state = kernel.init(density, theta, &mut rng, ws)?;
        Ok(Self { state, rng })
    }

    /// The state of the particle.
    pub fn state(&self) -> &S {
        &self.state
    }

    /// Takes one step.
    ///
    /// # Errors
    /// Those of [`Kernel::step`].
    pub fn step<T, D, K>(&mut self, kernel: &K, density: &D, ws: &mut K::Workspace) -> Result<Info>
    where
        T: Scalar,
        K: Kernel<T, D, State = S>,
    {
        kernel.step(density, &mut self.state, &mut self.rng, ws)
    }

    /// Visits the state and the position of the random generator. (The generator itself follows
    /// from the seed.)
    ///
    /// # Errors
    /// Those of `fields`, and if the values read are impossible.
    pub fn fields<T>(&mut self, fields: &mut dyn Fields<T>) -> Result<()>
    where
        S: Particle<T>,
    {
        self.state.fields(fields)?;
        self.position_fields(fields)
    }

    /// Visits the position of the random generator.
    pub(super) fn position_fields<T>(&mut self, fields: &mut dyn Fields<T>) -> Result<()> {
        // a position of at most 2^68 words, in two counts
        let position = self.rng.get_word_pos();
        let mut low = (position & 0xffff_ffff) as usize;
        let mut high = (position >> 32) as usize;
        fields.count("words", &mut low)?;
        fields.count("word_blocks", &mut high)?;
        self.rng.set_word_pos(((high as u128) << 32) | low as u128);
        Ok(())
    }
}
