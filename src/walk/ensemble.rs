//! Many particles, each with its own random stream and state, moved in parallel.
//!
//! A particle's path depends only on its index and the seed. Sums over particles run in index
//! order. So any number of threads gives the same result, bit for bit. Memory is
//! `O(particles x state + threads x workspace)`.

use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::kernel::{Fields, Kernel, Particle, Tally};
use super::observe::Observable;
use super::pool::Pool;
use crate::error::{Error, Result};
use crate::model::LogDensity;
use crate::rng::{Phase, Streams};
use crate::scalar::Scalar;

/// One particle with its random generator and its records.
pub(super) struct Walker<S> {
    pub state: S,
    rng: ChaCha8Rng,
    /// Sums over all its steps.
    pub total: Tally,
    /// Sums over the steps of the last block.
    pub block: Tally,
    /// Energy after its last step, and whether that point is viable.
    pub energy: f64,
    pub viable: bool,
    /// What was observed after its last block.
    pub observed: Vec<f64>,
}

/// The particles of a walk.
pub(super) struct Ensemble<S, W> {
    pub walkers: Vec<Walker<S>>,
    pool: Pool<W>,
}

impl<S, W: Send> Ensemble<S, W> {
    /// Particles at `starts`: particle `i` starts at `starts[i % starts.len()]`.
    pub fn new<T, D, K>(
        kernel: &K,
        density: &D,
        starts: &[Vec<T>],
        particles: usize,
        streams: Streams,
    ) -> Result<Self>
    where
        T: Scalar,
        D: LogDensity<T>,
        K: Kernel<T, D, State = S, Workspace = W>,
        S: Particle<T>,
    {
        let pool = Pool::new();
        let walkers = (0..particles)
            .into_par_iter()
            .map(|index| {
                let Some(start) = starts.get(index % starts.len().max(1)) else {
                    return Err(Error::config("starts", 0, "must be at least one"));
                };
                let mut rng = streams.rng(Phase::WALK, index as u64);
                let make = || kernel.workspace(density);
                let state = pool.with(make, |ws| kernel.init(density, start, &mut rng, ws))?;
                let total = Tally {
                    gradients: 1,
                    ..Tally::default()
                };
                Ok(Walker {
                    state,
                    rng,
                    total,
                    block: Tally::default(),
                    energy: f64::NAN,
                    viable: true,
                    observed: Vec::new(),
                })
            })
            .collect::<Result<_>>()?;
        Ok(Self { walkers, pool })
    }

    /// Every particle takes `steps` steps and is observed.
    pub fn advance<T, D, K>(
        &mut self,
        kernel: &K,
        density: &D,
        steps: usize,
        observable: &dyn Observable<T>,
    ) -> Result<()>
    where
        T: Scalar,
        D: LogDensity<T>,
        K: Kernel<T, D, State = S, Workspace = W>,
        S: Particle<T>,
    {
        let pool = &self.pool;
        self.walkers.par_iter_mut().try_for_each(|walker| {
            walker.block = Tally::default();
            let make = || kernel.workspace(density);
            pool.with(make, |ws| {
                for _ in 0..steps {
                    let info = kernel.step(density, &mut walker.state, &mut walker.rng, ws)?;
                    walker.block.add(&info);
                    (walker.energy, walker.viable) = (info.energy, info.viable);
                }
                Ok(())
            })?;
            walker.total.merge(&walker.block);
            walker.observed.resize(observable.len(), 0.0);
            observable.observe(walker.state.theta(), &mut walker.observed)
        })
    }

    /// Sums over all particles for the last block.
    pub fn block(&self) -> Tally {
        let mut sum = Tally::default();
        self.walkers.iter().for_each(|w| sum.merge(&w.block));
        sum
    }

    /// Visits everything that the next step of any particle depends on.
    pub fn fields<T>(&mut self, fields: &mut dyn Fields<T>) -> Result<()>
    where
        S: Particle<T>,
    {
        for walker in &mut self.walkers {
            walker.state.fields(fields)?;
            walker.total.fields(fields)?;
            fields.number("energy", &mut walker.energy)?;
            let mut viable = usize::from(walker.viable);
            fields.count("viable", &mut viable)?;
            walker.viable = viable != 0;
            // a position of at most 2^68 words, in two counts
            let position = walker.rng.get_word_pos();
            let mut low = (position & 0xffff_ffff) as usize;
            let mut high = (position >> 32) as usize;
            fields.count("words", &mut low)?;
            fields.count("word_blocks", &mut high)?;
            walker
                .rng
                .set_word_pos(((high as u128) << 32) | low as u128);
        }
        Ok(())
    }
}
