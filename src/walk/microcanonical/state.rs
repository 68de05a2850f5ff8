//! What a microcanonical particle carries, and what a step needs.

use crate::error::Result;
use crate::scalar::Scalar;
use crate::walk::kernel::{Fields, Particle};

/// A particle with its velocity.
#[derive(Clone, Debug)]
pub struct MicrocanonicalState<T> {
    pub(super) theta: Vec<T>,
    pub(super) energy: f64,
    /// `S^T grad U`.
    pub(super) gradient: Vec<T>,
    /// Of unit length, in the coordinates of the inverse mass matrix.
    pub(super) velocity: Vec<T>,
    pub(super) fiber_distance: Option<f64>,
    /// Number of the frame that the gradient is in the coordinates of.
    pub(super) frame: usize,
}

/// Memory for a step.
pub struct MicrocanonicalWorkspace<T, W> {
    pub(super) density: W,
    pub(super) theta: Vec<T>,
    pub(super) gradient: Vec<T>,
    pub(super) velocity: Vec<T>,
    pub(super) buffer: Vec<T>,
    pub(super) coefficients: Vec<f64>,
    /// Where a trajectory is, and the gradient there.
    pub(super) at: Vec<T>,
    pub(super) slope: Vec<T>,
}

/// A point that was computed.
pub(super) struct Point {
    pub(super) energy: f64,
    pub(super) fiber_distance: Option<f64>,
    pub(super) finite: bool,
}

impl<T: Scalar> MicrocanonicalState<T> {
    /// Takes the point that the workspace holds.
    pub(super) fn moved_to<W>(&mut self, point: &Point, ws: &mut MicrocanonicalWorkspace<T, W>) {
        std::mem::swap(&mut self.theta, &mut ws.theta);
        std::mem::swap(&mut self.gradient, &mut ws.gradient);
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
        fields.fixed_vector("gradient", &mut self.gradient)?;
        fields.fixed_vector("velocity", &mut self.velocity)?;
        fields.number("energy", &mut self.energy)?;
        let mut distance = self.fiber_distance.unwrap_or(f64::NAN);
        fields.number("fiber_distance", &mut distance)?;
        self.fiber_distance = (!distance.is_nan()).then_some(distance);
        fields.count("frame", &mut self.frame)
    }
}
