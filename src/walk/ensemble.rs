//! Many particles, each with its own random stream and state, moved in parallel.
//!
//! A particle's path depends only on its index and the seed. Sums over particles run in index
//! order. So any number of threads gives the same result, bit for bit. Memory is
//! `O(particles x state + threads x workspace)`.

use super::kernel::{Fields, Kernel, Particle, StepStatistics};
use super::observe::Observable;
use super::walker::Walker;
use crate::error::{Error, Result};
use crate::parallel::{self, Pool};
use crate::rng::{Phase, Streams};
use crate::scalar::Scalar;

/// One particle with its records.
pub(super) struct Recorded<S> {
    walker: Walker<S>,
    /// Sums over all its steps.
    pub total: StepStatistics,
    /// Sums over the steps of the last block.
    pub block: StepStatistics,
    /// Energy after its last step, and whether that point is viable.
    pub energy: f64,
    pub viable: bool,
    /// What was observed after its last block.
    pub observed: Vec<f64>,
}

impl<S> Recorded<S> {
    /// Its position.
    pub fn theta<T>(&self) -> &[T]
    where
        S: Particle<T>,
    {
        self.walker.state.theta()
    }

    /// The state of the particle.
    pub fn state(&mut self) -> &mut S {
        &mut self.walker.state
    }
}

/// The particles of a walk.
pub(super) struct Ensemble<S, W> {
    pub walkers: Vec<Recorded<S>>,
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
        D: Sync,
        K: Kernel<T, D, State = S, Workspace = W>,
        S: Particle<T>,
    {
        let pool = Pool::new();
        let walkers = parallel::try_map(particles, |index| {
            let Some(start) = starts.get(index % starts.len().max(1)) else {
                return Err(Error::config("starts", 0, "must be at least one"));
            };
            let rng = streams.rng(Phase::WALK, index as u64);
            let make = || kernel.workspace(density);
            let walker = pool.with(make, |ws| Walker::new(kernel, density, start, rng, ws))?;
            let total = StepStatistics {
                gradients: 1,
                ..StepStatistics::default()
            };
            Ok(Recorded {
                walker,
                total,
                block: StepStatistics::default(),
                energy: f64::NAN,
                viable: true,
                observed: Vec::new(),
            })
        })?;
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
        D: Sync,
        K: Kernel<T, D, State = S, Workspace = W>,
        S: Particle<T>,
    {
        let pool = &self.pool;
        parallel::try_for_each(&mut self.walkers, |_, recorded| {
            recorded.block = StepStatistics::default();
            let make = || kernel.workspace(density);
            pool.with(make, |ws| {
                for _ in 0..steps {
                    let info = recorded.walker.step(kernel, density, ws)?;
                    recorded.block.add(&info);
                    (recorded.energy, recorded.viable) = (info.energy, info.viable);
                }
                Ok(())
            })?;
            recorded.total.merge(&recorded.block);
            recorded.observed.resize(observable.len(), 0.0);
            observable.observe(recorded.walker.state.theta(), &mut recorded.observed)
        })
    }

    /// Sums over all particles for the last block.
    pub fn block(&self) -> StepStatistics {
        let mut sum = StepStatistics::default();
        self.walkers.iter().for_each(|w| sum.merge(&w.block));
        sum
    }

    /// Visits everything that the next step of any particle depends on.
    pub fn fields<T>(&mut self, fields: &mut dyn Fields<T>) -> Result<()>
    where
        S: Particle<T>,
    {
        for recorded in &mut self.walkers {
            recorded.walker.state.fields(fields)?;
            recorded.total.fields(fields)?;
            fields.number("energy", &mut recorded.energy)?;
            let mut viable = usize::from(recorded.viable);
            fields.count("viable", &mut viable)?;
            recorded.viable = viable != 0;
            recorded.walker.position_fields(fields)?;
        }
        Ok(())
    }
}
