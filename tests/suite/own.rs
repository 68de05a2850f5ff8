//! Models with parts from the user, from the fit to the file and back.

use fiberwalk::artifact::{AnyModel, FittedModel, Predictions, RowPrediction};
use fiberwalk::autodiff::Var;
use fiberwalk::nn::Mapped;
use fiberwalk::pipeline::{FitOptions, Method, PriorChoice, fit_model};
use fiberwalk::{
    Activation, Categorical, Column, Error, Gaussian, IsotropicGaussian, Law, Likelihood, Mlp,
    Model, Predictive, Result, Streams, StudentT,
};

use crate::common::normals;

/// A count and its exposure: `count ~ Poisson(exposure e^output)`.
struct Claims;

impl Likelihood for Claims {
    fn target_dim(&self, _: usize) -> usize {
        2
    }
    fn encode(&self, targets: &[f64]) -> Vec<f64> {
        let row = |t: &[f64]| [t[0], t[1].ln(), fiberwalk::special::ln_factorial(t[0])];
        targets.chunks_exact(2).flat_map(row).collect()
    }
    fn neg_log_likelihood<'g>(&self, outputs: Var<'g>, y: Var<'g>, _: Var<'g>) -> Var<'g> {
        let log_rate = outputs + y.slice(1, 1..2);
        (log_rate.exp() - y.slice(1, 0..1) * log_rate + y.slice(1, 2..3)).sum()
    }
    fn predictive(&self, outputs: &[f64], _: &[f64]) -> Predictive {
        let rate = outputs[0].exp();
        Predictive::Law(Law::Poisson { rate })
    }
    fn check(&self, _: usize, targets: &[f64]) -> Result<()> {
        let fits = targets.chunks_exact(2).all(|t| t[0] >= 0.0 && t[1] > 0.0);
        fits.then_some(())
            .ok_or_else(|| Error::data("not counts with exposures"))
    }
}

fn quiet(_: fiberwalk::pipeline::Stage, _: usize, _: usize) {}

/// A method whose walk, if it has one, takes a number of steps.
fn walking(method: Method, steps: usize) -> FitOptions {
    let mut options = FitOptions::of(method);
    if let Some(walk) = options.method.walk_mut() {
        walk.steps = Some(steps);
    }
    options
}

/// Counts whose rate is `e^(0.5 + x)` for an exposure of 1.
fn claims() -> (Vec<f64>, Vec<f64>) {
    let x: Vec<f64> = (0..80).map(|i| f64::from(i) / 40.0 - 1.0).collect();
    let row = |(i, x): (usize, &f64)| {
        let exposure = [0.5, 4.0, 20.0][i % 3];
        [(exposure * (0.5 + x).exp()).round(), exposure]
    };
    let y = x.iter().enumerate().flat_map(row).collect();
    (x, y)
}

fn claims_model(width: usize) -> Model {
    let network = Mlp::new(&[1, width, 1], Activation::Tanh).unwrap();
    Model::with_head(
        "claims",
        network,
        Claims,
        IsotropicGaussian::new(1.0).unwrap(),
    )
}

/// Every method that takes any likelihood sees the exposures. Without them, rates would be twice as
/// high, and the noise would not be that of the counts.
#[test]
fn all_methods_fit_counts_with_exposures() {
    let (x, y) = claims();
    let model = claims_model(6);
    for method in [
        Method::Map,
        Method::Walk,
        Method::Atlas,
        Method::Flow,
        // not `laplace`: its sampled weights are far off where a network is small
        Method::LaplaceGlm,
        Method::Ensemble,
        Method::Vi,
        Method::Nuts,
    ] {
        let options = walking(method, 200);
        let fitted = fit_model::<f64>(&model, &x, &y, &options, &quiet).unwrap();
        let predictor = fitted.model.predictor(200, 0).unwrap();
        for x in [-0.5, 0.5f64] {
            let want = (0.5 + x).exp();
            let RowPrediction::Real { mean, std, .. } = predictor.row(&[x]).unwrap() else {
                panic!("counts")
            };
            assert!(
                (mean / want - 1.0).abs() < 0.15,
                "{method}: {mean} for {want}"
            );
            assert!(
                std * std > 0.95 * mean,
                "{method}: a count has the variance of its mean"
            );
        }
        let logs = predictor.log_densities_of(&x, &y).unwrap();
        // the log likelihood of the true rates, less a few effective parameters
        let exact: f64 = x
            .iter()
            .zip(y.chunks_exact(2))
            .map(|(x, y)| {
                let rate = y[1] * (0.5 + x).exp();
                Law::Poisson { rate }.log_density(y[0])
            })
            .sum();
        let total: f64 = logs.iter().sum();
        assert!((total - exact).abs() < 6.0, "{method}: {total} for {exact}");
        if let Some(loo) = fitted.loo {
            assert!(
                loo.elpd_loo < total && loo.elpd_loo > exact - 12.0,
                "{method}: {loo:?}"
            );
        }
    }
}

/// A linear model has a closed form to compare with.
#[test]
fn a_linear_model_is_exact() {
    let (n, noise, alpha) = (40, 0.5, 2.0);
    let (x, e) = (normals(2 * n, 1), normals(n, 2));
    let y: Vec<f64> = x
        .chunks_exact(2)
        .zip(&e)
        .map(|(x, e)| x[0] - 0.3 * x[1] + e)
        .collect();
    let network = Mlp::new(&[2, 1], Activation::Tanh).unwrap();
    let (likelihood, prior) = (
        Gaussian::new(noise).unwrap(),
        IsotropicGaussian::new(alpha).unwrap(),
    );
    let model = Model::with_head("line", network, likelihood, prior);
    let fitted = fit_model::<f64>(&model, &x, &y, &FitOptions::of(Method::Atlas), &quiet).unwrap();
    // posterior precision and mean over (w0, w1, b)
    let features: Vec<[f64; 3]> = x.chunks_exact(2).map(|x| [x[0], x[1], 1.0]).collect();
    let mut precision = vec![0.0; 9];
    let mut moment = [0.0; 3];
    for (f, y) in features.iter().zip(&y) {
        for i in 0..3 {
            moment[i] += f[i] * y / (noise * noise);
            for j in 0..3 {
                precision[3 * i + j] += f[i] * f[j] / (noise * noise);
            }
        }
    }
    (0..3).for_each(|i| precision[4 * i] += alpha);
    let factor = fiberwalk::linalg::Cholesky::new(&precision, 3).unwrap();
    let mut mean = moment;
    factor.solve(&mut mean);
    let at = [0.7, -1.2, 1.0];
    let want: f64 = at.iter().zip(&mean).map(|(a, m)| a * m).sum();
    let mut root = at;
    factor.solve_lower(&mut root);
    let variance: f64 = root.iter().map(|r| r * r).sum();
    let predictor = fitted.model.predictor(20_000, 1).unwrap();
    let RowPrediction::Real {
        mean,
        std,
        epistemic_std,
        ..
    } = predictor.row(&at[..2]).unwrap()
    else {
        panic!("a regression")
    };
    // 20,000 draws: 5 standard errors of a mean, and of a standard deviation
    let error = 5.0 * variance.sqrt() / 20_000f64.sqrt();
    assert!((mean - want).abs() < error, "{mean} for {want}");
    assert!((epistemic_std - variance.sqrt()).abs() < error);
    assert!((std - (variance + noise * noise).sqrt()).abs() < error);
}

#[test]
fn a_file_needs_its_parts_and_says_which() {
    let (x, y) = claims();
    let dir = tempfile::tempdir().unwrap();
    for method in [Method::Walk, Method::Atlas, Method::Flow] {
        let options = walking(method, 40);
        let model = claims_model(4);
        let fitted = fit_model::<f32>(&model, &x, &y, &options, &quiet).unwrap();
        let path = dir.path().join(method.name());
        fitted.model.save(&path).unwrap();
        let message = AnyModel::load(&path).unwrap_err().to_string();
        assert!(
            message.contains("claims") && message.contains("load_with"),
            "{message}"
        );
        let other = Model::new(
            "other",
            Mlp::new(&[1, 4, 1], Activation::Tanh).unwrap(),
            Claims,
            IsotropicGaussian::new(1.0).unwrap(),
        );
        let message = AnyModel::load_with(&path, &other).unwrap_err().to_string();
        assert!(message.contains("'claims'"), "{message}");
        let message = AnyModel::load_with(&path, &claims_model(5))
            .unwrap_err()
            .to_string();
        assert!(
            message.contains("13 parameters") && message.contains("16 parameters"),
            "{message}"
        );
        let loaded = FittedModel::<f32>::load_with(&path, &model).unwrap();
        assert_eq!(
            loaded.predictor(30, 4).unwrap().rows(&x).unwrap(),
            fitted.model.predictor(30, 4).unwrap().rows(&x).unwrap()
        );
        assert_eq!(loaded.to_bytes().unwrap(), std::fs::read(&path).unwrap());
    }
}

/// Parameters of a likelihood are sampled along with the network's, and files keep them.
#[test]
fn likelihoods_with_parameters_and_networks_without_a_head() {
    fn twice(x: Var<'_>) -> Var<'_> {
        x * 2.0
    }
    let (x, e) = (normals(120, 3), normals(480, 4));
    let y: Vec<f64> = x
        .iter()
        .zip(e.chunks_exact(4))
        .map(|(x, e)| {
            // Student-t with three degrees of freedom
            let chi = (e[1] * e[1] + e[2] * e[2] + e[3] * e[3]) / 3.0;
            x + 0.3 * e[0] / chi.sqrt()
        })
        .collect();
    let network = Mapped::new(1, twice, Mlp::new(&[1, 4, 1], Activation::Tanh).unwrap());
    let prior = IsotropicGaussian::new(1.0).unwrap();
    let model = Model::new("tails", network, StudentT::default(), prior);
    assert_eq!((model.network().dim(), model.own_params()), (13, 2));
    let options = walking(Method::Walk, 400);
    let fitted = fit_model::<f64>(&model, &x, &y, &options, &quiet).unwrap();
    assert!(fitted.loo.is_some());
    let draws = fitted.model.draws(100, Streams::new(0)).unwrap();
    assert_eq!((draws.theta.len(), draws.params.len()), (100 * 13, 100 * 2));
    let mean = draws
        .params
        .chunks_exact(2)
        .map(|p| p[0].exp())
        .sum::<f64>()
        / 100.0;
    assert!((mean / 0.3 - 1.0).abs() < 0.35, "noise {mean}");
    let bytes = fitted.model.to_bytes().unwrap();
    let path = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(path.path(), &bytes).unwrap();
    let loaded = AnyModel::load_with(path.path(), &model).unwrap();
    let rows = |p: fiberwalk::artifact::Predictor| p.rows(&[0.1, 2.0]).unwrap();
    assert_eq!(
        rows(loaded.predictor(50, 0).unwrap()),
        rows(fitted.model.predictor(50, 0).unwrap())
    );
    // an atlas needs a linear head, and this model declares none
    let refused = fit_model::<f64>(&model, &x, &y, &FitOptions::of(Method::Atlas), &quiet);
    let message = refused.err().unwrap().to_string();
    assert!(message.contains("linear head"), "{message}");
}

/// Two targets a row whose noises are correlated: `-log p = r^T A r / 2`.
struct Pair;

impl Likelihood for Pair {
    fn target_dim(&self, _: usize) -> usize {
        2
    }
    fn neg_log_likelihood<'g>(&self, o: Var<'g>, y: Var<'g>, _: Var<'g>) -> Var<'g> {
        let r = o - y;
        let (p, q) = (r.slice(1, 0..1), r.slice(1, 1..2));
        (p.square() * 20.0 + q.square() * 10.0 - p * q * 20.0).sum()
    }
    fn predictive(&self, outputs: &[f64], _: &[f64]) -> Predictive {
        let (mean, std) = (outputs[0], 0.22);
        Predictive::Law(Law::Normal { mean, std })
    }
    fn check(&self, outputs: usize, _: &[f64]) -> Result<()> {
        let error = || Error::shape("Pair", "2 outputs", outputs);
        (outputs == 2).then_some(()).ok_or_else(error)
    }
}

/// A likelihood that the crate has never seen, with several outputs, in a conditional last layer.
#[test]
fn an_atlas_takes_a_likelihood_of_several_outputs() {
    let x: Vec<f64> = (0..60).map(|i| f64::from(i) / 30.0 - 1.0).collect();
    let e = normals(60, 11);
    let pair = |(x, e): (&f64, &f64)| [x * x + 0.15 * e, (2.0 * x).sin() + 0.2 * e];
    let y: Vec<f64> = x.iter().zip(&e).flat_map(pair).collect();
    let network = Mlp::new(&[1, 6, 2], Activation::Tanh).unwrap();
    let prior = IsotropicGaussian::new(0.3).unwrap();
    let model = Model::with_head("pair", network, Pair, prior);
    let mut means = Vec::new();
    for method in [Method::Walk, Method::Atlas] {
        let fitted = fit_model::<f64>(&model, &x, &y, &walking(method, 300), &quiet).unwrap();
        let predictor = fitted.model.predictor(200, 0).unwrap();
        let Predictions::Real(rows) = predictor.rows(&x).unwrap() else {
            panic!("real")
        };
        means.push(rows.moments.iter().map(|m| m.mean).collect::<Vec<_>>());
    }
    let rms = |a: &[f64], b: &[f64]| {
        let squares: f64 = a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum();
        (squares / a.len() as f64).sqrt()
    };
    let truth: Vec<f64> = x.iter().map(|x| x * x).collect();
    assert!(rms(&means[0], &means[1]) < 0.03, "{means:?}");
    assert!(rms(&means[1], &truth) < 0.1, "{means:?}");
}

#[test]
fn classes_and_refusals() {
    let network = || Mlp::new(&[2, 5, 3], Activation::Tanh).unwrap();
    let prior = || IsotropicGaussian::new(1.0).unwrap();
    let model = Model::with_head("classes", network(), Categorical, prior());
    let x = normals(60, 5);
    let y: Vec<f64> = (0..30).map(|i| f64::from(i % 3)).collect();
    let options = walking(Method::Walk, 30);
    let fitted = fit_model::<f32>(&model, &x, &y, &options, &quiet).unwrap();
    let predictor = fitted.model.predictor(20, 0).unwrap();
    assert!(matches!(predictor.rows(&x).unwrap(), Predictions::Classes(p) if p.classes == 3));
    let refusals: [(FitOptions, &str); 4] = [
        (FitOptions::of(Method::Auto), "method"),
        (
            FitOptions {
                prior: PriorChoice::Ard,
                ..options.clone()
            },
            "prior",
        ),
        (
            FitOptions {
                prior_precision: Some(1.0),
                ..options.clone()
            },
            "prior_precision",
        ),
        (
            FitOptions {
                noise_std: Some(1.0),
                ..options.clone()
            },
            "noise_std",
        ),
    ];
    for (options, field) in refusals {
        let error = fit_model::<f32>(&model, &x, &y, &options, &quiet)
            .err()
            .unwrap();
        assert!(error.to_string().contains(field), "{error}");
    }
    assert!(fit_model::<f32>(&model, &x[1..], &y, &options, &quiet).is_err());
    let wrong: Vec<f64> = y.iter().map(|y| y + 1.0).collect();
    assert!(
        fit_model::<f32>(&model, &x, &wrong, &options, &quiet).is_err(),
        "class 3 of 3"
    );
}

#[test]
fn a_bad_number_is_refused_with_row_and_column() {
    let (x, y) = claims();
    let model = claims_model(4);
    let place = |x: &[f64], y: &[f64]| {
        let options = FitOptions::of(Method::Map);
        match fit_model::<f64>(&model, x, y, &options, &quiet) {
            Err(Error::NonFiniteData { row, column, .. }) => (row, column),
            other => panic!("{:?}", other.map(|_| ())),
        }
    };
    let mut bad = x.clone();
    bad[7] = f64::NAN;
    assert_eq!(place(&bad, &y), (7, Column::Named("x0".into())));
}
