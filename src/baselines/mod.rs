//! What the walk and its deformation are measured against, on the same engine: approximations of the same posterior, each the method of its
//! paper with that paper's defaults.
//!
//! | file | method |
//! |---|---|
//! | `ensemble` | deep ensembles: MAP estimates from different starts |
//! | `swag` | SWAG: the moments of descent at a constant rate |

mod draws;
mod ensemble;
mod swag;

pub use ensemble::{
    EnsembleMember, EnsembleOptions, EnsembleReport, fit_ensemble, fit_ensemble_minibatch,
};
pub use swag::{Swag, SwagOptions, SwagReport, fit_swag};
