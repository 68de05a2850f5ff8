//! Compares a scaled network with the plain one, at the parameters that `phi` stands for.

use super::*;
use crate::autodiff::Graph;
use crate::model::{
    CoordinatePrior, Gaussian, IsotropicGaussian, LogDensity, PerLayerGaussian, PosteriorDensity,
    Prior,
};
use crate::nn::{Activation, Mlp, Network};
use crate::rng::{Phase, Streams};

fn net() -> Mlp {
    Mlp::new(&[2, 3, 4, 1], Activation::Tanh).unwrap()
}

const X: [f64; 6] = [0.3, -1.2, 0.8, 0.1, -0.4, 2.0];

fn outputs(network: &dyn Network, theta: &[f64]) -> Vec<f64> {
    let graph = Graph::new();
    let t = graph.input(&[network.dim()]);
    let x = graph.input(&[3, 2]);
    let program = graph.compile::<f64>(&[network.forward(t, x)]).unwrap();
    let mut ws = program.workspace();
    program.run(&[theta, &X], &mut ws).unwrap();
    program.tensor(&ws, 0).unwrap().to_vec()
}

#[test]
fn outputs_are_those_of_the_parameters_that_phi_means() {
    let net = net();
    for (groups, scales) in [
        (ScaleGroups::Shared, 1),
        (ScaleGroups::PerTensor, 5),
        (ScaleGroups::Ard, 7),
    ] {
        let scaled = ScaledNetwork::new(&net, groups);
        assert_eq!(scaled.scales(), scales);
        assert_eq!(scaled.scale_names().len(), scales);
        let phi = scaled
            .prior()
            .draw(&mut Streams::new(1).rng(Phase::USER, 0))
            .unwrap();
        let mut theta = vec![0.0; net.dim()];
        scaled.theta(&phi, &mut theta).unwrap();
        for (a, b) in outputs(&scaled, &phi).iter().zip(outputs(&net, &theta)) {
            assert!((a - b).abs() < 1e-12 * (1.0 + b.abs()), "{groups}: {a} {b}");
        }
        assert!(scaled.theta(&phi[1..], &mut theta).is_err());
        // the first weight by hand: input 1, unit 2
        let t = &phi[net.dim()..];
        let by_hand = phi[5]
            * match groups {
                ScaleGroups::Shared => t[0].exp() / 2f64.sqrt(),
                ScaleGroups::PerTensor => t[0].exp(),
                ScaleGroups::Ard => (t[0] + t[2]).exp(),
            };
        assert!((theta[5] - by_hand).abs() < 1e-14, "{groups}");
        // the last bias has unit scale
        assert_eq!(theta[net.dim() - 1], phi[net.dim() - 1]);
    }
}

/// A change of variables. The density of `phi` is the product of three terms: the density of
/// `theta` given the scales, the Jacobian of `theta = z sigma`, and the density of the scales.
#[test]
fn the_density_is_that_of_the_parameters_with_a_jacobian() {
    let net = net();
    let y = [0.2, -0.5, 1.0];
    let likelihood = Gaussian::new(0.3).unwrap();
    let scaled = ScaledNetwork::new(&net, ScaleGroups::PerTensor);
    let prior = scaled.prior();
    let density = PosteriorDensity::<f64>::new(&scaled, &likelihood, &prior, &X, &y).unwrap();
    let phi = prior
        .draw(&mut Streams::new(2).rng(Phase::USER, 0))
        .unwrap();
    let got = density.log_density(&phi, &mut density.workspace()).unwrap();
    let (mut theta, mut std) = (vec![0.0; net.dim()], vec![0.0; net.dim()]);
    scaled.theta(&phi, &mut theta).unwrap();
    scaled.prior_std(&phi[net.dim()..], &mut std).unwrap();
    // pass the standard deviations as a prior with one precision per tensor
    let tensors = net.layout().tensors();
    let precisions: Vec<(&str, f64)> = tensors
        .iter()
        .map(|t| (t.name.as_str(), std[t.range.start].powi(-2)))
        .collect();
    let given = PerLayerGaussian::new(&precisions).unwrap();
    let plain = PosteriorDensity::<f64>::new(&net, &likelihood, &given, &X, &y).unwrap();
    let mut want = plain.log_density(&theta, &mut plain.workspace()).unwrap();
    want += std.iter().map(|s| s.ln()).sum::<f64>();
    for (param, &t) in scaled.params().iter().zip(&phi[net.dim()..]) {
        let graph = Graph::new();
        let s = graph.input(&[1]);
        let program = graph
            .compile::<f64>(&[param.prior.neg_log_density(s)])
            .unwrap();
        let mut ws = program.workspace();
        program.run(&[&[t]], &mut ws).unwrap();
        want -= program.scalar(&ws, 0).unwrap();
    }
    assert!(
        (got - want).abs() < 1e-10 * (1.0 + want.abs()),
        "{got} {want}"
    );
}

#[test]
fn another_network_is_refused() {
    let net = net();
    let prior = ScaledNetwork::new(&net, ScaleGroups::Ard).prior();
    assert!(prior.check(net.layout()).is_err());
    let likelihood = Gaussian::new(1.0).unwrap();
    assert!(PosteriorDensity::<f64>::new(&net, &likelihood, &prior, &X, &[0.0; 3]).is_err());
    let iso = IsotropicGaussian::new(1.0).unwrap();
    assert!(PosteriorDensity::<f64>::new(&net, &likelihood, &iso, &X, &[0.0; 3]).is_ok());
}

#[test]
fn priors_are_exchanged_one_for_one() {
    let net = net();
    let scaled = || ScaledNetwork::new(&net, ScaleGroups::Shared);
    let prior = |shape| CoordinatePrior::InverseGamma { shape, rate: 1.0 };
    let other = scaled().with_priors(&[prior(3.0)]).unwrap();
    assert_eq!(other.init_scales(), [prior(3.0).mode()]);
    assert!(scaled().with_priors(&[]).is_err());
    assert!(scaled().with_priors(&[prior(3.0); 2]).is_err());
    assert!(scaled().with_priors(&[prior(-1.0)]).is_err());
}

#[test]
fn initial_coordinates_mean_the_initial_parameters() {
    let net = net();
    for groups in ScaleGroups::ALL {
        assert_eq!(groups.name().parse::<ScaleGroups>().unwrap(), groups);
        let scaled = ScaledNetwork::new(&net, groups);
        let rng = || Streams::new(3).rng(Phase::INIT, 0);
        let (phi, want) = (scaled.init(&mut rng()), net.init(&mut rng()));
        let mut theta = vec![0.0; net.dim()];
        scaled.theta(&phi, &mut theta).unwrap();
        for (a, b) in theta.iter().zip(&want) {
            assert!((a - b).abs() < 1e-14);
        }
    }
    assert!("none".parse::<ScaleGroups>().is_err());
}
