//! Baselines: other approximations of the same posterior, on the same engine.
//!
//! The walk and its deformation are measured against them. Each method follows its paper. Every
//! file says where its defaults come from: the paper, a widely used implementation, or ours.
//!
//! | file | method |
//! |---|---|
//! | `hmc` | [`hmc()`] and [`nuts()`]: Hamiltonian Monte Carlo, the ground truth |
//! | `laplace` | Laplace: a Gaussian at the MAP estimate, of five structures |
//! | `ensemble` | deep ensembles: MAP estimates from different starts |
//! | `swag` | SWAG: the moments of descent at a constant rate |
//! | `sgld` | Langevin dynamics by minibatches, plain and preconditioned |
//! | `dropout` | Monte Carlo dropout |
//! | `riemann` | Riemannian Laplace: draws carried along geodesics of the energy's graph |
//! | `variational` | mean-field variational inference: Bayes by backprop |

mod draws;
mod dropout;
mod ensemble;
mod gradients;
mod history;
mod hmc;
mod laplace;
mod limit;
mod riemann;
mod sgld;
mod swag;
mod variational;

pub use dropout::{Dropout, DropoutMasks, DropoutOptions, DropoutReport, fit_dropout};
pub use ensemble::{
    EnsembleMember, EnsembleOptions, EnsembleReport, fit_ensemble, fit_ensemble_minibatch,
};
pub use gradients::{AllRows, BatchMemory, GradientSource, RandomBatches};
pub use hmc::{
    Chain, ChainOptions, Chains, Hamiltonian, HamiltonianState, HamiltonianWorkspace, Hmc,
    HmcOptions, Nuts, NutsOptions, Trajectory, Transition, hmc, hmc_with_progress, nuts,
    nuts_with_progress,
};
pub use laplace::{
    Curvature, Laplace, LaplaceOptions, PrecisionGroups, Structure, TuneOptions, TuneReport,
    precision_grid,
};
#[cfg(feature = "safetensors")]
pub(crate) use limit::check_seconds;
pub use riemann::{
    DormandPrince, Geodesic, OdeFunction, OdeOptions, OdeReport, RiemannLaplace, RiemannReport,
    SecondOrder,
};
pub use sgld::{
    Preconditioner, Sgld, SgldOptions, SgldReport, SgldState, SgldWorkspace, StepDecay, sgld,
    sgld_with_progress,
};
pub use swag::{Swag, SwagOptions, SwagReport, fit_swag};
pub use variational::{MeanField, VariationalOptions, VariationalReport, fit_variational};
