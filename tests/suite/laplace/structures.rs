//! Structures of the curvature, against dense matrices.

use super::*;

/// Evidence, variances, linearised covariances, and draws by chi-square.
#[test]
fn every_structure_is_the_gaussian_of_its_dense_matrix() {
    let problem = Classes::new(40);
    let prior = IsotropicGaussian::new(ALPHA).unwrap();
    let jacobian = JacobianRows::new(&problem.net, &problem.theta).unwrap();
    for structure in STRUCTURES {
        for curvature in [Curvature::Ggn, Curvature::EmpiricalFisher] {
            let what = format!("{structure:?} {curvature:?}");
            let laplace = Laplace::fit(
                &problem.data(),
                &prior,
                &problem.theta,
                &options(structure, curvature),
                Streams::new(2),
            )
            .unwrap();
            let (p, range) = (problem.net.dim(), laplace.active());
            let q = range.len();
            let full = problem.curvature(structure, curvature);
            let entry = |at: usize| full[(range.start + at / q) * p + range.start + at % q];
            let mut precision: Vec<f64> = (0..q * q).map(entry).collect();
            (0..q).for_each(|i| precision[i * q + i] += ALPHA);
            let factor = Cholesky::new(&precision, q).unwrap();
            let covariance = inverse(&precision, q);
            let theta = &problem.theta[range.clone()];
            let log_prior = 0.5 * (q as f64 * ALPHA.ln() - ALPHA * dot(theta, theta));
            let want = laplace.log_likelihood() + log_prior - 0.5 * factor.log_det();
            close(laplace.log_evidence(), want, 1e-9, &what);
            for (i, v) in laplace.variances().iter().enumerate() {
                close(*v, covariance[i * q + i], 1e-9, &what);
            }
            let outputs = laplace.linearised_all(&problem.net, &problem.x).unwrap();
            let mut memory = jacobian.memory();
            for row in [0, 17, 39] {
                let mut gradient = |k: usize| -> Vec<f64> {
                    let mut unit = [0.0; 3];
                    unit[k] = 1.0;
                    let x = &problem.x[2 * row..2 * row + 2];
                    let (g, o) = jacobian.pull_back(x, &unit, &mut memory).unwrap();
                    assert_eq!(o, outputs.mean(row));
                    g[range.clone()].to_vec()
                };
                let j: Vec<Vec<f64>> = (0..3).map(&mut gradient).collect();
                for at in 0..9 {
                    let terms =
                        (0..q * q).map(|c| j[at / 3][c / q] * covariance[c] * j[at % 3][c % q]);
                    close(outputs.covariance(row)[at], terms.sum(), 1e-9, &what);
                }
            }
            // three tests of 4,000 draws each: a p-value under 1e-5 somewhere in 36 of them has a
            // chance of 4e-4
            let draws = laplace.sample(4_000, Streams::new(3)).unwrap();
            let active: Vec<f64> = draws
                .chunks_exact(p)
                .flat_map(|d| d[range.clone()].to_vec())
                .collect();
            let target = GaussianTarget::new(theta, &covariance).unwrap();
            let p_value = p_value(&target, &active);
            assert!(p_value > 1e-5, "{what}: {p_value}");
            // inactive parameters stay
            assert!(
                draws
                    .chunks_exact(p)
                    .all(|d| d[..range.start] == problem.theta[..range.start])
            );
        }
    }
}

#[test]
fn structures_agree_where_they_are_exact() {
    // one row, one layer: a a^T (x) Lambda is a Kronecker product
    let (net, theta) = network(&[3, 4], Activation::Identity, 8);
    let (x, y) = (normals(3, 9), [2.0]);
    let data = Supervised {
        network: &net,
        likelihood: &Categorical,
        x: &x,
        y: &y,
    };
    for fisher in [RowFisher::Ggn, RowFisher::Empirical] {
        let options = KfacOptions {
            fisher,
            ..KfacOptions::default()
        };
        let kfac = dense_blocks(&KroneckerFactors::new(&data, &theta, options).unwrap());
        let full = dense_curvature(&data, &theta, 0..net.dim(), fisher).unwrap();
        for (got, want) in kfac.iter().zip(&full) {
            close(*got, *want, 1e-13, "one row of one layer");
        }
    }
    // all eigenpairs: the full approximation of a singular matrix
    let problem = Classes::new(4);
    let prior = IsotropicGaussian::new(ALPHA).unwrap();
    let fit = |structure| {
        let options = options(structure, Curvature::Ggn);
        let data = problem.data();
        Laplace::fit(&data, &prior, &problem.theta, &options, Streams::new(4)).unwrap()
    };
    let p = problem.net.dim();
    let (full, low) = (fit(Structure::Full), fit(Structure::LowRank { rank: p }));
    close(low.log_evidence(), full.log_evidence(), 1e-9, "evidence");
    let [a, b] = [&low, &full].map(|l| l.linearised_joint(&problem.net, &problem.x).unwrap());
    for (got, want) in a.covariance.iter().zip(&b.covariance) {
        close(*got, *want, 1e-9, "covariance");
    }
    // a single input weight and one row: the diagonal is the whole matrix
    let (net, theta) = network(&[2, 1], Activation::Identity, 3);
    let likelihood = Gaussian::new(0.3).unwrap();
    let data = Supervised {
        network: &net,
        likelihood: &likelihood,
        x: &[0.7, 0.0],
        y: &[0.1],
    };
    let full = dense_curvature(&data, &theta, 0..1, RowFisher::Ggn).unwrap();
    close(full[0], 0.49 / 0.09, 1e-13, "one weight");
}
