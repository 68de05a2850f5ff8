//! Leave-one-out cross-validation of a model with an exact fit without any row.

use rand_distr::{Distribution, StandardNormal};

use super::loo::column;
use crate::diagnose::*;
use crate::rng::{Phase, Streams};

/// `y_i ~ N(theta, 1)`, `theta ~ N(0, 9)`: all results are Gaussian.
struct Conjugate {
    y: Vec<f64>,
}

impl Conjugate {
    /// Mean and variance of the parameter given the rows, or all but one.
    fn posterior(&self, without: Option<usize>) -> (f64, f64) {
        let kept = || (0..self.y.len()).filter(|&i| Some(i) != without);
        let variance = (kept().count() as f64 + 1.0 / 9.0).recip();
        (variance * kept().map(|i| self.y[i]).sum::<f64>(), variance)
    }

    fn log_predictive(&self, row: usize, without: Option<usize>) -> f64 {
        let (mean, variance) = self.posterior(without);
        log_normal(self.y[row] - mean, variance + 1.0)
    }

    fn draws(&self, count: usize) -> Vec<f64> {
        let (mean, variance) = self.posterior(None);
        let normal = |z: f64| mean + variance.sqrt() * z;
        StandardNormal
            .sample_iter(Streams::new(11).rng(Phase::USER, 0))
            .map(normal)
            .take(count)
            .collect()
    }

    fn log_lik(&self, theta: &[f64]) -> Vec<f64> {
        let of = |t: &f64| {
            let t = *t;
            self.y.iter().map(move |y| log_normal(y - t, 1.0))
        };
        theta.iter().flat_map(of).collect()
    }

    /// The deviation of `log mean_s 1/p_s` over `draws` independent draws, `p = N(y; theta, 1)`,
    /// `theta ~ N(m, v)`: `sqrt((R - 1) / S)`, `R = E[p^-2] / E[p^-1]^2`, where with `d = y - m`
    ///
    /// `E[p^-a] ~ E[exp(a (theta - y)^2 / 2)] = (1 - a v)^{-1/2} exp(a d^2 / 2 / (1 - a v))`.
    fn deviation(&self, row: usize, draws: usize) -> f64 {
        let (mean, v) = self.posterior(None);
        let square = (self.y[row] - mean).powi(2);
        let log_moment = |a: f64| 0.5 * (a * square / (1.0 - a * v) - (1.0 - a * v).ln());
        let r = (log_moment(2.0) - 2.0 * log_moment(1.0)).exp();
        ((r - 1.0) / draws as f64).sqrt()
    }
}

fn log_normal(x: f64, variance: f64) -> f64 {
    -0.5 * (x * x / variance + (2.0 * std::f64::consts::PI * variance).ln())
}

#[test]
fn a_gaussian_that_can_be_fitted_without_each_row() {
    let y = (0..12).map(|i| 0.7 + 1.8 * f64::from(i).sin()).collect();
    let model = Conjugate { y };
    let draws = 20_000;
    let theta = model.draws(draws);
    let log_lik = model.log_lik(&theta);
    let loo = Loo::new(&log_lik, draws, None).unwrap();
    let (mut exact, mut lppd, mut bound) = (0.0, 0.0, 0.0);
    for (row, got) in loo.pointwise.iter().enumerate() {
        let expected = model.log_predictive(row, Some(row));
        let sigma = model.deviation(row, draws);
        // at most 0.005 nats; the row itself is worth up to 0.4
        assert!(sigma < 0.005, "{sigma}");
        assert!(
            (got - expected).abs() < 4.0 * sigma,
            "{row}: {got} {expected}"
        );
        exact += expected;
        lppd += model.log_predictive(row, None);
        bound += sigma;
    }
    // rows share the draws: their errors at most add up
    assert!((loo.elpd_loo - exact).abs() < 3.0 * bound);
    assert!((loo.p_loo - (lppd - exact)).abs() < 6.0 * bound);
    assert!(
        lppd - exact > 0.9 && 6.0 * bound < 0.3,
        "{lppd} {exact} {bound}"
    );
    assert_eq!(loo.unreliable(), 0);
    assert_eq!((loo.threshold(), loo.draws), (0.7, draws));
}

#[test]
fn weighted_draws_predict_without_the_row() {
    let y = (0..12).map(|i| 0.7 + 1.8 * f64::from(i).sin()).collect();
    let model = Conjugate { y };
    let draws = 20_000;
    let theta = model.draws(draws);
    let log_lik = model.log_lik(&theta);
    for row in 0..model.y.len() {
        let of_row = column(&log_lik, model.y.len(), row);
        let (log_weights, k) = loo_log_weights(&of_row, None).unwrap();
        let total: f64 = log_weights.iter().map(|w| w.exp()).sum();
        assert!((total - 1.0).abs() < 1e-12 && k < 0.7);
        // the mean moves by v_-i d_i, up to 0.2; that of S weighted draws has a deviation of about
        // sqrt(v / S) = 0.002, more because of the weights: 5 deviations
        let mean: f64 = log_weights
            .iter()
            .zip(&theta)
            .map(|(w, t)| w.exp() * t)
            .sum();
        let (expected, _) = model.posterior(Some(row));
        assert!((mean - expected).abs() < 0.01, "{row}: {mean} {expected}");
    }
}

#[test]
fn a_row_far_off_is_unreliable_and_the_others_are_not() {
    let mut y: Vec<f64> = (0..20).map(|i| f64::from(i).sin()).collect();
    y[4] = 25.0;
    let model = Conjugate { y };
    let log_lik = model.log_lik(&model.draws(2000));
    let loo = Loo::new(&log_lik, 2000, None).unwrap();
    assert_eq!(loo.unreliable(), 1);
    assert!(loo.pareto_k[4] > loo.threshold(), "{:?}", loo.pareto_k);
    // too high, as documented for such rows
    assert!(loo.pointwise[4] > model.log_predictive(4, Some(4)) + 1.0);
}
