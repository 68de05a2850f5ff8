use super::super::tests::{cases, tied_cases};
use super::super::{ClassRows, ClassificationMetrics};
use super::*;
use crate::rng::{Phase, Streams};
use approx::assert_relative_eq;
use proptest::prelude::*;
use rand::RngExt;

fn reliability(probs: &[f64], k: usize, labels: &[usize], bins: usize) -> Vec<CalibrationBin> {
    let rows = ClassRows::new(probs, k, labels).unwrap();
    rows.reliability(Binning::EqualWidth(bins)).unwrap()
}

#[test]
fn a_diagram_by_hand() {
    // confidences 0.9 (right), 0.9 (wrong), 0.6 (right)
    let probs = [0.9, 0.1, 0.1, 0.9, 0.6, 0.4];
    let diagram = reliability(&probs, 2, &[0, 0, 0], 5);
    let counts: Vec<usize> = diagram.iter().map(|b| b.count).collect();
    assert_eq!(counts, [0, 0, 1, 0, 2], "0.6 belongs to (0.4, 0.6]");
    assert_relative_eq!(diagram[4].confidence, 0.9);
    assert_relative_eq!(diagram[4].accuracy, 0.5);
    assert_eq!(diagram[4].weight, 2.0);
    assert_relative_eq!(ece(&diagram), (2.0 * 0.4 + 0.4) / 3.0, epsilon = 1e-15);
    assert_relative_eq!(mce(&diagram), 0.4, epsilon = 1e-15);
    // too sure in the last bin, not sure enough in the other
    assert_relative_eq!(overconfidence(&diagram), 0.8 / 3.0, epsilon = 1e-15);
    assert_relative_eq!(underconfidence(&diagram), 0.4 / 3.0, epsilon = 1e-15);
}

#[test]
fn bins_of_equal_mass_by_hand() {
    // probabilities of class 1; 0.3 three times
    let p = [0.1, 0.3, 0.3, 0.3, 0.6, 0.8];
    let probs: Vec<f64> = p.iter().flat_map(|p| [1.0 - p, *p]).collect();
    let rows = ClassRows::new(&probs, 2, &[0, 1, 0, 0, 1, 1]).unwrap();
    let bins = rows.class_reliability(1, Binning::EqualMass(2)).unwrap();
    // the tied rows stay together: their middle is at 2.5 of 6
    let ends: Vec<(f64, f64, usize)> = bins.iter().map(|b| (b.lower, b.upper, b.count)).collect();
    assert_eq!(ends, [(0.1, 0.3, 4), (0.6, 0.8, 2)]);
    assert_relative_eq!(bins[0].accuracy, 0.25);
    assert_relative_eq!(bins[1].confidence, 0.7);
    // as many bins as rows: one for every probability
    let bins = rows.class_reliability(1, Binning::EqualMass(6)).unwrap();
    assert_eq!(bins.len(), 4);
    // without ties, bins are equally full
    let p: Vec<f64> = (0..20).map(|i| 0.5 + 0.02 * f64::from(i)).collect();
    let probs: Vec<f64> = p.iter().flat_map(|p| [1.0 - p, *p]).collect();
    let rows = ClassRows::new(&probs, 2, &[1; 20]).unwrap();
    let bins = rows.reliability(Binning::EqualMass(5)).unwrap();
    assert!(bins.iter().all(|b| b.count == 4) && bins.len() == 5);
}

#[test]
fn every_class_has_its_own_error() {
    // class 0: 0.7 and 0.2 against 1 and 0; class 1: 0.2, 0.7 against 0, 0; class 2: 0.1, 0.1
    // against 0, 1; each row alone in its bin except for class 2
    let probs = [0.7, 0.2, 0.1, 0.2, 0.7, 0.1];
    let scores = ClassificationMetrics::compute(&probs, 3, &[0, 2]).unwrap();
    let of_class = [(0.3 + 0.2) / 2.0, (0.2 + 0.7) / 2.0, 0.5 - 0.1];
    assert_relative_eq!(
        scores.ece_class_wise,
        of_class.iter().sum::<f64>() / 3.0,
        epsilon = 1e-15
    );
}

#[test]
fn every_upper_edge_belongs_to_its_bin() {
    for bins in [2usize, 3, 7, 10, 15] {
        for b in (bins / 2 + 1)..=bins {
            let p = b as f64 / bins as f64;
            let diagram = reliability(&[p, 1.0 - p], 2, &[0], bins);
            assert_eq!(diagram[b - 1].count, 1, "{b} of {bins}");
        }
    }
}

#[test]
fn certainty_just_above_one_stays_in_the_last_bin() {
    let diagram = reliability(&[1.000_001, 0.0], 2, &[0], 10);
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
    let scores = |probs: &[f64]| ClassificationMetrics::compute(probs, 2, &labels).unwrap();
    let (honest, boastful) = (scores(&honest), scores(&boastful));
    // 5 filled bins of 4000 rows (10 of 2000 for equal mass and classes): the standard deviation of
    // each frequency is below 0.5 / sqrt(2000) = 0.011
    for error in [
        honest.ece,
        honest.ece_equal_mass,
        honest.ece_class_wise,
        honest.ece_smooth,
    ] {
        assert!(error < 0.012, "{honest:?}");
    }
    for error in [
        boastful.ece,
        boastful.ece_equal_mass,
        boastful.ece_class_wise,
        boastful.ece_smooth,
    ] {
        assert!(error > 0.05, "{boastful:?}");
    }
    assert!(boastful.overconfidence > 0.05 && boastful.underconfidence < 1e-3);
    // the distortion is monotone: only calibration suffers
    assert_relative_eq!(
        honest.roc_auc.unwrap(),
        boastful.roc_auc.unwrap(),
        epsilon = 1e-12
    );
    assert!(boastful.brier_reliability > 10.0 * honest.brier_reliability);
}

#[test]
fn a_bin_that_is_no_number_is_not_taken_for_a_perfect_one() {
    let mut diagram = reliability(&[0.9, 0.1, 0.4, 0.6], 2, &[0, 0], 4);
    diagram[2].confidence = f64::NAN;
    assert!(ece(&diagram).is_nan() && mce(&diagram).is_nan());
    assert!(overconfidence(&diagram).is_nan() && underconfidence(&diagram).is_nan());
}

#[test]
fn edges_tile_the_unit_interval() {
    let diagram = reliability(&[0.5, 0.5], 2, &[0], 4);
    assert_eq!((diagram[0].lower, diagram[3].upper), (0.0, 1.0));
    assert!(diagram.windows(2).all(|w| w[0].upper == w[1].lower));
    assert_eq!((ece(&[]), mce(&[])), (0.0, 0.0));
    assert_eq!(ece(&[]).to_string(), "0");
}

proptest! {
    #[test]
    fn errors_are_fractions_and_the_mean_is_below_the_largest(
        (probs, labels) in cases(3), (tied, tied_labels) in tied_cases(3), bins in 1usize..20
    ) {
        for (probs, labels) in [(probs, labels), (tied, tied_labels)] {
            let rows = ClassRows::new(&probs, 3, &labels).unwrap();
            for binning in [Binning::EqualWidth(bins), Binning::EqualMass(bins)] {
                let diagram = rows.reliability(binning).unwrap();
                prop_assert_eq!(diagram.iter().map(|b| b.count).sum::<usize>(), labels.len());
                let (mean, largest) = (ece(&diagram), mce(&diagram));
                prop_assert!((0.0..=1.0 + 1e-15).contains(&mean));
                prop_assert!(mean <= largest + 1e-15 && largest <= 1.0 + 1e-15);
                let (over, under) = (overconfidence(&diagram), underconfidence(&diagram));
                prop_assert!((over + under - mean).abs() < 1e-15 && over >= 0.0 && under >= 0.0);
                for bin in diagram.iter().filter(|b| b.count > 0) {
                    // a mean of values up to `upper` is so too, up to rounding
                    prop_assert!(bin.confidence >= bin.lower - 1e-12 && bin.confidence <= bin.upper + 1e-12);
                }
                prop_assert!(diagram.windows(2).all(|w| w[0].upper <= w[1].lower));
            }
        }
    }

    #[test]
    fn one_bin_measures_the_overall_gap((probs, labels) in cases(3)) {
        let rows = ClassRows::new(&probs, 3, &labels).unwrap();
        for binning in [Binning::EqualWidth(1), Binning::EqualMass(1)] {
            let diagram = rows.reliability(binning).unwrap();
            prop_assert!((diagram[0].accuracy - rows.accuracy()).abs() < 1e-12);
            prop_assert!((ece(&diagram) - mce(&diagram)).abs() < 1e-15);
        }
    }

    /// The bin of every row on its own, against counting the rows below it.
    #[test]
    fn bins_of_equal_mass_are_those_of_the_middle_ranks((probs, labels) in tied_cases(2), bins in 1usize..9) {
        let rows = ClassRows::new(&probs, 2, &labels).unwrap();
        let found = rows.class_reliability(1, Binning::EqualMass(bins)).unwrap();
        let p: Vec<f64> = probs.chunks(2).map(|p| p[1]).collect();
        let n = p.len();
        let bin_of = |x: f64| {
            let below = p.iter().filter(|&&q| q < x).count();
            let equal = p.iter().filter(|&&q| q == x).count();
            // floor(bins * (below + equal / 2) / n) in whole numbers
            bins * (2 * below + equal) / (2 * n)
        };
        let mut expected = vec![0; bins];
        p.iter().for_each(|&x| expected[bin_of(x).min(bins - 1)] += 1);
        expected.retain(|&c| c > 0);
        prop_assert_eq!(found.iter().map(|b| b.count).collect::<Vec<_>>(), expected);
    }
}
