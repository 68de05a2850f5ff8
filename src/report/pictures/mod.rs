//! The pictures: each a small file from data to panels.

mod beside;
mod calibration;
mod confusion;
mod coverage;
mod dependence;
mod directions;
pub(super) mod elsewhere;
mod few_inputs;
mod fit;
mod intervals;
mod mixing;
pub(super) mod overlay;
mod selective;
pub(super) mod unsure;
mod walk;

use super::figure::Picture;
use super::material::Material;
use crate::error::Result;
use crate::metrics::ScoredRows;

/// Names of all pictures, in the order of a report, with what each is of.
pub const NAMES: [(&str, &str); 24] = [
    ("line", "a regression with one feature"),
    ("map", "classes with two features"),
    ("reliability", "classes"),
    ("confidence", "classes"),
    ("confusion", "classes"),
    ("doubt", "classes"),
    ("predicted", "a regression"),
    ("widths", "a regression"),
    ("coverage", "a regression"),
    ("pit", "a regression"),
    ("qq", "a regression"),
    ("errors", "a regression"),
    ("risk-coverage", "every model"),
    ("dependence", "tables of two features or more"),
    ("elsewhere", "every model, with --ood"),
    ("energy", "a walk; files of this version"),
    ("predictions", "a model that keeps all points of its walk"),
    ("ranks", "a model that keeps all points of its walk"),
    ("mixing", "a model that keeps all points of its walk"),
    ("directions", "a model with draws"),
    ("beside", "a flow of points of its walk"),
    ("scales", "a model with sampled scales"),
    (
        "spectrum",
        "a model with given scales; files of this version",
    ),
    ("loo", "a walk; files of this version"),
];

/// Whether predictions are right.
pub(super) fn of_predictions(material: &Material<'_>) -> Result<Vec<Picture>> {
    let weights = material.scored.weights();
    let rows = material.scored.class_rows()?;
    match (material.scored, rows) {
        (
            ScoredRows::Classes {
                predictions,
                labels,
                ..
            },
            Some(rows),
        ) => {
            let doubt: Vec<f64> = rows.confidences().iter().map(|c| 1.0 - c).collect();
            let misses: Vec<f64> = rows.hits().iter().map(|h| 1.0 - h).collect();
            let probabilities = &predictions.probabilities;
            Ok(vec![
                calibration::reliability(&rows)?,
                calibration::confidence(&rows)?,
                confusion::confusion(&rows, probabilities, labels, &material.classes),
                selective::risk_coverage(
                    &doubt,
                    &misses,
                    weights,
                    "share of answers that are wrong",
                )?,
                selective::doubts(&rows, predictions),
            ])
        }
        (ScoredRows::Real(rows), _) => {
            let mut all = intervals::intervals(rows, material.target());
            all.extend(coverage::coverage(rows)?);
            let misses: Vec<f64> = rows.errors().iter().map(|e| e.abs()).collect();
            all.push(selective::risk_coverage(
                rows.stds(),
                &misses,
                weights,
                "mean size of the error",
            )?);
            Ok(all)
        }
        (ScoredRows::Classes { .. }, None) => Ok(Vec::new()),
    }
}

/// What the model does with its features.
pub(super) fn of_features(material: &Material<'_>) -> Result<Vec<Picture>> {
    let all = [
        few_inputs::few_inputs(material)?,
        dependence::dependence(material)?,
    ];
    Ok(all.into_iter().flatten().collect())
}

/// How the fit went, as far as the file tells.
pub(super) fn of_fit(material: &Material<'_>) -> Result<Vec<Picture>> {
    let Some(report) = &material.metadata.report else {
        return Ok(Vec::new());
    };
    let trace = report.walk.as_ref().and_then(|w| w.trace.as_ref());
    let parameters = material.parameters;
    let mut all = vec![
        trace.and_then(|trace| walk::energy(trace, report)),
        walk::predictions(material)?,
    ];
    all.extend(mixing::mixing(material)?.into_iter().map(Some));
    all.extend([
        directions::directions(material)?,
        beside::beside(material)?,
        fit::scales(material),
        report
            .tangent
            .as_ref()
            .and_then(|t| fit::spectrum(t, parameters)),
        report.loo.as_ref().and_then(fit::leave_one_out),
    ]);
    Ok(all.into_iter().flatten().collect())
}
