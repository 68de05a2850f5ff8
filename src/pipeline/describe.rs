//! The model file's description of a fit.

use std::collections::BTreeMap;

use super::context::Problem;
use super::coordinates::NOISE;
use super::{ClassWeights, FitReport};
use crate::artifact::{Fitted, Metadata, NetworkSpec, RowWeights, SEALED, TaskSpec};
use crate::curvature::EvidenceReport;
use crate::data::{Dataset, Schema, TargetMap, Task};
use crate::deform::HiddenFlow;
use crate::model::Observation;
use crate::scalar::Scalar;

/// What a model records about the data set besides its values.
pub(super) struct About {
    task: Task,
    feature_names: Vec<String>,
    target_name: String,
    image: Option<[usize; 3]>,
    schema: Option<Schema>,
    weights: Option<RowWeights>,
}

impl About {
    pub(super) fn feature_names(&self) -> &[String] {
        &self.feature_names
    }

    /// For rows that have no names.
    pub(super) fn named(task: Task, feature_names: Vec<String>, target: &str) -> Self {
        Self {
            task,
            feature_names,
            target_name: target.into(),
            image: None,
            schema: None,
            weights: None,
        }
    }

    pub(super) fn of(data: &Dataset, class_weights: ClassWeights) -> Self {
        let balanced = class_weights == ClassWeights::Balanced;
        let column = data.weights_name().map(String::from);
        Self {
            task: data.task(),
            feature_names: data.feature_names().to_vec(),
            target_name: data.target_name().into(),
            image: data.image(),
            schema: data.special_schema().cloned(),
            weights: (balanced || column.is_some()).then_some(RowWeights { column, balanced }),
        }
    }
}

impl Problem<'_> {
    /// The metadata of the model file.
    pub(super) fn metadata<T: Scalar>(
        &self,
        about: About,
        network: NetworkSpec,
        evidence: &EvidenceReport<T>,
        fitted: &Fitted<T>,
        summary: &FitReport,
    ) -> Metadata {
        let (mut flow_hidden, mut flow_units, mut flow_proposals) = (Vec::new(), None, 1);
        let mut flow_layers = 0;
        if let Fitted::Flow { deformation, .. } = fitted {
            flow_proposals = deformation.proposals();
            let layers = deformation.layers();
            flow_layers = layers.map_or(0, |layers| layers.kinetic().steps().len());
            match deformation.hidden() {
                Some(HiddenFlow::Framed(flow)) => flow_hidden = flow.flow_parts().0.to_vec(),
                Some(HiddenFlow::Units(flow)) => {
                    let options = flow.parts().1;
                    flow_hidden.clone_from(&options.hidden);
                    flow_units = Some([options.blocks, options.pooled]);
                }
                Some(HiddenFlow::Smoothed(_)) | None => {}
            }
        }
        let likelihood = self.prepared.observation;
        let task = match about.task {
            Task::Classification { classes } => TaskSpec::Classification {
                classes,
                likelihood,
            },
            Task::Regression => {
                let target = self.prepared.target.unwrap_or(TargetMap::IDENTITY);
                let counts = likelihood == Observation::Poisson;
                TaskSpec::Regression {
                    noise_std: evidence.noise_std.unwrap_or(1.0),
                    target_mean: target.mean,
                    target_scale: target.scale,
                    likelihood,
                    target_warp: target.warp,
                    base_rate: counts.then_some(self.prepared.base_rate),
                }
            }
        };
        let scales = self.sampled_scales();
        let mut metadata = Metadata {
            // that of what it holds: see below
            format_version: SEALED,
            crate_version: env!("CARGO_PKG_VERSION").into(),
            precision: T::NAME.into(),
            task,
            feature_names: about.feature_names,
            target_name: about.target_name,
            weights: about.weights,
            schema: about.schema,
            feature_mean: self.prepared.features.mean().to_vec(),
            feature_scale: self.prepared.features.scale().to_vec(),
            feature_warps: self.prepared.features.warps().to_vec(),
            image: about.image,
            network,
            prior_precision: evidence.prior_precision,
            scales,
            method: self.method().name().into(),
            seed: self.options.seed,
            linearised: self.method().is_linearised(),
            frozen: self
                .options
                .method
                .deforming()
                .is_some_and(|how| how.frozen().is_some()),
            flow_hidden,
            flow_units,
            flow_proposals,
            flow_layers,
            flow_noise_scale: (flow_layers > 0 && self.own() > 0).then_some(NOISE),
            members: Vec::new(),
            calibration: None,
            diagnostics: BTreeMap::new(),
            report: Some(summary.of_model()),
        };
        metadata.format_version = metadata.written_version();
        metadata
    }
}
