//! The settings of the methods that deform a walk: `atlas` and `flow`.

use std::fmt;
use std::str::FromStr;

use super::WalkSettings;
use crate::error::{Error, Result};
use crate::pipeline::CheckpointOptions;

/// Settings of method `atlas`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AtlasSettings {
    /// The walk whose points are the anchors.
    pub walk: WalkSettings,
    /// Uses recombined anchors, whose hidden units are each drawn separately from the points of the
    /// walk. Otherwise the anchors are the points themselves.
    pub recombine: bool,
    /// Stores this many draws instead of the sampler, which carries the training rows.
    pub frozen: Option<usize>,
    /// Whether, where and how often the walk is written to a file, from which it can be resumed.
    pub checkpoint: Option<CheckpointOptions>,
}

/// Settings of method `flow`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FlowSettings {
    /// The walk that the flow is learned from.
    pub walk: WalkSettings,
    /// Which flow is learned.
    pub flow: FlowChoice,
    /// Number of kinetic layers after the flow; `None`: as many as draws need, by measure.
    pub layers: Option<usize>,
    /// Stores this many draws instead of the sampler, which carries the training rows.
    pub frozen: Option<usize>,
    /// Whether, where and how often the walk is written to a file, from which it can be resumed.
    pub checkpoint: Option<CheckpointOptions>,
}

impl FlowSettings {
    /// Draws to store instead of a sampler. A latent model stores as many as the walk keeps points.
    pub(in crate::pipeline) fn drawn(&self) -> Option<usize> {
        let latent = self.flow == FlowChoice::Latent;
        self.frozen.or(latent.then_some(self.walk.samples))
    }
}

/// The deformation that follows a walk.
#[derive(Clone, Copy)]
pub(in crate::pipeline) enum Deforming<'a> {
    Atlas(&'a AtlasSettings),
    Flow(&'a FlowSettings),
}

impl Deforming<'_> {
    /// Draws to store instead of the sampler.
    pub(in crate::pipeline) fn frozen(self) -> Option<usize> {
        match self {
            Deforming::Atlas(atlas) => atlas.frozen,
            Deforming::Flow(flow) => flow.drawn(),
        }
    }
}

/// The flow over hidden parameters that a method `flow` learns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FlowChoice {
    /// Whichever has the energy and the spread of the walk, and predicts most like it.
    #[default]
    Auto,
    /// Points of the walk, smoothed as much as serves best.
    Points,
    /// A Gaussian in a frame around the walk's mean, with couplings if they help, at the
    /// width that serves best.
    Frame,
    /// Draws of an autoencoder of the walk's points. They are stored in the file: it is no density.
    Latent,
    /// Exchangeable units, fitted by maximum likelihood or refined on the ELBO.
    Units,
}

impl FlowChoice {
    /// All of them.
    pub const ALL: [FlowChoice; 5] = [
        FlowChoice::Auto,
        FlowChoice::Points,
        FlowChoice::Frame,
        FlowChoice::Units,
        FlowChoice::Latent,
    ];

    /// Whether smoothed points are tried.
    pub(in crate::pipeline) fn smooths(self) -> bool {
        matches!(self, FlowChoice::Auto | FlowChoice::Points)
    }

    /// The name that the command line uses.
    pub fn name(self) -> &'static str {
        match self {
            FlowChoice::Auto => "auto",
            FlowChoice::Points => "points",
            FlowChoice::Frame => "frame",
            FlowChoice::Units => "units",
            FlowChoice::Latent => "latent",
        }
    }
}

impl fmt::Display for FlowChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
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
