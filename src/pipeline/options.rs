//! The options of a fit.

use std::path::PathBuf;
use std::str::FromStr;

use super::{CheckpointOptions, FeatureTransform, Method, TargetTransform};
use crate::error::{Error, Result};
use crate::model::Observation;
use crate::nn::{Activation, SequentialSpec};

/// The flow over hidden parameters that a method `flow` learns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FlowChoice {
    /// Whichever predicts most like the walk.
    #[default]
    Auto,
    /// A Gaussian in a frame around the walk's mean, with couplings if they help. Its width is the
    /// one whose predictions are most like the walk's.
    Frame,
    /// Exchangeable units, fitted by maximum likelihood or refined on the ELBO.
    Units,
}

impl FlowChoice {
    /// All of them.
    pub const ALL: [FlowChoice; 3] = [FlowChoice::Auto, FlowChoice::Frame, FlowChoice::Units];

    /// The name that the command line uses.
    pub fn name(self) -> &'static str {
        match self {
            FlowChoice::Auto => "auto",
            FlowChoice::Frame => "frame",
            FlowChoice::Units => "units",
        }
    }
}

impl FromStr for FlowChoice {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let found = FlowChoice::ALL.into_iter().find(|c| c.name() == name);
        found.ok_or_else(|| {
            let names = FlowChoice::ALL.map(FlowChoice::name).join(", ");
            Error::config("flow", name, &format!("must be one of {names}"))
        })
    }
}

/// Where the prior's scales, and the noise of a regression, come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PriorChoice {
    /// Sampled if the method can and the data are small enough: with relevance determination for
    /// classes, with a scale for each tensor for a real target. Otherwise by evidence, or as given.
    #[default]
    Auto,
    /// Sampled: a scale for the weights of each layer, one for the biases of each hidden layer.
    Hierarchical,
    /// Sampled: the same, and one for each input.
    Ard,
    /// Sampled: one for all.
    Shared,
    /// One precision for all, by evidence.
    Evidence,
}

impl PriorChoice {
    /// All of them.
    pub const ALL: [PriorChoice; 5] = [
        PriorChoice::Auto,
        PriorChoice::Hierarchical,
        PriorChoice::Ard,
        PriorChoice::Shared,
        PriorChoice::Evidence,
    ];

    /// The name that the command line uses.
    pub fn name(self) -> &'static str {
        match self {
            PriorChoice::Auto => "auto",
            PriorChoice::Hierarchical => "hierarchical",
            PriorChoice::Ard => "ard",
            PriorChoice::Shared => "shared",
            PriorChoice::Evidence => "evidence",
        }
    }
}

impl FromStr for PriorChoice {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let found = PriorChoice::ALL.into_iter().find(|c| c.name() == name);
        found.ok_or_else(|| {
            let names = PriorChoice::ALL.map(PriorChoice::name).join(", ");
            Error::config("prior", name, &format!("must be one of {names}"))
        })
    }
}

/// How particles move.
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

/// How many rows a gradient of the MAP fit uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Batch {
    /// All rows. But 128 if rows times parameters exceed 10^8 and no scale is left to tune that
    /// needs all rows.
    #[default]
    Auto,
    /// All rows, with the scales tuned by evidence.
    Full,
    /// This many rows. The prior precision is 1 unless given; the noise of a regression must be
    /// given.
    Rows(usize),
}

/// Settings of a fit; the defaults are those of the command line.
#[derive(Clone, Debug)]
pub struct FitOptions {
    /// Layers before the last, linear one, for images. They replace `hidden` and `activation`.
    pub layers: Option<SequentialSpec>,
    /// Widths of the hidden layers; empty for a linear model.
    pub hidden: Vec<usize>,
    /// Chooses `hidden` by cross-validation: the widths that predict held-out rows best.
    pub choose_hidden: bool,
    /// Most refits that leave out one row each, for rows where leave-one-out by importance sampling
    /// fails. If more rows fail, none is refitted.
    pub loo_refits: usize,
    /// Nonlinearity of the hidden layers.
    pub activation: Activation,
    /// Distribution of the targets; `None`: softmax for classes, Gaussian noise for a real target.
    pub likelihood: Option<Observation>,
    /// Transform of the features before they are standardised.
    pub feature_transform: FeatureTransform,
    /// Transform of a real target before it is standardised.
    pub target_transform: TargetTransform,
    /// Where the prior's scales come from.
    pub prior: PriorChoice,
    /// Prior precision of every weight and bias. If it is given, no scale is sampled.
    pub prior_precision: Option<f64>,
    /// Noise of a regression target in units of its standard deviation; `None`: sampled with the
    /// prior's scales, or tuned by evidence.
    pub noise_std: Option<f64>,
    /// How many rows a gradient of the MAP fit uses.
    pub batch: Batch,
    /// Most passes over the rows by minibatches; `None`: 20.
    pub epochs: Option<usize>,
    /// How the posterior is represented.
    pub method: Method,
    /// How particles move.
    pub kernel: KernelKind,
    /// Step size of the kernel; `None`: tuned.
    pub step_size: Option<f64>,
    /// Length over which a microcanonical walk forgets its direction; `None`: tuned.
    pub decoherence_length: Option<f64>,
    /// Adds a Metropolis test after each trajectory of a microcanonical walk.
    pub adjusted: bool,
    /// MAP estimates that particles start from, in turn.
    pub starts: usize,
    /// Number of walking particles; `None`: 64, or 16 if scales are sampled.
    pub particles: Option<usize>,
    /// Steps of each particle; `None`: the kernel's default. If scales are sampled, a step takes
    /// about ten gradients.
    pub steps: Option<usize>,
    /// Points of the walk to keep, spread over the particles.
    pub samples: usize,
    /// Which flow a method `flow` learns.
    pub flow: FlowChoice,
    /// For an atlas: uses recombined anchors, whose hidden units are each drawn separately from the
    /// points of the walk. Otherwise the anchors are the points themselves.
    pub recombine: bool,
    /// For an atlas or a flow: stores this many draws instead of the sampler, which carries the
    /// training rows.
    pub frozen: Option<usize>,
    /// Rows of the batches that a walk takes its gradients from; `None`: all rows. This is an
    /// approximation ([`Batched`](crate::walk::Batched)), for the microcanonical kernel without a
    /// Metropolis test.
    pub walk_batch: Option<usize>,
    /// Seed of all randomness.
    pub seed: u64,
    /// For a walk: a file that holds its points, instead of memory, until the model is saved.
    /// Whoever saves the model removes it ([`remove_spool`](crate::artifact::remove_spool)).
    pub spool: Option<PathBuf>,
    /// Whether, where and how often the walk is written to a file, from which it can be resumed.
    pub checkpoint: Option<CheckpointOptions>,
    /// Seconds after which the walk ends between two blocks and keeps its points; `None`: no limit.
    pub max_seconds: Option<f64>,
    /// MiB that the walk may take: particles, workspaces, frame, and the points held in memory. The
    /// walk is refused if this is too little to begin, and ends when the next points would not fit.
    pub max_memory: Option<usize>,
}

impl FitOptions {
    /// The defaults with the given method.
    pub fn of(method: Method) -> Self {
        Self {
            method,
            ..Self::default()
        }
    }

    /// True of methods whose points are draws of the posterior.
    pub(super) fn samples_posterior(&self) -> bool {
        match self.method {
            Method::Walk => self.kernel == KernelKind::Microcanonical,
            Method::Hmc | Method::Nuts | Method::Sgld => true,
            _ => false,
        }
    }

    /// True for a walk with default settings on a problem that is small enough. Such walks sample
    /// scales unless asked otherwise, and so does an atlas made from one. A flow does not: it must
    /// learn the walk's density, and with sampled scales it loses more there than they gain
    /// (docs/deformation.md).
    pub(super) fn walks_plainly(&self, rows: usize, dim: usize) -> bool {
        matches!(self.method, Method::Walk | Method::Atlas)
            && self.kernel == KernelKind::Microcanonical
            && !self.adjusted
            && self.step_size.is_none()
            && self.walk_batch.is_none()
            && self.starts == 1
            && self.layers.is_none()
            && self.prior_precision.is_none()
            && !matches!(self.batch, Batch::Rows(_))
            && rows.saturating_mul(dim) <= AUTO
    }
}

/// Most rows times parameters for which scales are sampled by default.
const AUTO: usize = 10_000_000;

impl Default for FitOptions {
    fn default() -> Self {
        Self {
            layers: None,
            hidden: vec![50],
            choose_hidden: false,
            loo_refits: 0,
            activation: Activation::Tanh,
            likelihood: None,
            feature_transform: FeatureTransform::None,
            target_transform: TargetTransform::None,
            prior: PriorChoice::Auto,
            prior_precision: None,
            noise_std: None,
            batch: Batch::Auto,
            epochs: None,
            method: Method::Walk,
            kernel: KernelKind::Microcanonical,
            step_size: None,
            decoherence_length: None,
            adjusted: false,
            starts: 1,
            particles: None,
            steps: None,
            samples: 256,
            flow: FlowChoice::Auto,
            recombine: false,
            frozen: None,
            walk_batch: None,
            seed: 0,
            spool: None,
            checkpoint: None,
            max_seconds: None,
            max_memory: None,
        }
    }
}
