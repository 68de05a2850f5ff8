//! The deformation against closed forms.
//!
//! These are exact posteriors of linear models, dense Jacobians, and a known density.

mod draws;

use crate::common::{labels, network, normals};
use fiberwalk::deform::{Deformation, FrameOptions, HiddenFlow, LastLayer, TrainOptions, train};
use fiberwalk::linalg::symmetric_eigen;
use fiberwalk::walk::Walk;
use fiberwalk::{
    Activation, Categorical, Gaussian, IsotropicGaussian, Likelihood, LinearHead, LogDensity, Mlp,
    Network, PosteriorDensity, Streams,
};

const NOISE: f64 = 0.3;
const ALPHA: f64 = 0.7;

/// The points of a walk of `walkers` walkers with `each` points.
fn as_walk(points: Vec<f64>, dim: usize, each: usize) -> Walk<f64> {
    let n = points.len() / dim;
    Walk {
        dim,
        steps: 1,
        points,
        particle: (0..n).map(|i| i / each).collect(),
        energies: vec![0.0; n],
        ..Walk::default()
    }
}

/// A flow over the first `hidden` of `dim` parameters, trained on random points.
fn some_flow(dim: usize, hidden: usize, seed: u64) -> HiddenFlow<f64> {
    let walk = as_walk(normals(60 * dim, seed), dim, 3);
    let directions = normals(3 * dim, seed + 1);
    let options = TrainOptions {
        steps: 30,
        patience: 30,
        ..TrainOptions::default()
    };
    let (flow, _) = train(
        walk.points_of().unwrap(),
        hidden,
        &directions,
        &options,
        Streams::new(seed),
        |_| (),
    )
    .unwrap();
    HiddenFlow::Framed(flow)
}

/// The conditional last layer of [`regression`].
fn gaussian_head(net: &Mlp, x: &[f64], y: &[f64]) -> LastLayer<f64> {
    let likelihood = &Gaussian::new(NOISE).unwrap();
    LastLayer::new(net, likelihood, ALPHA, x, y).unwrap()
}

fn regression(sizes: &[usize], n: usize) -> (Mlp, Vec<f64>, Vec<f64>, PosteriorDensity<f64>) {
    let (net, _) = network(sizes, Activation::Tanh, 1);
    let (x, y) = (normals(n * sizes[0], 2), normals(n, 3));
    let prior = IsotropicGaussian::new(ALPHA).unwrap();
    let posterior =
        PosteriorDensity::new(&net, &Gaussian::new(NOISE).unwrap(), &prior, &x, &y).unwrap();
    (net, x, y, posterior)
}

/// For linear regression `log p(D, theta) - log q(theta)` is the evidence, whatever `theta` is.
#[test]
fn a_linear_model_has_its_exact_posterior() {
    let (net, x, y, posterior) = regression(&[3, 1], 25);
    let last = gaussian_head(&net, &x, &y);
    let integrated = last.log_evidence(&[], &mut last.workspace()).unwrap();
    let deformation = Deformation::new(None, last);
    // y ~ N(0, NOISE^2 I + Phi Phi^T / ALPHA)
    let n = y.len();
    let mut c = vec![0.0; n * n];
    for i in 0..n {
        for j in 0..n {
            let inner: f64 = (0..3).map(|k| x[i * 3 + k] * x[j * 3 + k]).sum();
            c[i * n + j] = (1.0 + inner) / ALPHA + if i == j { NOISE * NOISE } else { 0.0 };
        }
    }
    let eigen = symmetric_eigen(&c, n).unwrap();
    let mut evidence = -0.5 * n as f64 * (2.0 * std::f64::consts::PI).ln();
    for (value, vector) in eigen.values.iter().zip(eigen.vectors.chunks_exact(n)) {
        let projection: f64 = vector.iter().zip(&y).map(|(v, y)| v * y).sum();
        evidence -= 0.5 * (projection.powi(2) / value + value.ln());
    }
    assert!((integrated - evidence).abs() < 1e-8 * evidence.abs());
    let mut ws = posterior.workspace();
    for seed in 0..5 {
        let theta = normals(4, 40 + seed);
        let log_q = deformation.log_density(&theta).unwrap()[0];
        let got = posterior.log_density(&theta, &mut ws).unwrap() - log_q;
        assert!(
            (got - evidence).abs() < 1e-8 * evidence.abs(),
            "{got} against {evidence}"
        );
    }
}

/// Draws from the exact posterior: quadratic forms are chi-square, the mean is the mean.
#[test]
fn draws_have_the_posteriors_distribution() {
    let (net, x, y, posterior) = regression(&[3, 1], 25);
    let last = gaussian_head(&net, &x, &y);
    let mut last_ws = last.workspace();
    let conditional = last.condition(&[], &mut last_ws).unwrap();
    let deformation = Deformation::new(None, last);
    let (d, count) = (4, 4_000);
    let draws = deformation.sample(count, Streams::new(9)).unwrap();
    let mut ws = posterior.workspace();
    let top = posterior.log_density(conditional.centre, &mut ws).unwrap();
    // 2 (U - U_min) of a Gaussian is chi-square with d degrees of freedom: mean d, variance 2 d.
    // The tolerance of the variance uses the fourth central moment, 12 d^2 + 48 d
    let q: Vec<f64> = draws
        .chunks_exact(d)
        .map(|t| 2.0 * (top - posterior.log_density(t, &mut ws).unwrap()))
        .collect();
    let mean = q.iter().sum::<f64>() / count as f64;
    let variance = q.iter().map(|q| (q - mean).powi(2)).sum::<f64>() / count as f64;
    let d_f = d as f64;
    assert!(
        (mean - d_f).abs() < 4.0 * (2.0 * d_f / count as f64).sqrt(),
        "mean {mean}"
    );
    let fourth = 12.0 * d_f * d_f + 48.0 * d_f;
    assert!(
        (variance - 2.0 * d_f).abs() < 4.0 * (fourth / count as f64).sqrt(),
        "variance {variance}"
    );
    // the average of the draws has the posterior's covariance over count, so its quadratic form is
    // chi-square over count
    let mut average = vec![0.0; d];
    for t in draws.chunks_exact(d) {
        average
            .iter_mut()
            .zip(t)
            .for_each(|(a, t)| *a += t / count as f64);
    }
    let form = 2.0 * (top - posterior.log_density(&average, &mut ws).unwrap()) * count as f64;
    assert!(form < d_f + 5.0 * (2.0 * d_f).sqrt(), "{form}");
}

/// With hidden layers the last layer's conditional is exact: for a given hidden block, the log
/// joint and the log density differ by a constant in the last layer.
#[test]
fn the_conditional_given_hidden_parameters_is_exact_for_gaussian_noise() {
    let (net, x, y, posterior) = regression(&[2, 5, 1], 20);
    let last = gaussian_head(&net, &x, &y);
    let h = net.hidden_params();
    let deformation = Deformation::new(Some(some_flow(net.dim(), h, 5)), last);
    let mut ws = posterior.workspace();
    let mut theta = normals(net.dim(), 50);
    let mut differences = Vec::new();
    for seed in 0..4 {
        theta[h..].copy_from_slice(&normals(net.dim() - h, 60 + seed));
        let joint = posterior.log_density(&theta, &mut ws).unwrap();
        differences.push(joint - deformation.log_density(&theta).unwrap()[0]);
    }
    for d in &differences {
        assert!(
            (d - differences[0]).abs() < 1e-8 * d.abs(),
            "{differences:?}"
        );
    }
}

/// `log p(D | theta_h)` is the difference between the joint density and that of the draws. For
/// Gaussian noise that holds at every draw, for a softmax on average.
#[test]
fn what_is_integrated_out_is_the_elbo_of_the_conditional() {
    let (n, sizes) = (40, [3, 6, 4]);
    let (net, theta) = network(&sizes, Activation::Tanh, 2);
    let (x, y) = (normals(n * 3, 4), labels(n, 4, 5));
    let prior = IsotropicGaussian::new(ALPHA).unwrap();
    let softmax = PosteriorDensity::<f64>::new(&net, &Categorical, &prior, &x, &y).unwrap();
    let last = LastLayer::<f64>::new(&net, &Categorical, ALPHA, &x, &y).unwrap();
    let (mean, error, got) = elbo(&softmax, &last, &theta[..net.hidden_params()]);
    // the nodes are not the draws: for a function that is not quadratic, 16 nodes give its mean to
    // a few hundredths
    assert!(
        (mean - got).abs() < 4.0 * error + 0.1,
        "{mean} +- {error} against {got}"
    );

    let (net, x, y, posterior) = regression(&[2, 5, 1], 20);
    let last = gaussian_head(&net, &x, &y);
    let (mean, error, got) = elbo(&posterior, &last, &normals(net.hidden_params(), 8));
    assert!(
        error < 1e-9 && (mean - got).abs() < 1e-8 * got.abs(),
        "{mean} against {got}"
    );
}

/// `E[log p(D, theta) - log p(theta_h) - log q(w)]` over draws of the last layer, its standard
/// error, and the last layer's value of it.
fn elbo(
    posterior: &PosteriorDensity<f64>,
    last: &LastLayer<f64>,
    hidden: &[f64],
) -> (f64, f64, f64) {
    let (h, k) = (hidden.len(), last.dim());
    let mut ws = last.workspace();
    let got = last.log_evidence(hidden, &mut ws).unwrap();
    let normal = |n: usize| 0.5 * n as f64 * (2.0 * std::f64::consts::PI).ln();
    let squares: f64 = hidden.iter().map(|x| x * x).sum();
    let log_prior = 0.5 * (h as f64 * ALPHA.ln() - ALPHA * squares) - normal(h);
    let mut of_posterior = posterior.workspace();
    let values: Vec<f64> = normals(400 * k, 77)
        .chunks_exact(k)
        .map(|z| {
            let mut w = z.to_vec();
            ws.forward(&mut w).unwrap();
            let theta = [hidden, &w].concat();
            let log_q = -0.5 * z.iter().map(|z| z * z).sum::<f64>() - normal(k) - ws.log_det();
            posterior.log_density(&theta, &mut of_posterior).unwrap() - log_prior - log_q
        })
        .collect();
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0);
    (mean, (variance / n).sqrt(), got)
}

#[test]
fn the_whole_deformation_is_a_bijection_with_the_right_volume() {
    for categorical in [false, true] {
        let sizes = [2, 3, if categorical { 3 } else { 1 }];
        let (net, _) = network(&sizes, Activation::Tanh, 6);
        let x = normals(30, 7);
        let noisy = Gaussian::new(NOISE).unwrap();
        let (likelihood, y): (&dyn Likelihood, _) = if categorical {
            (&Categorical, labels(15, 3, 8))
        } else {
            (&noisy, normals(15, 8))
        };
        let last = LastLayer::new(&net, likelihood, ALPHA, &x, &y).unwrap();
        let p = net.dim();
        let deformation = Deformation::new(Some(some_flow(p, net.hidden_params(), 11)), last);
        let z = normals(2 * p, 9);
        let (theta, log_det) = deformation.forward(&z).unwrap();
        let (back, inverse_log_det) = deformation.inverse(&theta).unwrap();
        for (a, b) in back.iter().zip(&z) {
            assert!((a - b).abs() < 1e-9, "{a} against {b}");
        }
        for (a, b) in log_det.iter().zip(&inverse_log_det) {
            assert!((a + b).abs() < 1e-9);
        }
        // the dense Jacobian by central differences; its determinant by eigenvalues of J^T J
        let h = 1e-5;
        let mut jacobian = vec![0.0; p * p];
        for c in 0..p {
            let shifted = |s: f64| {
                let mut z = z[..p].to_vec();
                z[c] += s;
                deformation.forward(&z).unwrap().0
            };
            let (plus, minus) = (shifted(h), shifted(-h));
            for r in 0..p {
                jacobian[r * p + c] = (plus[r] - minus[r]) / (2.0 * h);
            }
        }
        let mut gram = vec![0.0; p * p];
        for i in 0..p {
            for j in 0..p {
                gram[i * p + j] = (0..p)
                    .map(|r| jacobian[r * p + i] * jacobian[r * p + j])
                    .sum();
            }
        }
        let want: f64 = symmetric_eigen(&gram, p)
            .unwrap()
            .values
            .iter()
            .map(|l| 0.5 * l.ln())
            .sum();
        // Newton stops within 1e-9 nats, so a mode moves by up to 1e-5 of its width between two
        // differences
        let tolerance = if categorical { 1e-3 } else { 1e-6 };
        assert!(
            (log_det[0] - want).abs() < tolerance,
            "{} against {want}",
            log_det[0]
        );
    }
}

/// A banana, `x ~ N(0, 1)`, `y | x ~ N(x^2, 0.25)`. A Gaussian misses its bend, and the coupling
/// layers must learn it.
#[test]
fn the_flow_learns_a_density_that_no_gaussian_has() {
    let (walkers, each) = (400, 5);
    let points: Vec<f64> = normals(2 * walkers * each, 21)
        .chunks_exact(2)
        .flat_map(|e| [e[0], e[0] * e[0] + 0.5 * e[1]])
        .collect();
    let entropy = 1.0 + (2.0 * std::f64::consts::PI).ln() + 0.5f64.ln();
    let options = TrainOptions {
        frame: FrameOptions {
            directions: 2,
            ..FrameOptions::default()
        },
        steps: 3_000,
        learning_rate: 5e-3,
        weight_decay: 0.0,
        ..TrainOptions::default()
    };
    let walk = as_walk(points, 2, each);
    let (flow, report) = train(
        walk.points_of().unwrap(),
        2,
        &[1.0, 0.0, 0.0, 1.0],
        &options,
        Streams::new(3),
        |_| (),
    )
    .unwrap();
    // entropy is the best that a mean log-likelihood can reach; 400 held-out points give it a
    // standard error of 1/sqrt(400)
    assert!(report.log_likelihood > -entropy - 0.15, "{report:?}");
    assert!(
        report.log_likelihood > report.gaussian_log_likelihood + 0.4,
        "{report:?}"
    );
    // on fresh points, which played no part in the choice: the KL divergence with its standard
    // error
    let fresh: Vec<f64> = normals(20_000, 22)
        .chunks_exact(2)
        .flat_map(|e| [e[0], e[0] * e[0] + 0.5 * e[1]])
        .collect();
    let log_q = flow.log_density(&fresh).unwrap();
    let true_log = |p: &[f64]| {
        let r = (p[1] - p[0] * p[0]) / 0.5;
        -0.5 * (p[0] * p[0] + r * r) - (2.0 * std::f64::consts::PI).ln() - 0.5f64.ln()
    };
    let kl = fresh
        .chunks_exact(2)
        .zip(&log_q)
        .map(|(p, q)| true_log(p) - q)
        .sum::<f64>()
        / log_q.len() as f64;
    assert!((0.0..0.1).contains(&kl), "KL {kl}");
}
