//! What is known about a fit, as types: a section for each stage, and `None` where a method has
//! none of it.
//!
//! A model file holds the report of its fit ([`Metadata::report`](super::Metadata::report)).
//! [`FitReport::verdict`] says what is wrong and what to do, and `Display` prints it in lines, the
//! verdict first; `docs/summary.md` explains each line. Numbers that are not finite are `null` in
//! JSON.

mod advice;
mod baseline;
mod bracket;
mod calibration;
mod data;
mod deformation;
mod estimate;
mod finding;
mod loo;
#[cfg(test)]
mod mixing_tests;
mod number;
mod portfolio;
#[cfg(test)]
mod portfolio_tests;
mod sentence;
#[cfg(test)]
mod tests;
mod text;
mod text_choice;
mod text_data;
mod text_flow;
mod text_walk;
mod verdict;
mod walk;

use serde::{Deserialize, Deserializer, Serialize};

pub use baseline::{Baseline, ChosenRate, CutChains, Laplace};
pub use bracket::{Bound, Bracket};
pub use calibration::{CalibrationFit, ConformalFit, MapFit};
pub use data::{Data, Network, Weights};
pub use deformation::{
    Atlas, Candidate, Carried, Deformation, Evidence, FrameFit, KineticLayers, LatentFit,
    Refinement, Stored, Trust, UnitsFit,
};
pub use estimate::{
    Estimate, GivenScales, ModeScale, NoiseStart, Origin, Polish, Tangent, Training,
};
pub use finding::{Finding, Severity};
pub use loo::{FailedRefit, LeaveOneOut, Refits};
pub use portfolio::{Among, LeftOut, Portfolio, Tried};
pub use walk::{
    CutShort, EnergyTrace, GroupMixing, Kernel, Mixing, NestedMixing, PredictionMixing,
    SampledScale, SampledScales, Starts, Walk, WalkBatches,
};

/// What is known about a fit.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct FitReport {
    /// The rows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<Data>,
    /// The network.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network: Option<Network>,
    /// True of a fit in double precision. Older files do not say it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub double: bool,
    /// Models that were tried on rows held out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub portfolio: Option<Portfolio>,
    /// Scales that are the same for all draws.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scales: Option<GivenScales>,
    /// Training by minibatches.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub training: Option<Training>,
    /// The MAP estimate, or the joint mode where scales are sampled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub estimate: Option<Estimate>,
    /// Gradients of the descent that stands in the place of an estimate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub descent_gradients: Option<usize>,
    /// The scales of the joint mode, of a MAP estimate with sampled scales.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mode_scales: Vec<ModeScale>,
    /// The directions that the data determine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tangent: Option<Tangent>,
    /// Where particles start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub starts: Option<Starts>,
    /// The batches that the walk takes its gradients from, if not from all rows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub walk_batches: Option<WalkBatches>,
    /// How particles move.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kernel: Option<Kernel>,
    /// The walk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub walk: Option<Walk>,
    /// Whether walkers agree.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mixing: Option<Mixing>,
    /// Scales that are part of the posterior.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sampled_scales: Option<SampledScales>,
    /// The evidence between two bounds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bracket: Option<Bracket>,
    /// The atlas or the flow.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deformation: Option<Deformation>,
    /// That a limit of time ended its chains.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cut_chains: Option<CutChains>,
    /// The spread of predictions over training rows, as a share of the target's, if it is next to
    /// nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub constant_predictions: Option<f64>,
    /// What took the place of a walk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub baseline: Option<Baseline>,
    /// Gradients of all rows that a baseline, or the models of a mixture, took.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method_gradients: Option<f64>,
    /// Leave-one-out of the training rows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loo: Option<LeaveOneOut>,
    /// Why there is no leave-one-out, if it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loo_failure: Option<String>,
    /// What was done with rows that were held out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calibration: Option<CalibrationFit>,
    /// What happened to checkpoints. Model files have none of it: one that was resumed is the
    /// same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<Checkpoint>,
    /// Whatever else there is to say.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// What happened to checkpoints.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Checkpoint {
    /// Steps after which the walk was resumed.
    pub resumed_after: Option<usize>,
    /// The file that it was resumed from.
    pub file: Option<String>,
    /// Why the last one could not be written.
    pub failure: Option<String>,
}

impl FitReport {
    /// Gradients of all rows that the fit took; of batches the share of the rows that they are of.
    /// Those that chose widths are not counted ([`Portfolio::validation_gradients`]).
    pub fn gradients(&self) -> f64 {
        let share = self.estimate.as_ref().and_then(|e| e.share).unwrap_or(1.0);
        let of_estimate = self.estimate.as_ref().map(|e| e.gradients);
        let trained = of_estimate.or(self.descent_gradients).unwrap_or(0);
        let starts = self.starts.as_ref().map_or(0, |s| s.gradients);
        let batch = self.walk_batches.as_ref();
        let walk_share = batch.map_or(1.0, |b| b.rows as f64 / b.of.max(1) as f64);
        let walk = self.walk.as_ref().map_or(0, |w| w.gradients);
        let refinement = self
            .deformation
            .as_ref()
            .and_then(|d| d.refinement.as_ref());
        let refits = self.loo.as_ref().and_then(|l| l.refits.as_ref());
        trained as f64 * share
            + starts as f64 * share
            + walk as f64 * walk_share
            + refinement.map_or(0.0, |r| r.gradients as f64)
            + self.method_gradients.unwrap_or(0.0)
            + refits.map_or(0.0, |r| r.gradients)
    }

    /// The energy that draws from the posterior are expected to have: half a nat above the
    /// estimate's for each number that is drawn, as for a Gaussian. `None` without an estimate, and
    /// where scales are sampled.
    pub fn expected_energy(&self) -> Option<f64> {
        if self.sampled_scales.is_some() {
            return None;
        }
        let of_network = self.network.as_ref().map(|n| n.parameters);
        let dim = self.walk.as_ref().map(|w| w.dim).or(of_network)?;
        let energy = self.estimate.as_ref()?.energy;
        energy.is_finite().then_some(energy + 0.5 * dim as f64)
    }

    /// What a model file keeps: all but what another run of the same fit would not say.
    pub(crate) fn of_model(&self) -> Self {
        Self {
            checkpoint: None,
            ..self.clone()
        }
    }

    /// What the report of a mixture keeps of the walk of one of its models: all that the verdict is
    /// about.
    pub(crate) fn of_member(&self) -> Self {
        let walk = self.walk.clone().map(|walk| Walk {
            trace: None,
            energies: Vec::new(),
            ..walk
        });
        Self {
            walk,
            kernel: self.kernel.clone(),
            mixing: self.mixing.clone(),
            sampled_scales: self.sampled_scales.clone(),
            ..Self::default()
        }
    }

    /// Notes that the sampler of a deformation gave way to so many draws.
    pub(super) fn freeze(&mut self, draws: usize) {
        if let Some(deformation) = &mut self.deformation {
            deformation.stored = Some(Stored::Draws { draws });
        }
    }
}

/// The report in a file, or none if it is of a form that this program does not know: it is for the
/// reader, and predictions do not need it.
pub(super) fn if_known<'de, D: Deserializer<'de>>(
    from: D,
) -> std::result::Result<Option<FitReport>, D::Error> {
    let value = Option::<serde_json::Value>::deserialize(from)?;
    // as text: reading a report from text is compiled for checkpoints too, from a value it is not
    Ok(value.and_then(|value| serde_json::from_str(&value.to_string()).ok()))
}
