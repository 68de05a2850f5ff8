//! The settings of a walk, of its kernel, and of method `walk`.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use super::SAMPLES;
use crate::error::{Error, Result};
use crate::pipeline::CheckpointOptions;

/// Settings of a walk. Methods `walk`, `atlas` and `flow` have one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WalkSettings {
    /// How particles move.
    pub kernel: KernelOptions,
    /// MAP estimates that particles start from, in turn.
    pub starts: usize,
    /// Number of walking particles; `None`: 64, or 16 if scales are sampled.
    pub particles: Option<usize>,
    /// Steps of each particle; `None`: the kernel's default. If scales are sampled, a step takes
    /// about ten gradients.
    pub steps: Option<usize>,
    /// Points of the walk to keep, spread over the particles.
    pub samples: usize,
    /// Seconds after which the walk ends between two blocks and keeps its points; `None`: no limit.
    pub max_seconds: Option<f64>,
    /// MiB that the walk may take: particles, workspaces, frame, and the points held in memory. The
    /// walk is refused if this is too little to begin, and ends when the next points would not fit.
    pub max_memory: Option<usize>,
    /// Brackets the evidence by annealing at so many temperatures, from the prior to the posterior
    /// and from the walk's points back; `None`: no bracket. For the microcanonical kernel.
    pub bracket: Option<usize>,
}

impl Default for WalkSettings {
    fn default() -> Self {
        Self {
            kernel: KernelOptions::default(),
            starts: 1,
            particles: None,
            steps: None,
            samples: SAMPLES,
            max_seconds: None,
            max_memory: None,
            bracket: None,
        }
    }
}

/// Settings of method `walk`, which keeps the points of its walk.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PointsSettings {
    /// The walk.
    pub walk: WalkSettings,
    /// Most refits that leave out one row each, for rows where leave-one-out by importance sampling
    /// fails. If more rows fail, none is refitted. It needs the microcanonical kernel, whose points
    /// are draws of the posterior.
    pub loo_refits: usize,
    /// Whether, where and how often the walk is written to a file, from which it can be resumed.
    pub checkpoint: Option<CheckpointOptions>,
    /// A file that holds the points, instead of memory, until the model is saved. Whoever saves the
    /// model removes it ([`remove_spool`](crate::artifact::remove_spool)).
    pub spool: Option<PathBuf>,
}

impl From<WalkSettings> for PointsSettings {
    fn from(walk: WalkSettings) -> Self {
        Self {
            walk,
            ..Self::default()
        }
    }
}

/// How particles move, with the settings of that kernel.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum KernelOptions {
    /// The drift walk of the paper. Its step follows from the fiber and the number of steps.
    Drift,
    /// The drift walk, kept on the fiber by Gauss-Newton steps. Likewise.
    Tangent,
    /// Microcanonical walks, which sample the posterior.
    Microcanonical(MicrocanonicalSettings),
}

impl KernelOptions {
    /// The kernel without its settings.
    pub fn kind(&self) -> KernelKind {
        match self {
            KernelOptions::Drift => KernelKind::Drift,
            KernelOptions::Tangent => KernelKind::Tangent,
            KernelOptions::Microcanonical(_) => KernelKind::Microcanonical,
        }
    }

    /// The settings of a microcanonical kernel.
    pub fn microcanonical(&self) -> Option<&MicrocanonicalSettings> {
        match self {
            KernelOptions::Microcanonical(settings) => Some(settings),
            KernelOptions::Drift | KernelOptions::Tangent => None,
        }
    }

    /// The same, to change them.
    pub fn microcanonical_mut(&mut self) -> Option<&mut MicrocanonicalSettings> {
        match self {
            KernelOptions::Microcanonical(settings) => Some(settings),
            KernelOptions::Drift | KernelOptions::Tangent => None,
        }
    }
}

impl Default for KernelOptions {
    fn default() -> Self {
        MicrocanonicalSettings::default().into()
    }
}

impl From<MicrocanonicalSettings> for KernelOptions {
    fn from(settings: MicrocanonicalSettings) -> Self {
        KernelOptions::Microcanonical(settings)
    }
}

/// The kernel with default settings.
impl From<KernelKind> for KernelOptions {
    fn from(kind: KernelKind) -> Self {
        match kind {
            KernelKind::Drift => KernelOptions::Drift,
            KernelKind::Tangent => KernelOptions::Tangent,
            KernelKind::Microcanonical => KernelOptions::default(),
        }
    }
}

/// Settings of a microcanonical kernel.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct MicrocanonicalSettings {
    /// Step size; `None`: tuned.
    pub step_size: Option<f64>,
    /// Length over which a walk forgets its direction; `None`: tuned.
    pub decoherence_length: Option<f64>,
    /// Adds a Metropolis test after each trajectory.
    pub adjusted: bool,
    /// Rows of the batches that a walk takes its gradients from; `None`: all rows. This is an
    /// approximation ([`Batched`](crate::walk::Batched)), for walks without a Metropolis test.
    pub walk_batch: Option<usize>,
}

/// The kernels, and their names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KernelKind {
    /// The drift walk of the paper.
    Drift,
    /// The drift walk, kept on the fiber by Gauss-Newton steps.
    Tangent,
    /// Microcanonical walks, which sample the posterior.
    Microcanonical,
}

impl KernelKind {
    /// All of them.
    pub const ALL: [KernelKind; 3] = [
        KernelKind::Drift,
        KernelKind::Tangent,
        KernelKind::Microcanonical,
    ];

    /// The name that the command line and model files use.
    pub fn name(self) -> &'static str {
        match self {
            KernelKind::Drift => "drift",
            KernelKind::Tangent => "tangent",
            KernelKind::Microcanonical => "microcanonical",
        }
    }
}

impl fmt::Display for KernelKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for KernelKind {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let found = KernelKind::ALL.into_iter().find(|k| k.name() == name);
        found.ok_or_else(|| {
            let names = KernelKind::ALL.map(KernelKind::name).join(", ");
            Error::config("kernel", name, &format!("must be one of {names}"))
        })
    }
}
