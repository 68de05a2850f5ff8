//! The MAP estimate of stiff regressions: whether its last steps arrive.

use crate::common::{network, standardised};
use fiberwalk::curvature::DenseCurvature;
use fiberwalk::linalg::Cholesky;
use fiberwalk::linalg::vector::dot;
use fiberwalk::optim::{MapOptions, PolishOptions, fit_map, polish};
use fiberwalk::{Activation, Gaussian, IsotropicGaussian, LogDensity, PosteriorDensity};

const PRECISION: f64 = 1.0;

/// 50 tanh from 400 steps of Adam to the minimum, in f64. What is left there is computed anew, and
/// first-order steps from there find nothing. Two controls: Adam's 4,000 steps, the whole default
/// estimate, end nats above; and few matrices are said to be too few.
fn arrives(set: &str, noise_std: f64, gradients: usize) {
    let (x, y, d, _) = standardised(set);
    let (net, theta) = network(&[d, 50, 1], Activation::Tanh, 3);
    let likelihood = Gaussian::new(noise_std).unwrap();
    let prior = IsotropicGaussian::new(PRECISION).unwrap();
    let density = PosteriorDensity::<f64>::new(&net, &likelihood, &prior, &x, &y).unwrap();
    let p = density.dim();
    let curvature = DenseCurvature::<f64>::new(&net, &likelihood, (&x, &y), 0..p).unwrap();
    let matrix = |theta: &[f64]| {
        let mut matrix = curvature.at(&likelihood, theta)?;
        matrix
            .iter_mut()
            .step_by(p + 1)
            .for_each(|a| *a += PRECISION);
        Ok(matrix)
    };
    let adam = |steps: usize, theta: Vec<f64>| {
        let options = MapOptions {
            steps,
            ..MapOptions::default()
        };
        fit_map(&density, theta, &options, |_| ()).unwrap()
    };
    let start = adam(400, theta.clone());
    let mut map = start.clone();
    let report = polish(&density, &mut map, matrix, &PolishOptions::default()).unwrap();
    assert!(report.converged, "{report:?}");
    assert!(map.gradients < gradients, "{}", map.gradients);

    // Newton's decrement, by hand
    let mut grad = vec![0.0; p];
    let ws = &mut density.workspace();
    let energy = -density
        .log_density_and_grad(&map.theta, &mut grad, ws)
        .unwrap();
    assert_eq!(energy, map.energy);
    let factor = Cholesky::new(&matrix(&map.theta).unwrap(), p).unwrap();
    let mut step = grad.clone();
    factor.solve(&mut step);
    assert!(0.5 * dot(&grad, &step) < 0.01);
    let onward = MapOptions {
        steps: 2_000,
        learning_rate: 1e-4,
        ..MapOptions::default()
    };
    let further = fit_map(&density, map.theta.clone(), &onward, |_| ()).unwrap();
    assert!(further.energy > energy - 0.1, "{} {energy}", further.energy);

    let long = adam(4_000, theta);
    let mut ended = long.clone();
    polish(&density, &mut ended, matrix, &PolishOptions::default()).unwrap();
    assert!(ended.energy < long.energy - 1.0, "{}", long.energy);
    let mut short = start;
    let few = PolishOptions {
        matrices: 2,
        ..PolishOptions::default()
    };
    let report = polish(&density, &mut short, matrix, &few).unwrap();
    assert!(!report.converged && report.decrement > 1.0, "{report:?}");
}

#[test]
fn the_estimate_of_yacht_arrives() {
    arrives("yacht.csv", 0.1, 3_000);
}

#[test]
fn the_estimate_of_snelson1d_arrives() {
    arrives("snelson1d.csv", 0.3, 3_000);
}
