//! Predictive distributions of several targets a row, against closed forms.

use fiberwalk::artifact::{AnyModel, Predictions};
use fiberwalk::pipeline::{FitOptions, Method, Stage, fit_model};
use fiberwalk::{
    Activation, Gaussian, GaussianNoiseHead, GaussianPerOutput, IsotropicGaussian, Law, Likelihood,
    Mlp, Model, Predictive, StudentT,
};

use crate::common::normals;

const NOISES: [f64; 2] = [0.3, 0.7];
const PRECISION: f64 = 1.3;

/// 30 rows of one feature, with mean 0 and deviation 1, and two targets each.
fn rows() -> (Vec<f64>, Vec<f64>) {
    let n = 30;
    let x: Vec<f64> = (0..n).map(|i| f64::from(i) - 14.5).collect();
    let std = (x.iter().map(|x| x * x).sum::<f64>() / f64::from(n)).sqrt();
    let x: Vec<f64> = x.iter().map(|x| x / std).collect();
    let e = normals(60, 5);
    let pair = |(i, x): (usize, &f64)| {
        let (a, b) = (0.8 * x - 0.2, 1.5 - 0.4 * x);
        [a + NOISES[0] * e[2 * i], b + NOISES[1] * e[2 * i + 1]]
    };
    let y = x.iter().enumerate().flat_map(pair).collect();
    (x, y)
}

/// Mean and variance of `a x + b` for target `t`, by Bayesian linear regression.
fn exact(t: usize, at: f64, (x, y): (&[f64], &[f64])) -> (f64, f64) {
    let weight = NOISES[t].powi(-2);
    let n = x.len() as f64;
    // the feature has mean 0 and deviation 1: slope and intercept are independent
    let precision = weight * n + PRECISION;
    let sum = |f: fn(f64) -> f64| -> f64 {
        let each = x.iter().zip(y.chunks_exact(2));
        each.map(|(x, y)| f(*x) * y[t]).sum::<f64>() * weight / precision
    };
    let (slope, intercept) = (sum(|x| x), sum(|_| 1.0));
    (slope * at + intercept, (at * at + 1.0) / precision)
}

/// Moments, their parts and quantiles of each target, with 8,000 draws: errors are 1 % of a standard
/// deviation for means and for deviations. A likelihood that gave every target the law of the first
/// would be wrong by the noise alone.
#[test]
fn every_target_has_its_predictive() {
    let (x, y) = rows();
    let network = Mlp::new(&[1, 2], Activation::Tanh).unwrap();
    let likelihood = GaussianPerOutput::new(&NOISES).unwrap();
    let prior = IsotropicGaussian::new(PRECISION).unwrap();
    let model = Model::with_head("two targets", network, likelihood, prior);
    let options = FitOptions::of(Method::Atlas);
    let quiet = |_: Stage, _: usize, _: usize| {};
    let fitted = fit_model::<f64>(&model, &x, &y, &options, &quiet).unwrap();
    let predictor = fitted.model.predictor(8_000, 0).unwrap();
    let places = [-2.5, 0.0, 1.0];
    let targets = predictor.targets(&places, &[0.1, 0.9]).unwrap();
    assert_eq!(targets.len(), 2);
    for (t, all) in targets.iter().enumerate() {
        for (i, &at) in places.iter().enumerate() {
            let (mean, variance) = exact(t, at, (&x, &y));
            let (got, std) = (all.moments[i], (variance + NOISES[t].powi(2)).sqrt());
            let epistemic = variance.sqrt();
            assert!(
                (got.mean - mean).abs() < 0.05 * epistemic,
                "{t} {at}: {got:?} {mean}"
            );
            assert!(
                (got.epistemic_std / epistemic - 1.0).abs() < 0.04,
                "{got:?} {epistemic}"
            );
            assert!((got.aleatoric_std() / NOISES[t] - 1.0).abs() < 1e-9);
            assert!((got.std / std - 1.0).abs() < 0.01);
            for (q, z) in all.quantiles_of(i).iter().zip([-1.2816, 1.2816]) {
                assert!((q - mean - z * std).abs() < 0.02 * std, "{q}");
            }
        }
    }
    // `rows` is the first target
    let Predictions::Real(first) = predictor.rows(&places).unwrap() else {
        panic!("a number")
    };
    for (a, b) in first.moments.iter().zip(&targets[0].moments) {
        assert!((a.mean - b.mean).abs() < 1e-12 && (a.std - b.std).abs() < 1e-12);
    }
    assert!(predictor.targets(&places, &[1.0]).is_err());
}

/// A model that stretches its predictions stretches those of targets too.
#[test]
fn a_calibration_is_applied_to_targets() {
    let fixture = "tests/data/models/format7/real_spread.fw";
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(fixture);
    let predictor = AnyModel::load(&path).unwrap().predictor(64, 0).unwrap();
    let x = vec![0.3; 2];
    let Predictions::Real(rows) = predictor.rows(&x).unwrap() else {
        panic!("a number")
    };
    let targets = predictor.targets(&x, &rows.probabilities).unwrap();
    let [target] = &targets[..] else {
        panic!("one target")
    };
    let plain = predictor.with_calibration(None).unwrap();
    let Predictions::Real(plain) = plain.rows(&x).unwrap() else {
        panic!("a number")
    };
    for ((a, b), c) in rows.moments.iter().zip(&target.moments).zip(&plain.moments) {
        assert!((a.std / b.std - 1.0).abs() < 1e-6, "{a:?} {b:?}");
        assert!(
            (c.std / b.std - 1.0).abs() > 0.01,
            "the calibration does nothing"
        );
    }
}

/// The laws of every target, likelihood by likelihood.
#[test]
fn laws_of_the_built_in_likelihoods() {
    let normal = |mean: f64, std: f64| Predictive::Law(Law::Normal { mean, std });
    let o = [1.0, -2.0];
    let one = Gaussian::new(0.5).unwrap();
    assert_eq!(one.predictive_of(1, &o, &[]), normal(-2.0, 0.5));
    let each = GaussianPerOutput::new(&NOISES).unwrap();
    assert_eq!(each.predictive_of(1, &o, &[]), normal(-2.0, 0.7));
    // means, then heads of the noise
    let head = GaussianNoiseHead::new(0.5).unwrap();
    let outputs = [1.0, -2.0, 0.0, 2f64.ln()];
    let Predictive::Law(Law::Normal { mean, std }) = head.predictive_of(1, &outputs, &[0.0]) else {
        panic!("a normal law")
    };
    assert!(mean == -2.0 && (std - 2.0).abs() < 1e-12);
    let heavy = StudentT::default();
    let Predictive::Law(Law::StudentT { mean, .. }) = heavy.predictive_of(1, &o, &[0.0, 0.0])
    else {
        panic!("a law of Student")
    };
    assert_eq!(mean, -2.0);
    for likelihood in [&one as &dyn Likelihood, &each] {
        assert_eq!(
            likelihood.predictive_of(0, &o, &[]),
            likelihood.predictive(&o, &[])
        );
    }
}
