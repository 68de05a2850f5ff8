//! Likelihoods: what the outputs of a network say about the targets.
//!
//! `-log p(y | o, s) = sum_i -log p(y_i | o_i, s)` over the rows of a batch: a **sum**, constants included, and nothing else,
//! so that the blocks of rows of a data set add up to the whole. `s` are parameters that the likelihood owns (a noise
//! level that is learned); most have none.
//!
//! Two blocks of curvature go with it: `Lambda` with respect to the outputs, row by row `[k, k]`, and that of `s`. Each is
//! the Hessian where that does not depend on the targets, and so is the Fisher information too; where it does, and is
//! indefinite for some, it is the Fisher information.
//!
//! | file | likelihood | outputs | targets a row | curvature |
//! |---|---|---|---|---|
//! | `categorical` | classes by softmax | `k` logits | 1 label | Hessian |
//! | `bernoulli` | two classes by one logit | 1 | 0 or 1 | Hessian |
//! | `poisson` | counts | 1 log rate | 1 count | Hessian |
//! | `gaussian` | real targets, fixed noise | `k` means | `k` | Hessian |
//! | `learned_noise` | real targets, the noise a parameter | `k` means | `k` | Hessian; Fisher for the noise |
//! | `student_t` | real targets with outliers, scale and tails parameters | `k` means | `k` | Fisher |
//! | `heteroscedastic` | real targets, noise by the network | `m` means, `m` scales | `m` | Fisher |
//! | `noise_head` | the same, its level a parameter | `m` means, `m` factors | `m` | Fisher |

mod bernoulli;
mod categorical;
mod gaussian;
mod heteroscedastic;
mod learned_noise;
mod noise_head;
mod params;
mod poisson;
mod student_t;
#[cfg(test)]
mod tests;

pub use bernoulli::Bernoulli;
pub use categorical::Categorical;
pub use gaussian::{Gaussian, GaussianPerOutput};
pub use heteroscedastic::HeteroscedasticGaussian;
pub use learned_noise::GaussianLearnedNoise;
pub use noise_head::GaussianNoiseHead;
pub use params::{LikelihoodParam, LikelihoodParams};
pub use poisson::{Poisson, PoissonWithBase};
pub use student_t::StudentT;

use crate::autodiff::{Graph, Var};
use crate::error::{Error, Result};

/// A likelihood of targets given network outputs.
///
/// Only [`Likelihood::neg_log_likelihood`] and [`Likelihood::check`] must be written; the others have defaults that fit a
/// likelihood of one target a row, without parameters of its own, convex in the outputs (or nearly).
///
/// ```
/// use fiberwalk::autodiff::Var;
/// use fiberwalk::{Likelihood, Result};
///
/// /// The hyperbolic secant distribution, `p(y | o) = 1 / (pi cosh(y - o))`: quadratic near its mean, linear away from it.
/// struct Sech;
/// impl Likelihood for Sech {
///     fn neg_log_likelihood<'g>(&self, outputs: Var<'g>, targets: Var<'g>, _: Var<'g>) -> Var<'g> {
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
    /// Numbers a row of targets has, `m`, for a network with this many outputs that [`Likelihood::check`] accepts.
    fn target_dim(&self, _outputs: usize) -> usize {
        1
    }

    /// Parameters of its own, `s`: they follow the network's in `theta`.
    fn params(&self, _outputs: usize) -> LikelihoodParams {
        LikelihoodParams::default()
    }

    /// Targets as [`Likelihood::neg_log_likelihood`] takes them, from targets `[n, m]` that were checked: the place for what
    /// depends on the data alone and is to be computed once, as a further number of each row. Row by row: the rows of the
    /// result are as many, of equal length, and each depends on its own row only.
    fn encode(&self, targets: &[f64]) -> Vec<f64> {
        targets.to_vec()
    }

    /// Records the **sum** over rows of `-log p(y | outputs, params)`, a scalar in nats, constants included, and nothing
    /// that is not such a sum. `outputs` is `[n, k]`, `params` is `[q]`, `targets` is `[n, e]` with `e` numbers an encoded
    /// row, but `[n]` if `e = 1`.
    fn neg_log_likelihood<'g>(
        &self,
        outputs: Var<'g>,
        targets: Var<'g>,
        params: Var<'g>,
    ) -> Var<'g>;

    /// Records `Lambda w`, row by row: `Lambda` the Hessian of the negative log-likelihood with respect to the outputs, or
    /// what stands for it in the Gauss-Newton matrix where that is indefinite. `w` and the result are `[n, k]`. By default
    /// the exact Hessian.
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

    /// The block `Lambda` of one row in plain numbers: `outputs [k]`, `target [m]`, `params [q]`, the result `[k, k]`
    /// row-major in `hessian`. The default is slow: it compiles [`Likelihood::output_hessian_product`] for the row.
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

    /// Records `F u`, the block of the Gauss-Newton matrix that belongs to the likelihood's own parameters, summed over the
    /// rows; `u` and the result are `[q]`. By default the exact Hessian: give another, such as the Fisher information, where
    /// that can be indefinite. Between parameters and outputs the matrix has zeros.
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

    /// Checks that targets `[n, m]`, row-major, can come from this likelihood on `outputs` network outputs.
    ///
    /// # Errors
    /// A shape error if it cannot take so many outputs, a data error that names the first row that cannot.
    fn check(&self, outputs: usize, targets: &[f64]) -> Result<()>;
}

/// Shape of encoded targets: rows of one number are a vector.
pub(crate) fn target_shape(rows: usize, numbers: usize) -> Vec<usize> {
    if numbers == 1 {
        vec![rows]
    } else {
        vec![rows, numbers]
    }
}

/// `Lambda` of one row, column by column from its product.
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
        // symmetric: the column is the row
        column.copy_from_slice(program.tensor(&ws, 0));
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
            let expected = format!("{want} numbers of {what} for {k} outputs");
            Err(Error::shape("output_hessian", expected, got))
        }
    };
    fits("target", likelihood.target_dim(k), target.len())?;
    fits("params", likelihood.params(k).len(), params.len())?;
    fits("hessian", k * k, hessian.len())
}

/// Fills a matrix with a diagonal.
fn fill_diagonal(hessian: &mut [f64], diagonal: impl ExactSizeIterator<Item = f64>) {
    let k = diagonal.len();
    hessian.fill(0.0);
    for (i, value) in diagonal.enumerate() {
        hessian[i * (k + 1)] = value;
    }
}

/// That a network has one output.
fn check_one_output(op: &'static str, outputs: usize) -> Result<()> {
    if outputs == 1 {
        Ok(())
    } else {
        Err(Error::shape(op, "1 network output", outputs))
    }
}

/// That real targets, `m` a row, are finite.
fn check_finite(m: usize, targets: &[f64]) -> Result<()> {
    let Some(index) = targets.iter().position(|y| !y.is_finite()) else {
        return Ok(());
    };
    Err(Error::data(if m <= 1 {
        format!("target of row {index} is not finite")
    } else {
        format!("target {} of row {} is not finite", index % m, index / m)
    }))
}

/// That targets, one a row, are what `fits` wants.
fn check_each(targets: &[f64], fits: impl Fn(f64) -> bool, what: &str) -> Result<()> {
    match targets.iter().position(|&y| !fits(y)) {
        None => Ok(()),
        Some(row) => Err(Error::data(format!(
            "target of row {row} is {}, not {what}",
            targets[row]
        ))),
    }
}
