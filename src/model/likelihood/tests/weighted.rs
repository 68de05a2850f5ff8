//! Weights against rows that occur so many times.

use std::sync::Arc;

use super::*;
use crate::model::{Curved, IsotropicGaussian, LogDensity, PosteriorDensity};
use crate::nn::{Activation, Mlp, Network};

const WEIGHTS: [f64; 5] = [2.0, 1.0, 0.0, 3.0, 1.0];

/// Numbers between -1 and 1.
fn numbers(n: usize, step: f64) -> Vec<f64> {
    (0..n).map(|i| (step * i as f64 + 0.3).sin()).collect()
}

fn close(what: &str, got: &[f64], want: &[f64]) {
    let size = want.iter().fold(1.0, |a: f64, b| a.max(b.abs()));
    for (got, want) in got.iter().zip(want) {
        assert!((got - want).abs() < 1e-11 * size, "{what}: {got} {want}");
    }
}

/// Value, gradient, and products with both matrices.
fn all(density: &PosteriorDensity<f64>, theta: &[f64]) -> [Vec<f64>; 4] {
    let v = numbers(theta.len(), 1.7);
    let zero = || vec![0.0; theta.len()];
    let (mut g, mut ggn, mut h) = (zero(), zero(), zero());
    let value = density
        .log_density_and_grad(theta, &mut g, &mut density.workspace())
        .unwrap();
    let ws = &mut density.ggn_workspace();
    density.ggn_product(theta, &v, &mut ggn, ws).unwrap();
    let ws = &mut density.hessian_workspace();
    density.hessian_product(theta, &v, &mut h, ws).unwrap();
    [vec![value], g, ggn, h]
}

#[test]
fn weights_count_rows_that_often() {
    for case in cases() {
        let (k, name) = (case.outputs, case.name);
        let likelihood: Arc<dyn Likelihood> = case.likelihood.into();
        let network = Mlp::new(&[2, 3, k], Activation::Tanh).unwrap();
        let prior = IsotropicGaussian::new(0.7).unwrap();
        let m = likelihood.target_dim(k);
        let x = numbers(2 * WEIGHTS.len(), 0.9);
        // labels, counts and real numbers alike; one class has no others
        let classes = if name == "categorical" && k == 1 {
            1
        } else {
            2
        };
        let label = |i: usize| (i % classes) as f64;
        let y: Vec<f64> = (0..m * WEIGHTS.len()).map(label).collect();
        let (mut often_x, mut often_y) = (Vec::new(), Vec::new());
        for (i, &w) in WEIGHTS.iter().enumerate() {
            for _ in 0..w as usize {
                often_x.extend(&x[2 * i..2 * i + 2]);
                often_y.extend(&y[m * i..m * (i + 1)]);
            }
        }
        let weighted = Weighted::new(likelihood.clone(), k).unwrap();
        let rows = Weighted::join(&y, &WEIGHTS).unwrap();
        let once = PosteriorDensity::new(&network, &weighted, &prior, &x, &rows).unwrap();
        let often = PosteriorDensity::new(&network, &likelihood, &prior, &often_x, &often_y);
        let often = often.unwrap();
        assert_eq!(once.targets(), often.targets(), "{name}");
        let mut theta = numbers(network.dim(), 0.37);
        theta.extend(likelihood.params(k).init());
        let (got, want) = (all(&once, &theta), all(&often, &theta));
        let names = [
            "value",
            "gradient",
            "Gauss-Newton product",
            "Hessian product",
        ];
        for ((got, want), what) in got.iter().zip(&want).zip(names) {
            close(&format!("{name}: {what}"), got, want);
        }
        // single rows
        let (o, own) = (numbers(k, 0.8), likelihood.params(k).init());
        let (mut plain, mut twice) = (vec![0.0; k * k], vec![0.0; k * k]);
        likelihood
            .output_hessian(&o, &y[..m], &own, &mut plain)
            .unwrap();
        weighted
            .output_hessian(&o, &rows[..=m], &own, &mut twice)
            .unwrap();
        plain.iter_mut().for_each(|h| *h *= WEIGHTS[0]);
        close(name, &twice, &plain);
    }
}

#[test]
fn impossible_weights_are_refused() {
    let gaussian: Arc<dyn Likelihood> = Arc::new(Gaussian::new(1.0).unwrap());
    let weighted = Weighted::new(gaussian, 1).unwrap();
    for (rows, what) in [
        (&[1.0, -1.0][..], "row 0: -1 is not a weight"),
        (&[1.0, 1.0, 2.0, f64::NAN], "row 1: NaN is not a weight"),
        (&[1.0, 0.0, 2.0, 0.0], "every row has weight 0"),
        (&[1.0, 0.0, 2.0], "rows of 1 target and a weight"),
    ] {
        let error = weighted.check(1, rows).unwrap_err().to_string();
        assert!(error.contains(what), "{error}");
    }
    assert!(weighted.check(1, &[f64::NAN, 1.0]).is_err());
    assert!(Weighted::join(&[1.0, 2.0, 3.0], &[1.0, 1.0]).is_err());
    assert_eq!(
        weighted.row_weights(&[5.0, 1.0, 6.0, 2.0]),
        Some(vec![1.0, 2.0])
    );
}

/// A likelihood that knows sums alone cannot have weights.
#[test]
fn a_likelihood_without_rows_is_refused() {
    struct Sum;
    impl Likelihood for Sum {
        fn neg_log_likelihood<'g>(&self, o: Var<'g>, _: Var<'g>, _: Var<'g>) -> Var<'g> {
            o.square().sum()
        }
        fn check(&self, _: usize, _: &[f64]) -> Result<()> {
            Ok(())
        }
    }
    let error = Weighted::new(Arc::new(Sum), 1).unwrap_err().to_string();
    assert!(error.contains("row_neg_log_likelihoods"), "{error}");
}
