use super::*;
use approx::assert_relative_eq;
use proptest::prelude::*;

fn points(values: &[f64]) -> Vec<Pit> {
    values.iter().map(|&v| Pit::at(v)).collect()
}

fn distance(pits: &[Pit]) -> f64 {
    PitRanking::new(pits).distance(pits, None)
}

#[test]
fn distances_by_hand() {
    // the function jumps from 0 to 1 at 0.7
    assert_relative_eq!(distance(&points(&[0.7])), 0.7);
    // evenly spread: half a step
    assert_relative_eq!(distance(&points(&[0.25, 0.75])), 0.25);
    assert_relative_eq!(distance(&points(&[0.0, 0.0, 1.0, 1.0])), 0.5);
    // one count whose jump is all there is: uniform
    let whole = Pit {
        below: 0.0,
        up_to: 1.0,
    };
    assert_eq!(distance(&[whole]), 0.0);
    // half of the probability in (0, 0.2), the other half in (0.2, 1)
    let parts = [
        Pit {
            below: 0.0,
            up_to: 0.2,
        },
        Pit {
            below: 0.2,
            up_to: 1.0,
        },
    ];
    assert_relative_eq!(distance(&parts), 0.3, epsilon = 1e-15);
    let ranking = PitRanking::new(&parts);
    assert_relative_eq!(
        ranking.distance(&parts, Some(&[1.0, 4.0])),
        0.0,
        epsilon = 1e-15
    );
    assert!(ranking.distance(&parts, Some(&[0.0, 0.0])).is_nan());
    // a jump that rounding made tiny
    let tiny = Pit {
        below: 1.0 - 2e-16,
        up_to: 1.0,
    };
    assert_relative_eq!(distance(&[tiny]), 1.0, epsilon = 1e-9);
}

#[test]
fn histograms_by_hand() {
    let shares = histogram(&points(&[0.0, 0.5, 0.51, 1.0]), 2, None);
    assert_eq!(shares, [0.5, 0.5]);
    let shares = histogram(
        &[Pit {
            below: 0.4,
            up_to: 0.8,
        }],
        2,
        None,
    );
    assert_relative_eq!(shares[0], 0.25, epsilon = 1e-15);
    let shares = histogram(&points(&[0.1, 0.9]), 2, Some(&[1.0, 3.0]));
    assert_eq!(shares, [0.25, 0.75]);
}

#[test]
fn coverage_counts_ends_as_inside() {
    let pits = points(&[0.25, 0.75, 0.2, 0.8]);
    assert_eq!(coverage_at(&pits, 0.5, None), 0.5);
    assert_eq!(coverage_at(&pits, 0.5, Some(&[1.0, 1.0, 2.0, 0.0])), 0.5);
    // counts: quantiles are the smallest counts that reach 0.25 and 0.75
    let inside = |below, up_to| coverage_at(&[Pit { below, up_to }], 0.5, None) == 1.0;
    assert!(inside(0.1, 0.25) && !inside(0.1, 0.24));
    assert!(inside(0.74, 0.9) && !inside(0.75, 0.9));
}

fn jumps() -> impl Strategy<Value = Vec<(Pit, f64)>> {
    let pit = (0u32..=8, 0u32..=8).prop_map(|(a, b)| Pit {
        below: f64::from(a.min(b)) / 8.0,
        up_to: f64::from(a.max(b)) / 8.0,
    });
    prop::collection::vec((pit, 0.1f64..3.0), 1..15)
}

proptest! {
    /// Against the distribution function row by row, just before and at all ends.
    #[test]
    fn the_distance_is_the_largest_gap(rows in jumps()) {
        let pits: Vec<Pit> = rows.iter().map(|r| r.0).collect();
        let weights: Vec<f64> = rows.iter().map(|r| r.1).collect();
        let total: f64 = weights.iter().sum();
        let value = |u: f64| rows.iter().map(|(p, w)| w * p.share_below(u)).sum::<f64>() / total;
        let places = (0..=8).map(|i| f64::from(i) / 8.0).flat_map(|u| [u - 1e-12, u]);
        let gaps = places.map(|u| (value(u) - u).abs());
        let largest = gaps.fold(0.0, f64::max);
        let found = PitRanking::new(&pits).distance(&pits, Some(&weights));
        prop_assert!((found - largest).abs() < 1e-10, "{found} {largest}");
        let bins = histogram(&pits, 5, Some(&weights));
        prop_assert!((bins.iter().sum::<f64>() - 1.0).abs() < 1e-12);
    }

    #[test]
    fn the_distance_is_that_of_kolmogorov_and_smirnov(values in prop::collection::vec(0.0f64..1.0, 1..30)) {
        let test = crate::diagnose::ks_test(&values, |x| x).unwrap();
        prop_assert!((distance(&points(&values)) - test.statistic).abs() < 1e-12);
    }
}
