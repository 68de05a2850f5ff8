//! Likelihoods: a sum over rows, its derivatives, its curvature, its normalisation, its sampler.
//!
//! With `nll(o, y, s)` the negative log-likelihood that is recorded for a batch:
//!
//! ```text
//! nll([o; o']) = nll(o) + nll(o')                   a sum over rows, never a mean
//! <u, J v> = <J^T u, v>,  J v = df/dt,  H v = ...   along outputs and own parameters
//! Lambda = Lambda^T, Lambda >= 0, row by row        and Lambda = d^2 nll / do^2, if so stated
//! integral exp(-nll) dy = 1                         if the support of the targets is stated
//! E[grad nll] = 0,  E[grad grad^T] = E[Lambda]      under a sampler: see `sampler`
//! ```
//!
//! | file | what it checks |
//! |---|---|
//! | `sums` | rows, doubled rows, encoded targets, normalisation |
//! | `curvature` | `Lambda` and the block of the likelihood's own parameters |
//! | `sampler` | targets drawn by the user's sampler |

mod curvature;
mod sampler;
mod sums;

pub use sampler::{SamplerOptions, check_likelihood_sampler};

use super::checker::Checker;
use super::derivatives::{Block, check_derivatives};
use super::failure::Failure;
use super::options::{CheckOptions, normals};
use super::record::Recorded;
use crate::autodiff::{Graph, Var};
use crate::error::counted;
use crate::model::Likelihood;

/// The targets of a likelihood with one target a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Support {
    /// The normalisation is not checked.
    #[default]
    Unchecked,
    /// All real numbers.
    Real,
    /// The numbers `0..n`, such as classes. For counts, so many that the rest has no mass.
    Labels(usize),
}

/// Settings of [`check_likelihood`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LikelihoodOptions {
    /// Seed, cases and tolerance. `spread` is the standard deviation of the outputs, and half that
    /// of the likelihood's own parameters around their starting values.
    pub check: CheckOptions,
    /// The targets over which the density must have mass 1.
    pub support: Support,
    /// True if `Lambda` is the Hessian, not its replacement by the Fisher information.
    pub exact_hessian: bool,
}

impl Default for LikelihoodOptions {
    fn default() -> Self {
        Self {
            check: CheckOptions::default(),
            support: Support::Unchecked,
            exact_hessian: true,
        }
    }
}

/// Checks a likelihood with `outputs` network outputs, on rows of possible targets `[n, m]`.
///
/// Every case takes `rows` of the target rows, in turn.
///
/// ```
/// use fiberwalk::Poisson;
/// use fiberwalk::testing::{LikelihoodOptions, Support, check_likelihood};
/// let options = LikelihoodOptions { support: Support::Labels(200), ..Default::default() };
/// check_likelihood(&Poisson, 1, &[0.0, 3.0, 1.0, 7.0], &options)?;
/// # Ok::<(), fiberwalk::testing::Failure>(())
/// ```
///
/// # Errors
/// The first property that fails.
pub fn check_likelihood(
    likelihood: &dyn Likelihood,
    outputs: usize,
    targets: &[f64],
    options: &LikelihoodOptions,
) -> Result<(), Failure> {
    for checker in options.check.cases("check_likelihood") {
        let case = Case::new(checker, likelihood, outputs, targets, options)?;
        sums::check(&case)?;
        let mut rng = checker.rng(1);
        let (blocks, at) = (case.blocks(), case.at());
        check_derivatives(checker, case.slack, &blocks, &at, &mut rng, &|all| {
            case.record(all).reshape(&[1])
        })?;
        curvature::check(&case, options)?;
        sums::check_normalisation(&case, options)?;
    }
    Ok(())
}

/// A batch of rows at random outputs and own parameters.
struct Case<'a> {
    checker: Checker,
    likelihood: &'a dyn Likelihood,
    slack: f64,
    /// Network outputs of a row.
    k: usize,
    /// Target values of a row.
    m: usize,
    rows: usize,
    /// `[rows, k]`, `[rows, m]`, `[q]`.
    outputs: Vec<f64>,
    targets: Vec<f64>,
    params: Vec<f64>,
    /// The targets, encoded.
    encoded: Vec<f64>,
}

impl<'a> Case<'a> {
    fn new(
        checker: Checker,
        likelihood: &'a dyn Likelihood,
        k: usize,
        targets: &[f64],
        options: &LikelihoodOptions,
    ) -> Result<Self, Failure> {
        let (m, rows) = (likelihood.target_dim(k), options.check.batch());
        let given = targets.len() / m.max(1);
        checker.claim(
            "targets",
            k > 0 && m > 0 && given > 0 && targets.len() == given * m,
            || {
                format!(
                    "{} for {}",
                    counted(targets.len(), "target"),
                    counted(k, "output")
                )
            },
            || format!("rows of {}, and at least one output", counted(m, "target")),
        )?;
        checker.works("check", likelihood.check(k, targets))?;
        let own = likelihood.params(k);
        checker.works("own parameters", own.check())?;
        let mut rng = checker.rng(0);
        let outputs = normals(&mut rng, rows * k, options.check.spread);
        let params: Vec<f64> = normals(&mut rng, own.len(), 0.5 * options.check.spread)
            .iter()
            .zip(own.init())
            .map(|(step, start)| start + step)
            .collect();
        let targets: Vec<f64> = targets.iter().cycle().take(rows * m).copied().collect();
        let encoded = likelihood.encode(&targets);
        Ok(Self {
            checker,
            likelihood,
            slack: options.check.slack,
            k,
            m,
            rows,
            outputs,
            targets,
            params,
            encoded,
        })
    }

    /// Records the value for outputs and own parameters in one flat vector.
    fn record<'g>(&self, all: Var<'g>) -> Var<'g> {
        let size = self.rows * self.k;
        let outputs = all.slice(0, 0..size).reshape(&[self.rows, self.k]);
        let params = all.slice(0, size..size + self.params.len());
        let shape = target_shape(self.rows, self.encoded.len());
        let targets = all.graph().tensor(&shape, self.encoded.clone());
        self.likelihood.neg_log_likelihood(outputs, targets, params)
    }

    fn at(&self) -> Vec<f64> {
        [&self.outputs[..], &self.params].concat()
    }

    /// Outputs and own parameters, by name.
    fn blocks(&self) -> Vec<Block> {
        let mut end = self.outputs.len();
        let mut blocks = vec![Block {
            name: "outputs".into(),
            shape: vec![self.rows, self.k],
            range: 0..end,
            rows: true,
        }];
        for part in self.likelihood.params(self.k).parts() {
            blocks.push(Block {
                name: part.name.clone(),
                shape: vec![part.len],
                range: end..end + part.len,
                rows: false,
            });
            end += part.len;
        }
        blocks
    }
}

/// Shape of `count` encoded numbers of `rows` rows: a vector if there is one a row.
fn target_shape(rows: usize, count: usize) -> Vec<usize> {
    if rows == count {
        vec![rows]
    } else {
        vec![rows, count / rows.max(1)]
    }
}

/// The negative log-likelihood of a batch of any targets: inputs are outputs `[n, k]`, encoded
/// targets, and own parameters.
fn values(
    checker: Checker,
    likelihood: &dyn Likelihood,
    (rows, k): (usize, usize),
    (encoded, own): (usize, usize),
) -> Result<Recorded, Failure> {
    let graph = Graph::new();
    let o = graph.input(&[rows, k]);
    let y = graph.input(&target_shape(rows, encoded));
    let s = graph.input(&[own]);
    let value = likelihood.neg_log_likelihood(o, y, s);
    checker.shape(
        "the shape of the negative log-likelihood",
        &value.shape(),
        &[],
    )?;
    checker.works("recording", Recorded::new(&graph, &[value]))
}
