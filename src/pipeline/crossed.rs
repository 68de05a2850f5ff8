//! CV+ for few rows: fits without a fold each, and their mixture.
//!
//! No row is held out for good: each is scored by the fit that has not seen it. The model is the
//! mixture of these fits, with equal weights. Its predictions are those of the mixture, and its
//! conformal regions those of [`cross`](crate::calibrate::conformal::cross).
//!
//! Scores and regions come from the same predictor: fold by fold, the member of the mixture that
//! has not seen the rows, with the draws that it has in the mixture.

use super::conformal_report::{reported, score_of};
use super::options::ConformalSettings;
use super::{FitOptions, FitReport, FitResult, Fits, Progress, fit_owned};
use crate::artifact::report::{CalibrationFit, Severity};
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
    let (mut members, mut reports) = (Vec::new(), Vec::new());
    let mut scores = vec![None; data.n()];
    let splits = k_folds(data, folds, &mut rng)?;
    for (fold, Split { train, test }) in splits.iter().enumerate() {
        let fitted = fit_owned::<T>(data.select(train)?, &plain, progress)?;
        // the scores come last, from the mixture
        for &row in test {
            scores[row] = Some(FoldScore { fold, score: 0.0 });
        }
        let model = fitted.model;
        members.push(Member { weight, model });
        reports.push(fitted.report);
    }
    let missing = || Error::config("conformal_folds", folds, "a fold is missing");
    let first = members.first().ok_or_else(missing)?;
    let classes = first.model.metadata.task.classes();
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
        score: score_of(how, classes),
        thresholds: Vec::new(),
        folds: scores
            .into_iter()
            .collect::<Option<_>>()
            .ok_or_else(missing)?,
        rows: data.n(),
        seed: options.seed,
    };
    let found = scored(&mut model, found, data, &splits)?;
    let mut report = report_of(reports).ok_or_else(missing)?;
    report.calibrated(CalibrationFit {
        conformal: Some(reported(&found, None)),
        ..CalibrationFit::default()
    });
    model.metadata.report = Some(report.of_model());
    Ok(FitResult {
        model,
        report,
        loo: None,
    })
}

/// The scores of all rows. Each is computed by the predictor that also makes the regions: an atlas,
/// for one, predicts by draws in a mixture and without them alone.
fn scored<T: Fits>(
    model: &mut FittedModel<T>,
    mut found: Conformal,
    data: &Dataset,
    splits: &[Split],
) -> Result<Conformal> {
    let calibration = |found: &Conformal| Calibration {
        recalibration: None,
        conformal: Some(found.clone()),
    };
    // the mixture of a CV+ has more draws of each fit than others do
    model.calibrate(calibration(&found));
    let predictor = model.predictor(DRAWS, found.seed)?;
    for (fold, Split { test, .. }) in splits.iter().enumerate() {
        let of_rows = predictor.fold_scores(&found, fold, &data.select(test)?)?;
        for (&row, score) in test.iter().zip(of_rows) {
            found.folds[row].score = score;
        }
    }
    model.calibrate(calibration(&found));
    Ok(found)
}

/// The report of the first fit, with the gradients of all and what the others found. It says
/// nothing of leave-one-out, which would be of the first fit's rows.
fn report_of(reports: Vec<FitReport>) -> Option<FitReport> {
    let gradients: f64 = reports.iter().map(|r| r.gradients()).sum();
    let mut reports = reports.into_iter().enumerate();
    let (_, mut report) = reports.next()?;
    report.method_gradients =
        Some(gradients - report.gradients() + report.method_gradients.unwrap_or(0.0));
    (report.loo, report.loo_failure) = (None, None);
    for (fold, other) in reports {
        let findings = other.verdict().into_iter();
        let warnings = findings.filter(|f| f.severity() == Severity::Warning);
        let said = warnings.map(|f| format!("fold {}: {}", fold + 1, f.sentence()));
        report.warnings.extend(said);
    }
    Some(report)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_findings_of_all_fits_are_said() {
        let good = FitReport::default();
        let bad = FitReport {
            constant_predictions: Some(1e-4),
            ..FitReport::default()
        };
        let report = report_of(vec![good.clone(), good, bad]).unwrap();
        assert_eq!(report.warnings.len(), 1);
        assert!(
            report.warnings[0].starts_with("fold 3: "),
            "{:?}",
            report.warnings
        );
        let verdict = report.verdict();
        assert!(verdict.iter().any(|f| f.severity() == Severity::Warning));
        assert!(report_of(Vec::new()).is_none());
    }
}
