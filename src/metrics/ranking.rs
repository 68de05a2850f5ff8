//! Rows ranked by a number, with equal numbers together.

use crate::error::{Column, Error, Result};
use crate::linalg::not_a_number;

/// Rows in ascending order of a number.
#[derive(Clone, Debug)]
pub(super) struct Ranking {
    order: Vec<usize>,
    /// Where each group of equal numbers ends in `order`.
    ends: Vec<usize>,
}

impl Ranking {
    /// Ranks rows by `values` `[n]`, of which none may be NaN.
    pub fn new(values: &[f64]) -> Self {
        // 0 and minus 0 are equal
        let value = |row: usize| values[row] + 0.0;
        let mut order: Vec<usize> = (0..values.len()).collect();
        order.sort_by(|&a, &b| value(a).total_cmp(&value(b)));
        let last_of_group =
            |&end: &usize| end == order.len() || value(order[end]) != value(order[end - 1]);
        let ends = (1..=order.len()).filter(last_of_group).collect();
        Self { order, ends }
    }

    /// The groups of equal rows, lowest first.
    pub fn groups(&self) -> impl DoubleEndedIterator<Item = &[usize]> {
        (0..self.ends.len()).map(|g| {
            let start = if g == 0 { 0 } else { self.ends[g - 1] };
            &self.order[start..self.ends[g]]
        })
    }
}

/// Checks for numbers `[n]` of at least one row. Infinities are fine.
pub(super) fn check_numbers(op: &'static str, name: &str, values: &[f64]) -> Result<()> {
    if values.is_empty() {
        return Err(Error::shape(op, format!("at least 1 {name}"), 0));
    }
    match values.iter().position(|v| v.is_nan()) {
        None => Ok(()),
        Some(row) => {
            let column = Column::Named(name.into());
            Err(not_a_number::<f64>(op, row, column, values[row]))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_numbers_are_together() {
        let ranking = Ranking::new(&[0.0, 2.0, -1.0, -0.0, 2.0, f64::INFINITY]);
        let groups: Vec<&[usize]> = ranking.groups().collect();
        assert_eq!(groups, [&[2][..], &[0, 3], &[1, 4], &[5]]);
        let back: Vec<&[usize]> = ranking.groups().rev().collect();
        assert_eq!(back[0], [5]);
        assert_eq!(Ranking::new(&[]).groups().count(), 0);
    }
}
