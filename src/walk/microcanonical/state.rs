//! What a microcanonical particle carries, and what a step needs.

use super::pace::Pace;
use crate::error::Result;
use crate::scalar::Scalar;
use crate::walk::kernel::{Fields, Particle, same_length};

/// A particle with its velocity.
#[derive(Clone, Debug)]
pub struct MicrocanonicalState<T> {
    pub(super) theta: Vec<T>,
    pub(super) energy: f64,
    /// `-S^T grad U`, lifted.
    pub(super) force: Vec<T>,
    /// Of unit length, in the coordinates of the inverse mass matrix; lifted.
    pub(super) velocity: Vec<T>,
    pub(super) fiber_distance: Option<f64>,
    /// Number of the frame that force and velocity are in the coordinates of.
    pub(super) frame: usize,
    /// Steps of its own, if it has them.
    pub(super) pace: Pace,
}

/// Memory for a step.
pub struct MicrocanonicalWorkspace<T, W> {
    pub(super) density: W,
    pub(super) theta: Vec<T>,
    /// The gradient as the density gives it.
    pub(super) gradient: Vec<T>,
    /// Lifted, as noise, velocity and slope are.
    pub(super) force: Vec<T>,
    pub(super) noise: Vec<T>,
    pub(super) velocity: Vec<T>,
    /// Where a trajectory is, and the force there.
    pub(super) at: Vec<T>,
    pub(super) slope: Vec<T>,
    /// A number for each direction of the frame, twice.
    pub(super) along: [Vec<f64>; 2],
}

impl<T: Scalar, W> MicrocanonicalWorkspace<T, W> {
    /// Room for what is lifted, with so many directions.
    pub(super) fn fit(&mut self, directions: usize) {
        let lifted = self.theta.len() + directions;
        for x in [
            &mut self.force,
            &mut self.noise,
            &mut self.velocity,
            &mut self.slope,
        ] {
            x.resize(lifted, T::ZERO);
        }
        for x in &mut self.along {
            x.resize(directions, 0.0);
        }
    }
}

/// A point that was computed.
pub(super) struct Point {
    pub(super) energy: f64,
    pub(super) fiber_distance: Option<f64>,
}

impl<T: Scalar> MicrocanonicalState<T> {
    /// Takes the point that the workspace holds.
    pub(super) fn moved_to<W>(&mut self, point: &Point, ws: &mut MicrocanonicalWorkspace<T, W>) {
        std::mem::swap(&mut self.theta, &mut ws.theta);
        std::mem::swap(&mut self.force, &mut ws.force);
        self.energy = point.energy;
        self.fiber_distance = point.fiber_distance;
    }
}

impl<T: Scalar> Particle<T> for MicrocanonicalState<T> {
    fn theta(&self) -> &[T] {
        &self.theta
    }

    fn fields(&mut self, fields: &mut dyn Fields<T>) -> Result<()> {
        fields.fixed_vector("theta", &mut self.theta)?;
        // how long they are depends on the directions of the frame
        fields.vector("force", &mut self.force)?;
        fields.vector("velocity", &mut self.velocity)?;
        same_length("velocity", self.force.len(), self.velocity.len())?;
        fields.number("energy", &mut self.energy)?;
        let mut distance = self.fiber_distance.unwrap_or(f64::NAN);
        fields.number("fiber_distance", &mut distance)?;
        self.fiber_distance = (!distance.is_nan()).then_some(distance);
        fields.count("frame", &mut self.frame)?;
        self.pace.fields(fields)
    }
}
