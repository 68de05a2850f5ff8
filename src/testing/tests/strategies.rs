//! Strategies give what they promise, shrink, and carry a check's failure.

use proptest::prelude::*;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, TestError, TestRunner};

use crate::model::{Categorical, Gaussian, IsotropicGaussian, PosteriorDensity};
use crate::nn::{Activation, Network};
use crate::testing::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    /// Random networks on random data: everything at once, by `?`.
    #[test]
    fn posteriors_of_random_networks(
        data in regression(Extents { targets: 1, ..Extents::default() }),
        (few, classes) in classes(Extents::default()),
        nets in (networks(1, 1, (2, 4), &SMOOTH), networks(1, 3, (1, 4), &SMOOTH)),
    ) {
        // the inputs of a network are not known before the data are: one feature of each row
        let options = CheckOptions { cases: 1, ..CheckOptions::default() };
        let prior = IsotropicGaussian::new(1.3).unwrap();
        let (net, theta) = (&nets.0.net, nets.0.theta.clone());
        check_linear_head(net, &options)?;
        let x: Vec<f64> = data.x.iter().step_by(data.features).copied().collect();
        let noise = Gaussian::new(0.5).unwrap();
        let posterior = PosteriorDensity::<f64>::new(net, &noise, &prior, &x, &data.y).unwrap();
        check_density(&posterior, std::slice::from_ref(&theta), &options)?;
        check_curved(&posterior, std::slice::from_ref(&theta), &options)?;
        let mut ws = posterior.hessian_workspace();
        let product = |t: &[f64], v: &[f64], out: &mut [f64]| {
            posterior.hessian_product(t, v, out, &mut ws)
        };
        check_hessian(&posterior, product, &[theta], &options)?;
        prop_assert!(classes <= 3 && few.y.iter().all(|&y| (y as usize) < classes));
        let (net, theta) = (&nets.1.net, nets.1.theta.clone());
        let x: Vec<f64> = few.x.iter().step_by(few.features).copied().collect();
        let posterior = PosteriorDensity::<f64>::new(net, &Categorical, &prior, &x, &few.y).unwrap();
        check_density(&posterior, &[theta], &options)?;
    }
}

#[test]
fn networks_shrink_to_a_line() {
    let mut runner = TestRunner::deterministic();
    let strategy = networks(2, 1, (3, 6), &SMOOTH);
    let mut tree = strategy.new_tree(&mut runner).unwrap();
    while tree.simplify() {}
    let least = tree.current();
    assert_eq!(least.net.sizes(), [2, 1]);
    assert_eq!(least.net.activation(), Activation::Identity);
    assert_eq!(least.theta.len(), least.net.dim());
    let mut tree = regression(Extents::default())
        .new_tree(&mut runner)
        .unwrap();
    while tree.simplify() {}
    let least = tree.current();
    assert_eq!((least.rows, least.features, least.targets), (1, 1, 1));
    assert!(
        least.x[0].abs() < 0.1 && least.y[0].abs() < 0.1,
        "{least:?}"
    );
}

/// A check that fails for large shapes: the shape that is left is the smallest one, and the text is
/// that of the failure.
#[test]
fn a_failure_shrinks() {
    let config = Config {
        failure_persistence: None,
        ..Config::with_cases(60)
    };
    let mut runner = TestRunner::new_with_rng(config, TestRunner::deterministic().new_rng());
    let result = runner.run(&shapes(1..=3, 5), |shape| {
        let numbers: usize = shape.iter().product();
        let mut op = crate::linalg::DenseOperator::new(1, vec![1.5 - numbers as f64]).unwrap();
        property(check_operator::<f64>(
            &mut op,
            true,
            &CheckOptions::default(),
        ))
    });
    match result {
        Err(TestError::Fail(reason, shape)) => {
            assert_eq!(shape, [2]);
            assert!(reason.message().contains("no negative"), "{reason}");
        }
        other => panic!("{other:?}"),
    }
}
