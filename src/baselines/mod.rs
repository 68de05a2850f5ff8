//! What the walk and its deformation are measured against, on the same engine: approximations of the same posterior, each the method of its
//! paper with that paper's defaults.
//!
//! | file | method |
//! |---|---|
//! | `hmc` | [`hmc()`] and [`nuts()`]: Hamiltonian Monte Carlo, the ground truth |
//! | `laplace` | Laplace: a Gaussian at the MAP estimate, of five structures |
//! | `ensemble` | deep ensembles: MAP estimates from different starts |
//! | `swag` | SWAG: the moments of descent at a constant rate |

mod draws;
mod ensemble;
mod hmc;
mod laplace;
mod swag;

pub use ensemble::{
    EnsembleMember, EnsembleOptions, EnsembleReport, fit_ensemble, fit_ensemble_minibatch,
};
pub use hmc::{
    Chain, ChainOptions, Chains, HmcOptions, NutsOptions, Trajectory, Transition, hmc, nuts,
};
pub use laplace::{
    Curvature, JointOutputGaussian, Laplace, LaplaceOptions, OutputGaussian, PrecisionGroups,
    Structure, TuneOptions, TuneReport, precision_grid,
};
pub use swag::{Swag, SwagOptions, SwagReport, fit_swag};
