//! Uncertainty of test rows beside that of rows from elsewhere.

use crate::error::{Result, counted};
use crate::metrics::OutOfDistribution;
use crate::report::chance::{bars, quantile, weight_histogram, weighted_quantile};
use crate::report::figure::{Axis, Figure, Mark, Picture, Tone, extent};
use crate::report::ticks::short;

/// Uncertainties by name, of both kinds of rows, and how well each tells them apart.
pub struct Elsewhere {
    /// Rows from elsewhere.
    pub rows: usize,
    /// Name, numbers of test rows, numbers of others, scores.
    pub by: Vec<(&'static str, Vec<f64>, Vec<f64>, OutOfDistribution)>,
    /// Weights of the test rows, if they have any.
    weights: Option<Vec<f64>>,
}

impl Elsewhere {
    /// Compares uncertainties `[name, rows]` of test rows, with their weights, and of others, which
    /// count once.
    ///
    /// # Errors
    /// Those of [`OutOfDistribution::new`].
    pub fn new(
        inside: Vec<(&'static str, Vec<f64>)>,
        outside: Vec<(&'static str, Vec<f64>)>,
        weights: Option<&[f64]>,
    ) -> Result<Self> {
        let rows = outside.first().map_or(0, |o| o.1.len());
        let all = weights.map(|w| [w, &vec![1.0; rows]].concat());
        let pairs = inside.into_iter().zip(outside);
        let by = pairs.map(|((name, inside), (_, outside))| {
            let scores = OutOfDistribution::new(&inside, &outside, all.as_deref())?;
            Ok((name, inside, outside, scores))
        });
        Ok(Self {
            rows,
            by: by.collect::<Result<_>>()?,
            weights: weights.map(<[f64]>::to_vec),
        })
    }

    /// The AUROC of the first uncertainty, which is all doubt: the entropy, or the standard
    /// deviation. The best of several would be chosen by the rows that it is judged by.
    pub fn first(&self) -> f64 {
        self.by.first().map_or(f64::NAN, |b| b.3.auroc)
    }

    /// Histograms.
    pub fn picture(&self) -> Picture {
        let panels = self.by.iter().map(|(name, inside, outside, scores)| {
            let name = name.replace('_', " ");
            // the far tail would leave no room for the rest
            let high = quantile(inside, 0.995).max(quantile(outside, 0.995));
            let low = extent(inside.iter().chain(outside).copied())[0];
            let range = [low, if high > low { high } else { low + 1.0 }];
            let weights = self.weights.as_deref();
            let shares = |values: &[f64], weights: Option<&[f64]>| -> Vec<f64> {
                let clamped: Vec<f64> =
                    values.iter().map(|v| v.clamp(range[0], range[1])).collect();
                let heap = weight_histogram(&clamped, weights, range, 24);
                let total: f64 = heap.iter().sum();
                heap.into_iter().map(|h| h / total).collect()
            };
            let (known, other) = (shares(inside, weights), shares(outside, None));
            let top = extent(known.iter().chain(&other).copied())[1];
            let label = match name.as_str() {
                "std" => "predictive standard deviation".into(),
                "top probability" => "1 - top probability".into(),
                name => format!("{name} (nats)"),
            };
            Figure::new(
                format!("{}: AUROC {}", name, short(scores.auroc)),
                Axis::new(label, range),
                Axis::new("share of rows", [0.0, 1.08 * top]),
            )
            .mark(Mark::Bars(Tone::Series(0), bars(&known, range)))
            .mark(Mark::Bars(Tone::Series(1), bars(&other, range)))
            .name(Tone::Series(0), "test rows")
            .name(Tone::Series(1), "rows from elsewhere")
            .say(format!(
                "medians {} and {}; AUROC {}",
                short(weighted_quantile(inside, weights, 0.5)),
                short(quantile(outside, 0.5)),
                short(scores.auroc)
            ))
        });
        Picture {
            name: "elsewhere",
            title: "Test rows and rows from elsewhere".into(),
            caption: format!(
                "The model should doubt rows that are unlike its training rows; here are {} from \
                 elsewhere. The further apart the two heaps, the better. AUROC 1: always told apart; \
                 0.5: not at all. The last bar holds everything beyond.",
                counted(self.rows, "row")
            ),
            panels: panels.collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heaps_apart_are_told_apart() {
        let inside = vec![("std", vec![0.1, 0.2, 0.3])];
        let outside = vec![("std", vec![0.4, 0.5])];
        let found = Elsewhere::new(inside.clone(), outside.clone(), None).unwrap();
        assert_eq!((found.rows, found.first()), (2, 1.0));
        // a row between the others counts by its weight: of 10 pairs, 1 is in the wrong order
        let mixed = vec![("std", vec![0.1, 0.45])];
        let weighted = Elsewhere::new(mixed, outside, Some(&[4.0, 1.0])).unwrap();
        assert!(
            (weighted.first() - 0.9).abs() < 1e-12,
            "{}",
            weighted.first()
        );
        assert!(
            weighted.picture().panels[0]
                .description
                .contains("medians 0.1 ")
        );
        let picture = found.picture();
        assert!(
            picture.panels[0]
                .description
                .contains("medians 0.2 and 0.45")
        );
    }
}
