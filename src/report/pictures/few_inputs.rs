//! Models that can be seen whole: a number from one feature, classes from two.

use crate::artifact::Predictions;
use crate::error::Result;
use crate::report::figure::{Axis, Figure, Mark, Picture, Tone, extent, padded, thinned};
use crate::report::material::Material;
use crate::report::ticks::short;

use super::confusion::top;

/// Points of the line, lines of draws, dots of rows, and cells of a map along each side.
const LINE: usize = 160;
const DRAWS: usize = 10;
const DOTS: usize = 500;
const SIDE: usize = 56;

/// The picture of a model with few features, if it has so few.
///
/// # Errors
/// Those of predictions.
pub fn few_inputs(material: &Material<'_>) -> Result<Option<Picture>> {
    match (material.test.d(), material.classes.len()) {
        (1, 0) => line(material).map(Some),
        (2, 2..) => maps(material).map(Some),
        _ => Ok(None),
    }
}

/// Feature `j` of all rows.
fn column(material: &Material<'_>, j: usize) -> Vec<f64> {
    (0..material.test.n())
        .map(|r| material.test.row(r)[j])
        .collect()
}

fn steps([low, high]: [f64; 2], count: usize) -> Vec<f64> {
    let step = (high - low) / (count - 1) as f64;
    (0..count).map(|i| low + i as f64 * step).collect()
}

fn line(material: &Material<'_>) -> Result<Picture> {
    let column = column(material, 0);
    let range = padded(extent(column.iter().copied()), 0.2);
    let x = steps(range, LINE);
    let Predictions::Real(real) = material.predictor.rows(&x)? else {
        return Err(crate::error::Error::shape(
            "picture",
            "a real target",
            "classes",
        ));
    };
    let means: Vec<[f64; 2]> = x
        .iter()
        .zip(&real.moments)
        .map(|(x, m)| [*x, m.mean])
        .collect();
    let knowing: Vec<[f64; 3]> = {
        let each = x.iter().zip(&real.moments);
        let half = |m: &crate::predict::RealMoments| 1.645 * m.epistemic_std;
        each.map(|(x, m)| [*x, m.mean - half(m), m.mean + half(m)])
            .collect()
    };
    let band: Vec<[f64; 3]> = {
        let each = x.iter().enumerate();
        let ends = |i: usize| match *real.quantiles_of(i) {
            [low, high] => [low, high],
            _ => [f64::NAN; 2],
        };
        each.map(|(i, x)| [*x, ends(i)[0], ends(i)[1]]).collect()
    };
    let rows = thinned(material.test.n(), DOTS);
    let dots: Vec<[f64; 2]> = rows
        .iter()
        .map(|r| [column[*r], material.test.targets()[*r]])
        .collect();
    let y = extent(
        band.iter()
            .flat_map(|b| [b[1], b[2]])
            .chain(dots.iter().map(|d| d[1])),
    );
    let name = &material.metadata.feature_names[0];
    let mut figure = Figure::new(
        format!("{} from {name}", material.target()),
        Axis::new(name, range),
        Axis::new(material.target(), padded(y, 0.04)),
    )
    .mark(Mark::FaintBand(Tone::Series(0), band))
    .mark(Mark::Band(Tone::Series(0), knowing));
    if let Some(draws) = material.stretched_by_draw(&x)? {
        for s in thinned(draws.samples, DRAWS) {
            let curve = x.iter().enumerate().map(|(i, x)| [*x, draws.row(i)[s]]);
            figure
                .marks
                .push(Mark::Thin(Tone::Series(3), curve.collect()));
        }
        figure
            .legend
            .push((Tone::Series(3), "draws of the posterior".into()));
    }
    let spread = |i: usize| real.moments.get(i).map_or(f64::NAN, |m| m.std);
    let figure = figure
        .mark(Mark::Line(Tone::Series(0), means))
        .mark(Mark::Dots(Tone::Series(1), 4.5, dots))
        .name(Tone::Series(0), "mean; what is not known; 90 % of rows")
        .name(Tone::Series(1), "test rows")
        .say(format!(
            "standard deviation {} at the left end, {} in the middle, {} at the right end",
            short(spread(0)),
            short(spread(LINE / 2)),
            short(spread(LINE - 1))
        ));
    Ok(Picture {
        name: "line",
        title: "The whole model".into(),
        caption: format!(
            "The pale band should hold nine in ten test rows. The strong band is what the model \
             does not know about its line (90 % of draws): it should grow where there are no \
             rows, at both ends and in gaps.{}",
            match material.draws_medians() {
                true => " The thin lines are medians, since the target is transformed.",
                false => "",
            }
        ),
        panels: vec![figure],
    })
}

fn maps(material: &Material<'_>) -> Result<Picture> {
    let names = &material.metadata.feature_names;
    let columns = [column(material, 0), column(material, 1)];
    let ranges = [0, 1].map(|j: usize| padded(extent(columns[j].iter().copied()), 0.25));
    let width = [0, 1].map(|j: usize| (ranges[j][1] - ranges[j][0]) / SIDE as f64);
    let middle = |j: usize, i: usize| ranges[j][0] + (i as f64 + 0.5) * width[j];
    let cells = (0..SIDE * SIDE).flat_map(|i| [middle(0, i % SIDE), middle(1, i / SIDE)]);
    let Predictions::Classes(p) = material.predictor.rows(&cells.collect::<Vec<_>>())? else {
        return Err(crate::error::Error::shape(
            "picture",
            "classes",
            "a real target",
        ));
    };
    let k = p.classes;
    let chance = 1.0 / k as f64;
    let named: Vec<(usize, f64)> = p
        .probabilities
        .chunks(k.max(1))
        .map(|p| {
            let class = top(p);
            (class, 0.12 + 0.78 * (p[class] - chance) / (1.0 - chance))
        })
        .collect();
    let most = extent(p.mutual_information.iter().copied())[1].max(1e-9);
    let rectangles = |level: &dyn Fn(usize) -> Option<f64>| merged(level, ranges, width);
    let axes = || {
        (
            Axis::new(&names[0], ranges[0]),
            Axis::new(&names[1], ranges[1]),
        )
    };
    let (x, y) = axes();
    let mut decision = Figure::new("Which class, and how sure", x, y);
    let (x, y) = axes();
    let mut unknown = Figure::new("Where more rows would help", x, y);
    for class in 0..k {
        let tone = Tone::Series(class);
        let of = |i: usize| (named[i].0 == class).then_some(named[i].1);
        decision.marks.push(Mark::Shades(tone, rectangles(&of)));
    }
    let doubt = |i: usize| Some(p.mutual_information[i] / most);
    unknown
        .marks
        .push(Mark::Shades(Tone::Series(3), rectangles(&doubt)));
    let labels = material.test.targets();
    let rows = thinned(material.test.n(), DOTS);
    for class in 0..k {
        let of = rows.iter().filter(|r| labels[**r] as usize == class);
        let dots: Vec<[f64; 2]> = of.map(|r| [columns[0][*r], columns[1][*r]]).collect();
        for figure in [&mut decision, &mut unknown] {
            // a rim, so that dots are seen on their own colour
            figure
                .marks
                .push(Mark::Dots(Tone::Reference, 6.5, dots.clone()));
            figure
                .marks
                .push(Mark::Dots(Tone::Series(class), 4.5, dots.clone()));
            figure
                .legend
                .push((Tone::Series(class), material.classes[class].clone()));
        }
    }
    unknown
        .legend
        .push((Tone::Series(3), "mutual information".into()));
    for figure in [&mut decision, &mut unknown] {
        figure.aspect = 0.85;
    }
    let share =
        |class: usize| named.iter().filter(|n| n.0 == class).count() as f64 / named.len() as f64;
    let shares: Vec<String> = (0..k)
        .map(|c| format!("{} {} %", material.classes[c], short(100.0 * share(c))))
        .collect();
    decision.description = format!("shares of the plane: {}", shares.join(", "));
    unknown.description = format!("mutual information up to {} nats", short(most));
    Ok(Picture {
        name: "map",
        title: "The whole model".into(),
        caption: "Left: the class that is named at each place, stronger where the model is surer. \
                  Right: mutual information, the doubt that more rows would remove. It should be \
                  strong away from the dots and along the border where dots are few."
            .into(),
        panels: vec![decision, unknown],
    })
}

/// Cells with a level as rectangles: neighbours in a row of about the same level are one.
fn merged(
    level: &dyn Fn(usize) -> Option<f64>,
    ranges: [[f64; 2]; 2],
    width: [f64; 2],
) -> Vec<([f64; 4], f64)> {
    let coarse = |i: usize| level(i).map(|l| (10.0 * l).round() / 10.0);
    let mut all = Vec::new();
    for row in 0..SIDE {
        let y = ranges[1][0] + row as f64 * width[1];
        let mut start = 0;
        while start < SIDE {
            let shade = coarse(row * SIDE + start);
            let same = (start..SIDE)
                .take_while(|i| coarse(row * SIDE + i) == shade)
                .count();
            let x = |i: usize| ranges[0][0] + i as f64 * width[0];
            if let Some(shade) = shade.filter(|s| *s > 0.0) {
                all.push(([x(start), x(start + same), y, y + width[1]], shade));
            }
            start += same.max(1);
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_of_one_level_are_one_rectangle() {
        let unit = [[0.0, SIDE as f64], [0.0, SIDE as f64]];
        let half = |i: usize| (i % SIDE < 10).then_some(0.52);
        let all = merged(&half, unit, [1.0, 1.0]);
        assert_eq!(all.len(), SIDE);
        assert_eq!(all[1], ([0.0, 10.0, 1.0, 2.0], 0.5));
        let area: f64 = merged(
            &|i| Some(if i % 2 == 0 { 0.3 } else { 0.9 }),
            unit,
            [1.0, 1.0],
        )
        .iter()
        .map(|r| (r.0[1] - r.0[0]) * (r.0[3] - r.0[2]))
        .sum();
        assert_eq!(area, (SIDE * SIDE) as f64);
    }
}
