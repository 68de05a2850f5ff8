//! The deformation of parameter space: an explicit bijection from standard normals to parameters.
//!
//! `theta = T(z)`, `z ~ N(0, I_P)`, with exact inverse and exact log-determinant. So posterior
//! samples are drawn directly, and every parameter vector has a density under the deformation.
//!
//! | file | what it holds |
//! |---|---|
//! | `bijection` | the trait, and the chain that composes |
//! | `scaling`, `mixing`, `permutation` | diagonal affine, fixed orthogonal maps, fixed orders |
//! | `coupling`, `spline` | coupling layers, affine and with rational-quadratic splines |
//! | `halves` | which coordinates pass in a coupling layer, and what its conditioner sees |
//! | `beside` | a map beside a context |
//! | `flow` | flows of coupling layers |
//! | `fit` | maximum likelihood of any bijection on points |
//! | `frame` | how the few directions that the flow acts on lie in parameter space |
//! | `framed` | frame and flow together |
//! | `units`, `unit_flow`, `augment` | a flow under which hidden units are exchangeable |
//! | `hidden` | the flows that hidden parameters can have |
//! | `last_layer` | the conditional posterior of the last layer, a coupling layer that is computed |
//! | `kinetic` | layers that step in the posterior's energy, computed too |
//! | `deformation` | all of it: sampling and densities |
//! | `atlas` | walkers' hidden parameters as anchors of conditionals |
//! | `atlas_rows` | its predictions in closed form, and joint draws of them |
//! | `elbo` | refinement by reparameterised gradients |
//! | `train` | the framed flow, trained on the points of a walk |

mod atlas;
mod atlas_rows;
mod augment;
mod beside;
mod bijection;
mod coupling;
mod deformation;
mod elbo;
mod fit;
mod flow;
mod frame;
mod framed;
mod halves;
mod hidden;
mod kinetic;
mod last_layer;
mod latent;
mod mixing;
mod permutation;
mod scaling;
mod smoothed;
mod spline;
#[cfg(test)]
mod tests;
mod train;
mod unit_flow;
mod units;

pub use atlas::{Atlas, Components, recombine};
pub use atlas_rows::{AtlasDraw, AtlasRows, AtlasWorkspace};
pub use augment::augment;
pub use beside::Beside;
pub use bijection::{Bijection, Chain};
pub use coupling::AffineCoupling;
pub use deformation::Deformation;
pub use elbo::{ElboOptions, ElboReport, refine};
pub use fit::{FlowData, FlowDensity, FlowReport, FlowTrainOptions, fit_flow};
pub use flow::{FlowKind, FlowOptions, coupling_flow, draw_mixing};
pub use frame::{Frame, FrameOptions};
pub use framed::FramedFlow;
pub use hidden::HiddenFlow;
pub use kinetic::{Kinetic, KineticWorkspace, Layers, Passage, Passing, TuneOptions, tune_layers};
pub use last_layer::{Conditional, LastLayer, LastLayerWorkspace};
pub use latent::{Latent, LatentOptions, LatentReport, fit_latent};
pub use mixing::OrthogonalMixing;
pub use permutation::Permutation;
pub use scaling::DiagonalAffine;
pub use smoothed::Smoothed;
pub use spline::{SplineCoupling, SplineOptions};
pub use train::{TrainOptions, TrainReport, train, train_principal};
pub use unit_flow::{UnitFlow, UnitMixing, UnitTrainOptions, fit_units};
pub use units::{ExchangeableUnits, UnitFlowOptions};
