//! The model file: everything that a prediction needs, in one safetensors archive with JSON metadata.
//!
//! The archive's metadata hold one entry, `fiberwalk`, with the JSON of [`Metadata`]. Tensors, in the precision that the
//! model was fitted in unless said otherwise:
//!
//! | tensor | shape | in files of |
//! |---|---|---|
//! | `map` | `[P]` | every method |
//! | `samples` | `[S, P]` | `walk` |
//! | `frame.mean`, `frame.scale` | `[P_h]` | `flow` with hidden layers |
//! | `frame.basis` | `[K, P_h]` | the same |
//! | `frame.complement` | `[1]` | the same |
//! | `flow.params` | `[*]` | the same |
//! | `flow.mixing` | `[blocks, K, K]`, f64 | the same |
//! | `data.x`, `data.y` | `[N, d]`, `[N]`, f64, standardised | `flow`: the last layer is drawn from its conditional given the training data |
//!
//! A file may be hostile: everything is checked on loading, and nothing is allocated that the file's own size does not
//! account for.

mod atomic;
mod checkpoint;
mod checksum;
mod metadata;
mod model;
mod tensors;

pub use atomic::write_atomically;
pub use checkpoint::{CheckpointHeader, CheckpointReader, remove_checkpoint, write_checkpoint};
pub(crate) use checksum::Checksum;
pub use metadata::{FORMAT_VERSION, Metadata, NetworkSpec, TaskSpec};
pub use model::{Fitted, Model, Predictions, Scores, read_metadata};
