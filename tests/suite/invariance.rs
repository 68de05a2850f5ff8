//! A walk must not depend on the order and signs of hidden units, or on the direction of time.

use crate::common::{labels, network, normals};
use crate::twin::{Fault, Twin, refresh_by};
use fiberwalk::rng::fill_normal;
use fiberwalk::walk::{
    Drift, DriftOptions, Fields, FrameOptions, FrameSource, GgnFrame, Info, InverseMassMatrix,
    Kernel, Microcanonical, MicrocanonicalOptions, Particle,
};
use fiberwalk::{
    Activation, Categorical, IsotropicGaussian, LogDensity, Network, Phase, PosteriorDensity,
    Result, Streams,
};

const SIZES: [usize; 3] = [3, 6, 3];

/// A classifier with a hidden layer of tanh units, and a point near those of its prior.
fn problem(seed: u64) -> (PosteriorDensity<f64>, Vec<f64>) {
    let (net, theta) = network(&SIZES, Activation::Tanh, seed);
    let n = 15;
    let (x, y) = (normals(n * SIZES[0], 51), labels(n, SIZES[2], 52));
    let likelihood = Categorical;
    let prior = IsotropicGaussian::new(0.8).unwrap();
    let posterior = PosteriorDensity::new(&net, &likelihood, &prior, &x, &y).unwrap();
    assert_eq!(net.dim(), theta.len());
    (posterior, theta)
}

/// Hidden units in another order, some with opposite sign: a signed permutation of the parameters.
struct Symmetry {
    /// New entry `i` is `sign[i]` times old entry `from[i]`.
    from: Vec<usize>,
    sign: Vec<f64>,
}

impl Symmetry {
    fn new() -> Self {
        let [inputs, hidden, outputs] = SIZES;
        let (order, signs) = ([3, 0, 5, 1, 4, 2], [1.0, -1.0, -1.0, 1.0, 1.0, -1.0]);
        let (mut from, mut sign) = (Vec::new(), Vec::new());
        // weights [in, hidden], biases [hidden], weights [hidden, out], biases [out]
        for i in 0..=inputs {
            from.extend(order.map(|unit| i * hidden + unit));
            sign.extend(signs);
        }
        let start = (inputs + 1) * hidden;
        for (unit, s) in order.iter().zip(signs) {
            from.extend((0..outputs).map(|k| start + unit * outputs + k));
            sign.extend([s; 3]);
        }
        let start = start + hidden * outputs;
        from.extend(start..start + outputs);
        sign.extend([1.0; 3]);
        Self { from, sign }
    }

    fn apply(&self, v: &[f64]) -> Vec<f64> {
        let entries = self.from.iter().zip(&self.sign);
        entries.map(|(&i, s)| s * v[i]).collect()
    }
}

/// Changes one vector of a particle.
struct Edit<'a> {
    name: &'a str,
    change: &'a mut dyn FnMut(&mut Vec<f64>),
    found: bool,
}

impl Fields<f64> for Edit<'_> {
    fn vector(&mut self, name: &str, value: &mut Vec<f64>) -> Result<()> {
        if name == self.name {
            (self.change)(value);
            self.found = true;
        }
        Ok(())
    }
    fn numbers(&mut self, _: &str, _: &mut Vec<f64>) -> Result<()> {
        Ok(())
    }
    fn counts(&mut self, _: &str, _: &mut Vec<usize>) -> Result<()> {
        Ok(())
    }
}

fn edit(particle: &mut impl Particle<f64>, name: &str, mut change: impl FnMut(&mut Vec<f64>)) {
    let mut edit = Edit {
        name,
        change: &mut change,
        found: false,
    };
    particle.fields(&mut edit).unwrap();
    assert!(edit.found, "a particle has no {name}");
}

/// Changes the direction of a particle, which stays lifted by `map`.
fn turn(
    particle: &mut impl Particle<f64>,
    map: &InverseMassMatrix<f64>,
    name: &str,
    change: &dyn Fn(&mut Vec<f64>),
) {
    edit(particle, name, |lifted| {
        let mut u = map.lower(lifted).unwrap();
        change(&mut u);
        u.resize(map.lifted_len(), 0.0);
        map.lift(&mut u, &mut vec![0.0; map.directions()]);
        *lifted = u;
    });
}

/// Two walks of `steps` steps with the same random stream: one from `theta`, and one from the image
/// of `theta` with the image of the `direction` that was drawn. After each step `noise`, if given,
/// refreshes the first direction, and its image refreshes the second. Returns the largest
/// difference between the second path and the image of the first, and between the energies.
fn differences<K: Kernel<f64, PosteriorDensity<f64>>>(
    kernels: [&K; 2],
    maps: [&InverseMassMatrix<f64>; 2],
    direction: &str,
    noise: Option<f64>,
    steps: usize,
) -> (f64, f64) {
    let (density, theta) = problem(60);
    let symmetry = Symmetry::new();
    let mut rng = Streams::new(9).rng(Phase::WALK, 0);
    let mut ws = kernels[0].workspace(&density);
    let init = |kernel: &K, theta: &[f64], ws: &mut K::Workspace| {
        let mut rng = Streams::new(9).rng(Phase::WALK, 0);
        kernel.init(&density, theta, &mut rng, ws).unwrap()
    };
    let mut a = init(kernels[0], &theta, &mut ws);
    let mut b = init(kernels[1], &symmetry.apply(&theta), &mut ws);
    turn(&mut b, maps[1], direction, &|u| *u = symmetry.apply(u));
    let (mut path, mut energy) = (0.0f64, 0.0f64);
    for _ in 0..steps {
        let mut step = |kernel: &K, state: &mut K::State| -> Info {
            kernel.step(&density, state, &mut rng, &mut ws).unwrap()
        };
        let (got, want) = (step(kernels[1], &mut b), step(kernels[0], &mut a));
        energy = energy.max((got.energy - want.energy).abs());
        energy = energy.max((got.energy_error - want.energy_error).abs());
        for (x, y) in b.theta().iter().zip(symmetry.apply(a.theta())) {
            path = path.max((x - y).abs());
        }
        if let Some(share) = noise {
            let mut z = vec![0.0; theta.len()];
            fill_normal(&mut rng, &mut z);
            turn(&mut a, maps[0], direction, &|u| refresh_by(share, &z, u));
            turn(&mut b, maps[1], direction, &|u| {
                refresh_by(share, &symmetry.apply(&z), u)
            });
        }
    }
    let far = a.theta().iter().zip(&theta).map(|(a, b)| (a - b).powi(2));
    assert!(far.sum::<f64>().sqrt() > 1.0, "a walk that goes nowhere");
    (path, energy)
}

fn straight(step_size: f64) -> MicrocanonicalOptions {
    MicrocanonicalOptions {
        step_size: Some(step_size),
        // no refreshment inside: the tests do that
        decoherence_length: Some(f64::INFINITY),
        ..MicrocanonicalOptions::default()
    }
}

fn prior_map() -> InverseMassMatrix<f64> {
    let (posterior, _) = problem(60);
    InverseMassMatrix::diagonal(&vec![0.8; posterior.dim()]).unwrap()
}

#[test]
fn the_symmetry_is_one_of_the_posterior() {
    let (posterior, theta) = problem(60);
    let image = Symmetry::new().apply(&theta);
    assert!(image.iter().zip(&theta).any(|(a, b)| (a - b).abs() > 0.1));
    let mut ws = posterior.workspace();
    let mut energy = |theta: &[f64]| posterior.log_density(theta, &mut ws).unwrap();
    assert!((energy(&image) - energy(&theta)).abs() < 1e-12);
}

/// Only rounding may differ: over 50 steps, it grows from 1e-16.
#[test]
fn permuted_units_take_the_permuted_path() {
    let kernel = Microcanonical::new(prior_map(), &straight(0.3)).unwrap();
    for noise in [None, Some(0.1)] {
        let (path, energy) = differences([&kernel; 2], [&prior_map(); 2], "velocity", noise, 50);
        assert!(path < 1e-9 && energy < 1e-9, "{path:e} {energy:e}");
    }
    let drift = Drift::new(DriftOptions {
        step_size: 0.1,
        correction: 0.05,
        max_energy: 60.0,
        retries: 8,
    });
    let drift = drift.unwrap();
    let (path, energy) = differences([&drift; 2], [&prior_map(); 2], "direction", None, 50);
    assert!(path < 1e-9 && energy < 1e-9, "{path:e} {energy:e}");
    // a kernel that treats its coordinates unequally
    let uneven = |fault| Twin::new(&prior_map(), 0.3, f64::INFINITY, false).with(fault);
    let difference = |fault| {
        let twin = uneven(fault);
        differences([&twin; 2], [&prior_map(); 2], "velocity", None, 50)
    };
    assert!(difference(Fault::None).0 < 1e-9);
    assert!(difference(Fault::UnevenDrift).0 > 1e-2);
}

/// The frame of the image is the image of the frame, as exactly as Lanczos finds either.
#[test]
fn permuted_units_have_the_permuted_frame() {
    let (density, theta) = problem(60);
    let options = FrameOptions {
        softening: 1.0,
        tolerance: 1e-12,
        ..FrameOptions::default()
    };
    let source = GgnFrame::new(&density, &options, Streams::new(1)).unwrap();
    let image = Symmetry::new().apply(&theta);
    let maps = [&theta, &image].map(|at| source.frame(&[at], None).unwrap());
    let [a, b] = [0, 1].map(|i| {
        assert!(maps[i].directions() > 5);
        Microcanonical::new(maps[i].clone(), &straight(0.3)).unwrap()
    });
    let both = [&maps[0], &maps[1]];
    let (path, energy) = differences([&a, &b], both, "velocity", Some(0.1), 50);
    assert!(path < 1e-6 && energy < 1e-6, "{path:e} {energy:e}");
    // two different frames must show
    let (path, _) = differences([&a, &a], [both[0]; 2], "velocity", Some(0.1), 50);
    assert!(path > 1e-3, "{path:e}");
}

/// There, with the velocity reversed, and back.
#[test]
fn without_noise_the_way_back_is_the_way_there() {
    let (density, theta) = problem(70);
    let source = GgnFrame::new(&density, &FrameOptions::default(), Streams::new(1)).unwrap();
    let frame = source.frame(&[&theta], None).unwrap();
    for map in [prior_map(), frame] {
        let kernel = Microcanonical::new(map, &straight(0.4)).unwrap();
        let mut rng = Streams::new(4).rng(Phase::WALK, 0);
        let mut ws = Kernel::<f64, _>::workspace(&kernel, &density);
        let mut state = kernel.init(&density, &theta, &mut rng, &mut ws).unwrap();
        let mut error = [0.0, 0.0];
        for sum in &mut error {
            for _ in 0..25 {
                let info = kernel
                    .step(&density, &mut state, &mut rng, &mut ws)
                    .unwrap();
                assert!(!info.diverged());
                *sum += info.energy_error;
            }
            edit(&mut state, "velocity", |u| {
                u.iter_mut().for_each(|u| *u = -*u)
            });
        }
        for (x, y) in state.theta().iter().zip(&theta) {
            assert!((x - y).abs() < 1e-10, "{x} {y}");
        }
        assert!(
            error[0].abs() > 1e-3 && (error[0] + error[1]).abs() < 1e-10,
            "{error:?}"
        );
    }
}

/// The energy error of a step is of third order: half the step has an eighth of the error.
#[test]
fn the_energy_error_is_of_third_order() {
    let rms = |step_size: f64| {
        let kernel = Microcanonical::new(prior_map(), &straight(step_size)).unwrap();
        let mut sum = 0.0;
        for seed in 0..40 {
            let (density, theta) = problem(100 + seed % 2);
            let mut rng = Streams::new(seed).rng(Phase::WALK, 0);
            let mut ws = Kernel::<f64, _>::workspace(&kernel, &density);
            let mut state = kernel.init(&density, &theta, &mut rng, &mut ws).unwrap();
            let info = kernel
                .step(&density, &mut state, &mut rng, &mut ws)
                .unwrap();
            sum += info.energy_error.powi(2);
        }
        (sum / 40.0).sqrt()
    };
    let errors = [0.2, 0.1, 0.05, 0.025].map(rms);
    for pair in errors.windows(2) {
        let ratio = pair[0] / pair[1];
        assert!((7.5..8.5).contains(&ratio), "{errors:?}");
    }
}
