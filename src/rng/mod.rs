//! Random numbers: one seed gives an independent stream for each phase and index.
//!
//! A result must not depend on the number of threads, so no two pieces of work share a generator.
//! Each one asks for its own stream, by its kind (a [`Phase`]) and its number (an index).

mod normal;

pub use normal::fill_normal;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// A stage of the pipeline that draws random numbers. Phases of users start at [`Phase::USER`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Phase(pub u16);

impl Phase {
    /// Splits of a data set.
    pub const SPLIT: Phase = Phase(1);
    /// Initial parameters.
    pub const INIT: Phase = Phase(2);
    /// Start vectors of Lanczos iterations.
    pub const LANCZOS: Phase = Phase(3);
    /// Probe vectors of stochastic traces.
    pub const PROBE: Phase = Phase(4);
    /// Walkers.
    pub const WALK: Phase = Phase(5);
    /// Training of a deformation.
    pub const DEFORM: Phase = Phase(6);
    /// Draws from a fitted posterior.
    pub const SAMPLE: Phase = Phase(7);
    /// Synthetic data.
    pub const SYNTHETIC: Phase = Phase(8);
    /// Minibatches: index 0 for the rows held out, index `e` for the order of epoch `e`.
    pub const MINIBATCH: Phase = Phase(9);
    /// Draws of a refinement on the ELBO.
    pub const ELBO: Phase = Phase(11);
    /// Draws for judging a deformation.
    pub const TRUST: Phase = Phase(13);
    /// Units of recombined anchors.
    pub const RECOMBINE: Phase = Phase(12);
    /// Annealed importance sampling: index `i` for particle `i`, and indices from 2^40 on for its
    /// pilot.
    pub const ANNEAL: Phase = Phase(10);
    /// Members of a deep ensemble.
    pub const ENSEMBLE: Phase = Phase(14);
    /// Hamiltonian chains.
    pub const HMC: Phase = Phase(15);
    /// Stochastic weight averaging.
    pub const SWAG: Phase = Phase(16);
    /// Langevin dynamics.
    pub const SGLD: Phase = Phase(17);
    /// Variational inference.
    pub const VARIATIONAL: Phase = Phase(18);
    /// Dropout masks.
    pub const DROPOUT: Phase = Phase(19);
    /// Targets drawn from the model, for an expected Fisher matrix.
    pub const FISHER: Phase = Phase(20);
    /// Draws from a prior, as starting points of walkers.
    pub const PRIOR: Phase = Phase(22);
    /// Bootstraps of rows.
    pub const BOOTSTRAP: Phase = Phase(21);
    /// Velocities of draws in kinetic layers.
    pub const KINETIC: Phase = Phase(23);
    /// Draws of predictive distributions: index `i` for row `i`, and indices from 2^47 on for what
    /// rows share.
    pub const PREDICTIVE: Phase = Phase(26);
    /// The tie-breaking numbers of conformal sets.
    pub const CONFORMAL: Phase = Phase(27);
    /// Rows held out for calibration: index 0, and index 1 for those of them that recalibrate.
    pub const CALIBRATE: Phase = Phase(28);
    /// Predictions that are drawn for other programs.
    pub const REPORT: Phase = Phase(31);
    /// The first phase that this crate never uses.
    pub const USER: Phase = Phase(0x4000);
}

/// A seed, and the independent ChaCha8 streams it gives.
///
/// ```
/// use fiberwalk::{Phase, Streams};
/// use rand::Rng;
/// let streams = Streams::new(7);
/// let a = streams.rng(Phase::WALK, 0).next_u64();
/// assert_eq!(a, streams.rng(Phase::WALK, 0).next_u64());
/// assert_ne!(a, streams.rng(Phase::WALK, 1).next_u64());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Streams {
    seed: u64,
}

impl Streams {
    /// Streams of the given seed.
    pub fn new(seed: u64) -> Self {
        Self { seed }
    }

    /// The seed.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// The generator of one piece of work. `index` should be below 2^48: higher bits are dropped.
    pub fn rng(&self, phase: Phase, index: u64) -> ChaCha8Rng {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        rng.set_stream((u64::from(phase.0) << 48) | (index & ((1 << 48) - 1)));
        rng
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::Rng;
    use rand_distr::{Distribution, StandardNormal};

    #[test]
    fn values_are_stable() {
        // Golden values of this definition (ChaCha8, stream = phase << 48 | index). A changed
        // generator or stream layout changes every result of the crate, and must not go unnoticed.
        let words: Vec<u64> = (0..3)
            .map(|i| Streams::new(42).rng(Phase::WALK, i).next_u64())
            .collect();
        assert_eq!(words, GOLDEN);
    }

    const GOLDEN: [u64; 3] = [
        10_202_743_249_158_788_104,
        8_838_568_274_760_324_323,
        6_786_317_291_590_379_969,
    ];

    #[test]
    fn streams_are_uncorrelated() {
        let n = 20_000;
        let draw = |phase, index| -> Vec<f64> {
            let rng = Streams::new(1).rng(phase, index);
            StandardNormal.sample_iter(rng).take(n).collect()
        };
        let streams = [
            draw(Phase::WALK, 0),
            draw(Phase::WALK, 1),
            draw(Phase::INIT, 0),
        ];
        for i in 0..3 {
            for j in 0..i {
                let r: f64 = streams[i].iter().zip(&streams[j]).map(|(a, b)| a * b).sum();
                // the correlation of n independent pairs has standard deviation 1/sqrt(n); 5 sigma
                assert!((r / n as f64).abs() < 5.0 / (n as f64).sqrt());
            }
        }
    }
}
