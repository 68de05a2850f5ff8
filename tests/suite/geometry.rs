//! The geometry of the fiber on real networks, each part against a slow oracle.
//!
//! The parts are tangent and normal directions, Lanczos against dense eigenvalues, and curvatures
//! built from single rows.

use crate::common::{labels, network, normals, standardised};
use fiberwalk::autodiff::Graph;
use fiberwalk::curvature::{
    EmpiricalFisherOperator, GgnOperator, HessianOperator, NormalDimension, TangentOptions,
    TangentSpace, WhitenedOperator,
};
use fiberwalk::linalg::{
    LanczosOptions, SymmetricOperator, estimate_diagonal, exact_diagonal, leading_eigenpairs,
    leading_eigenpairs_from, project_out, symmetric_eigen,
    vector::{axpy, dot, norm, scale},
};
use fiberwalk::{
    Activation, Categorical, Curved, Gaussian, GaussianLearnedNoise, HeteroscedasticGaussian,
    IsotropicGaussian, Likelihood, LogDensity, Mlp, Network, PerLayerGaussian, Phase,
    PosteriorDensity, RowCurvature, Streams,
};

fn dense(op: &mut impl SymmetricOperator<f64>) -> Vec<f64> {
    let n = op.dim();
    let mut a = vec![0.0; n * n];
    let mut unit = vec![0.0; n];
    for (i, row) in a.chunks_exact_mut(n).enumerate() {
        unit[i] = 1.0;
        op.apply(&unit, row).unwrap();
        unit[i] = 0.0;
    }
    a
}

/// Slope of a straight line through points `(ln h, ln change)`.
fn slope(points: &[(f64, f64)]) -> f64 {
    let n = points.len() as f64;
    let mean = |f: &dyn Fn(&(f64, f64)) -> f64| points.iter().map(f).sum::<f64>() / n;
    let (x, y) = (mean(&|p| p.0.ln()), mean(&|p| p.1.ln()));
    let both: f64 = points.iter().map(|p| (p.0.ln() - x) * (p.1.ln() - y)).sum();
    both / points.iter().map(|p| (p.0.ln() - x).powi(2)).sum::<f64>()
}

/// There are more parameters (122) than training outputs (20), so the fiber exists and has
/// dimension 102.
#[test]
fn outputs_change_at_second_order_along_the_tangent_space_and_at_first_along_the_normal_space() {
    let (n, d, k) = (10, 3, 2);
    let (net, theta) = network(&[d, 20, k], Activation::Tanh, 5);
    let (x, y) = (normals(n * d, 6), normals(n * k, 7));
    let prior = IsotropicGaussian::new(1.0).unwrap();
    let posterior =
        PosteriorDensity::<f64>::new(&net, &Gaussian::new(0.5).unwrap(), &prior, &x, &y).unwrap();
    let mut op = GgnOperator::new(&posterior, &theta).unwrap();
    let options = TangentOptions {
        normal: NormalDimension::Relative { kappa: 1e-6 },
        tolerance: 1e-13,
        ..TangentOptions::default()
    };
    let space = TangentSpace::new(&mut op, 1.0, &options, Streams::new(0)).unwrap();
    assert!(
        space.is_complete() && space.normal_dim() == n * k,
        "{:?}",
        space.values()
    );
    let graph = Graph::new();
    let p = graph.input(&[net.dim()]);
    let inputs = graph.tensor(&[n, d], x.clone());
    let program = graph.compile::<f64>(&[net.forward(p, inputs)]).unwrap();
    let mut ws = program.workspace();
    let mut outputs = |theta: &[f64]| {
        program.run(&[theta], &mut ws).unwrap();
        program.tensor(&ws, 0).unwrap().to_vec()
    };
    let here = outputs(&theta);
    for seed in 0..4 {
        let mut tangent = normals(net.dim(), 20 + seed);
        let mut normal = tangent.clone();
        space.project_tangent(&mut tangent);
        space.project_normal(&mut normal);
        for (mut direction, want) in [(tangent, 2.0), (normal, 1.0)] {
            let length = norm(&direction);
            scale(1.0 / length, &mut direction);
            let change = |h: f64| {
                let mut there = theta.clone();
                axpy(h, &direction, &mut there);
                let there = outputs(&there);
                let difference: Vec<f64> = there.iter().zip(&here).map(|(a, b)| a - b).collect();
                (h, norm(&difference))
            };
            let points: Vec<(f64, f64)> = [3e-2, 1e-2, 3e-3, 1e-3, 3e-4].map(change).to_vec();
            let got = slope(&points);
            assert!(
                (got - want).abs() < 0.03,
                "order {got}, not {want}: {points:?}"
            );
        }
    }
}

#[test]
fn lanczos_finds_the_leading_eigenpairs_of_vehicle_18_50_4() {
    let (x, y, d, k) = standardised("vehicle.csv");
    let (net, theta) = network(&[d, 50, k], Activation::Tanh, 3);
    let prior = IsotropicGaussian::new(1.0).unwrap();
    let posterior = PosteriorDensity::<f64>::new(&net, &Categorical, &prior, &x, &y).unwrap();
    let mut op = GgnOperator::new(&posterior, &theta).unwrap();
    let n = op.dim();
    let eigen = symmetric_eigen(&dense(&mut op), n).unwrap();
    let want: Vec<f64> = eigen.values.iter().rev().copied().collect();
    let count = 24;
    // a basis without restarts, one that is restarted often, and a warm start
    let of = |bound: usize| LanczosOptions {
        count,
        tolerance: 1e-11,
        max_products: 2_000,
        max_basis: Some(bound),
        ..LanczosOptions::default()
    };
    let rng = || Streams::new(0).rng(Phase::LANCZOS, 0);
    let whole = leading_eigenpairs(&mut op, &of(n), &mut rng()).unwrap();
    let small = leading_eigenpairs(&mut op, &of(count + 6), &mut rng()).unwrap();
    let warm = leading_eigenpairs_from(&mut op, &of(60), &whole.vectors, &mut rng()).unwrap();
    assert!(small.products > whole.products && warm.products < whole.products);
    let leading: Vec<f64> = eigen
        .vectors
        .chunks_exact(n)
        .rev()
        .take(count)
        .flatten()
        .copied()
        .collect();
    for pairs in [&whole, &small, &warm] {
        for i in 0..count {
            let got = pairs.values[i];
            assert!(
                (got - want[i]).abs() < 1e-8 * want[i],
                "{i}: {got} against {}",
                want[i]
            );
            let mut v = pairs.vectors[i * n..(i + 1) * n].to_vec();
            project_out(&leading, &mut v);
            // the residual over the gap to the next eigenvalue bounds the sine of the angle
            let bound = 1e-11 * want[0] / (want[count - 1] - want[count]);
            assert!(norm(&v) < bound.max(1e-10), "sine of an angle {}", norm(&v));
        }
    }
}

#[test]
fn a_space_is_renewed_at_a_nearby_point_for_fewer_products() {
    let (x, y, d, k) = standardised("vehicle.csv");
    let (net, theta) = network(&[d, 20, k], Activation::Tanh, 3);
    let prior = IsotropicGaussian::new(1.0).unwrap();
    let posterior = PosteriorDensity::<f64>::new(&net, &Categorical, &prior, &x, &y).unwrap();
    let options = TangentOptions {
        normal: NormalDimension::Count(16),
        tolerance: 1e-6,
        ..TangentOptions::default()
    };
    let streams = Streams::new(0);
    let mut op = GgnOperator::new(&posterior, &theta).unwrap();
    let here = TangentSpace::new(&mut op, 1.0, &options, streams).unwrap();
    let mut last = 0.0;
    for h in [1e-5, 1e-4, 1e-3] {
        let mut there = theta.clone();
        axpy(h, &normals(net.dim(), 9), &mut there);
        op.move_to(&there).unwrap();
        let cold = TangentSpace::new(&mut op, 1.0, &options, streams).unwrap();
        let warm = here.renew(&mut op, &options, streams).unwrap();
        assert!(
            warm.products() < cold.products(),
            "{h}: {} {}",
            warm.products(),
            cold.products()
        );
        for (a, b) in warm.values().iter().zip(cold.values()) {
            assert!((a - b).abs() < 1e-7 * b.max(1.0), "{a} against {b}");
        }
        let apart = *cold.angles(&warm).unwrap().last().unwrap();
        let moved = *here.angles(&warm).unwrap().last().unwrap();
        assert!(apart < 1e-3 && moved > last, "{h}: {apart} {moved}");
        last = moved;
        // a direction of the fiber is carried along
        let mut v = normals(net.dim(), 10);
        here.project_tangent(&mut v);
        let before = norm(&v);
        assert!(here.transport(&warm, &mut v).unwrap());
        let mut c = vec![0.0; warm.normal_dim()];
        warm.coordinates(&v, &mut c);
        assert!((norm(&v) - before).abs() < 1e-12 * before && norm(&c) < 1e-12 * before);
    }
}

#[test]
fn whitened_by_a_prior_per_layer_the_spectrum_is_that_of_the_posterior_precision() {
    let (net, theta) = network(&[4, 5, 3], Activation::Tanh, 5);
    let (x, y) = (normals(30 * 4, 6), labels(30, 3, 7));
    let prior = PerLayerGaussian::new(&[("layer0", 0.5), ("layer2", 8.0)]).unwrap();
    let posterior = PosteriorDensity::<f64>::new(&net, &Categorical, &prior, &x, &y).unwrap();
    let precision = posterior.prior_precision().to_vec();
    let n = net.dim();
    let g = dense(&mut GgnOperator::new(&posterior, &theta).unwrap());
    let entry = |at: usize| g[at] / (precision[at / n] * precision[at % n]).sqrt();
    let want = symmetric_eigen(&(0..n * n).map(entry).collect::<Vec<_>>(), n).unwrap();
    let op = GgnOperator::new(&posterior, &theta).unwrap();
    let mut op = WhitenedOperator::by_prior(op, &precision).unwrap();
    let options = TangentOptions {
        tolerance: 1e-10,
        ..TangentOptions::default()
    };
    let space = TangentSpace::new(&mut op, 1.0, &options, Streams::new(0)).unwrap();
    let above: Vec<f64> = want
        .values
        .iter()
        .rev()
        .copied()
        .filter(|&l| l > 1.0)
        .collect();
    assert!(space.is_complete() && !above.is_empty() && space.normal_dim() == above.len());
    for (got, want) in space.values().iter().zip(&above) {
        assert!((got - want).abs() < 1e-8 * want);
    }
}

/// Gradients of single rows, each from a separate posterior.
fn row_gradients(
    net: &Mlp,
    likelihood: &dyn Likelihood,
    x: &[f64],
    y: &[f64],
    theta: &[f64],
) -> Vec<f64> {
    let prior = IsotropicGaussian::new(1e-9).unwrap();
    let (d, n) = (net.input_dim(), x.len() / net.input_dim());
    let m = y.len() / n;
    let own = theta.len() - net.dim();
    let mut rows = Vec::new();
    for i in 0..n {
        let (x, y) = (&x[i * d..(i + 1) * d], &y[i * m..(i + 1) * m]);
        let posterior = PosteriorDensity::<f64>::new(net, likelihood, &prior, x, y).unwrap();
        let mut grad = vec![0.0; theta.len()];
        posterior
            .log_density_and_grad(theta, &mut grad, &mut posterior.workspace())
            .unwrap();
        // the prior of the likelihood's parameters, log noise_std ~ N(log 0.3, 1), does not belong
        // to the likelihood
        for q in theta.len() - own..theta.len() {
            grad[q] += theta[q] - 0.3f64.ln();
        }
        rows.extend(grad);
    }
    rows
}

#[test]
fn the_empirical_fisher_matrix_and_both_diagonals_are_those_of_the_rows() {
    let n = 70;
    let classes = labels(n, 3, 8);
    let one = normals(n, 9);
    let two = normals(2 * n, 9);
    let cases: [(&dyn Likelihood, usize, &[f64], usize); 4] = [
        (&Categorical, 3, &classes, 0),
        (&HeteroscedasticGaussian::default(), 2, &one, 0),
        (&GaussianLearnedNoise::shared(), 1, &one, 1),
        (&GaussianLearnedNoise::per_output(), 2, &two, 2),
    ];
    for (case, (likelihood, outputs, y, own)) in cases.into_iter().enumerate() {
        let (net, mut theta) = network(&[3, 4, outputs], Activation::Tanh, 5);
        let x = normals(n * 3, 6);
        theta.extend(&[-0.4, 0.3][..own]);
        let p = theta.len();
        let rows = RowCurvature::<f64>::new(&net, likelihood, &x, y).unwrap();
        assert_eq!((rows.dim(), rows.rows()), (p, n));
        let gradients = row_gradients(&net, likelihood, &x, y, &theta);
        let mut want = vec![0.0; p * p];
        for g in gradients.chunks_exact(p) {
            for i in 0..p {
                axpy(g[i], g, &mut want[i * p..(i + 1) * p]);
            }
        }
        let size = norm(&want);
        let got = dense(&mut EmpiricalFisherOperator::new(&rows, &theta).unwrap());
        for (got, want) in got.iter().zip(&want) {
            assert!(
                (got - want).abs() < 1e-6 * size,
                "case {case}: {got} against {want}"
            );
        }
        let diagonal = rows.fisher_diagonal(&theta).unwrap();
        (0..p).for_each(|i| {
            assert!(
                (diagonal[i] - want[i * p + i]).abs() < 1e-6 * size,
                "case {case}"
            )
        });
        let prior = IsotropicGaussian::new(1.0).unwrap();
        let posterior = PosteriorDensity::<f64>::new(&net, likelihood, &prior, &x, y).unwrap();
        let want = exact_diagonal(&mut GgnOperator::new(&posterior, &theta).unwrap()).unwrap();
        for (got, want) in rows.ggn_diagonal(&theta).unwrap().iter().zip(&want) {
            assert!(
                (got - want).abs() < 1e-10 * (1.0 + want),
                "case {case}: {got} against {want}"
            );
        }
        assert!(rows.ggn_diagonal(&theta[1..]).is_err());
    }
}

#[test]
fn the_fisher_product_of_many_blocks_is_the_sum_of_its_parts() {
    let n = 60_000;
    let (net, theta) = network(&[2, 3, 2], Activation::Tanh, 5);
    let (x, y) = (normals(n * 2, 6), labels(n, 2, 7));
    let v = normals(net.dim(), 8);
    let product = |rows: std::ops::Range<usize>| {
        let (x, y) = (&x[2 * rows.start..2 * rows.end], &y[rows]);
        let rows = RowCurvature::<f64>::new(&net, &Categorical, x, y).unwrap();
        let mut out = vec![0.0; net.dim()];
        EmpiricalFisherOperator::new(&rows, &theta)
            .unwrap()
            .apply(&v, &mut out)
            .unwrap();
        out
    };
    let mut parts = vec![0.0; net.dim()];
    for start in (0..n).step_by(500) {
        axpy(1.0, &product(start..start + 500), &mut parts);
    }
    for (got, want) in product(0..n).iter().zip(&parts) {
        assert!((got - want).abs() < 1e-9 * norm(&parts));
    }
}

#[test]
fn the_diagonal_of_the_hessian_is_estimated_within_its_error() {
    let (net, theta) = network(&[3, 6, 2], Activation::Tanh, 5);
    let (x, y) = (normals(40 * 3, 6), labels(40, 2, 7));
    let prior = IsotropicGaussian::new(1.5).unwrap();
    let posterior = PosteriorDensity::<f64>::new(&net, &Categorical, &prior, &x, &y).unwrap();
    let mut op = HessianOperator::new(&posterior, &theta).unwrap();
    let n = net.dim();
    let h = dense(&mut op);
    let exact = exact_diagonal(&mut op).unwrap();
    let probes = 500;
    let estimate = estimate_diagonal(&mut op, probes, Streams::new(3)).unwrap();
    let mut worst: f64 = 0.0;
    for i in 0..n {
        assert_eq!(exact[i], h[i * n + i]);
        let others = dot(&h[i * n..(i + 1) * n], &h[i * n..(i + 1) * n]) - exact[i] * exact[i];
        let error = (others / probes as f64).sqrt();
        assert!((estimate.std_errors[i] - error).abs() < 0.25 * error);
        worst = worst.max((estimate.values[i] - exact[i]).abs() / error);
    }
    // 38 normal numbers: one exceeds 4.5 in absolute value once in 4,000 runs
    assert!(worst < 4.5, "{worst}");
}

#[test]
fn the_same_bits_for_any_number_of_threads() {
    let (net, theta) = network(&[6, 12, 3], Activation::Tanh, 5);
    let theta: Vec<f32> = theta.into_iter().map(|t| t as f32).collect();
    let (x, y) = (normals(700 * 6, 6), labels(700, 3, 7));
    let prior = IsotropicGaussian::new(1.0).unwrap();
    let posterior = PosteriorDensity::<f32>::new(&net, &Categorical, &prior, &x, &y).unwrap();
    let rows = RowCurvature::<f32>::new(&net, &Categorical, &x, &y).unwrap();
    let options = TangentOptions {
        normal: NormalDimension::Share {
            share: 0.95,
            probes: 4,
        },
        tolerance: 1e-4,
        ..TangentOptions::default()
    };
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| {
            let mut op = GgnOperator::new(&posterior, &theta).unwrap();
            let space = TangentSpace::new(&mut op, 1.0, &options, Streams::new(0)).unwrap();
            let space = space.renew(&mut op, &options, Streams::new(0)).unwrap();
            let mut bits: Vec<u64> = space
                .basis()
                .iter()
                .map(|b| u64::from(b.to_bits()))
                .collect();
            let diagonals = [
                rows.ggn_diagonal(&theta).unwrap(),
                rows.fisher_diagonal(&theta).unwrap(),
            ];
            let numbers = diagonals.iter().flatten().chain(space.values());
            bits.extend(numbers.map(|v| v.to_bits()));
            bits
        })
    };
    let one = run(1);
    assert!(one.len() > 200 && one == run(2) && one == run(8));
}
