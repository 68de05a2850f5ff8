//! Entries of data, estimate and scales in the report of a fit.

use super::prepare::Prepared;
use super::{ClassWeights, FitOptions, FitReport};
use crate::artifact::{NetworkSpec, report};
use crate::curvature::{EvidenceOptions, EvidenceReport, LogEvidence, TangentSpace};
use crate::data::{Dataset, Schema, Task};
use crate::error::Result;
use crate::model::Observation;
use crate::optim::{MapReport, MinibatchOptions, MinibatchReport, PolishReport};
use crate::scalar::Scalar;

impl FitReport {
    /// Describes the rows and their weights.
    ///
    /// # Errors
    /// If targets that are no classes should be balanced.
    pub(super) fn data(&mut self, data: &Dataset, class_weights: ClassWeights) -> Result<()> {
        let weights = class_weights.of_rows(data)?;
        self.data = Some(report::Data {
            rows: data.n(),
            features: data.d(),
            image: data.image(),
            classes: match data.task() {
                Task::Classification { classes } => Some(classes),
                Task::Regression => None,
            },
            target: data.target_name().into(),
            columns: data
                .special_schema()
                .map_or_else(Vec::new, Schema::describe),
            notes: data.notes().to_vec(),
            weights: weights.map(|weights| report::Weights {
                column: data.weights_name().map(String::from),
                balanced: class_weights == ClassWeights::Balanced,
                ..report::Weights::of(&weights)
            }),
            ..report::Data::default()
        });
        Ok(())
    }

    /// Anything unusual about likelihood and columns.
    pub(super) fn columns(&mut self, prepared: &Prepared, names: &[String]) {
        let data = self.data.get_or_insert_default();
        let observation = prepared.observation;
        if !matches!(
            observation,
            Observation::Categorical | Observation::Gaussian
        ) {
            data.likelihood = Some(observation.name().into());
        }
        data.target_transform = prepared.target.and_then(|target| target.warp);
        let warped = prepared.features.warps().iter().zip(names);
        let warped = warped.filter(|w| w.0.is_some()).map(|w| w.1.clone());
        data.warped_features = warped.collect();
    }

    pub(super) fn network(&mut self, network: &NetworkSpec, dim: usize) {
        self.network = Some(report::Network {
            description: network.to_string(),
            parameters: dim,
        });
    }

    /// The scales of the MAP estimate.
    pub(super) fn scales<T>(&mut self, tuned: &EvidenceReport<T>, options: &EvidenceOptions) {
        let origin = |auto: bool| match auto {
            true => report::Origin::Evidence,
            false => report::Origin::Given,
        };
        self.scales = Some(report::GivenScales {
            prior_precision: tuned.prior_precision,
            prior_origin: origin(options.tune_prior_precision),
            noise_std: tuned.noise_std,
            noise_origin: origin(options.tune_noise_std),
            rounds: tuned.rounds,
            settled: tuned.settled,
            bounded: tuned.bounded,
            noise_starts: Vec::new(),
        });
    }

    pub(super) fn minibatches<T>(
        &mut self,
        trained: &MinibatchReport<T>,
        options: &MinibatchOptions,
        alpha: f64,
        asked: &FitOptions,
        noise_std: Option<f64>,
    ) {
        self.scales = Some(report::GivenScales {
            prior_precision: alpha,
            prior_origin: match asked.prior_precision {
                Some(_) => report::Origin::Given,
                None => report::Origin::Default,
            },
            noise_std,
            noise_origin: match asked.noise_std {
                Some(_) => report::Origin::Given,
                None => report::Origin::Learned,
            },
            settled: true,
            ..report::GivenScales::default()
        });
        let best = trained.best_epoch;
        let of_best = trained.history.get(best.saturating_sub(1));
        self.training = Some(report::Training {
            epochs: trained.history.len(),
            rows: trained.training_rows,
            batch_rows: options.batch_rows,
            best_epoch: best,
            validation_nll: of_best.and_then(|epoch| epoch.validation_nll),
            validation_rows: trained.validation_rows,
        });
    }

    /// The initial noise levels that were tried.
    pub(super) fn noise_starts(&mut self, starts: &[f64], evidences: &[Option<f64>]) {
        let each = starts.iter().zip(evidences);
        let each = each.map(|(&start, &log_evidence)| report::NoiseStart {
            start,
            log_evidence,
        });
        self.scales.get_or_insert_default().noise_starts = each.collect();
    }

    /// The share of the rows in one gradient of the estimate.
    pub(super) fn map_share(&mut self, share: f64) {
        self.estimate.get_or_insert_default().share = Some(share);
    }

    /// The last steps of the estimate.
    pub(super) fn polished(&mut self, end: &PolishReport) {
        self.estimate.get_or_insert_default().polish = Some(report::Polish {
            matrices: end.matrices,
            decrement: end.decrement,
            converged: end.converged,
        });
    }

    pub(super) fn map<T>(&mut self, map: &MapReport<T>, log_evidence: Option<LogEvidence>) {
        let estimate = self.estimate.take().unwrap_or_default();
        self.estimate = Some(report::Estimate {
            energy: map.energy,
            gradient_norm: map.gradient_norm,
            initial_gradient_norm: map.initial_gradient_norm,
            gradients: map.gradients,
            log_evidence: log_evidence.map(|e| e.value),
            log_evidence_error: log_evidence.and_then(|e| e.std_error),
            ..estimate
        });
    }

    pub(super) fn tangent<T: Scalar>(&mut self, space: &TangentSpace<T>) {
        self.tangent = Some(report::Tangent {
            normal_directions: space.normal_dim(),
            complete: space.is_complete(),
            largest_eigenvalue: space.values().first().copied().unwrap_or(0.0),
            effective_parameters: space.effective_dimension(),
            eigenvalues: space.values().iter().map(|v| five_digits(*v)).collect(),
            prior_precision: Some(space.prior_precision()),
        });
    }
}

/// The number to five significant digits: enough for a picture, and short in a file.
fn five_digits(value: f64) -> f64 {
    if !value.is_finite() || value == 0.0 {
        return value;
    }
    let scale = 10f64.powi(4 - value.abs().log10().floor() as i32);
    (value * scale).round() / scale
}
