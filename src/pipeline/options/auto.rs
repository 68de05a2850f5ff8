//! The settings of method `auto`.

use super::{MicrocanonicalSettings, SAMPLES, WalkSettings};

/// Settings of method `auto`, which hold for the walks of all its models. Network, prior,
/// likelihood and transforms are chosen by the method.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AutoSettings {
    /// Number of walking particles; `None`: 8 for a walk that scores a model, 16 for its walk on
    /// all rows.
    pub particles: Option<usize>,
    /// Steps of each particle, of about ten gradients; `None`: as many as fit into a minute.
    pub steps: Option<usize>,
    /// Points that each walk keeps; one that scores a model keeps at most 128.
    pub samples: usize,
    /// Step size of the microcanonical kernel; `None`: tuned.
    pub step_size: Option<f64>,
    /// Length over which a walk forgets its direction; `None`: tuned.
    pub decoherence_length: Option<f64>,
    /// Adds a Metropolis test after each trajectory.
    pub adjusted: bool,
    /// Seconds for all walks together; `None`: no limit.
    pub max_seconds: Option<f64>,
    /// MiB that a walk may take.
    pub max_memory: Option<usize>,
}

impl Default for AutoSettings {
    fn default() -> Self {
        Self {
            particles: None,
            steps: None,
            samples: SAMPLES,
            step_size: None,
            decoherence_length: None,
            adjusted: false,
            max_seconds: None,
            max_memory: None,
        }
    }
}

impl AutoSettings {
    /// The settings of its walks.
    pub(in crate::pipeline) fn walk(&self) -> WalkSettings {
        let kernel = MicrocanonicalSettings {
            step_size: self.step_size,
            decoherence_length: self.decoherence_length,
            adjusted: self.adjusted,
            walk_batch: None,
        };
        WalkSettings {
            kernel: kernel.into(),
            starts: 1,
            particles: self.particles,
            steps: self.steps,
            samples: self.samples,
            max_seconds: self.max_seconds,
            max_memory: self.max_memory,
            bracket: None,
        }
    }
}
