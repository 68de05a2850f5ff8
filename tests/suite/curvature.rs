//! Lanczos and the tangent space on the Gauss-Newton matrix of a real problem.
//!
//! The oracle is faer's dense eigenvalues.

use crate::common::{network, normals, standardised};
use fiberwalk::curvature::{
    EvidenceOptions, GgnOperator, HessianOperator, NormalDimension, TangentOptions, TangentSpace,
    log_evidence, tune_by_evidence,
};
use fiberwalk::linalg::{
    LanczosOptions, SpectralQuadrature, SymmetricOperator, leading_eigenpairs, symmetric_eigen,
    vector::dot,
};
use fiberwalk::testing::{CheckOptions, check_operator};
use fiberwalk::{
    Activation, Categorical, Gaussian, IsotropicGaussian, Mlp, Network, Phase, PosteriorDensity,
    Streams,
};

fn dense(op: &mut impl SymmetricOperator<f64>) -> Vec<f64> {
    let n = op.dim();
    let mut a = vec![0.0; n * n];
    for i in 0..n {
        let mut unit = vec![0.0; n];
        unit[i] = 1.0;
        op.apply(&unit, &mut a[i * n..(i + 1) * n]).unwrap();
    }
    a
}

fn vehicle(hidden: usize) -> (Mlp, Vec<f64>, PosteriorDensity<f64>) {
    let (x, y, d, k) = standardised("vehicle.csv");
    let (net, theta) = network(&[d, hidden, k], Activation::Tanh, 3);
    let prior = IsotropicGaussian::new(1.0).unwrap();
    let posterior = PosteriorDensity::new(&net, &Categorical, &prior, &x, &y).unwrap();
    (net, theta, posterior)
}

#[test]
fn lanczos_on_a_real_gauss_newton_matrix() {
    let (net, theta, posterior) = vehicle(10);
    let mut op = GgnOperator::new(&posterior, &theta).unwrap();
    let n = net.dim();
    let a = dense(&mut op);
    check_operator::<f64>(&mut op, true, &CheckOptions::default()).unwrap();
    let eigen = symmetric_eigen(&a, n).unwrap();
    assert!(
        eigen.values[0] > -1e-9 * eigen.values[n - 1],
        "positive semidefinite"
    );
    let options = LanczosOptions {
        count: 12,
        tolerance: 1e-10,
        max_products: n,
        ..LanczosOptions::default()
    };
    let mut rng = Streams::new(0).rng(Phase::LANCZOS, 0);
    let pairs = leading_eigenpairs(&mut op, &options, &mut rng).unwrap();
    for i in 0..12 {
        let want = eigen.values[n - 1 - i];
        assert!(
            (pairs.values[i] - want).abs() < 1e-8 * want,
            "{} against {want}",
            pairs.values[i]
        );
        for j in 0..=i {
            let got = dot(
                &pairs.vectors[i * n..(i + 1) * n],
                &pairs.vectors[j * n..(j + 1) * n],
            );
            assert!((got - if i == j { 1.0 } else { 0.0 }).abs() < 1e-10);
        }
    }
}

#[test]
fn the_normal_space_is_what_the_dense_spectrum_says() {
    let (net, theta, posterior) = vehicle(6);
    let mut op = GgnOperator::new(&posterior, &theta).unwrap();
    let n = net.dim();
    let eigen = symmetric_eigen(&dense(&mut op), n).unwrap();
    let options = TangentOptions {
        normal: NormalDimension::Relative { kappa: 20.0 },
        max_normal: n,
        tolerance: 1e-9,
        max_products: n,
        ..TangentOptions::default()
    };
    let space = TangentSpace::new(&mut op, 1.0, &options, Streams::new(1)).unwrap();
    let above: Vec<f64> = eigen
        .values
        .iter()
        .rev()
        .copied()
        .filter(|&l| l > 20.0)
        .collect();
    assert!(space.is_complete() && space.normal_dim() == above.len());
    for (got, want) in space.values().iter().zip(&above) {
        assert!((got - want).abs() < 1e-8 * want);
    }
    // the projection of a vector on the normal space, by the dense eigenvectors
    let v = normals(n, 5);
    let mut got = v.clone();
    space.project_normal(&mut got);
    let mut want = vec![0.0; n];
    for row in eigen.vectors.chunks_exact(n).rev().take(above.len()) {
        let c = dot(row, &v);
        want.iter_mut().zip(row).for_each(|(w, r)| *w += c * r);
    }
    got.iter()
        .zip(&want)
        .for_each(|(g, w)| assert!((g - w).abs() < 1e-6, "{g} against {w}"));
}

#[test]
fn hessian_is_ggn_plus_prior_for_a_linear_model() {
    // no hidden layer: outputs are linear in theta, so the Gauss-Newton matrix is all of the
    // likelihood's Hessian
    let (x, y, d, k) = standardised("vehicle.csv");
    let (net, theta) = network(&[d, k], Activation::Tanh, 4);
    let prior = IsotropicGaussian::new(2.5).unwrap();
    let posterior = PosteriorDensity::<f64>::new(&net, &Categorical, &prior, &x, &y).unwrap();
    let v = normals(net.dim(), 6);
    let (mut g, mut h) = (vec![0.0; net.dim()], vec![0.0; net.dim()]);
    GgnOperator::new(&posterior, &theta)
        .unwrap()
        .apply(&v, &mut g)
        .unwrap();
    HessianOperator::new(&posterior, &theta)
        .unwrap()
        .apply(&v, &mut h)
        .unwrap();
    for i in 0..net.dim() {
        assert!((h[i] - g[i] - 2.5 * v[i]).abs() < 1e-9 * (1.0 + h[i].abs()));
    }
}

/// Bayesian linear regression has its evidence in closed form, and Laplace's estimate is exact
/// there.
#[test]
fn evidence_of_a_linear_model_is_exact_and_its_maximum_is_found() {
    let (n, d, noise, alpha) = (60, 4, 0.4, 0.8);
    let x = normals(n * d, 1);
    let weights = [1.0, -0.5, 0.3, 0.0];
    let y: Vec<f64> = x
        .chunks_exact(d)
        .zip(normals(n, 2))
        .map(|(row, e)| row.iter().zip(weights).map(|(x, w)| x * w).sum::<f64>() + noise * e)
        .collect();
    let net = Mlp::new(&[d, 1], Activation::Identity).unwrap();
    let build = |alpha: f64, noise: Option<f64>| {
        let likelihood = Gaussian::new(noise.unwrap_or(1.0))?;
        PosteriorDensity::<f64>::new(&net, &likelihood, &IsotropicGaussian::new(alpha)?, &x, &y)
    };
    // y ~ N(0, noise^2 I + Phi Phi^T / alpha), Phi the rows with a constant 1
    let closed = |alpha: f64, noise: f64| {
        let mut c = vec![0.0; n * n];
        for i in 0..n {
            for j in 0..n {
                let inner = 1.0 + dot(&x[i * d..(i + 1) * d], &x[j * d..(j + 1) * d]);
                c[i * n + j] = inner / alpha + if i == j { noise * noise } else { 0.0 };
            }
        }
        let eigen = symmetric_eigen(&c, n).unwrap();
        let quadratic: f64 = (0..n)
            .map(|i| dot(&eigen.vectors[i * n..(i + 1) * n], &y).powi(2) / eigen.values[i])
            .sum();
        let log_det: f64 = eigen.values.iter().map(|l| l.ln()).sum();
        -0.5 * (quadratic + log_det + n as f64 * (2.0 * std::f64::consts::PI).ln())
    };
    let fixed = EvidenceOptions {
        prior_precision: alpha,
        tune_prior_precision: false,
        noise_std: Some(noise),
        ..EvidenceOptions::default()
    };
    let streams = Streams::new(3);
    let report = tune_by_evidence(vec![0.0; 5], build, None, &fixed, streams, |_| ()).unwrap();
    // probes of 5 dimensions with 5 steps see the whole spectrum, but each weighs it by its random
    // signs
    let exact = EvidenceOptions {
        probes: 4_000,
        ..fixed.clone()
    };
    let got = log_evidence(
        &build(alpha, Some(noise)).unwrap(),
        &report.map.theta,
        None,
        &exact,
        streams,
    )
    .unwrap();
    // the stated error is that of its probes
    let stated = got.std_error.unwrap();
    let got = got.value;
    let want = closed(alpha, noise);
    let mut op_posterior = build(alpha, Some(noise)).unwrap();
    let mut op = GgnOperator::new(&op_posterior, &report.map.theta).unwrap();
    let error = SpectralQuadrature::new(&mut op, 4_000, 5, streams)
        .unwrap()
        .trace(|l| (l + alpha).ln())
        .std_error;
    assert!(
        (got - want).abs() < 4.0 * 0.5 * error + 1e-6,
        "{got} against {want}, error {error}"
    );
    assert!(error < 0.02 && (stated / (0.5 * error) - 1.0).abs() < 1e-6);

    // with the matrix the only error left is that of the estimate, whose gradient is not quite zero
    let dense = |noise: Option<f64>, theta: &[f64]| {
        let posterior = build(1.0, noise)?;
        let mut op = GgnOperator::new(&posterior, theta)?;
        let mut matrix = vec![0.0; 25];
        for (i, column) in matrix.chunks_exact_mut(5).enumerate() {
            let mut unit = vec![0.0; 5];
            unit[i] = 1.0;
            op.apply(&unit, column)?;
        }
        Ok(matrix)
    };
    let matrix = dense(Some(noise), &report.map.theta).unwrap();
    let posterior = build(alpha, Some(noise)).unwrap();
    let theta = &report.map.theta;
    let got = log_evidence(&posterior, theta, Some(matrix), &fixed, streams).unwrap();
    assert!(
        got.std_error.is_none() && (got.value - want).abs() < 1e-6,
        "{got:?} {want}"
    );
    let report = tune_by_evidence(vec![0.0; 5], build, Some(&dense), &fixed, streams, |_| ());
    let of_report = report.unwrap().log_evidence.unwrap();
    assert_eq!(of_report, got);

    // the maximum is found from either side, to 1e-4 of the scales
    for start in [0.05, 3.0] {
        let tuned = EvidenceOptions {
            tune_prior_precision: true,
            tune_noise_std: true,
            noise_std: Some(start),
            rounds: 40,
            tolerance: 1e-4,
            ..fixed.clone()
        };
        let report = tune_by_evidence(vec![0.0; 5], build, Some(&dense), &tuned, streams, |_| ());
        let report = report.unwrap();
        assert!(report.settled && report.rounds < 40, "{report:?}");
        let (alpha, noise) = (report.prior_precision, report.noise_std.unwrap());
        let best = closed(alpha, noise);
        assert!((report.log_evidence.unwrap().value - best).abs() < 1e-6);
        for factor in [0.99, 1.01] {
            assert!(closed(alpha * factor, noise) < best, "{alpha} {noise}");
            assert!(closed(alpha, noise * factor) < best, "{alpha} {noise}");
        }
    }

    let tuned = EvidenceOptions {
        tune_prior_precision: true,
        tune_noise_std: true,
        probes: 200,
        rounds: 40,
        tolerance: 1e-3,
        ..fixed
    };
    let report = tune_by_evidence(vec![0.0; 5], build, None, &tuned, streams, |_| ()).unwrap();
    let (alpha, noise) = (report.prior_precision, report.noise_std.unwrap());
    op_posterior = build(alpha, Some(noise)).unwrap();
    assert_eq!(op_posterior.rows(), n);
    let best = closed(alpha, noise);
    for factor in [0.8, 1.25] {
        assert!(
            closed(alpha * factor, noise) < best && closed(alpha, noise * factor) < best,
            "{alpha} {noise}"
        );
    }
}

/// Two outputs with one noise are a linear model of twice as many rows. The oracle is MacKay's
/// fixed point by dense eigenvalues. If rows were counted instead of residuals, the constant
/// subtracted from the negative log-likelihood would be half of the right one.
#[test]
fn the_noise_of_two_outputs_is_that_of_all_residuals() {
    let (n, d, m, true_noise) = (300, 3, 2, 0.4);
    let x = normals(n * d, 11);
    let weights = [[1.0, -0.5, 0.3], [0.2, 0.8, -0.7]];
    let mut y = normals(n * m, 12);
    for (at, y) in y.iter_mut().enumerate() {
        *y = true_noise * *y + 0.3 + dot(&x[at / m * d..(at / m + 1) * d], &weights[at % m]);
    }
    let net = Mlp::new(&[d, m], Activation::Identity).unwrap();
    let build = |alpha: f64, noise: Option<f64>| {
        let likelihood = Gaussian::new(noise.unwrap_or(1.0))?;
        PosteriorDensity::<f64>::new(&net, &likelihood, &IsotropicGaussian::new(alpha)?, &x, &y)
    };
    let options = EvidenceOptions {
        tune_noise_std: true,
        noise_std: Some(1.0),
        probes: 200,
        rounds: 40,
        tolerance: 1e-4,
        ..EvidenceOptions::default()
    };
    let start = vec![0.0; net.dim()];
    let report = tune_by_evidence(start, build, None, &options, Streams::new(3), |_| ()).unwrap();
    assert!(report.settled && !report.bounded, "{report:?}");

    // features with a constant 1; every output has the eigenvalues of `Phi^T Phi`
    let p = d + 1;
    let phi: Vec<f64> = x
        .chunks_exact(d)
        .flat_map(|r| [r, &[1.0]].concat())
        .collect();
    let mut gram = vec![0.0; p * p];
    let mut b = vec![0.0; m * p];
    for (row, y) in phi.chunks_exact(p).zip(y.chunks_exact(m)) {
        (0..p * p).for_each(|at| gram[at] += row[at / p] * row[at % p]);
        (0..m * p).for_each(|at| b[at] += y[at / p] * row[at % p]);
    }
    let eigen = symmetric_eigen(&gram, p).unwrap();
    let (mut alpha, mut noise) = (1.0f64, 1.0f64);
    for _ in 0..200 {
        let ridge = alpha * noise * noise;
        let gamma: f64 = eigen
            .values
            .iter()
            .map(|l| m as f64 * l / (l + ridge))
            .sum();
        let (mut squares, mut length) = (0.0, 0.0);
        for k in 0..m {
            let mut w = vec![0.0; p];
            for (v, l) in eigen.vectors.chunks_exact(p).zip(&eigen.values) {
                let share = dot(v, &b[k * p..(k + 1) * p]) / (l + ridge);
                w.iter_mut().zip(v).for_each(|(w, v)| *w += share * v);
            }
            length += dot(&w, &w);
            let residual = |i: usize| y[i * m + k] - dot(&phi[i * p..(i + 1) * p], &w);
            squares += (0..n).map(|i| residual(i).powi(2)).sum::<f64>();
        }
        (alpha, noise) = (gamma / length, (squares / ((n * m) as f64 - gamma)).sqrt());
    }
    // 592 degrees of freedom: the noise itself is known to 0.4 / sqrt(1184) = 0.012
    assert!((noise - true_noise).abs() < 4.0 * 0.012, "{noise}");
    // `gamma` is within 0.1 of the 8 parameters, and the estimate by probes is within 0.1 of
    // `gamma`: negligible against 592. The rounds end at 1e-4, and each brings the scales nearer by
    // a factor of a hundred
    let got = report.noise_std.unwrap();
    assert!((got / noise - 1.0).abs() < 2e-4, "{got} for {noise}");
    let got = report.prior_precision;
    assert!((got / alpha - 1.0).abs() < 2e-3, "{got} for {alpha}");
}
