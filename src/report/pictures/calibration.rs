//! Reliability: how often the class that the model names is right, against how often it says so.

use crate::error::Result;
use crate::metrics::{Binning, ClassRows, DEFAULT_BINS, weighted_mean};
use crate::report::chance::{LEVEL, effective, weight_histogram, wilson};
use crate::report::figure::{Axis, Figure, Mark, Picture, Tone};
use crate::report::ticks::short;

/// One bin of rows: what was said, what happened, and what the frequency may be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Mean stated probability.
    pub said: f64,
    /// Share of the rows that were right.
    pub happened: f64,
    /// The 90 % interval of that share.
    pub interval: [f64; 2],
    /// Rows.
    pub count: usize,
    /// The middle of the bin.
    pub middle: f64,
}

/// The bins that hold rows. A row counts by its weight, and the interval is that of the effective
/// number of rows of the bin.
///
/// # Errors
/// Those of reliability diagrams.
pub fn points(rows: &ClassRows<'_>) -> Result<Vec<Point>> {
    let bins = rows.reliability(Binning::EqualWidth(DEFAULT_BINS))?;
    let confidences = rows.confidences();
    let filled = bins.iter().filter(|bin| bin.weight > 0.0);
    let points = filled.map(|bin| {
        let pairs = confidences.iter().zip(rows.weights().unwrap_or(&[]));
        let own = pairs.filter(|(c, _)| **c > bin.lower && **c <= bin.upper);
        let own: Vec<f64> = own.map(|(_, weight)| *weight).collect();
        let n = effective(bin.count, rows.weights().map(|_| &own[..]));
        Point {
            said: bin.confidence,
            happened: bin.accuracy,
            interval: wilson(bin.accuracy, n),
            count: bin.count,
            middle: 0.5 * (bin.lower + bin.upper),
        }
    });
    Ok(points.collect())
}

/// The diagonal of an axis from 0 to 1.
pub fn diagonal() -> Mark {
    Mark::Dashed(Tone::Reference, vec![[0.0, 0.0], [1.0, 1.0]])
}

/// Axes from 0 to 1.
pub fn unit(label: &str) -> Axis {
    Axis::new(label, [0.0, 1.0])
}

/// The reliability diagram.
pub fn reliability(rows: &ClassRows<'_>) -> Result<Picture> {
    let points = points(rows)?;
    let said: Vec<String> = points
        .iter()
        .map(|p| {
            format!(
                "said {} %, right {} % of {}",
                short(100.0 * p.said),
                short(100.0 * p.happened),
                p.count
            )
        })
        .collect();
    let counts = points
        .iter()
        .map(|p| Mark::Text([p.middle, 0.035], p.count.to_string()));
    let counts: Vec<Mark> = counts.collect();
    let mut figure = Figure::new(
        "Is it right as often as it says?",
        unit("stated probability of the named class"),
        unit("share of rows that are right"),
    )
    .mark(diagonal())
    .mark(Mark::Strokes(
        Tone::Series(0),
        points
            .iter()
            .map(|p| [p.said, p.interval[0], p.said, p.interval[1]])
            .collect(),
    ))
    .mark(Mark::Line(
        Tone::Series(0),
        points.iter().map(|p| [p.said, p.happened]).collect(),
    ))
    .mark(Mark::Dots(
        Tone::Series(0),
        7.0,
        points.iter().map(|p| [p.said, p.happened]).collect(),
    ))
    .name(Tone::Series(0), "bins of rows, 90 % intervals")
    .name(Tone::Reference, "as often as it says")
    .say(said.join("; "));
    figure.marks.extend(counts);
    Ok(Picture {
        name: "reliability",
        title: "Reliability".into(),
        caption: format!(
            "Rows are grouped by how sure the model is. A dot below the dashed line means that it \
             is surer than it should be, above it less sure. The strokes are {:.0} % intervals: \
             where they meet the line, chance explains the gap. The numbers at the bottom count \
             rows; a dot of few rows says little.",
            100.0 * LEVEL
        ),
        panels: vec![figure],
    })
}

/// How sure the model is where it is right and where it is wrong.
///
/// # Errors
/// Those of means.
pub fn confidence(rows: &ClassRows<'_>) -> Result<Picture> {
    const BINS: usize = 20;
    let (confidences, hits) = (rows.confidences(), rows.hits());
    let of = |hit: f64| -> (Vec<f64>, Vec<f64>) {
        let weight = |i: usize| rows.weights().map_or(1.0, |w| w[i]);
        let own = (0..rows.len()).filter(|&i| hits[i] == hit && weight(i) > 0.0);
        own.map(|i| (confidences[i], weight(i))).unzip()
    };
    let (right, wrong) = (of(1.0), of(0.0));
    let range = [0.0, 1.0];
    let heights = |(values, weights): &(Vec<f64>, Vec<f64>), sign: f64| -> Vec<f64> {
        let all = weight_histogram(values, Some(weights), range, BINS);
        all.into_iter().map(|c| sign * c).collect()
    };
    let (up, down) = (heights(&right, 1.0), heights(&wrong, -1.0));
    let top = up.iter().copied().fold(1.0, f64::max);
    let bottom = down.iter().copied().fold(-1.0, f64::min);
    let ticks = crate::report::ticks::ticks(&Axis::new("", [bottom, top]), 6);
    // counts are whole; weights need not be
    let weighted = rows.weights().is_some();
    let ticks = ticks.into_iter().filter(|t| weighted || t.0.fract() == 0.0);
    let ticks = ticks.map(|(at, text)| (at, text.trim_start_matches('-').to_string()));
    let y = Axis::new(
        match weighted {
            true => "weight of rows: right above, wrong below",
            false => "rows: right above, wrong below",
        },
        [1.08 * bottom, 1.08 * top],
    )
    .with(crate::report::figure::Ticks::Named(ticks.collect()));
    let describe = |name: &str, (values, weights): &(Vec<f64>, Vec<f64>)| -> Result<String> {
        if values.is_empty() {
            return Ok(format!("{name}: no rows"));
        }
        let (rows, sure) = (values.len(), weighted_mean(values, Some(weights))?);
        Ok(format!(
            "{name}: {rows} rows, {} sure on average",
            short(sure)
        ))
    };
    let figure = Figure::new(
        "How sure, when right and when wrong",
        unit("stated probability of the named class"),
        y,
    )
    .mark(Mark::Bars(
        Tone::Right,
        crate::report::chance::bars(&up, range),
    ))
    .mark(Mark::Bars(
        Tone::Wrong,
        crate::report::chance::bars(&down, range),
    ))
    .name(Tone::Right, "right")
    .name(Tone::Wrong, "wrong")
    .say(format!(
        "{}; {}",
        describe("right", &right)?,
        describe("wrong", &wrong)?
    ));
    Ok(Picture {
        name: "confidence",
        title: "Confidence, right and wrong".into(),
        caption:
            "Good: long bars above on the right, and what is below is on the left. Bars below \
                  on the far right are rows where the model is sure and wrong."
                .into(),
        panels: vec![figure],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Four rows of two classes: said 0.9, 0.9, 0.7, 0.6; right, wrong, right, wrong.
    const PROBABILITIES: [f64; 8] = [0.9, 0.1, 0.1, 0.9, 0.7, 0.3, 0.4, 0.6];
    const LABELS: [usize; 4] = [0, 0, 0, 0];

    #[test]
    fn bins_by_hand() {
        let rows = ClassRows::new(&PROBABILITIES, 2, &LABELS).unwrap();
        let points = points(&rows).unwrap();
        let said: Vec<f64> = points.iter().map(|p| p.said).collect();
        assert_eq!(said, [0.6, 0.7, 0.9]);
        let happened: Vec<f64> = points.iter().map(|p| p.happened).collect();
        assert_eq!(happened, [0.0, 1.0, 0.5]);
        assert_eq!(points[2].count, 2);
        assert_eq!(points[2].interval, wilson(0.5, 2.0));
    }

    /// A row of weight 0 is not there, equal weights change nothing, and unequal ones widen the
    /// interval: weights 3 and 1 tell as much as 16/10 rows.
    #[test]
    fn bins_of_rows_with_weights() {
        let of = |weights: &[f64]| {
            let rows = ClassRows::new(&PROBABILITIES, 2, &LABELS).unwrap();
            points(&rows.weighted(weights).unwrap()).unwrap()
        };
        let plain = points(&ClassRows::new(&PROBABILITIES, 2, &LABELS).unwrap()).unwrap();
        assert_eq!(of(&[2.0; 4]), plain);
        let some = of(&[3.0, 1.0, 1.0, 0.0]);
        let happened: Vec<f64> = some.iter().map(|p| p.happened).collect();
        assert_eq!(happened, [1.0, 0.75]);
        assert_eq!(some[1].interval, wilson(0.75, 1.6));
    }

    #[test]
    fn right_rows_stand_above_and_wrong_rows_below() {
        let rows = ClassRows::new(&PROBABILITIES, 2, &LABELS).unwrap();
        let picture = confidence(&rows).unwrap();
        let Mark::Bars(Tone::Right, up) = &picture.panels[0].marks[0] else {
            panic!("bars of right rows first");
        };
        let Mark::Bars(Tone::Wrong, down) = &picture.panels[0].marks[1] else {
            panic!("then those of wrong rows");
        };
        let heights = |bars: &[[f64; 4]]| bars.iter().map(|b| b[3]).collect::<Vec<_>>();
        assert_eq!(heights(up).iter().sum::<f64>(), 2.0);
        assert_eq!(heights(down).iter().sum::<f64>(), -2.0);
        assert!(
            picture.panels[0]
                .description
                .contains("right: 2 rows, 0.8 sure")
        );
    }
}
