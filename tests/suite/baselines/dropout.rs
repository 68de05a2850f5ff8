//! Monte Carlo dropout.

use super::for_any_threads;
use crate::common::{labels, network, normals};
use fiberwalk::autodiff::Graph;
use fiberwalk::baselines::{
    AllRows, Dropout, DropoutMasks, DropoutOptions, DropoutReport, RandomBatches, fit_dropout,
};
use fiberwalk::diagnose::goodness_of_fit;
use fiberwalk::nn::SequentialSpec;
use fiberwalk::optim::{Decay, OptimizerOptions, SgdOptions};
use fiberwalk::{
    Activation, Categorical, Error, Gaussian, IsotropicGaussian, LogDensity, Minibatch, Mlp,
    Network, Phase, Posterior, PosteriorDensity, Streams,
};

/// All masks of these units with their probabilities, unit `j` dropped in mask `i` if bit `j` of
/// `i` is set.
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

/// Outputs are linear in what is masked, so the mean over all masks is the output without a mask.
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
        program.tensor(&ws, 0).unwrap().to_vec()
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
    // a dropped unit has no effect: its incoming weights do not matter
    let (mask, _) = &all[1];
    let mut other = times(&theta, mask);
    other[0] += 7.0;
    assert_eq!(outputs(&other), outputs(&times(&theta, mask)));
}

/// Every combination of units. This tests at once the rates, the independence of units, and that
/// all weights of a unit are dropped together.
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

/// One step of plain descent with rate 1 is the gradient.
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
        // the energy is about 30: rounding errors of 30 * 2^-52 / 1e-5, and a third derivative
        // times 1e-10
        assert!(
            (got - slope).abs() < 1e-7 * (1.0 + slope.abs()),
            "{i}: {got} {slope}"
        );
    }
    assert_eq!((fit.gradients, fit.history.len()), (1, 1));
}

/// Plain descent on a prior of precision 2. The data carry no information, because their noise is
/// 1e6, so this shows the effect of masks on the prior alone.
fn of_the_prior(steps: usize, learning_rate: f64, seed: u64) -> DropoutReport<f64> {
    let (net, theta) = network(&[3, 6, 5, 2], Activation::Tanh, 1);
    let prior = IsotropicGaussian::new(2.0).unwrap();
    let (x, y) = (normals(20 * 3, 2), normals(20 * 2, 3));
    let likelihood = Gaussian::new(1e6).unwrap();
    let density = Minibatch::new(&net, &likelihood, &prior, &x, &y).unwrap();
    // every batch of four rows has the whole prior
    let source = RandomBatches::new(&density, 4).unwrap();
    let plain = SgdOptions {
        momentum: 0.0,
        nesterov: false,
    };
    let options = DropoutOptions {
        rate: RATE,
        steps,
        learning_rate,
        schedule: Decay::Constant.into(),
        optimizer: OptimizerOptions::Sgd(plain),
        clip_norm: None,
    };
    let streams = Streams::new(seed);
    fit_dropout(&source, net.layout(), theta, &options, streams, |_| ()).unwrap()
}

const RATE: f64 = 0.3;

/// The outgoing weights of hidden units, and whether a parameter is one of them.
fn outgoing(report: &DropoutReport<f64>) -> (Vec<std::ops::Range<usize>>, Vec<bool>) {
    let units = report.posterior.masks().outgoing().to_vec();
    let mut is = vec![false; report.posterior.dim()];
    units.iter().for_each(|u| is[u.clone()].fill(true));
    (units, is)
}

/// A step is `M <- M (1 - lr alpha m^2)`. A weight that is kept in `k` of `T` steps ends at
/// `M (1 - lr alpha / (1-p)^2)^k`. All weights of a unit have the same `k`, which is binomial. All
/// other parameters end at `M (1 - lr alpha)^T`.
#[test]
fn the_prior_decays_what_is_kept() {
    let (_, start) = network(&[3, 6, 5, 2], Activation::Tanh, 1);
    let (steps, decay) = (40, 0.01 * 2.0);
    let kept_decay = 1.0 - decay / (1.0 - RATE).powi(2);
    let (mut kept, mut all) = (0.0, 0.0);
    for seed in 0..10 {
        let report = of_the_prior(steps, 0.01, seed);
        let (units, is_outgoing) = outgoing(&report);
        assert_eq!(units.len(), 11);
        let ratio = |i: usize| report.posterior.mean()[i] / start[i];
        for i in (0..start.len()).filter(|&i| start[i] != 0.0 && !is_outgoing[i]) {
            // the likelihood's share: gradients of 1e-11 times 40 steps of 0.01
            let expected = (1.0 - decay).powi(steps as i32);
            assert!(
                (ratio(i) / expected - 1.0).abs() < 1e-9,
                "{i}: {}",
                ratio(i)
            );
        }
        for unit in units {
            let times = |i: usize| ratio(i).ln() / kept_decay.ln();
            let count = times(unit.start).round();
            assert!(unit.clone().all(|i| (times(i) - count).abs() < 1e-7));
            kept += count;
            all += steps as f64;
        }
    }
    let deviation = (kept - (1.0 - RATE) * all) / (all * RATE * (1.0 - RATE)).sqrt();
    assert!(deviation.abs() < 4.0, "{kept} of {all}");
}

/// The mean of the prior's energy over masks is `alpha |M|^2 / (2 (1-p))` for masked weights and
/// `alpha |M|^2 / 2` for the rest. With `s_j` the sum of squares of a unit and
/// `Var m^2 = p / (1-p)^3`, the energy of a step has a variance of
/// `alpha^2 / 4 sum s_j^2 p / (1-p)^3`.
#[test]
fn the_mean_of_the_prior_over_masks_is_the_closed_form() {
    let steps = 4_000;
    // a rate so small that nothing moves
    let report = of_the_prior(steps, 1e-300, 1);
    let theta = report.posterior.mean();
    let (units, is_outgoing) = outgoing(&report);
    let squares = |of: bool| -> f64 {
        let all = theta.iter().zip(&is_outgoing);
        all.filter(|(_, is)| **is == of).map(|(t, _)| t * t).sum()
    };
    let of_unit = |u: &std::ops::Range<usize>| theta[u.clone()].iter().map(|t| t * t).sum::<f64>();
    let spread = RATE / (1.0 - RATE).powi(3);
    let variance: f64 = units.iter().map(|u| of_unit(u).powi(2) * spread).sum();
    let error = (variance / steps as f64).sqrt();
    // constants of the data, 20 rows of 2 numbers with a noise of 1e6, and of the prior
    let log_two_pi = (2.0 * std::f64::consts::PI).ln();
    let of_data = 40.0 * (1e6f64.ln() + 0.5 * log_two_pi);
    let of_prior = theta.len() as f64 * 0.5 * (log_two_pi - 2.0f64.ln());
    let mean = report.history.iter().sum::<f64>() / report.history.len() as f64;
    let deviation = |power| {
        let expected = squares(false) + squares(true) / (1.0 - RATE).powi(power);
        (mean - of_data - of_prior - expected) / error
    };
    assert!(deviation(1).abs() < 4.0, "{}", deviation(1));
    // the prior taken at M, or at M / (1-p), would be far off
    assert!(deviation(0) > 20.0 && deviation(2) < -20.0);
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
    // without dropout it is the MAP fit, whose energy is lower
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
    // a likelihood's parameters come after the network's
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
        Error::Diverged {
            step: 0,
            gradients: 1,
            ..
        }
    ));
    assert!(DropoutMasks::new(net.layout(), 3, 0.1).is_err());
}
