//! Transitions equal those of samplers written from their definitions, number by number.

use super::starts;
use super::targets::{Banana, Funnel, Gauss, Target, counted};
use super::twin::{Draw, Fault, Twin};
use fiberwalk::baselines::{ChainOptions, Chains, HmcOptions, NutsOptions, Trajectory, hmc, nuts};
use fiberwalk::{Phase, Streams};

/// Checks that a chain without a warm-up is its transitions.
fn same(chains: &Chains<f64>, twin: &[Draw], tolerance: f64) {
    let chain = &chains.chains[0];
    assert_eq!(chain.transitions.len(), twin.len());
    let points = chain.points.chunks_exact(chains.dim);
    for (i, (point, (draw, energy, depth, leapfrogs))) in points.zip(twin).enumerate() {
        for (a, b) in point.iter().zip(draw) {
            let near = (a - b).abs() <= tolerance * (1.0 + b.abs());
            assert!(near, "draw {i}: {point:?} {draw:?}");
        }
        let transition = &chain.transitions[i];
        assert!((transition.hamiltonian - energy).abs() < 1e-9, "draw {i}");
        assert_eq!(transition.tree_depth, *depth, "draw {i}");
        assert_eq!(transition.leapfrog_steps, *leapfrogs, "draw {i}");
    }
}

const DRAWS: usize = 200;

fn compare<D: Target>(target: D, step: f64, max_tree_depth: usize, mass: &[f64], tolerance: f64) {
    let target = counted(target);
    let start = starts::<f64>(mass.len(), 1);
    let rng = || Streams::new(4).rng(Phase::HMC, 0);
    let twin = Twin {
        density: &target,
        step,
        inverse_mass: mass.to_vec(),
        fault: Fault::None,
    };
    let chains = ChainOptions {
        warm_up: 0,
        draws: DRAWS,
        step_size: Some(step),
        inverse_mass: Some(mass.to_vec()),
        ..ChainOptions::default()
    };
    let options = NutsOptions {
        chains: chains.clone(),
        max_tree_depth,
    };
    let got = nuts::<f64, _>(&target, &start, &options, Streams::new(4)).unwrap();
    let expected = twin.nuts(&start[0], max_tree_depth, DRAWS, &mut rng());
    same(&got, &expected, tolerance);
    let options = HmcOptions {
        chains,
        trajectory: Trajectory::LeapfrogSteps(7),
        jitter: 0.0,
    };
    let got = hmc::<f64, _>(&target, &start, &options, Streams::new(4)).unwrap();
    same(&got, &twin.hmc(&start[0], 7, DRAWS, &mut rng()), tolerance);
}

/// If the roots of the inverse mass are powers of two, they change no digit of a product. So both
/// orders of multiplication give the same bits.
#[test]
fn transitions_are_those_of_the_definitions() {
    // subtrees that turn inside, bounds of the depth, and divergences
    let bit_by_bit = 0.0;
    compare(Gauss::rotated(5, 30.0), 0.3, 10, &[1.0; 5], bit_by_bit);
    compare(Gauss::rotated(3, 200.0), 0.2, 4, &[1.0; 3], bit_by_bit);
    compare(Banana, 0.4, 10, &[1.0; 2], bit_by_bit);
    compare(Funnel { sd: 3.0 }, 0.5, 10, &[1.0; 6], bit_by_bit);
    let mass = [16.0, 0.25, 1.0, 4.0, 1.0 / 64.0];
    compare(Gauss::rotated(5, 30.0), 0.3, 10, &mass, bit_by_bit);
    compare(Banana, 0.4, 10, &[0.25, 4.0], bit_by_bit);
    let mass = [4.0, 0.25, 1.0, 1.0, 16.0, 0.25];
    compare(Funnel { sd: 3.0 }, 0.5, 10, &mass, bit_by_bit);
}

/// With any other mass the two differ by rounding, which a trajectory along a Gaussian does not
/// amplify.
#[test]
fn transitions_with_any_mass_are_those_of_the_definitions_to_rounding() {
    let mass = [3.0, 0.1, 1.7, 0.6, 0.03];
    compare(Gauss::rotated(5, 30.0), 0.3, 10, &mass, 1e-11);
    compare(Gauss::rotated(5, 30.0), 0.3, 3, &mass, 1e-11);
}
