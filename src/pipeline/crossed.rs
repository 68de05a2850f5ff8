//! CV+ for few rows: fits without a fold each, and their mixture.
//!
//! No row is held out for good: each is scored by the fit that has not seen it. The model is the
//! mixture of these fits, with equal weights. Its predictions are those of the mixture, and its
//! conformal regions those of [`cross`](crate::calibrate::conformal::cross).

use super::conformal_report::{reported, score_of};
use super::options::ConformalSettings;
use super::{FitOptions, FitResult, Fits, Progress, fit_owned};
use crate::artifact::report::CalibrationFit;
use crate::artifact::{Calibration, Conformal, Fitted, FittedModel, Member, MemberSpec};
use crate::calibrate::conformal::cross::FoldScore;
use crate::data::{Dataset, Split, k_folds};
use crate::error::{Error, Result};
use crate::rng::{Phase, Streams};

/// Posterior draws of the mixture's predictions.
const DRAWS: usize = 256;

/// Fits once without each of `folds` folds.
pub(super) fn fit_crossed<T: Fits>(
    data: &Dataset,
    options: &FitOptions,
    (how, folds): (&ConformalSettings, usize),
    progress: &dyn Progress,
) -> Result<FitResult<T>> {
    let plain = FitOptions {
        calibration: None,
        method: options.method.beside(),
        ..options.clone()
    };
    let mut rng = Streams::new(options.seed).rng(Phase::CALIBRATE, 2);
    let weight = 1.0 / folds as f64;
    // as many draws of each as the mixture takes
    let draws = (weight * DRAWS as f64).ceil() as usize;
    let (mut members, mut reports) = (Vec::new(), Vec::new());
    let mut scores = vec![None; data.n()];
    let mut score = None;
    for (fold, Split { train, test }) in k_folds(data, folds, &mut rng)?.iter().enumerate() {
        let fitted = fit_owned::<T>(data.select(train)?, &plain, progress)?;
        let predictor = fitted.model.predictor(draws, options.seed)?;
        let predictor = predictor.with_quantiles(&[])?;
        let kind = *score.get_or_insert_with(|| score_of(how, &predictor));
        let rows = data.select(test)?;
        let of_rows = predictor.conformal_scores(&rows, kind, how.level, options.seed)?;
        for (&row, score) in test.iter().zip(of_rows) {
            scores[row] = Some(FoldScore { fold, score });
        }
        let model = fitted.model;
        members.push(Member { weight, model });
        reports.push(fitted.report);
    }
    let missing = || Error::config("conformal_folds", folds, "a fold is missing");
    let kind = score.ok_or_else(missing)?;
    let gradients: f64 = reports.iter().map(|r| r.gradients()).sum();
    let first = members.first().ok_or_else(missing)?;
    let mut metadata = first.model.metadata.clone();
    metadata.members = members
        .iter()
        .map(|member| MemberSpec {
            weight,
            metadata: member.model.metadata.clone(),
        })
        .collect();
    let mut model = FittedModel {
        metadata,
        map: first.model.map.clone(),
        fitted: Fitted::Mixture(members),
        parts: None,
    };
    let found = Conformal {
        level: how.level,
        score: kind,
        thresholds: Vec::new(),
        folds: scores
            .into_iter()
            .collect::<Option<_>>()
            .ok_or_else(missing)?,
        rows: data.n(),
        seed: options.seed,
    };
    // the report of the first fit stands for all
    let mut report = reports.into_iter().next().ok_or_else(missing)?;
    report.method_gradients =
        Some(gradients - report.gradients() + report.method_gradients.unwrap_or(0.0));
    report.calibrated(CalibrationFit {
        conformal: Some(reported(&found)),
        ..CalibrationFit::default()
    });
    model.calibrate(Calibration {
        recalibration: None,
        conformal: Some(found),
    });
    model.metadata.report = Some(report.of_model());
    Ok(FitResult {
        model,
        report,
        loo: None,
    })
}
