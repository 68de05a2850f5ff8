//! From a data set to a fitted model in one call: what the command line does, for programs.
//!
//! The stages: standardise -> network -> MAP estimate and scales by evidence -> tangent space ->
//! walk -> deformation -> [`FittedModel`]. One of the [`baselines`](crate::baselines) may replace
//! the walk. If scales are part of the posterior ([`PriorChoice`]), the walk samples them and has
//! separate starts. [`measure`] scores any of these models on test data. A [`Progress`] sees how
//! far a fit is, and may cancel it.
//!
//! [`FittedModel`]: crate::artifact::FittedModel

mod agreement;
mod baselines;
mod batch_evidence;
mod bracket;
mod budget;
mod calibrated;
mod candidates;
mod chains;
mod checkpoint;
mod checkpoint_options;
mod checks;
mod choice;
mod compare;
mod conformal_report;
mod constant;
mod context;
mod convergence;
mod coordinates;
mod crossed;
mod deform;
mod deform_report;
mod densities;
mod describe;
mod differences;
mod exact_loo;
#[cfg(test)]
mod fault_tests;
mod fits;
mod flows;
mod hierarchy;
mod identity;
mod joint_mode;
mod latent;
mod layers;
mod leave_one_out;
mod map;
mod material;
mod methods;
mod notes;
mod options;
mod own;
mod portfolio;
mod prepare;
mod probe;
mod progress;
mod rates;
mod report;
mod scales_report;
mod scored;
mod seconds;
mod smoothing;
mod stages;
mod swag;
mod transforms;
mod trust;
mod walk;
mod walk_report;
mod width;

pub use crate::artifact::{FitReport, Method};
pub use checkpoint_options::CheckpointOptions;
pub use compare::{Measured, MethodScores, Statistic, by_method, compare_to_best, measure};
pub use differences::{Differences, RowLosses};
pub use fits::{FitResult, Fits, fit, fit_model, fit_owned};
pub use options::{
    AtlasSettings, AutoSettings, Batch, CalibrationMap, CalibrationSettings, ChainSettings,
    ClassWeights, ConformalSettings, DrawSettings, FitOptions, FlowChoice, FlowSettings,
    KernelKind, KernelOptions, MethodOptions, MicrocanonicalSettings, PointsSettings, PriorChoice,
    WalkSettings,
};
pub use progress::{Progress, Stage};
pub use transforms::{FeatureTransform, TargetTransform};
