//! Two classes by one logit: `p(y = 1 | o) = sigmoid(o)`, `Lambda = p (1 - p)`.
//!
//! So `-log p(y | o) = softplus((1 - 2 y) o)`. This form takes no difference of large numbers,
//! cannot overflow, and is exact for a small loss.

use super::{ClosedForm, Likelihood, check_each, check_one_output, check_row};
use crate::autodiff::Var;
use crate::error::Result;
use crate::model::Predictive;

/// Two classes, 0 and 1, by one logit: `p(y = 1 | o) = 1 / (1 + exp(-o))`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bernoulli;

impl Likelihood for Bernoulli {
    fn neg_log_likelihood<'g>(&self, outputs: Var<'g>, targets: Var<'g>, _: Var<'g>) -> Var<'g> {
        let signs = (1.0 - targets * 2.0).reshape(&outputs.shape());
        (outputs * signs).softplus().sum()
    }

    fn row_neg_log_likelihoods<'g>(
        &self,
        outputs: Var<'g>,
        targets: Var<'g>,
        _: Var<'g>,
    ) -> Option<Var<'g>> {
        let signs = (1.0 - targets * 2.0).reshape(&outputs.shape());
        Some((outputs * signs).softplus().sum_axis(1))
    }

    fn output_hessian(
        &self,
        outputs: &[f64],
        target: &[f64],
        params: &[f64],
        hessian: &mut [f64],
    ) -> Result<()> {
        check_row(self, outputs, target, params, hessian)?;
        let e = (-outputs[0].abs()).exp();
        hessian[0] = e / (1.0 + e).powi(2);
        Ok(())
    }

    fn predictive(&self, _: &[f64], _: &[f64]) -> Predictive {
        Predictive::Logit
    }

    fn closed_form(&self) -> Option<ClosedForm> {
        Some(ClosedForm::Bernoulli)
    }

    fn check(&self, outputs: usize, targets: &[f64]) -> Result<()> {
        check_one_output("Bernoulli likelihood", outputs)?;
        check_each(targets, |y| y == 0.0 || y == 1.0, "0 or 1")
    }
}
