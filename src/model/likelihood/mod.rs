//! Likelihoods: the density of the targets given the outputs of a network.
//!
//! `-log p(y | o, s) = sum_i -log p(y_i | o_i, s)` over the rows of a batch. It is a **sum**, with
//! constants and nothing else, so the blocks of rows of a data set add up to the whole. `s` are the
//! likelihood's own parameters, such as a learned noise level. Most likelihoods have none.
//!
//! Each likelihood comes with two blocks of curvature: `Lambda` with respect to the outputs,
//! `[k, k]` for each row, and the block of `s`. If the Hessian does not depend on the targets, the
//! block is the Hessian, which is then also the Fisher information. If it does depend on them and
//! can be indefinite, the block is the Fisher information.
//!
//! | file | likelihood | outputs | targets a row | curvature |
//! |---|---|---|---|---|
//! | `categorical` | classes by softmax | `k` logits | 1 label | Hessian |
//! | `bernoulli` | two classes by one logit | 1 | 0 or 1 | Hessian |
//! | `poisson` | counts | 1 log rate | 1 count | Hessian |
//! | `gaussian` | real targets, fixed noise | `k` means | `k` | Hessian |
//! | `learned_noise` | real targets, the noise a parameter | `k` means | `k` | Hessian; Fisher for the noise |
//! | `student_t` | real targets with outliers, learned scale and tails | `k` means | `k` | Fisher |
//! | `heteroscedastic` | real targets, noise by the network | `m` means, `m` scales | `m` | Fisher |
//! | `noise_head` | the same, its level a parameter | `m` means, `m` factors | `m` | Fisher |
//! | `weighted` | any of them, with a weight a row | as many | one more | as many |

mod bernoulli;
mod categorical;
mod closed_form;
mod gaussian;
mod heteroscedastic;
mod learned_noise;
mod noise_head;
mod params;
mod poisson;
mod shared;
mod student_t;
#[cfg(test)]
mod tests;
mod weighted;

pub use bernoulli::Bernoulli;
pub use categorical::Categorical;
pub use closed_form::ClosedForm;
pub use gaussian::{Gaussian, GaussianPerOutput};
pub use heteroscedastic::HeteroscedasticGaussian;
pub use learned_noise::GaussianLearnedNoise;
pub use noise_head::GaussianNoiseHead;
pub use params::{LikelihoodParam, LikelihoodParams};
pub use poisson::{Poisson, PoissonWithBase};
pub use student_t::StudentT;
pub use weighted::Weighted;

use crate::autodiff::{Graph, Var};
use crate::error::{Column, Error, Result, counted};
use crate::linalg::{check_table, not_a_number};
use crate::model::{Law, Predictive};

/// A likelihood of targets given network outputs.
///
/// Only [`Likelihood::neg_log_likelihood`] and [`Likelihood::check`] must be implemented. The other
/// methods have defaults. They fit a likelihood with one target per row, no parameters of its own,
/// and a `-log p` that is convex in the outputs (or nearly).
///
/// A likelihood with a given noise level may record it by name, as
/// `graph.named(NOISE_STD, std, of)` ([`Graph::named`]). Compiled densities can then change it.
///
/// ```
/// use fiberwalk::autodiff::Var;
/// use fiberwalk::{Likelihood, Result};
///
/// /// The hyperbolic secant distribution, `p(y | o) = 1 / (pi cosh(y - o))`.
/// /// It is quadratic near its mean, linear away from it.
/// struct Sech;
/// impl Likelihood for Sech {
///     fn neg_log_likelihood<'g>(
///         &self,
///         outputs: Var<'g>,
///         targets: Var<'g>,
///         _: Var<'g>,
///     ) -> Var<'g> {
///         let r = outputs - targets.reshape(&outputs.shape());
///         let n = targets.shape()[0] as f64;
///         // log cosh r = r + log(1 + e^-2r) - log 2
///         (r + (r * -2.0).softplus()).sum() + n * (std::f64::consts::PI / 2.0).ln()
///     }
///     fn check(&self, _outputs: usize, _targets: &[f64]) -> Result<()> {
///         Ok(())
///     }
/// }
/// let mut hessian = [0.0];
/// Sech.output_hessian(&[0.5], &[0.5], &[], &mut hessian)?;
/// assert!((hessian[0] - 1.0).abs() < 1e-12); // 1 / cosh(0)^2
/// # Ok::<(), fiberwalk::Error>(())
/// ```
pub trait Likelihood: Send + Sync {
    /// Number of targets per row, `m`, for a network with this many outputs that
    /// [`Likelihood::check`] accepts.
    fn target_dim(&self, _outputs: usize) -> usize {
        1
    }

    /// The likelihood's own parameters, `s`. They follow the network's in `theta`.
    fn params(&self, _outputs: usize) -> LikelihoodParams {
        LikelihoodParams::default()
    }

    /// Encodes checked targets `[n, m]` into the form that [`Likelihood::neg_log_likelihood`]
    /// takes. Use it for values that depend on the data alone and need computing only once: append
    /// them to each row. The result has the same number of rows, all of equal length. Each depends
    /// only on its own row of targets.
    fn encode(&self, targets: &[f64]) -> Vec<f64> {
        targets.to_vec()
    }

    /// Records the **sum** over rows of `-log p(y | outputs, params)`: a scalar in nats, constants
    /// included. It must contain nothing that is not such a sum. `outputs` is `[n, k]` and `params`
    /// is `[q]`. `targets` is `[n, e]` with `e` values per encoded row, or `[n]` if `e = 1`.
    fn neg_log_likelihood<'g>(
        &self,
        outputs: Var<'g>,
        targets: Var<'g>,
        params: Var<'g>,
    ) -> Var<'g>;

    /// Records `-log p(y_i | outputs, params)` row by row, `[n]`: the terms whose sum is
    /// [`Likelihood::neg_log_likelihood`], constants included. Weights of rows need it
    /// ([`Weighted`]); `None` says that there are no weights then.
    fn row_neg_log_likelihoods<'g>(
        &self,
        _outputs: Var<'g>,
        _targets: Var<'g>,
        _params: Var<'g>,
    ) -> Option<Var<'g>> {
        None
    }

    /// Records `Lambda w`, row by row. `Lambda` is the Hessian of the negative log-likelihood with
    /// respect to the outputs, or its replacement in the Gauss-Newton matrix if the Hessian is
    /// indefinite. `w` and the result are `[n, k]`. The default is the exact Hessian.
    ///
    /// # Errors
    /// If shapes do not fit.
    fn output_hessian_product<'g>(
        &self,
        outputs: Var<'g>,
        targets: Var<'g>,
        params: Var<'g>,
        w: Var<'g>,
    ) -> Result<Var<'g>> {
        let nll = self.neg_log_likelihood(outputs, targets, params);
        outputs.graph().hvp(nll, outputs, w)
    }

    /// Writes the block `Lambda` of one row, evaluated in f64, to `hessian`: `[k, k]`, row-major.
    /// Inputs are `outputs [k]`, `target [m]` and `params [q]`. The default is slow: it compiles
    /// [`Likelihood::output_hessian_product`] for the row.
    ///
    /// # Errors
    /// If a length is wrong.
    fn output_hessian(
        &self,
        outputs: &[f64],
        target: &[f64],
        params: &[f64],
        hessian: &mut [f64],
    ) -> Result<()> {
        output_hessian_by_products(self, outputs, target, params, hessian)
    }

    /// Records `F u`, the Gauss-Newton block of the likelihood's own parameters, summed over the
    /// rows. `u` and the result are `[q]`. The default is the exact Hessian. Override it where that
    /// can be indefinite, for example with the Fisher information. The matrix is zero between
    /// parameters and outputs.
    ///
    /// # Errors
    /// If shapes do not fit.
    fn params_hessian_product<'g>(
        &self,
        outputs: Var<'g>,
        targets: Var<'g>,
        params: Var<'g>,
        u: Var<'g>,
    ) -> Result<Var<'g>> {
        let nll = self.neg_log_likelihood(outputs, targets, params);
        outputs.graph().hvp(nll, params, u)
    }

    /// What the likelihood says of a new target, given one row of `outputs [k]` and the own
    /// `params [q]`. Predictions rest on it. Of several targets a row it is the law of the first.
    /// Without it, a model has scores, outputs and draws, but no moments and quantiles.
    fn predictive(&self, _outputs: &[f64], _params: &[f64]) -> Predictive {
        Predictive::Unknown
    }

    /// The same of target `target` (from 0) of several a row, given the outputs and the own
    /// parameters: its marginal law. By default only the first has one.
    fn predictive_of(&self, target: usize, outputs: &[f64], params: &[f64]) -> Predictive {
        match target {
            0 => self.predictive(outputs, params),
            _ => Predictive::Unknown,
        }
    }

    /// The law, if it is one for which a conditional last layer has a faster path than the graph.
    /// It must then be exactly that law, without parameters of its own. Nothing is lost without it
    /// but time.
    fn closed_form(&self) -> Option<ClosedForm> {
        None
    }

    /// The weights of rows of targets, `[n]`, if rows have any: they are then the last of the `m`
    /// numbers of a row ([`Weighted`]).
    fn row_weights(&self, _targets: &[f64]) -> Option<Vec<f64>> {
        None
    }

    /// Checks that targets `[n, m]`, row-major, can come from this likelihood with `outputs`
    /// network outputs.
    ///
    /// # Errors
    /// A shape error if it cannot take so many outputs. A data error that names the first row whose
    /// targets are impossible.
    fn check(&self, outputs: usize, targets: &[f64]) -> Result<()>;
}

/// Shape of encoded targets. With one value per row it is a vector.
pub(crate) fn target_shape(rows: usize, numbers: usize) -> Vec<usize> {
    if numbers == 1 {
        vec![rows]
    } else {
        vec![rows, numbers]
    }
}

/// `Lambda` of one row, column by column from products with unit vectors.
fn output_hessian_by_products<L: Likelihood + ?Sized>(
    likelihood: &L,
    outputs: &[f64],
    target: &[f64],
    params: &[f64],
    hessian: &mut [f64],
) -> Result<()> {
    let k = outputs.len();
    check_row(likelihood, outputs, target, params, hessian)?;
    let encoded = likelihood.encode(target);
    let graph = Graph::new();
    let o = graph.input(&[1, k]);
    let y = graph.input(&target_shape(1, encoded.len()));
    let s = graph.input(&[params.len()]);
    let w = graph.input(&[1, k]);
    let product = likelihood.output_hessian_product(o, y, s, w)?;
    let program = graph.compile::<f64>(&[product])?;
    let mut ws = program.workspace();
    let mut unit = vec![0.0; k];
    for (j, column) in hessian.chunks_exact_mut(k).enumerate() {
        unit[j] = 1.0;
        program.run(&[outputs, &encoded, params, &unit], &mut ws)?;
        // symmetric: the column equals the row
        column.copy_from_slice(program.tensor(&ws, 0)?);
        unit[j] = 0.0;
    }
    Ok(())
}

/// Checks the lengths of one row.
fn check_row<L: Likelihood + ?Sized>(
    likelihood: &L,
    outputs: &[f64],
    target: &[f64],
    params: &[f64],
    hessian: &[f64],
) -> Result<()> {
    let k = outputs.len();
    if k == 0 {
        return Err(Error::shape("output_hessian", "at least 1 output", k));
    }
    likelihood.check(k, &[])?;
    let fits = |what: &str, want: usize, got: usize| {
        if want == got {
            Ok(())
        } else {
            let expected = format!(
                "{} of {what} for {}",
                counted(want, "number"),
                counted(k, "output")
            );
            Err(Error::shape("output_hessian", expected, got))
        }
    };
    fits("target", likelihood.target_dim(k), target.len())?;
    fits("params", likelihood.params(k).len(), params.len())?;
    fits("hessian", k * k, hessian.len())
}

/// Fills a matrix with zeros outside the given diagonal.
fn fill_diagonal(hessian: &mut [f64], diagonal: impl ExactSizeIterator<Item = f64>) {
    let k = diagonal.len();
    hessian.fill(0.0);
    for (i, value) in diagonal.enumerate() {
        hessian[i * (k + 1)] = value;
    }
}

/// The first of some numbers; NaN of none.
fn first(numbers: &[f64]) -> f64 {
    numbers.first().copied().unwrap_or(f64::NAN)
}

/// The normal law of a mean.
fn normal(mean: Option<&f64>, std: f64) -> Predictive {
    let mean = mean.copied().unwrap_or(f64::NAN);
    Predictive::Law(Law::Normal { mean, std })
}

/// Checks that a network has one output.
fn check_one_output(op: &'static str, outputs: usize) -> Result<()> {
    if outputs == 1 {
        Ok(())
    } else {
        Err(Error::shape(op, "1 network output", outputs))
    }
}

/// Checks that real targets, `m` per row, are finite.
fn check_finite(m: usize, targets: &[f64]) -> Result<()> {
    check_table::<f64>("likelihood", targets, m, |j| Column::target(j, m))
}

/// Checks that `fits` accepts every target, one per row.
fn check_each(targets: &[f64], fits: impl Fn(f64) -> bool, what: &str) -> Result<()> {
    match targets.iter().position(|&y| !fits(y)) {
        None => Ok(()),
        Some(row) if !targets[row].is_finite() => {
            let column = Column::target(0, 1);
            Err(not_a_number::<f64>("likelihood", row, column, targets[row]))
        }
        Some(row) => Err(Error::data(format!(
            "target of row {row} is {}, not {what}",
            targets[row]
        ))),
    }
}
