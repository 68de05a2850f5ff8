//! The energy on a plane against closed forms, and against what a walk kept of its points.

use super::*;
use crate::artifact::AnyModel;
use crate::data::{Task, regression_with_gap};
use crate::pipeline::{FitOptions, WalkSettings, fit};
use crate::rng::Streams;

fn walked(data: &Dataset, options: FitOptions) -> (AnyModel, Draws<f64>) {
    let walk = WalkSettings {
        steps: Some(30),
        particles: Some(4),
        samples: 16,
        ..WalkSettings::default()
    };
    let options = FitOptions {
        method: walk.into(),
        ..options
    };
    let model = AnyModel::from(fit::<f64>(data, &options, &()).unwrap().model);
    let draws = model.draws(16, 0).unwrap();
    (model, draws)
}

/// A line with given prior precision and noise: `U` is a quadratic around the solution of
/// `A theta = X^T y / s^2` with `A = X^T X / s^2 + alpha I`. So is its slice, and its contours are
/// the ellipses of the posterior's covariance, `A^-1`.
#[test]
fn contours_of_a_linear_model_are_the_ellipses_of_its_posterior() {
    let (alpha, s) = (0.8, 0.6);
    let x: Vec<f64> = (0..25).map(|i| f64::from(i * 7 % 25) / 5.0).collect();
    let y: Vec<f64> = x
        .iter()
        .map(|x| 1.0 - 0.4 * x + (9.0 * x).sin() * 0.3)
        .collect();
    let data = Dataset::new(x, y, vec!["x".into()], "y", Task::Regression).unwrap();
    let options = FitOptions {
        hidden: Vec::new(),
        prior_precision: Some(alpha),
        noise_std: Some(s),
        ..FitOptions::default()
    };
    let (model, draws) = walked(&data, options);
    let metadata = model.metadata();
    let rows = training_rows(metadata, &data).unwrap();
    let energy = Energy::new(metadata, &rows, &draws).unwrap().unwrap();
    // parameters are the slope and the intercept
    let precision = s.powi(-2);
    let sum = |f: &dyn Fn(f64, f64) -> f64| {
        let pairs = rows.x.iter().zip(&rows.y);
        precision * pairs.map(|(x, y)| f(*x, *y)).sum::<f64>()
    };
    let a = [
        sum(&|x, _| x * x) + alpha,
        sum(&|x, _| x),
        sum(&|_, _| 1.0) + alpha,
    ];
    let b = [sum(&|x, y| x * y), sum(&|_, y| y)];
    let det = a[0] * a[2] - a[1] * a[1];
    let best = [
        (a[2] * b[0] - a[1] * b[1]) / det,
        (a[0] * b[1] - a[1] * b[0]) / det,
    ];
    let above = |slope: f64, intercept: f64| {
        let (u, v) = (slope - best[0], intercept - best[1]);
        0.5 * (a[0] * u * u + 2.0 * a[1] * u * v + a[2] * v * v)
    };
    // a turned plane that the solution is on: all of the space
    let (c, d) = (0.8, 0.6);
    let (e, f) = ([c, d], [-d, c]);
    let width = 4.0 / a[0].min(a[2]).sqrt();
    let ranges = [[-width, width]; 2];
    let (grid, lowest) = energy.on(&best, [&e, &f], ranges).unwrap();
    let place = |p: [f64; 2]| {
        let at = |k: usize| best[k] + p[0] * e[k] + p[1] * f[k];
        above(at(0), at(1))
    };
    let least = energy.of(&best, 2).unwrap()[0];
    assert!((lowest - least).abs() < 1e-9 * least.abs().max(1.0));
    for (j, y) in grid.y.iter().enumerate() {
        for (i, x) in grid.x.iter().enumerate() {
            let (got, want) = (grid.values[j * grid.x.len() + i], place([*x, *y]));
            assert!((got - want).abs() < 1e-8 * (1.0 + want), "{got} {want}");
        }
    }
    // the middle is a node, so levels count from the solution; an edge of length h misses a
    // quadratic by h^2 / 8 times its curvature, which is below the trace
    let h = grid.x[1] - grid.x[0];
    let most = h * h * (a[0] + a[2]) / 8.0;
    let levels = grid.levels(6);
    assert!(levels.len() >= 3, "{levels:?}");
    for level in levels {
        for point in grid.lines(level).concat() {
            let miss = level - place(point);
            assert!((-1e-8..=most + 1e-8).contains(&miss), "{miss} of {most}");
        }
    }
}

/// What the walk saw is what the slice sees: data, noise and prior. Energies are kept to a
/// hundredth.
#[test]
fn energies_of_points_are_those_of_the_walk() {
    let data = regression_with_gap(30, 0.3, &Streams::new(4)).unwrap();
    let options = FitOptions {
        hidden: vec![3],
        prior_precision: Some(1.0),
        noise_std: Some(0.4),
        ..FitOptions::default()
    };
    let (model, draws) = walked(&data, options);
    let metadata = model.metadata();
    let rows = training_rows(metadata, &data).unwrap();
    let energy = Energy::new(metadata, &rows, &draws).unwrap().unwrap();
    let dim = metadata.build_network().unwrap().dim();
    let got = energy.of(&draws.theta, dim).unwrap();
    let walk = metadata.report.as_ref().unwrap().walk.as_ref().unwrap();
    assert_eq!(got.len(), walk.energies.len());
    for (got, want) in got.iter().zip(&walk.energies) {
        assert!((got - want).abs() < 0.0051, "{got} {want}");
    }
    let few = data.select(&(0..20).collect::<Vec<_>>()).unwrap();
    let error = training_rows(metadata, &few).unwrap_err().to_string();
    assert!(
        error.contains("20 rows") && error.contains("fitted to 30 rows"),
        "{error}"
    );
}

/// With sampled scales the walk's energy has the parameters as standard normal numbers and priors
/// of the scales; what is left of a difference of two draws with the same scales is that of `U`.
/// Here: the energy is the sum of its parts, by hand, at the means of the log scales.
#[test]
fn sampled_scales_are_held_at_the_means_of_their_logarithms() {
    let data = regression_with_gap(30, 0.3, &Streams::new(4)).unwrap();
    let options = FitOptions {
        hidden: vec![3],
        ..FitOptions::default()
    };
    let (model, draws) = walked(&data, options);
    let metadata = model.metadata();
    let names = &metadata.scales.as_ref().unwrap().names;
    assert_eq!(
        names.len(),
        3,
        "two layers' weights, and the hidden biases: {names:?}"
    );
    let rows = training_rows(metadata, &data).unwrap();
    let energy = Energy::new(metadata, &rows, &draws).unwrap().unwrap();
    let mean_log = |values: Vec<f64>| {
        let logs: Vec<f64> = values.iter().map(|v| v.ln()).collect();
        logs.iter().sum::<f64>() / logs.len() as f64
    };
    let scale = |k: usize| {
        let own = draws.scales.iter().skip(k).step_by(3).copied();
        mean_log(own.collect()).exp()
    };
    let noise = mean_log(draws.noise_std.clone()).exp();
    let d = rows.x.len() / rows.y.len();
    let at = |theta: &[f64]| {
        let mut u = 0.0;
        for (i, y) in rows.y.iter().enumerate() {
            let mut mean = theta[3 * d + 6];
            for j in 0..3 {
                let sum = (0..d)
                    .map(|k| rows.x[i * d + k] * theta[3 * k + j])
                    .sum::<f64>();
                mean += theta[3 * d + 3 + j] * (sum + theta[3 * d + j]).tanh();
            }
            u += 0.5 * ((y - mean) / noise).powi(2);
        }
        for (k, t) in theta.iter().enumerate() {
            // the last bias has a standard normal prior
            let std = match k {
                k if k < 3 * d => scale(names.iter().position(|n| n == "layer0.weight").unwrap()),
                k if k < 3 * d + 3 => scale(names.iter().position(|n| n == "layer0.bias").unwrap()),
                k if k < 3 * d + 6 => {
                    scale(names.iter().position(|n| n == "layer2.weight").unwrap())
                }
                _ => 1.0,
            };
            u += 0.5 * (t / std).powi(2);
        }
        u
    };
    let dim = 3 * d + 7;
    let got = energy.of(&draws.theta, dim).unwrap();
    let want: Vec<f64> = draws.theta.chunks(dim).map(at).collect();
    for (g, w) in got.iter().zip(&want).skip(1) {
        let difference = (g - got[0]) - (w - want[0]);
        assert!(difference.abs() < 1e-8 * (1.0 + w.abs()), "{difference}");
    }
}
