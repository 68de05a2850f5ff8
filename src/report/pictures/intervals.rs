//! Predicted against true, and intervals in the order of their widths.

use crate::metrics::RealRows;
use crate::report::figure::{Axis, Figure, Mark, Picture, Tone, extent, padded, thinned};
use crate::report::ticks::short;

/// Most rows that are drawn.
const MOST: usize = 200;

/// Rows `[true, mean, low, high]`, in the order of the true values, at most [`MOST`].
pub fn by_truth(rows: &RealRows) -> Vec<[f64; 4]> {
    let mut all = together(rows);
    all.sort_by(|a, b| a[0].total_cmp(&b[0]));
    some(&all)
}

/// Rows `[true, mean, low, high]`, those of the narrowest interval first, at most [`MOST`].
pub fn by_width(rows: &RealRows) -> Vec<[f64; 4]> {
    let mut all = together(rows);
    all.sort_by(|a, b| (a[3] - a[2]).total_cmp(&(b[3] - b[2])));
    some(&all)
}

fn together(rows: &RealRows) -> Vec<[f64; 4]> {
    let (low, high) = rows.intervals();
    let ends = low.iter().zip(high);
    let values = rows.targets().iter().zip(rows.means());
    let all = values.zip(ends).map(|((y, m), (l, h))| [*y, *m, *l, *h]);
    all.collect()
}

fn some(all: &[[f64; 4]]) -> Vec<[f64; 4]> {
    thinned(all.len(), MOST)
        .into_iter()
        .filter_map(|i| all.get(i).copied())
        .collect()
}

fn inside(row: &[f64; 4]) -> bool {
    row[2] <= row[0] && row[0] <= row[3]
}

/// Both pictures of intervals.
pub fn intervals(rows: &RealRows, target: &str) -> Vec<Picture> {
    vec![predicted(rows, target), widths(rows, target)]
}

fn predicted(rows: &RealRows, target: &str) -> Picture {
    let drawn = by_truth(rows);
    let range = padded(
        extent(drawn.iter().flat_map(|r| [r[0], r[1], r[2], r[3]])),
        0.03,
    );
    let part = |hit: bool| drawn.iter().filter(move |r| inside(r) == hit);
    let strokes = |hit| {
        part(hit)
            .map(|r| [r[0], r[2], r[0], r[3]])
            .collect::<Vec<_>>()
    };
    let dots = |hit| part(hit).map(|r| [r[0], r[1]]).collect::<Vec<_>>();
    let missed = part(false).count();
    let figure = Figure::new(
        "Predicted against true",
        Axis::new(format!("true {target}"), range),
        Axis::new(format!("predicted {target}"), range),
    )
    .mark(Mark::Dashed(
        Tone::Reference,
        vec![[range[0], range[0]], [range[1], range[1]]],
    ))
    .mark(Mark::Thin(Tone::Right, broken(&strokes(true))))
    .mark(Mark::Thin(Tone::Wrong, broken(&strokes(false))))
    .mark(Mark::Dots(Tone::Right, 4.0, dots(true)))
    .mark(Mark::Dots(Tone::Wrong, 5.0, dots(false)))
    .name(Tone::Right, "true value in the 90 % interval")
    .name(Tone::Wrong, "outside")
    .say(format!(
        "{missed} of the {} rows drawn are outside their 90 % interval",
        drawn.len()
    ));
    Picture {
        name: "predicted",
        title: "Predicted and true values".into(),
        caption:
            "Each dot is a test row, its stroke the 90 % interval of its prediction. About one \
                  in ten strokes should miss the dashed line, where predicted and true are equal."
                .into(),
        panels: vec![figure],
    }
}

/// Strokes as one line with gaps.
fn broken(strokes: &[[f64; 4]]) -> Vec<[f64; 2]> {
    let each = strokes
        .iter()
        .flat_map(|s| [[s[0], s[1]], [s[2], s[3]], [f64::NAN; 2]]);
    each.collect()
}

fn widths(rows: &RealRows, target: &str) -> Picture {
    let drawn = by_width(rows);
    let count = drawn.len().max(2) as f64;
    let x = |i: usize| (i as f64 + 0.5) / count;
    let each = || drawn.iter().enumerate();
    let band = each()
        .map(|(i, r)| [x(i), r[2] - r[1], r[3] - r[1]])
        .collect();
    let dots = |hit: bool| -> Vec<[f64; 2]> {
        each()
            .filter(|(_, r)| inside(r) == hit)
            .map(|(i, r)| [x(i), r[0] - r[1]])
            .collect()
    };
    let y = extent(
        drawn
            .iter()
            .flat_map(|r| [r[2] - r[1], r[3] - r[1], r[0] - r[1]]),
    );
    let half = |range: std::ops::Range<usize>| {
        let part = drawn.get(range).unwrap_or_default();
        part.iter().filter(|r| inside(r)).count() as f64 / part.len().max(1) as f64
    };
    let middle = drawn.len() / 2;
    let figure = Figure::new(
        "Intervals, narrowest first",
        Axis::new("share of rows, by width of interval", [0.0, 1.0]),
        Axis::new(format!("{target}, less its prediction"), padded(y, 0.05)),
    )
    .mark(Mark::Band(Tone::Series(0), band))
    .mark(Mark::Dots(Tone::Right, 4.0, dots(true)))
    .mark(Mark::Dots(Tone::Wrong, 5.0, dots(false)))
    .name(Tone::Series(0), "90 % interval")
    .name(Tone::Right, "inside")
    .name(Tone::Wrong, "outside")
    .say(format!(
        "inside their interval: {} % of the narrower half, {} % of the wider half",
        short(100.0 * half(0..middle)),
        short(100.0 * half(middle..drawn.len()))
    ));
    Picture {
        name: "widths",
        title: "Intervals in the order of their widths".into(),
        caption: "If the model knows where it is unsure, dots spread where the band is wide. Dots \
                  outside should be one in ten everywhere: many on the left mean that it is too \
                  sure of its surest predictions."
            .into(),
        panels: vec![figure],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_in_the_order_of_their_truth_and_of_their_widths() {
        // one Gaussian each: means 0, 5, 2; deviations 2, 1, 3
        let rows = RealRows::of_mixtures(
            &[0.0, 5.0, 2.0],
            1,
            [2.0, 1.0, 3.0].as_slice(),
            &[9.0, 5.0, 1.0],
        )
        .unwrap();
        let truths: Vec<f64> = by_truth(&rows).iter().map(|r| r[0]).collect();
        assert_eq!(truths, [1.0, 5.0, 9.0]);
        let means: Vec<f64> = by_width(&rows).iter().map(|r| r[1]).collect();
        assert_eq!(means, [5.0, 0.0, 2.0]);
        // 9 is 4.5 deviations from 0
        let outside: Vec<f64> = by_truth(&rows)
            .iter()
            .filter(|r| !inside(r))
            .map(|r| r[0])
            .collect();
        assert_eq!(outside, [9.0]);
        assert!((by_width(&rows)[0][3] - 6.645).abs() < 1e-3);
    }
}
