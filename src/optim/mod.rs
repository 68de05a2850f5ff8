//! Optimisation: finds the maximum a posteriori estimate from which walks start.
//!
//! Gradients use all data or minibatches.

mod adam;
mod adamw;
mod answer;
mod clip;
mod descent;
mod map;
mod minibatch;
mod newton;
mod optimizer;
mod schedule;
mod sgd;

pub use adam::{Adam, AdamOptions};
pub use adamw::{AdamW, AdamWOptions};
pub use answer::Answer;
pub use clip::clip_by_norm;
pub(crate) use descent::{Descent, LOWER_RATE};
pub use map::{MapOptions, MapReport, fit_map, fit_map_with};
pub use minibatch::{
    EpochReport, MinibatchOptions, MinibatchProgress, MinibatchReport, fit_minibatch,
    fit_minibatch_with,
};
pub use newton::{PolishOptions, PolishReport, polish};
pub use optimizer::{Optimizer, OptimizerOptions};
pub use schedule::{Decay, Schedule};
pub use sgd::{Sgd, SgdOptions};
