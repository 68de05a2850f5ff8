//! A walk saved between two blocks and continued elsewhere equals the uninterrupted walk.
//!
//! Any number of threads gives the same result bit for bit.

use crate::common::{network, normals};
use fiberwalk::testing::{ContinueOptions, SavedState, check_continues};
use fiberwalk::walk::{
    Drift, DriftOptions, FrameOptions, GgnFrame, InverseMassMatrix, Kernel, Microcanonical,
    MicrocanonicalOptions, Observable, Run, Walk, WalkOptions,
};
use fiberwalk::{
    Activation, Gaussian, IsotropicGaussian, LogDensity, PosteriorDensity, Result, Streams,
};

fn problem() -> (PosteriorDensity<f64>, Vec<Vec<f64>>) {
    let (net, theta) = network(&[2, 4, 1], Activation::Tanh, 80);
    let (x, noise) = (normals(2 * 12, 81), normals(12, 82));
    let y: Vec<f64> = x
        .chunks_exact(2)
        .zip(&noise)
        .map(|(x, e)| (x[0] - x[1]).tanh() + 0.1 * e)
        .collect();
    let (likelihood, prior) = (
        Gaussian::new(0.3).unwrap(),
        IsotropicGaussian::new(1.0).unwrap(),
    );
    let posterior = PosteriorDensity::new(&net, &likelihood, &prior, &x, &y).unwrap();
    let other = network(&[2, 4, 1], Activation::Tanh, 83).1;
    (posterior, vec![theta, other])
}

/// The first parameter and the radius, so that something is observed.
pub struct Some2;

impl Observable<f64> for Some2 {
    fn len(&self) -> usize {
        2
    }
    fn observe(&self, theta: &[f64], out: &mut [f64]) -> Result<()> {
        out[0] = theta[0];
        out[1] = theta.iter().map(|t| t * t).sum();
        Ok(())
    }
}

pub fn options(steps: Option<usize>) -> WalkOptions {
    WalkOptions {
        particles: 9,
        steps,
        max_steps: 80,
        keep: 4,
        block: 5,
    }
}

pub fn save<S, W, K>(run: &mut Run<f64, S, W>, kernel: &mut K) -> SavedState
where
    S: fiberwalk::walk::Particle<f64>,
    W: Send,
    K: Kernel<f64, PosteriorDensity<f64>, State = S, Workspace = W>,
{
    let mut state = SavedState::default();
    kernel.fields(&mut state).unwrap();
    run.fields(&mut state).unwrap();
    state
}

fn interrupted_everywhere<K: Kernel<f64, PosteriorDensity<f64>>>(
    kernel: impl Fn() -> K,
    options: &WalkOptions,
) -> Walk<f64> {
    interrupted(&problem(), kernel, options)
}

/// Interrupts a walk after every block, by the kit, and returns the uninterrupted walk.
pub fn interrupted<K: Kernel<f64, PosteriorDensity<f64>>>(
    (density, starts): &(PosteriorDensity<f64>, Vec<Vec<f64>>),
    kernel: impl Fn() -> K,
    options: &WalkOptions,
) -> Walk<f64> {
    let settings = ContinueOptions {
        seed: 6,
        walk: options.clone(),
    };
    check_continues(&kernel, density, starts, &Some2, &settings).unwrap();
    let mut kernel = kernel();
    let mut run = Run::new(&kernel, density, starts, options, Streams::new(6)).unwrap();
    let mut blocks = 0;
    while run.advance(&mut kernel, density, &Some2).unwrap() {
        blocks += 1;
    }
    assert!(blocks >= 12);
    run.finish()
}

/// All of a walk, bit for bit.
pub fn bits(walk: &Walk<f64>) -> (Vec<u64>, String) {
    let numbers = [
        &walk.points,
        &walk.energies,
        &walk.distances,
        &walk.trace.energies,
        &walk.trace.observed,
    ];
    let bits = numbers.iter().flat_map(|v| v.iter().map(|x| x.to_bits()));
    // shortest decimals that read back to the same number, so equal text means equal numbers
    (bits.collect(), format!("{walk:?}"))
}

pub fn frames(density: &PosteriorDensity<f64>) -> GgnFrame<'_, PosteriorDensity<f64>> {
    let options = FrameOptions {
        softening: 0.3,
        ..FrameOptions::default()
    };
    GgnFrame::new(density, &options, Streams::new(3)).unwrap()
}

fn microcanonical<'a>(
    source: &'a GgnFrame<'_, PosteriorDensity<f64>>,
    dim: usize,
    adjusted: bool,
) -> Microcanonical<'a, f64> {
    let options = MicrocanonicalOptions {
        adjusted,
        ..MicrocanonicalOptions::default()
    };
    let map = InverseMassMatrix::diagonal(&vec![1.0; dim]).unwrap();
    Microcanonical::new(map, &options)
        .unwrap()
        .renewed_by(source)
}

#[test]
fn a_microcanonical_walk_goes_on_bit_by_bit() {
    let density = problem().0;
    let source = frames(&density);
    for adjusted in [false, true] {
        for steps in [None, Some(83)] {
            let kernel = || microcanonical(&source, density.dim(), adjusted);
            let walk = interrupted_everywhere(kernel, &options(steps));
            assert_eq!(walk.forgotten, steps.is_some());
        }
    }
}

/// The warm-up ends because the start is forgotten.
#[test]
fn a_walk_that_forgets_its_start_goes_on_bit_by_bit() {
    let density = problem().0;
    let map = || InverseMassMatrix::diagonal(&vec![1.0; density.dim()]).unwrap();
    let settings = MicrocanonicalOptions {
        adjusted: true,
        step_size: Some(0.3),
        ..MicrocanonicalOptions::default()
    };
    let long = WalkOptions {
        particles: 24,
        max_steps: 800,
        block: 10,
        ..options(None)
    };
    let kernel = || Microcanonical::new(map(), &settings).unwrap();
    let walk = interrupted_everywhere(kernel, &long);
    assert!(walk.forgotten && walk.steps < 800);
}

/// Some points are not viable: at the start the energy is above the threshold.
#[test]
fn a_drift_walk_goes_on_bit_by_bit() {
    for (max_energy, steps) in [(40.0, None), (40.0, Some(83)), (10.0, Some(83))] {
        let settings = DriftOptions {
            step_size: 0.08,
            correction: 0.02,
            max_energy,
            retries: 3,
        };
        let walk =
            interrupted_everywhere(|| Drift::new(settings.clone()).unwrap(), &options(steps));
        assert_eq!(walk.discarded > 0, max_energy < 40.0);
    }
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    let (density, starts) = problem();
    let source = frames(&density);
    for adjusted in [false, true] {
        let run = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
            pool.unwrap().install(|| {
                let mut kernel = microcanonical(&source, density.dim(), adjusted);
                let options = WalkOptions {
                    particles: 23,
                    ..options(None)
                };
                let mut run =
                    Run::new(&kernel, &density, &starts, &options, Streams::new(6)).unwrap();
                while run.advance(&mut kernel, &density, &Some2).unwrap() {}
                assert!(kernel.inverse_mass().directions() > 0, "no frame was made");
                (save(&mut run, &mut kernel), bits(&run.finish()))
            })
        };
        let one = run(1);
        assert!(one == run(2) && one == run(8));
    }
}
