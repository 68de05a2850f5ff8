//! What the walk and its deformation are measured against, on the same engine: approximations of the same posterior, each the method of its
//! paper with that paper's defaults.
//!
//! | file | method |
//! |---|---|
//! | `hmc` | [`hmc()`] and [`nuts()`]: Hamiltonian Monte Carlo, the ground truth |

mod hmc;

pub use hmc::{
    Chain, ChainOptions, Chains, HmcOptions, NutsOptions, Trajectory, Transition, hmc, nuts,
};
