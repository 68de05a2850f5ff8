//! Predictions from Gaussian outputs, as the linearised Laplace approximation gives them.
//!
//! Regression is exact: a Gaussian with the variance of the output plus that of the noise. For
//! classes, the mean softmax of a Gaussian has no closed form. There are three approximations:
//! - **Monte Carlo**: draw outputs from each row's Gaussian and treat them like any other samples
//!   ([`draw_outputs`]).
//! - **probit** (MacKay 1992): put `p_k ~ m_k / sqrt(1 + pi/8 v_kk)` through the softmax. Each
//!   output uses only its own variance; correlations are ignored.
//! - **pairs** (Daunizeau 2017, arXiv 1703.00091: errors of at most 5 %):
//!   `p_k = 1 / (2 - K + sum_{j != k} 1 / s_kj)`, then normalised. Here
//!   `s_kj = E sigmoid(o_k - o_j) ~ sigmoid(m / sqrt(1 + 0.368 v))`, with the mean `m` and variance
//!   `v` of the difference. This accounts for correlations.
//!
//! A single output is the logit of class 1 against class 0.

use super::output_gaussian::OutputGaussian;
use super::outputs::Outputs;
use super::real_mixtures::RegressionPredictions;
use crate::error::{Column, Error, Result, counted};
use crate::linalg::vector::dot;
use crate::linalg::{check_table, symmetric_eigen};
use crate::parallel;
use crate::rng::{Phase, Streams, fill_normal};

/// An approximation of the mean softmax of a Gaussian.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SoftmaxMean {
    /// Scale each output by its own variance.
    #[default]
    Probit,
    /// Use the pairwise differences of outputs.
    Pairs,
}

/// Daunizeau's factor for a variance, fitted to the logistic function.
const PAIRS: f64 = 0.368;

/// MacKay's factor.
const PROBIT: f64 = std::f64::consts::PI / 8.0;

/// Draws `samples` independent outputs from every row's Gaussian.
///
/// Row `i` uses the random stream `first_row + i`, so splitting rows into blocks does not change
/// the draws.
///
/// # Errors
/// If there are no samples, lengths do not fit, or a covariance is not finite.
pub fn draw_outputs(
    gaussian: &OutputGaussian,
    samples: usize,
    first_row: usize,
    streams: Streams,
) -> Result<Outputs> {
    check(gaussian)?;
    if samples == 0 {
        return Err(Error::config("samples", samples, "must be positive"));
    }
    let k = gaussian.width;
    let mut values = vec![0.0; gaussian.rows * samples * k];
    parallel::try_for_each(values.chunks_mut(samples * k), |row, out| {
        let (mean, covariance) = (gaussian.mean(row), gaussian.covariance(row));
        // semidefinite is enough: a last layer without data has directions of zero variance
        let eigen = symmetric_eigen(covariance, k)?;
        let root: Vec<f64> = (0..k * k)
            .map(|at| {
                eigen.vectors[at % k * k + at / k] * at_least_zero(eigen.values[at % k]).sqrt()
            })
            .collect();
        fill_normal(
            &mut streams.rng(Phase::SAMPLE, (first_row + row) as u64),
            out,
        );
        let mut z = vec![0.0; k];
        for o in out.chunks_exact_mut(k) {
            z.copy_from_slice(o);
            for (i, o) in o.iter_mut().enumerate() {
                *o = mean[i] + dot(&root[i * k..(i + 1) * k], &z);
            }
        }
        Ok(())
    })?;
    Ok(Outputs {
        rows: gaussian.rows,
        samples,
        width: k,
        values,
    })
}

/// Class probabilities `[n, classes]` in closed form. A single output gives two classes.
///
/// # Errors
/// If lengths do not fit, or a number or a probability is not finite.
pub fn class_probabilities(gaussian: &OutputGaussian, by: SoftmaxMean) -> Result<Vec<f64>> {
    check(gaussian)?;
    let k = gaussian.width;
    let mut all = Vec::with_capacity(gaussian.rows * k.max(2));
    for row in 0..gaussian.rows {
        let (m, v) = (gaussian.mean(row), gaussian.covariance(row));
        let var = |i: usize, j: usize| v[i * k + j];
        let own = |i: usize| at_least_zero(var(i, i));
        match (k, by) {
            (1, SoftmaxMean::Probit) => {
                let logit = m[0] / (1.0 + PROBIT * own(0)).sqrt();
                all.extend([sigmoid(-logit), sigmoid(logit)]);
            }
            (1, SoftmaxMean::Pairs) => {
                let logit = m[0] / (1.0 + PAIRS * own(0)).sqrt();
                all.extend([sigmoid(-logit), sigmoid(logit)]);
            }
            (_, SoftmaxMean::Probit) => {
                let scaled = |i: usize| m[i] / (1.0 + PROBIT * own(i)).sqrt();
                let scaled: Vec<f64> = (0..k).map(scaled).collect();
                let top = scaled.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                normalised(scaled.iter().map(|s| (s - top).exp()), &mut all);
            }
            (_, SoftmaxMean::Pairs) => {
                // 1 / sigmoid(x) = 1 + exp(-x): the sum is 1 + sum_j exp(-x_kj)
                let log_odds = |i: usize, j: usize| {
                    let spread = at_least_zero(var(i, i) + var(j, j) - 2.0 * var(i, j));
                    (m[i] - m[j]) / (1.0 + PAIRS * spread).sqrt()
                };
                let one = |i: usize| {
                    let others = (0..k).filter(|&j| j != i);
                    let sum: f64 = others.map(|j| (-log_odds(i, j)).exp()).sum();
                    1.0 / (1.0 + sum)
                };
                normalised((0..k).map(one), &mut all);
            }
        }
    }
    let classes = k.max(2);
    check_table::<f64>("class probabilities", &all, classes, Column::Class)?;
    Ok(all)
}

/// Predictions of a real target in its own units, from standardised Gaussians of one output.
///
/// The target is `target_mean + target_std * output`. The noise has `noise_std` standardised units.
///
/// # Errors
/// If there is more than one output, lengths do not fit, a number is not finite, or the noise is
/// not positive.
pub fn regression_predictions(
    gaussian: &OutputGaussian,
    noise_std: f64,
    target_mean: f64,
    target_std: f64,
) -> Result<RegressionPredictions> {
    check(gaussian)?;
    let outputs = Outputs {
        rows: gaussian.rows,
        samples: 1,
        width: gaussian.width,
        values: gaussian.means.clone(),
    };
    let deviation = |v: &f64| v.max(0.0).sqrt();
    let stds: Vec<f64> = gaussian.covariances.iter().map(deviation).collect();
    RegressionPredictions::analytic(&outputs, &stds, noise_std, target_mean, target_std)
}

fn check(gaussian: &OutputGaussian) -> Result<()> {
    let (n, k) = (gaussian.rows, gaussian.width);
    if gaussian.means.len() != n * k || gaussian.covariances.len() != n * k * k || k == 0 {
        let (means, outputs) = (counted(n, "mean"), counted(k, "output"));
        let expected = format!("{means} of {outputs}, and their covariances");
        let got = format!(
            "{} and {}",
            gaussian.means.len(),
            gaussian.covariances.len()
        );
        return Err(Error::shape("OutputGaussian", expected, got));
    }
    check_table::<f64>("means of outputs", &gaussian.means, k, Column::Number)?;
    let covariances = &gaussian.covariances;
    check_table::<f64>("covariances of outputs", covariances, k * k, Column::Number)
}

/// Sets a variance that rounding made negative to 0. NaN stays NaN; `max` would make it 0.
fn at_least_zero(x: f64) -> f64 {
    if x < 0.0 { 0.0 } else { x }
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

fn normalised(weights: impl Iterator<Item = f64>, out: &mut Vec<f64>) {
    let start = out.len();
    out.extend(weights);
    let sum: f64 = out[start..].iter().sum();
    out[start..].iter_mut().for_each(|p| *p /= sum);
}

#[cfg(test)]
mod tests;
