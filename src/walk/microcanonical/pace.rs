//! Each walker's own step size: as long as the energy error allows where the walker is.
//!
//! Where prior scales are large or the noise is small, the posterior is stiffer by orders of
//! magnitude. One step size for all walkers is then too long for some and too short for others. The
//! energy error `e` of a step of length `h` goes as `h^3`. A walker keeps a moving average `c` of
//! `e^2 / h^6` and steps by
//!
//! `h = (target / c)^{1/6}`.
//!
//! A step whose `|e|` is above ten times its target is taken back and tried again at half the
//! length, as integrators of differential equations do (Hairer, Norsett & Wanner 1993, II.4).
//!
//! **Time, not steps.** The posterior is the flow's stationary density in *time*, whatever steps
//! integrate it. A walker takes short steps in stiff places, so it spends more steps there than the
//! density says. So while points are kept, and before that in the last two fifths of the warm-up,
//! one step of the kernel is a stretch of the flow. It has a fixed length in time and as many
//! integration steps as that takes. Averages over stretches are averages over time. A stretch that
//! would take more than a thousand steps is broken off. As that happens in stiff places, its end is
//! not a sample, and it counts as a divergence.

use rand_chacha::ChaCha8Rng;

use super::Microcanonical;
use super::isokinetic::{normalise, refresh};
use super::state::{MicrocanonicalState, MicrocanonicalWorkspace};
use super::step::DIVERGENCE;
use crate::error::{Error, Result};
use crate::linalg::vector::distance;
use crate::model::LogDensity;
use crate::rng::fill_normal;
use crate::scalar::Scalar;
use crate::walk::divergence::{Divergence, DivergenceCause};
use crate::walk::kernel::{Fields, Info};

/// Integration steps of a stretch: the exact number early in the warm-up, the mean afterwards.
pub(super) const STRETCH: usize = 10;

/// Most integration steps of a stretch, so that a stuck walker stops.
const LONGEST: usize = 100 * STRETCH;

/// Weight of the old moving average in an update.
const KEEP: f64 = 0.85;

/// A step is taken back if its error is more than this many times the target.
const TOO_MUCH: f64 = 10.0;

/// Halvings of one step before it counts as a divergence.
const HALVINGS: usize = 30;

/// The length of a walker's next step, and the average behind it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Pace {
    /// Length of the next step.
    pub step: f64,
    /// Moving average of `e^2 / h^6`; 0 before the first step.
    stiffness: f64,
}

impl Pace {
    pub fn new(step: f64) -> Self {
        Self {
            step,
            stiffness: 0.0,
        }
    }

    /// Learns from the error of a step of length `taken`. `target` is the wanted mean square error.
    fn learn(&mut self, taken: f64, error: f64, target: f64) {
        let seen = (error * error).max(1e-6 * target) / taken.powi(6);
        self.stiffness = if self.stiffness > 0.0 {
            KEEP * self.stiffness + (1.0 - KEEP) * seen
        } else {
            seen
        };
        let wanted = (target / self.stiffness).powf(1.0 / 6.0);
        // the average may have been far off: move towards it in bounded steps
        self.step = wanted.clamp(0.5 * taken, 1.5 * taken);
    }

    pub fn fields<T>(&mut self, fields: &mut dyn Fields<T>) -> Result<()> {
        fields.number("own_step", &mut self.step)?;
        fields.number("stiffness", &mut self.stiffness)?;
        if self.step > 0.0 && self.step.is_finite() && self.stiffness >= 0.0 {
            return Ok(());
        }
        Err(Error::config(
            "own_step",
            self.step,
            "must be positive and finite",
        ))
    }
}

impl<T: Scalar> Microcanonical<'_, T> {
    /// One stretch of the flow: `stride` long in time if that is set, otherwise [`STRETCH`] steps.
    pub(super) fn stretch<D: LogDensity<T>>(
        &self,
        density: &D,
        state: &mut MicrocanonicalState<T>,
        rng: &mut ChaCha8Rng,
        ws: &mut MicrocanonicalWorkspace<T, D::Workspace>,
    ) -> Result<Info> {
        let dim = state.theta.len();
        let target = self.target_error * dim as f64;
        let limit = TOO_MUCH * target.sqrt();
        let (mut time, mut gradients, mut squares, mut steps) = (0.0, 0, 0.0, 0);
        let mut velocity = std::mem::take(&mut ws.velocity);
        let mut at = std::mem::take(&mut ws.at);
        at.copy_from_slice(&state.theta);
        let mut halvings = 0;
        let start_energy = state.energy;
        let mut divergence = None;
        while steps < LONGEST {
            let left = self.stride.map_or(f64::INFINITY, |stride| stride - time);
            if (self.stride.is_none() && steps == STRETCH) || left <= 1e-9 * time {
                break;
            }
            // split the rest into two equal parts, not a whole step and a tiny one
            let step = if left < 2.0 * state.pace.step && left > state.pace.step {
                0.5 * left
            } else {
                state.pace.step.min(left)
            };
            velocity.copy_from_slice(&state.velocity);
            fill_normal(rng, &mut ws.noise[..dim]);
            let start = (&state.theta[..], &state.force[..], state.energy);
            let (point, error, _) = self.leap(density, start, &mut velocity, (step, true), ws)?;
            gradients += 1;
            if !error.is_finite() || error.abs() > limit {
                halvings += 1;
                state.pace.step = 0.5 * step;
                if error.is_finite() && error.abs() < DIVERGENCE * dim as f64 {
                    state.pace.learn(step, error, target);
                    state.pace.step = state.pace.step.min(0.5 * step);
                }
                if halvings > HALVINGS {
                    // another direction, from here
                    divergence = Some(Divergence {
                        cause: match error.is_finite() {
                            true => DivergenceCause::Retries,
                            false => DivergenceCause::at(point.energy, &ws.gradient),
                        },
                        start_energy,
                        energy_error: error,
                        step_size: step,
                        after: steps as isize + 1,
                    });
                    state.velocity.copy_from_slice(&ws.noise);
                    normalise(&mut state.velocity);
                    break;
                }
                continue;
            }
            halvings = 0;
            state.moved_to(&point, ws);
            std::mem::swap(&mut state.velocity, &mut velocity);
            refresh(
                step,
                self.decoherence_length,
                dim,
                &ws.noise,
                &mut state.velocity,
            );
            state.pace.learn(step, error, target);
            time += step;
            squares += error * error;
            steps += 1;
        }
        // broken off: to keep such a point would count a stiff place too often
        let short = |stride| time < (1.0 - 1e-6) * stride;
        if divergence.is_none() && self.stride.is_some_and(short) {
            divergence = Some(Divergence {
                cause: DivergenceCause::TooManySteps,
                start_energy,
                energy_error: (squares / steps.max(1) as f64).sqrt(),
                step_size: state.pace.step,
                after: steps as isize,
            });
        }
        let diverged = divergence.is_some();
        let displacement = distance(&at, &state.theta);
        (ws.velocity, ws.at) = (velocity, at);
        Ok(Info {
            energy_error: (squares / steps.max(1) as f64).sqrt(),
            displacement,
            fiber_distance: state.fiber_distance,
            viable: !diverged,
            divergence,
            gradients,
            slowness: if time > 0.0 && !diverged {
                gradients as f64 / time
            } else {
                0.0
            },
            ..Info::moved(state.energy, 0.0)
        })
    }
}
