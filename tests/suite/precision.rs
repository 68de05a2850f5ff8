//! Single precision is enough.
//!
//! Gradients of large networks agree with double precision, and large logits do no harm.

use crate::common::{labels, network, normals};
use fiberwalk::{
    Activation, Categorical, Curved, IsotropicGaussian, LogDensity, Mlp, PosteriorDensity, Scalar,
};

/// `-U` and its gradient, in `T`.
fn gradient<T: Scalar>(net: &Mlp, theta: &[f64], x: &[f64], y: &[f64]) -> (f64, Vec<f64>) {
    let prior = IsotropicGaussian::new(1.0).unwrap();
    let posterior = PosteriorDensity::<T>::new(net, &Categorical, &prior, x, y).unwrap();
    let theta: Vec<T> = theta.iter().map(|&t| T::from_f64(t)).collect();
    let mut grad = theta.clone();
    let mut ws = posterior.workspace();
    let value = posterior
        .log_density_and_grad(&theta, &mut grad, &mut ws)
        .unwrap();
    (value, grad.into_iter().map(Scalar::to_f64).collect())
}

#[test]
fn gradients_of_a_million_parameters_agree_between_f32_and_f64() {
    let sizes = [800, 1024, 200, 10];
    let (net, theta) = network(&sizes, Activation::Tanh, 1);
    assert!(theta.len() > 1_000_000);
    let n = 96;
    let (x, y) = (normals(n * sizes[0], 2), labels(n, 10, 3));
    let (value, single) = gradient::<f32>(&net, &theta, &x, &y);
    let (want, double) = gradient::<f64>(&net, &theta, &x, &y);
    let norm = |v: &[f64]| v.iter().map(|x| x * x).sum::<f64>().sqrt();
    let difference: Vec<f64> = single.iter().zip(&double).map(|(a, b)| a - b).collect();
    assert!(
        norm(&difference) <= 1e-4 * norm(&double),
        "{}",
        norm(&difference) / norm(&double)
    );
    assert!(
        (value - want).abs() <= 1e-5 * want.abs(),
        "{value} against {want}"
    );
}

#[test]
fn logits_of_ten_thousand_give_no_nan() {
    let sizes = [3, 8, 4];
    let (net, mut theta) = network(&sizes, Activation::Tanh, 1);
    let n = 50;
    let (x, y) = (normals(n * 3, 2), labels(n, 4, 3));
    // the last layer is so large that logits reach 1e4
    let head = theta.len() - 8 * 4 - 4;
    for t in &mut theta[head..] {
        *t += 1e4 * t.signum();
    }
    let prior = IsotropicGaussian::new(1.0).unwrap();
    let posterior = PosteriorDensity::<f32>::new(&net, &Categorical, &prior, &x, &y).unwrap();
    let theta: Vec<f32> = theta.into_iter().map(f32::from_f64).collect();
    let mut out = theta.clone();
    let value = posterior
        .log_density_and_grad(&theta, &mut out, &mut posterior.workspace())
        .unwrap();
    // some rows are wrong by 1e4 nats and more
    assert!(value < -1e5 && value.is_finite() && out.iter().all(|g| g.is_finite()));
    posterior
        .ggn_product(&theta, &theta, &mut out, &mut posterior.ggn_workspace())
        .unwrap();
    assert!(out.iter().all(|g| g.is_finite()));
    posterior
        .hessian_product(&theta, &theta, &mut out, &mut posterior.hessian_workspace())
        .unwrap();
    assert!(out.iter().all(|g| g.is_finite()));
}
