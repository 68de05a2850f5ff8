//! A method with its settings.

use std::path::Path;

use super::{
    AtlasSettings, AutoSettings, ChainSettings, Deforming, DrawSettings, FlowSettings, KernelKind,
    PointsSettings, WalkSettings,
};
use crate::pipeline::{CheckpointOptions, Method};

/// How the posterior is represented, with the settings of that method and of no other.
///
/// ```
/// use fiberwalk::pipeline::{FlowChoice, FlowSettings, FitOptions, WalkSettings};
///
/// let walk = WalkSettings { particles: Some(32), ..WalkSettings::default() };
/// // the points of the walk
/// let points = FitOptions { method: walk.into(), ..FitOptions::default() };
/// // a flow that is learned from them
/// let flow = FlowSettings { walk, flow: FlowChoice::Frame, ..FlowSettings::default() };
/// let flow = FitOptions { method: flow.into(), ..FitOptions::default() };
/// assert_eq!(points.method.walk(), flow.method.walk());
/// ```
#[derive(Clone, Debug, PartialEq)]
pub enum MethodOptions {
    /// [`Method::Map`].
    Map,
    /// [`Method::Ensemble`]. It keeps its members.
    Ensemble,
    /// [`Method::Laplace`].
    Laplace(DrawSettings),
    /// [`Method::LaplaceGlm`].
    LaplaceGlm(DrawSettings),
    /// [`Method::LaplaceKfac`].
    LaplaceKfac(DrawSettings),
    /// [`Method::LaplaceDiag`].
    LaplaceDiag(DrawSettings),
    /// [`Method::LaplaceLast`].
    LaplaceLast(DrawSettings),
    /// [`Method::Swag`].
    Swag(DrawSettings),
    /// [`Method::Riemann`].
    Riemann(DrawSettings),
    /// [`Method::Sgld`].
    Sgld(ChainSettings),
    /// [`Method::Vi`].
    Vi(DrawSettings),
    /// [`Method::Dropout`].
    Dropout(DrawSettings),
    /// [`Method::Hmc`].
    Hmc(ChainSettings),
    /// [`Method::Nuts`].
    Nuts(ChainSettings),
    /// [`Method::Walk`].
    Walk(PointsSettings),
    /// [`Method::Atlas`].
    Atlas(AtlasSettings),
    /// [`Method::Flow`].
    Flow(FlowSettings),
    /// [`Method::Auto`].
    Auto(AutoSettings),
}

/// The method with default settings.
impl From<Method> for MethodOptions {
    fn from(method: Method) -> Self {
        MethodOptions::of(method)
    }
}

/// The points of a walk.
impl From<WalkSettings> for MethodOptions {
    fn from(walk: WalkSettings) -> Self {
        MethodOptions::Walk(walk.into())
    }
}

impl From<PointsSettings> for MethodOptions {
    fn from(points: PointsSettings) -> Self {
        MethodOptions::Walk(points)
    }
}

impl From<AtlasSettings> for MethodOptions {
    fn from(atlas: AtlasSettings) -> Self {
        MethodOptions::Atlas(atlas)
    }
}

impl From<FlowSettings> for MethodOptions {
    fn from(flow: FlowSettings) -> Self {
        MethodOptions::Flow(flow)
    }
}

impl From<AutoSettings> for MethodOptions {
    fn from(auto: AutoSettings) -> Self {
        MethodOptions::Auto(auto)
    }
}

/// A walk with default settings.
impl Default for MethodOptions {
    fn default() -> Self {
        MethodOptions::of(Method::Walk)
    }
}

impl MethodOptions {
    /// The method with default settings.
    pub fn of(method: Method) -> Self {
        let (draws, chains) = (DrawSettings::default(), ChainSettings::default());
        match method {
            Method::Map => MethodOptions::Map,
            Method::Ensemble => MethodOptions::Ensemble,
            Method::Laplace => MethodOptions::Laplace(draws),
            Method::LaplaceGlm => MethodOptions::LaplaceGlm(draws),
            Method::LaplaceKfac => MethodOptions::LaplaceKfac(draws),
            Method::LaplaceDiag => MethodOptions::LaplaceDiag(draws),
            Method::LaplaceLast => MethodOptions::LaplaceLast(draws),
            Method::Swag => MethodOptions::Swag(draws),
            Method::Riemann => MethodOptions::Riemann(draws),
            Method::Sgld => MethodOptions::Sgld(chains),
            Method::Vi => MethodOptions::Vi(draws),
            Method::Dropout => MethodOptions::Dropout(draws),
            Method::Hmc => MethodOptions::Hmc(chains),
            Method::Nuts => MethodOptions::Nuts(chains),
            Method::Walk => MethodOptions::Walk(PointsSettings::default()),
            Method::Atlas => MethodOptions::Atlas(AtlasSettings::default()),
            Method::Flow => MethodOptions::Flow(FlowSettings::default()),
            Method::Auto => MethodOptions::Auto(AutoSettings::default()),
        }
    }

    /// The method without its settings.
    pub fn method(&self) -> Method {
        match self {
            MethodOptions::Map => Method::Map,
            MethodOptions::Ensemble => Method::Ensemble,
            MethodOptions::Laplace(_) => Method::Laplace,
            MethodOptions::LaplaceGlm(_) => Method::LaplaceGlm,
            MethodOptions::LaplaceKfac(_) => Method::LaplaceKfac,
            MethodOptions::LaplaceDiag(_) => Method::LaplaceDiag,
            MethodOptions::LaplaceLast(_) => Method::LaplaceLast,
            MethodOptions::Swag(_) => Method::Swag,
            MethodOptions::Riemann(_) => Method::Riemann,
            MethodOptions::Sgld(_) => Method::Sgld,
            MethodOptions::Vi(_) => Method::Vi,
            MethodOptions::Dropout(_) => Method::Dropout,
            MethodOptions::Hmc(_) => Method::Hmc,
            MethodOptions::Nuts(_) => Method::Nuts,
            MethodOptions::Walk(_) => Method::Walk,
            MethodOptions::Atlas(_) => Method::Atlas,
            MethodOptions::Flow(_) => Method::Flow,
            MethodOptions::Auto(_) => Method::Auto,
        }
    }

    /// The settings of the walk that the method starts with, if it does.
    pub fn walk(&self) -> Option<&WalkSettings> {
        match self {
            MethodOptions::Walk(points) => Some(&points.walk),
            MethodOptions::Atlas(atlas) => Some(&atlas.walk),
            MethodOptions::Flow(flow) => Some(&flow.walk),
            _ => None,
        }
    }

    /// The same, to change them.
    pub fn walk_mut(&mut self) -> Option<&mut WalkSettings> {
        match self {
            MethodOptions::Walk(points) => Some(&mut points.walk),
            MethodOptions::Atlas(atlas) => Some(&mut atlas.walk),
            MethodOptions::Flow(flow) => Some(&mut flow.walk),
            _ => None,
        }
    }

    /// Points or draws to keep, if that is a setting of the method.
    pub fn samples(&self) -> Option<usize> {
        match self {
            MethodOptions::Map | MethodOptions::Ensemble => None,
            MethodOptions::Laplace(draws)
            | MethodOptions::LaplaceGlm(draws)
            | MethodOptions::LaplaceKfac(draws)
            | MethodOptions::LaplaceDiag(draws)
            | MethodOptions::LaplaceLast(draws)
            | MethodOptions::Swag(draws)
            | MethodOptions::Riemann(draws)
            | MethodOptions::Vi(draws)
            | MethodOptions::Dropout(draws) => Some(draws.samples),
            MethodOptions::Sgld(chains)
            | MethodOptions::Hmc(chains)
            | MethodOptions::Nuts(chains) => Some(chains.samples),
            MethodOptions::Walk(points) => Some(points.walk.samples),
            MethodOptions::Atlas(atlas) => Some(atlas.walk.samples),
            MethodOptions::Flow(flow) => Some(flow.walk.samples),
            MethodOptions::Auto(auto) => Some(auto.samples),
        }
    }

    /// The same, to change it.
    pub fn samples_mut(&mut self) -> Option<&mut usize> {
        match self {
            MethodOptions::Map | MethodOptions::Ensemble => None,
            MethodOptions::Laplace(draws)
            | MethodOptions::LaplaceGlm(draws)
            | MethodOptions::LaplaceKfac(draws)
            | MethodOptions::LaplaceDiag(draws)
            | MethodOptions::LaplaceLast(draws)
            | MethodOptions::Swag(draws)
            | MethodOptions::Riemann(draws)
            | MethodOptions::Vi(draws)
            | MethodOptions::Dropout(draws) => Some(&mut draws.samples),
            MethodOptions::Sgld(chains)
            | MethodOptions::Hmc(chains)
            | MethodOptions::Nuts(chains) => Some(&mut chains.samples),
            MethodOptions::Walk(points) => Some(&mut points.walk.samples),
            MethodOptions::Atlas(atlas) => Some(&mut atlas.walk.samples),
            MethodOptions::Flow(flow) => Some(&mut flow.walk.samples),
            MethodOptions::Auto(auto) => Some(&mut auto.samples),
        }
    }

    /// The deformation of the walk, if the method has one.
    pub(in crate::pipeline) fn deforming(&self) -> Option<Deforming<'_>> {
        match self {
            MethodOptions::Atlas(atlas) => Some(Deforming::Atlas(atlas)),
            MethodOptions::Flow(flow) => Some(Deforming::Flow(flow)),
            _ => None,
        }
    }

    /// The checkpoint of the walk.
    pub(in crate::pipeline) fn checkpoint(&self) -> Option<&CheckpointOptions> {
        match self {
            MethodOptions::Walk(points) => points.checkpoint.as_ref(),
            MethodOptions::Atlas(atlas) => atlas.checkpoint.as_ref(),
            MethodOptions::Flow(flow) => flow.checkpoint.as_ref(),
            _ => None,
        }
    }

    /// File for the points of the walk, if they are not needed in memory.
    pub(in crate::pipeline) fn spool(&self) -> Option<&Path> {
        match self {
            // a bracket needs the points in memory
            MethodOptions::Walk(points) if points.walk.bracket.is_none() => points.spool.as_deref(),
            _ => None,
        }
    }

    /// Most refits for leave-one-out.
    pub(in crate::pipeline) fn loo_refits(&self) -> usize {
        match self {
            MethodOptions::Walk(points) => points.loo_refits,
            MethodOptions::Sgld(chains)
            | MethodOptions::Hmc(chains)
            | MethodOptions::Nuts(chains) => chains.loo_refits,
            _ => 0,
        }
    }

    /// The same method, for a fit beside the one that the settings are for: without files, without
    /// refits, and without a bracket.
    pub(in crate::pipeline) fn beside(&self) -> Self {
        let alone = |walk: WalkSettings| WalkSettings {
            bracket: None,
            ..walk
        };
        match self {
            MethodOptions::Walk(points) => alone(points.walk).into(),
            MethodOptions::Atlas(atlas) => MethodOptions::Atlas(AtlasSettings {
                checkpoint: None,
                walk: alone(atlas.walk),
                ..atlas.clone()
            }),
            MethodOptions::Flow(flow) => MethodOptions::Flow(FlowSettings {
                checkpoint: None,
                walk: alone(flow.walk),
                ..flow.clone()
            }),
            MethodOptions::Sgld(chains) => MethodOptions::Sgld(without_refits(*chains)),
            MethodOptions::Hmc(chains) => MethodOptions::Hmc(without_refits(*chains)),
            MethodOptions::Nuts(chains) => MethodOptions::Nuts(without_refits(*chains)),
            other => other.clone(),
        }
    }

    /// True of methods whose points are draws of the posterior.
    pub(in crate::pipeline) fn samples_posterior(&self) -> bool {
        match self {
            MethodOptions::Walk(points) => points.walk.kernel.kind() == KernelKind::Microcanonical,
            MethodOptions::Hmc(_) | MethodOptions::Nuts(_) | MethodOptions::Sgld(_) => true,
            _ => false,
        }
    }
}

fn without_refits(chains: ChainSettings) -> ChainSettings {
    ChainSettings {
        loo_refits: 0,
        ..chains
    }
}
