//! A walk, block by block: a warm-up, then as many steps again from which points are kept.
//!
//! In the warm-up the kernel tunes itself and the particles forget their start. All decisions are
//! made between blocks, from what all particles did, in index order. So a walk that stops between
//! two blocks can be continued (see [`Run::fields`]) as if it had never stopped, with any number of
//! threads.

use super::ensemble::Ensemble;
use super::forget::forgotten;
use super::kernel::{Fields, Kernel, Particle, StepStatistics, WarmUp};
use super::observe::{Observable, Trace};
use super::options::WalkOptions;
use super::walk::Walk;
use crate::error::{Error, Result, counted};
use crate::linalg::vector::distance;
use crate::rng::Streams;
use crate::scalar::Scalar;

/// Share of diverged steps above which a walk that was not observed has not forgotten its start.
const DIVERGED: f64 = 0.01;

/// A walk in progress.
pub struct Run<T, S, W> {
    options: WalkOptions,
    dim: usize,
    ensemble: Ensemble<S, W>,
    starts: Vec<Vec<T>>,
    /// Steps taken.
    steps: usize,
    /// Steps of the warm-up, once it has ended.
    warm_up: Option<usize>,
    forgotten: bool,
    sampling: StepStatistics,
    trace: Trace,
    points: Vec<T>,
    /// Points that [`Run::drain`] has passed on.
    drained: usize,
    particle: Vec<usize>,
    energies: Vec<f64>,
    discarded: usize,
}

impl<T: Scalar, S: Particle<T>, W: Send> Run<T, S, W> {
    /// Particles at `starts` (in turn), before any step.
    ///
    /// # Errors
    /// If a setting is out of range, or the density is not finite at a start.
    pub fn new<D, K>(
        kernel: &K,
        density: &D,
        starts: &[Vec<T>],
        options: &WalkOptions,
        streams: Streams,
    ) -> Result<Self>
    where
        D: Sync,
        K: Kernel<T, D, State = S, Workspace = W>,
    {
        options.validate()?;
        let ensemble = Ensemble::new(kernel, density, starts, options.particles, streams)?;
        Ok(Self {
            options: options.clone(),
            dim: ensemble.walkers.first().map_or(0, |w| w.theta().len()),
            ensemble,
            starts: starts.to_vec(),
            steps: 0,
            // half of a given number, rounded down; a warm-up of no steps has ended already
            warm_up: options.steps.map(|steps| steps / 2).filter(|&w| w == 0),
            forgotten: options.steps.is_some(),
            sampling: StepStatistics::default(),
            trace: Trace::default(),
            points: Vec::new(),
            drained: 0,
            particle: Vec::new(),
            energies: Vec::new(),
            discarded: 0,
        })
    }

    /// Number of parameters.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// Points that [`Run::drain`] has passed on.
    pub fn drained(&self) -> usize {
        self.drained
    }

    /// Steps that each particle has taken.
    pub fn steps(&self) -> usize {
        self.steps
    }

    /// The most steps that the walk can still have in all.
    pub fn at_most(&self) -> usize {
        self.total().unwrap_or(self.options.max_steps)
    }

    /// The steps of the whole walk; `None` if their number is not given and the warm-up has not
    /// ended, which decides it.
    pub fn total(&self) -> Option<usize> {
        self.options
            .steps
            .or(self.warm_up.map(|warm_up| 2 * warm_up))
    }

    /// True if no step is left.
    pub fn is_done(&self) -> bool {
        self.warm_up.is_some() && self.steps >= self.at_most()
    }

    /// Takes one block of steps; false if none was left.
    ///
    /// # Errors
    /// What the density or the observable report.
    pub fn advance<D, K>(
        &mut self,
        kernel: &mut K,
        density: &D,
        observable: &dyn Observable<T>,
    ) -> Result<bool>
    where
        D: Sync,
        K: Kernel<T, D, State = S, Workspace = W>,
    {
        if self.is_done() {
            return Ok(false);
        }
        let spread = self.records_spread(observable.len());
        let len = if spread { 1 } else { observable.len() };
        if self.trace.blocks() > 0 && self.trace.len != len {
            let op = "Run::advance: numbers observed";
            return Err(Error::shape(op, self.trace.len, observable.len()));
        }
        let next = self.next_stop();
        let steps = next - self.steps;
        self.ensemble
            .advance(&*kernel, density, steps, observable)?;
        self.steps = next;
        self.record(len, spread);
        let block = self.ensemble.block();
        match self.warm_up {
            Some(_) => {
                self.sampling.merge(&block);
                self.keep();
            }
            None => {
                let last = self.warm_up_ends(kernel.memory(), spread)?;
                let mut warm_up = WarmUp {
                    steps: self.steps,
                    at_most: self.longest_warm_up(),
                    last,
                    block: &block,
                    positions: Vec::new(),
                };
                let walkers = &mut self.ensemble.walkers;
                for walker in walkers.iter_mut() {
                    kernel.before_adapt(walker.state(), &warm_up);
                }
                warm_up.positions = walkers.iter().map(|w| w.theta()).collect();
                kernel.adapt(&warm_up)?;
                if last {
                    self.warm_up = Some(self.steps);
                    // diagnostics describe only what follows the warm-up
                    self.trace = Trace::default();
                }
            }
        }
        Ok(true)
    }

    /// The step at which the next block ends.
    fn next_stop(&self) -> usize {
        let next = self.steps.saturating_add(self.options.block);
        match self.warm_up {
            None => next.min(self.longest_warm_up()),
            Some(_) => {
                // a point is kept only where a block ends
                let due = (0..self.options.keep).map(|i| self.due(i));
                let due = due.filter(|&due| due > self.steps);
                due.fold(next, usize::min).min(self.at_most())
            }
        }
    }

    fn longest_warm_up(&self) -> usize {
        (self.options.steps.unwrap_or(self.options.max_steps) / 2).max(1)
    }

    fn warm_up_ends(&mut self, memory: usize, spread: bool) -> Result<bool> {
        let auto = self.options.steps.is_none();
        let settled = || forgotten(&self.trace, self.dim, (self.steps, memory), spread);
        if auto && settled()? {
            self.forgotten = true;
            return Ok(true);
        }
        Ok(self.steps >= self.longest_warm_up())
    }

    /// The step after which point `i` of every particle is kept.
    fn due(&self, i: usize) -> usize {
        let warm_up = self.warm_up.unwrap_or(0);
        let sampling = self.at_most() - warm_up;
        // in 128 bits, since the product may overflow 64
        let after = (i as u128 + 1) * sampling as u128 / self.options.keep as u128;
        warm_up + after as usize
    }

    /// True where nothing is observed and the start is to be forgotten: the squared distance of
    /// each particle from its start then takes the place of what is observed.
    fn records_spread(&self, observed: usize) -> bool {
        observed == 0 && self.options.steps.is_none() && self.warm_up.is_none()
    }

    /// True if nothing is observed, and the trace of the warm-up holds distances. A run that was
    /// just restored has observed nothing yet, but its trace has as many numbers as before.
    fn is_blind(&self) -> bool {
        let walkers = &self.ensemble.walkers;
        self.trace.len <= 1 && walkers.iter().all(|w| w.observed.is_empty())
    }

    fn record(&mut self, len: usize, spread: bool) {
        self.trace.steps.push(self.steps);
        self.trace.len = len;
        for (index, walker) in self.ensemble.walkers.iter().enumerate() {
            self.trace.energies.push(walker.energy);
            self.trace.observed.extend_from_slice(&walker.observed);
            if spread {
                let start = &self.starts[index % self.starts.len()];
                let distance = distance(walker.theta(), start);
                self.trace.observed.push(distance * distance);
            }
        }
    }

    fn keep(&mut self) {
        if (0..self.options.keep).any(|i| self.due(i) == self.steps) {
            self.keep_here();
        }
    }

    /// Keeps the points where the particles are now.
    fn keep_here(&mut self) {
        // room for all points to come, so that a growing vector is never held twice; unused pages
        // stay untouched
        let times = if self.drained == 0 {
            self.options.keep
        } else {
            1
        };
        let all = times.saturating_mul(self.ensemble.walkers.len() * self.dim);
        if self.points.capacity() < all {
            let more = all - self.points.len();
            // if that much room is not available, the vector grows as it must
            let _ = self.points.try_reserve_exact(more);
        }
        for (index, walker) in self.ensemble.walkers.iter().enumerate() {
            if walker.viable {
                self.points.extend_from_slice(walker.theta());
                self.particle.push(index);
                self.energies.push(walker.energy);
            } else {
                self.discarded = self.discarded.saturating_add(1);
            }
        }
    }

    /// Bytes of the points held now.
    pub fn kept_bytes(&self) -> usize {
        size_of_val(&self.points[..])
    }

    /// Passes all points held now, `[n, P]`, to `take` and then drops them, for callers that store
    /// them on disk. Their other records stay. Call it between two blocks.
    ///
    /// # Errors
    /// Those of `take`; the points are then still held.
    pub fn drain(&mut self, take: impl FnOnce(&[T]) -> Result<()>) -> Result<()> {
        take(&self.points)?;
        self.drained += self.points.len() / self.dim.max(1);
        self.points.clear();
        Ok(())
    }

    /// Bytes of one point of every particle.
    pub fn kept_bytes_at_once(&self) -> usize {
        let numbers = self.ensemble.walkers.len().saturating_mul(self.dim);
        numbers.saturating_mul(size_of::<T>())
    }

    /// True if the next block ends where points are kept.
    pub fn keeps_next(&self) -> bool {
        let next = self.next_stop();
        !self.is_done()
            && self.warm_up.is_some()
            && (0..self.options.keep).any(|i| self.due(i) == next)
    }

    /// Ends the walk here, between two blocks. Its result is the points kept so far. If there are
    /// none, it keeps the current points of the particles that are at viable ones. Those are points
    /// on the way, which still remember their start. Take at least one block before.
    pub fn finish_early(mut self) -> Walk<T> {
        let cut_short = !self.is_done();
        if self.warm_up.is_none() {
            self.forgotten = false;
            self.sampling = self.ensemble.block();
            if self.is_blind() {
                // distances from the start are no observation
                (self.trace.observed, self.trace.len) = (Vec::new(), 0);
            }
        }
        if cut_short && self.particle.is_empty() {
            self.keep_here();
        }
        Walk {
            cut_short,
            ..self.finish()
        }
    }

    /// The result so far, whether or not all steps were taken.
    pub fn finish(self) -> Walk<T> {
        let from_start = |(index, theta): (usize, &[T])| {
            distance(theta, &self.starts[index % self.starts.len()])
        };
        let walkers = &self.ensemble.walkers;
        let often = self.sampling.divergences as f64 > DIVERGED * self.sampling.steps as f64;
        // after the warm-up a trace is empty only where nothing is observed
        let tested = self.options.steps.is_none() && self.trace.len == 0;
        let ends = walkers.iter().map(|w| w.theta()).enumerate();
        Walk {
            distances: ends.map(from_start).collect(),
            tallies: walkers.iter().map(|w| w.total.clone()).collect(),
            dim: self.dim,
            steps: self.steps,
            warm_up: self.warm_up.unwrap_or(self.steps),
            forgotten: self.forgotten && !(tested && often),
            points: self.points,
            drained: self.drained,
            particle: self.particle,
            energies: self.energies,
            sampling: self.sampling,
            cut_short: false,
            discarded: self.discarded,
            trace: self.trace,
        }
    }

    /// Visits everything that the rest of the walk depends on. One program may save it and another
    /// restore it into a run that was made alike; the walk then continues bit for bit. Visit the
    /// kernel's settings as well ([`Kernel::fields`]).
    ///
    /// # Errors
    /// Those of `fields`, and if the data read is not the state of such a run. The run must not be
    /// used then.
    pub fn fields(&mut self, fields: &mut dyn Fields<T>) -> Result<()> {
        fields.count("steps", &mut self.steps)?;
        let mut warm_up = self.warm_up.map_or(0, |w| w + 1);
        fields.count("warm_up", &mut warm_up)?;
        self.warm_up = warm_up.checked_sub(1);
        let mut forgotten = usize::from(self.forgotten);
        fields.count("forgotten", &mut forgotten)?;
        self.forgotten = forgotten != 0;
        self.sampling.fields(fields)?;
        self.trace.fields(fields)?;
        fields.vector("points", &mut self.points)?;
        fields.count("drained", &mut self.drained)?;
        fields.numbers("energies", &mut self.energies)?;
        fields.counts("particle", &mut self.particle)?;
        fields.count("discarded", &mut self.discarded)?;
        self.ensemble.fields(fields)?;
        self.check()
    }

    /// Checks that the restored state could have been saved: all indexing and counting relies on
    /// that.
    fn check(&self) -> Result<()> {
        let (particles, kept) = (self.ensemble.walkers.len(), self.particle.len());
        let longest = self.longest_warm_up();
        let steps = match self.warm_up {
            None => self.steps < longest,
            Some(warm_up) => warm_up <= longest && self.steps <= self.at_most(),
        };
        let held = kept.checked_sub(self.drained);
        let fits = steps
            && self.steps >= self.warm_up.unwrap_or(0)
            && held.and_then(|held| held.checked_mul(self.dim)) == Some(self.points.len())
            && self.energies.len() == kept
            && self.particle.iter().all(|&p| p < particles)
            && self.trace.is_of(particles);
        if fits {
            return Ok(());
        }
        let of = counted(self.dim, "parameter");
        let expected = format!("that of {} of {of}", counted(particles, "particle"));
        Err(Error::shape("a walk's state", expected, "another"))
    }
}
