//! Tests that take several of the module's files together.

mod arviz;
mod convergence;
mod psis;
mod samplers;
