//! Mean-field variational inference on a linear model, where the optimum has a closed form.

use super::{for_any_threads, minibatch};
use crate::linear::{Linear, p_value};
use fiberwalk::baselines::{
    AllRows, MeanField, RandomBatches, VariationalOptions, VariationalReport, fit_variational,
};
use fiberwalk::diagnose::GaussianTarget;
use fiberwalk::linalg::Cholesky;
use fiberwalk::{Error, LogDensity, Posterior, Streams};

fn options() -> VariationalOptions {
    VariationalOptions {
        steps: 3_000,
        pairs: 8,
        ..VariationalOptions::default()
    }
}

/// The ELBO of `q = N(mean, diag(std^2))`, written out; the energy is quadratic.
fn elbo(linear: &Linear, mean: &[f64], std: &[f64]) -> f64 {
    let (p, a) = (linear.dim(), &linear.precision);
    let log_joint = linear
        .posterior
        .log_density(&linear.mean, &mut linear.posterior.workspace());
    let d = |i: usize| mean[i] - linear.mean[i];
    let mut energy = 0.0;
    for i in 0..p {
        let row: f64 = (0..p).map(|j| a[i * p + j] * d(j)).sum();
        energy += 0.5 * (row * d(i) + a[i * p + i] * std[i] * std[i]);
    }
    let log_two_pi_e = (2.0 * std::f64::consts::PI).ln() + 1.0;
    let entropy: f64 = std.iter().map(|s| s.ln() + 0.5 * log_two_pi_e).sum();
    log_joint.unwrap() - energy + entropy
}

fn at_the_optimum(linear: &Linear, report: &VariationalReport<f64>, tolerance: f64) {
    let (p, a) = (linear.dim(), &linear.precision);
    let q = &report.posterior;
    let best: Vec<f64> = (0..p).map(|i| a[i * p + i].sqrt().recip()).collect();
    for (i, best) in best.iter().enumerate() {
        // in units of the posterior's width
        let (off, std) = ((q.mean()[i] - linear.mean[i]) / best, q.std()[i] / best);
        assert!(off.abs() < tolerance, "mean {i}: {off}");
        assert!((std - 1.0).abs() < tolerance, "std {i}: {std}");
    }
    // log evidence = log joint at the mean + P/2 log 2 pi - log det A / 2; the ELBO is less by the
    // divergence of q from the posterior
    let log_joint = linear
        .posterior
        .log_density(&linear.mean, &mut linear.posterior.workspace());
    let log_det = Cholesky::new(a, p).unwrap().log_det();
    let half_log_two_pi = 0.5 * (2.0 * std::f64::consts::PI).ln();
    let evidence = log_joint.unwrap() + p as f64 * half_log_two_pi - 0.5 * log_det;
    let gap = 0.5 * ((0..p).map(|i| a[i * p + i].ln()).sum::<f64>() - log_det);
    assert!(
        gap > 0.1,
        "{gap}: a problem on which mean field is exact tells nothing"
    );
    let exact = elbo(linear, q.mean(), q.std());
    // the ELBO is quadratic at its maximum: it loses half of the mean's squared relative error and
    // twice the std's
    let loss = 2.5 * p as f64 * tolerance * tolerance;
    assert!(
        (evidence - gap - exact).abs() < loss,
        "{evidence} {gap} {exact}"
    );
    assert!(
        (report.elbo - exact).abs() < 4.0 * report.elbo_error,
        "{} {exact}",
        report.elbo
    );
    assert!(report.elbo_error > 0.0 && report.elbo_error < 0.5);
}

/// The gradient of log std has a variance of about 3 for a pair, and a derivative of 2. Adam with
/// rate lr keeps a variance of lr sd / 4 in log std, with sd the noise of a step, and forgets at
/// the rate 2 lr / sd. Along the cosine of 3,000 steps from 0.01, the last forgetting begins about
/// 600 steps before the end, where lr is 1e-3. With 32 pairs, sd = 0.3, and that leaves a standard
/// deviation of 0.9 %. Four of these are allowed.
#[test]
fn the_optimum_has_the_mean_and_the_inverse_diagonal_of_the_precision() {
    let linear = Linear::full_rank();
    let source = AllRows::new(&linear.posterior, linear.posterior.rows()).unwrap();
    let start = vec![0.1; linear.dim()];
    let options = VariationalOptions {
        pairs: 32,
        ..options()
    };
    let mut done = 0;
    let report = fit_variational(&source, start, &options, Streams::new(1), |step| {
        done = step
    });
    let report = report.unwrap();
    at_the_optimum(&linear, &report, 0.035);
    assert_eq!(done, 3_000);
    assert_eq!(report.gradients, 2 * (3_000 * 32 + 64));
    assert_eq!(report.history.len(), 10);
    assert!(report.history[0] < report.history[9]);
}

#[test]
fn batches_lead_to_the_same_optimum() {
    let linear = Linear::full_rank();
    let density = minibatch(&linear);
    let source = RandomBatches::new(&density, 7).unwrap();
    let start = linear.mean.clone();
    let report = fit_variational(&source, start, &options(), Streams::new(1), |_| ()).unwrap();
    // by the same arithmetic, batches of half the rows leave 2 % for the widths, and 2.4 % for the
    // means (sd of a gradient 0.36 in units of the posterior's width, of which the rate is a tenth
    // at the start). Four of these are allowed. Gradients of the wrong scale would make the widths
    // wrong by 40 %
    at_the_optimum(&linear, &report, 0.1);
}

#[test]
fn draws_and_density_are_those_of_its_gaussian() {
    let q = MeanField::new(vec![1.0, -2.0, 0.0], vec![0.1, 1.0, 3.0]).unwrap();
    let draws = for_any_threads(|| q.sample(3_000, Streams::new(4)).unwrap());
    let covariance = |last: f64| [0.01, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, last];
    let test = |last: f64| {
        p_value(
            &GaussianTarget::new(q.mean(), &covariance(last)).unwrap(),
            &draws,
        )
    };
    assert!(test(9.0) > 1e-4 && test(3.0) < 1e-8);
    // by hand: (0.1, 1, 2) deviations from the mean, log of 0.1 * 1 * 3
    let theta = [1.01, -1.0, 6.0];
    let expected =
        -0.5 * (0.01 + 1.0 + 4.0) - 0.3f64.ln() - 1.5 * (2.0 * std::f64::consts::PI).ln();
    assert!((q.log_density(&theta).unwrap() - expected).abs() < 1e-12);
}

#[test]
fn the_same_fit_for_any_number_of_threads() {
    let linear = Linear::few_rows();
    let density = minibatch(&linear);
    let source = RandomBatches::new(&density, 2).unwrap();
    let options = VariationalOptions {
        steps: 20,
        pairs: 3,
        ..options()
    };
    for_any_threads(|| {
        let start = vec![0.2; linear.dim()];
        let report = fit_variational(&source, start, &options, Streams::new(3), |_| ()).unwrap();
        let q = report.posterior;
        [q.mean(), q.std(), &[report.elbo, report.elbo_error]].concat()
    });
}

#[test]
fn what_cannot_be_fitted_is_refused() {
    let linear = Linear::full_rank();
    let source = AllRows::new(&linear.posterior, 14).unwrap();
    let fit = |theta: Vec<f64>, change: fn(&mut VariationalOptions)| {
        let mut options = options();
        change(&mut options);
        fit_variational(&source, theta, &options, Streams::new(1), |_| ()).unwrap_err()
    };
    let start = || linear.mean.clone();
    for (field, error) in [
        ("steps", fit(start(), |o| o.steps = 0)),
        ("pairs", fit(start(), |o| o.pairs = 0)),
        ("elbo_pairs", fit(start(), |o| o.elbo_pairs = 1)),
        ("learning_rate", fit(start(), |o| o.learning_rate = 0.0)),
        ("initial_std", fit(start(), |o| o.initial_std = -1.0)),
    ] {
        assert!(
            matches!(error, Error::Config { field: f, .. } if f == field),
            "{error}"
        );
    }
    assert!(matches!(fit(vec![0.0], |_| ()), Error::Shape { .. }));
    let far = vec![1e200; linear.dim()];
    // two gradients for each pair of the first step
    let mut pairs = 0;
    let error = fit(far, |o| o.pairs = 3);
    if let Error::Diverged {
        step: 0, gradients, ..
    } = error
    {
        pairs = gradients / 2;
    }
    assert_eq!(pairs, 3, "{error}");
    assert!(
        MeanField::new(vec![0.0], vec![0.0]).is_err()
            && MeanField::<f64>::new(vec![], vec![]).is_err()
    );
}
