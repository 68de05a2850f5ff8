//! Fits of a user's model: network, likelihood and prior as given.
//!
//! Rows are used as they are: nothing is standardised, and no scale is tuned. The fit samples
//! exactly what the model states. All other stages are the same as in every other fit.

use super::context::Problem;
use super::describe::About;
use super::prepare::Prepared;
use super::{
    Batch, ClassWeights, FeatureTransform, FitOptions, FitReport, Method, PriorChoice, Stage,
    TargetTransform,
};
use crate::artifact::NetworkSpec;
use crate::curvature::EvidenceReport;
use crate::data::{Standardizer, TargetMap, Task};
use crate::error::{Column, Error, Result, counted};
use crate::linalg::check_table;
use crate::model::{Model, Observation, Predictive};
use crate::optim::{MapOptions, fit_map};
use crate::scalar::Scalar;

/// The name of feature `j` of a program's own model.
fn feature_name(j: usize) -> String {
    format!("x{j}")
}

/// A prepared fit, and its description for model files.
pub(super) struct OwnFit {
    pub prepared: Prepared,
    pub about: About,
    pub spec: NetworkSpec,
}

/// Checks rows and settings, and converts the data to the form that every fit uses.
pub(super) fn prepare_own(
    model: &Model,
    x: &[f64],
    y: &[f64],
    options: &FitOptions,
) -> Result<OwnFit> {
    let network = model.network();
    let (d, k, m) = (
        network.input_dim(),
        network.output_dim(),
        model.target_dim(),
    );
    let rows = x.len() / d.max(1);
    if rows == 0 || x.len() != rows * d || y.len() != rows * m {
        let expected = format!(
            "rows of {} and {}",
            counted(d, "feature"),
            counted(m, "target")
        );
        let got = format!(
            "{} and {}",
            counted(x.len(), "number"),
            counted(y.len(), "target")
        );
        return Err(Error::shape("fit_model", expected, got));
    }
    check_table::<f64>("fit_model", x, d, |j| Column::Named(feature_name(j)))?;
    model.likelihood().check(k, y)?;
    model.prior().check(network.layout())?;
    check(options)?;
    let own = model.likelihood().params(k).init();
    let task = match model.likelihood().predictive(&vec![0.0; k], &own) {
        Predictive::Logits => Task::Classification { classes: k },
        Predictive::Logit => Task::Classification { classes: 2 },
        Predictive::Law(_) | Predictive::Unknown => Task::Regression,
    };
    let target = match task {
        Task::Classification { .. } => None,
        Task::Regression => Some(TargetMap::IDENTITY),
    };
    Ok(OwnFit {
        prepared: Prepared {
            x: x.to_vec(),
            y: y.to_vec(),
            weighted: false,
            features: Standardizer::from_parts(vec![0.0; d], vec![1.0; d])?,
            target,
            observation: Observation::Own,
            base_rate: 1.0,
        },
        about: About::named(task, (0..d).map(feature_name).collect(), "y"),
        spec: NetworkSpec::Own {
            own: model.name().into(),
            inputs: d,
            outputs: k,
            parameters: network.dim(),
            targets: m,
            likelihood_parameters: own.len(),
        },
    })
}

/// Refuses options that the model already determines.
fn check(options: &FitOptions) -> Result<()> {
    let given = [
        ("likelihood", options.likelihood.is_some()),
        ("prior", options.prior != PriorChoice::Auto),
        ("prior_precision", options.prior_precision.is_some()),
        ("noise_std", options.noise_std.is_some()),
        ("hidden", options.choose_hidden.is_some()),
        ("layers", options.layers.is_some()),
        ("class_weights", options.class_weights != ClassWeights::None),
        (
            "feature_transform",
            options.feature_transform != FeatureTransform::None,
        ),
        (
            "target_transform",
            options.target_transform != TargetTransform::None,
        ),
        ("loo_refits", options.method.loo_refits() > 0),
    ];
    if let Some((field, _)) = given.into_iter().find(|g| g.1) {
        let requirement = "is for built-in models: the parts of the model say it";
        return Err(Error::config(field, "given", requirement));
    }
    let method = options.method.method();
    if matches!(method, Method::Auto | Method::Swag) {
        let requirement = "chooses among built-in models, or scores as they do";
        return Err(Error::config("method", method, requirement));
    }
    if method == Method::Dropout && options.batch != Batch::Auto {
        let requirement = "is not for batches";
        return Err(Error::config("method", method, requirement));
    }
    Ok(())
}

impl Problem<'_> {
    /// The MAP estimate of a model whose scales are given.
    pub(super) fn own_estimate<T: Scalar>(
        &self,
        model: &Model,
        summary: &mut FitReport,
    ) -> Result<EvidenceReport<T>> {
        let alpha = typical_precision(model);
        let density = self.posterior::<T>(alpha, None)?;
        let options = MapOptions::default();
        let map = fit_map(&density, self.initial(0), &options, |done| {
            self.progress.step(Stage::Map, done, options.steps)
        })?;
        summary.map(&map, None);
        Ok(EvidenceReport::given(map, alpha, None))
    }
}

/// The geometric mean of the prior's precisions, the scale that walks start from; 1 if the prior is
/// flat everywhere.
fn typical_precision(model: &Model) -> f64 {
    let precisions = model.prior().precision(model.network().layout());
    let positive = precisions.iter().filter(|p| **p > 0.0);
    let logs: Vec<f64> = positive.map(|p| p.ln()).collect();
    (logs.iter().sum::<f64>() / logs.len().max(1) as f64).exp()
}
