//! Special functions of real numbers, in f64.

mod beta;
mod gamma;
mod normal;

pub use beta::regularized_beta;
pub use gamma::{ln_factorial, regularized_gamma_p, regularized_gamma_q};
pub use normal::normal_cdf;
