//! Microcanonical walks of Gaussians with known answers: what is tuned, and how long they take.

use super::*;
use crate::error::Result;
use crate::model::LogDensity;
use crate::rng::Streams;

/// Independent normal coordinates of the given precisions.
struct Precisions(Vec<f64>);

impl LogDensity<f64> for Precisions {
    type Workspace = ();
    fn dim(&self) -> usize {
        self.0.len()
    }
    fn workspace(&self) {}
    fn log_density(&self, theta: &[f64], (): &mut ()) -> Result<f64> {
        let terms = theta.iter().zip(&self.0);
        Ok(-0.5 * terms.map(|(t, p)| p * t * t).sum::<f64>())
    }
    fn log_density_and_grad(&self, theta: &[f64], grad: &mut [f64], ws: &mut ()) -> Result<f64> {
        for ((g, t), p) in grad.iter_mut().zip(theta).zip(&self.0) {
            *g = -p * t;
        }
        self.log_density(theta, ws)
    }
}

fn walked(
    precisions: Vec<f64>,
    start: Vec<f64>,
    adjusted: bool,
    options: &WalkOptions,
    seed: u64,
) -> Walk<f64> {
    let settings = MicrocanonicalOptions {
        adjusted,
        ..MicrocanonicalOptions::default()
    };
    let map = InverseMassMatrix::diagonal(&vec![1.0; precisions.len()]).unwrap();
    let mut kernel = Microcanonical::new(map, &settings).unwrap();
    let density = Precisions(precisions);
    walk(&mut kernel, &density, &[start], options, Streams::new(seed)).unwrap()
}

/// With a warm-up that ends by itself, and with a short one.
#[test]
fn the_step_of_an_adjusted_walk_grows_to_its_target() {
    for dim in [2, 10, 100, 1000] {
        for steps in [None, Some(200)] {
            let options = WalkOptions {
                steps,
                keep: 20,
                ..WalkOptions::default()
            };
            let walk = walked(vec![1.0; dim], vec![0.0; dim], true, &options, 1);
            let acceptance = walk.sampling.mean_acceptance();
            assert!((0.8..0.97).contains(&acceptance), "{dim}: {acceptance}");
            let gradients = walk.sampling.gradients as f64 / walk.sampling.steps as f64;
            assert!(gradients < 3.0, "{dim}: {gradients}");
            assert!(walk.forgotten && walk.steps <= 250, "{dim}: {}", walk.steps);
            // bounds of 4 standard errors on the means of all coordinates and of their squares,
            // from at least 64 independent points
            let n = (walk.len() * dim) as f64;
            let mean = walk.points.iter().sum::<f64>() / n;
            let square = walk.points.iter().map(|x| x * x).sum::<f64>() / n;
            let independent = (64 * dim) as f64;
            assert!(mean.abs() < 4.0 / independent.sqrt(), "{dim}: {mean}");
            let error = 4.0 * (2.0 / independent).sqrt();
            assert!((square - 1.0).abs() < error, "{dim}: {square}");
        }
    }
}

/// Isotropic targets, also from three standard deviations away: the start is forgotten within 200
/// steps. A warm-up has at least 8 blocks of 5 steps. After that, each comparison of quarters that
/// share no particle's position passes with a probability of 0.93 (1.5 standard errors), so a
/// warm-up is next to never longer than 100 steps.
#[test]
fn a_walk_that_mixes_forgets_its_start_soon() {
    for (dim, away) in [(10, 0.0), (10, 3.0), (100, 0.0), (100, 3.0)] {
        for seed in 1..4 {
            let mut start = vec![0.0; dim];
            start[0] = away;
            let walk = walked(vec![1.0; dim], start, false, &WalkOptions::default(), seed);
            assert!(walk.forgotten && walk.steps <= 200, "{dim}: {}", walk.steps);
        }
    }
}

/// At condition number `10^6` the stiff coordinates settle the energy within 100 steps, while the
/// widest have hardly left the start.
#[test]
fn a_walk_that_still_spreads_has_not_forgotten_its_start() {
    let precisions: Vec<f64> = (0..20)
        .map(|i| 10f64.powf(-6.0 * i as f64 / 19.0))
        .collect();
    for seed in 1..6 {
        let options = WalkOptions::default();
        let walk = walked(precisions.clone(), vec![0.0; 20], false, &options, seed);
        let widest: f64 = walk.points.iter().skip(19).step_by(20).map(|x| x * x).sum();
        // its variance is 10^6
        let share = widest / walk.len() as f64 / 1e6;
        assert!(
            !walk.forgotten || share > 0.3,
            "{seed}: {} {share}",
            walk.steps
        );
    }
}

/// A density that is flat everywhere, and one that is flat in three directions of ten.
#[test]
fn a_flat_density_never_forgets() {
    for dim in [2, 3, 10] {
        for (seed, flat) in [(1, dim), (2, dim), (3, dim.min(3)), (4, dim.min(3))] {
            let mut precisions = vec![1.0; dim];
            precisions[..flat].fill(0.0);
            let walk = walked(
                precisions,
                vec![0.0; dim],
                false,
                &WalkOptions::default(),
                seed,
            );
            assert!(!walk.forgotten, "{dim}: {flat}: {} steps", walk.steps);
        }
    }
}

/// Independent standard normal coordinates; the first may be at most 1.
struct Walled;

impl LogDensity<f64> for Walled {
    type Workspace = ();
    fn dim(&self) -> usize {
        10
    }
    fn workspace(&self) {}
    fn log_density(&self, theta: &[f64], (): &mut ()) -> Result<f64> {
        match theta[0] <= 1.0 {
            true => Ok(-0.5 * theta.iter().map(|t| t * t).sum::<f64>()),
            false => Ok(f64::NEG_INFINITY),
        }
    }
    fn log_density_and_grad(&self, theta: &[f64], grad: &mut [f64], ws: &mut ()) -> Result<f64> {
        grad.iter_mut().zip(theta).for_each(|(g, t)| *g = -t);
        self.log_density(theta, ws)
    }
}

#[test]
fn a_walk_that_often_diverges_does_not_say_that_it_has_forgotten() {
    let map = InverseMassMatrix::diagonal(&[1.0; 10]).unwrap();
    let mut kernel = Microcanonical::new(map, &MicrocanonicalOptions::default()).unwrap();
    let (starts, options) = ([vec![0.0; 10]], WalkOptions::default());
    let walk = walk(&mut kernel, &Walled, &starts, &options, Streams::new(1)).unwrap();
    let share = walk.sampling.divergences as f64 / walk.sampling.steps as f64;
    assert!(
        share > 0.01 && !walk.forgotten,
        "{share}: {} steps",
        walk.steps
    );
    // nothing is tested where the steps are given
    let options = WalkOptions {
        steps: Some(100),
        ..options
    };
    let mut run = Run::new(&kernel, &Walled, &starts, &options, Streams::new(1)).unwrap();
    while run.advance(&mut kernel, &Walled, &()).unwrap() {}
    let walk = run.finish();
    assert!(
        walk.forgotten && walk.trace.len == 0,
        "{} steps",
        walk.steps
    );
}
