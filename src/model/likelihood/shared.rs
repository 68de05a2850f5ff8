//! A likelihood behind a shared pointer is a likelihood.

use std::sync::Arc;

use super::{ClosedForm, Likelihood, LikelihoodParams};
use crate::autodiff::Var;
use crate::error::Result;
use crate::model::Predictive;

impl<L: Likelihood + ?Sized> Likelihood for Arc<L> {
    fn target_dim(&self, outputs: usize) -> usize {
        (**self).target_dim(outputs)
    }

    fn params(&self, outputs: usize) -> LikelihoodParams {
        (**self).params(outputs)
    }

    fn encode(&self, targets: &[f64]) -> Vec<f64> {
        (**self).encode(targets)
    }

    fn neg_log_likelihood<'g>(
        &self,
        outputs: Var<'g>,
        targets: Var<'g>,
        params: Var<'g>,
    ) -> Var<'g> {
        (**self).neg_log_likelihood(outputs, targets, params)
    }

    fn row_neg_log_likelihoods<'g>(
        &self,
        outputs: Var<'g>,
        targets: Var<'g>,
        params: Var<'g>,
    ) -> Option<Var<'g>> {
        (**self).row_neg_log_likelihoods(outputs, targets, params)
    }

    fn row_weights(&self, targets: &[f64]) -> Option<Vec<f64>> {
        (**self).row_weights(targets)
    }

    fn output_hessian_product<'g>(
        &self,
        outputs: Var<'g>,
        targets: Var<'g>,
        params: Var<'g>,
        w: Var<'g>,
    ) -> Result<Var<'g>> {
        (**self).output_hessian_product(outputs, targets, params, w)
    }

    fn output_hessian(
        &self,
        outputs: &[f64],
        target: &[f64],
        params: &[f64],
        hessian: &mut [f64],
    ) -> Result<()> {
        (**self).output_hessian(outputs, target, params, hessian)
    }

    fn params_hessian_product<'g>(
        &self,
        outputs: Var<'g>,
        targets: Var<'g>,
        params: Var<'g>,
        u: Var<'g>,
    ) -> Result<Var<'g>> {
        (**self).params_hessian_product(outputs, targets, params, u)
    }

    fn predictive(&self, outputs: &[f64], params: &[f64]) -> Predictive {
        (**self).predictive(outputs, params)
    }

    fn predictive_of(&self, target: usize, outputs: &[f64], params: &[f64]) -> Predictive {
        (**self).predictive_of(target, outputs, params)
    }

    fn closed_form(&self) -> Option<ClosedForm> {
        (**self).closed_form()
    }

    fn check(&self, outputs: usize, targets: &[f64]) -> Result<()> {
        (**self).check(outputs, targets)
    }
}
