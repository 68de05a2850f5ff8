//! What a verdict can say. `sentence` has the words, and `advice` what to do about each finding.

use std::mem::discriminant;

use serde::Serialize;

use super::FitReport;

/// Variance of the energy error per dimension beyond which a walk without a test is biased.
pub(super) const ENERGY_ERROR: f64 = 1e-3;

/// R-hat of the energy, and E-BFMI, of chains that are to be trusted.
pub(super) const CHAINS: f64 = 1.1;
pub(super) const E_BFMI: f64 = 0.3;

/// Whether something has to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Nothing is wrong.
    Well,
    /// Good to know; predictions are as good as they look.
    Note,
    /// Predictions may be worse than they look.
    Warning,
}

/// One thing that the verdict says.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "finding", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Finding {
    /// No check found a problem.
    AllWell,
    /// The walkers do not agree.
    WalkersDisagree {
        /// Largest R-hat of a sampled scale.
        scales: Option<f64>,
        /// Median R-hat of predictions.
        predictions: Option<f64>,
    },
    /// Walkers that were alike when points began to be kept still are.
    WalkersRemember {
        /// Median nested R-hat of predictions.
        rhat: f64,
        /// What it should be below.
        limit: f64,
    },
    /// The walk kept points before it had forgotten where it started.
    StartNotForgotten {
        /// Steps that it took.
        steps: usize,
    },
    /// The walk is too short, or of too few particles, to be judged.
    WalkNotJudged {
        /// Steps that it took.
        steps: usize,
        /// Its particles.
        particles: usize,
    },
    /// The walk's steps are too long.
    LargeEnergyError {
        /// Variance of the energy error per dimension.
        error: f64,
    },
    /// Many steps of the walk diverged.
    FrequentDivergences {
        /// Their share.
        share: f64,
        /// True of a kernel that draws from the posterior.
        sampler: bool,
    },
    /// The step that was given is too long: steps diverged.
    StepTooLong {
        /// The step.
        step_size: f64,
        /// Share of the steps that diverged.
        share: f64,
    },
    /// The step that was given is too short: walkers hardly moved.
    StepTooShort {
        /// The step.
        step_size: f64,
        /// Length of a walker's whole path, as a share of the width of the posterior.
        path: f64,
    },
    /// Predictions hardly depend on the features.
    ConstantPredictions {
        /// Their spread over training rows, as a share of the target's.
        spread: f64,
    },
    /// A limit of time ended chains.
    ChainsCutShort {
        /// Draws, or steps, of each chain.
        taken: usize,
        /// How many there would have been.
        at_most: usize,
        /// True if they were still in their warm-up.
        in_warm_up: bool,
    },
    /// A budget of time or memory ended the walk.
    CutShort {
        /// Steps that it took.
        steps: usize,
        /// Steps that it would have taken at most.
        at_most: usize,
        /// True if it was still in its warm-up.
        in_warm_up: bool,
    },
    /// The deformation predicts no more like the walk than the MAP estimate does.
    DeformationFar {
        /// Its distance to the walk.
        distance: f64,
        /// That of the MAP estimate.
        map_distance: f64,
        /// True of a flow, false of an atlas.
        flow: bool,
    },
    /// Draws of the flow do not have the energy and the spread of the walk.
    FlowUnfaithful {
        /// Mean `U` of its draws.
        energy: f64,
        /// Spread of its predictions over the walk's.
        spread: f64,
    },
    /// The bounds of the evidence are far apart.
    WideBracket {
        /// By how many nats.
        width: f64,
    },
    /// The lower bound of the evidence is above the upper one: the walk's points are no draws of
    /// the posterior.
    CrossedBracket {
        /// By how many nats.
        over: f64,
    },
    /// The flow is too far from the posterior to be used as a density.
    LargeKHat {
        /// Shape of the tail of the weights.
        k_hat: f64,
        /// What it should be below.
        limit: f64,
    },
    /// The scales were still changing when tuning ended.
    EvidenceNotSettled {
        /// Rounds of tuning.
        rounds: usize,
    },
    /// A scale ended at the bound of what is allowed.
    ScaleAtBound,
    /// The model is the joint mode of parameters and scales.
    JointMode,
    /// The MAP estimate is above its minimum.
    AboveMinimum {
        /// By so many nats.
        nats: f64,
        /// After so many Gauss-Newton matrices.
        matrices: usize,
    },
    /// Chains of HMC or NUTS do not agree, or explore their energies badly.
    ChainsDisagree {
        /// R-hat of the energy.
        rhat: f64,
        /// The least E-BFMI.
        e_bfmi: f64,
    },
    /// Trajectories, chains or geodesics of a baseline could not be followed.
    BaselineDiverged {
        /// How many.
        failed: usize,
        /// What they are.
        what: String,
    },
    /// The walkers of no model of a mixture agree.
    NoModelAgrees,
    /// A finding about the walks of some models of a mixture.
    OfModels {
        /// How many have it.
        models: usize,
        /// Models of the mixture.
        of: usize,
        /// The finding, with the figures of the model of most weight that has it.
        heaviest: Box<Finding>,
    },
    /// A budget ended walks that chose among models in their warm-up.
    ChoiceCutShort {
        /// How many.
        walks: usize,
        /// Of all that chose.
        of: usize,
    },
    /// Rows without which no fit could be made.
    RowsNotRefitted {
        /// How many.
        rows: usize,
    },
    /// A checkpoint could not be written.
    CheckpointNotWritten {
        /// Why.
        why: String,
    },
    /// Leave-one-out is too good for some rows.
    LooUnreliable {
        /// How many.
        rows: usize,
        /// Of all.
        of: usize,
    },
    /// There is no leave-one-out.
    LooFailed {
        /// Why.
        why: String,
    },
    /// Something else.
    Other {
        /// What.
        what: String,
    },
}

impl Finding {
    /// Whether something has to be done.
    pub fn severity(&self) -> Severity {
        match self {
            Self::AllWell => Severity::Well,
            Self::LargeKHat { .. }
            | Self::WideBracket { .. }
            | Self::LooUnreliable { .. }
            | Self::LooFailed { .. } => Severity::Note,
            Self::OfModels { heaviest, .. } => heaviest.severity(),
            _ => Severity::Warning,
        }
    }

    /// True if both are of one kind and ask for the same: they differ in figures only.
    pub fn is_like(&self, other: &Self) -> bool {
        let same_kind = discriminant(self) == discriminant(other);
        let inner = match (self, other) {
            (Self::OfModels { heaviest: a, .. }, Self::OfModels { heaviest: b, .. }) => {
                a.is_like(b)
            }
            (Self::Other { what: a }, Self::Other { what: b }) => a == b,
            _ => true,
        };
        let fit = FitReport::default();
        same_kind && inner && self.advice(&fit) == other.advice(&fit)
    }
}
