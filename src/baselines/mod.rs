//! What the walk and its deformation are measured against, on the same engine: approximations of the same posterior, each the method of its
//! paper with that paper's defaults.
//!
//! | file | method |
//! |---|---|
//! | `ensemble` | deep ensembles: MAP estimates from different starts |

mod ensemble;

pub use ensemble::{
    EnsembleMember, EnsembleOptions, EnsembleReport, fit_ensemble, fit_ensemble_minibatch,
};
