//! Settings of the checks, and the random numbers that they draw.

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::checker::Checker;
use crate::rng::{Phase, Streams, fill_normal};

/// The phase of all random numbers of this module: the last one below [`Phase::USER`].
const TESTING: Phase = Phase(Phase::USER.0 - 1);

/// Settings of the checks of layers, networks, likelihoods, priors, densities, bijections and
/// operators.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CheckOptions {
    /// The seed of the first case; case `i` has the seed `seed + i`.
    pub seed: u64,
    /// Number of random points at which everything is checked.
    pub cases: usize,
    /// Rows of a batch, at least 2.
    pub rows: usize,
    /// Standard deviation of random inputs, in their own units.
    pub spread: f64,
    /// Factor on every tolerance. 1 is what the arithmetic of the documentation allows; more is for
    /// parts that amplify rounding themselves.
    pub slack: f64,
}

impl Default for CheckOptions {
    fn default() -> Self {
        Self {
            seed: 0,
            cases: 3,
            rows: 3,
            spread: 1.0,
            slack: 1.0,
        }
    }
}

impl CheckOptions {
    /// One checker for each case.
    pub(super) fn cases(&self, check: &'static str) -> impl Iterator<Item = Checker> {
        let first = self.seed;
        (0..self.cases as u64).map(move |case| Checker {
            check,
            seed: first.wrapping_add(case),
        })
    }

    /// Rows of a batch.
    pub(super) fn batch(&self) -> usize {
        self.rows.max(2)
    }
}

impl Checker {
    /// The stream number `index` of this case.
    pub(super) fn rng(self, index: u64) -> ChaCha8Rng {
        Streams::new(self.seed).rng(TESTING, index)
    }
}

/// `count` normal numbers of the given standard deviation.
pub(super) fn normals(rng: &mut impl Rng, count: usize, deviation: f64) -> Vec<f64> {
    let mut all = vec![0.0; count];
    fill_normal(rng, &mut all);
    all.iter_mut().for_each(|x| *x *= deviation);
    all
}
