//! The confusion matrix: which class is named where which one is true.

use crate::metrics::ClassRows;
use crate::report::figure::{Axis, Figure, Mark, Picture, Ticks, Tone};
use crate::report::ticks::short;

/// Most classes whose cells have room for a number.
const NUMBERED: usize = 12;

/// Counts, or sums of weights, `[true][named]`.
pub fn counts(
    probabilities: &[f64],
    classes: usize,
    labels: &[usize],
    weights: Option<&[f64]>,
) -> Vec<Vec<f64>> {
    let mut counts = vec![vec![0.0; classes]; classes];
    let rows = probabilities.chunks(classes.max(1)).zip(labels);
    for (i, (row, &label)) in rows.enumerate() {
        let named = top(row);
        if let Some(count) = counts.get_mut(label).and_then(|c| c.get_mut(named)) {
            *count += weights.and_then(|w| w.get(i)).unwrap_or(&1.0);
        }
    }
    counts
}

/// The most probable class; the first of equal ones.
pub fn top(probabilities: &[f64]) -> usize {
    let each = probabilities.iter().enumerate();
    let best = each.fold((0, f64::NEG_INFINITY), |best, (k, &p)| {
        if p > best.1 { (k, p) } else { best }
    });
    best.0
}

/// The matrix, shaded by the share of the true class's rows.
pub fn confusion(
    rows: &ClassRows<'_>,
    probabilities: &[f64],
    labels: &[usize],
    names: &[String],
) -> Picture {
    let k = rows.classes();
    let counts = counts(probabilities, k, labels, rows.weights());
    let what = match rows.weights() {
        Some(_) => "adds up the weights of",
        None => "counts",
    };
    let short_name = |name: &String| {
        let mut short: String = name.chars().take(11).collect();
        if short.chars().count() < name.chars().count() {
            short.push('.');
        }
        short
    };
    let every = k.div_ceil(NUMBERED);
    let named = |flip: bool| {
        let at = |i: usize| 0.5 + if flip { k - 1 - i } else { i } as f64;
        let all = names.iter().enumerate().step_by(every);
        Ticks::Named(all.map(|(i, name)| (at(i), short_name(name))).collect())
    };
    let mut figure = Figure::new(
        "Which classes are mixed up",
        Axis::new("class that the model names", [0.0, k as f64]).with(named(false)),
        Axis::new("true class", [0.0, k as f64]).with(named(true)),
    );
    let (mut right, mut wrong, mut texts, mut said) = (vec![], vec![], vec![], vec![]);
    for (i, row) in counts.iter().enumerate() {
        let total = match row.iter().sum::<f64>() {
            total if total > 0.0 => total,
            _ => 1.0,
        };
        for (j, &count) in row.iter().enumerate() {
            let (x, y) = (j as f64, (k - 1 - i) as f64);
            let cell = ([x, x + 1.0, y, y + 1.0], count / total);
            if i == j {
                right.push(cell)
            } else {
                wrong.push(cell)
            };
            if k <= NUMBERED && count > 0.0 {
                texts.push(Mark::Text([x + 0.5, y + 0.5], number(count)));
            }
            if i != j && count > 0.0 {
                said.push((count, i, j));
            }
        }
    }
    said.sort_by(|a, b| f64::total_cmp(&b.0, &a.0));
    let name = |i: usize| names.get(i).map_or("?", String::as_str);
    let most = said.iter().take(3);
    let most: Vec<String> = most
        .map(|(count, i, j)| {
            format!(
                "{} rows of {} are called {}",
                number(*count),
                name(*i),
                name(*j)
            )
        })
        .collect();
    figure.description = match most.is_empty() {
        true => "no row is of another class than the model names".into(),
        false => format!("most often mixed up: {}", most.join("; ")),
    };
    figure.aspect = 0.9;
    figure.marks = vec![
        Mark::Shades(Tone::Right, right),
        Mark::Shades(Tone::Wrong, wrong),
    ];
    figure.marks.extend(texts);
    Picture {
        name: "confusion",
        title: "Confusion matrix".into(),
        caption: format!(
            "A row for each true class, a column for each class that the model names; the number \
             {what} test rows. Right answers are on the diagonal. A strong cell beside it is a \
             pair that the model mixes up."
        ),
        panels: vec![figure],
    }
}

/// A count in full, a sum of weights in short.
fn number(count: f64) -> String {
    match count.fract() == 0.0 {
        true => format!("{count:.0}"),
        false => short(count),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_by_hand() {
        let p = [0.6, 0.4, 0.0, 0.1, 0.2, 0.7, 0.1, 0.5, 0.4];
        assert_eq!(
            counts(&p, 3, &[0, 2, 2], None),
            [vec![1.0, 0.0, 0.0], vec![0.0; 3], vec![0.0, 1.0, 1.0]]
        );
        assert_eq!(
            counts(&p, 3, &[0, 2, 2], Some(&[0.5, 0.0, 2.0])),
            [vec![0.5, 0.0, 0.0], vec![0.0; 3], vec![0.0, 2.0, 0.0]]
        );
        assert_eq!((number(1234.0), number(0.5)), ("1234".into(), "0.5".into()));
        assert_eq!(top(&[0.5, 0.5]), 0);
    }
}
