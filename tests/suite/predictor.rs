//! Predictors: one row gives the same answer as many rows, for every method and likelihood.

use fiberwalk::artifact::{AnyModel, Fitted, FittedModel, Predictions, Predictor, RowPrediction};
use fiberwalk::data::{Dataset, Task, banana};
use fiberwalk::pipeline::{AutoSettings, FitOptions, Method, TargetTransform, fit};
use fiberwalk::{Column, Error, Observation, Streams};

use crate::common::{normals, short};

fn options(method: Method) -> FitOptions {
    FitOptions {
        method: short(method, 5, 20, 30),
        hidden: vec![6],
        ..FitOptions::default()
    }
}

fn regression(target: impl Fn(f64, f64) -> f64) -> Dataset {
    let (x, e) = (normals(60, 1), normals(60, 2));
    let y = x.iter().zip(&e).map(|(&x, &e)| target(x, e)).collect();
    Dataset::new(x, y, vec!["x".into()], "y", Task::Regression).unwrap()
}

fn waves() -> Dataset {
    regression(|x, e| (2.0 * x).sin() + 0.1 * e)
}

fn check(predictor: &Predictor, x: &[f64], d: usize, name: &str) {
    let many = predictor.rows(x).unwrap();
    let close = |a: f64, b: f64, scale: f64| (a - b).abs() <= 2e-6 * scale;
    // reuses memory of another row, and of another kind of target
    let mut out = RowPrediction::empty();
    for (i, x) in x.chunks_exact(d).enumerate() {
        predictor.row_into(x, &mut out).unwrap();
        assert_eq!(out, predictor.row(x).unwrap(), "{name}");
        match (&many, &out) {
            (
                Predictions::Classes(all),
                RowPrediction::Class {
                    probabilities,
                    entropy,
                    mutual_information,
                },
            ) => {
                let k = all.classes;
                for (a, b) in probabilities.iter().zip(&all.probabilities[i * k..]) {
                    assert!(close(*a, *b, 1.0), "{name}, row {i}: {a} {b}");
                }
                assert!(close(*entropy, all.entropy[i], 5.0), "{name}");
                assert!(close(*mutual_information, all.mutual_information[i], 5.0));
            }
            (
                Predictions::Real(all),
                RowPrediction::Real {
                    mean,
                    std,
                    epistemic_std,
                    quantiles,
                },
            ) => {
                let moments = all.moments[i];
                for (a, b) in [
                    (*mean, moments.mean),
                    (*std, moments.std),
                    (*epistemic_std, moments.epistemic_std),
                ] {
                    assert!(close(a, b, 5.0 * moments.std), "{name}, row {i}: {a} {b}");
                }
                assert_eq!(quantiles.len(), 2);
                for (a, b) in quantiles.iter().zip(all.quantiles_of(i)) {
                    assert!(close(*a, *b, 5.0 * moments.std), "{name}, row {i}: {a} {b}");
                }
            }
            _ => panic!("{name}: {out:?}"),
        }
    }
}

#[test]
fn one_row_says_what_many_rows_say() {
    let (real, classes) = (waves(), banana(60, &Streams::new(1)).unwrap());
    let x = [-1.5, 0.3, 4.0];
    for method in [
        Method::Map,
        Method::Walk,
        Method::Atlas,
        Method::Flow,
        Method::LaplaceGlm,
        Method::Auto,
    ] {
        let of_method = match method {
            // its models have widths of their own
            Method::Auto => {
                let auto = AutoSettings {
                    max_seconds: Some(2.0),
                    samples: 30,
                    ..AutoSettings::default()
                };
                FitOptions {
                    method: auto.into(),
                    ..FitOptions::default()
                }
            }
            _ => options(method),
        };
        let model = fit::<f32>(&real, &of_method, &|_, _, _| ()).unwrap().model;
        check(&model.predictor(20, 3).unwrap(), &x, 1, method.name());
        if method == Method::Auto {
            continue;
        }
        let model = fit::<f64>(&classes, &options(method), &|_, _, _| ())
            .unwrap()
            .model;
        let x = [0.0, 0.0, 1.0, -2.0];
        check(&model.predictor(20, 3).unwrap(), &x, 2, method.name());
    }
}

#[test]
fn and_whatever_the_likelihood_and_the_target() {
    let x = [-1.0, 0.5];
    for (likelihood, counts) in [
        (Observation::StudentT, false),
        (Observation::Heteroscedastic, false),
        (Observation::Poisson, true),
    ] {
        let data = match counts {
            true => regression(|x, e| (2.0 * x.exp() + e.abs()).round()),
            false => waves(),
        };
        let options = FitOptions {
            likelihood: Some(likelihood),
            ..options(Method::Walk)
        };
        let model = fit::<f32>(&data, &options, &|_, _, _| ()).unwrap().model;
        check(
            &model.predictor(20, 0).unwrap(),
            &x,
            1,
            &likelihood.to_string(),
        );
    }
    let positive = regression(|x, e| (x + 0.2 * e).exp());
    let log = FitOptions {
        target_transform: TargetTransform::Log,
        ..options(Method::Walk)
    };
    let model = fit::<f32>(&positive, &log, &|_, _, _| ()).unwrap().model;
    check(&model.predictor(20, 0).unwrap(), &x, 1, "log");
    let one = FitOptions {
        likelihood: Some(Observation::Bernoulli),
        ..options(Method::Walk)
    };
    let model = fit::<f32>(&banana(60, &Streams::new(1)).unwrap(), &one, &|_, _, _| ());
    check(
        &model.unwrap().model.predictor(20, 0).unwrap(),
        &[0.5, 1.0],
        2,
        "bernoulli",
    );
}

#[test]
fn a_predictor_is_shared_by_threads_and_refuses_what_does_not_fit() {
    let model = fit::<f32>(&waves(), &options(Method::Atlas), &|_, _, _| ())
        .unwrap()
        .model;
    let predictor = model.predictor(20, 0).unwrap();
    let alone = predictor.row(&[0.3]).unwrap();
    std::thread::scope(|s| {
        let each = [(); 4].map(|()| s.spawn(|| (0..50).map(|_| predictor.row(&[0.3])).collect()));
        for rows in each {
            let rows: Vec<_> = rows.join().unwrap();
            assert!(rows.into_iter().all(|row| row.unwrap() == alone));
        }
    });
    for (x, what) in [(&[][..], "1"), (&[0.0, 1.0], "1"), (&[f64::NAN], "finite")] {
        let message = predictor.row(x).unwrap_err().to_string();
        assert!(message.contains(what), "{message}");
    }
    // a row that failed leaves its memory usable
    assert_eq!(predictor.row(&[0.3]).unwrap(), alone);
    let none = model.predictor(20, 0).unwrap().with_quantiles(&[]).unwrap();
    let RowPrediction::Real { quantiles, .. } = none.row(&[0.3]).unwrap() else {
        panic!("a regression")
    };
    assert!(quantiles.is_empty());
    for p in [0.0, 1.0, f64::NAN] {
        assert!(
            model
                .predictor(20, 0)
                .unwrap()
                .with_quantiles(&[p])
                .is_err()
        );
    }
    assert!(model.predictor(0, 0).is_err());
}

#[test]
fn bytes_make_the_model_again_in_its_own_precision() {
    let x = [0.3, -2.0];
    let single = fit::<f32>(&waves(), &options(Method::Flow), &|_, _, _| ())
        .unwrap()
        .model;
    let double = fit::<f64>(&waves(), &options(Method::Walk), &|_, _, _| ())
        .unwrap()
        .model;
    let bytes = double.to_bytes().unwrap();
    let any = AnyModel::from_bytes(&bytes).unwrap();
    assert!(matches!(any, AnyModel::F64(_)));
    assert_eq!(any.metadata(), &double.metadata);
    assert_eq!(any.to_bytes().unwrap(), bytes);
    let rows = |p: &Predictor| p.rows(&x).unwrap();
    assert_eq!(
        rows(&any.predictor(20, 5).unwrap()),
        rows(&double.predictor(20, 5).unwrap())
    );
    let bytes = single.to_bytes().unwrap();
    let any = AnyModel::from_reader(&bytes[..]).unwrap();
    assert!(matches!(any, AnyModel::F32(_)));
    assert_eq!(
        rows(&any.predictor(20, 5).unwrap()),
        rows(&single.predictor(20, 5).unwrap())
    );
    assert!(
        FittedModel::<f64>::from_bytes(&bytes).is_err(),
        "of the other precision"
    );
    let message = AnyModel::from_bytes(&bytes[..100]).unwrap_err().to_string();
    assert!(message.contains("bytes"), "{message}");
}

/// Stored draws equal those of the deformation, and the file reads back.
#[test]
fn a_model_can_be_frozen_after_it_was_loaded() {
    for method in [Method::Atlas, Method::Flow] {
        let model = fit::<f32>(&waves(), &options(method), &|_, _, _| ())
            .unwrap()
            .model;
        let mut any = AnyModel::from_bytes(&model.to_bytes().unwrap()).unwrap();
        any.freeze(12, 7).unwrap();
        let bytes = any.to_bytes().unwrap();
        let frozen = FittedModel::<f32>::from_bytes(&bytes).unwrap();
        assert!(matches!(&frozen.fitted, Fitted::Points(p) if p.count() == 12));
        let (got, want) = (
            frozen.draws(12, Streams::new(0)).unwrap(),
            model.draws(12, Streams::new(7)).unwrap(),
        );
        assert_eq!(got, want);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        assert!(!text.contains("data.y"), "no training rows are left");
    }
    let mut walk: AnyModel = fit::<f32>(&waves(), &options(Method::Walk), &|_, _, _| ())
        .unwrap()
        .model
        .into();
    walk.freeze(4, 0).unwrap();
    let AnyModel::F32(model) = &walk else {
        panic!("it was f32")
    };
    assert_eq!(
        model.draws(100, Streams::new(0)).unwrap().noise_std.len(),
        4
    );
    assert!(walk.to_bytes().is_ok() && walk.freeze(0, 0).is_err());
}

/// The row of a feature that is not a number counts from the first row of the table, also beyond
/// the rows that are computed at once, and the feature has its name.
#[test]
fn a_bad_feature_is_named_in_any_row() {
    let data = waves();
    for method in [Method::Map, Method::Atlas] {
        let fitted = fit::<f32>(&data, &options(method), &|_, _, _| ()).unwrap();
        let predictor = fitted.model.predictor(20, 0).unwrap();
        let place = |error: Error| match error {
            Error::NonFiniteData { row, column, .. } => (row, column),
            other => panic!("{other}"),
        };
        let named = Column::Named("x".into());
        for bad in [f64::NAN, f64::INFINITY, 1e300] {
            let mut x = normals(2_500, 7);
            x[2_100] = bad;
            let error = predictor.rows(&x).unwrap_err();
            assert_eq!(place(error), (2_100, named.clone()), "{method} {bad}");
            let error = predictor.row(&[bad]).unwrap_err();
            assert_eq!(place(error), (0, named.clone()), "{method} {bad}");
        }
        let mut x = normals(2_500, 7);
        x[2_100] = 1e300;
        let y = normals(2_500, 8);
        let far = Dataset::new(x, y, vec!["x".into()], "y", Task::Regression).unwrap();
        let error = predictor.evaluate(&far).unwrap_err();
        assert_eq!(place(error), (2_100, named), "{method}");
        // two features in the place of one would be twice as many rows
        let names = vec!["x".into(), "z".into()];
        let wide = Dataset::new(vec![0.5; 8], vec![0.0; 4], names, "y", Task::Regression);
        let error = predictor.evaluate(&wide.unwrap()).unwrap_err().to_string();
        assert!(
            error.contains("expected 1 feature column, got 2"),
            "{error}"
        );
    }
}
