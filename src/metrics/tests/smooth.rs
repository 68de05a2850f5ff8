use super::*;
use approx::assert_relative_eq;
use proptest::prelude::*;

/// `e(s)` by the definition: Gaussian kernels and their reflections, on a fine grid.
fn error_by_kernels(p: &[f64], happened: &[f64], s: f64) -> f64 {
    let density = |d: f64| (-0.5 * (d / s).powi(2)).exp() / (s * (2.0 * PI).sqrt());
    // t has the images t + 2 m and -t + 2 m
    let kernel = |t: f64, p: f64| -> f64 {
        let images = (-6..=6).map(|m| 2.0 * f64::from(m));
        images
            .map(|m| density(t + m - p) + density(m - t - p))
            .sum()
    };
    let points = 2_000;
    let smoothed = |t: f64| -> f64 {
        let rows = p.iter().zip(happened);
        rows.map(|(&p, y)| (p - y) * kernel(t, p)).sum::<f64>() / p.len() as f64
    };
    let grid = (0..points).map(|j| (f64::from(j) + 0.5) / f64::from(points));
    grid.map(|t| smoothed(t).abs()).sum::<f64>() / f64::from(points)
}

#[test]
fn the_series_is_the_reflected_kernel() {
    let (p, y) = ([0.02, 0.3, 0.35, 0.9, 1.0], [1.0, 0.0, 1.0, 1.0, 0.0]);
    for width in [0.02, 0.1, 0.5, 1.0] {
        let series = Residuals::new(&p, &y, None).error(width);
        let kernels = error_by_kernels(&p, &y, width);
        // both rules have an error of order (step / width)^2 where the residual changes its sign:
        // step = width / 20 or 1/200 here, 1/2000 there
        assert_relative_eq!(series, kernels, epsilon = 2e-4);
    }
}

#[test]
fn a_constant_gap_is_found() {
    // stated 0.7, happens in 0.4 of the rows: all residuals at one place, e(s) = 0.3 for every s
    let error = smooth_calibration_error(&[0.7; 5], &[1.0, 1.0, 0.0, 0.0, 0.0], None).unwrap();
    assert_relative_eq!(error, 0.3, max_relative = 2e-6);
    let perfect = smooth_calibration_error(&[1.0, 0.0, 1.0], &[1.0, 0.0, 1.0], None).unwrap();
    assert_eq!(perfect, 0.0);
    let wrong = smooth_calibration_error(&[1.0, 0.0], &[0.0, 1.0], None).unwrap();
    // residuals 1 at 1 and -1 at 0 cancel as far as the width mixes them
    assert!((0.4..0.7).contains(&wrong), "{wrong}");
}

/// A step of a bin error: none here.
#[test]
fn there_is_no_jump_at_an_edge_of_a_bin() {
    let error = |p: f64| smooth_calibration_error(&[p, 0.6], &[1.0, 0.0], None).unwrap();
    assert!((error(0.5 - 1e-6) - error(0.5 + 1e-6)).abs() < 1e-5);
}

#[test]
fn what_does_not_fit_is_refused() {
    let refused = |p: &[f64], y: &[f64]| {
        smooth_calibration_error(p, y, None)
            .unwrap_err()
            .to_string()
    };
    assert!(refused(&[0.5, 1.5], &[0.0, 1.0]).contains("row 1 (from 0): probability 1.5"));
    assert!(refused(&[0.5], &[-1.0]).contains("happened -1"));
    assert!(refused(&[0.5], &[1.0, 0.0]).contains("1 outcome"));
    assert!(refused(&[f64::NAN], &[1.0]).contains("row 0"));
    assert!(refused(&[], &[]).contains("at least 1"));
    assert!(smooth_calibration_error(&[0.5], &[1.0], Some(&[1.0, 1.0])).is_err());
}

proptest! {
    #[test]
    fn the_error_is_its_own_width(rows in prop::collection::vec((0.0f64..=1.0, any::<bool>()), 1..25)) {
        let p: Vec<f64> = rows.iter().map(|r| r.0).collect();
        let y: Vec<f64> = rows.iter().map(|r| f64::from(u8::from(r.1))).collect();
        let error = smooth_calibration_error(&p, &y, None).unwrap();
        prop_assert!((0.0..=1.0).contains(&error));
        let mut residuals = Residuals::new(&p, &y, None);
        if error > 2.0 * NARROWEST {
            // the midpoint rule is good to about 1/3200 of the amplitude for each change of sign
            let gap = residuals.error(error) - error;
            prop_assert!(gap.abs() < 5e-3 * error, "{error} {gap}");
        }
        // it never rises with the width, and lies above the overall gap
        let widths = [0.01, 0.03, 0.1, 0.3, 1.0].map(|w| residuals.error(w));
        prop_assert!(widths.windows(2).all(|w| w[1] <= w[0] + 1e-3), "{widths:?}");
        let gap: f64 = p.iter().zip(&y).map(|(p, y)| p - y).sum::<f64>() / p.len() as f64;
        prop_assert!(error >= gap.abs() - 1e-3);
    }

    /// The event turned into its opposite: the same error.
    #[test]
    fn it_is_the_same_for_the_opposite_event(rows in prop::collection::vec((0.0f64..=1.0, any::<bool>()), 1..25)) {
        let p: Vec<f64> = rows.iter().map(|r| r.0).collect();
        let y: Vec<f64> = rows.iter().map(|r| f64::from(u8::from(r.1))).collect();
        let opposite = |v: &[f64]| v.iter().map(|x| 1.0 - x).collect::<Vec<f64>>();
        let plain = smooth_calibration_error(&p, &y, None).unwrap();
        let turned = smooth_calibration_error(&opposite(&p), &opposite(&y), None).unwrap();
        prop_assert!((plain - turned).abs() < 1e-5);
    }
}
