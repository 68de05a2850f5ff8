//! The options of a fit: what all methods share, and one method with its settings.
//!
//! A setting stands with the methods that have it, so that one of another method cannot be written
//! down. What is left to check are ranges, and settings that contradict each other.

mod auto;
mod baselines;
mod calibration;
mod class_weights;
mod deformation;
mod method;
mod prior;
mod walk;

pub use auto::AutoSettings;
pub use baselines::{ChainSettings, DrawSettings};
pub use calibration::{CalibrationMap, CalibrationSettings, ConformalSettings};
pub use class_weights::ClassWeights;
pub(super) use deformation::Deforming;
pub use deformation::{AtlasSettings, FlowChoice, FlowSettings};
pub use method::MethodOptions;
pub use prior::PriorChoice;
pub use walk::{KernelKind, KernelOptions, MicrocanonicalSettings, PointsSettings, WalkSettings};

use super::{FeatureTransform, Method, TargetTransform};
use crate::model::Observation;
use crate::nn::{Activation, SequentialSpec};

/// Points or draws that a method keeps by default.
const SAMPLES: usize = 256;

/// How many rows a gradient of the MAP fit uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Batch {
    /// All rows. But 128 if rows times parameters exceed 10^8.
    #[default]
    Auto,
    /// All rows, with the scales tuned by evidence.
    Full,
    /// This many rows. The prior precision is 1 unless given; the noise of a regression is learned
    /// with the weights unless given.
    Rows(usize),
}

/// Settings of a fit; the defaults are those of the command line.
#[derive(Clone, Debug)]
pub struct FitOptions {
    /// Layers before the last, linear one, for images. They replace `hidden` and `activation`.
    pub layers: Option<SequentialSpec>,
    /// Widths of the hidden layers; empty for a linear model.
    pub hidden: Vec<usize>,
    /// Chooses `hidden` by cross-validation: the widths that predict held-out rows best. The
    /// predictions come from walks with these settings, whatever the method.
    pub choose_hidden: Option<WalkSettings>,
    /// Nonlinearity of the hidden layers.
    pub activation: Activation,
    /// Distribution of the targets; `None`: softmax for classes, Gaussian noise for a real target.
    pub likelihood: Option<Observation>,
    /// Whether rows of rare classes count for more.
    pub class_weights: ClassWeights,
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
    /// How the posterior is represented, and the settings of that method.
    pub method: MethodOptions,
    /// Rows that are held out to calibrate the model, and what is done with them.
    pub calibration: Option<CalibrationSettings>,
    /// Seed of all randomness.
    pub seed: u64,
}

impl FitOptions {
    /// The defaults with the given method.
    pub fn of(method: Method) -> Self {
        Self {
            method: method.into(),
            ..Self::default()
        }
    }

    /// True for a walk with default settings on a problem that is small enough. Such walks sample
    /// scales unless asked otherwise, and so do an atlas and a flow made from one.
    pub(super) fn walks_plainly(&self, rows: usize, dim: usize) -> bool {
        let walk = match &self.method {
            MethodOptions::Walk(points) => &points.walk,
            MethodOptions::Atlas(atlas) => &atlas.walk,
            MethodOptions::Flow(flow) => &flow.walk,
            _ => return false,
        };
        let Some(kernel) = walk.kernel.microcanonical() else {
            return false;
        };
        !kernel.adjusted
            && kernel.step_size.is_none()
            && kernel.walk_batch.is_none()
            && walk.starts == 1
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
            choose_hidden: None,
            activation: Activation::Tanh,
            likelihood: None,
            class_weights: ClassWeights::None,
            feature_transform: FeatureTransform::None,
            target_transform: TargetTransform::None,
            prior: PriorChoice::Auto,
            prior_precision: None,
            noise_std: None,
            batch: Batch::Auto,
            epochs: None,
            method: MethodOptions::default(),
            calibration: None,
            seed: 0,
        }
    }
}
