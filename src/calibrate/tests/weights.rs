//! A weight of 2 is the row twice: for every map, and for thresholds.

use proptest::prelude::*;

use super::super::conformal::{threshold, thresholds_by_class, weighted_threshold};
use super::super::*;
use super::{overstated, uniforms};

/// Whole weights from 0 to 3, not all 0.
fn whole_weights(n: usize, seed: u64) -> Vec<f64> {
    let mut weights: Vec<f64> = uniforms(n, seed)
        .iter()
        .map(|u| (4.0 * u).floor())
        .collect();
    weights[0] = weights[0].max(1.0);
    weights
}

/// The numbers of rows, each as often as its weight says.
fn repeated(weights: &[f64]) -> Vec<usize> {
    let each = weights.iter().enumerate();
    each.flat_map(|(i, w)| vec![i; *w as usize]).collect()
}

/// Weighted thresholds by hand: the smallest score that enough weight is at or below.
#[test]
fn thresholds_by_hand() {
    let scores = [3.0, 1.0, 2.0];
    let at = |weights: &[f64; 3], level| weighted_threshold(&scores, Some(weights), level).unwrap();
    // (1 + 8) 0.5 = 4.5 of the weights 6 (at 1), 1 (at 2), 1 (at 3)
    assert_eq!(at(&[1.0, 6.0, 1.0], 0.5), Some(1.0));
    // 6.3: the 6 at 1 are too few
    assert_eq!(at(&[1.0, 6.0, 1.0], 0.7), Some(2.0));
    assert_eq!(at(&[1.0, 6.0, 1.0], 0.89), None);
    // half of one row is too little for anything
    assert_eq!(at(&[0.2, 0.2, 0.1], 0.5), None);
    assert_eq!(at(&[0.0, 0.0, 9.0], 0.5), Some(2.0));
    for weights in [
        &[1.0, 2.0][..],
        &[-1.0, 1.0, 1.0],
        &[0.0; 3],
        &[f64::NAN, 1.0, 1.0],
    ] {
        assert!(weighted_threshold(&scores, Some(weights), 0.5).is_err());
        let labels = [0; 3];
        assert!(
            Labelled::new(&[1.0; 3], 1, &labels)
                .unwrap()
                .weighted(Some(weights))
                .is_err()
        );
        assert!(thresholds_by_class(&scores, &labels, Some(weights), 1, 0.5).is_err());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(30))]

    #[test]
    fn maps_count_rows_as_often_as_their_weight(
        seed in 0u64..1000, n in 2usize..40, k in 2usize..5, sharpness in 0.3f64..4.0
    ) {
        let (p, labels) = overstated(n, k, seed, sharpness);
        let weights = whole_weights(n, seed + 9);
        let order = repeated(&weights);
        let all_p: Vec<f64> = order.iter().flat_map(|&i| p[i * k..(i + 1) * k].to_vec()).collect();
        let all_labels: Vec<usize> = order.iter().map(|&i| labels[i]).collect();
        let weighted = Labelled::new(&p, k, &labels).unwrap().weighted(Some(&weights)).unwrap();
        let rows = Labelled::new(&all_p, k, &all_labels).unwrap();
        prop_assert_eq!(weighted.total(), order.len() as f64);
        prop_assert!((weighted.nll(|_| ()) - rows.nll(|_| ())).abs() < 1e-9);
        let fits = |rows: &Labelled<'_>| {
            let mut maps = vec![
                Recalibration::Temperature(Temperature::fit(rows, RIDGE)),
                Recalibration::Vector(VectorScaling::fit(rows, RIDGE).unwrap()),
            ];
            if k == 2 {
                maps.push(Recalibration::Isotonic(Isotonic::fit(rows).unwrap()));
            }
            maps
        };
        for (a, b) in fits(&weighted).iter().zip(fits(&rows)) {
            for row in p.chunks(k) {
                let (mut x, mut y) = (row.to_vec(), row.to_vec());
                a.apply(&mut x);
                b.apply(&mut y);
                for (x, y) in x.iter().zip(&y) {
                    prop_assert!((x - y).abs() < 1e-5, "{a:?} {b:?}");
                }
            }
        }
    }

    #[test]
    fn thresholds_count_rows_as_often_as_their_weight(
        seed in 0u64..1000, n in 1usize..40, percent in 1usize..100, ties in 1usize..20
    ) {
        let level = percent as f64 / 100.0;
        // few different scores, so that many are equal
        let scores: Vec<f64> = uniforms(n, seed).iter().map(|u| (ties as f64 * u).floor()).collect();
        let labels: Vec<usize> = uniforms(n, seed + 1).iter().map(|u| (3.0 * u) as usize).collect();
        let weights = whole_weights(n, seed + 2);
        let order = repeated(&weights);
        let all: Vec<f64> = order.iter().map(|&i| scores[i]).collect();
        let all_labels: Vec<usize> = order.iter().map(|&i| labels[i]).collect();
        prop_assert_eq!(
            weighted_threshold(&scores, Some(&weights), level).unwrap(),
            threshold(&all, level).unwrap()
        );
        prop_assert_eq!(
            thresholds_by_class(&scores, &labels, Some(&weights), 3, level).unwrap(),
            thresholds_by_class(&all, &all_labels, None, 3, level).unwrap()
        );
        let once = vec![1.0; n];
        prop_assert_eq!(
            weighted_threshold(&scores, Some(&once), level).unwrap(),
            weighted_threshold(&scores, None, level).unwrap()
        );
    }
}
