//! Checks every prior against normal densities written out by hand, parameter by parameter.

use super::*;
use crate::autodiff::Graph;
use crate::nn::{Activation, Mlp, Network};
use crate::testing::{CheckOptions, check_prior};

/// A prior, and the precisions of the four tensors of a network `[d, h, k]`: weight, bias, weight,
/// bias.
type Case = (Box<dyn Prior>, fn(usize, usize) -> [f64; 4]);

fn cases() -> Vec<Case> {
    let by_name = [
        ("layer2.weight", 4.0),
        ("layer0", 0.3),
        ("layer2", 1.7),
        ("layer0.bias", 2.5),
    ];
    vec![
        (Box::new(IsotropicGaussian::new(1.3).unwrap()), |_, _| {
            [1.3; 4]
        }),
        (
            Box::new(PerLayerGaussian::new(&by_name).unwrap()),
            |_, _| [0.3, 2.5, 4.0, 1.7],
        ),
        (Box::new(FanInGaussian::new(2.0, 0.7).unwrap()), |d, h| {
            [d as f64 / 2.0, 0.7, h as f64 / 2.0, 0.7]
        }),
    ]
}

/// Value, gradient and dense Hessian of `-log p`.
fn derivatives(prior: &dyn Prior, net: &Mlp, theta: &[f64]) -> (f64, Vec<f64>, Vec<f64>) {
    let graph = Graph::new();
    let (t, v) = (graph.input(&[net.dim()]), graph.input(&[net.dim()]));
    let value = prior.neg_log_density(t, net.layout());
    let gradient = graph.grad(value, &[t]).unwrap()[0];
    let hessian = graph.hvp(value, t, v).unwrap();
    let program = graph.compile::<f64>(&[value, gradient, hessian]).unwrap();
    let mut ws = program.workspace();
    let mut dense = Vec::new();
    for i in 0..net.dim() {
        let mut unit = vec![0.0; net.dim()];
        unit[i] = 1.0;
        program.run(&[theta, &unit], &mut ws).unwrap();
        dense.extend_from_slice(program.tensor(&ws, 2).unwrap());
    }
    (
        program.scalar(&ws, 0).unwrap(),
        program.tensor(&ws, 1).unwrap().to_vec(),
        dense,
    )
}

#[test]
fn a_prior_is_a_product_of_normal_densities() {
    for (d, h, k) in [(3, 4, 2), (1, 1, 1), (7, 2, 3)] {
        let net = Mlp::new(&[d, h, k], Activation::Tanh).unwrap();
        let theta: Vec<f64> = (0..net.dim()).map(|i| (1.7 * i as f64).sin()).collect();
        for (prior, of) in cases() {
            prior.check(net.layout()).unwrap();
            // in the order of the layout
            let sizes = [d * h, h, h * k, k];
            let alpha: Vec<f64> = of(d, h)
                .iter()
                .zip(sizes)
                .flat_map(|(&a, n)| vec![a; n])
                .collect();
            assert_eq!(prior.precision(net.layout()), alpha);
            let (value, gradient, hessian) = derivatives(&*prior, &net, &theta);
            let mut want = 0.0;
            for (t, a) in theta.iter().zip(&alpha) {
                let std = a.sqrt().recip();
                want += 0.5 * (t / std).powi(2) + (std * (2.0 * std::f64::consts::PI).sqrt()).ln();
            }
            assert!(
                (value - want).abs() < 1e-13 * (1.0 + want.abs()),
                "{value} against {want}"
            );
            for i in 0..net.dim() {
                assert!((gradient[i] - alpha[i] * theta[i]).abs() < 1e-14 * (1.0 + alpha[i]));
                for j in 0..net.dim() {
                    let want = if i == j { alpha[i] } else { 0.0 };
                    let got = hessian[i * net.dim() + j];
                    assert!(
                        (got - want).abs() < 1e-14 * (1.0 + want),
                        "{got} for {want}"
                    );
                }
            }
        }
    }
}

/// Of two parameters the integral is checked too.
#[test]
fn priors_pass_the_kit() {
    for sizes in [&[1, 1][..], &[3, 4, 2]] {
        let net = Mlp::new(sizes, Activation::Tanh).unwrap();
        let by_name: Vec<(&str, f64)> = net
            .layout()
            .tensors()
            .iter()
            .zip([2.0, 0.5, 4.0, 1.7])
            .map(|(tensor, precision)| (&tensor.name[..], precision))
            .collect();
        let priors: [Box<dyn Prior>; 3] = [
            Box::new(IsotropicGaussian::new(1.3).unwrap()),
            Box::new(PerLayerGaussian::new(&by_name).unwrap()),
            Box::new(FanInGaussian::new(0.6, 1.9).unwrap()),
        ];
        for prior in priors {
            check_prior(&*prior, net.layout(), &CheckOptions::default()).unwrap();
        }
    }
}

#[test]
fn names_must_be_those_of_the_network() {
    let net = Mlp::new(&[2, 3, 1], Activation::Tanh).unwrap();
    let says = |names: &[(&str, f64)], words: &[&str]| {
        let prior = PerLayerGaussian::new(names).unwrap();
        let message = prior.check(net.layout()).unwrap_err().to_string();
        for word in words {
            assert!(message.contains(word), "{message} without {word}");
        }
    };
    says(&[("layer0", 1.0)], &["none for layer2.weight"]);
    says(
        &[("layer0", 1.0), ("layer2.weight", 1.0)],
        &["none for layer2.bias"],
    );
    says(
        &[("layer0", 1.0), ("layer2", 1.0), ("layer3", 1.0)],
        &["layer3", "layer2.bias"],
    );
    // a prefix that is not a whole name is not a layer
    says(&[("layer", 1.0)], &["none for layer0.weight"]);
    assert!(PerLayerGaussian::new(&[("a", 1.0), ("a", 2.0)]).is_err());
    for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(PerLayerGaussian::new(&[("layer0", bad)]).is_err());
        assert!(FanInGaussian::new(bad, 1.0).is_err() && FanInGaussian::new(1.0, bad).is_err());
        assert!(IsotropicGaussian::new(bad).is_err());
    }
}
