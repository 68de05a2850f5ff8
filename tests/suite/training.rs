//! Training by minibatches, against closed forms; every part must do what its documentation says.

use crate::common::normals;
use fiberwalk::optim::{
    AdamWOptions, Decay, MinibatchProgress, MinibatchReport, Schedule, SgdOptions,
    fit_minibatch_with,
};
use fiberwalk::{
    Activation, Error, Gaussian, IsotropicGaussian, LogDensity, Minibatch, MinibatchOptions, Mlp,
    Optimizer, OptimizerOptions, Result, Streams, fit_minibatch,
};

const NOISE: f64 = 0.5;
const ALPHA: f64 = 40.0;

/// Linear regression: rows `(x, 1)` of four numbers. The targets come from weights that are large
/// for the prior.
fn linear(n: usize, seed: u64) -> (Vec<f64>, Vec<f64>) {
    let (x, e) = (normals(n * 3, seed), normals(n, seed + 1));
    let mean = |r: &[f64]| 1.0 + 2.0 * r[0] - r[1] + 0.5 * r[2];
    let y = x
        .chunks(3)
        .zip(&e)
        .map(|(r, e)| mean(r) + NOISE * e)
        .collect();
    (x, y)
}

fn linear_density(x: &[f64], y: &[f64], alpha: f64) -> Minibatch<f64> {
    let net = Mlp::new(&[3, 1], Activation::Tanh).unwrap();
    let (noise, prior) = (
        Gaussian::new(NOISE).unwrap(),
        IsotropicGaussian::new(alpha).unwrap(),
    );
    Minibatch::with_shard_rows(&net, &noise, &prior, x, y, 8).unwrap()
}

/// `A = X^T X / noise^2 + alpha I`, and the solution of `A theta = X^T y / noise^2` by elimination.
fn ridge(x: &[f64], y: &[f64]) -> ([[f64; 4]; 4], [f64; 4]) {
    let (mut a, mut b) = ([[0.0; 4]; 4], [0.0; 4]);
    for (r, y) in x.chunks(3).zip(y) {
        let row = [r[0], r[1], r[2], 1.0];
        for i in 0..4 {
            b[i] += row[i] * y / NOISE.powi(2);
            for j in 0..4 {
                a[i][j] += row[i] * row[j] / NOISE.powi(2);
            }
        }
    }
    for (i, row) in a.iter_mut().enumerate() {
        row[i] += ALPHA;
    }
    let (mut u, mut theta) = (a, b);
    for p in 0..4 {
        let (pivot, value) = (u[p], theta[p]);
        for i in (0..4).filter(|&i| i != p) {
            let f = u[i][p] / pivot[p];
            (0..4).for_each(|j| u[i][j] -= f * pivot[j]);
            theta[i] -= f * value;
        }
    }
    (0..4).for_each(|i| theta[i] /= u[i][i]);
    (a, theta)
}

/// Distance in posterior standard deviations: `sqrt(e^T A e)`.
fn distance(a: &[[f64; 4]; 4], theta: &[f64], solution: &[f64; 4]) -> f64 {
    let e: Vec<f64> = theta.iter().zip(solution).map(|(a, b)| a - b).collect();
    let terms = (0..4).flat_map(|i| (0..4).map(move |j| (i, j)));
    terms
        .map(|(i, j)| e[i] * a[i][j] * e[j])
        .sum::<f64>()
        .sqrt()
}

fn quiet(_: &MinibatchProgress) {}

fn whole_data(options: MinibatchOptions) -> MinibatchOptions {
    MinibatchOptions {
        validation_fraction: 0.0,
        ..options
    }
}

#[test]
fn linear_regression_reaches_the_ridge_solution() {
    let (x, y) = linear(210, 1);
    let (a, solution) = ridge(&x, &y);
    let density = linear_density(&x, &y, ALPHA);
    let sgd = |nesterov| {
        OptimizerOptions::Sgd(SgdOptions {
            momentum: 0.9,
            nesterov,
        })
    };
    let undecayed = AdamWOptions {
        weight_decay: 0.0,
        ..AdamWOptions::default()
    };
    for (optimizer, learning_rate) in [
        (sgd(false), 5e-5),
        (sgd(true), 5e-5),
        (OptimizerOptions::default(), 0.02),
        (OptimizerOptions::AdamW(undecayed), 0.02),
    ] {
        let options = whole_data(MinibatchOptions {
            epochs: 400,
            batch_rows: 20,
            learning_rate,
            optimizer,
            ..MinibatchOptions::default()
        });
        let report = fit_minibatch(
            &density,
            None,
            vec![0.0; 4],
            &options,
            Streams::new(3),
            quiet,
        )
        .unwrap();
        let away = distance(&a, &report.theta, &solution);
        assert!(away < 0.1, "{optimizer:?}: {away} standard deviations");
        assert_eq!(report.gradients, 400 * 11);
    }
    // the measure detects a prior that is a quarter too strong, so it would detect one that is
    // scaled with the batches
    let options = whole_data(MinibatchOptions {
        epochs: 400,
        batch_rows: 20,
        learning_rate: 0.02,
        ..MinibatchOptions::default()
    });
    let other = linear_density(&x, &y, 1.25 * ALPHA);
    let report = fit_minibatch(&other, None, vec![0.0; 4], &options, Streams::new(3), quiet);
    assert!(distance(&a, &report.unwrap().theta, &solution) > 0.5);
}

/// Records the gradients that it is given, and stays where it is.
#[derive(Default)]
struct Recorder {
    rates: Vec<f64>,
    grads: Vec<Vec<f64>>,
}

impl Optimizer<f64> for Recorder {
    fn step(&mut self, learning_rate: f64, grad: &[f64], _: &mut [f64]) -> Result<()> {
        self.rates.push(learning_rate);
        self.grads.push(grad.to_vec());
        Ok(())
    }
}

fn record(options: &MinibatchOptions, seed: u64) -> (Recorder, MinibatchReport<f64>, f64) {
    let (x, y) = linear(50, 5);
    let density = linear_density(&x, &y, ALPHA);
    let theta = vec![0.3, -0.2, 0.1, 0.7];
    let energy = -density
        .log_density(&theta, &mut density.workspace())
        .unwrap();
    let mut recorder = Recorder::default();
    let streams = Streams::new(seed);
    let report = fit_minibatch_with(
        &density,
        None,
        &mut recorder,
        theta,
        options,
        streams,
        quiet,
    );
    (recorder, report.unwrap(), energy)
}

#[test]
fn an_epoch_sees_every_row_once_in_an_order_of_its_own() {
    let options = whole_data(MinibatchOptions {
        epochs: 3,
        batch_rows: 8,
        ..MinibatchOptions::default()
    });
    let (recorder, report, energy) = record(&options, 1);
    // 6 batches of 8 and one of 2; at fixed parameters their weighted mean is the energy of all
    // rows, exactly
    assert_eq!((recorder.grads.len(), report.gradients), (21, 21));
    for epoch in &report.history {
        assert!((epoch.energy - energy).abs() < 1e-11 * energy.abs());
    }
    let epoch = |r: &Recorder, e: usize| r.grads[7 * e..7 * (e + 1)].to_vec();
    assert_ne!(epoch(&recorder, 0), epoch(&recorder, 1));
    assert_ne!(epoch(&recorder, 1), epoch(&recorder, 2));
    assert_eq!(record(&options, 1).0.grads, recorder.grads);
    assert_ne!(epoch(&record(&options, 2).0, 0), epoch(&recorder, 0));
}

#[test]
fn the_schedule_runs_over_all_steps() {
    let schedule = Schedule {
        warmup: 0.2,
        decay: Decay::Cosine,
    };
    let options = whole_data(MinibatchOptions {
        epochs: 3,
        batch_rows: 8,
        learning_rate: 0.5,
        schedule,
        ..MinibatchOptions::default()
    });
    let expected: Vec<f64> = (0..21).map(|s| 0.5 * schedule.factor(s, 21)).collect();
    assert_eq!(record(&options, 1).0.rates, expected);
}

#[test]
fn clipping_bounds_every_gradient_and_is_counted() {
    let options = |clip_norm| {
        whole_data(MinibatchOptions {
            epochs: 2,
            batch_rows: 8,
            clip_norm,
            ..MinibatchOptions::default()
        })
    };
    let norm = |g: &[f64]| g.iter().map(|g| g * g).sum::<f64>().sqrt();
    let (free, report, _) = record(&options(None), 1);
    assert_eq!(report.clipped, 0);
    let mut norms: Vec<f64> = free.grads.iter().map(|g| norm(g)).collect();
    norms.sort_by(f64::total_cmp);
    // a bound between the tenth and the eleventh of fourteen norms
    let bound = 0.5 * (norms[9] + norms[10]);
    let (clipped, report, _) = record(&options(Some(bound)), 1);
    assert_eq!(report.clipped, 4);
    for (after, before) in clipped.grads.iter().zip(&free.grads) {
        let shrink = (bound / norm(before)).min(1.0);
        assert!(norm(after) <= bound * (1.0 + 1e-15));
        for (a, b) in after.iter().zip(before) {
            assert!((a - b * shrink).abs() <= 1e-14 * bound);
        }
    }
}

#[test]
fn a_share_of_the_rows_is_held_out_and_not_trained_on() {
    let (x, y) = linear(50, 9);
    let density = linear_density(&x, &y, ALPHA);
    let options = MinibatchOptions {
        epochs: 2,
        validation_fraction: 0.3,
        ..MinibatchOptions::default()
    };
    let theta = vec![0.5; 4];
    let fit = |seed| {
        let mut still = Recorder::default();
        let theta = theta.clone();
        fit_minibatch_with(
            &density,
            None,
            &mut still,
            theta,
            &options,
            Streams::new(seed),
            quiet,
        )
        .unwrap()
    };
    let report = fit(1);
    assert_eq!((report.training_rows, report.validation_rows), (35, 15));
    // at fixed parameters, training and held-out likelihood add up to that of all rows: energy =
    // nll of the training rows + prior
    let mut ws = density.workspace();
    let nll = density.neg_log_likelihood(&theta, &mut ws).unwrap();
    let prior = -density.log_density(&theta, &mut ws).unwrap() - nll;
    let epoch = report.history[1];
    let sum = epoch.energy - prior + 15.0 * epoch.validation_nll.unwrap();
    assert!((sum - nll).abs() < 1e-11 * nll, "{sum} {nll}");
    assert_eq!(fit(1).history, report.history);
    assert_ne!(fit(2).history[0].validation_nll, epoch.validation_nll);
}

#[test]
fn divergence_is_an_error_that_says_so() {
    let (x, y) = linear(60, 1);
    let density = linear_density(&x, &y, ALPHA);
    let options = whole_data(MinibatchOptions {
        epochs: 100,
        learning_rate: 1.0,
        optimizer: OptimizerOptions::Sgd(SgdOptions::default()),
        ..MinibatchOptions::default()
    });
    let error = fit_minibatch(
        &density,
        None,
        vec![0.0; 4],
        &options,
        Streams::new(1),
        quiet,
    )
    .unwrap_err();
    let Error::Diverged {
        step, gradients, ..
    } = error
    else {
        panic!("{error}");
    };
    assert!((1..100).contains(&step) && gradients == step + 1, "{error}");
    let said = error.to_string();
    assert!(said.contains(&format!("diverged at step {step} ({gradients} gradients)")));
    assert!(said.contains("smaller learning_rate"), "{said}");
}

type Change = fn(&mut MinibatchOptions);

#[test]
fn settings_and_inputs_that_do_not_fit_are_refused() {
    let (x, y) = linear(20, 1);
    let density = linear_density(&x, &y, ALPHA);
    let refused = |validation: Option<&Minibatch<f64>>, theta: usize, change: Change| {
        let mut options = MinibatchOptions::default();
        change(&mut options);
        fit_minibatch(
            &density,
            validation,
            vec![0.0; theta],
            &options,
            Streams::new(1),
            quiet,
        )
        .unwrap_err()
    };
    let fields: [(&str, Change); 9] = [
        ("epochs", |o| o.epochs = 0),
        ("batch_rows", |o| o.batch_rows = 0),
        ("patience", |o| o.patience = 0),
        ("learning_rate", |o| o.learning_rate = f64::NAN),
        ("clip_norm", |o| o.clip_norm = Some(-1.0)),
        ("validation_fraction", |o| o.validation_fraction = 1.0),
        ("validation_fraction", |o| o.validation_fraction = -0.1),
        ("warmup", |o| o.schedule.warmup = 2.0),
        ("momentum", |o| {
            o.optimizer = OptimizerOptions::Sgd(SgdOptions {
                momentum: 2.0,
                nesterov: false,
            });
        }),
    ];
    for (name, change) in fields {
        let error = refused(None, 4, change);
        assert!(
            matches!(error, Error::Config { field, .. } if field == name),
            "{error}"
        );
    }
    assert!(matches!(refused(None, 3, |_| ()), Error::Shape { .. }));
    // one row cannot be split, and a validation set of another network has other parameters
    let one = density.select(&[0]).unwrap();
    let split = fit_minibatch(
        &one,
        None,
        vec![0.0; 4],
        &MinibatchOptions::default(),
        Streams::new(1),
        quiet,
    );
    assert!(matches!(split, Err(Error::Data { .. })));
    let net = Mlp::new(&[3, 2, 1], Activation::Tanh).unwrap();
    let (noise, prior) = (
        Gaussian::new(1.0).unwrap(),
        IsotropicGaussian::new(1.0).unwrap(),
    );
    let other = Minibatch::new(&net, &noise, &prior, &x, &y).unwrap();
    assert!(refused(Some(&other), 4, |_| ()).to_string().contains("11"));
}
