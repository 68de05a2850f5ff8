//! Walks that are stopped between two blocks.
//!
//! Continued elsewhere they go on bit for bit. Ended early they return what they have.

use fiberwalk::baselines::{ChainOptions, Hmc, HmcOptions, Nuts, NutsOptions};
use fiberwalk::linalg::vector::dot;
use fiberwalk::walk::{
    Drift, DriftOptions, Fields, InverseMassMatrix, Kernel, Microcanonical, MicrocanonicalOptions,
    Observable, Run, Walk, WalkOptions,
};
use fiberwalk::{Error, LogDensity, Result, Streams};

/// A banana-shaped density: nothing about it is linear.
pub struct Curved(pub usize);

impl LogDensity<f64> for Curved {
    type Workspace = ();
    fn dim(&self) -> usize {
        self.0
    }
    fn workspace(&self) {}
    fn log_density(&self, theta: &[f64], ws: &mut ()) -> Result<f64> {
        self.log_density_and_grad(theta, &mut vec![0.0; self.0], ws)
    }
    fn log_density_and_grad(&self, theta: &[f64], grad: &mut [f64], (): &mut ()) -> Result<f64> {
        let bend = theta[1] - theta[0] * theta[0];
        for (g, x) in grad.iter_mut().zip(theta) {
            *g = -x;
        }
        grad[0] += 2.0 * bend * theta[0];
        grad[1] -= bend;
        Ok(-0.5 * (dot(theta, theta) + bend * bend))
    }
}

/// The first two coordinates are observed.
struct Two;

impl Observable<f64> for Two {
    fn len(&self) -> usize {
        2
    }
    fn observe(&self, theta: &[f64], out: &mut [f64]) -> Result<()> {
        out.copy_from_slice(&theta[..2]);
        Ok(())
    }
}

/// Fields in memory: written while `at` is none, and otherwise read from there on.
#[derive(Clone, Default)]
pub struct Tape {
    pub bits: Vec<(String, Vec<u64>)>,
    pub at: Option<usize>,
}

impl Tape {
    fn go<E>(
        &mut self,
        name: &str,
        value: &mut Vec<E>,
        to: impl Fn(&E) -> u64,
        from: impl Fn(u64) -> E,
    ) -> Result<()> {
        match &mut self.at {
            None => self
                .bits
                .push((name.into(), value.iter().map(to).collect())),
            Some(at) => {
                let (written, bits) = &self.bits[*at];
                assert_eq!(written, name, "the order is the same always");
                *value = bits.iter().map(|&b| from(b)).collect();
                *at += 1;
            }
        }
        Ok(())
    }
}

impl Fields<f64> for Tape {
    fn vector(&mut self, name: &str, value: &mut Vec<f64>) -> Result<()> {
        self.go(name, value, |x| x.to_bits(), f64::from_bits)
    }
    fn numbers(&mut self, name: &str, value: &mut Vec<f64>) -> Result<()> {
        self.go(name, value, |x| x.to_bits(), f64::from_bits)
    }
    fn counts(&mut self, name: &str, value: &mut Vec<usize>) -> Result<()> {
        self.go(name, value, |&n| n as u64, |b| b as usize)
    }
}

fn microcanonical(adjusted: bool) -> Microcanonical<'static, f64> {
    let options = MicrocanonicalOptions {
        adjusted,
        ..MicrocanonicalOptions::default()
    };
    let frame = InverseMassMatrix::diagonal(&[1.0; 5]).unwrap();
    Microcanonical::new(frame, &options).unwrap()
}

fn drift() -> Drift<f64> {
    Drift::new(DriftOptions {
        step_size: 0.2,
        correction: 0.3,
        max_energy: 4.0,
        retries: 3,
    })
    .unwrap()
}

fn options(steps: Option<usize>) -> WalkOptions {
    WalkOptions {
        particles: 9,
        steps,
        max_steps: 90,
        keep: 3,
        block: 4,
    }
}

type RunOf<K> = Run<f64, <K as Kernel<f64, Curved>>::State, <K as Kernel<f64, Curved>>::Workspace>;

fn run<K: Kernel<f64, Curved>>(kernel: &K, options: &WalkOptions) -> RunOf<K> {
    let starts = [vec![0.1; 5], vec![-0.2; 5]];
    Run::new(kernel, &Curved(5), &starts, options, Streams::new(3)).unwrap()
}

fn saved<K: Kernel<f64, Curved>>(kernel: &mut K, run: &mut RunOf<K>) -> Tape {
    let mut tape = Tape::default();
    kernel.fields(&mut tape).unwrap();
    run.fields(&mut tape).unwrap();
    tape
}

fn to_the_end<K: Kernel<f64, Curved>>(kernel: &mut K, mut run: RunOf<K>) -> Walk<f64> {
    while run.advance(kernel, &Curved(5), &Two).unwrap() {}
    run.finish()
}

/// Stopped after any block and continued in a separate run, the walk ends where it would have.
fn continues<K: Kernel<f64, Curved>>(fresh: impl Fn() -> K, options: &WalkOptions) {
    let mut kernel = fresh();
    let mut whole = run(&kernel, options);
    let mut tapes = vec![saved(&mut kernel, &mut whole)];
    while whole.advance(&mut kernel, &Curved(5), &Two).unwrap() {
        tapes.push(saved(&mut kernel, &mut whole));
    }
    let want = whole.finish();
    assert!(tapes.len() > 6 && want.len() > 20);
    for mut tape in tapes {
        let mut kernel = fresh();
        let mut run = run(&kernel, options);
        tape.at = Some(0);
        kernel.fields(&mut tape).unwrap();
        run.fields(&mut tape).unwrap();
        assert_eq!(tape.at, Some(tape.bits.len()));
        assert_eq!(to_the_end(&mut kernel, run), want);
    }
}

#[test]
fn a_walk_goes_on_from_any_block_as_if_nothing_had_been() {
    for steps in [Some(37), None] {
        continues(drift, &options(steps));
        continues(|| microcanonical(false), &options(steps));
        continues(|| microcanonical(true), &options(steps));
    }
}

/// HMC and NUTS are kernels as any other. Their own warm-up is shorter than that of the walk, as
/// long, or longer and ended by it.
#[test]
fn hamiltonian_chains_go_on_from_any_block() {
    for warm_up in [7, 24, 60] {
        let chains = ChainOptions {
            warm_up,
            ..ChainOptions::default()
        };
        let for_hmc = HmcOptions {
            chains: chains.clone(),
            ..HmcOptions::default()
        };
        let for_nuts = NutsOptions {
            chains,
            ..NutsOptions::default()
        };
        continues(|| Hmc::new(&for_hmc).unwrap(), &options(Some(49)));
        continues(|| Nuts::new(&for_nuts).unwrap(), &options(Some(49)));
    }
}

#[test]
fn a_walk_that_is_ended_early_gives_what_it_has() {
    let options = options(Some(40));
    let want = to_the_end(&mut drift(), run(&drift(), &options));
    // points are due after steps 26, 33 and 40; blocks of the warm-up end at 4, 8, .. 20
    let mut seen = Vec::new();
    for blocks in 1.. {
        let mut kernel = drift();
        let mut run = run(&kernel, &options);
        for _ in 0..blocks {
            run.advance(&mut kernel, &Curved(5), &Two).unwrap();
        }
        let (steps, due, done) = (run.steps(), run.keeps_next(), run.is_done());
        let kept = run.kept_bytes();
        let walked = run.finish_early();
        assert_eq!((walked.steps, walked.cut_short), (steps, !done));
        assert_eq!(due, [24, 30, 37].contains(&steps), "{steps}");
        let points = match steps {
            ..26 => 9,
            26..33 => 9,
            33..40 => 18,
            _ => 27,
        };
        assert_eq!(walked.len() + walked.discarded, points);
        if steps < 26 {
            // ended early: where the particles are, and the energies there
            assert_eq!(kept, 0);
            for i in 0..walked.len() {
                let u = -Curved(5)
                    .log_density(walked.point(i).unwrap(), &mut ())
                    .unwrap();
                assert!((walked.energies[i] - u).abs() < 1e-12 && u <= 4.0);
            }
            assert_eq!(walked.forgotten, steps >= 20);
        } else {
            assert_eq!(kept, 8 * 5 * walked.len());
            assert_eq!(walked.points, want.points[..walked.points.len()]);
        }
        seen.push(steps);
        if done {
            assert_eq!(walked, want);
            break;
        }
    }
    assert_eq!(seen, [4, 8, 12, 16, 20, 24, 26, 30, 33, 37, 40]);
}

/// Points that are drained as they are kept equal the points of a walk that keeps them, and the
/// other results are the same. A walk that was saved after some were drained goes on in the same
/// way.
#[test]
fn points_that_are_drained_are_those_that_would_have_been_kept() {
    let options = options(Some(40));
    let want = to_the_end(&mut drift(), run(&drift(), &options));
    let mut kernel = drift();
    let (mut walk, mut taken) = (run(&kernel, &options), Vec::new());
    let mut tape = None;
    while walk.advance(&mut kernel, &Curved(5), &Two).unwrap() {
        let refused = walk.drain(|_| {
            Err(Error::NonFinite {
                what: "disk",
                index: 0,
            })
        });
        assert!(refused.is_err());
        let take = |points: &[f64]| {
            taken.extend_from_slice(points);
            Ok(())
        };
        walk.drain(take).unwrap();
        if walk.steps() == 33 {
            tape = Some((saved(&mut kernel, &mut walk), taken.len()));
        }
    }
    assert_eq!(taken, want.points);
    let same = |walked: Walk<f64>, held: &[f64]| {
        let again = Walk {
            points: want.points.clone(),
            drained: 0,
            ..walked.clone()
        };
        assert_eq!(again, want);
        assert_eq!(walked.points, held);
        assert_eq!(walked.drained * 5 + held.len(), want.points.len());
    };
    same(walk.finish(), &[]);
    let (mut tape, before) = tape.unwrap();
    let mut kernel = drift();
    let mut walk = run(&kernel, &options);
    tape.at = Some(0);
    Kernel::<f64, Curved>::fields(&mut kernel, &mut tape).unwrap();
    walk.fields(&mut tape).unwrap();
    same(to_the_end(&mut kernel, walk), &want.points[before..]);
}

#[test]
fn a_state_that_cannot_be_is_refused() {
    let mut kernel = microcanonical(false);
    let mut walk = run(&kernel, &options(Some(40)));
    for _ in 0..8 {
        walk.advance(&mut kernel, &Curved(5), &Two).unwrap();
    }
    let tape = saved(&mut kernel, &mut walk);
    let refuses = |mut tape: Tape| -> Option<Error> {
        tape.at = Some(0);
        let mut kernel = microcanonical(false);
        let mut walk = run(&kernel, &options(Some(40)));
        let restored = Kernel::<f64, Curved>::fields(&mut kernel, &mut tape)
            .and_then(|()| walk.fields(&mut tape));
        restored.err()
    };
    assert!(refuses(tape.clone()).is_none());
    // one entry more or less, wherever the number of entries matters
    for i in 0..tape.bits.len() {
        let (name, bits) = &tape.bits[i];
        for shorter in [true, false] {
            let mut tape = tape.clone();
            if shorter {
                tape.bits[i].1.pop();
            } else {
                tape.bits[i].1.push(0);
            }
            let changed = tape.bits[i].1.len() != bits.len();
            let refused = refuses(tape).is_some();
            assert_eq!(refused, changed && name != "step_sizes", "{name} {shorter}");
        }
    }
    for (name, value) in [
        ("renewal", 0),
        ("step_size", 0f64.to_bits()),
        ("step_size", f64::NAN.to_bits()),
        ("decoherence_length", (-1f64).to_bits()),
        ("steps", 41),
        ("steps", u64::MAX),
        ("warm_up", u64::MAX),
        ("trace_len", 3),
        ("trace_len", u64::MAX),
    ] {
        let mut tape = tape.clone();
        let at = tape.bits.iter().position(|b| b.0 == name).unwrap();
        tape.bits[at].1[0] = value;
        assert!(refuses(tape).is_some(), "{name} = {value}");
    }
    // and a walk that observes something else
    assert!(walk.advance(&mut kernel, &Curved(5), &()).is_err());
}
