//! Kernels: they leave their target invariant, they move, and they can be saved and continued.
//!
//! | file | what it checks |
//! |---|---|
//! | `invariance` | exact draws of a known target are exact draws after some steps |
//! | `continued` | a walk that is saved after any block goes on bit for bit |
//! | `fields` | a reader and a writer of state |

mod continued;
mod fields;
mod invariance;

pub use continued::{ContinueOptions, check_continues};
pub use fields::SavedState;
pub use invariance::check_invariance;

use super::failure::Failure;
use super::targets::KnownDensity;
use crate::scalar::Scalar;
use crate::walk::Kernel;

/// Settings of [`check_kernel`] and [`check_invariance`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KernelOptions {
    /// The seed.
    pub seed: u64,
    /// Independent particles. The standard error of a mean is `1 / sqrt(particles)` deviations, so
    /// 4,000 find a bias of a tenth.
    pub particles: usize,
    /// Steps of each particle. An error of one step must have time to add up.
    pub steps: usize,
    /// Exact draws that each end point is ranked among.
    pub draws: usize,
    /// Probability of rejecting a right kernel, over all tests together.
    pub level: f64,
    /// Least squared move in every coordinate, as a share of what independent draws would give.
    pub least_move: f64,
    /// True if [`crate::walk::Info::energy`] is `-log p` at the new point, as it should be.
    pub energy: bool,
}

impl Default for KernelOptions {
    fn default() -> Self {
        Self {
            seed: 0,
            particles: 4_000,
            steps: 10,
            draws: 39,
            level: 1e-4,
            least_move: 0.01,
            energy: true,
        }
    }
}

/// Checks a kernel on a target with known moments: [`check_invariance`] and [`check_continues`].
///
/// `make` makes the kernel, always the same. The first check uses it as it is made, without a
/// warm-up; the second lets it tune itself.
///
/// # Errors
/// The first property that fails.
pub fn check_kernel<T, D, K>(
    make: impl Fn() -> K,
    target: &D,
    options: &KernelOptions,
) -> Result<(), Failure>
where
    T: Scalar,
    D: KnownDensity<T>,
    K: Kernel<T, D>,
{
    check_invariance(&make(), target, options)?;
    let mean: Vec<T> = target.mean().iter().map(|&m| T::from_f64(m)).collect();
    let settings = ContinueOptions {
        seed: options.seed,
        ..ContinueOptions::default()
    };
    check_continues(make, target, &[mean], &(), &settings)
}
