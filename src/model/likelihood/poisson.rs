//! Counts: `p(y | o) = r^y e^-r / y!` with rate `r = exp(o)`.
//!
//! So `-log p(y | o) = exp(o) - y o + log y!` and `Lambda = exp(o)`. `log y!` depends on the data
//! alone. It is computed once, in f64, and stored as a second value of each row.

use super::{ClosedForm, Likelihood, check_each, check_one_output, check_row, first};
use crate::autodiff::Var;
use crate::error::Result;
use crate::model::{Law, Predictive, positive};

/// [`Poisson`] with a rate of `base_rate exp(o)`. If counts are large, an output near 0 is still a
/// reasonable guess.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PoissonWithBase {
    log_base: f64,
}

impl PoissonWithBase {
    /// # Errors
    /// If the base rate is not positive and finite.
    pub fn new(base_rate: f64) -> Result<Self> {
        let log_base = positive("base_rate", base_rate)?.ln();
        Ok(Self { log_base })
    }
}

impl Likelihood for PoissonWithBase {
    fn encode(&self, targets: &[f64]) -> Vec<f64> {
        Poisson.encode(targets)
    }

    fn neg_log_likelihood<'g>(&self, outputs: Var<'g>, targets: Var<'g>, own: Var<'g>) -> Var<'g> {
        Poisson.neg_log_likelihood(outputs + self.log_base, targets, own)
    }

    fn row_neg_log_likelihoods<'g>(
        &self,
        outputs: Var<'g>,
        targets: Var<'g>,
        own: Var<'g>,
    ) -> Option<Var<'g>> {
        Poisson.row_neg_log_likelihoods(outputs + self.log_base, targets, own)
    }

    fn output_hessian(
        &self,
        outputs: &[f64],
        target: &[f64],
        params: &[f64],
        hessian: &mut [f64],
    ) -> Result<()> {
        check_row(self, outputs, target, params, hessian)?;
        hessian[0] = (outputs[0] + self.log_base).exp();
        Ok(())
    }

    fn predictive(&self, outputs: &[f64], _: &[f64]) -> Predictive {
        let rate = (first(outputs) + self.log_base).exp();
        Predictive::Law(Law::Poisson { rate })
    }

    fn closed_form(&self) -> Option<ClosedForm> {
        Some(ClosedForm::Poisson {
            log_base: self.log_base,
        })
    }

    fn check(&self, outputs: usize, targets: &[f64]) -> Result<()> {
        Poisson.check(outputs, targets)
    }
}

/// Counts `0, 1, 2...` with the log rate as output: `p(y | o) = exp(y o - exp(o)) / y!`.
///
/// A log rate beyond the number type's range (709 in f64, 88 in f32) gives an infinite rate and an
/// infinite energy.
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

    fn row_neg_log_likelihoods<'g>(
        &self,
        outputs: Var<'g>,
        targets: Var<'g>,
        _: Var<'g>,
    ) -> Option<Var<'g>> {
        let (counts, log_factorials) = (targets.slice(1, 0..1), targets.slice(1, 1..2));
        Some((outputs.exp() - counts * outputs + log_factorials).sum_axis(1))
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

    fn predictive(&self, outputs: &[f64], _: &[f64]) -> Predictive {
        let rate = first(outputs).exp();
        Predictive::Law(Law::Poisson { rate })
    }

    fn closed_form(&self) -> Option<ClosedForm> {
        Some(ClosedForm::Poisson { log_base: 0.0 })
    }

    fn check(&self, outputs: usize, targets: &[f64]) -> Result<()> {
        check_one_output("Poisson likelihood", outputs)?;
        let fits = |y: f64| y >= 0.0 && y.is_finite() && y.fract() == 0.0;
        check_each(targets, fits, "a count")
    }
}
