//! The energy and predictions along the walk.

use crate::artifact::report::{EnergyTrace, FitReport};
use crate::error::Result;
use crate::report::figure::{Axis, Figure, Mark, Picture, Tone, extent, padded, thinned};
use crate::report::material::Material;
use crate::report::ticks::short;

/// Most rows whose predictions are followed.
const FOLLOWED: usize = 3;

/// The energy along the walk.
pub fn energy(trace: &EnergyTrace, report: &FitReport) -> Option<Picture> {
    let steps = trace.steps.iter().map(|s| *s as f64);
    let ends = trace.low.iter().zip(&trace.high);
    let band: Vec<[f64; 3]> = steps
        .clone()
        .zip(ends)
        .map(|(s, (l, h))| [s, *l, *h])
        .collect();
    let middle: Vec<[f64; 2]> = steps.zip(&trace.median).map(|(s, m)| [s, *m]).collect();
    let (first, last) = (middle.first()?, middle.last()?);
    let y = extent(band.iter().flat_map(|b| [b[1], b[2]]));
    let figure = Figure::new(
        "Energy along the walk",
        Axis::new("steps", [first[0], last[0].max(first[0] + 1.0)]),
        Axis::new("U (nats)", padded(y, 0.08)),
    )
    .mark(Mark::Band(Tone::Series(0), band))
    .mark(Mark::Line(Tone::Series(0), middle.clone()))
    .name(Tone::Series(0), "median and 90 % of the walkers")
    .say(format!(
        "median U {} at step {}, {} at step {}",
        short(first[1]),
        first[0],
        short(last[1]),
        last[0]
    ));
    let expected = report.expected_energy().map_or(String::new(), |e| {
        format!(
            " A Gaussian with this estimate would have {} nats.",
            short(e)
        )
    });
    Some(Picture {
        name: "energy",
        title: "Energy along the walk".into(),
        caption: format!(
            "U says how badly parameters fit data and prior. After the warm-up it should neither \
             rise nor fall: a slope means that the walk was too short (more --steps).{expected}"
        ),
        panels: vec![figure],
    })
}

/// Predictions of some rows along the walk: the mean over walkers at each kept point.
///
/// # Errors
/// Those of predictions.
pub fn predictions(material: &Material<'_>) -> Result<Option<Picture>> {
    let Some(particles) = material.particles else {
        return Ok(None);
    };
    let rows = thinned(material.test.n(), FOLLOWED);
    let x: Vec<f64> = rows
        .iter()
        .flat_map(|r| material.test.row(*r).to_vec())
        .collect();
    let Some(by_draw) = all_draws(material, &x)? else {
        return Ok(None);
    };
    let draws = by_draw.samples / particles;
    if draws < 2 {
        return Ok(None);
    }
    let what = match material.classes.first() {
        Some(class) => format!("probability of {class}"),
        None => format!("predicted {}", material.target()),
    };
    let mut figure = Figure::new(
        "Predictions along the walk",
        Axis::new("kept points of each walker", [1.0, draws as f64]),
        Axis::new(what, [0.0, 1.0]),
    );
    let mut ends = Vec::new();
    for (series, row) in rows.iter().enumerate() {
        let values: Vec<f64> = by_draw
            .row(series)
            .iter()
            .step_by(by_draw.width)
            .copied()
            .collect();
        let lines = values.chunks(particles).enumerate().map(|(t, all)| {
            let (mean, ends) = (
                crate::report::chance::mean(all),
                extent(all.iter().copied()),
            );
            (t as f64 + 1.0, mean, ends)
        });
        let lines: Vec<(f64, f64, [f64; 2])> = lines.collect();
        let tone = Tone::Series(series);
        figure.marks.push(Mark::FaintBand(
            tone,
            lines.iter().map(|l| [l.0, l.2[0], l.2[1]]).collect(),
        ));
        figure
            .marks
            .push(Mark::Line(tone, lines.iter().map(|l| [l.0, l.1]).collect()));
        figure.legend.push((tone, format!("test row {}", row + 1)));
        ends.extend(lines.iter().flat_map(|l| l.2));
    }
    figure.y.range = padded(extent(ends), 0.05);
    figure.description = "mean over the walkers, and their whole range".into();
    Ok(Some(Picture {
        name: "predictions",
        title: "Predictions along the walk".into(),
        caption:
            "Each line is the mean over the walkers, its band all of them. Lines that drift in \
                  one direction mean that the walk was too short."
                .into(),
        panels: vec![figure],
    }))
}

/// Predictions by every kept point: the predictor may hold fewer.
pub fn all_draws(material: &Material<'_>, x: &[f64]) -> Result<Option<crate::predict::Outputs>> {
    let kept = material
        .metadata
        .report
        .as_ref()
        .and_then(|r| r.walk.as_ref());
    let by_draw = material.by_draw(x)?;
    Ok(by_draw.filter(|o| kept.is_some_and(|w| w.kept == o.samples)))
}
