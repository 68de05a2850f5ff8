//! The state of a microcanonical particle, and the workspace of a step.

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
    /// A unit vector in the coordinates of the inverse mass matrix; lifted.
    pub(super) velocity: Vec<T>,
    pub(super) fiber_distance: Option<f64>,
    /// Number of the frame whose coordinates force and velocity are in.
    pub(super) frame: usize,
    /// The walker's own step size, if each walker has one.
    pub(super) pace: Pace,
}

/// Workspace for a step.
pub struct MicrocanonicalWorkspace<T, W> {
    pub(super) density: W,
    pub(super) theta: Vec<T>,
    /// The gradient of the density, as it is computed.
    pub(super) gradient: Vec<T>,
    /// Lifted, as are `noise`, `velocity` and `slope`.
    pub(super) force: Vec<T>,
    pub(super) noise: Vec<T>,
    pub(super) velocity: Vec<T>,
    /// Where a trajectory is, and the force there.
    pub(super) at: Vec<T>,
    pub(super) slope: Vec<T>,
    /// Two scratch vectors, each with one number per direction of the frame.
    pub(super) along: [Vec<f64>; 2],
}

impl<T: Scalar, W> MicrocanonicalWorkspace<T, W> {
    /// Resizes the lifted vectors for a frame with this many directions.
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

/// Values computed at a point.
pub(super) struct Point {
    pub(super) energy: f64,
    pub(super) fiber_distance: Option<f64>,
}

impl<T: Scalar> MicrocanonicalState<T> {
    /// Moves the particle to the point that the workspace holds.
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
        // their length depends on the number of directions of the frame
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
