use super::super::ClassRows;
use super::super::tests::{cases, tied_cases};
use approx::assert_relative_eq;
use proptest::prelude::*;

#[test]
fn parts_by_hand() {
    // probabilities of class 1: 0.2 three times (once it happens), 0.9 twice (both happen)
    let p = [0.2, 0.2, 0.2, 0.9, 0.9];
    let probs: Vec<f64> = p.iter().flat_map(|p| [1.0 - p, *p]).collect();
    let parts = ClassRows::new(&probs, 2, &[0, 1, 0, 1, 1])
        .unwrap()
        .brier_parts(10)
        .unwrap();
    // frequencies 1/3 and 1 in the bins, 0.6 in all; the other class doubles everything
    let third = 1.0f64 / 3.0;
    let reliability = 0.6 * (0.2 - third).powi(2) + 0.4 * 0.01;
    let resolution = 0.6 * (third - 0.6).powi(2) + 0.4 * 0.16;
    assert_relative_eq!(parts.reliability, 2.0 * reliability, epsilon = 1e-15);
    assert_relative_eq!(parts.resolution, 2.0 * resolution, epsilon = 1e-15);
    assert_relative_eq!(parts.uncertainty, 2.0 * 0.24, epsilon = 1e-15);
    assert!(parts.within_bins.abs() < 1e-14, "one probability per bin");
}

#[test]
fn a_forecast_of_the_frequencies_has_neither_resolution_nor_a_fault() {
    let labels = [0, 0, 1, 2];
    let rows = [0.5, 0.25, 0.25].repeat(4);
    let rows = ClassRows::new(&rows, 3, &labels).unwrap();
    let parts = rows.brier_parts(10).unwrap();
    assert_eq!((parts.reliability, parts.resolution), (0.0, 0.0));
    assert_relative_eq!(parts.uncertainty, rows.brier(), epsilon = 1e-15);
}

proptest! {
    /// With few different probabilities and many bins, no bin hides anything: the three parts of
    /// Murphy's theorem sum to the score.
    #[test]
    fn parts_sum_to_the_score((tied, labels) in tied_cases(3), (fine, fine_labels) in cases(3)) {
        let rows = ClassRows::new(&tied, 3, &labels).unwrap();
        // thirds, halves, quarters and fifths are more than 1/100 apart
        let parts = rows.brier_parts(100).unwrap();
        prop_assert!(parts.within_bins.abs() < 1e-12, "{parts:?}");
        let rows = ClassRows::new(&fine, 3, &fine_labels).unwrap();
        let parts = rows.brier_parts(5).unwrap();
        let sum = parts.reliability - parts.resolution + parts.uncertainty + parts.within_bins;
        prop_assert!((sum - rows.brier()).abs() < 1e-12);
        // within a bin of width 1/5, probabilities differ by less than that
        prop_assert!(parts.within_bins.abs() < 3.0 * (0.04 + 2.0 * 0.2));
        prop_assert!(parts.resolution <= parts.uncertainty + 1e-12);
    }
}
