//! Batches that do not fit, and posteriors of many rows.

use super::*;

#[test]
fn what_does_not_fit_is_refused() {
    let problem = Problem::classes(20);
    let prior = IsotropicGaussian::new(1.0).unwrap();
    let (net, x, y) = (problem.network.as_ref(), &problem.x, &problem.y);
    let build = |x: &[f64], y: &[f64], shard| {
        Minibatch::<f32>::with_shard_rows(net, &Categorical, &prior, x, y, shard).map(|_| ())
    };
    assert!(build(x, y, 8).is_ok());
    assert!(matches!(build(&x[1..], y, 8), Err(Error::Shape { .. })));
    assert!(matches!(build(&[], &[], 8), Err(Error::Shape { .. })));
    assert!(matches!(
        build(x, y, 0),
        Err(Error::Config {
            field: "shard_rows",
            ..
        })
    ));
    let mut broken = x.clone();
    broken[4] = 1e300;
    assert!(matches!(
        build(&broken, y, 8),
        Err(Error::NonFiniteData {
            row: 1,
            column: Column::Number(1),
            number: "f32",
            ..
        })
    ));
    let mut labels = y.clone();
    labels[2] = 4.0;
    assert!(matches!(build(x, &labels, 8), Err(Error::Data { .. })));

    let density = problem.minibatch::<f64>(8);
    let mut ws = density.workspace();
    let (theta, mut grad) = (&problem.theta, vec![0.0; density.dim()]);
    let message = |outcome: fiberwalk::Result<f64>| outcome.unwrap_err().to_string();
    let beyond = density.energy_and_grad(theta, &[3, 20], &mut grad, &mut ws);
    assert_eq!(
        message(beyond),
        "Minibatch: expected some of 20 rows, got row 20"
    );
    assert!(message(density.energy(theta, &[], &mut ws)).contains("an empty batch"));
    assert!(message(density.energy(&theta[1..], &[0], &mut ws)).contains("parameters"));
    assert!(
        message(density.energy_and_grad(theta, &[0], &mut grad[1..], &mut ws)).contains("gradient")
    );
    assert!(density.select(&[20]).is_err() && density.select(&[]).is_err());
    // a workspace of another density gives an error and no panic
    for other in [
        Problem::classes(20).minibatch::<f64>(20),
        Problem::images(20).minibatch(8),
    ] {
        assert!(
            density
                .energy(theta, &[0, 1, 2], &mut other.workspace())
                .is_err()
        );
    }
}

/// Blocks of rows, which a posterior runs one after the other, add up to the whole, with the prior
/// once.
#[test]
fn a_posterior_of_many_rows_is_the_sum_of_its_blocks() {
    let problem = Problem::wide(300);
    let theta = &problem.theta;
    let v = normals(theta.len(), 11);
    let evaluate = |rows: std::ops::Range<usize>| {
        let posterior = problem.posterior(&rows.collect::<Vec<_>>());
        let mut parts = vec![vec![0.0; theta.len()]; 3];
        let [gradient, ggn, hessian] = &mut parts[..] else {
            unreachable!()
        };
        let value = posterior
            .log_density_and_grad(theta, gradient, &mut posterior.workspace())
            .unwrap();
        posterior
            .ggn_product(theta, &v, ggn, &mut posterior.ggn_workspace())
            .unwrap();
        posterior
            .hessian_product(theta, &v, hessian, &mut posterior.hessian_workspace())
            .unwrap();
        (value, parts)
    };
    // this network keeps at least 600 numbers per row: in f64 a block has fewer than 220 rows
    let (whole, parts) = evaluate(0..300);
    let blocks = [
        evaluate(0..60),
        evaluate(60..120),
        evaluate(120..180),
        evaluate(180..240),
        evaluate(240..300),
    ];
    let p = theta.len() as f64;
    let square: f64 = theta.iter().map(|t| t * t).sum();
    let log_prior = 0.5 * p * (ALPHA / (2.0 * std::f64::consts::PI)).ln() - 0.5 * ALPHA * square;
    let sum: f64 = blocks.iter().map(|b| b.0).sum();
    assert!(
        close(whole, sum - 4.0 * log_prior),
        "{whole} {}",
        sum - 4.0 * log_prior
    );
    for i in 0..theta.len() {
        let added = |which: usize| blocks.iter().map(|b| b.1[which][i]).sum::<f64>();
        assert!(close(parts[0][i], added(0) + 4.0 * ALPHA * theta[i]));
        assert!(close(parts[1][i], added(1)));
        assert!(close(parts[2][i], added(2) - 4.0 * ALPHA * v[i]));
    }
}
