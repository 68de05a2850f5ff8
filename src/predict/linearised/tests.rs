//! Tests of the module above.

use super::*;
use crate::linalg::Cholesky;
use crate::predict::ClassPredictions;

fn three() -> OutputGaussian {
    // two rows of three outputs, correlated
    let root = [1.1, 0.0, 0.0, 0.6, 0.8, 0.0, -0.4, 0.3, 0.5];
    let product = |at: usize| {
        (0..3)
            .map(|l| root[at / 3 * 3 + l] * root[at % 3 * 3 + l])
            .sum()
    };
    let covariance: Vec<f64> = (0..9).map(product).collect();
    let small: Vec<f64> = covariance.iter().map(|c| 0.09 * c).collect();
    OutputGaussian {
        rows: 2,
        width: 3,
        means: vec![0.5, -0.3, 0.2, 1.0, 0.0, -2.0],
        covariances: [covariance, small].concat(),
    }
}

#[test]
fn draws_have_the_moments_of_their_gaussian_and_blocks_change_nothing() {
    let (gaussian, samples) = (three(), 40_000);
    let drawn = draw_outputs(&gaussian, samples, 0, Streams::new(1)).unwrap();
    for row in 0..2 {
        let (m, v) = (gaussian.mean(row), gaussian.covariance(row));
        let mean_of = |f: &dyn Fn(&[f64]) -> f64| {
            drawn.row(row).chunks_exact(3).map(f).sum::<f64>() / samples as f64
        };
        for i in 0..3 {
            // 5 standard deviations of a mean, and of a product: Var = v_ii v_jj + v_ij^2
            let bound = 5.0 * (v[4 * i] / samples as f64).sqrt();
            assert!((mean_of(&|o| o[i]) - m[i]).abs() < bound);
            for j in 0..3 {
                let got = mean_of(&|o| (o[i] - m[i]) * (o[j] - m[j]));
                let spread = v[4 * i] * v[4 * j] + v[3 * i + j].powi(2);
                assert!((got - v[3 * i + j]).abs() < 5.0 * (spread / samples as f64).sqrt());
            }
        }
    }
    let second = OutputGaussian {
        rows: 1,
        width: 3,
        means: gaussian.means[3..].to_vec(),
        covariances: gaussian.covariances[9..].to_vec(),
    };
    let alone = draw_outputs(&second, samples, 1, Streams::new(1)).unwrap();
    assert_eq!(alone.row(0), drawn.row(1));
    assert!(draw_outputs(&gaussian, 0, 0, Streams::new(1)).is_err());
}

#[test]
fn a_probability_that_is_no_number_is_refused() {
    let gaussian = |width, means: &[f64], covariances: &[f64]| OutputGaussian {
        rows: means.len() / width,
        width,
        means: means.to_vec(),
        covariances: covariances.to_vec(),
    };
    // the variance of the difference is infinity minus infinity: unknown, not certain
    let unknown = gaussian(2, &[5.0, 0.0], &[1e308; 4]);
    assert!(class_probabilities(&unknown, SoftmaxMean::Pairs).is_err());
    // a variance that rounding made negative counts as 0
    let rounded = gaussian(1, &[1.0], &[-1e-12]);
    let exact = gaussian(1, &[1.0], &[0.0]);
    for by in [SoftmaxMean::Probit, SoftmaxMean::Pairs] {
        let of = |g: &OutputGaussian| class_probabilities(g, by);
        assert_eq!(of(&rounded).unwrap(), of(&exact).unwrap());
        for negative in [
            gaussian(1, &[1.0], &[-10.0]),
            gaussian(2, &[1.0, 0.0], &[-10.0, 0.0, 0.0, -10.0]),
        ] {
            let p = of(&negative).unwrap();
            assert!(p.iter().all(|p| p.is_finite()), "{by:?}: {p:?}");
        }
    }
}

/// Mean and standard deviation of the softmax of a row, by the trapezoidal rule on a grid of
/// 31^3 points. It agrees with finer grids to 1e-8.
fn mean_softmax(gaussian: &OutputGaussian, row: usize) -> [[f64; 3]; 2] {
    let factor = Cholesky::new(gaussian.covariance(row), 3).unwrap();
    let root = [0, 1, 2].map(|i| {
        let (mut unit, mut row) = ([0.0; 3], [0.0; 3]);
        unit[i] = 1.0;
        factor.multiply_transposed(&unit, &mut row);
        row
    });
    let weight = |z: &[f64]| (-0.5 * dot(z, z)).exp();
    let (mut sums, mut total) = ([[0.0; 3]; 2], 0.0);
    for at in 0..31 * 31 * 31 {
        let z = [at / 961, at / 31 % 31, at % 31].map(|i| 0.4 * (i as f64 - 15.0));
        let o = [0, 1, 2].map(|i| gaussian.mean(row)[i] + dot(&root[i], &z));
        let e = o.map(f64::exp);
        let sum: f64 = e.iter().sum();
        for (i, e) in e.iter().enumerate() {
            sums[0][i] += weight(&z) * e / sum;
            sums[1][i] += weight(&z) * (e / sum).powi(2);
        }
        total += weight(&z);
    }
    let means = sums[0].map(|s| s / total);
    let spread = |i: usize| (sums[1][i] / total - means[i].powi(2)).sqrt();
    [means, [0, 1, 2].map(spread)]
}

#[test]
fn closed_forms_are_as_far_from_the_mean_softmax_as_they_are() {
    let (gaussian, samples) = (three(), 40_000);
    let drawn = draw_outputs(&gaussian, samples, 0, Streams::new(2)).unwrap();
    let mut sampled = ClassPredictions::empty(3);
    sampled.extend(&drawn).unwrap();
    // from another program: the mean softmax on a grid of 61^3 points, and the errors of the
    // closed forms
    let means = [
        [0.44135515, 0.19196437, 0.36668048],
        [0.70041103, 0.26168234, 0.03790663],
    ];
    let pairs = [
        [-0.00765685, 0.03048996, -0.02283312],
        [-0.00080494, 0.00001231, 0.00079262],
    ];
    let probit = [
        [-0.00832246, 0.03053692, -0.02221447],
        [0.00020998, 0.00145795, -0.00166792],
    ];
    for row in 0..2 {
        let [mean, std] = mean_softmax(&gaussian, row);
        for i in 0..3 {
            // eight digits, and 1e-8 for the grid
            assert!((mean[i] - means[row][i]).abs() < 2e-8);
            // 5 standard deviations of a mean
            let error = sampled.probabilities[3 * row + i] - mean[i];
            assert!(
                error.abs() < 5.0 * std[i] / (samples as f64).sqrt(),
                "{error}"
            );
        }
        for (by, off) in [(SoftmaxMean::Pairs, pairs), (SoftmaxMean::Probit, probit)] {
            let p = class_probabilities(&gaussian, by).unwrap();
            let got = &p[3 * row..3 * row + 3];
            assert!((got.iter().sum::<f64>() - 1.0).abs() < 1e-14);
            for i in 0..3 {
                let error = got[i] - mean[i];
                assert!((error - off[row][i]).abs() < 2e-8, "{by:?}: {error}");
            }
        }
    }
    // computed by another program from the formula
    let by_pairs = class_probabilities(&gaussian, SoftmaxMean::Pairs).unwrap();
    let want = [
        0.4336983, 0.22245433, 0.34384736, 0.69960609, 0.26169465, 0.03869926,
    ];
    for (p, w) in by_pairs.iter().zip(want) {
        assert!((p - w).abs() < 1e-8, "{p} for {w}");
    }
    // no spread: the softmax
    let sure = OutputGaussian {
        covariances: vec![0.0; 18],
        ..gaussian
    };
    let total: f64 = sure.mean(0).iter().map(|m| m.exp()).sum();
    for by in [SoftmaxMean::Pairs, SoftmaxMean::Probit] {
        let p = class_probabilities(&sure, by).unwrap();
        for (p, m) in p.iter().zip(sure.mean(0)) {
            assert!((p - m.exp() / total).abs() < 1e-14);
        }
    }
}

/// Two logits act as one, their difference. One logit is checked against quadrature.
#[test]
fn two_classes_by_one_logit_or_two() {
    let (m, v) = (0.8, 2.5);
    let one = OutputGaussian {
        rows: 1,
        width: 1,
        means: vec![m],
        covariances: vec![v],
    };
    let two = OutputGaussian {
        rows: 1,
        width: 2,
        means: vec![0.3, 1.1],
        covariances: vec![1.0, -0.25, -0.25, 1.0],
    };
    let p = class_probabilities(&one, SoftmaxMean::Pairs).unwrap();
    let q = class_probabilities(&two, SoftmaxMean::Pairs).unwrap();
    assert!((p[0] - q[0]).abs() < 1e-14 && (p[1] - q[1]).abs() < 1e-14);
    let weight = |i: i32| (-0.5 * (0.05 * f64::from(i)).powi(2)).exp();
    let logit = |i: i32| m + v.sqrt() * 0.05 * f64::from(i);
    let total: f64 = (-200..=200).map(weight).sum();
    let mean: f64 = (-200..=200)
        .map(|i| weight(i) * sigmoid(logit(i)))
        .sum::<f64>()
        / total;
    for by in [SoftmaxMean::Pairs, SoftmaxMean::Probit] {
        let p = class_probabilities(&one, by).unwrap();
        assert!(
            (p[1] - mean).abs() < 0.01,
            "{by:?}: {} against {mean}",
            p[1]
        );
        assert!((p[0] + p[1] - 1.0).abs() < 1e-15);
    }
}

#[test]
fn a_regression_adds_the_noise() {
    let gaussian = OutputGaussian {
        rows: 2,
        width: 1,
        means: vec![0.5, -1.0],
        covariances: vec![0.16, 0.0],
    };
    let p = regression_predictions(&gaussian, 0.3, 10.0, 2.0).unwrap();
    let rows = p.summaries(&[]).unwrap().moments;
    assert!((rows[0].mean - 11.0).abs() < 1e-12 && (rows[1].mean - 8.0).abs() < 1e-12);
    assert!((rows[0].std - 1.0).abs() < 1e-12, "2 sqrt(0.16 + 0.09)");
    assert!((rows[0].epistemic_std - 0.8).abs() < 1e-12);
    assert!((rows[1].std - 0.6).abs() < 1e-12);
    let short = OutputGaussian {
        covariances: vec![1.0],
        ..gaussian.clone()
    };
    assert!(regression_predictions(&short, 0.3, 0.0, 1.0).is_err());
    let wrong = OutputGaussian {
        means: vec![f64::NAN, 0.0],
        ..gaussian
    };
    assert!(class_probabilities(&wrong, SoftmaxMean::Pairs).is_err());
}
