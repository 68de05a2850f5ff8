//! Weights of rows: `-log p = sum_i w_i (-log p(y_i | o_i, s))`.
//!
//! A weight of 2 counts a row as if the table held it twice, a weight of 0 leaves it out. Every
//! target row ends with its weight, so weights travel with the rows through batches, splits and
//! model files.
//!
//! Both blocks of curvature are weighted like the sum. That of the likelihood's own parameters is
//! the block of all rows times their mean weight. This is exact if all rows have the same block, as
//! Fisher information that does not depend on outputs has. Otherwise it is an approximation, as the
//! Gauss-Newton matrix is anyway.
//!
//! Two quantities see a weighted row as one row, and not as `w` of them: an empirical Fisher matrix
//! has `w^2 g g^T`, and leave-one-out leaves out the row with its weight.

use std::fmt;
use std::sync::Arc;

use super::{ClosedForm, Likelihood, LikelihoodParams, target_shape};
use crate::autodiff::{Graph, Var};
use crate::error::{Error, Result, counted};
use crate::linalg::check_weights;
use crate::model::Predictive;

/// A likelihood whose rows have weights: targets are `[n, m + 1]`, and the last number of each row
/// is its weight.
///
/// ```
/// use fiberwalk::model::{LogDensity, PosteriorDensity, Weighted};
/// use fiberwalk::{Activation, Gaussian, IsotropicGaussian, Mlp};
/// use std::sync::Arc;
///
/// let network = Mlp::new(&[1, 3, 1], Activation::Tanh)?;
/// let (plain, prior) = (Arc::new(Gaussian::new(0.5)?), IsotropicGaussian::new(1.0)?);
/// let weighted = Weighted::new(plain.clone(), 1)?;
/// // the first row counts twice
/// let once = PosteriorDensity::<f64>::new(
///     &network, &weighted, &prior, &[-1.0, 1.0], &[0.9, 2.0, 1.1, 1.0])?;
/// let twice = PosteriorDensity::<f64>::new(
///     &network, &plain, &prior, &[-1.0, -1.0, 1.0], &[0.9, 0.9, 1.1])?;
/// let theta = [0.1; 10];
/// let value = |d: &PosteriorDensity<f64>| d.log_density(&theta, &mut d.workspace());
/// assert!((value(&once)? - value(&twice)?).abs() < 1e-12);
/// # Ok::<(), fiberwalk::Error>(())
/// ```
#[derive(Clone)]
pub struct Weighted {
    inner: Arc<dyn Likelihood>,
    /// Targets a row, without the weight.
    m: usize,
}

impl fmt::Debug for Weighted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Weighted")
            .field("targets", &self.m)
            .finish_non_exhaustive()
    }
}

impl Weighted {
    /// The likelihood `inner` with weights, for networks with so many outputs.
    ///
    /// # Errors
    /// If `inner` does not say what single rows contribute
    /// ([`Likelihood::row_neg_log_likelihoods`]), or does not take so many outputs.
    pub fn new(inner: Arc<dyn Likelihood>, outputs: usize) -> Result<Self> {
        inner.check(outputs, &[])?;
        let (graph, m) = (Graph::new(), inner.target_dim(outputs));
        let encoded = inner.encode(&vec![0.0; m]).len();
        let o = graph.input(&[1, outputs]);
        let y = graph.input(&target_shape(1, encoded));
        let s = graph.input(&[inner.params(outputs).len()]);
        let rows = inner.row_neg_log_likelihoods(o, y, s);
        match rows.map(|rows| rows.shape()) {
            Some(shape) if shape == [1] => Ok(Self { inner, m }),
            Some(shape) => {
                let expected = "one number a row from row_neg_log_likelihoods";
                Err(Error::shape("Weighted", expected, format!("{shape:?}")))
            }
            None => {
                let requirement = "does not say what single rows contribute, which weights need \
                                   (Likelihood::row_neg_log_likelihoods)";
                Err(Error::config("likelihood", "given", requirement))
            }
        }
    }

    /// Targets `[n, m]` and weights `[n]` as rows of this likelihood, `[n, m + 1]`.
    ///
    /// # Errors
    /// If there are no weights, or the targets are not whole rows for them.
    pub fn join(targets: &[f64], weights: &[f64]) -> Result<Vec<f64>> {
        let n = weights.len();
        if n == 0 || targets.is_empty() || !targets.len().is_multiple_of(n) {
            let expected = format!("targets for {}", counted(n, "weight"));
            return Err(Error::shape("Weighted", expected, targets.len()));
        }
        let rows = targets.chunks(targets.len() / n).zip(weights);
        Ok(rows
            .flat_map(|(y, &w)| y.iter().copied().chain([w]))
            .collect())
    }

    /// The rows `[n, m + 1]` as targets `[n, m]` and weights `[n]`.
    fn split(&self, rows: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let (rows, m) = (rows.chunks_exact(self.m + 1), self.m);
        let targets = rows.clone().flat_map(|row| &row[..m]).copied().collect();
        (targets, rows.map(|row| row[m]).collect())
    }
}

/// Encoded targets of the inner likelihood, and weights `[n]`.
fn parts(targets: Var<'_>) -> (Var<'_>, Var<'_>) {
    let shape = targets.shape();
    let (n, e) = (shape[0], shape.get(1).map_or(0, |&e| e.saturating_sub(1)));
    let inner = targets.slice(1, 0..e).reshape(&target_shape(n, e));
    (inner, targets.slice(1, e..e + 1).reshape(&[n]))
}

impl Likelihood for Weighted {
    fn target_dim(&self, _: usize) -> usize {
        self.m + 1
    }

    fn params(&self, outputs: usize) -> LikelihoodParams {
        self.inner.params(outputs)
    }

    fn encode(&self, rows: &[f64]) -> Vec<f64> {
        let (targets, weights) = self.split(rows);
        let encoded = self.inner.encode(&targets);
        let each = encoded.len() / weights.len().max(1);
        let rows = encoded.chunks(each.max(1)).zip(weights);
        rows.flat_map(|(y, w)| y.iter().copied().chain([w]))
            .collect()
    }

    fn neg_log_likelihood<'g>(
        &self,
        outputs: Var<'g>,
        targets: Var<'g>,
        params: Var<'g>,
    ) -> Var<'g> {
        let rows = self.row_neg_log_likelihoods(outputs, targets, params);
        // `new` has seen that there are rows
        rows.map_or_else(|| outputs.graph().constant(f64::NAN), |rows| rows.sum())
    }

    fn row_neg_log_likelihoods<'g>(
        &self,
        outputs: Var<'g>,
        targets: Var<'g>,
        params: Var<'g>,
    ) -> Option<Var<'g>> {
        let (targets, weights) = parts(targets);
        let rows = self
            .inner
            .row_neg_log_likelihoods(outputs, targets, params)?;
        Some(rows * weights)
    }

    fn output_hessian_product<'g>(
        &self,
        outputs: Var<'g>,
        targets: Var<'g>,
        params: Var<'g>,
        w: Var<'g>,
    ) -> Result<Var<'g>> {
        let (targets, weights) = parts(targets);
        let product = self
            .inner
            .output_hessian_product(outputs, targets, params, w)?;
        Ok(product * weights.reshape(&[outputs.shape()[0], 1]))
    }

    fn output_hessian(
        &self,
        outputs: &[f64],
        target: &[f64],
        params: &[f64],
        hessian: &mut [f64],
    ) -> Result<()> {
        let Some((&weight, target)) = target.split_last() else {
            let expected = format!("{} and a weight", counted(self.m, "target"));
            return Err(Error::shape("output_hessian", expected, 0));
        };
        self.inner
            .output_hessian(outputs, target, params, hessian)?;
        hessian.iter_mut().for_each(|h| *h *= weight);
        Ok(())
    }

    /// The block of all rows, times their mean weight.
    fn params_hessian_product<'g>(
        &self,
        outputs: Var<'g>,
        targets: Var<'g>,
        params: Var<'g>,
        u: Var<'g>,
    ) -> Result<Var<'g>> {
        let (targets, weights) = parts(targets);
        let product = self
            .inner
            .params_hessian_product(outputs, targets, params, u)?;
        Ok(product * (weights.sum() / outputs.shape()[0] as f64))
    }

    fn predictive(&self, outputs: &[f64], params: &[f64]) -> Predictive {
        self.inner.predictive(outputs, params)
    }

    fn predictive_of(&self, target: usize, outputs: &[f64], params: &[f64]) -> Predictive {
        self.inner.predictive_of(target, outputs, params)
    }

    /// A Gaussian has one, with `w^{1/2}` times features and targets. Others go through their
    /// graph.
    fn closed_form(&self) -> Option<ClosedForm> {
        let form = self.inner.closed_form();
        form.filter(|form| matches!(form, ClosedForm::Gaussian { .. }))
    }

    fn row_weights(&self, rows: &[f64]) -> Option<Vec<f64>> {
        Some(self.split(rows).1)
    }

    fn check(&self, outputs: usize, rows: &[f64]) -> Result<()> {
        if !rows.len().is_multiple_of(self.m + 1) {
            let expected = format!("rows of {} and a weight", counted(self.m, "target"));
            return Err(Error::shape("Weighted", expected, rows.len()));
        }
        let (targets, weights) = self.split(rows);
        check_weights("Weighted", weights.len(), &weights)?;
        self.inner.check(outputs, &targets)
    }
}
