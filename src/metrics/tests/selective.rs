use super::*;
use approx::assert_relative_eq;
use proptest::prelude::*;

fn curve_of(uncertainty: &[f64], losses: &[f64]) -> RiskCoverage {
    RiskCoverage::new(uncertainty, losses, None).unwrap()
}

#[test]
fn a_curve_by_hand() {
    // surest right, the other wrong: risk 0 up to 1/2, then (c - 1/2) / c
    let curve = curve_of(&[0.1, 0.2], &[0.0, 1.0]);
    let points: Vec<(f64, f64)> = curve.points.iter().map(|p| (p.coverage, p.risk)).collect();
    assert_eq!(points, [(0.5, 0.0), (1.0, 0.5)]);
    assert_relative_eq!(curve.aurc, 0.5 - 0.5 * 2f64.ln(), epsilon = 1e-15);
    assert_eq!(curve.best, curve.aurc);
    // the other way round: risk 1 up to 1/2, then 1 / (2 c)
    let turned = curve_of(&[0.2, 0.1], &[0.0, 1.0]);
    assert_relative_eq!(turned.aurc, 0.5 + 0.5 * 2f64.ln(), epsilon = 1e-15);
    assert_eq!(turned.best, curve.aurc);
    // no skill: the mean loss
    let tied = curve_of(&[0.3; 5], &[0.0, 1.0, 1.0, 0.0, 0.0]);
    assert_relative_eq!(tied.aurc, 0.4, epsilon = 1e-15);
    assert_eq!((tied.points.len(), tied.points[0].coverage), (1, 1.0));
}

#[test]
fn edges_are_handled() {
    let one = curve_of(&[0.5], &[3.0]);
    assert_eq!((one.aurc, one.best, one.points.len()), (3.0, 3.0, 1));
    let infinite = curve_of(&[0.1, 0.2, f64::INFINITY], &[1.0, f64::INFINITY, 1.0]);
    assert_eq!(
        (infinite.points[0].risk, infinite.aurc),
        (1.0, f64::INFINITY)
    );
    assert!(RiskCoverage::new(&[], &[], None).is_err());
    assert!(RiskCoverage::new(&[1.0], &[1.0, 2.0], None).is_err());
    assert!(RiskCoverage::new(&[f64::NAN], &[1.0], None).is_err());
    assert!(RiskCoverage::new(&[1.0], &[f64::NAN], None).is_err());
    assert!(RiskCoverage::new(&[1.0, 2.0], &[1.0, 2.0], Some(&[1.0])).is_err());
    // rows without weight leave no points
    let lighter = RiskCoverage::new(&[1.0, 2.0], &[1.0, 7.0], Some(&[2.0, 0.0])).unwrap();
    assert_eq!((lighter.aurc, lighter.points.len()), (1.0, 1));
}

/// All orders of `0..n`.
fn permutations(n: usize) -> Vec<Vec<usize>> {
    if n == 0 {
        return vec![Vec::new()];
    }
    let shorter = permutations(n - 1);
    let insert = |p: &Vec<usize>| {
        let p = p.clone();
        (0..n).map(move |at| [&p[..at], &[n - 1], &p[at..]].concat())
    };
    shorter.iter().flat_map(insert).collect()
}

proptest! {
    /// The area over tied rows is the mean over the orders in which they may be answered.
    #[test]
    fn the_area_is_the_mean_over_all_orders_of_tied_rows(
        rows in prop::collection::vec((0u32..2, -1i32..3), 1..6)
    ) {
        let uncertainty: Vec<f64> = rows.iter().map(|r| f64::from(r.0)).collect();
        let losses: Vec<f64> = rows.iter().map(|r| f64::from(r.1)).collect();
        let orders = permutations(rows.len());
        let mean = orders.iter().map(|order| {
            // break ties by the order
            let broken: Vec<f64> = (0..rows.len()).map(|i| uncertainty[i] + 0.01 * order[i] as f64).collect();
            curve_of(&broken, &losses).aurc
        });
        let mean = mean.sum::<f64>() / orders.len() as f64;
        prop_assert!((curve_of(&uncertainty, &losses).aurc - mean).abs() < 1e-12);
    }

    /// The integral against a sum over rows that are each split into many.
    #[test]
    fn the_area_is_the_limit_of_the_papers_sum(
        rows in prop::collection::vec((0u32..4, 0.0f64..2.0), 1..10)
    ) {
        let (fine, n) = (400, rows.len());
        let mut sorted = rows.clone();
        sorted.sort_by_key(|r| r.0);
        let (mut lost, mut sum, mut start) = (0.0, 0.0, 0);
        while start < n {
            let end = start + sorted[start..].iter().filter(|r| r.0 == sorted[start].0).count();
            let rate = sorted[start..end].iter().map(|r| r.1).sum::<f64>() / (end - start) as f64;
            for j in start * fine..end * fine {
                lost += rate;
                sum += lost / (j + 1) as f64;
            }
            start = end;
        }
        let uncertainty: Vec<f64> = rows.iter().map(|r| f64::from(r.0)).collect();
        let losses: Vec<f64> = rows.iter().map(|r| r.1).collect();
        let curve = curve_of(&uncertainty, &losses);
        // the sum differs from the integral by less than the largest loss times ln(n fine) / (n fine)
        let parts = (n * fine) as f64;
        prop_assert!((curve.aurc - sum / parts).abs() < 2.0 * parts.ln() / parts);
        prop_assert!(curve.best <= curve.aurc + 1e-12);
    }

    #[test]
    fn only_the_order_of_uncertainties_counts(
        rows in prop::collection::vec((0u32..6, 0.0f64..2.0), 1..30)
    ) {
        let losses: Vec<f64> = rows.iter().map(|r| r.1).collect();
        let of = |map: fn(f64) -> f64| {
            let uncertainty: Vec<f64> = rows.iter().map(|r| map(f64::from(r.0))).collect();
            curve_of(&uncertainty, &losses)
        };
        prop_assert_eq!(of(|x| x), of(|x| x.exp() - 3.0));
        // answered from the surest or from the least sure: with ties only, nothing changes
        let curve = of(|_| 1.0);
        prop_assert!((curve.aurc - losses.iter().sum::<f64>() / losses.len() as f64).abs() < 1e-12);
    }
}
