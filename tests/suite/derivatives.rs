//! Derivatives of whole posteriors against slow oracles, in f64.
//!
//! They are gradients, Hessian-vector products and Gauss-Newton products.

use crate::common::{labels, network, normals};
use fiberwalk::autodiff::Graph;
use fiberwalk::{
    Activation, Categorical, Curved, Gaussian, IsotropicGaussian, Likelihood, LogDensity, Mlp,
    Network, PosteriorDensity,
};
use proptest::prelude::*;

#[derive(Debug)]
struct Problem {
    net: Mlp,
    theta: Vec<f64>,
    x: Vec<f64>,
    y: Vec<f64>,
    classes: usize,
    posterior: PosteriorDensity<f64>,
}

const NOISE: f64 = 0.7;

/// `classes` = 1 means regression.
fn problem(
    hidden: &[usize],
    activation: Activation,
    d: usize,
    n: usize,
    classes: usize,
    seed: u64,
) -> Problem {
    let mut sizes = vec![d];
    sizes.extend(hidden);
    sizes.push(classes);
    let (net, theta) = network(&sizes, activation, seed);
    let x = normals(n * d, seed + 2);
    let prior = IsotropicGaussian::new(1.3).unwrap();
    let gaussian = Gaussian::new(NOISE).unwrap();
    let (y, likelihood): (_, &dyn Likelihood) = if classes == 1 {
        (normals(n, seed + 3), &gaussian)
    } else {
        (labels(n, classes, seed + 3), &Categorical)
    };
    let posterior = PosteriorDensity::new(&net, likelihood, &prior, &x, &y).unwrap();
    Problem {
        net,
        theta,
        x,
        y,
        classes,
        posterior,
    }
}

/// Smooth ones only: a finite difference must not step over a kink.
const SMOOTH: [Activation; 6] = [
    Activation::Tanh,
    Activation::Sigmoid,
    Activation::Silu,
    Activation::Gelu,
    Activation::Softplus,
    Activation::Identity,
];

fn problems() -> impl Strategy<Value = Problem> {
    let hidden = prop::collection::vec(1usize..7, 0..3);
    (
        hidden,
        0..SMOOTH.len(),
        1usize..5,
        1usize..9,
        1usize..4,
        0u64..1_000,
    )
        .prop_map(|(hidden, a, d, n, classes, seed)| {
            problem(&hidden, SMOOTH[a], d, n, classes, seed)
        })
}

fn shifted(theta: &[f64], v: &[f64], h: f64) -> Vec<f64> {
    theta.iter().zip(v).map(|(t, v)| t + h * v).collect()
}

/// Network outputs `[n, k]` and the Jacobian `[n k, P]`, row by row with one VJP each.
fn outputs_and_jacobian(p: &Problem) -> (Vec<f64>, Vec<Vec<f64>>) {
    let (n, k, dim) = (p.y.len(), p.classes, p.net.dim());
    let graph = Graph::new();
    let (theta, x) = (graph.input(&[dim]), graph.input(&[n, p.net.input_dim()]));
    let seed = graph.input(&[n, k]);
    let out = p.net.forward(theta, x);
    let row = graph.vjp(out, seed, &[theta]).unwrap()[0];
    let program = graph.compile::<f64>(&[out, row]).unwrap();
    let mut ws = program.workspace();
    let mut jacobian = Vec::new();
    for i in 0..n * k {
        let mut unit = vec![0.0; n * k];
        unit[i] = 1.0;
        program.run(&[&p.theta, &p.x, &unit], &mut ws).unwrap();
        jacobian.push(program.tensor(&ws, 1).unwrap().to_vec());
    }
    (program.tensor(&ws, 0).unwrap().to_vec(), jacobian)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn gradient_and_hessian_product_against_differences(p in problems()) {
        let dim = p.net.dim();
        let v = normals(dim, 7);
        let mut ws = p.posterior.workspace();
        let mut at = |theta: &[f64]| {
            let mut grad = vec![0.0; dim];
            let value = p.posterior.log_density_and_grad(theta, &mut grad, &mut ws).unwrap();
            prop_assert!((value - p.posterior.log_density(theta, &mut ws).unwrap()).abs() < 1e-12 * (1.0 + value.abs()));
            Ok((-value, grad))
        };
        let h = 1e-5;
        let (plus, minus, here) = (at(&shifted(&p.theta, &v, h))?, at(&shifted(&p.theta, &v, -h))?, at(&p.theta)?);
        // the log density's gradient is minus the energy's
        let slope: f64 = here.1.iter().zip(&v).map(|(g, v)| -g * v).sum();
        let want = (plus.0 - minus.0) / (2.0 * h);
        // h^2 f'''/6 is about 1e-10 |v|^3, and cancellation 1e-16 U / h = 1e-11 U
        prop_assert!((slope - want).abs() < 1e-6 * (1.0 + want.abs() + plus.0.abs()), "{slope} against {want}");

        let mut hv = vec![0.0; dim];
        p.posterior.hessian_product(&p.theta, &v, &mut hv, &mut p.posterior.hessian_workspace()).unwrap();
        for ((got, plus), minus) in hv.iter().zip(&plus.1).zip(&minus.1) {
            let want = -(plus - minus) / (2.0 * h);
            prop_assert!((got - want).abs() < 1e-5 * (1.0 + want.abs()), "H v: {got} against {want}");
        }
    }

    #[test]
    fn ggn_product_against_the_dense_matrix(p in problems()) {
        let (n, k, dim) = (p.y.len(), p.classes, p.net.dim());
        let (outputs, jacobian) = outputs_and_jacobian(&p);
        let v = normals(dim, 8);
        // Lambda in closed form: softmax diag(p) - p p^T, Gaussian 1 / noise^2
        let mut want = vec![0.0; dim];
        for i in 0..n {
            let o = &outputs[i * k..(i + 1) * k];
            let total: f64 = o.iter().map(|o| o.exp()).sum();
            let prob: Vec<f64> = o.iter().map(|o| o.exp() / total).collect();
            let jv: Vec<f64> = (0..k).map(|c| jacobian[i * k + c].iter().zip(&v).map(|(j, v)| j * v).sum()).collect();
            for c in 0..k {
                let curved = if k == 1 {
                    jv[0] / NOISE.powi(2)
                } else {
                    prob[c] * (jv[c] - prob.iter().zip(&jv).map(|(p, j)| p * j).sum::<f64>())
                };
                want.iter_mut().zip(&jacobian[i * k + c]).for_each(|(w, j)| *w += j * curved);
            }
        }
        let mut got = vec![0.0; dim];
        p.posterior.ggn_product(&p.theta, &v, &mut got, &mut p.posterior.ggn_workspace()).unwrap();
        let scale = want.iter().fold(1.0f64, |a, w| a.max(w.abs()));
        for (g, w) in got.iter().zip(&want) {
            prop_assert!((g - w).abs() < 1e-11 * scale, "{g} against {w}");
        }
    }

    #[test]
    fn jvp_and_vjp_are_adjoint_and_jvp_is_a_derivative(p in problems()) {
        let (n, k, dim) = (p.y.len(), p.classes, p.net.dim());
        let graph = Graph::new();
        let (theta, x) = (graph.input(&[dim]), graph.input(&[n, p.net.input_dim()]));
        let (v, u) = (graph.input(&[dim]), graph.input(&[n, k]));
        let out = p.net.forward(theta, x);
        let jvp = graph.jvp(out, theta, v).unwrap();
        let vjp = graph.vjp(out, u, &[theta]).unwrap()[0];
        let program = graph.compile::<f64>(&[out, jvp, (jvp * u).sum(), (vjp * v).sum()]).unwrap();
        let mut ws = program.workspace();
        let (dv, du) = (normals(dim, 3), normals(n * k, 4));
        let mut run = |theta: &[f64]| {
            program.run(&[theta, &p.x, &dv, &du], &mut ws).unwrap();
            let adjoint = (program.scalar(&ws, 2).unwrap(), program.scalar(&ws, 3).unwrap());
            (program.tensor(&ws, 0).unwrap().to_vec(), program.tensor(&ws, 1).unwrap().to_vec(), adjoint)
        };
        let h = 1e-6;
        let (plus, minus, here) = (run(&shifted(&p.theta, &dv, h)), run(&shifted(&p.theta, &dv, -h)), run(&p.theta));
        prop_assert!((here.2.0 - here.2.1).abs() < 1e-11 * (1.0 + here.2.0.abs()));
        for i in 0..n * k {
            let want = (plus.0[i] - minus.0[i]) / (2.0 * h);
            prop_assert!((here.1[i] - want).abs() < 1e-6 * (1.0 + want.abs()), "{} against {want}", here.1[i]);
        }
    }

    /// Swapping two hidden units, or flipping the sign of a tanh unit, does not change the energy.
    #[test]
    fn hidden_units_are_exchangeable(seed in 0u64..500, a in 0usize..6, b in 0usize..6) {
        let (d, h, k) = (3, 6, 2);
        let p = problem(&[h], Activation::Tanh, d, 5, k, seed);
        let mut ws = p.posterior.workspace();
        let before = p.posterior.log_density(&p.theta, &mut ws).unwrap();
        let mut theta = p.theta.clone();
        // W0 [d, h], b0 [h], W1 [h, k], b1 [k]
        let unit = |j: usize| -> Vec<usize> {
            let w0 = (0..d).map(|i| i * h + j);
            w0.chain([d * h + j]).chain((0..k).map(|c| d * h + h + j * k + c)).collect()
        };
        for (i, j) in unit(a).into_iter().zip(unit(b)) {
            theta.swap(i, j);
        }
        for i in unit(a) {
            theta[i] = -theta[i];
        }
        let after = p.posterior.log_density(&theta, &mut ws).unwrap();
        prop_assert!((before - after).abs() < 1e-12 * before.abs(), "{before} and {after}");
    }
}

#[test]
fn single_precision_agrees_with_double() {
    let p = problem(&[50], Activation::Tanh, 18, 300, 4, 5);
    let single: PosteriorDensity<f32> = PosteriorDensity::new(
        &p.net,
        &Categorical,
        &IsotropicGaussian::new(1.3).unwrap(),
        &p.x,
        &p.y,
    )
    .unwrap();
    let theta: Vec<f32> = p.theta.iter().map(|&t| t as f32).collect();
    let (mut g32, mut g64) = (vec![0.0f32; p.net.dim()], vec![0.0; p.net.dim()]);
    let u32 = single
        .log_density_and_grad(&theta, &mut g32, &mut single.workspace())
        .unwrap();
    let u64 = p
        .posterior
        .log_density_and_grad(&p.theta, &mut g64, &mut p.posterior.workspace())
        .unwrap();
    assert!((u32 - u64).abs() < 1e-6 * u64.abs());
    let norm = g64.iter().map(|g| g * g).sum::<f64>().sqrt();
    let error = g32
        .iter()
        .zip(&g64)
        .map(|(a, b)| (f64::from(*a) - b).powi(2))
        .sum::<f64>()
        .sqrt();
    assert!(error < 1e-5 * norm, "{error} of {norm}");
}

#[test]
fn the_energy_is_a_sum_with_its_constants() {
    // one row, one weight, one bias: everything by hand
    let net = Mlp::new(&[1, 1], Activation::Identity).unwrap();
    let (noise, alpha) = (0.5f64, 2.0f64);
    let prior = IsotropicGaussian::new(alpha).unwrap();
    let likelihood = Gaussian::new(noise).unwrap();
    let posterior =
        PosteriorDensity::<f64>::new(&net, &likelihood, &prior, &[3.0, 3.0], &[1.0, 1.0]).unwrap();
    let theta = [0.2, 0.1];
    let log_normal =
        |x: f64, s: f64| -0.5 * (x / s).powi(2) - s.ln() - 0.5 * (2.0 * std::f64::consts::PI).ln();
    let residual = 1.0 - (0.2 * 3.0 + 0.1);
    let s = alpha.sqrt().recip();
    let want = 2.0 * log_normal(residual, noise) + log_normal(0.2, s) + log_normal(0.1, s);
    let got = posterior
        .log_density(&theta, &mut posterior.workspace())
        .unwrap();
    assert!((got - want).abs() < 1e-14, "{got} against {want}");
}
