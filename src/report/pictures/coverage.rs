//! Nominal against observed coverage, the PIT histogram, the quantile plot, and errors against
//! stated deviations.

use crate::diagnose::normal_quantile;
use crate::error::Result;
use crate::metrics::RealRows;
use crate::report::chance::{bars, binomial_range, effective, effective_rows, quantile};
use crate::report::figure::{Axis, Figure, Mark, Picture, Tone, extent, padded, thinned};
use crate::report::ticks::short;

use super::calibration::{diagonal, unit};

/// Bins of the PIT histogram, and most dots.
const BINS: usize = 10;
const DOTS: usize = 600;

/// All pictures of whether stated distributions are right.
pub fn coverage(rows: &RealRows) -> Result<Vec<Picture>> {
    Ok(vec![
        nominal(rows)?,
        pit(rows)?,
        quantiles(rows),
        errors(rows),
    ])
}

/// Levels with the share of targets inside: `[nominal, observed]`.
pub fn levels(rows: &RealRows) -> Result<Vec<[f64; 2]>> {
    let levels = (1..20).map(|i| f64::from(i) / 20.0);
    levels
        .map(|level| Ok([level, rows.coverage_at(level)?]))
        .collect()
}

/// What chance does to the share of `n` rows that are inside: `[nominal, low, high]`.
fn band(n: usize) -> Vec<[f64; 3]> {
    let range = |level: f64| binomial_range(n, level).map(|k| k as f64 / n.max(1) as f64);
    let levels = (0..=20).map(|i| f64::from(i) / 20.0);
    levels.map(|p| [p, range(p)[0], range(p)[1]]).collect()
}

fn nominal(rows: &RealRows) -> Result<Picture> {
    let observed = levels(rows)?;
    let at_90 = rows.coverage_at(0.9)?;
    let figure = Figure::new(
        "Do intervals hold what they promise?",
        unit("promised share of rows"),
        unit("share of rows inside"),
    )
    .mark(Mark::FaintBand(
        Tone::Chance,
        band(effective_rows(rows.len(), rows.weights())),
    ))
    .mark(diagonal())
    .mark(Mark::Line(Tone::Series(0), observed.clone()))
    .mark(Mark::Dots(Tone::Series(0), 5.0, observed))
    .name(Tone::Series(0), "this model")
    .name(Tone::Reference, "as promised")
    .name(Tone::Chance, "90 % of chance")
    .say(format!(
        "90 % intervals hold {} % of the rows",
        short(100.0 * at_90)
    ));
    Ok(Picture {
        name: "coverage",
        title: "Nominal and observed coverage".into(),
        caption: "Below the dashed line: intervals are too narrow, the model is too sure. Above: \
                  they are too wide. Inside the grey band, chance explains the gap."
            .into(),
        panels: vec![figure],
    })
}

fn pit(rows: &RealRows) -> Result<Picture> {
    let shares = rows.pit_histogram(BINS)?;
    let even = 1.0 / BINS as f64;
    let n = effective_rows(rows.len(), rows.weights());
    let [low, high] = binomial_range(n, even).map(|k| k as f64 / n.max(1) as f64);
    let top = shares.iter().copied().fold(1.6 * even, f64::max).max(high);
    let ends = (
        shares.first().copied().unwrap_or(0.0),
        shares.last().copied().unwrap_or(0.0),
    );
    let figure = Figure::new(
        "Where true values fall",
        unit("stated probability of less than the true value"),
        Axis::new("share of rows", [0.0, 1.08 * top]),
    )
    .mark(Mark::FaintBand(
        Tone::Chance,
        vec![[0.0, low, high], [1.0, low, high]],
    ))
    .mark(Mark::Bars(Tone::Series(0), bars(&shares, [0.0, 1.0])))
    .mark(Mark::Dashed(
        Tone::Reference,
        vec![[0.0, even], [1.0, even]],
    ))
    .name(Tone::Series(0), "this model")
    .name(Tone::Reference, "as stated")
    .name(Tone::Chance, "90 % of chance")
    .say(format!(
        "{} % of the rows are in the lowest tenth of their distribution, {} % in the highest",
        short(100.0 * ends.0),
        short(100.0 * ends.1)
    ));
    Ok(Picture {
        name: "pit",
        title: "PIT histogram".into(),
        caption:
            "Bars should be level. High at both ends: intervals are too narrow. A hump in the \
                  middle: too wide. High at one end: predictions are too low or too high."
                .into(),
        panels: vec![figure],
    })
}

/// Normal quantiles of the transforms against those of the normal distribution, `[expected, seen]`.
/// A row of weight 2 stands in the middle of two; rows of weight 0 are left out.
pub fn normal_scores(pits: &[f64], weights: Option<&[f64]>) -> Vec<[f64; 2]> {
    let weight = |i: usize| weights.map_or(1.0, |w| w[i]);
    let each = pits.iter().enumerate().map(|(i, &pit)| (pit, weight(i)));
    let mut sorted: Vec<(f64, f64)> = each.filter(|row| row.1 > 0.0).collect();
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
    let n: f64 = sorted.iter().map(|row| row.1).sum();
    let score = |p: f64| normal_quantile(p.clamp(1e-9, 1.0 - 1e-9));
    let mut below = 0.0;
    let of_row = |(pit, weight): (f64, f64)| {
        let middle = below + 0.5 * weight;
        below += weight;
        [score(middle / n), score(pit)]
    };
    sorted.into_iter().map(of_row).collect()
}

fn quantiles(rows: &RealRows) -> Picture {
    let pits: Vec<f64> = rows
        .pits()
        .iter()
        .map(|p| 0.5 * (p.below + p.up_to))
        .collect();
    let scores = normal_scores(&pits, rows.weights());
    let n = effective(rows.len(), rows.weights());
    let band = |s: &[f64; 2]| {
        // the standard error of an order statistic
        let p = crate::special::normal_cdf(s[0]);
        let density = (-0.5 * s[0] * s[0]).exp() / (2.0 * std::f64::consts::PI).sqrt();
        let half = 1.645 * (p * (1.0 - p) / n).sqrt() / density;
        [s[0], s[0] - half, s[0] + half]
    };
    let drawn: Vec<[f64; 2]> = thinned(scores.len(), DOTS)
        .into_iter()
        .filter_map(|i| scores.get(i).copied())
        .collect();
    let reach = extent(drawn.iter().flat_map(|s| s.map(f64::abs)))[1].clamp(2.0, 6.0);
    let range = padded([-reach, reach], 0.04);
    let ends = (
        scores.first().map_or(f64::NAN, |s| s[1]),
        scores.last().map_or(f64::NAN, |s| s[1]),
    );
    let figure = Figure::new(
        "Are surprises as rare as stated?",
        Axis::new("surprise expected (deviations)", range),
        Axis::new("surprise seen (deviations)", range),
    )
    .mark(Mark::FaintBand(
        Tone::Chance,
        drawn.iter().map(band).collect(),
    ))
    .mark(Mark::Dashed(
        Tone::Reference,
        vec![[range[0], range[0]], [range[1], range[1]]],
    ))
    .mark(Mark::Dots(Tone::Series(0), 4.0, drawn))
    .name(Tone::Series(0), "test rows")
    .name(Tone::Reference, "as stated")
    .name(Tone::Chance, "90 % of chance")
    .say(format!(
        "from {} to {} deviations",
        short(ends.0),
        short(ends.1)
    ));
    Picture {
        name: "qq",
        title: "Quantile plot".into(),
        caption: "How far true values are from their predictions, in stated deviations, against \
                  how far they should be. A line that is steeper than the dashed one means larger \
                  surprises than stated; only its ends: rare but large ones (outliers)."
            .into(),
        panels: vec![figure],
    }
}

fn errors(rows: &RealRows) -> Picture {
    let errors = rows.errors();
    let all: Vec<[f64; 2]> = rows
        .stds()
        .iter()
        .zip(&errors)
        .map(|(s, e)| [*s, e.abs()])
        .collect();
    let dots: Vec<[f64; 2]> = thinned(all.len(), DOTS)
        .into_iter()
        .filter_map(|i| all.get(i).copied())
        .collect();
    let x = padded(extent(dots.iter().map(|d| d[0])), 0.06);
    let x = [x[0].max(0.0), x[1]];
    let tops: Vec<f64> = dots.iter().map(|d| d[1]).collect();
    let top = extent(tops.iter().copied().chain([2.0 * x[1]]))[1];
    let ray = |factor: f64| vec![[x[0], factor * x[0]], [x[1], factor * x[1]]];
    let sorted: Vec<f64> = dots.iter().map(|d| d[0]).collect();
    let middle = quantile(&sorted, 0.5);
    let mean_of = |wide: bool| {
        let part = all.iter().filter(|d| (d[0] > middle) == wide);
        let part: Vec<f64> = part.map(|d| d[1]).collect();
        short(crate::report::chance::mean(&part))
    };
    let figure = Figure::new(
        "Is it wrong where it says it may be?",
        Axis::new("stated standard deviation", x),
        Axis::new("size of the error", [0.0, 1.05 * top]),
    )
    .mark(Mark::Dashed(Tone::Chance, ray(1.0)))
    .mark(Mark::Dashed(Tone::Reference, ray(1.645)))
    .mark(Mark::Dots(Tone::Series(0), 4.0, dots))
    .name(Tone::Series(0), "test rows")
    .name(Tone::Chance, "two in three below")
    .name(Tone::Reference, "nine in ten below")
    .say(format!(
        "mean error {} where the stated deviation is small, {} where it is large",
        mean_of(false),
        mean_of(true)
    ));
    Picture {
        name: "errors",
        title: "Errors and stated deviations".into(),
        caption: "Errors should grow with the stated deviation: about nine in ten dots are below \
                  the upper dashed line, along all of it."
            .into(),
        panels: vec![figure],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_perfect_sample_is_on_the_diagonal() {
        let pits: Vec<f64> = (0..9).map(|i| (f64::from(i) + 0.5) / 9.0).rev().collect();
        for [expected, seen] in normal_scores(&pits, None) {
            assert!((expected - seen).abs() < 1e-12);
        }
        let scores = normal_scores(&[0.0, 0.5, 1.0], None);
        assert!(scores[1][1].abs() < 1e-12 && scores[0][1] < -5.0 && scores[2][1] > 5.0);
        // weights 2 and 6 stand at 1/8 and 5/8
        let scores = normal_scores(&[0.9, 0.3, 0.5], Some(&[6.0, 2.0, 0.0]));
        let expected = [0.125, 0.625].map(normal_quantile);
        assert_eq!(scores.len(), 2);
        assert!((scores[0][0] - expected[0]).abs() < 1e-12 && scores[0][1] < 0.0);
        assert!((scores[1][0] - expected[1]).abs() < 1e-12 && scores[1][1] > 0.0);
    }

    #[test]
    fn levels_by_hand() {
        // a standard normal with targets at its median and far out
        let rows = RealRows::of_mixtures(&[0.0; 4], 1, 1.0, &[0.0, 0.0, 0.0, 9.0]).unwrap();
        let levels = levels(&rows).unwrap();
        assert_eq!(levels.len(), 19);
        assert!(levels.iter().all(|l| l[1] == 0.75));
        let band = band(10);
        assert_eq!(band[10], [0.5, 0.2, 0.8]);
    }
}
