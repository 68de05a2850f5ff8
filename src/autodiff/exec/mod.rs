//! Programs and how they run: instructions, memory, checks before a run and outputs after it.

mod access;
pub(super) mod instruction;
mod program;

pub use program::{Program, Workspace};
