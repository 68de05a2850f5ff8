//! Calibration: compares stated confidence with the frequency of being right.

use super::classification::{check, top};
use crate::error::{Error, Result};

/// Number of bins of [`ece`] and [`mce`] in summaries.
pub const DEFAULT_BINS: usize = 10;

/// The rows whose top probability falls into one confidence interval.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "safetensors", derive(serde::Serialize))]
pub struct CalibrationBin {
    /// Lower end, excluded (but 0 belongs to the first bin).
    pub lower: f64,
    /// Upper end, included.
    pub upper: f64,
    /// Number of rows.
    pub count: usize,
    /// Mean top probability of the rows. 0 if there are none.
    pub confidence: f64,
    /// Fraction of the rows whose top class is the label. 0 if there are no rows.
    pub accuracy: f64,
}

impl CalibrationBin {
    fn gap(&self) -> f64 {
        (self.confidence - self.accuracy).abs()
    }
}

/// The reliability diagram: rows grouped by their top probability into `bins` intervals of equal
/// width.
///
/// Bin `b` of `B` covers `(b/B, (b+1)/B]`. `probs` is row-major `[n, k]`, `labels` `[n]`.
///
/// # Errors
/// Those of [`accuracy`](super::accuracy), or no bins.
pub fn reliability(
    probs: &[f64],
    k: usize,
    labels: &[usize],
    bins: usize,
) -> Result<Vec<CalibrationBin>> {
    check("reliability", probs, k, labels)?;
    if bins == 0 {
        return Err(Error::config("bins", bins, "at least 1 is needed"));
    }
    let edge = |b: usize| b as f64 / bins as f64;
    let mut diagram: Vec<CalibrationBin> = (0..bins)
        .map(|b| CalibrationBin {
            lower: edge(b),
            upper: edge(b + 1),
            count: 0,
            confidence: 0.0,
            accuracy: 0.0,
        })
        .collect();
    for (row, &label) in probs.chunks_exact(k).zip(labels) {
        let (class, confidence) = top(row);
        // compare with the edges themselves: `confidence * bins` may round across one
        let b = diagram.partition_point(|bin| bin.upper < confidence);
        let bin = &mut diagram[b.min(bins - 1)];
        bin.count += 1;
        bin.confidence += confidence;
        bin.accuracy += f64::from(u8::from(class == label));
    }
    for bin in diagram.iter_mut().filter(|bin| bin.count > 0) {
        bin.confidence /= bin.count as f64;
        bin.accuracy /= bin.count as f64;
    }
    Ok(diagram)
}

/// Expected calibration error: the mean over rows of the gap between confidence and accuracy in the
/// row's bin.
pub fn ece(diagram: &[CalibrationBin]) -> f64 {
    let rows: usize = diagram.iter().map(|bin| bin.count).sum();
    // start from 0: `sum` of nothing is minus 0
    let gaps = diagram
        .iter()
        .fold(0.0, |sum, bin| sum + bin.count as f64 * bin.gap());
    // a diagram without rows has error 0, not 0 / 0
    gaps / rows.max(1) as f64
}

/// Maximum calibration error: the largest gap between confidence and accuracy over bins with rows.
pub fn mce(diagram: &[CalibrationBin]) -> f64 {
    let filled = diagram.iter().filter(|bin| bin.count > 0);
    // keep a NaN gap, which `f64::max` would drop
    let larger = |a: f64, b: f64| if a.is_nan() || a >= b { a } else { b };
    filled.map(CalibrationBin::gap).fold(0.0, larger)
}

#[cfg(test)]
mod tests {
    use super::super::classification::tests::cases;
    use super::*;
    use crate::rng::{Phase, Streams};
    use approx::assert_relative_eq;
    use proptest::prelude::*;
    use rand::RngExt;

    #[test]
    fn a_diagram_by_hand() {
        // confidences 0.9 (right), 0.9 (wrong), 0.6 (right)
        let probs = [0.9, 0.1, 0.1, 0.9, 0.6, 0.4];
        let diagram = reliability(&probs, 2, &[0, 0, 0], 5).unwrap();
        let counts: Vec<usize> = diagram.iter().map(|b| b.count).collect();
        assert_eq!(counts, [0, 0, 1, 0, 2], "0.6 belongs to (0.4, 0.6]");
        assert_relative_eq!(diagram[4].confidence, 0.9);
        assert_relative_eq!(diagram[4].accuracy, 0.5);
        assert_relative_eq!(ece(&diagram), (2.0 * 0.4 + 0.4) / 3.0, epsilon = 1e-15);
        assert_relative_eq!(mce(&diagram), 0.4, epsilon = 1e-15);
    }

    #[test]
    fn every_upper_edge_belongs_to_its_bin() {
        for bins in [2usize, 3, 7, 10, 15] {
            for b in (bins / 2 + 1)..=bins {
                let p = b as f64 / bins as f64;
                let diagram = reliability(&[p, 1.0 - p], 2, &[0], bins).unwrap();
                assert_eq!(diagram[b - 1].count, 1, "{b} of {bins}");
            }
        }
    }

    #[test]
    fn certainty_just_above_one_stays_in_the_last_bin() {
        let diagram = reliability(&[1.000_001, 0.0], 2, &[0], 10).unwrap();
        assert_eq!(diagram[9].count, 1);
    }

    #[test]
    fn labels_drawn_from_the_probabilities_are_calibrated() {
        let mut rng = Streams::new(1).rng(Phase::USER, 0);
        let (mut honest, mut boastful, mut labels) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..20_000 {
            let p: f64 = rng.random();
            labels.push(usize::from(rng.random::<f64>() >= p));
            honest.extend([p, 1.0 - p]);
            let sure = p * p / (p * p + (1.0 - p) * (1.0 - p));
            boastful.extend([sure, 1.0 - sure]);
        }
        let diagram = |probs: &[f64]| reliability(probs, 2, &labels, DEFAULT_BINS).unwrap();
        // 5 filled bins of 4000 rows: the standard deviation of each accuracy is below 0.5 /
        // sqrt(4000) = 0.008
        assert!(ece(&diagram(&honest)) < 0.012);
        assert!(ece(&diagram(&boastful)) > 0.05);
    }

    #[test]
    fn a_bin_that_is_no_number_is_not_taken_for_a_perfect_one() {
        let mut diagram = reliability(&[0.9, 0.1, 0.4, 0.6], 2, &[0, 0], 4).unwrap();
        diagram[2].confidence = f64::NAN;
        assert!(ece(&diagram).is_nan() && mce(&diagram).is_nan());
    }

    #[test]
    fn edges_tile_the_unit_interval() {
        let diagram = reliability(&[0.5, 0.5], 2, &[0], 4).unwrap();
        assert_eq!((diagram[0].lower, diagram[3].upper), (0.0, 1.0));
        assert!(diagram.windows(2).all(|w| w[0].upper == w[1].lower));
        assert!(reliability(&[0.5, 0.5], 2, &[0], 0).is_err());
        assert!(reliability(&[0.5, 0.4], 2, &[0], 4).is_err());
        assert_eq!((ece(&[]), mce(&[])), (0.0, 0.0));
        assert_eq!(ece(&[]).to_string(), "0");
    }

    proptest! {
        #[test]
        fn errors_are_fractions_and_the_mean_is_below_the_largest(
            (probs, labels) in cases(3), bins in 1usize..20
        ) {
            let diagram = reliability(&probs, 3, &labels, bins).unwrap();
            prop_assert_eq!(diagram.iter().map(|b| b.count).sum::<usize>(), labels.len());
            let (ece, mce) = (ece(&diagram), mce(&diagram));
            prop_assert!((0.0..=1.0).contains(&ece));
            prop_assert!(ece <= mce + 1e-15 && mce <= 1.0);
            for bin in diagram.iter().filter(|b| b.count > 0) {
                // a mean of values in (lower, upper] lies there too, up to rounding
                prop_assert!(bin.confidence > bin.lower - 1e-12 && bin.confidence <= bin.upper + 1e-12);
            }
        }

        #[test]
        fn one_bin_measures_the_overall_gap((probs, labels) in cases(3)) {
            let diagram = reliability(&probs, 3, &labels, 1).unwrap();
            let accuracy = super::super::accuracy(&probs, 3, &labels).unwrap();
            prop_assert!((diagram[0].accuracy - accuracy).abs() < 1e-12);
            prop_assert!((ece(&diagram) - mce(&diagram)).abs() < 1e-15);
        }
    }
}
