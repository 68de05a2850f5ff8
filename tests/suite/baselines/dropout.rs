//! Monte Carlo dropout.

use super::for_any_threads;
use crate::common::{labels, network, normals};
use fiberwalk::autodiff::Graph;
use fiberwalk::baselines::{AllRows, Dropout, DropoutMasks, DropoutOptions, fit_dropout};
use fiberwalk::diagnose::goodness_of_fit;
use fiberwalk::nn::SequentialSpec;
use fiberwalk::optim::{Decay, OptimizerOptions, SgdOptions};
use fiberwalk::{
    Activation, Categorical, Error, IsotropicGaussian, LogDensity, Mlp, Network, Phase, Posterior,
    PosteriorDensity, Streams,
};

/// All masks of these units with their probabilities, unit `j` dropped in mask `i` if bit `j` of `i` is set.
fn all_masks(masks: &DropoutMasks, dim: usize, rate: f64) -> Vec<(Vec<f64>, f64)> {
    let units = masks.outgoing();
    let one = |i: usize| {
        let (mut mask, mut probability) = (vec![1.0; dim], 1.0);
        for (j, unit) in units.iter().enumerate() {
            let dropped = i >> j & 1 == 1;
            probability *= if dropped { rate } else { 1.0 - rate };
            mask[unit.clone()].fill(if dropped { 0.0 } else { 1.0 / (1.0 - rate) });
        }
        (mask, probability)
    };
    (0..1 << units.len()).map(one).collect()
}

fn times(theta: &[f64], mask: &[f64]) -> Vec<f64> {
    theta.iter().zip(mask).map(|(t, m)| t * m).collect()
}

/// Outputs are linear in what is masked: the mean over all masks is the output without one.
#[test]
fn the_expected_output_of_one_hidden_layer_is_the_unmasked_one() {
    let (net, theta) = network(&[2, 5, 3], Activation::Tanh, 1);
    let graph = Graph::new();
    let (t, x) = (graph.input(&[net.dim()]), graph.input(&[4, 2]));
    let program = graph.compile::<f64>(&[net.forward(t, x)]).unwrap();
    let inputs = normals(8, 3);
    let outputs = |theta: &[f64]| {
        let mut ws = program.workspace();
        program.run(&[theta, &inputs], &mut ws).unwrap();
        program.tensor(&ws, 0).to_vec()
    };
    let masks = DropoutMasks::new(net.layout(), net.dim(), 0.3).unwrap();
    assert_eq!(masks.units(), 5);
    let unmasked = outputs(&theta);
    let mut mean = [0.0; 12];
    let all = all_masks(&masks, net.dim(), 0.3);
    for (mask, probability) in &all {
        for (m, f) in mean.iter_mut().zip(outputs(&times(&theta, mask))) {
            *m += probability * f;
        }
    }
    for (mean, f) in mean.iter().zip(&unmasked) {
        assert!((mean - f).abs() < 1e-12, "{mean} {f}");
    }
    // a dropped unit is one that is not there: its incoming weights do not matter
    let (mask, _) = &all[1];
    let mut other = times(&theta, mask);
    other[0] += 7.0;
    assert_eq!(outputs(&other), outputs(&times(&theta, mask)));
}

/// Every combination of units, so that rates, independence of units, and that all weights of a unit fall together are tested at once.
#[test]
fn draws_are_masks_with_the_right_frequencies() {
    let (net, _) = network(&[2, 4, 3], Activation::Tanh, 1);
    let masks = DropoutMasks::new(net.layout(), net.dim(), 0.3).unwrap();
    let all = all_masks(&masks, net.dim(), 0.3);
    let theta: Vec<f64> = (1..=net.dim()).map(|i| i as f64).collect();
    let posterior = Dropout::new(theta.clone(), masks).unwrap();
    let draws = for_any_threads(|| posterior.sample(5_000, Streams::new(6)).unwrap());
    let mut counts = vec![0; 16];
    for draw in draws.chunks_exact(net.dim()) {
        let is = |(mask, _): &(Vec<f64>, f64)| times(&theta, mask) == draw;
        counts[all.iter().position(is).expect("a draw that is no mask")] += 1;
    }
    let expected = |rate: f64| -> Vec<f64> {
        let same = all_masks(posterior.masks(), net.dim(), rate);
        same.iter().map(|(_, p)| 5_000.0 * p).collect()
    };
    let right = goodness_of_fit(&counts, &expected(0.3)).unwrap().p_value;
    assert!(right > 1e-4, "{right}");
    let wrong = goodness_of_fit(&counts, &expected(0.34)).unwrap().p_value;
    assert!(wrong < 1e-8, "{wrong}");
}

fn problem() -> (Mlp, PosteriorDensity<f64>, Vec<f64>) {
    let (net, theta) = network(&[3, 6, 5, 2], Activation::Tanh, 1);
    let prior = IsotropicGaussian::new(0.5).unwrap();
    let (x, y) = (normals(20 * 3, 2), labels(20, 2, 3));
    let density = PosteriorDensity::new(&net, &Categorical, &prior, &x, &y).unwrap();
    (net, density, theta)
}

/// One step of plain descent of rate 1 is the gradient.
#[test]
fn a_step_goes_down_the_gradient_of_the_masked_energy() {
    let (net, density, theta) = problem();
    let source = AllRows::new(&density, 20).unwrap();
    let plain = SgdOptions {
        momentum: 0.0,
        nesterov: false,
    };
    let options = DropoutOptions {
        rate: 0.4,
        steps: 1,
        learning_rate: 1.0,
        schedule: Decay::Constant.into(),
        optimizer: OptimizerOptions::Sgd(plain),
        ..DropoutOptions::default()
    };
    let streams = Streams::new(8);
    let fit = fit_dropout(
        &source,
        net.layout(),
        theta.clone(),
        &options,
        streams,
        |_| (),
    )
    .unwrap();
    let masks = DropoutMasks::new(net.layout(), net.dim(), 0.4).unwrap();
    let mut mask = vec![0.0; net.dim()];
    masks.draw(&mut streams.rng(Phase::DROPOUT, 0), &mut mask);
    let dropped = mask.iter().filter(|m| **m == 0.0).count();
    assert!(
        dropped > 0 && mask.iter().any(|&m| m > 1.5),
        "both kinds are there"
    );
    let mut ws = density.workspace();
    let mut energy = |theta: &[f64]| -density.log_density(&times(theta, &mask), &mut ws).unwrap();
    for i in 0..net.dim() {
        let mut at = |shift: f64| {
            let mut moved = theta.clone();
            moved[i] += shift;
            energy(&moved)
        };
        let slope = (at(1e-5) - at(-1e-5)) / 2e-5;
        let got = theta[i] - fit.posterior.mean()[i];
        // the energy is about 30: roundings of 30 * 2^-52 / 1e-5, and a third derivative times 1e-10
        assert!(
            (got - slope).abs() < 1e-7 * (1.0 + slope.abs()),
            "{i}: {got} {slope}"
        );
    }
    assert_eq!((fit.gradients, fit.history.len()), (1, 1));
}

#[test]
fn training_lowers_the_masked_energy() {
    let (net, density, theta) = problem();
    let source = AllRows::new(&density, 20).unwrap();
    let options = DropoutOptions {
        steps: 600,
        learning_rate: 0.01,
        clip_norm: Some(5.0),
        ..DropoutOptions::default()
    };
    let fit = |seed| {
        let streams = Streams::new(seed);
        fit_dropout(
            &source,
            net.layout(),
            theta.clone(),
            &options,
            streams,
            |_| (),
        )
        .unwrap()
    };
    let report = fit(1);
    assert!(
        report.history[9] < report.history[0] - 1.0,
        "{:?}",
        report.history
    );
    assert!(report.clipped > 0 && report.clipped < 600);
    // without dropout it is the MAP fit, lower still
    let none = DropoutOptions {
        rate: 0.0,
        ..options.clone()
    };
    let streams = Streams::new(1);
    let plain = fit_dropout(&source, net.layout(), theta.clone(), &none, streams, |_| ()).unwrap();
    assert!(plain.history[9] < report.history[9]);
    let draws = plain.posterior.sample(3, streams).unwrap();
    assert_eq!(draws, plain.posterior.mean().repeat(3));
}

#[test]
fn linear_units_are_dropped_and_channels_are_not() {
    // two channels of 3 x 3 behind the convolution: 18 numbers are flattened
    let spec: SequentialSpec = "conv:2x2,relu,flatten,linear:5,tanh".parse().unwrap();
    let net = spec.build([1, 4, 4], 3).unwrap();
    let masks = DropoutMasks::new(net.layout(), net.dim() + 2, 0.5).unwrap();
    assert_eq!(masks.units(), 18 + 5);
    let mut mask = vec![0.0; net.dim() + 2];
    masks.draw(&mut Streams::new(1).rng(Phase::USER, 0), &mut mask);
    for tensor in net.layout().tensors() {
        let untouched = mask[tensor.range.clone()].iter().all(|&m| m == 1.0);
        assert_eq!(untouched, tensor.shape.len() != 2, "{}", tensor.name);
    }
    // a likelihood's parameters stand behind the network's
    assert_eq!(mask[net.dim()..], [1.0, 1.0]);
}

#[test]
fn what_cannot_be_dropped_is_refused() {
    let single = Mlp::new(&[3, 2], Activation::Tanh).unwrap();
    let error = DropoutMasks::new(single.layout(), single.dim(), 0.1).unwrap_err();
    assert!(matches!(
        error,
        Error::Config {
            field: "dropout",
            ..
        }
    ));
    let (net, density, theta) = problem();
    let source = AllRows::new(&density, 20).unwrap();
    let fit = |theta: Vec<f64>, change: fn(&mut DropoutOptions)| {
        let mut options = DropoutOptions::default();
        change(&mut options);
        fit_dropout(
            &source,
            net.layout(),
            theta,
            &options,
            Streams::new(0),
            |_| (),
        )
        .unwrap_err()
    };
    for (field, error) in [
        ("rate", fit(theta.clone(), |o| o.rate = 1.0)),
        ("steps", fit(theta.clone(), |o| o.steps = 0)),
        (
            "learning_rate",
            fit(theta.clone(), |o| o.learning_rate = 0.0),
        ),
        ("clip_norm", fit(theta.clone(), |o| o.clip_norm = Some(0.0))),
    ] {
        assert!(
            matches!(error, Error::Config { field: f, .. } if f == field),
            "{error}"
        );
    }
    assert!(matches!(fit(vec![0.0; 2], |_| ()), Error::Shape { .. }));
    assert!(matches!(
        fit(vec![f64::NAN; net.dim()], |_| ()),
        Error::NonFinite { .. }
    ));
    assert!(DropoutMasks::new(net.layout(), 3, 0.1).is_err());
}
