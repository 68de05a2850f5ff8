//! HMC, NUTS and Langevin dynamics by the one interface: stored at any step they go on bit for bit,
//! and a divergence says what happened.

use crate::common::{network, normals};
use crate::resume::{Curved, Tape};
use fiberwalk::baselines::{
    AllRows, ChainOptions, Hmc, HmcOptions, Nuts, NutsOptions, Preconditioner, RandomBatches, Sgld,
    SgldOptions, StepDecay, Trajectory, hmc, nuts, sgld,
};
use fiberwalk::model::Minibatch;
use fiberwalk::walk::{DivergenceCause, Kernel, Particle, Run, WalkOptions, Walker};
use fiberwalk::{
    Activation, Error, Gaussian, IsotropicGaussian, LogDensity, Phase, Result, Streams,
};

const DIM: usize = 5;

fn chains(warm_up: usize) -> ChainOptions {
    ChainOptions {
        warm_up,
        draws: 30,
        ..ChainOptions::default()
    }
}

fn for_hmc(chains: ChainOptions) -> HmcOptions {
    HmcOptions {
        chains,
        ..HmcOptions::default()
    }
}

fn for_nuts(chains: ChainOptions) -> NutsOptions {
    NutsOptions {
        chains,
        ..NutsOptions::default()
    }
}

/// A chain that is stored before every step, and the same one restored into a chain from elsewhere.
fn continues<D, K: Kernel<f64, D>>(kernel: &K, density: &D, dim: usize, steps: usize) {
    let mut ws = kernel.workspace(density);
    let start = |x: f64, ws: &mut K::Workspace| {
        let rng = Streams::new(3).rng(Phase::USER, 7);
        Walker::new(kernel, density, &vec![x; dim], rng, ws).unwrap()
    };
    let stored = |walker: &mut Walker<K::State>| {
        let mut tape = Tape::default();
        walker.fields(&mut tape).unwrap();
        tape
    };
    let mut whole = start(0.1, &mut ws);
    let (mut tapes, mut seen) = (Vec::new(), Vec::new());
    for _ in 0..steps {
        tapes.push(stored(&mut whole));
        let info = whole.step(kernel, density, &mut ws).unwrap();
        seen.push((format!("{info:?}"), whole.state().theta().to_vec()));
    }
    let end = stored(&mut whole);
    // without a warm-up, all that differs from step to step may be what was proposed
    assert!(seen.windows(2).all(|w| w[0].0 != w[1].0));
    let moves = seen.windows(2).filter(|w| w[0].1 != w[1].1).count();
    assert!(
        steps < 20 || 2 * moves > steps,
        "{moves} moves in {steps} steps"
    );
    // a workspace that has served another chain
    let mut used = kernel.workspace(density);
    let mut other = start(-0.4, &mut used);
    for (at, mut tape) in tapes.into_iter().enumerate() {
        other.step(kernel, density, &mut used).unwrap();
        let mut walker = start(-0.2, &mut used);
        tape.at = Some(0);
        walker.fields(&mut tape).unwrap();
        assert_eq!(tape.at, Some(tape.bits.len()));
        for (info, theta) in &seen[at..] {
            let got = walker.step(kernel, density, &mut used).unwrap();
            assert_eq!(&format!("{got:?}"), info, "stored after {at} steps");
            assert_eq!(walker.state().theta(), theta, "stored after {at} steps");
        }
        assert!(stored(&mut walker).bits == end.bits, "stored after {at}");
    }
}

/// Stored in the first buffer, in a window, at its end, in the last buffer, and among the draws.
#[test]
fn hamiltonian_chains_go_on_from_any_step() {
    let given = ChainOptions {
        step_size: Some(0.2),
        ..chains(30)
    };
    let no_mass = ChainOptions {
        adapt_mass: false,
        inverse_mass: Some(vec![0.5, 1.0, 1.0, 2.0, 1.0]),
        ..chains(12)
    };
    for chains in [chains(40), chains(0), given, no_mass] {
        let steps = chains.warm_up + 9;
        let kernel = Hmc::new(&for_hmc(chains.clone())).unwrap();
        continues(&kernel, &Curved(DIM), DIM, steps);
        let kernel = Nuts::new(&for_nuts(chains)).unwrap();
        continues(&kernel, &Curved(DIM), DIM, steps);
    }
    // several windows
    let kernel = Nuts::new(&for_nuts(chains(160))).unwrap();
    continues(&kernel, &Curved(2), 2, 170);
}

fn data() -> (Minibatch<f64>, Vec<f64>) {
    let (net, theta) = network(&[2, 3, 1], Activation::Tanh, 80);
    let (x, y) = (normals(2 * 12, 81), normals(12, 82));
    let (likelihood, prior) = (
        Gaussian::new(0.5).unwrap(),
        IsotropicGaussian::new(1.0).unwrap(),
    );
    let data = Minibatch::new(&net, &likelihood, &prior, &x, &y).unwrap();
    (data, theta)
}

fn langevin(preconditioner: Preconditioner) -> SgldOptions {
    SgldOptions {
        chains: 2,
        steps: 40,
        burn_in: 0,
        keep: 40,
        learning_rate: 0.01,
        decay: Some(StepDecay {
            onset: 10.0,
            exponent: 0.55,
        }),
        preconditioner,
        ..SgldOptions::default()
    }
}

#[test]
fn langevin_chains_go_on_from_any_step() {
    let (data, theta) = data();
    for preconditioner in [Preconditioner::None, Preconditioner::rms_prop()] {
        let kernel = Sgld::new(&langevin(preconditioner)).unwrap();
        let batches = RandomBatches::new(&data, 5).unwrap();
        continues(&kernel, &batches, theta.len(), 40);
        let all = AllRows::new(&Curved(DIM), 10).unwrap();
        continues(&kernel, &all, DIM, 40);
    }
}

/// The entry points are loops over the kernels, and nothing else.
#[test]
fn entry_points_only_drive_the_kernels() {
    let density = Curved(DIM);
    let starts = [vec![0.1; DIM], vec![-0.2; DIM]];
    let streams = Streams::new(8);
    let (hmc_options, nuts_options) = (for_hmc(chains(40)), for_nuts(chains(40)));
    let by_hand = |step: &mut dyn FnMut() -> Vec<f64>| -> Vec<f64> {
        (0..70).map(|_| step()).skip(40).flatten().collect()
    };
    let hmc_chains = hmc(&density, &starts, &hmc_options, streams).unwrap();
    let nuts_chains = nuts(&density, &starts, &nuts_options, streams).unwrap();
    let (h, n) = (
        Hmc::new(&hmc_options).unwrap(),
        Nuts::new(&nuts_options).unwrap(),
    );
    for (index, start) in starts.iter().enumerate() {
        let rng = || streams.rng(Phase::HMC, index as u64);
        let mut ws = h.workspace(&density);
        let mut walker = Walker::new(&h, &density, start, rng(), &mut ws).unwrap();
        let points = by_hand(&mut || {
            walker.step(&h, &density, &mut ws).unwrap();
            walker.state().theta().to_vec()
        });
        assert_eq!(points, hmc_chains.chains[index].points);
        assert_eq!(
            walker.state().step_size(),
            hmc_chains.chains[index].step_size
        );
        let mut ws = n.workspace(&density);
        let mut walker = Walker::new(&n, &density, start, rng(), &mut ws).unwrap();
        let points = by_hand(&mut || {
            walker.step(&n, &density, &mut ws).unwrap();
            walker.state().theta().to_vec()
        });
        assert_eq!(points, nuts_chains.chains[index].points);
        let mass = walker.state().inverse_mass();
        assert_eq!(mass, nuts_chains.chains[index].inverse_mass);
    }
    let (data, theta) = data();
    let source = RandomBatches::new(&data, 5).unwrap();
    // steps of equal length, so that every one is kept
    let options = SgldOptions {
        decay: None,
        ..langevin(Preconditioner::rms_prop())
    };
    let report = sgld(&source, std::slice::from_ref(&theta), &options, streams).unwrap();
    let kernel = Sgld::new(&options).unwrap();
    // one workspace for both chains
    let mut ws = kernel.workspace(&source);
    let mut walkers = [0, 1].map(|chain| {
        let rng = streams.rng(Phase::SGLD, chain);
        Walker::new(&kernel, &source, &theta, rng, &mut ws).unwrap()
    });
    for step in 0..40 {
        for (chain, walker) in walkers.iter_mut().enumerate() {
            walker.step(&kernel, &source, &mut ws).unwrap();
            let at = (chain * 40 + step) * theta.len();
            let kept = &report.posterior.values()[at..at + theta.len()];
            assert_eq!(walker.state().theta(), kept);
        }
    }
}

/// Many chains in a [`Run`], which needs no log density: any number of threads gives the same bits.
#[test]
fn a_run_moves_langevin_chains_on_any_number_of_threads() {
    let (data, theta) = data();
    let source = RandomBatches::new(&data, 5).unwrap();
    let options = WalkOptions {
        particles: 11,
        steps: Some(40),
        keep: 5,
        ..WalkOptions::default()
    };
    let walked = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        pool.unwrap().install(|| {
            let mut kernel = Sgld::new(&langevin(Preconditioner::None)).unwrap();
            let starts = [theta.clone()];
            let mut run = Run::new(&kernel, &source, &starts, &options, Streams::new(1)).unwrap();
            while run.advance(&mut kernel, &source, &()).unwrap() {}
            run.finish()
        })
    };
    let one = walked(1);
    assert_eq!(one.len(), 55);
    assert!(one == walked(2) && one == walked(8));
}

/// A flat bowl in a ball; what lies outside is not a number, or has no gradient.
struct Ball {
    gradient_fails: bool,
}

impl LogDensity<f64> for Ball {
    type Workspace = ();
    fn dim(&self) -> usize {
        2
    }
    fn workspace(&self) {}
    fn log_density(&self, theta: &[f64], ws: &mut ()) -> Result<f64> {
        self.log_density_and_grad(theta, &mut [0.0; 2], ws)
    }
    fn log_density_and_grad(&self, theta: &[f64], grad: &mut [f64], (): &mut ()) -> Result<f64> {
        grad.copy_from_slice(&[-theta[0], -theta[1]]);
        let squares = theta[0] * theta[0] + theta[1] * theta[1];
        let outside = squares > 9.0;
        if outside && self.gradient_fails {
            grad[1] = f64::NAN;
        }
        Ok(match outside && !self.gradient_fails {
            true => f64::NAN,
            false => -0.5 * squares,
        })
    }
}

#[test]
fn a_divergence_says_what_happened() {
    let density = |gradient_fails| Ball { gradient_fails };
    // far beyond the limit of stability, which is 2
    for (step_size, gradient_fails, want) in [
        (30.0, false, DivergenceCause::LogDensity),
        (30.0, true, DivergenceCause::Gradient(1)),
    ] {
        let chains = ChainOptions {
            step_size: Some(step_size),
            ..chains(0)
        };
        let hmc = Hmc::new(&HmcOptions {
            trajectory: Trajectory::LeapfrogSteps(1),
            ..for_hmc(chains.clone())
        });
        let nuts = Nuts::new(&for_nuts(chains));
        let density = density(gradient_fails);
        divergences(&hmc.unwrap(), &density, step_size, want);
        divergences(&nuts.unwrap(), &density, step_size, want);
    }
    // an energy that rises, but stays finite
    let step_size = 40.0;
    let given = ChainOptions {
        step_size: Some(step_size),
        ..chains(0)
    };
    let nuts = Nuts::new(&for_nuts(given)).unwrap();
    let mut ws = nuts.workspace(&Curved(DIM));
    let rng = Streams::new(1).rng(Phase::USER, 0);
    let mut walker = Walker::new(&nuts, &Curved(DIM), &[0.1; DIM], rng, &mut ws).unwrap();
    let info = walker.step(&nuts, &Curved(DIM), &mut ws).unwrap();
    let divergence = info.divergence.unwrap();
    assert_eq!(divergence.cause, DivergenceCause::EnergyError);
    assert!(divergence.energy_error > 1_000.0 && divergence.energy_error.is_finite());
    assert_eq!(divergence.after.abs(), 1);
    assert!(walker.state().transition().diverged() && info.energy_error == 0.0);
    // Langevin dynamics: a rate far too high
    let kernel = Sgld::new(&SgldOptions {
        learning_rate: 1e9,
        ..langevin(Preconditioner::None)
    });
    let (kernel, ball) = (
        kernel.unwrap(),
        Ball {
            gradient_fails: true,
        },
    );
    let source = AllRows::new(&ball, 1).unwrap();
    let mut ws = kernel.workspace(&source);
    let rng = Streams::new(1).rng(Phase::USER, 0);
    let mut walker = Walker::new(&kernel, &source, &[0.3, 0.4], rng, &mut ws).unwrap();
    assert!(!walker.step(&kernel, &source, &mut ws).unwrap().diverged());
    let stays = walker.state().theta().to_vec();
    let divergence = walker.step(&kernel, &source, &mut ws).unwrap().divergence;
    let cause = divergence.unwrap().cause;
    assert_eq!(cause, DivergenceCause::Gradient(1));
    assert_eq!(walker.state().theta(), stays);
}

fn divergences<K: Kernel<f64, Ball>>(
    kernel: &K,
    density: &Ball,
    step_size: f64,
    want: DivergenceCause,
) {
    let mut ws = kernel.workspace(density);
    let rng = Streams::new(1).rng(Phase::USER, 0);
    let mut walker = Walker::new(kernel, density, &[0.3, 0.4], rng, &mut ws).unwrap();
    for _ in 0..20 {
        let info = walker.step(kernel, density, &mut ws).unwrap();
        let divergence = info.divergence.unwrap();
        assert_eq!(divergence.cause, want);
        assert!((divergence.start_energy - 0.125).abs() < 1e-15);
        assert!(!divergence.energy_error.is_finite());
        assert_eq!(divergence.step_size, step_size);
        assert_eq!(divergence.after.abs(), 1);
        assert_eq!(walker.state().theta(), [0.3, 0.4]);
    }
}

/// What a damaged file may hold does not get into a chain.
#[test]
fn an_impossible_state_is_refused() {
    let refused =
        |result: Result<()>| matches!(result, Err(Error::Shape { .. } | Error::Config { .. }));
    let kernel = Nuts::new(&for_nuts(chains(30))).unwrap();
    let density = Curved(DIM);
    let mut ws = kernel.workspace(&density);
    let fresh = |ws: &mut _| {
        let rng = Streams::new(3).rng(Phase::USER, 7);
        Walker::new(&kernel, &density, &[0.1; DIM], rng, ws).unwrap()
    };
    let mut tape = Tape::default();
    fresh(&mut ws).fields(&mut tape).unwrap();
    tape.at = Some(0);
    for (name, bits) in [
        ("theta", vec![0; 4]),
        ("gradient", vec![0; 6]),
        ("step_size", vec![(-1.0f64).to_bits()]),
        ("mean", vec![0; 4]),
        ("inverse_mass", vec![1.0f64.to_bits(); 4]),
        ("inverse_mass", vec![f64::NAN.to_bits(); 5]),
    ] {
        let mut damaged = tape.clone();
        let field = damaged.bits.iter_mut().find(|(n, _)| n == name).unwrap();
        field.1 = bits;
        assert!(refused(fresh(&mut ws).fields(&mut damaged)), "{name}");
    }
    let (data, theta) = data();
    let source = RandomBatches::new(&data, 5).unwrap();
    let kernel = Sgld::new(&langevin(Preconditioner::rms_prop())).unwrap();
    let mut ws = kernel.workspace(&source);
    let mut fresh = || {
        let rng = Streams::new(3).rng(Phase::USER, 7);
        Walker::new(&kernel, &source, &theta, rng, &mut ws).unwrap()
    };
    let mut tape = Tape::default();
    fresh().fields(&mut tape).unwrap();
    tape.at = Some(0);
    for bits in [vec![0; 12], (0..11).collect(), (1..13).collect()] {
        let mut damaged = tape.clone();
        let field = damaged.bits.iter_mut().find(|(n, _)| n == "order");
        field.unwrap().1 = bits;
        assert!(refused(fresh().fields(&mut damaged)));
    }
}
