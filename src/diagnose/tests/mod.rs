//! Tests that combine several of the module's files.

mod arviz;
mod convergence;
mod evidence;
mod loo;
mod loo_exact;
mod pseudo_bma;
mod psis;
mod samplers;
mod stacking;
