//! Tests that take several of the module's files together.

mod convergence;
mod samplers;
