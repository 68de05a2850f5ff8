//! What several tests of scores share, and properties that every score must have.

mod every_score;
mod peers;

use proptest::prelude::*;

/// Rows of class probabilities with labels.
pub(super) fn cases(k: usize) -> impl Strategy<Value = (Vec<f64>, Vec<usize>)> {
    let row = prop::collection::vec(0.001f64..1.0, k);
    prop::collection::vec((row, 0..k), 1..40).prop_map(|rows| {
        let normalise = |row: &Vec<f64>| {
            let sum: f64 = row.iter().sum();
            row.iter().map(|p| p / sum).collect::<Vec<f64>>()
        };
        let probs = rows.iter().flat_map(|(row, _)| normalise(row)).collect();
        (probs, rows.iter().map(|(_, label)| *label).collect())
    })
}

/// The same from few different probabilities, so that many rows are tied; 0 and 1 are among them.
pub(super) fn tied_cases(k: usize) -> impl Strategy<Value = (Vec<f64>, Vec<usize>)> {
    let row = prop::collection::vec(0u32..3, k);
    prop::collection::vec((row, 0..k), 1..30).prop_map(move |rows| {
        let normalise = |row: &Vec<u32>| {
            let sum: u32 = row.iter().sum();
            let share = |&c: &u32| match sum {
                0 => 1.0 / k as f64,
                _ => f64::from(c) / f64::from(sum),
            };
            row.iter().map(share).collect::<Vec<f64>>()
        };
        let probs = rows.iter().flat_map(|(row, _)| normalise(row)).collect();
        (probs, rows.iter().map(|(_, label)| *label).collect())
    })
}

/// Every item so many times as its count says.
pub(super) fn repeated<T: Copy>(items: &[T], width: usize, counts: &[usize]) -> Vec<T> {
    let rows = items.chunks(width).zip(counts);
    rows.flat_map(|(row, &count)| row.repeat(count)).collect()
}

/// The rows in the order `order`.
pub(super) fn reordered<T: Copy>(items: &[T], width: usize, order: &[usize]) -> Vec<T> {
    let row = |&i: &usize| items[i * width..(i + 1) * width].to_vec();
    order.iter().flat_map(row).collect()
}
