//! Paired differences of methods: on the same rows, one minus another.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::error::Result;
use crate::metrics::{PairedDifference, ScoredRows};

/// Numbers for every test row of a fit, whose means are its scores.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RowLosses {
    /// Numbers `[n]` by the names of the scores.
    pub columns: Vec<(&'static str, Vec<f64>)>,
    /// Weights of the rows, `[n]`, if they have any.
    pub weights: Option<Vec<f64>>,
    /// Numbers of the rows in the data, `[n]`, where fits differ in their test rows. Empty: the
    /// rows are the same for all.
    pub rows: Vec<usize>,
}

impl RowLosses {
    /// The losses of predictions.
    ///
    /// # Errors
    /// Those of [`ScoredRows::losses`].
    pub fn of(scored: &ScoredRows) -> Result<Self> {
        Ok(Self {
            columns: scored.losses()?,
            weights: scored.weights().map(<[f64]>::to_vec),
            rows: Vec::new(),
        })
    }

    fn column(&self, name: &str) -> Option<&[f64]> {
        let found = self.columns.iter().find(|c| c.0 == name);
        found.map(|c| c.1.as_slice())
    }
}

/// Scores of a method less those of the best method, on the same rows.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Differences {
    /// The best method: the one with the lowest mean NLL.
    pub best: &'static str,
    /// The difference of each score; `None` if a loss is infinite.
    #[serde(flatten)]
    pub columns: BTreeMap<&'static str, Option<PairedDifference>>,
}

impl Differences {
    /// The mean differences of pairs of fits, each pair with the same test rows: one pair for every
    /// seed. Seeds count alike. A row that is a test row under several seeds is one row.
    pub(super) fn of(best: &'static str, pairs: &[(&RowLosses, &RowLosses)]) -> Self {
        let names = pairs.first().map_or(&[][..], |pair| &pair.0.columns[..]);
        let columns = names
            .iter()
            .map(|(name, _)| (*name, difference(name, pairs)));
        Self {
            best,
            columns: columns.collect(),
        }
    }
}

fn difference(name: &str, pairs: &[(&RowLosses, &RowLosses)]) -> Option<PairedDifference> {
    let (mut differences, mut rows, mut weights) = (Vec::new(), Vec::new(), Vec::new());
    for (one, best) in pairs {
        let (a, b) = (one.column(name)?, best.column(name)?);
        if a.len() != b.len() {
            return None;
        }
        differences.extend(a.iter().zip(b).map(|(a, b)| a - b));
        let number = |i: usize| one.rows.get(i).copied().unwrap_or(i);
        rows.extend((0..a.len()).map(number));
        let weight = |i: usize| one.weights.as_ref().map_or(1.0, |w| w[i]);
        let total: f64 = (0..a.len()).map(weight).sum();
        weights.extend((0..a.len()).map(|i| weight(i) / total));
    }
    PairedDifference::clustered(&differences, &rows, Some(&weights)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn losses(nll: &[f64], rows: &[usize]) -> RowLosses {
        RowLosses {
            columns: vec![("nll", nll.to_vec())],
            weights: None,
            rows: rows.to_vec(),
        }
    }

    #[test]
    fn seeds_count_alike_and_a_row_counts_once() {
        let zero = losses(&[0.0; 2], &[]);
        let nll = |pairs: &[(&RowLosses, &RowLosses)]| Differences::of("map", pairs).columns["nll"];
        let (a, b) = (losses(&[1.0, 3.0], &[]), losses(&[2.0, 6.0], &[]));
        let one = nll(&[(&a, &zero)]).unwrap();
        assert_eq!((one.mean, one.error, one.rows), (2.0, Some(1.0), 2));
        // the same rows under two seeds: 1.5 and 4.5 on average
        let two = nll(&[(&a, &zero), (&b, &zero)]).unwrap();
        assert_eq!((two.mean, two.rows), (3.0, 2));
        assert!((two.error.unwrap() - 1.5).abs() < 1e-15);
        // other rows: four of them, and a seed with more rows weighs no more
        let far = losses(&[2.0, 6.0, 4.0], &[7, 8, 9]);
        let zeros = losses(&[0.0; 3], &[7, 8, 9]);
        let all = nll(&[(&a, &zero), (&far, &zeros)]).unwrap();
        assert!((all.mean - 3.0).abs() < 1e-15 && all.rows == 5);
        assert_eq!(nll(&[(&losses(&[f64::INFINITY; 2], &[]), &zero)]), None);
        assert_eq!(nll(&[(&far, &zero)]), None, "not the same rows");
        assert!(Differences::of("map", &[]).columns.is_empty());
        let json = serde_json::to_value(Differences::of("map", &[(&a, &zero)])).unwrap();
        assert_eq!(
            (&json["best"], &json["nll"]["mean"]),
            (&"map".into(), &2.0.into())
        );
    }

    #[test]
    fn weights_of_rows_are_those_of_their_differences() {
        let mut a = losses(&[1.0, 3.0], &[]);
        a.weights = Some(vec![3.0, 1.0]);
        let found = Differences::of("map", &[(&a, &losses(&[0.0; 2], &[]))]);
        assert_eq!(found.columns["nll"].unwrap().mean, 1.5);
    }
}
