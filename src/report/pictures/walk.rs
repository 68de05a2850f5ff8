//! The energy along the walk, and the walk on its two leading directions.

use crate::artifact::report::{EnergyTrace, FitReport};
use crate::error::Result;
use crate::linalg::symmetric_eigen;
use crate::report::figure::{Axis, Figure, Mark, Picture, Tone, extent, padded, thinned};
use crate::report::material::Material;
use crate::report::ticks::short;

/// Most points on the plane, and most rows whose predictions are followed.
const POINTS: usize = 256;
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

/// Coordinates of points `[s, dim]` on the two directions in which they vary most, `[s]`, and the
/// shares of their variance. From the Gram matrix of the centred points: there are fewer points
/// than parameters.
///
/// # Errors
/// Those of [`symmetric_eigen`].
pub fn plane(points: &[f64], dim: usize) -> Result<(Vec<[f64; 2]>, [f64; 2])> {
    let s = points.len() / dim.max(1);
    let mut mean = vec![0.0; dim];
    for point in points.chunks_exact(dim.max(1)) {
        mean.iter_mut()
            .zip(point)
            .for_each(|(m, p)| *m += p / s as f64);
    }
    let centred: Vec<Vec<f64>> = points
        .chunks_exact(dim.max(1))
        .map(|point| point.iter().zip(&mean).map(|(p, m)| p - m).collect())
        .collect();
    let gram = crate::parallel::map(s, |i| {
        let dot = |j: usize| {
            centred[i]
                .iter()
                .zip(&centred[j])
                .map(|(a, b)| a * b)
                .sum::<f64>()
        };
        (0..=i)
            .map(dot)
            .chain((i + 1..s).map(|_| 0.0))
            .collect::<Vec<f64>>()
    });
    let eigen = symmetric_eigen(&gram.concat(), s)?;
    let total: f64 = eigen.values.iter().map(|v| v.max(0.0)).sum();
    let axis = |k: usize| -> (Vec<f64>, f64) {
        let Some(at) = s.checked_sub(k + 1) else {
            return (vec![0.0; s], 0.0);
        };
        let value = eigen.values[at].max(0.0);
        let vector = &eigen.vectors[at * s..(at + 1) * s];
        // the sign of an eigenvector is arbitrary: the first point that is off is to the right
        let sign = vector
            .iter()
            .find(|v| v.abs() > 1e-9)
            .map_or(1.0, |v| v.signum());
        (
            vector.iter().map(|v| sign * v * value.sqrt()).collect(),
            value,
        )
    };
    let ((x, a), (y, b)) = (axis(0), axis(1));
    let share = |v: f64| if total > 0.0 { v / total } else { 0.0 };
    Ok((
        x.into_iter().zip(y).map(|(x, y)| [x, y]).collect(),
        [share(a), share(b)],
    ))
}

/// The kept points on their two leading directions.
///
/// # Errors
/// Those of [`plane`].
pub fn directions(material: &Material<'_>) -> Result<Option<Picture>> {
    let Some(draws) = &material.draws else {
        return Ok(None);
    };
    let dim = material.parameters;
    if dim < 2 || draws.theta.len() / dim < 4 {
        return Ok(None);
    }
    let count = draws.theta.len() / dim;
    let chosen = thinned(count, POINTS);
    let points: Vec<f64> = chosen
        .iter()
        .flat_map(|i| draws.theta[i * dim..(i + 1) * dim].to_vec())
        .collect();
    let (at, shares) = plane(&points, dim)?;
    let walk = material
        .metadata
        .report
        .as_ref()
        .and_then(|r| r.walk.as_ref());
    let energies = walk.map_or(&[][..], |w| &w.energies);
    let percent = |share: f64| short(100.0 * share);
    let axis = |k: usize, name: &str| {
        let label = format!(
            "{name} direction ({} % of the variance)",
            percent(shares[k])
        );
        Axis::of(label, at.iter().map(|p| p[k]))
    };
    let mut figure = Figure::new(
        "Draws on two directions",
        axis(0, "first"),
        axis(1, "second"),
    );
    figure.aspect = 0.85;
    if let Some(particles) = material.particles.filter(|_| count == chosen.len()) {
        let paths = (0..particles).flat_map(|p| {
            let path = at.iter().skip(p).step_by(particles).copied();
            path.chain([[f64::NAN; 2]])
        });
        figure = figure
            .mark(Mark::Thin(Tone::Chance, paths.collect()))
            .name(Tone::Chance, "paths of walkers");
    }
    let known = energies.len() == count && material.metadata.method == "walk";
    let of: Vec<f64> = match known {
        true => chosen.iter().map(|i| energies[*i]).collect(),
        false => vec![0.0; at.len()],
    };
    let limits = [1.0 / 3.0, 2.0 / 3.0].map(|p| crate::report::chance::quantile(&of, p));
    let groups: &[(&str, usize)] = match known {
        true => &[("lowest third of U", 2), ("middle", 0), ("highest", 1)],
        false => &[("draws", 0)],
    };
    for (group, (name, tone)) in groups.iter().enumerate() {
        let is_in = |u: f64| match group {
            0 => u <= limits[0],
            1 => u > limits[0] && u <= limits[1],
            _ => u > limits[1],
        };
        let part = at.iter().zip(&of).filter(|p| !known || is_in(*p.1));
        let tone = Tone::Series(*tone);
        figure = figure
            .mark(Mark::Dots(tone, 5.0, part.map(|p| *p.0).collect()))
            .name(tone, *name);
    }
    figure.description = format!(
        "{} draws; the two directions hold {} % and {} % of their variance",
        at.len(),
        percent(shares[0]),
        percent(shares[1])
    );
    Ok(Some(Picture {
        name: "directions",
        title: "Draws on their two leading directions".into(),
        caption:
            "Parameters of the draws, seen where they vary most. Walkers that stay in corners \
                  of their own explored little. Often the two directions hold a small share: the \
                  posterior of a network is wide in many directions."
                .into(),
        panels: vec![figure],
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plane_by_hand() {
        // four points of a cross: twice as far along the first of three coordinates as the second
        let points = [2.0, 0.0, 5.0, -2.0, 0.0, 5.0, 0.0, 1.0, 5.0, 0.0, -1.0, 5.0];
        let (at, shares) = plane(&points, 3).unwrap();
        let expected = [[2.0, 0.0], [-2.0, 0.0], [0.0, 1.0], [0.0, -1.0]];
        for (got, expected) in at.iter().zip(&expected) {
            assert!(
                (got[0] - expected[0]).abs() < 1e-9 && (got[1] - expected[1]).abs() < 1e-9,
                "{at:?}"
            );
        }
        assert!((shares[0] - 0.8).abs() < 1e-12 && (shares[1] - 0.2).abs() < 1e-12);
    }

    #[test]
    fn equal_points_have_no_directions() {
        let (at, shares) = plane(&[1.0; 6], 2).unwrap();
        assert!(at.iter().flatten().all(|v| v.abs() < 1e-9));
        assert_eq!(shares, [0.0, 0.0]);
    }
}
