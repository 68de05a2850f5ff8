//! `p(y | o) = r^y e^-r / y!` with rate `r = exp(o)`, so `-log p(y | o) = exp(o) - y o + log y!`. `Lambda = exp(o)`.
//!
//! `log y!` depends on the data alone: it is computed once, in f64, and goes along as a second number of each row.

use super::{Likelihood, check_each, check_one_output, check_row};
use crate::autodiff::Var;
use crate::error::Result;

/// Counts `0, 1, 2...` by the logarithm of their rate: `p(y | o) = exp(y o - exp(o)) / y!`.
///
/// A log rate beyond the number type's range (709 in f64, 88 in f32) is a rate of infinity, and so is the energy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Poisson;

impl Likelihood for Poisson {
    /// `(y, log y!)`.
    fn encode(&self, targets: &[f64]) -> Vec<f64> {
        let row = |&y: &f64| [y, libm::lgamma(y + 1.0)];
        targets.iter().flat_map(row).collect()
    }

    fn neg_log_likelihood<'g>(&self, outputs: Var<'g>, targets: Var<'g>, _: Var<'g>) -> Var<'g> {
        let (counts, log_factorials) = (targets.slice(1, 0..1), targets.slice(1, 1..2));
        (outputs.exp() - counts * outputs + log_factorials).sum()
    }

    fn output_hessian(
        &self,
        outputs: &[f64],
        target: &[f64],
        params: &[f64],
        hessian: &mut [f64],
    ) -> Result<()> {
        check_row(self, outputs, target, params, hessian)?;
        hessian[0] = outputs[0].exp();
        Ok(())
    }

    fn check(&self, outputs: usize, targets: &[f64]) -> Result<()> {
        check_one_output("Poisson likelihood", outputs)?;
        let fits = |y: f64| y >= 0.0 && y.is_finite() && y.fract() == 0.0;
        check_each(targets, fits, "a count")
    }
}
