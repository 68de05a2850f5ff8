use super::*;
use crate::data::TargetMap;
use crate::model::Law;
use crate::predict::MemberLaws;
use approx::assert_relative_eq;

fn counts(rates: &[f64]) -> MixedPredictions {
    MixedPredictions {
        rows: rates.len(),
        members: vec![MemberLaws {
            weight: 1.0,
            target: TargetMap::IDENTITY,
            samples: 1,
            laws: rates.iter().map(|&rate| Law::Poisson { rate }).collect(),
        }],
    }
}

#[test]
fn counts_have_jumps_and_intervals_with_ends() {
    let rows = RealRows::of_laws(&counts(&[2.0, 2.0, 2.0]), &[0.0, 3.0, 9.0]).unwrap();
    let at_0 = (-2f64).exp();
    assert_relative_eq!(rows.pits()[0].up_to, at_0, epsilon = 1e-12);
    assert_eq!(rows.pits()[0].below, 0.0);
    // 1 + 2 + 2, and 4/3 more for the count 3
    assert_relative_eq!(rows.pits()[1].below, at_0 * 5.0, epsilon = 1e-12);
    assert_relative_eq!(
        rows.pits()[1].up_to,
        at_0 * (5.0 + 4.0 / 3.0),
        epsilon = 1e-12
    );
    // from quantiles and from transforms: the same targets are inside
    let scores = crate::metrics::RegressionMetrics::of_rows(&rows).unwrap();
    assert_eq!(scores.coverage_90, rows.coverage_at(0.9).unwrap());
    assert_relative_eq!(scores.coverage_90, 2.0 / 3.0);
    assert_relative_eq!(rows.log_losses()[0], 2.0, epsilon = 1e-12);
    assert_eq!(rows.errors(), [2.0, -1.0, -7.0]);
    assert_relative_eq!(rows.stds()[0], 2f64.sqrt(), epsilon = 1e-12);
    let shares = rows.pit_histogram(4).unwrap();
    assert_relative_eq!(shares.iter().sum::<f64>(), 1.0, epsilon = 1e-12);
    assert!(rows.pit_histogram(0).is_err() && rows.coverage_at(1.0).is_err());
    assert!(RealRows::of_laws(&counts(&[2.0]), &[0.0, 1.0]).is_err());
    assert!(RealRows::of_laws(&counts(&[]), &[]).is_err());
}

/// All counts with their own probabilities as weights: transforms spread evenly are uniform, so the
/// model is found to be perfect.
#[test]
fn counts_drawn_from_the_model_are_calibrated() {
    let y: Vec<f64> = (0..30).map(f64::from).collect();
    let rows = RealRows::of_laws(&counts(&[3.0; 30]), &y).unwrap();
    let law = Law::Poisson { rate: 3.0 };
    let weights: Vec<f64> = y.iter().map(|&y| law.log_density(y).exp()).collect();
    let rows = rows.weighted(&weights).unwrap();
    let scores = crate::metrics::RegressionMetrics::of_rows(&rows).unwrap();
    assert!(scores.pit_distance < 1e-8, "{scores:?}");
    for share in rows.pit_histogram(5).unwrap() {
        assert_relative_eq!(share, 0.2, epsilon = 1e-9);
    }
}
