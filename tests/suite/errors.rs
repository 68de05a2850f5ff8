//! Errors say what, where, what was expected and what came, in fields that a program can read.

use fiberwalk::baselines::{Nuts, NutsOptions};
use fiberwalk::data::{Dataset, Standardizer, Task};
use fiberwalk::deform::{
    Bijection, FlowData, FlowOptions, FlowTrainOptions, LastLayer, coupling_flow, fit_flow,
};
use fiberwalk::metrics::{ClassificationMetrics, RegressionMetrics};
use fiberwalk::optim::{Decay, SgdOptions};
use fiberwalk::predict::{ClassPredictions, Outputs, network_outputs};
use fiberwalk::walk::{
    Drift, DriftOptions, InverseMassMatrix, Kernel, Microcanonical, MicrocanonicalOptions, Walker,
};
use fiberwalk::{
    Activation, Categorical, Column, Error, Gaussian, IsotropicGaussian, Likelihood, LogDensity,
    MapOptions, Minibatch, OptimizerOptions, Phase, PosteriorDensity, Result, RowCurvature,
    Streams, fit_map,
};

use crate::common::{network, normals};

/// Row and column of a value that is not finite.
fn place<R>(result: Result<R>) -> (usize, Column) {
    match result.map(|_| ()).unwrap_err() {
        Error::NonFiniteData { row, column, .. } => (row, column),
        other => panic!("{other}"),
    }
}

fn named(name: &str) -> Column {
    Column::Named(name.into())
}

/// The same numbers, but one of them is `bad`.
fn with(values: &[f64], at: usize, bad: f64) -> Vec<f64> {
    let mut values = values.to_vec();
    values[at] = bad;
    values
}

/// All that takes rows: a position in the wrong layout, or a check that is missing, shows as
/// another place or as no error.
#[test]
fn data_are_refused_with_row_and_column() {
    let (net, theta) = network(&[3, 4, 2], Activation::Tanh, 1);
    let prior = IsotropicGaussian::new(1.0).unwrap();
    let (gaussian, x, y) = (Gaussian::new(0.5).unwrap(), normals(30, 1), normals(20, 2));
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e300] {
        // row 4, column 1 of three; row 7, target 1 of two
        let (bad_x, bad_y) = (with(&x, 13, bad), with(&y, 15, bad));
        type Build<'a> = &'a dyn Fn(&[f64], &[f64]) -> Result<()>;
        let builds: [Build<'_>; 4] = [
            &|x, y| PosteriorDensity::<f32>::new(&net, &gaussian, &prior, x, y).map(|_| ()),
            &|x, y| Minibatch::<f32>::new(&net, &gaussian, &prior, x, y).map(|_| ()),
            &|x, y| RowCurvature::<f32>::new(&net, &gaussian, x, y).map(|_| ()),
            &|x, y| {
                let likelihood = &Gaussian::new(0.5).unwrap();
                LastLayer::<f32>::new(&net, likelihood, 1.0, x, y).map(|_| ())
            },
        ];
        for build in builds {
            assert!(build(&x, &y).is_ok());
            assert_eq!(place(build(&bad_x, &y)), (4, Column::Number(1)), "{bad}");
            assert_eq!(place(build(&x, &bad_y)), (7, named("target 1")), "{bad}");
        }
        let outputs = |x: &[f64]| {
            let theta: Vec<f32> = theta.iter().map(|&t| t as f32).collect();
            network_outputs(&net, &theta, x, |_| Ok(()))
        };
        assert_eq!(place(outputs(&bad_x)), (4, Column::Number(1)), "{bad}");
        if bad == 1e300 {
            continue;
        }
        let fitted = Standardizer::fit(&x, 3).unwrap();
        assert_eq!(place(Standardizer::fit(&bad_x, 3)), (4, Column::Number(1)));
        assert_eq!(place(fitted.transform(&bad_x)), (4, Column::Number(1)));
        let mut out = [0.0; 3];
        let row = fitted.transform_row(&bad_x[12..15], &mut out);
        assert_eq!(place(row), (0, Column::Number(1)));
        let table = |x: &[f64], y: &[f64]| {
            let names = ["a", "b", "c"].map(String::from).to_vec();
            Dataset::new(x.to_vec(), y.to_vec(), names, "d", Task::Regression)
        };
        assert_eq!(place(table(&bad_x, &y[..10])), (4, named("b")));
        assert_eq!(place(table(&x, &with(&y[..10], 6, bad))), (6, named("d")));
        // labels: not a class, because not a number
        let labels = with(&[0.0; 10], 3, bad);
        assert_eq!(place(Categorical.check(2, &labels)), (3, named("target")));
    }
}

#[test]
fn predictions_are_refused_with_row_and_output() {
    let output = |sample, output| Column::Output { sample, output };
    // [rows, samples, classes] = [4, 3, 2]
    let logits = Outputs {
        rows: 4,
        samples: 3,
        width: 2,
        values: with(&normals(24, 3), 17, f64::NAN),
    };
    let place_of_logit = place(ClassPredictions::empty(2).extend(&logits));
    assert_eq!(place_of_logit, (2, output(2, 1)));
    let probabilities = with(&[0.5; 8], 5, f64::NAN);
    let scores = ClassificationMetrics::compute(&probabilities, 2, &[0; 4]);
    assert_eq!(place(scores), (2, Column::Class(1)));
    let means = with(&normals(12, 4), 7, f64::INFINITY);
    let score = |means: &[f64], y: &[f64]| RegressionMetrics::compute(means, 3, 1.0, y);
    assert_eq!(place(score(&means, &[0.0; 4])), (2, output(1, 0)));
    let targets = with(&[0.0; 4], 3, f64::NAN);
    assert_eq!(
        place(score(&normals(12, 4), &targets)),
        (3, named("target"))
    );
}

#[test]
fn the_message_says_what_where_expected_and_got() {
    let (net, _) = network(&[2, 1], Activation::Tanh, 1);
    let prior = IsotropicGaussian::new(1.0).unwrap();
    let gaussian = Gaussian::new(0.5).unwrap();
    let x = [0.0, 1.0, 2.0, f64::NAN];
    let error = PosteriorDensity::<f32>::new(&net, &gaussian, &prior, &x, &[0.0; 2]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "PosteriorDensity::new: row 1, column 1 (all from 0): \
         expected a finite number in the range of f32, got NaN"
    );
}

/// `-x^4 / 4`: any rate that is too high goes to infinity.
struct Quartic;

impl LogDensity<f64> for Quartic {
    type Workspace = ();
    fn dim(&self) -> usize {
        2
    }
    fn workspace(&self) {}
    fn log_density(&self, theta: &[f64], (): &mut ()) -> Result<f64> {
        Ok(-0.25 * theta.iter().map(|t| t.powi(4)).sum::<f64>())
    }
    fn log_density_and_grad(&self, theta: &[f64], grad: &mut [f64], ws: &mut ()) -> Result<f64> {
        for (g, t) in grad.iter_mut().zip(theta) {
            *g = -t.powi(3);
        }
        self.log_density(theta, ws)
    }
}

#[test]
fn a_divergence_says_its_step_and_what_it_cost() {
    let options = MapOptions {
        steps: 50,
        learning_rate: 1.0,
        schedule: Decay::Constant.into(),
        optimizer: OptimizerOptions::Sgd(SgdOptions::default()),
        ..MapOptions::default()
    };
    let mut taken = 0;
    let error = fit_map(&Quartic, vec![3.0, 0.0], &options, |done| taken = done).unwrap_err();
    let Error::Diverged {
        step, gradients, ..
    } = error
    else {
        panic!("{error}");
    };
    assert!(
        step > 1 && step == taken && gradients == taken + 1,
        "{error}"
    );
    let said = format!("the MAP fit diverged at step {step} ({gradients} gradients): the energy");
    assert!(error.to_string().starts_with(&said), "{error}");
    assert!(error.to_string().contains("smaller learning_rate"));
    // a start that is not finite is no matter of the rate
    let error = fit_map(&Quartic, vec![1e200, 0.0], &options, |_| ()).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("the MAP fit cannot start (1 gradient)")
    );
    assert!(!error.to_string().contains("learning_rate"), "{error}");
}

#[test]
fn a_flow_that_diverges_says_so() {
    let options = FlowOptions {
        hidden: vec![4],
        ..FlowOptions::default()
    };
    let flow = coupling_flow(2, &[], &options).unwrap();
    let start = flow.init(&mut Streams::new(0).rng(Phase::INIT, 0));
    let data = FlowData {
        context: 0,
        points: &with(&normals(40, 5), 3, 1e200),
        held_out: &[],
    };
    let options = FlowTrainOptions::default();
    let error = fit_flow(&flow, &start, data, &options, Streams::new(0), |_| ()).unwrap_err();
    assert!(
        matches!(
            error,
            Error::Diverged {
                quantity: "gradient",
                step: 0,
                gradients: 1,
                ..
            }
        ),
        "{error}"
    );
}

/// A standard normal in any dimension.
struct Normal(usize);

impl LogDensity<f64> for Normal {
    type Workspace = ();
    fn dim(&self) -> usize {
        self.0
    }
    fn workspace(&self) {}
    fn log_density(&self, theta: &[f64], (): &mut ()) -> Result<f64> {
        Ok(-0.5 * theta.iter().map(|t| t * t).sum::<f64>())
    }
    fn log_density_and_grad(&self, theta: &[f64], grad: &mut [f64], ws: &mut ()) -> Result<f64> {
        for (g, t) in grad.iter_mut().zip(theta) {
            *g = -t;
        }
        self.log_density(theta, ws)
    }
}

/// Starts and steps with the memory or the density of another problem: once a panic in the middle
/// of a step.
fn misused<K: Kernel<f64, Normal>>(kernel: &K) {
    let shape = |error: Error, expected: &str| {
        assert!(matches!(error, Error::Shape { .. }), "{error}");
        assert!(error.to_string().contains(expected), "{error}");
    };
    let rng = || Streams::new(0).rng(Phase::USER, 0);
    let (here, other) = (Normal(3), Normal(2));
    let (mut ws, mut foreign) = (kernel.workspace(&here), kernel.workspace(&other));
    let start = |theta: &[f64], ws: &mut K::Workspace| {
        let walker = Walker::new(kernel, &here, theta, rng(), ws);
        walker.map(|_| ()).unwrap_err()
    };
    shape(start(&[0.1; 2], &mut ws), "3");
    let mut walker = Walker::new(kernel, &here, &[0.1; 3], rng(), &mut ws).unwrap();
    walker.step(kernel, &here, &mut ws).unwrap();
    shape(walker.step(kernel, &here, &mut foreign).unwrap_err(), "3");
    // a refused step leaves the particle fit to go on
    walker.step(kernel, &here, &mut ws).unwrap();
}

#[test]
fn a_step_with_the_memory_of_another_problem_is_an_error() {
    let drift = Drift::new(DriftOptions {
        step_size: 0.1,
        correction: 0.1,
        max_energy: 100.0,
        retries: 2,
    });
    misused(&drift.unwrap());
    let map = InverseMassMatrix::diagonal(&[1.0; 3]).unwrap();
    misused(&Microcanonical::new(map, &MicrocanonicalOptions::default()).unwrap());
    misused(&Nuts::new(&NutsOptions::default()).unwrap());
}

#[test]
fn a_walk_that_cannot_start_says_why() {
    let kernel = Microcanonical::new(
        InverseMassMatrix::diagonal(&[1.0; 3]).unwrap(),
        &MicrocanonicalOptions::default(),
    )
    .unwrap();
    let mut ws = Kernel::<f64, Normal>::workspace(&kernel, &Normal(3));
    let rng = Streams::new(0).rng(Phase::USER, 0);
    let start = [1e200, 0.0, 0.0];
    let error = Walker::new(&kernel, &Normal(3), &start, rng, &mut ws).map(|_| ());
    assert_eq!(
        error.unwrap_err().to_string(),
        "the walk cannot start (1 gradient): the energy is not finite; \
         check the starting parameters, and that the data are standardised"
    );
}
