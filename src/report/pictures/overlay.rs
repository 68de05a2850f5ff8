//! Several methods in one picture: reliability, coverage, and risk against coverage.

use crate::error::Result;
use crate::metrics::{RiskCoverage, ScoredRows};
use crate::report::figure::{Axis, Figure, Mark, Picture, Tone, extent, padded, thinned};
use crate::report::ticks::short;

use super::calibration::{diagonal, points, unit};
use super::coverage::levels;

/// The scored rows of each method, by name: the same test rows for all.
///
/// # Errors
/// Those of scores.
pub fn overlay(all: &[(String, &ScoredRows)]) -> Result<Vec<Picture>> {
    let mut first: Option<Figure> = None;
    let mut risks = Vec::new();
    for (series, (name, scored)) in all.iter().enumerate() {
        let tone = Tone::Series(series);
        let classes = scored.class_rows()?;
        let of = (*scored, classes);
        let (line, axes, doubt, losses): (Vec<[f64; 2]>, _, Vec<f64>, Vec<f64>) = match of {
            (ScoredRows::Classes { .. }, None) => continue,
            (_, Some(rows)) => {
                let points = points(&rows)?;
                (
                    points.iter().map(|p| [p.said, p.happened]).collect(),
                    [
                        "Is it right as often as it says?",
                        "stated probability of the named class",
                        "share of rows that are right",
                    ],
                    rows.confidences().iter().map(|c| 1.0 - c).collect(),
                    rows.hits().iter().map(|h| 1.0 - h).collect(),
                )
            }
            (ScoredRows::Real(rows), None) => (
                levels(rows)?,
                [
                    "Do intervals hold what they promise?",
                    "promised share of rows",
                    "share of rows inside",
                ],
                rows.stds().to_vec(),
                rows.errors().iter().map(|e| e.abs()).collect(),
            ),
        };
        let figure = first.take().unwrap_or_else(|| {
            let [title, x, y] = axes;
            Figure::new(title, unit(x), unit(y)).mark(diagonal())
        });
        first = Some(
            figure
                .mark(Mark::Line(tone, line.clone()))
                .mark(Mark::Dots(tone, 4.0, line))
                .name(tone, name),
        );
        let curve = RiskCoverage::new(&doubt, &losses, scored.weights())?;
        let some = thinned(curve.points.len(), 300)
            .into_iter()
            .filter_map(|i| curve.points.get(i));
        let points: Vec<[f64; 2]> = some.map(|p| [p.coverage, p.risk]).collect();
        risks.push((tone, name.clone(), points, curve.aurc));
    }
    let Some(first) = first else {
        return Ok(Vec::new());
    };
    let top = extent(
        risks
            .iter()
            .flat_map(|r| r.2.iter().map(|p| p[1]))
            .chain([0.0]),
    )[1];
    let mut risk = Figure::new(
        "How wrong are the surest answers?",
        Axis::new("share of rows answered, the surest first", [0.0, 1.0]),
        Axis::new("loss", [0.0, padded([0.0, top], 0.06)[1]]),
    );
    let said: Vec<String> = risks
        .iter()
        .map(|r| format!("{} {}", r.1, short(r.3)))
        .collect();
    risk.description = format!("areas under the curves: {}", said.join(", "));
    for (tone, name, points, _) in risks {
        risk = risk.mark(Mark::Line(tone, points)).name(tone, name);
    }
    let names: Vec<&str> = all.iter().map(|a| a.0.as_str()).collect();
    let first = first.say(format!("a line for each of {}", names.join(", ")));
    Ok(vec![Picture {
        name: "methods",
        title: "Methods beside one another".into(),
        caption:
            "Left: the nearer to the dashed line, the better. Right: the lower, the better; the \
                  loss is the share of wrong answers, or the mean size of the error."
                .into(),
        panels: vec![first, risk],
    }])
}
