//! A fit that keeps rows back: to repair its probabilities, and for conformal sets and intervals.
//!
//! The fit never sees the held-out rows. If both a map and conformal regions are asked for, each
//! gets half of them: a threshold is exact only for predictions that its rows had no part in.
//!
//! Rows may have weights, their own or those of balanced classes. Maps and thresholds count each
//! held-out row as often as its weight says.
//!
//! Predictions are made as `predict` makes them by default, with 256 draws and the seed of the fit.

use super::conformal_report::{reported, score_of};
use super::crossed::fit_crossed;
use super::options::{CalibrationMap, CalibrationSettings, ConformalSettings};
use super::prepare::observation;
use super::{FitOptions, FitResult, Fits, Method, Progress, TargetTransform, fit_owned};
use crate::artifact::report::{CalibrationFit, MapFit};
use crate::artifact::{Calibration, Conformal, ConformalScore, Predictions, Predictor};
use crate::calibrate::conformal::{thresholds_by_class, weighted_threshold};
use crate::calibrate::{
    Isotonic, Labelled, RIDGE, Recalibration, Spread, Temperature, VectorScaling,
};
use crate::data::{Dataset, Task, stratified_split};
use crate::error::{Error, Result};
use crate::model::Observation;
use crate::rng::{Phase, Streams};

/// Posterior draws of the predictions.
const DRAWS: usize = 256;

/// Fits to some rows and calibrates on the others.
pub(super) fn fit_calibrated<T: Fits>(
    data: Dataset,
    options: &FitOptions,
    how: &CalibrationSettings,
    progress: &dyn Progress,
) -> Result<FitResult<T>> {
    check(&data, options, how)?;
    if let Some((conformal, folds)) = how.conformal.as_ref().and_then(|c| Some((c, c.folds?))) {
        return fit_crossed(&data, options, (conformal, folds), progress);
    }
    let streams = Streams::new(options.seed);
    let mut rng = streams.rng(Phase::CALIBRATE, 0);
    let split = stratified_split(&data, how.share, &mut rng)?;
    let train = data.select(&split.train)?;
    let held_out = counted_rows(data, options)?.select(&split.test)?;
    let plain = FitOptions {
        calibration: None,
        ..options.clone()
    };
    let mut result = fit_owned::<T>(train, &plain, progress)?;
    let predictor = result.model.predictor(DRAWS, options.seed)?;
    let predictor = predictor.with_quantiles(&[])?;
    let mut said = CalibrationFit {
        rows: held_out.n(),
        weight: held_out.weights().map(|w| w.iter().sum()),
        ..CalibrationFit::default()
    };
    let map = chosen(how.map, &predictor, &mut said);
    let (for_map, for_conformal) = match (map, &how.conformal) {
        (CalibrationMap::None, _) => (None, Some(held_out)),
        (_, None) => (Some(held_out), None),
        (_, Some(_)) => {
            let mut rng = streams.rng(Phase::CALIBRATE, 1);
            let halves = stratified_split(&held_out, 0.5, &mut rng)?;
            let part = |rows| held_out.select(rows).map(Some);
            (part(&halves.train)?, part(&halves.test)?)
        }
    };
    let mut calibration = Calibration::default();
    if let Some(rows) = for_map {
        let (fitted, map) = recalibrated(map, &predictor, &rows)?;
        (said.map, calibration.recalibration) = (Some(fitted), map);
    }
    if let (Some(rows), Some(settings)) = (for_conformal, &how.conformal) {
        let predictor = predictor.with_calibration(Some(calibration.clone()))?;
        let found = conformal(settings, &predictor, &rows, options.seed)?;
        said.conformal = Some(reported(&found, rows.weights()));
        calibration.conformal = Some(found);
    }
    result.report.calibrated(said);
    result.model.calibrate(calibration);
    result.model.metadata.report = Some(result.report.of_model());
    Ok(result)
}

/// The rows with their weights: their own, or those that balance the classes of all rows. (The fit
/// balances those of its training rows, of which a stratified split keeps the shares.)
fn counted_rows(data: Dataset, options: &FitOptions) -> Result<Dataset> {
    let Some(weights) = options.class_weights.of_rows(&data)? else {
        return Ok(data);
    };
    let name = String::from(data.weights_name().unwrap_or("class weights"));
    data.with_weights(name, weights)
}

fn check(data: &Dataset, options: &FitOptions, how: &CalibrationSettings) -> Result<()> {
    let inside = |p: f64| p > 0.0 && p < 1.0;
    let wrong = "must lie strictly between 0 and 1";
    if !inside(how.share) {
        return Err(Error::config("calibrate", how.share, wrong));
    }
    if let Some(c) = how.conformal.as_ref().filter(|c| !inside(c.level)) {
        return Err(Error::config("conformal", c.level, wrong));
    }
    let classes = match data.task() {
        Task::Classification { classes } => Some(classes),
        Task::Regression => None,
    };
    let counts = observation(data, options)? == Observation::Poisson;
    let unwarped = options.target_transform == TargetTransform::None;
    let refused = match (how.map, classes) {
        (CalibrationMap::Auto | CalibrationMap::None, _) => None,
        (CalibrationMap::Temperature | CalibrationMap::Vector, Some(_)) => None,
        (CalibrationMap::Isotonic, Some(2)) => None,
        (CalibrationMap::Isotonic, _) => Some("is for two classes"),
        (CalibrationMap::Temperature | CalibrationMap::Vector, None) => Some("is for classes"),
        (CalibrationMap::Spread, Some(_)) => Some("is for a target that is a number"),
        (CalibrationMap::Spread, None) if counts || !unwarped => {
            Some("is not for counts, nor for a target with a transform")
        }
        (CalibrationMap::Spread, None) => None,
    };
    if let Some(requirement) = refused {
        return Err(Error::config("calibration", how.map, requirement));
    }
    let Some(conformal) = &how.conformal else {
        return Ok(());
    };
    if let Some(folds) = conformal.folds {
        let refused = if folds < 2 || folds > data.n() {
            Some("must be at least 2, and at most the number of rows")
        } else if how.map != CalibrationMap::None {
            Some("holds no rows out that a map could be fitted to")
        } else if conformal.class_conditional {
            Some("does not go with class-conditional thresholds")
        } else if options.class_weights.of_rows(data)?.is_some() {
            Some("is for rows that count alike: these have weights")
        } else if options.method.method() == Method::Auto {
            Some("is for one model, not for a mixture")
        } else if options.method.checkpoint().is_some() {
            Some("is of several fits, so there is no checkpoint to go on from")
        } else if options.method.loo_refits() > 0 {
            Some("has no leave-one-out: each fit lacks a fold of the rows")
        } else {
            None
        };
        if let Some(requirement) = refused {
            return Err(Error::config("conformal_folds", folds, requirement));
        }
    }
    match (conformal.score, classes) {
        (Some(score @ ConformalScore::Set(_)), None) => {
            let requirement = "is for classes; this target is a number";
            return Err(Error::config("conformal_score", score.name(), requirement));
        }
        (Some(score @ ConformalScore::Interval(_)), Some(_)) => {
            let requirement = "is for a number; this target is a class";
            return Err(Error::config("conformal_score", score.name(), requirement));
        }
        _ => {}
    }
    if conformal.class_conditional && classes.is_none() {
        let requirement = "is for classes; this target is a number";
        return Err(Error::config("class_conditional", true, requirement));
    }
    Ok(())
}

/// The map that `auto` stands for. Where predictions cannot be stretched there is none, and the
/// report says so.
fn chosen(map: CalibrationMap, predictor: &Predictor, said: &mut CalibrationFit) -> CalibrationMap {
    let of_classes = predictor.classes().is_some();
    match map {
        CalibrationMap::Auto if of_classes => CalibrationMap::Temperature,
        CalibrationMap::Auto | CalibrationMap::Spread if !predictor.stretches() => {
            said.unstretched = true;
            CalibrationMap::None
        }
        CalibrationMap::Auto => CalibrationMap::Spread,
        other => other,
    }
}

/// Fits a map. One that changes nothing is not kept.
fn recalibrated(
    map: CalibrationMap,
    predictor: &Predictor,
    rows: &Dataset,
) -> Result<(MapFit, Option<Recalibration>)> {
    let n = rows.weights().map_or(rows.n() as f64, |w| w.iter().sum());
    let mut fitted = MapFit {
        name: map.name().into(),
        rows: rows.n(),
        ..MapFit::default()
    };
    let Predictions::Classes(p) = predictor.rows(rows.features())? else {
        let found = Spread::fit(RIDGE, |factors| predictor.stretched_losses(rows, factors))?;
        (fitted.nll_before, fitted.nll_after) = (found.before / n, found.after / n);
        let kept = found.spread != Spread::IDENTITY;
        fitted.factor = kept.then_some(found.spread.factor);
        return Ok((fitted, kept.then_some(Recalibration::Spread(found.spread))));
    };
    let labels = rows.labels()?;
    let labelled = Labelled::new(&p.probabilities, p.classes, &labels)?;
    let labelled = labelled.weighted(rows.weights())?;
    let (found, same) = match map {
        CalibrationMap::Vector => {
            let found = VectorScaling::fit(&labelled, RIDGE)?;
            let same = found == VectorScaling::identity(p.classes);
            (Recalibration::Vector(found), same)
        }
        CalibrationMap::Isotonic => {
            let found = Isotonic::fit(&labelled)?;
            let same = found == Isotonic::identity();
            (Recalibration::Isotonic(found), same)
        }
        _ => {
            let found = Temperature::fit(&labelled, RIDGE);
            fitted.factor = (found != Temperature::IDENTITY).then_some(found.temperature);
            (
                Recalibration::Temperature(found),
                found == Temperature::IDENTITY,
            )
        }
    };
    fitted.nll_before = labelled.nll(|_| ()) / n;
    fitted.nll_after = labelled.nll(|p| found.apply(p)) / n;
    fitted.unchanged = same;
    Ok((fitted, (!same).then_some(found)))
}

fn conformal(
    how: &ConformalSettings,
    predictor: &Predictor,
    rows: &Dataset,
    seed: u64,
) -> Result<Conformal> {
    let score = score_of(how, predictor.classes());
    let scores = predictor.conformal_scores(rows, score, how.level, seed)?;
    let thresholds = match (how.class_conditional, predictor.classes()) {
        (true, Some(k)) => {
            thresholds_by_class(&scores, &rows.labels()?, rows.weights(), k, how.level)?
        }
        _ => vec![weighted_threshold(&scores, rows.weights(), how.level)?],
    };
    Ok(Conformal {
        level: how.level,
        score,
        thresholds,
        folds: Vec::new(),
        rows: rows.n(),
        seed,
    })
}
