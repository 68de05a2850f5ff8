//! Special functions of real numbers, in f64.

mod beta;
mod gamma;

pub use beta::regularized_beta;
pub use gamma::{regularized_gamma_p, regularized_gamma_q};
