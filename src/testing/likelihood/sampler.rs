//! A sampler of targets against the likelihood it is said to belong to.
//!
//! With `g = grad nll(o, y, s)`, over outputs and own parameters, and `y` drawn from the model:
//!
//! ```text
//! E[g] = 0                          the score identity
//! E[g_i g_j - Lambda_ij] = 0        the information identity, for outputs and for parameters
//! ```
//!
//! Means over `draws` are compared with 0: `z = mean / (std / sqrt n)` is standard normal for many
//! draws. The second identity also checks that `Lambda` is the expected Hessian. It needs a support
//! that does not depend on the parameters, and finite fourth moments of `g`.

use rand_chacha::ChaCha8Rng;

use super::super::failure::{Failure, Place};
use super::super::options::CheckOptions;
use super::super::record::Recorded;
use super::{Case, LikelihoodOptions, target_shape};
use crate::autodiff::Graph;
use crate::diagnose::{TestOutcome, chi_square_survival};
use crate::error::Result as Outcome;

/// Settings of [`check_likelihood_sampler`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SamplerOptions {
    /// Seed, cases and spread of the outputs.
    pub check: CheckOptions,
    /// Targets drawn in each case.
    pub draws: usize,
    /// Probability of rejecting a right sampler, in each case.
    pub level: f64,
}

impl Default for SamplerOptions {
    fn default() -> Self {
        Self {
            check: CheckOptions::default(),
            draws: 4_000,
            level: 1e-4,
        }
    }
}

/// Checks that `sampler` draws from `likelihood`.
///
/// `sampler(outputs, params, rng)` draws one row of targets `[m]` for outputs `[k]` and own
/// parameters `[q]`.
///
/// ```
/// use fiberwalk::testing::{SamplerOptions, check_likelihood_sampler};
/// use fiberwalk::Gaussian;
/// use rand_distr::{Distribution, StandardNormal};
/// let noise = 0.3;
/// let sampler = |o: &[f64], _: &[f64], rng: &mut rand_chacha::ChaCha8Rng| {
///     let e: f64 = StandardNormal.sample(rng);
///     vec![o[0] + noise * e]
/// };
/// check_likelihood_sampler(&Gaussian::new(noise)?, 1, sampler, &SamplerOptions::default())?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// The first identity that fails, or the first target that the likelihood refuses.
pub fn check_likelihood_sampler(
    likelihood: &dyn crate::model::Likelihood,
    outputs: usize,
    sampler: impl Fn(&[f64], &[f64], &mut ChaCha8Rng) -> Vec<f64>,
    options: &SamplerOptions,
) -> Result<(), Failure> {
    for checker in options.check.cases("check_likelihood_sampler") {
        let mut rng = checker.rng(3);
        let start = likelihood.params(outputs).init();
        let first = sampler(&vec![0.0; outputs], &start, &mut rng);
        let settings = LikelihoodOptions {
            check: CheckOptions {
                rows: 2,
                ..options.check
            },
            ..LikelihoodOptions::default()
        };
        let case = Case::new(checker, likelihood, outputs, &first, &settings)?;
        check_case(&case, &sampler, &mut rng, options)?;
    }
    Ok(())
}

type Sampler<'a> = &'a dyn Fn(&[f64], &[f64], &mut ChaCha8Rng) -> Vec<f64>;

/// Gradient of one row by outputs and own parameters, and both blocks of curvature times a vector.
struct Score {
    program: Recorded,
    k: usize,
    q: usize,
}

impl Score {
    fn new(case: &Case<'_>) -> Outcome<Self> {
        let (k, q) = (case.k, case.params.len());
        let graph = Graph::new();
        let (o, w) = (graph.input(&[1, k]), graph.input(&[1, k]));
        let y = graph.input(&target_shape(1, case.encoded.len() / case.rows));
        let (s, u) = (graph.input(&[q]), graph.input(&[q]));
        let nll = case.likelihood.neg_log_likelihood(o, y, s);
        let gradient = graph.grad(nll, &[o, s])?;
        let outputs = [
            gradient[0],
            gradient[1],
            case.likelihood.output_hessian_product(o, y, s, w)?,
            case.likelihood.params_hessian_product(o, y, s, u)?,
        ];
        Ok(Self {
            program: Recorded::new(&graph, &outputs)?,
            k,
            q,
        })
    }

    /// The gradient, then the entries `i >= j` of `g_i g_j - Lambda_ij` of either block.
    fn features(&mut self, o: &[f64], y: &[f64], s: &[f64]) -> Outcome<Vec<f64>> {
        let mut all = Vec::new();
        let mut products = Vec::new();
        for i in 0..self.k.max(self.q) {
            let unit =
                |n: usize| -> Vec<f64> { (0..n).map(|j| f64::from(u8::from(i == j))).collect() };
            let (w, u) = (unit(self.k), unit(self.q));
            let outputs = self.program.run(&[o, &w, y, s, &u])?;
            if i == 0 {
                all.extend_from_slice(&outputs[0]);
                all.extend_from_slice(&outputs[1]);
            }
            for (block, n) in [(0, self.k), (1, self.q)] {
                if i < n {
                    let (g, lambda) = (&outputs[block], &outputs[block + 2]);
                    products.extend((0..=i).map(|j| g[i] * g[j] - lambda[j]));
                }
            }
        }
        all.extend(products);
        Ok(all)
    }

    /// What feature number `index` is.
    fn place(&self, index: usize) -> Place {
        let dim = self.k + self.q;
        let name = |i: usize| match i.checked_sub(self.k) {
            None => format!("output {i}"),
            Some(i) => format!("parameter {i}"),
        };
        if index < dim {
            return Place::scalar(format!("the mean score of {}", name(index)));
        }
        let mut at = dim;
        for i in 0..self.k.max(self.q) {
            for (shift, n) in [(0, self.k), (self.k, self.q)] {
                for j in 0..=i {
                    if i < n {
                        if at == index {
                            let pair = (name(shift + i), name(shift + j));
                            let what = format!("the information of {} and {}", pair.0, pair.1);
                            return Place::scalar(what);
                        }
                        at += 1;
                    }
                }
            }
        }
        Place::scalar("a feature")
    }
}

fn check_case(
    case: &Case<'_>,
    sampler: Sampler<'_>,
    rng: &mut ChaCha8Rng,
    options: &SamplerOptions,
) -> Result<(), Failure> {
    let checker = case.checker;
    let mut score = checker.works("recording", Score::new(case))?;
    let o = &case.outputs[..case.k];
    let (mut sums, mut squares) = (Vec::new(), Vec::new());
    for _ in 0..options.draws {
        let y = sampler(o, &case.params, rng);
        checker.shape("targets of a draw", &[y.len()], &[case.m])?;
        checker.works("a drawn target", case.likelihood.check(case.k, &y))?;
        let encoded = case.likelihood.encode(&y);
        let features = checker.works("running", score.features(o, &encoded, &case.params))?;
        sums.resize(features.len(), 0.0);
        squares.resize(features.len(), 0.0);
        for ((sum, square), f) in sums.iter_mut().zip(&mut squares).zip(&features) {
            *sum += f;
            *square += f * f;
        }
    }
    let level = options.level / sums.len().max(1) as f64;
    for (i, (sum, square)) in sums.iter().zip(&squares).enumerate() {
        let outcome = test(*sum, *square, options.draws as f64);
        let name = score.place(i).to_string() + " under the sampler, which must be 0";
        checker.likely(
            &name,
            outcome,
            level,
            "square of mean / standard error, normal",
        )?;
    }
    Ok(())
}

/// The square of a mean in units of its standard error.
fn test(sum: f64, square: f64, n: f64) -> TestOutcome {
    let mean = sum / n;
    let variance = (square / n - mean * mean).max(0.0);
    // a feature that is always 0, but for rounding, says nothing
    let rounding = 1e-24 * (1.0 + square / n);
    let statistic = if mean * mean <= rounding {
        0.0
    } else {
        n * mean * mean / variance
    };
    TestOutcome {
        statistic,
        p_value: if statistic.is_finite() {
            chi_square_survival(statistic, 1.0)
        } else {
            0.0
        },
    }
}
