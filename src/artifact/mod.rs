//! The model file: all that a prediction needs, in one safetensors archive with JSON metadata.
//!
//! The archive's metadata hold one entry, `fiberwalk`: the JSON of [`Metadata`]. Tensors have the
//! precision of the fit unless the table says otherwise. The rows `data.x`, `data.pixels` and
//! `data.y` are the training data: files of `atlas` and `flow` need them because each draw of the
//! last layer is conditioned on them.
//!
//! | tensor | shape | in files of |
//! |---|---|---|
//! | `map` | `[P]` | every method |
//! | `samples` | `[S, P]` | `walk` and all baselines; frozen `atlas` and `flow` |
//! | `atlas.anchors`, `atlas.modes` | `[A, P_h]`, `[A, P_w]` | `atlas` |
//! | `frame.mean`, `frame.scale` | `[P_h]` | `flow` in a frame, or of smoothed points |
//! | `frame.basis`, `frame.complement` | `[K, P_h]`, `[1]` | the same |
//! | `flow.params` | `[*]` | `flow` with hidden layers |
//! | `flow.mixing` | `[blocks, K, K]`, f64; for a flow of units `[*]`, f32 | the same |
//! | `points.latents`, `points.width` | `[n, P_h]`, `[1]`, f64 | `flow` of smoothed points |
//! | `kinetic.steps`, `kinetic.shrink` | `[L]`, `[K]`, f64 | `flow` with kinetic layers |
//! | `kinetic.basis` | `[K, P]` | the same |
//! | `kinetic.tolerance` | `[1]`, f64 | the same, if draws halve layers |
//! | `data.x` or `data.pixels` | `[N, d]`, standardised, or as bytes | `atlas` and `flow` |
//! | `data.y` | `[N]`, f64; with weights `[2 N]`, a target and its weight | the same |
//! | `model0.map`, `model0.samples`, `model1.map`, ... | as above | a mixture of several models |
//! | `checksum` | `[8]`, bytes | every method, from format version 6: of all bytes before it |
//!
//! A file may be hostile. Loading checks everything, and allocates no more than the file's size
//! accounts for.

mod any;
mod atomic;
mod calibration;
mod checkpoint;
mod checksum;
mod claim;
mod compiled;
#[cfg(test)]
pub(crate) mod faults;
mod files;
mod fit_files;
mod fitted;
mod header;
mod hidden_flows;
mod kept;
mod layers;
mod mark;
mod metadata;
mod method;
mod model;
mod network_spec;
mod predictor;
pub mod report;
mod seal;
mod spool;
mod task;
mod tensors;
mod training;

pub use crate::metrics::Scores;
pub use any::AnyModel;
pub use atomic::write_atomically;
#[cfg(test)]
pub(crate) use atomic::write_in;
pub use calibration::{Calibration, Conformal, ConformalScore};
pub use checkpoint::{CheckpointHeader, CheckpointReader, remove_checkpoint, write_checkpoint};
pub(crate) use checkpoint::{check_checkpoint_place, write_checkpoint_in};
pub(crate) use checksum::Checksum;
pub use claim::Claim;
pub use compiled::Compiled;
pub(crate) use files::Files;
pub use fit_files::FitFiles;
pub(crate) use fit_files::{lost, remove_points};
pub(crate) use fitted::own_last_layer;
pub use fitted::{Fitted, Member};
pub use header::{metadata_from_bytes, read_metadata};
pub(crate) use metadata::SEALED;
pub use metadata::{FORMAT_VERSION, MemberSpec, Metadata, RowWeights, SampledScales};
pub use method::Method;
pub use model::{Draws, FittedModel};
pub use network_spec::NetworkSpec;
pub(crate) use predictor::log_softmax;
pub use predictor::{
    ConformalRegions, OfClass, Predictions, Predictor, Promise, RowPrediction, interval_ends,
};
pub use report::FitReport;
pub use spool::{Spool, remove_spool};
pub use task::TaskSpec;
pub use training::TrainingRows;
