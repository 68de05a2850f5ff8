//! The evidence of a Laplace approximation, against quadrature, and the scales that maximise it.

use std::ops::Neg;

use crate::common::normals;
use crate::laplace::{ALPHA, Classes, JOINED, Regression, close, options};
use fiberwalk::baselines::{
    Curvature, Laplace, LaplaceOptions, PrecisionGroups, Structure, TuneOptions, precision_grid,
};
use fiberwalk::curvature::Supervised;
use fiberwalk::{
    Activation, Bernoulli, Gaussian, IsotropicGaussian, Mlp, PerLayerGaussian, Streams,
};

/// Laplace's evidence of a logistic regression with two parameters, against quadrature.
///
/// The first term of its error is checked too. With cumulants `k3 = p (1 - p) (1 - 2 p)`,
/// `k4 = p (1 - p) (1 - 6 p (1 - p))` and `S = Q^{-1}`, the expansion in `1 / N` (Tierney & Kadane
/// 1986; Shun & McCullagh 1995), with `v_nm = x_n^T S x_m`, is
///
/// ```text
/// log Z - log Z_Laplace ~ -1/8 sum_n k4_n v_nn^2 + 1/8 sum_nm k3_n k3_m v_nn v_nm v_mm
///                         + 1/12 sum_nm k3_n k3_m v_nm^3
/// ```
#[test]
fn evidence_of_a_logistic_regression_by_quadrature() {
    let net = Mlp::new(&[1, 1], Activation::Identity).unwrap();
    let alpha = 0.5;
    let prior = IsotropicGaussian::new(alpha).unwrap();
    let mut errors = Vec::new();
    for n in [50, 200] {
        let x = normals(n, 11);
        let draws = normals(n, 12);
        let y: Vec<f64> = x
            .iter()
            .zip(&draws)
            .map(|(x, e)| f64::from(1.2 * x - 0.4 + 1.7 * e > 0.0))
            .collect();
        // -log p(D, theta), its gradient and Hessian by hand
        let parts = |w: f64, b: f64| {
            let mut u = 0.5 * alpha * (w * w + b * b) - (alpha / (2.0 * std::f64::consts::PI)).ln();
            let (mut g, mut h) = ([alpha * w, alpha * b], [alpha, 0.0, alpha]);
            for (x, y) in x.iter().zip(&y) {
                let o = w * x + b;
                u += (1.0 + o.abs().neg().exp()).ln() + o.max(0.0) - y * o;
                let p = 1.0 / (1.0 + (-o).exp());
                g[0] += (p - y) * x;
                g[1] += p - y;
                let s = p * (1.0 - p);
                h = [h[0] + s * x * x, h[1] + s * x, h[2] + s];
            }
            (u, g, h)
        };
        let (mut w, mut b) = (0.0, 0.0);
        for _ in 0..50 {
            let (_, g, h) = parts(w, b);
            let det = h[0] * h[2] - h[1] * h[1];
            w -= (h[2] * g[0] - h[1] * g[1]) / det;
            b -= (h[0] * g[1] - h[1] * g[0]) / det;
        }
        let (mode, _, h) = parts(w, b);
        let det = h[0] * h[2] - h[1] * h[1];
        let s = [h[2] / det, -h[1] / det, h[0] / det];
        // the trapezoidal rule on +-10 standard deviations in steps of a fifth: exact up to e^-50
        // and e^{-2 pi^2 25}
        let (dw, db) = (0.2 * s[0].sqrt(), 0.2 * s[2].sqrt());
        let mut sum = 0.0;
        for i in -50..=50 {
            for j in -50..=50 {
                let (u, _, _) = parts(w + dw * f64::from(i), b + db * f64::from(j));
                sum += (mode - u).exp();
            }
        }
        let exact = (sum * dw * db).ln() - mode;
        let data = Supervised {
            network: &net,
            likelihood: &Bernoulli,
            x: &x,
            y: &y,
        };
        for curvature in [Curvature::Ggn, Curvature::Hessian] {
            let options = options(Structure::Full, curvature);
            let laplace = Laplace::fit(&data, &prior, &[w, b], &options, Streams::new(0)).unwrap();
            let by_hand = -mode + (2.0 * std::f64::consts::PI).ln() - 0.5 * det.ln();
            close(
                laplace.log_evidence(),
                by_hand,
                1e-10,
                "two ways to Laplace",
            );
            let p: Vec<f64> = x.iter().map(|x| 1.0 / (1.0 + (-w * x - b).exp())).collect();
            let v = |i: usize, j: usize| s[0] * x[i] * x[j] + s[1] * (x[i] + x[j]) + s[2];
            let k2 = |i: usize| p[i] * (1.0 - p[i]);
            let k3 = |i: usize| k2(i) * (1.0 - 2.0 * p[i]);
            let mut correction = 0.0;
            for i in 0..n {
                correction -= k2(i) * (1.0 - 6.0 * k2(i)) * v(i, i).powi(2) / 8.0;
                for j in 0..n {
                    let pair = v(i, i) * v(i, j) * v(j, j) / 8.0 + v(i, j).powi(3) / 12.0;
                    correction += k3(i) * k3(j) * pair;
                }
            }
            let error = exact - laplace.log_evidence();
            // what is left is of second order, about the square of the first term
            let left = (error - correction).abs();
            assert!(
                left < 0.25 * correction.abs() && left < 5e-3,
                "{n} rows: error {error}, first term {correction}"
            );
            errors.push(error.abs());
        }
    }
    // the error goes as 1 / N, so a quarter; the limit is wider because the data differ
    assert!(errors[2] < 0.5 * errors[0] && errors[0] < 0.1, "{errors:?}");
}

#[test]
fn scales_are_at_a_maximum_of_the_evidence() {
    let problem = Regression::new(normals(40 * 4, 43), 4);
    let (mut noise, mut alpha) = (1.0, vec![1.0; 5]);
    let tuning = TuneOptions {
        groups: Some(PrecisionGroups::PerTensor),
        noise_std: true,
        steps: 500,
        tolerance: 1e-9,
        ..TuneOptions::default()
    };
    for round in 0..40 {
        let likelihood = Gaussian::new(noise).unwrap();
        let prior =
            PerLayerGaussian::new(&[("layer0.weight", alpha[0]), ("layer0.bias", alpha[4])])
                .unwrap();
        let (mean, _) = problem.exact(&alpha, noise);
        let options = LaplaceOptions {
            noise_std: Some(noise),
            ..options(Structure::Full, Curvature::Ggn)
        };
        let mut laplace = Laplace::fit(
            &problem.data(&likelihood),
            &prior,
            &mean,
            &options,
            Streams::new(5),
        )
        .unwrap();
        let before = laplace.log_evidence();
        let report = laplace.tune_by_evidence(&tuning).unwrap();
        assert!(report.settled && !report.bounded, "{report:?}");
        assert!(report.log_evidence >= before - 1e-9);
        close(laplace.log_evidence(), report.log_evidence, 1e-12, "report");
        alpha = laplace.prior_precision().to_vec();
        noise = laplace.noise_std().unwrap();
        if round == 0 {
            // at the given mean and curvature every direction is downhill
            for factor in [0.97, 1.03] {
                let mut other = laplace.clone();
                other.set_noise_std(noise * factor).unwrap();
                assert!(other.log_evidence() < report.log_evidence - 1e-6);
                for tensor in [0..4, 4..5] {
                    let mut prior = alpha.clone();
                    prior[tensor].iter_mut().for_each(|p| *p *= factor);
                    let mut other = laplace.clone();
                    other.set_prior_precision(&prior).unwrap();
                    assert!(other.log_evidence() < report.log_evidence - 1e-6);
                }
            }
        }
    }
    // fitted and tuned in turn, it reaches the maximum of the exact evidence
    let best = problem.log_evidence(&alpha, noise);
    for factor in [0.97, 1.03] {
        let mut weights = alpha.clone();
        weights[..4].iter_mut().for_each(|p| *p *= factor);
        let mut bias = alpha.clone();
        bias[4] *= factor;
        assert!(problem.log_evidence(&weights, noise) < best);
        assert!(problem.log_evidence(&bias, noise) < best);
        assert!(problem.log_evidence(&alpha, noise * factor) < best);
    }
}

#[test]
fn a_score_chooses_among_precisions() {
    let problem = Classes::new(30);
    let prior = IsotropicGaussian::new(ALPHA).unwrap();
    let mut laplace = Laplace::fit(
        &problem.data(),
        &prior,
        &problem.theta,
        &options(JOINED, Curvature::Ggn),
        Streams::new(4),
    )
    .unwrap();
    let grid = precision_grid(1e-2, 1e2, 5);
    for (got, want) in grid.iter().zip([0.01, 0.1, 1.0, 10.0, 100.0]) {
        close(*got, want, 1e-12, "grid");
    }
    let score = |l: &Laplace<f64>| Ok((l.prior_precision()[0].ln() - 2.0).abs());
    let (best, value) = laplace.tune_by_score(&grid, score).unwrap();
    close(best, 10.0, 1e-12, "the nearest to e^2");
    close(value, 10f64.ln() - 2.0, 1e-12, "its score");
    assert!(laplace.prior_precision().iter().all(|&p| p == best));
    assert!(laplace.tune_by_score(&grid, |_| Ok(f64::NAN)).is_err());
    assert!(laplace.tune_by_score(&[-1.0], |_| Ok(0.0)).is_err());
    assert!(laplace.prior_precision().iter().all(|&p| p == best));
}
