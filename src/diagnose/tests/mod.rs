//! Tests that take several of the module's files together.

mod arviz;
mod convergence;
mod evidence;
mod loo;
mod loo_exact;
mod pseudo_bma;
mod psis;
mod samplers;
mod stacking;
