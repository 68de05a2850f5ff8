//! Kernels: the rules that move one particle by one step.

use rand_chacha::ChaCha8Rng;

use super::divergence::Divergence;
use crate::error::{Error, Result, counted};
use crate::scalar::Scalar;

/// A rule that moves a particle: one interface for walks, HMC, NUTS and Langevin dynamics.
///
/// `D` is what the particle moves in: a [`LogDensity`](crate::model::LogDensity), or a source of
/// stochastic gradients. The state caches what the next step needs. [`Info`] only reports; it never
/// feeds back.
///
/// There are two ways to tune a kernel. What all particles share is tuned in [`Kernel::adapt`],
/// from what all of them did. What each particle tunes for itself is a part of its state, and
/// changes in [`Kernel::step`] as long as its warm-up lasts. Either way all of it is visited by
/// `fields`, so a run can be stored at any step and go on bit for bit.
pub trait Kernel<T: Scalar, D>: Sync {
    /// The state of one particle.
    type State: Particle<T>;

    /// Workspace for a step, the density's included: one for each thread. A step reads nothing in
    /// it that an earlier step wrote.
    type Workspace: Send;

    /// A fresh workspace.
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
    /// Only for misuse: a divergence is part of [`Info`]. A density that no step size suits counts
    /// as misuse.
    fn step(
        &self,
        density: &D,
        state: &mut Self::State,
        rng: &mut ChaCha8Rng,
        ws: &mut Self::Workspace,
    ) -> Result<Info>;

    /// Steps after which a particle has lost its old direction. A warm-up does not end much before.
    fn memory(&self) -> usize {
        0
    }

    /// Called for every particle before [`Kernel::adapt`], with the same `warm_up` except that its
    /// positions are empty. Saves what must survive a change of coordinates.
    fn before_adapt(&self, state: &mut Self::State, warm_up: &WarmUp<'_, T>) {
        let _ = (state, warm_up);
    }

    /// Called between blocks of the warm-up.
    ///
    /// # Errors
    /// Those of computing a new frame.
    fn adapt(&mut self, warm_up: &WarmUp<'_, T>) -> Result<()> {
        let _ = warm_up;
        Ok(())
    }

    /// Visits everything that [`Kernel::adapt`] changes, always in the same order, so that a walk
    /// can be continued.
    ///
    /// # Errors
    /// Those of `fields`.
    fn fields(&mut self, fields: &mut dyn Fields<T>) -> Result<()> {
        let _ = fields;
        Ok(())
    }
}

/// What a kernel may use to tune itself.
pub struct WarmUp<'a, T> {
    /// Steps that each particle has taken.
    pub steps: usize,
    /// Steps of the longest warm-up that is possible.
    pub at_most: usize,
    /// The warm-up ends here: the kernel must not change after this.
    pub last: bool,
    /// Sums over all particles for the last block.
    pub block: &'a StepStatistics,
    /// Positions of the particles.
    pub positions: Vec<&'a [T]>,
}

/// The state of a particle: where it is, and everything else that its next step depends on.
pub trait Particle<T>: Send {
    /// Its position, `[P]`.
    fn theta(&self) -> &[T];

    /// Visits everything that a step reads before it writes it, always in the same order. One
    /// method both saves and restores, so the two cannot disagree. Restored values may come from a
    /// damaged file: check every length that a step relies on, or visit it with
    /// [`Fields::fixed_vector`].
    ///
    /// # Errors
    /// Those of `fields`, and if the values read are impossible.
    fn fields(&mut self, fields: &mut dyn Fields<T>) -> Result<()>;
}

/// A reader or a writer of state.
pub trait Fields<T> {
    /// A vector; a reader may change its length.
    ///
    /// # Errors
    /// If it cannot be written, or if the data read is not what was written.
    fn vector(&mut self, name: &str, value: &mut Vec<T>) -> Result<()>;

    /// A vector whose length stays the same for the whole walk.
    ///
    /// # Errors
    /// As [`Fields::vector`], and if the vector read has another length.
    fn fixed_vector(&mut self, name: &str, value: &mut Vec<T>) -> Result<()> {
        let len = value.len();
        self.vector(name, value)?;
        same_length(name, len, value.len())
    }

    /// Numbers in double precision; a reader may change their count.
    ///
    /// # Errors
    /// As [`Fields::vector`].
    fn numbers(&mut self, name: &str, value: &mut Vec<f64>) -> Result<()>;

    /// A number, kept bit for bit.
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

    /// Counts; a reader may change how many there are.
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

/// An error if field `name` was read with `got` entries instead of `expected`.
pub(crate) fn same_length(name: &str, expected: usize, got: usize) -> Result<()> {
    if expected == got {
        return Ok(());
    }
    let got = format!("{got} in field '{name}'");
    Err(Error::shape("a walk's state", expected, got))
}

/// An error unless a particle and a workspace have the parameters of the density, `dim`.
pub(crate) fn same_dim(
    kernel: &'static str,
    dim: usize,
    particle: usize,
    workspace: usize,
) -> Result<()> {
    if particle == dim && workspace == dim {
        return Ok(());
    }
    let expected = format!(
        "a particle and a workspace of {}",
        counted(dim, "parameter")
    );
    let got = format!("{particle} and {workspace}");
    Err(Error::shape(kernel, expected, got))
}

/// What happened in a step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Info {
    /// `U` at the new point, in nats.
    pub energy: f64,
    /// How far the step failed to conserve its energy, in nats; 0 for a kernel that conserves
    /// nothing.
    pub energy_error: f64,
    /// Probability that the step was accepted; 1 where nothing is rejected.
    pub acceptance: f64,
    /// Length of the move.
    pub displacement: f64,
    /// Length of the Gauss-Newton step that would take the point back to the fiber, in units of the
    /// prior's standard deviation. `None` if the kernel has no frame to measure it with.
    pub fiber_distance: Option<f64>,
    /// True if the kernel guarantees the point.
    pub viable: bool,
    /// Why the step could not be taken as intended: the arithmetic left its domain, or the energy
    /// could not be held. The particle stayed, or took the kernel's fallback.
    pub divergence: Option<Divergence>,
    /// Gradients computed.
    pub gradients: usize,
    /// Gradients per unit of time of the flow; 0 for a kernel whose steps have no time.
    pub slowness: f64,
}

impl Info {
    /// A step of length `displacement` to a point of energy `energy`, at the cost of one gradient.
    /// All other fields have their neutral values.
    pub fn moved(energy: f64, displacement: f64) -> Self {
        Self {
            energy,
            energy_error: 0.0,
            acceptance: 1.0,
            displacement,
            fiber_distance: None,
            viable: true,
            divergence: None,
            gradients: 1,
            slowness: 0.0,
        }
    }

    /// True if the step could not be taken as intended.
    pub fn diverged(&self) -> bool {
        self.divergence.is_some()
    }
}

/// Sums over steps. Counts saturate, since they may come from a damaged file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StepStatistics {
    /// Steps taken.
    pub steps: usize,
    /// Steps that ended at a viable point.
    pub viable: usize,
    /// Steps that diverged.
    pub divergences: usize,
    /// Gradients computed.
    pub gradients: usize,
    /// Sum of squares of the energy errors of steps that did not diverge, in nats squared.
    pub squared_errors: f64,
    /// Sum of the probabilities of acceptance.
    pub acceptance: f64,
    /// Sum of the lengths of the moves.
    pub displacement: f64,
    /// Sum of the distances from the fiber, over the steps where it is known.
    pub fiber_distance: f64,
    /// Number of steps whose distance from the fiber is known.
    pub measured: usize,
    /// Sum of the gradients per unit of time.
    pub slowness: f64,
}

impl StepStatistics {
    /// Adds a step.
    pub fn add(&mut self, info: &Info) {
        self.steps = self.steps.saturating_add(1);
        self.viable = self.viable.saturating_add(usize::from(info.viable));
        self.divergences = self
            .divergences
            .saturating_add(usize::from(info.diverged()));
        self.gradients = self.gradients.saturating_add(info.gradients);
        if !info.diverged() {
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

    /// Adds the sums of another tally.
    pub fn merge(&mut self, other: &StepStatistics) {
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

    /// Visits all sums.
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
