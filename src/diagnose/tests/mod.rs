//! Tests that take several of the module's files together.

mod arviz;
mod convergence;
mod evidence;
mod psis;
mod samplers;
