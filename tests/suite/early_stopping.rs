//! Early stopping: which parameters are returned, and when training ends.
//!
//! Threads must change nothing.

use crate::common::{labels, network, normals};
use fiberwalk::LogDensity;
use fiberwalk::optim::{Decay, MinibatchProgress};
use fiberwalk::{
    Activation, Categorical, IsotropicGaussian, Minibatch, MinibatchOptions, Streams, fit_minibatch,
};

fn quiet(_: &MinibatchProgress) {}

/// A network that is large for the number of rows, so it overfits.
fn overfitting(n: usize, seed: u64) -> (Minibatch<f32>, Vec<f32>) {
    let (net, theta) = network(&[5, 30, 3], Activation::Tanh, 1);
    let prior = IsotropicGaussian::new(0.01).unwrap();
    // labels that follow the first feature, with a third of them drawn at random
    let (x, noise) = (normals(n * 5, seed), labels(n, 3, seed + 1));
    let y: Vec<f64> = x
        .chunks(5)
        .zip(&noise)
        .zip(labels(n, 3, seed + 2))
        .map(|((r, random), coin)| {
            if coin == 0.0 {
                *random
            } else {
                f64::from(u8::from(r[0] > 0.0))
            }
        })
        .collect();
    let density = Minibatch::new(&net, &Categorical, &prior, &x, &y).unwrap();
    (density, theta.iter().map(|&t| t as f32).collect())
}

fn stopping(patience: usize, epochs: usize) -> MinibatchOptions {
    MinibatchOptions {
        epochs,
        batch_rows: 16,
        learning_rate: 0.01,
        schedule: Decay::Constant.into(),
        patience,
        ..MinibatchOptions::default()
    }
}

#[test]
fn early_stopping_returns_the_best_epoch_and_stops_when_patience_ends() {
    let (density, theta) = overfitting(120, 3);
    let (validation, _) = overfitting(300, 50);
    let fit = |options: &MinibatchOptions, validation| {
        fit_minibatch(
            &density,
            Some(validation),
            theta.clone(),
            options,
            Streams::new(7),
            quiet,
        )
        .unwrap()
    };
    let report = fit(&stopping(6, 200), &validation);
    let losses: Vec<f64> = report
        .history
        .iter()
        .map(|e| e.validation_nll.unwrap())
        .collect();
    let lowest = losses.iter().copied().fold(f64::INFINITY, f64::min);
    let first = losses.iter().position(|&l| l == lowest).unwrap();
    assert_eq!(report.best_epoch, first + 1);
    assert!(
        report.best_epoch > 1,
        "the test means nothing if the first is best"
    );
    assert_eq!(losses.len(), report.best_epoch + 6);
    assert!(report.stopped_early);
    assert_eq!((report.training_rows, report.validation_rows), (120, 300));
    assert_eq!(report.gradients, losses.len() * 8);
    // the parameters are those of that epoch: the loss agrees, and a run that ends there has the
    // same bits
    let mut ws = validation.workspace();
    let nll = validation
        .neg_log_likelihood(&report.theta, &mut ws)
        .unwrap();
    assert_eq!(nll / 300.0, lowest);
    let short = fit(&stopping(6, report.best_epoch), &validation);
    assert_eq!(short.theta, report.theta);
    assert!(!short.stopped_early);
    // more patience runs longer, and the best loss gets no worse
    let patient = fit(&stopping(40, 200), &validation);
    assert!(patient.history.len() > losses.len());
    assert_eq!(patient.history[..losses.len()], report.history);
}

#[test]
fn without_validation_all_epochs_are_run_on_all_rows() {
    let (density, theta) = overfitting(100, 3);
    let options = MinibatchOptions {
        validation_fraction: 0.0,
        ..stopping(1, 5)
    };
    let report = fit_minibatch(&density, None, theta, &options, Streams::new(7), quiet).unwrap();
    assert_eq!((report.training_rows, report.validation_rows), (100, 0));
    assert_eq!((report.history.len(), report.best_epoch), (5, 5));
    assert!(report.history.iter().all(|e| e.validation_nll.is_none()) && !report.stopped_early);
}

#[test]
fn progress_tells_every_step_and_every_look() {
    let (density, theta) = overfitting(120, 3);
    let mut seen = Vec::new();
    let options = stopping(6, 2);
    let report = fit_minibatch(&density, None, theta, &options, Streams::new(7), |p| {
        seen.push(*p)
    })
    .unwrap();
    // 108 rows to train on: 7 steps and a check, twice
    let places: Vec<_> = seen.iter().map(|p| (p.epoch, p.step)).collect();
    let expected = |e| (1..=7).chain([7]).map(move |s| (e, 7 * (e - 1) + s));
    assert_eq!(places, expected(1).chain(expected(2)).collect::<Vec<_>>());
    assert!(seen.iter().all(|p| p.steps == 14));
    assert_eq!(seen[6].validation_nll, None);
    assert!(
        seen[7..15]
            .iter()
            .all(|p| p.validation_nll == report.history[0].validation_nll)
    );
    assert_eq!(seen[15].validation_nll, report.history[1].validation_nll);
}

#[test]
fn threads_change_no_bit_of_a_fit() {
    let (density, theta) = overfitting(300, 3);
    let options = MinibatchOptions {
        batch_rows: 100,
        clip_norm: Some(50.0),
        ..stopping(6, 5)
    };
    let fit = |threads| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        let fit = || {
            fit_minibatch(
                &density,
                None,
                theta.clone(),
                &options,
                Streams::new(7),
                quiet,
            )
        };
        let report = pool.install(fit).unwrap();
        let bits: Vec<u32> = report.theta.iter().map(|t| t.to_bits()).collect();
        (bits, report.history, report.clipped)
    };
    let one = fit(1);
    assert!(one.2 > 0 && one == fit(2) && one == fit(8));
}
