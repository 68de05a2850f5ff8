//! Tests of the module above.

use super::*;
use crate::deform::tests::{is_a_bijection, there_and_back};
use crate::rng::{Phase, Streams};

#[test]
fn both_directions_of_coupling() {
    let options = SplineOptions::default();
    let layer = |hidden: &[usize], swap| SplineCoupling::new(5, 2, hidden, swap, options).unwrap();
    is_a_bijection(&layer(&[7], false), 0, 1);
    is_a_bijection(&layer(&[7, 4], true), 0, 2);
}

#[test]
fn it_starts_as_the_identity() {
    let layer = SplineCoupling::new(4, 2, &[8], true, SplineOptions::default()).unwrap();
    let params = layer.init(&mut Streams::new(0).rng(Phase::DEFORM, 0));
    let z = [0.3, -1.0, 2.0, 0.7, 5.0, -5.0, -7.0, 1e6];
    let [y, log_det, ..] = there_and_back::<f64>(&layer, &params, &z);
    for (y, z) in y.iter().zip(&z) {
        assert!((y - z).abs() <= 1e-14 * z.abs().max(5.0), "{y} {z}");
    }
    assert!(log_det.iter().all(|l| l.abs() < 1e-13), "{log_det:?}");
}

/// Checks one bin against the equations of the paper's section 3.1, evaluated on plain numbers.
/// Also checks the spline at the knots: it is continuous, with the knots' derivatives from both
/// sides.
#[test]
fn a_spline_is_that_of_the_paper() {
    let options = SplineOptions {
        bins: 3,
        bound: 2.0,
        min_bin: 0.05,
        min_derivative: 0.1,
    };
    let layer = SplineCoupling::given(1, 1, &[2], options).unwrap();
    // the conditioner's last layer has no weights, so its biases are its outputs
    let says: [f64; 8] = [0.2, -0.5, 0.9, -0.3, 0.8, 0.1, 1.2, -0.7];
    let mut params = vec![0.0; layer.param_count() - 8];
    params.extend(says);
    let e: Vec<f64> = says
        .iter()
        .map(|v| (4.0 * (v / 4.0).tanh()).exp())
        .collect();
    let share = |e: &[f64], k: usize| 0.2 + 4.0 * (1.0 - 0.15) * e[k] / (e[0] + e[1] + e[2]);
    let d = [1.0, 0.1 + 0.9 * e[6], 0.1 + 0.9 * e[7], 1.0];
    let (mut x, mut y) = (-2.0, -2.0);
    for k in 0..3 {
        let (w, h) = (share(&e[..3], k), share(&e[3..6], k));
        let s = h / w;
        for t in [1e-9, 0.2, 0.5, 0.9, 1.0 - 1e-9] {
            let below = s + (d[k + 1] + d[k] - 2.0 * s) * t * (1.0 - t);
            let want = y + h * (s * t * t + d[k] * t * (1.0 - t)) / below;
            let above = d[k + 1] * t * t + 2.0 * s * t * (1.0 - t) + d[k] * (1.0 - t) * (1.0 - t);
            let slope = s * s * above / (below * below);
            let at = [0.4, x + t * w];
            let [got, log_det, back, _] = there_and_back::<f64>(&layer, &params, &at);
            assert!((got[1] - want).abs() < 1e-12, "{} {want}", got[1]);
            assert!((log_det[0] - slope.ln()).abs() < 1e-12);
            assert!((back[1] - at[1]).abs() < 1e-12);
        }
        (x, y) = (x + w, y + h);
    }
    assert!((x - 2.0).abs() < 1e-12 && (y - 2.0).abs() < 1e-12);
}

#[test]
fn options_out_of_range_are_named() {
    let wrong = |change: fn(&mut SplineOptions)| {
        let mut options = SplineOptions::default();
        change(&mut options);
        let error = SplineCoupling::new(4, 2, &[3], false, options)
            .err()
            .unwrap();
        error.to_string()
    };
    assert!(wrong(|o| o.bins = 1).contains("bins"));
    assert!(wrong(|o| o.bound = f64::NAN).contains("bound"));
    assert!(wrong(|o| o.min_bin = 0.1).contains("min_bin"));
    assert!(wrong(|o| o.min_derivative = 1.0).contains("min_derivative"));
}
