//! Microcanonical walks: the exact relative of the drift walk.
//!
//! A particle has a velocity of unit length in the coordinates of an [`InverseMassMatrix`]. The
//! gradient bends it (`isokinetic`), and the particle forgets its direction over a length `L`. All
//! forms sample the posterior:
//!
//! - **Unadjusted**: half kick, drift, half kick, refresh. One gradient a step, no rejection. The
//!   energy error of a step says how far the integrator is from the flow. Its variance per
//!   dimension bounds the bias (Robnik et al. 2023), so the step size is tuned to make that
//!   variance small, 5e-4.
//! - **Adjusted**: a step is a whole trajectory from a fresh velocity. Its number of sub-steps is
//!   drawn uniformly around `L / step_size`. It is accepted with probability `min(1, exp(-error))`
//!   (Robnik, Cohn-Gordon & Seljak 2025, arXiv 2503.01707). This is exact for any step size; the
//!   step size is tuned for an acceptance of 0.9.
//! - **With own steps** (`pace`): unadjusted. Each walker takes the step size that suits the place
//!   where it is, and all walk equal stretches in time. This is for posteriors whose stiffness
//!   varies by orders of magnitude, as with sampled scales.
//!
//! Where it deviates: step size and `L` are tuned for all particles together, from what all did in
//! a block of the warm-up, and not in each chain separately.

mod isokinetic;
mod options;
mod pace;
mod state;
mod step;

use rand_chacha::ChaCha8Rng;

use super::batches::Refresh;
use super::inverse_mass::InverseMassMatrix;
use super::kernel::{Fields, Info, Kernel, WarmUp, same_dim};
use super::renew::FrameSource;
use super::tuning::StepSize;
use crate::error::{Error, Result, counted};
use crate::model::{ExactMove, LogDensity};
use crate::optim::Descent;
use crate::scalar::Scalar;
pub(crate) use isokinetic::{kick, normalise};
pub use options::MicrocanonicalOptions;
use pace::Pace;
pub use state::{MicrocanonicalState, MicrocanonicalWorkspace};

/// The microcanonical kernel.
#[derive(Clone)]
pub struct Microcanonical<'a, T> {
    inverse_mass: InverseMassMatrix<T>,
    /// Counts the frames. What particles cache in the coordinates of an old frame is recomputed.
    frame: usize,
    source: Option<&'a dyn FrameSource<T>>,
    /// Made before every step of the kernel.
    exact_move: Option<&'a dyn ExactMove<T>>,
    /// The step after which the frame is next recomputed.
    renewal: usize,
    adjusted: bool,
    own_steps: bool,
    /// Length in time of a stretch. `None` in most of the warm-up, where a stretch has a fixed
    /// number of steps.
    stride: Option<f64>,
    target_error: f64,
    decoherence_length: f64,
    tune_length: bool,
    step_size: StepSize,
}

/// `L = 0.5 sqrt(sum of variances)`. Motion along a flat direction and the exchange of energy with
/// the other directions then relax about equally fast.
const FORGETTING: f64 = 0.5;

/// The longest step of an adjusted walk, in units of `P^{1/2}`. This is twice the diameter of
/// the prior's bulk. Beyond it, a trajectory of one step is longer than the density is wide, unless
/// the density is flat.
const LONGEST_STEP: f64 = 4.0;

/// Its name in errors.
const NAME: &str = "Microcanonical";

/// The frame is recomputed after this many steps, after twice as many, and so on.
const FIRST_RENEWAL: usize = 20;

/// Frame updates may use at most this share of the gradients spent on steps.
const FRAME_SHARE: f64 = 0.5;

impl<'a, T: Scalar> Microcanonical<'a, T> {
    /// A kernel in the coordinates of `inverse_mass`.
    ///
    /// # Errors
    /// If a setting is out of range, or there are fewer than two dimensions.
    pub fn new(
        inverse_mass: InverseMassMatrix<T>,
        options: &MicrocanonicalOptions,
    ) -> Result<Self> {
        let dim = inverse_mass.dim();
        if dim < 2 {
            let requirement = "must be at least 2: in one dimension a velocity of unit length has no direction to turn to";
            return Err(Error::config("dim", dim, requirement));
        }
        let positive = |field, value: f64| {
            if value > 0.0 && !value.is_nan() {
                Ok(())
            } else {
                Err(Error::config(field, value, "must be positive"))
            }
        };
        let radius = (dim as f64).sqrt();
        let decoherence_length = options.decoherence_length.unwrap_or(FORGETTING * radius);
        positive("decoherence_length", decoherence_length)?;
        positive("target_error", options.target_error)?;
        if !(options.target_acceptance > 0.0 && options.target_acceptance < 1.0) {
            let (field, value) = ("target_acceptance", options.target_acceptance);
            return Err(Error::config(field, value, "must be between 0 and 1"));
        }
        if options.own_steps && (options.adjusted || options.step_size.is_some()) {
            let requirement = "must be false for an adjusted walk, and where a step size is given";
            return Err(Error::config("own_steps", true, requirement));
        }
        if options.adjusted && decoherence_length.is_infinite() {
            let requirement =
                "must be finite for an adjusted walk: it is the length of a trajectory";
            return Err(Error::config(
                "decoherence_length",
                decoherence_length,
                requirement,
            ));
        }
        let step_size = match (options.step_size, options.adjusted) {
            (Some(size), _) => {
                positive("step_size", size)?;
                if size.is_infinite() {
                    return Err(Error::config("step_size", size, "must be finite"));
                }
                StepSize::fixed(size)
            }
            // only a start: each walker then adapts its own
            (None, _) if options.own_steps => StepSize::fixed(0.02 * radius),
            // a start from which a few blocks of a few steps reach the right order of magnitude
            (None, false) => StepSize::for_error(0.02 * radius, options.target_error * dim as f64),
            (None, true) => StepSize::for_acceptance(
                0.02 * radius,
                options.target_acceptance,
                LONGEST_STEP * radius,
            ),
        };
        Ok(Self {
            inverse_mass,
            frame: 0,
            source: None,
            exact_move: None,
            renewal: FIRST_RENEWAL,
            adjusted: options.adjusted,
            own_steps: options.own_steps,
            stride: None,
            target_error: options.target_error,
            decoherence_length,
            tune_length: options.decoherence_length.is_none(),
            step_size,
        })
    }

    /// The same kernel, but `source` recomputes its coordinates in the warm-up, from where the
    /// particles are.
    #[must_use]
    pub fn renewed_by(self, source: &'a dyn FrameSource<T>) -> Self {
        Self {
            source: Some(source),
            ..self
        }
    }

    /// The same kernel with an exact move before each of its steps. Where walkers take their own
    /// steps, the moves come at equal times, so the density stays invariant.
    #[must_use]
    pub fn interwoven_with(self, exact_move: &'a dyn ExactMove<T>) -> Self {
        Self {
            exact_move: Some(exact_move),
            ..self
        }
    }

    /// Whether the coordinates are recomputed at this point of the warm-up.
    fn renews(&self, warm_up: &WarmUp<'_, T>) -> bool {
        let now = !(warm_up.last || Self::is_late(warm_up) || warm_up.steps < self.renewal);
        self.source.is_some() && now
    }

    /// True in the last two fifths of the warm-up. The coordinates stay as they are from then on,
    /// and the step size is tuned in them. Walkers with own steps crowd in stiff places while they
    /// take equal numbers of steps; from then on they walk stretches of equal time, so that they
    /// approach the density.
    fn is_late(warm_up: &WarmUp<'_, T>) -> bool {
        5 * warm_up.steps > 3 * warm_up.at_most
    }

    /// The step size as tuned so far.
    pub fn step_size(&self) -> f64 {
        self.step_size.value()
    }

    /// `L`.
    pub fn decoherence_length(&self) -> f64 {
        self.decoherence_length
    }

    /// The kernel's coordinates.
    pub fn inverse_mass(&self) -> &InverseMassMatrix<T> {
        &self.inverse_mass
    }
}

impl<T: Scalar, D: LogDensity<T>> Kernel<T, D> for Microcanonical<'_, T> {
    type State = MicrocanonicalState<T>;
    type Workspace = MicrocanonicalWorkspace<T, D::Workspace>;

    fn workspace(&self, density: &D) -> Self::Workspace {
        let zeros = || vec![T::ZERO; density.dim()];
        MicrocanonicalWorkspace {
            density: density.workspace(),
            theta: zeros(),
            gradient: zeros(),
            force: zeros(),
            noise: zeros(),
            velocity: zeros(),
            at: zeros(),
            slope: zeros(),
            along: [Vec::new(), Vec::new()],
        }
    }

    fn init(
        &self,
        density: &D,
        theta: &[T],
        rng: &mut ChaCha8Rng,
        ws: &mut Self::Workspace,
    ) -> Result<Self::State> {
        if theta.len() != self.inverse_mass.dim() || density.dim() != theta.len() {
            let expected = counted(self.inverse_mass.dim(), "parameter");
            let got = format!("{} of a density of {}", theta.len(), density.dim());
            return Err(Error::shape(NAME, expected, got));
        }
        same_dim(NAME, density.dim(), theta.len(), ws.theta.len())?;
        ws.fit(self.inverse_mass.directions());
        ws.theta.copy_from_slice(theta);
        let point = self.evaluate(density, false, ws)?;
        Descent::start("the walk").check(point.energy, &ws.force)?;
        let mut velocity = vec![T::ZERO; self.inverse_mass.lifted_len()];
        self.fresh_velocity(rng, &mut velocity, ws);
        Ok(MicrocanonicalState {
            theta: theta.to_vec(),
            energy: point.energy,
            force: ws.force.clone(),
            velocity,
            fiber_distance: point.fiber_distance,
            frame: self.frame,
            pace: Pace::new(self.step_size.value()),
        })
    }

    fn step(
        &self,
        density: &D,
        state: &mut Self::State,
        rng: &mut ChaCha8Rng,
        ws: &mut Self::Workspace,
    ) -> Result<Info> {
        let dim = self.inverse_mass.dim();
        same_dim(NAME, dim, state.theta.len(), ws.theta.len())?;
        let lifted = self.inverse_mass.lifted_len();
        let lengths = [state.force.len(), state.velocity.len()];
        if let Some(exact_move) = self.exact_move {
            exact_move.apply(&mut state.theta, rng)?;
        }
        let renewed =
            self.exact_move.is_some() || state.frame != self.frame || lengths != [lifted; 2];
        if renewed {
            self.refresh(density, state, ws)?;
        }
        ws.fit(self.inverse_mass.directions());
        let mut info = if self.own_steps {
            self.stretch(density, state, rng, ws)?
        } else if self.adjusted {
            self.adjusted(density, state, rng, ws)?
        } else {
            self.unadjusted(density, state, rng, ws)?
        };
        info.gradients += usize::from(renewed);
        Ok(info)
    }

    fn memory(&self) -> usize {
        if self.adjusted {
            // a warm-up does not end by itself before the step is tuned
            return if self.step_size.is_settled() {
                1
            } else {
                usize::MAX
            };
        }
        if let (true, Some(stride)) = (self.own_steps, self.stride) {
            return (self.decoherence_length / stride) as usize;
        }
        let steps = self.decoherence_length / self.step_size.value();
        // an infinite length is never forgotten, but then the caller asked for that
        if steps.is_finite() { steps as usize } else { 0 }
    }

    /// Lowers the velocity: the plain vector has the same numbers in the new coordinates as in the
    /// old.
    fn before_adapt(&self, state: &mut Self::State, warm_up: &WarmUp<'_, T>) {
        if !self.renews(warm_up) {
            return;
        }
        // a velocity of another length is from before an earlier frame: a plain vector already
        if let Ok(plain) = self.inverse_mass.lower(&state.velocity) {
            state.velocity = plain;
            state
                .velocity
                .resize(self.inverse_mass.lifted_len(), T::ZERO);
        }
    }

    fn adapt(&mut self, warm_up: &WarmUp<'_, T>) -> Result<()> {
        if self.own_steps && (warm_up.last || Self::is_late(warm_up)) {
            // sets the stride so that a stretch takes as many gradients on average as before
            let block = warm_up.block;
            let moved = block.steps.saturating_sub(block.divergences).max(1);
            let slowness = block.slowness / moved as f64;
            if slowness > 0.0 {
                self.stride = Some(pace::STRETCH as f64 / slowness);
            }
        }
        self.step_size.adapt(warm_up.block, warm_up.last);
        if warm_up.last {
            if self.tune_length {
                let spread = self.inverse_mass.spread(&warm_up.positions)?;
                self.decoherence_length = FORGETTING * spread;
            }
            return Ok(());
        }
        if let (Some(source), true) = (self.source, self.renews(warm_up)) {
            let gradients = warm_up.block.gradients as f64 / warm_up.block.steps.max(1) as f64
                * (warm_up.steps * warm_up.positions.len()) as f64;
            let budget = (FRAME_SHARE * gradients) as usize;
            let frame = source.frame(&warm_up.positions, Some(budget))?;
            let dim = self.inverse_mass.dim();
            if frame.dim() != dim {
                let expected = format!("a frame of {}", counted(dim, "parameter"));
                return Err(Error::shape(NAME, expected, frame.dim()));
            }
            self.inverse_mass = frame;
            self.frame = self.frame.wrapping_add(1);
            self.step_size.forget();
            while self.renewal <= warm_up.steps {
                self.renewal *= 2;
            }
        }
        Ok(())
    }

    fn fields(&mut self, fields: &mut dyn Fields<T>) -> Result<()> {
        self.inverse_mass.fields(fields)?;
        fields.count("frame", &mut self.frame)?;
        fields.count("renewal", &mut self.renewal)?;
        fields.number("decoherence_length", &mut self.decoherence_length)?;
        let mut stride = self.stride.unwrap_or(f64::NAN);
        fields.number("stride", &mut stride)?;
        self.stride = (stride > 0.0).then_some(stride);
        if self.renewal == 0 {
            return Err(Error::config("renewal", 0, "must be positive"));
        }
        if self.decoherence_length.is_nan() || self.decoherence_length <= 0.0 {
            let value = self.decoherence_length;
            return Err(Error::config(
                "decoherence_length",
                value,
                "must be positive",
            ));
        }
        self.step_size.fields(fields)
    }
}
