//! Partial dependence with credible bands: the mean prediction over rows as one feature moves.
//!
//! `f_s(v) = mean_i f(x_i with x_ij = v; theta_s)` for each draw `s` (Friedman 2001). The band is
//! over draws: what is not known about the curve. Other features keep their values, so rows may
//! arise that do not occur.

use crate::error::Result;
use crate::report::chance::{mean, quantile};
use crate::report::figure::{Axis, Figure, Mark, Picture, Tone, extent, padded, thinned};
use crate::report::material::Material;
use crate::report::ticks::short;

/// Grid points of a feature, rows that are averaged over, curves that are shown, features that are
/// tried, and classes that have lines.
const GRID: usize = 17;
const ROWS: usize = 40;
const SHOWN: usize = 8;
const TRIED: usize = 64;
const CLASSES: usize = 5;

/// The curve of one feature and one class: `[value, low, mean, high]`, a point for each value. The
/// band is missing (equal to the mean) where a model does not predict by draws. A map of class
/// probabilities moves the mean; the band is then before it.
pub type Curve = Vec<[f64; 4]>;

/// Values that a feature is set to: quantiles of the rows from 2 to 98 %, each once.
pub fn grid(values: &[f64], most: usize) -> Vec<f64> {
    let mut distinct = values.to_vec();
    distinct.sort_by(f64::total_cmp);
    distinct.dedup();
    if distinct.len() <= 4 {
        return distinct;
    }
    let (low, high) = (quantile(values, 0.02), quantile(values, 0.98));
    if high <= low {
        return distinct;
    }
    let step = (high - low) / (most - 1) as f64;
    (0..most).map(|i| low + i as f64 * step).collect()
}

/// The curves of a feature, one for each class or one for a number.
///
/// # Errors
/// Those of predictions.
pub fn curves(material: &Material<'_>, feature: usize, rows: &[usize]) -> Result<Vec<Curve>> {
    let column: Vec<f64> = (0..material.test.n())
        .map(|r| material.test.row(r)[feature])
        .collect();
    let grid = grid(&column, GRID);
    let mut x = Vec::new();
    for &value in &grid {
        for &row in rows {
            let start = x.len();
            x.extend_from_slice(material.test.row(row));
            x[start + feature] = value;
        }
    }
    // one draw with the mean prediction stands for a model without draws
    let (values, width, draws) = match material.stretched_by_draw(&x)? {
        Some(by_draw) => (by_draw.values, by_draw.width, by_draw.samples),
        None => {
            let (means, width) = material.means(&x)?;
            (means, width, 1)
        }
    };
    let mapped = match material.maps_classes() {
        true => Some(material.means(&x)?.0),
        false => None,
    };
    let (per_row, count) = (draws * width, rows.len().max(1));
    let each = grid.iter().zip(values.chunks(count * per_row)).enumerate();
    let mut curves = vec![Curve::new(); width];
    for (i, (&value, block)) in each {
        for (class, curve) in curves.iter_mut().enumerate() {
            let of_draw = |s: usize| {
                let at = |row: &[f64]| row[s * width + class];
                block.chunks(per_row).map(at).sum::<f64>() / count as f64
            };
            let over_draws: Vec<f64> = (0..draws).map(of_draw).collect();
            let at = |p: f64| quantile(&over_draws, p);
            let middle = match &mapped {
                None => mean(&over_draws),
                Some(p) => {
                    let block = p[i * count * width..(i + 1) * count * width].iter();
                    block.skip(class).step_by(width).sum::<f64>() / count as f64
                }
            };
            curve.push([value, at(0.05), middle, at(0.95)]);
        }
    }
    Ok(curves)
}

/// How far a feature moves the mean prediction: the largest range of its curves.
fn reach(curves: &[Curve]) -> f64 {
    let range = |curve: &Curve| {
        let [low, high] = extent(curve.iter().map(|c| c[2]));
        high - low
    };
    curves.iter().map(range).fold(0.0, f64::max)
}

/// The curves of the features that move predictions most.
///
/// # Errors
/// Those of predictions.
pub fn dependence(material: &Material<'_>) -> Result<Option<Picture>> {
    // pixels mean little one by one, and a single feature has a picture of the whole model
    let whole = material.test.d() == 1 && material.classes.is_empty();
    if material.metadata.image.is_some() || whole {
        return Ok(None);
    }
    let names = &material.metadata.feature_names;
    let rows = thinned(material.test.n(), ROWS);
    let tried = names.len().min(TRIED);
    let all = crate::parallel::try_map(tried, |j| curves(material, j, &rows))?;
    let mut order: Vec<usize> = (0..tried)
        .filter(|j| all[*j].first().is_some_and(|c| c.len() > 1))
        .collect();
    order.sort_by(|a, b| reach(&all[*b]).total_cmp(&reach(&all[*a])));
    let left = names.len() - order.len().min(SHOWN);
    order.truncate(SHOWN);
    if order.is_empty() {
        return Ok(None);
    }
    let classes = material.classes.len();
    let shown: Vec<usize> = match classes {
        0 => vec![0],
        2 => vec![1],
        k => (0..k.min(CLASSES)).collect(),
    };
    let ends = order.iter().flat_map(|j| {
        shown
            .iter()
            .flat_map(|c| all[*j][*c].iter().flat_map(|p| [p[1], p[2], p[3]]))
    });
    let y = padded(extent(ends), 0.05);
    let what = match (classes, material.classes.get(1)) {
        (0, _) if material.draws_medians() => format!("median {}", material.target()),
        (0, _) => format!("mean {}", material.target()),
        (2, Some(name)) => format!("probability of {name}"),
        _ => "mean probability".into(),
    };
    let panels = order.iter().map(|&j| {
        let range = extent(all[j][0].iter().map(|p| p[0]));
        let mut figure = Figure::new(
            &names[j],
            Axis::new(&names[j], padded(range, 0.02)),
            Axis::new(&what, y),
        );
        figure.aspect = 0.6;
        let mut said = Vec::new();
        for (series, &class) in shown.iter().enumerate() {
            let curve = &all[j][class];
            let tone = Tone::Series(series);
            let band = curve.iter().map(|p| [p[0], p[1], p[3]]).collect();
            // several strong bands would hide one another
            figure.marks.push(match shown.len() {
                1 => Mark::Band(tone, band),
                _ => Mark::FaintBand(tone, band),
            });
            figure.marks.push(Mark::Line(
                tone,
                curve.iter().map(|p| [p[0], p[2]]).collect(),
            ));
            if classes > 2 {
                figure.legend.push((tone, material.classes[class].clone()));
            }
            if let (Some(first), Some(last)) = (curve.first(), curve.last()) {
                said.push(format!("from {} to {}", short(first[2]), short(last[2])));
            }
        }
        figure.say(format!(
            "over the range of {}: {}",
            names[j],
            said.join("; ")
        ))
    });
    let panels: Vec<Figure> = panels.collect();
    let more = match left {
        0 => String::new(),
        left => format!(" Not shown: {left} more, which move predictions less."),
    };
    Ok(Some(Picture {
        name: "dependence",
        title: "What moves the predictions".into(),
        caption: format!(
            "The mean {} over {} test rows as one feature moves and the others stay, the \
             strongest features first. {} It is what the model does, not what causes what.{more}",
            match material.draws_medians() {
                true => "of the predicted medians",
                false => "prediction",
            },
            rows.len(),
            about_band(&all, material.maps_classes())
        ),
        panels,
    }))
}

/// What the band is, if there is one.
fn about_band(all: &[Vec<Curve>], mapped: bool) -> &'static str {
    match (all.iter().flatten().flatten().any(|p| p[1] < p[3]), mapped) {
        (false, _) => "There is no band: the model has no draws to make it from.",
        (true, false) => {
            "The band holds 90 % of the draws: where it is wide, the model does not know."
        }
        (true, true) => {
            "The line is calibrated. The band holds 90 % of the draws, before the calibration: \
             where it is wide, the model does not know."
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grid_has_each_level_of_a_category_once() {
        assert_eq!(grid(&[1.0, 0.0, 1.0, 0.0], 9), [0.0, 1.0]);
        let values: Vec<f64> = (0..=100).map(f64::from).collect();
        assert_eq!(grid(&values, 3), [2.0, 50.0, 98.0]);
        assert_eq!(grid(&[3.0; 5], 9), [3.0]);
    }

    #[test]
    fn a_band_is_spoken_of_if_there_is_one() {
        let line = vec![vec![vec![[0.0, 1.0, 1.0, 1.0]]]];
        let band = vec![vec![vec![[0.0, 0.5, 1.0, 1.5]]]];
        assert!(about_band(&line, false).contains("no band"));
        assert!(about_band(&band, false).starts_with("The band holds"));
        assert!(about_band(&band, true).contains("before the calibration"));
    }
}
