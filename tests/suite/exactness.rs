//! Microcanonical walks on linear regression against the closed form, by p-values.
//!
//! Kernels that are wrong on purpose must be rejected by the same tests.

use crate::linear::{Linear, Quadratic, ends, inverse, p_value};
use crate::twin::{Fault, Twin, TwinState};
use fiberwalk::diagnose::GaussianTarget;
use fiberwalk::rng::fill_normal;
use fiberwalk::walk::{
    Fields, FrameOptions, FrameSource, GgnFrame, InverseMassMatrix, Kernel, Microcanonical,
    MicrocanonicalOptions, Particle, StepStatistics, WarmUp,
};
use fiberwalk::{LogDensity, Phase, Result, Streams};

/// Seeds are fixed. For one choice of seeds in a hundred a right sampler fails one of these tests,
/// and then it always fails.
const LEVEL: f64 = 1e-4;

/// Length of a trajectory of the twin, in coordinates of variance about 1.
const LENGTH: f64 = 1.3;

/// A wrong sampler must have a p-value below this.
const REJECTED: f64 = 1e-8;

/// Independent draws. A scale that is off by 5 % moves a normalised square by `0.1025 / sqrt 2`. So
/// in 5 dimensions it moves the statistic of the covariance, chi-square of 15 degrees, by
/// `5 n 0.00525 = 105`; a value of 68 is rejected.
const DRAWS: usize = 4_000;

fn problems() -> [(&'static str, Linear); 3] {
    [
        ("full rank", Linear::full_rank()),
        ("few rows", Linear::few_rows()),
        ("duplicated columns", Linear::duplicated_columns()),
    ]
}

fn options(step_size: f64, adjusted: bool) -> MicrocanonicalOptions {
    MicrocanonicalOptions {
        step_size: Some(step_size),
        adjusted,
        ..MicrocanonicalOptions::default()
    }
}

fn frames(linear: &Linear) -> GgnFrame<'_, fiberwalk::PosteriorDensity<f64>> {
    let options = FrameOptions {
        softening: 0.3,
        tolerance: 1e-10,
        ..FrameOptions::default()
    };
    GgnFrame::new(&linear.posterior, &options, Streams::new(8)).unwrap()
}

/// The posterior that the engine compiles is the Gaussian of these tests.
#[test]
fn the_closed_form_is_that_of_the_posterior() {
    for (name, linear) in problems() {
        let (p, quadratic) = (linear.dim(), linear.quadratic());
        let mut ws = linear.posterior.workspace();
        let at_mode = linear.posterior.log_density(&linear.mean, &mut ws).unwrap();
        for seed in 0..5 {
            let mut theta = vec![0.0; p];
            fill_normal(&mut Streams::new(seed).rng(Phase::USER, 0), &mut theta);
            let (mut got, mut want) = (vec![0.0; p], vec![0.0; p]);
            let value = linear
                .posterior
                .log_density_and_grad(&theta, &mut got, &mut ws)
                .unwrap();
            let by_hand = quadratic
                .log_density_and_grad(&theta, &mut want, &mut ())
                .unwrap();
            assert!((value - at_mode - by_hand).abs() < 1e-10, "{name}");
            for (g, w) in got.iter().zip(&want) {
                assert!((g - w).abs() < 1e-10, "{name}: {g} {w}");
            }
        }
    }
}

/// Draws of the target pass. Draws that are 5 % too wide in every direction do not.
#[test]
fn the_tests_have_the_power_that_they_need() {
    for (name, linear) in problems() {
        let (p, target) = (linear.dim(), linear.target());
        let root = fiberwalk::linalg::Cholesky::new(&linear.precision, p).unwrap();
        let draws = |scale: f64| -> Vec<f64> {
            let mut z = vec![0.0; DRAWS * p];
            fill_normal(&mut Streams::new(3).rng(Phase::USER, 1), &mut z);
            for z in z.chunks_exact_mut(p) {
                // A = L L^T, so L^{-T} z has covariance A^{-1}
                root.solve_transposed(z);
                z.iter_mut()
                    .zip(&linear.mean)
                    .for_each(|(z, m)| *z = m + scale * *z);
            }
            z
        };
        assert!(p_value(&target, &draws(1.0)) > LEVEL, "{name}");
        assert!(p_value(&target, &draws(1.05)) < REJECTED, "{name}");
        assert!(p_value(&target, &draws(0.95)) < REJECTED, "{name}");
    }
}

/// Exact for any step, from small ones to steps that are rejected half of the time. It holds in the
/// prior's coordinates, in those of a frame, and in those that the walk makes for itself.
#[test]
fn an_adjusted_walk_is_exact_at_any_step() {
    for (name, linear) in problems() {
        let (target, source) = (linear.target(), frames(&linear));
        let framed = source.frame(&[&linear.mean], None).unwrap();
        assert!(framed.directions() > 0);
        let plain = linear.prior_coordinates();
        for (what, map, step_size, steps) in [
            ("small", &plain, 0.7, 20),
            ("large", &plain, 1.8, 60),
            ("framed, middle", &framed, 1.2, 25),
            ("framed, large", &framed, 2.0, 60),
            ("renewed", &plain, 2.0, 80),
        ] {
            let step_size = step_size * linear.step_scale(map);
            let mut kernel = Microcanonical::new(map.clone(), &options(step_size, true)).unwrap();
            if what == "renewed" {
                kernel = kernel.renewed_by(&source);
            }
            let walked = ends(
                &mut kernel,
                &linear.posterior,
                &linear.start(),
                (DRAWS, steps),
                4,
            );
            if what == "renewed" {
                assert_eq!(kernel.inverse_mass().directions(), framed.directions());
            }
            let acceptance = walked.sampling.mean_acceptance();
            let p = p_value(&target, &walked.points);
            assert!(
                p > LEVEL,
                "{name}, {what}: p = {p:e}, acceptance {acceptance}"
            );
            if what.ends_with("large") {
                assert!(
                    (0.35..0.65).contains(&acceptance),
                    "{name}, {what}: {acceptance}"
                );
            }
        }
    }
}

#[test]
fn an_unadjusted_walk_of_small_steps_is_exact_enough() {
    for (name, linear) in &problems()[..2] {
        let (target, source) = (linear.target(), frames(linear));
        let framed = source.frame(&[&linear.mean], None).unwrap();
        let plain = linear.prior_coordinates();
        for (what, map, step_size, steps) in
            [("plain", &plain, 0.1, 250), ("framed", &framed, 0.25, 120)]
        {
            let mut kernel = Microcanonical::new(map.clone(), &options(step_size, false)).unwrap();
            let walked = ends(
                &mut kernel,
                &linear.posterior,
                &linear.start(),
                (DRAWS, steps),
                5,
            );
            let p = p_value(&target, &walked.points);
            assert!(p > LEVEL, "{name}, {what}: p = {p:e}");
        }
    }
}

/// Kernels with a fault, in the settings in which the kernel without fault passes.
#[test]
fn wrong_kernels_are_rejected() {
    let linear = Linear::few_rows();
    let (target, density) = (linear.target(), linear.quadratic());
    let map = frames(&linear).frame(&[&linear.mean], None).unwrap();
    let p = |fault, adjusted| {
        let (step_size, steps) = if adjusted {
            (linear.step_scale(&map), 40)
        } else {
            (0.25, 120)
        };
        let mut kernel = Twin::new(&map, step_size, LENGTH, adjusted).with(fault);
        let walked = ends(&mut kernel, &density, &linear.start(), (DRAWS, steps), 6);
        p_value(&target, &walked.points)
    };
    for (adjusted, faults) in [
        (
            true,
            &[
                Fault::FreeIsDim,
                Fault::NoJacobian,
                Fault::InverseJacobian,
                Fault::NoTest,
                Fault::OneKick,
            ][..],
        ),
        (
            false,
            &[
                Fault::Uphill,
                Fault::FreeIsDim,
                Fault::LongDrift,
                Fault::OneKick,
                Fault::OneSidedNoise,
            ],
        ),
    ] {
        let right = p(Fault::None, adjusted);
        assert!(right > LEVEL, "adjusted: {adjusted}, p = {right:e}");
        for &fault in faults {
            let wrong = p(fault, adjusted);
            assert!(
                wrong < REJECTED,
                "{fault:?}, adjusted: {adjusted}, p = {wrong:e}"
            );
        }
    }
    // a Metropolis test makes any reversible map exact if its change of volume is counted; the map
    // then only accepts less
    let long = p(Fault::LongDrift, true);
    assert!(long > LEVEL, "p = {long:e}");
}

/// Errors are large in the middle of a trajectory here. So the rule that abandons a trajectory must
/// be the same in both directions. Starts are exact draws, and must stay exact.
#[test]
fn giving_up_a_trajectory_is_reversible() {
    let stiff = Quadratic {
        precision: vec![1.0, 0.0, 0.0, 300.0],
        mean: vec![0.0; 2],
    };
    let target = GaussianTarget::new(&stiff.mean, &inverse(&stiff.precision, 2)).unwrap();
    let map = InverseMassMatrix::diagonal(&[1.0, 1.0]).unwrap();
    let n = 40_000;
    let mut draws = vec![0.0; 2 * n];
    fill_normal(&mut Streams::new(12).rng(Phase::USER, 0), &mut draws);
    let starts: Vec<Vec<f64>> = draws
        .chunks_exact(2)
        .map(|z| vec![z[0], z[1] / 300f64.sqrt()])
        .collect();
    let settings = MicrocanonicalOptions {
        decoherence_length: Some(2.0),
        ..options(1.5 * (2.0f64 / 300.0).sqrt(), true)
    };
    let mut kernel = Microcanonical::new(map, &settings).unwrap();
    let walked = ends(&mut kernel, &stiff, &starts, (n, 20), 13);
    let rate = walked.divergence_rate();
    assert!(rate > 0.3, "{rate}");
    let p = p_value(&target, &walked.points);
    assert!(p > LEVEL, "{p:e}");
}

/// Reads the velocity of a particle.
struct Velocity(Vec<f64>);

impl Fields<f64> for Velocity {
    fn vector(&mut self, name: &str, value: &mut Vec<f64>) -> Result<()> {
        if name == "velocity" {
            self.0.clone_from(value);
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

/// The step after a renewal is the twin's step in the new coordinates: nothing is left of the old
/// ones, and the extra gradient is counted.
#[test]
fn after_a_renewal_the_step_is_one_in_the_new_frame() {
    let linear = Linear::full_rank();
    let (density, source) = (&linear.posterior, frames(&linear));
    let settings = MicrocanonicalOptions {
        decoherence_length: Some(LENGTH),
        ..options(0.2, false)
    };
    let mut kernel = Microcanonical::new(linear.prior_coordinates(), &settings)
        .unwrap()
        .renewed_by(&source);
    let mut rng = Streams::new(7).rng(Phase::WALK, 3);
    let mut ws = Kernel::<f64, _>::workspace(&kernel, density);
    let start = &linear.start()[0];
    let mut state = kernel.init(density, start, &mut rng, &mut ws).unwrap();
    kernel.step(density, &mut state, &mut rng, &mut ws).unwrap();
    let mut velocity = Velocity(Vec::new());
    // from the prior's coordinates to the frame's, and from those to new ones
    for steps in [20, 40] {
        state.fields(&mut velocity).unwrap();
        let plain = kernel.inverse_mass().lower(&velocity.0).unwrap();
        let mut warm_up = WarmUp {
            steps,
            at_most: 100,
            last: false,
            block: &StepStatistics::default(),
            positions: Vec::new(),
        };
        Kernel::<f64, fiberwalk::PosteriorDensity<f64>>::before_adapt(
            &kernel, &mut state, &warm_up,
        );
        warm_up.positions = vec![state.theta()];
        Kernel::<f64, fiberwalk::PosteriorDensity<f64>>::adapt(&mut kernel, &warm_up).unwrap();
        let map = kernel.inverse_mass().clone();
        assert!(map.directions() > 0);
        let mut twin_state = TwinState {
            theta: state.theta().to_vec(),
            velocity: plain,
        };
        let twin = Twin::new(&map, 0.2, LENGTH, false);
        let (mut twin_rng, mut twin_ws) = (rng.clone(), density.workspace());
        for gradients in [2, 1] {
            let got = kernel.step(density, &mut state, &mut rng, &mut ws).unwrap();
            let want = twin.step(density, &mut twin_state, &mut twin_rng, &mut twin_ws);
            assert_eq!(got.gradients, gradients);
            assert!((got.energy_error - want.unwrap().energy_error).abs() < 1e-9);
            for (a, b) in state.theta().iter().zip(&twin_state.theta) {
                assert!((a - b).abs() < 1e-9, "{a} {b}");
            }
        }
    }
}

/// The crate's kernel and its slow twin take the same path.
#[test]
fn the_path_is_that_of_the_twin() {
    let linear = Linear::few_rows();
    let density = &linear.posterior;
    let framed = frames(&linear).frame(&[&linear.mean], None).unwrap();
    for map in [&linear.prior_coordinates(), &framed] {
        for (step_size, adjusted) in [(0.1, false), (0.5, false), (0.3, true), (0.8, true)] {
            let step_size = step_size * linear.step_scale(map);
            let settings = MicrocanonicalOptions {
                decoherence_length: Some(LENGTH),
                ..options(step_size, adjusted)
            };
            let fast = Microcanonical::new(map.clone(), &settings).unwrap();
            let slow = Twin::new(map, step_size, LENGTH, adjusted);
            let mut rngs = [0; 2].map(|_| Streams::new(7).rng(Phase::WALK, 3));
            let start = &linear.start()[0];
            let mut ws = Kernel::<f64, _>::workspace(&fast, density);
            let mut slow_ws = density.workspace();
            let mut a = fast.init(density, start, &mut rngs[0], &mut ws).unwrap();
            let mut b = slow
                .init(density, start, &mut rngs[1], &mut slow_ws)
                .unwrap();
            for step in 0..40 {
                let got = fast.step(density, &mut a, &mut rngs[0], &mut ws).unwrap();
                let want = slow
                    .step(density, &mut b, &mut rngs[1], &mut slow_ws)
                    .unwrap();
                let close = |a: f64, b: f64| (a - b).abs() < 1e-8 * b.abs().max(1.0);
                assert!(
                    close(got.energy, want.energy),
                    "step {step}: {got:?} {want:?}"
                );
                assert_eq!(got.diverged(), want.diverged());
                assert!(
                    close(got.acceptance, want.acceptance),
                    "step {step}: {got:?} {want:?}"
                );
                assert!(
                    close(got.displacement, want.displacement),
                    "{got:?} {want:?}"
                );
                if !got.diverged() {
                    assert!(
                        close(got.energy_error, want.energy_error),
                        "{got:?} {want:?}"
                    );
                }
                for (a, b) in a.theta().iter().zip(b.theta()) {
                    assert!(close(*a, *b), "step {step}");
                }
            }
            assert_eq!(rngs[0].get_word_pos(), rngs[1].get_word_pos());
        }
    }
}
