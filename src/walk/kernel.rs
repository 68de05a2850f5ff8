//! What a walk is made of: a rule that moves one particle by one step.

use rand_chacha::ChaCha8Rng;

use crate::error::{Error, Result};
use crate::model::LogDensity;
use crate::scalar::Scalar;

/// A rule that moves a particle. The state caches what the next step needs; [`Info`] is for the reader and never feeds
/// back. What a kernel tunes about itself it tunes in [`Kernel::adapt`], from what all particles did.
pub trait Kernel<T: Scalar, D: LogDensity<T>>: Sync {
    /// What a particle carries.
    type State: Particle<T>;

    /// Memory that a step needs, the density's included: one for each thread.
    type Workspace: Send;

    /// Fresh memory.
    fn workspace(&self, density: &D) -> Self::Workspace;

    /// A particle at `theta`.
    ///
    /// # Errors
    /// If `theta` has the wrong length or the density is not finite there.
    fn init(
        &self,
        density: &D,
        theta: &[T],
        rng: &mut ChaCha8Rng,
        ws: &mut Self::Workspace,
    ) -> Result<Self::State>;

    /// One step, in place.
    ///
    /// # Errors
    /// Only for misuse: a divergence is part of [`Info`].
    fn step(
        &self,
        density: &D,
        state: &mut Self::State,
        rng: &mut ChaCha8Rng,
        ws: &mut Self::Workspace,
    ) -> Result<Info>;

    /// Steps after which a particle has lost the direction that it had; a warm-up is not ended much before.
    fn memory(&self) -> usize {
        0
    }

    /// Called for every particle before [`Kernel::adapt`], which is told the same and the positions: takes out of the coordinates
    /// of the kernel what has to outlive them.
    fn before_adapt(&self, state: &mut Self::State, warm_up: &WarmUp<'_, T>) {
        let _ = (state, warm_up);
    }

    /// Called between blocks of the warm-up.
    ///
    /// # Errors
    /// What a new frame reports.
    fn adapt(&mut self, warm_up: &WarmUp<'_, T>) -> Result<()> {
        let _ = warm_up;
        Ok(())
    }

    /// Goes through everything that [`Kernel::adapt`] changes, so that a walk can be continued. In the same order always.
    ///
    /// # Errors
    /// Those of `fields`.
    fn fields(&mut self, fields: &mut dyn Fields<T>) -> Result<()> {
        let _ = fields;
        Ok(())
    }
}

/// What a kernel may tune itself by.
pub struct WarmUp<'a, T> {
    /// Steps that each particle has taken.
    pub steps: usize,
    /// Steps of the longest warm-up that there can be.
    pub at_most: usize,
    /// The warm-up ends here: the kernel must not change after this.
    pub last: bool,
    /// What all particles did in the last block.
    pub block: &'a Tally,
    /// Where they are.
    pub positions: Vec<&'a [T]>,
}

/// What a particle carries: where it is, and all else that its next step depends on.
pub trait Particle<T>: Send {
    /// Where it is, `[P]`.
    fn theta(&self) -> &[T];

    /// Goes through everything that a step reads before it writes it, in the same order always: one method that both saves and
    /// restores, so that the two cannot disagree. What is restored may come from a damaged file: a length that a step relies on
    /// is checked, or kept by [`Fields::fixed_vector`].
    ///
    /// # Errors
    /// Those of `fields`, and if what was read cannot be.
    fn fields(&mut self, fields: &mut dyn Fields<T>) -> Result<()>;
}

/// A reader or a writer of state.
pub trait Fields<T> {
    /// A vector; a reader may change its length.
    ///
    /// # Errors
    /// If it cannot be written, or what is read is not what was written.
    fn vector(&mut self, name: &str, value: &mut Vec<T>) -> Result<()>;

    /// A vector whose length is the same for all of a walk.
    ///
    /// # Errors
    /// As [`Fields::vector`], and if what is read has another length.
    fn fixed_vector(&mut self, name: &str, value: &mut Vec<T>) -> Result<()> {
        let len = value.len();
        self.vector(name, value)?;
        same_length(name, len, value.len())
    }

    /// Numbers in double precision; a reader may change how many.
    ///
    /// # Errors
    /// As [`Fields::vector`].
    fn numbers(&mut self, name: &str, value: &mut Vec<f64>) -> Result<()>;

    /// A number, kept bit by bit.
    ///
    /// # Errors
    /// As [`Fields::vector`].
    fn number(&mut self, name: &str, value: &mut f64) -> Result<()> {
        let mut one = vec![*value];
        self.numbers(name, &mut one)?;
        if let [x] = one[..] {
            *value = x;
        }
        same_length(name, 1, one.len())
    }

    /// Counts; a reader may change how many.
    ///
    /// # Errors
    /// As [`Fields::vector`].
    fn counts(&mut self, name: &str, value: &mut Vec<usize>) -> Result<()>;

    /// A count.
    ///
    /// # Errors
    /// As [`Fields::vector`].
    fn count(&mut self, name: &str, value: &mut usize) -> Result<()> {
        let mut one = vec![*value];
        self.counts(name, &mut one)?;
        if let [n] = one[..] {
            *value = n;
        }
        same_length(name, 1, one.len())
    }
}

/// An error if what was read for field `name` has `got` entries where `expected` belong.
pub(super) fn same_length(name: &str, expected: usize, got: usize) -> Result<()> {
    if expected == got {
        return Ok(());
    }
    let got = format!("{got} in field '{name}'");
    Err(Error::shape("a walk's state", expected, got))
}

/// What happened in a step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Info {
    /// `U` at the new point, in nats.
    pub energy: f64,
    /// By how much the step failed to conserve what it should, in nats; 0 for a kernel that conserves nothing.
    pub energy_error: f64,
    /// Probability with which the step was accepted; 1 where nothing is rejected.
    pub acceptance: f64,
    /// Length of the move.
    pub displacement: f64,
    /// Length of the Gauss-Newton step that would take the point back to the fiber, in units of the prior's standard deviation;
    /// `None` if the kernel has no frame to measure it by.
    pub fiber_distance: Option<f64>,
    /// The point is one that the kernel vouches for.
    pub viable: bool,
    /// The step could not be taken as it was meant: the arithmetic left its domain, or the energy could not be held. The
    /// particle stayed, or took what the kernel falls back on.
    pub diverged: bool,
    /// Gradients computed.
    pub gradients: usize,
    /// Gradients for a unit of time of the flow; 0 for a kernel whose steps have no time.
    pub slowness: f64,
}

impl Info {
    /// A step to a point of energy `energy` after a move of length `displacement` at the cost of one gradient; nothing else to say.
    pub fn moved(energy: f64, displacement: f64) -> Self {
        Self {
            energy,
            energy_error: 0.0,
            acceptance: 1.0,
            displacement,
            fiber_distance: None,
            viable: true,
            diverged: false,
            gradients: 1,
            slowness: 0.0,
        }
    }
}

/// Sums over steps. Counts end at the largest number that there is: they may come from a damaged file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tally {
    /// Steps taken.
    pub steps: usize,
    /// Those that ended at a viable point.
    pub viable: usize,
    /// Those that diverged.
    pub divergences: usize,
    /// Gradients computed.
    pub gradients: usize,
    /// Sum of squares of the energy errors of steps that did not diverge, in nats squared.
    pub squared_errors: f64,
    /// Sum of the probabilities of acceptance.
    pub acceptance: f64,
    /// Sum of the lengths of the moves.
    pub displacement: f64,
    /// Sum of the distances from the fiber, and of how many steps.
    pub fiber_distance: f64,
    /// Steps whose distance from the fiber is known.
    pub measured: usize,
    /// Sum of the gradients for a unit of time.
    pub slowness: f64,
}

impl Tally {
    /// Adds a step.
    pub fn add(&mut self, info: &Info) {
        self.steps = self.steps.saturating_add(1);
        self.viable = self.viable.saturating_add(usize::from(info.viable));
        self.divergences = self.divergences.saturating_add(usize::from(info.diverged));
        self.gradients = self.gradients.saturating_add(info.gradients);
        if !info.diverged {
            self.squared_errors += info.energy_error * info.energy_error;
        }
        self.acceptance += info.acceptance;
        self.displacement += info.displacement;
        self.slowness += info.slowness;
        if let Some(distance) = info.fiber_distance {
            self.fiber_distance += distance;
            self.measured = self.measured.saturating_add(1);
        }
    }

    /// Adds the sums of another.
    pub fn merge(&mut self, other: &Tally) {
        self.steps = self.steps.saturating_add(other.steps);
        self.viable = self.viable.saturating_add(other.viable);
        self.divergences = self.divergences.saturating_add(other.divergences);
        self.gradients = self.gradients.saturating_add(other.gradients);
        self.squared_errors += other.squared_errors;
        self.acceptance += other.acceptance;
        self.displacement += other.displacement;
        self.slowness += other.slowness;
        self.fiber_distance += other.fiber_distance;
        self.measured = self.measured.saturating_add(other.measured);
    }

    /// Mean square of the energy error of steps that did not diverge.
    pub fn mean_squared_error(&self) -> f64 {
        self.squared_errors / self.steps.saturating_sub(self.divergences).max(1) as f64
    }

    /// Mean probability of acceptance.
    pub fn mean_acceptance(&self) -> f64 {
        self.acceptance / self.steps.max(1) as f64
    }

    /// Mean distance from the fiber, if it was measured.
    pub fn mean_fiber_distance(&self) -> Option<f64> {
        (self.measured > 0).then(|| self.fiber_distance / self.measured as f64)
    }

    /// Goes through all sums.
    ///
    /// # Errors
    /// Those of `fields`.
    pub fn fields<T>(&mut self, fields: &mut dyn Fields<T>) -> Result<()> {
        fields.count("steps", &mut self.steps)?;
        fields.count("viable", &mut self.viable)?;
        fields.count("divergences", &mut self.divergences)?;
        fields.count("gradients", &mut self.gradients)?;
        fields.count("measured", &mut self.measured)?;
        fields.number("squared_errors", &mut self.squared_errors)?;
        fields.number("acceptance", &mut self.acceptance)?;
        fields.number("displacement", &mut self.displacement)?;
        fields.number("slowness", &mut self.slowness)?;
        fields.number("fiber_distance", &mut self.fiber_distance)
    }
}
