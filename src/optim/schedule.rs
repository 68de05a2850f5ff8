//! Learning-rate schedules.

use std::f64::consts::PI;

/// How the learning rate changes over `total` steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schedule {
    /// It does not.
    Constant,
    /// From its full value to zero along half a cosine (Loshchilov & Hutter 2017, without restarts).
    Cosine,
}

impl Schedule {
    /// The factor on the learning rate at `step` of `total`, both from 0.
    pub fn factor(self, step: usize, total: usize) -> f64 {
        match self {
            Schedule::Constant => 1.0,
            Schedule::Cosine => 0.5 * (1.0 + (PI * step as f64 / total.max(1) as f64).cos()),
        }
    }
}
