//! Classes by softmax: `p(y | o) = exp(o_y) / sum_j exp(o_j)`, `Lambda = diag(p) - p p^T`.

use super::{ClosedForm, Likelihood, check_each, check_row};
use crate::autodiff::Var;
use crate::error::Result;
use crate::model::Predictive;

/// Classes `0..k` by softmax: `p(y | o) = exp(o_y) / sum_j exp(o_j)`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Categorical;

impl Likelihood for Categorical {
    fn neg_log_likelihood<'g>(&self, outputs: Var<'g>, targets: Var<'g>, _: Var<'g>) -> Var<'g> {
        outputs.logsumexp().sum() - outputs.pick(targets).sum()
    }

    fn row_neg_log_likelihoods<'g>(
        &self,
        outputs: Var<'g>,
        targets: Var<'g>,
        _: Var<'g>,
    ) -> Option<Var<'g>> {
        let n = outputs.shape()[0];
        Some(outputs.logsumexp().reshape(&[n]) - outputs.pick(targets))
    }

    fn output_hessian(
        &self,
        outputs: &[f64],
        target: &[f64],
        params: &[f64],
        hessian: &mut [f64],
    ) -> Result<()> {
        check_row(self, outputs, target, params, hessian)?;
        let top = outputs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let total: f64 = outputs.iter().map(|o| (o - top).exp()).sum();
        let p = |i: usize| (outputs[i] - top).exp() / total;
        let k = outputs.len();
        for (i, row) in hessian.chunks_exact_mut(k).enumerate() {
            for (j, h) in row.iter_mut().enumerate() {
                *h = -p(i) * p(j);
            }
            // p (1 - p) as a sum of products: nothing cancels where p is nearly 1
            row[i] = (0..k).filter(|&j| j != i).map(|j| p(i) * p(j)).sum();
        }
        Ok(())
    }

    fn predictive(&self, _: &[f64], _: &[f64]) -> Predictive {
        Predictive::Logits
    }

    fn closed_form(&self) -> Option<ClosedForm> {
        Some(ClosedForm::Categorical)
    }

    fn check(&self, outputs: usize, targets: &[f64]) -> Result<()> {
        let fits = |y: f64| y >= 0.0 && y.fract() == 0.0 && y < outputs as f64;
        check_each(targets, fits, &format!("one of the classes 0..{outputs}"))
    }
}
