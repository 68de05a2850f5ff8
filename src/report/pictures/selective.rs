//! Risk against coverage, and the two parts of the doubt about a class.

use crate::error::Result;
use crate::metrics::{ClassRows, RiskCoverage};
use crate::predict::ClassPredictions;
use crate::report::figure::{Axis, Figure, Mark, Picture, Tone, extent, padded, thinned};
use crate::report::ticks::short;

/// Most points of a curve, and most dots of a kind.
const MOST: usize = 300;
const DOTS: usize = 700;

/// The curve: how far wrong the surest rows are. `what` names the loss.
///
/// # Errors
/// Those of [`RiskCoverage::new`].
pub fn risk_coverage(
    doubt: &[f64],
    losses: &[f64],
    weights: Option<&[f64]>,
    what: &str,
) -> Result<Picture> {
    let curve = RiskCoverage::new(doubt, losses, weights)?;
    let best = RiskCoverage::new(losses, losses, weights)?;
    let line = |curve: &RiskCoverage| -> Vec<[f64; 2]> {
        let some = thinned(curve.points.len(), MOST).into_iter();
        let points = some.filter_map(|i| curve.points.get(i));
        points.map(|p| [p.coverage, p.risk]).collect()
    };
    let (points, ideal) = (line(&curve), line(&best));
    let whole = points.last().map_or(f64::NAN, |p| p[1]);
    let y = extent(points.iter().map(|p| p[1]).chain([0.0, whole]));
    let at = |share: f64| {
        points
            .iter()
            .find(|p| p[0] >= share)
            .map_or(f64::NAN, |p| p[1])
    };
    let figure = Figure::new(
        "Does it know where it may be wrong?",
        Axis::new("share of rows answered, the surest first", [0.0, 1.0]),
        Axis::new(what, [0.0, padded(y, 0.06)[1]]),
    )
    .mark(Mark::Dashed(Tone::Chance, vec![[0.0, whole], [1.0, whole]]))
    .mark(Mark::Dashed(Tone::Reference, ideal))
    .mark(Mark::Line(Tone::Series(0), points.clone()))
    .name(Tone::Series(0), "this model")
    .name(Tone::Chance, "without any idea")
    .name(Tone::Reference, "the best there could be")
    .say(format!(
        "{what}: {} of all rows, {} of the surest half",
        short(whole),
        short(at(0.5))
    ));
    Ok(Picture {
        name: "risk-coverage",
        title: "Risk and coverage".into(),
        caption: "If you only answer the rows that the model is surest of, how wrong is it then? \
                  The line should rise from the left: then you can send the unsure rows to a \
                  person. A flat line means that its doubt tells nothing."
            .into(),
        panels: vec![figure],
    })
}

/// Entropy of predictions against mutual information, right and wrong rows apart.
pub fn doubts(rows: &ClassRows<'_>, predictions: &ClassPredictions) -> Picture {
    let hits = rows.hits();
    let of = |hit: f64| -> Vec<[f64; 2]> {
        let each = predictions
            .entropy
            .iter()
            .zip(&predictions.mutual_information);
        let all: Vec<[f64; 2]> = each
            .zip(&hits)
            .filter(|e| *e.1 == hit)
            .map(|((h, i), _)| [*h, *i])
            .collect();
        thinned(all.len(), DOTS)
            .into_iter()
            .filter_map(|i| all.get(i).copied())
            .collect()
    };
    let top = extent(predictions.mutual_information.iter().copied())[1];
    let (right, wrong) = (of(1.0), of(0.0));
    let middle = |dots: &[[f64; 2]], i: usize| {
        let values: Vec<f64> = dots.iter().map(|d| d[i]).collect();
        short(crate::report::chance::quantile(&values, 0.5))
    };
    let figure = Figure::new(
        "What kind of doubt",
        Axis::new(
            "entropy: all doubt (nats)",
            padded([0.0, (predictions.classes as f64).ln()], 0.03),
        ),
        Axis::new(
            "mutual information (nats)",
            padded([0.0, top.max(1e-6)], 0.05),
        ),
    )
    .mark(Mark::Dots(Tone::Right, 4.0, right.clone()))
    .mark(Mark::Dots(Tone::Wrong, 5.0, wrong.clone()))
    .name(Tone::Right, "right")
    .name(Tone::Wrong, "wrong")
    .say(format!(
        "median entropy {} of right and {} of wrong rows; median mutual information {} and {}",
        middle(&right, 0),
        middle(&wrong, 0),
        middle(&right, 1),
        middle(&wrong, 1)
    ));
    Picture {
        name: "doubt",
        title: "Entropy and mutual information".into(),
        caption:
            "To the right: rows that the model doubts. High up: rows where more training data \
                  would help, because the plausible networks disagree. To the right and low down: \
                  the features do not tell the classes apart, and more rows would not help."
                .into(),
        panels: vec![figure],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The surest row is right, the next wrong: risk 0, 1/2, 1/3.
    #[test]
    fn a_curve_by_hand() {
        let risks = |weights: Option<&[f64]>| -> Vec<f64> {
            let (doubt, losses) = ([0.1, 0.2, 0.3], [0.0, 1.0, 0.0]);
            let picture = risk_coverage(&doubt, &losses, weights, "error rate").unwrap();
            let Mark::Line(_, points) = &picture.panels[0].marks[2] else {
                panic!("the curve is in front");
            };
            points.iter().map(|p| p[1]).collect()
        };
        assert_eq!(risks(None), [0.0, 0.5, 1.0 / 3.0]);
        // the second row counts three times
        assert_eq!(risks(Some(&[1.0, 3.0, 2.0])), [0.0, 0.75, 0.5]);
    }
}
