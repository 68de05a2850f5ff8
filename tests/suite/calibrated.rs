//! Calibrated models: the same answer from every entry point, and what is refused.

use fiberwalk::artifact::{Calibration, ConformalScore, Fitted, Predictions, RowPrediction};
use fiberwalk::calibrate::conformal::{Interval, SetScore};
use fiberwalk::calibrate::{Recalibration, Spread, Temperature};
use fiberwalk::metrics::{ScoredRows, Scores};
use fiberwalk::pipeline::{
    CalibrationMap, CalibrationSettings, ConformalSettings, FitOptions, Method, TargetTransform,
    fit,
};
use fiberwalk::predict::DrawOptions;
use fiberwalk::{Observation, Streams};

use crate::conformal::{calibrated, fitted, options, read, settings};

/// `rows`, `row`, `score_rows`, `log_densities`, `quantiles` and `draws` all see the map.
#[test]
fn every_entry_point_is_calibrated() {
    let (predictor, data) = fitted("vehicle.csv", Method::Map);
    let plain = predictor.rows(data.features()).unwrap();
    let map = Recalibration::Temperature(Temperature { temperature: 2.0 });
    let with = |map| Calibration {
        recalibration: Some(map),
        conformal: None,
    };
    let hot = predictor.with_calibration(Some(with(map.clone()))).unwrap();
    let (Predictions::Classes(plain), Predictions::Classes(mapped)) =
        (plain, hot.rows(data.features()).unwrap())
    else {
        panic!("numbers")
    };
    let k = plain.classes;
    let labels = data.labels().unwrap();
    let logs = hot.log_densities(&data).unwrap();
    let ScoredRows::Classes { predictions, .. } = hot.score_rows(&data).unwrap() else {
        panic!("numbers")
    };
    assert_eq!(predictions, mapped);
    for i in 0..data.n() {
        let mut p = plain.probabilities[i * k..(i + 1) * k].to_vec();
        map.apply(&mut p);
        assert_eq!(p, mapped.probabilities[i * k..(i + 1) * k]);
        assert_eq!(logs[i], p[labels[i]].ln());
        let entropy: f64 = -p.iter().map(|q| q * q.ln()).sum::<f64>();
        assert!((entropy - mapped.entropy[i]).abs() < 1e-12);
        if i < 20 {
            let RowPrediction::Class { probabilities, .. } = hot.row(data.row(i)).unwrap() else {
                panic!("a number")
            };
            assert!(
                probabilities
                    .iter()
                    .zip(&p)
                    .all(|(a, b)| (a - b).abs() < 1e-5)
            );
        }
    }
    assert_eq!(mapped.mutual_information, plain.mutual_information);
    assert_eq!(mapped.aleatoric_entropy, plain.aleatoric_entropy);
    assert_ne!(mapped.entropy, plain.entropy);
    let wide = Recalibration::Spread(Spread { factor: 2.0 });
    assert!(hot.with_calibration(Some(with(wide.clone()))).is_err());

    for method in [Method::Walk, Method::Atlas] {
        let (predictor, data) = fitted("yacht.csv", method);
        let x = data.features();
        let Predictions::Real(plain) = predictor.rows(x).unwrap() else {
            panic!("classes")
        };
        let losses = predictor.stretched_losses(&data, &[1.0, 2.0]).unwrap();
        let before: f64 = predictor.log_densities(&data).unwrap().iter().sum();
        assert!((losses[0] + before).abs() < 1e-9 * before.abs().max(1.0));
        let draws = predictor.draws(x, &DrawOptions::default()).unwrap();
        let wide = predictor
            .with_calibration(Some(with(wide.clone())))
            .unwrap();
        let Predictions::Real(mapped) = wide.rows(x).unwrap() else {
            panic!("classes")
        };
        assert_eq!(mapped, plain.clone().stretched(2.0));
        let after: f64 = wide.log_densities(&data).unwrap().iter().sum();
        assert!((losses[1] + after).abs() < 1e-9 * after.abs().max(1.0));
        let Scores::Regression(scores) = wide.evaluate(&data).unwrap() else {
            panic!("classes")
        };
        assert!((scores.nll * data.n() as f64 + after).abs() < 1e-6 * after.abs());
        let stds = plain.moments.iter().map(|m| 2.0 * m.std).sum::<f64>();
        assert!((scores.sharpness * data.n() as f64 / stds - 1.0).abs() < 1e-9);
        let ends = wide.quantiles(x, &[0.05, 0.95]).unwrap();
        assert_eq!(ends, mapped.quantiles);
        let stretched = wide.draws(x, &DrawOptions::default()).unwrap();
        for (i, m) in plain.moments.iter().enumerate() {
            for (a, b) in stretched.row(i).iter().zip(draws.row(i)) {
                assert_eq!(*a, m.mean + 2.0 * (b - m.mean));
            }
        }
        let RowPrediction::Real { std, quantiles, .. } = wide.row(data.row(0)).unwrap() else {
            panic!("a class")
        };
        assert!((std / mapped.moments[0].std - 1.0).abs() < 1e-4);
        assert!((quantiles[0] - mapped.quantiles[0]).abs() < 1e-4 * std);
    }
}

#[test]
fn what_does_not_go_together_is_refused_before_the_fit() {
    let (classes, real) = (read("glass.csv"), read("yacht.csv"));
    let set = Some(ConformalScore::Set(SetScore::Aps));
    let interval = Some(ConformalScore::Interval(Interval::Cqr));
    let conformal = |level, score, class_conditional| {
        Some(ConformalSettings {
            level,
            score,
            class_conditional,
            folds: None,
        })
    };
    let auto = CalibrationMap::Auto;
    for (data, how, word) in [
        (
            &classes,
            settings(CalibrationMap::Isotonic, None),
            "two classes",
        ),
        (&classes, settings(CalibrationMap::Spread, None), "a number"),
        (
            &real,
            settings(CalibrationMap::Temperature, None),
            "for classes",
        ),
        (&real, settings(CalibrationMap::Vector, None), "for classes"),
        (
            &real,
            settings(auto, conformal(0.9, set, false)),
            "for classes",
        ),
        (
            &real,
            settings(auto, conformal(0.9, None, true)),
            "for classes",
        ),
        (
            &classes,
            settings(auto, conformal(0.9, interval, false)),
            "for a number",
        ),
        (
            &classes,
            settings(auto, conformal(1.0, None, false)),
            "between 0 and 1",
        ),
        (
            &classes,
            CalibrationSettings {
                share: 1.0,
                ..settings(auto, None)
            },
            "between 0 and 1",
        ),
    ] {
        let options = FitOptions {
            calibration: Some(how),
            ..options(Method::Map)
        };
        let error = fit::<f32>(data, &options, &()).err().unwrap().to_string();
        assert!(error.contains(word), "{error}");
    }
    // counts and transformed targets: auto says why there is no map, a map by name is refused
    let positive = |map| FitOptions {
        target_transform: TargetTransform::Log,
        calibration: Some(settings(map, None)),
        ..options(Method::Map)
    };
    let concrete = read("concrete.csv");
    let result = fit::<f32>(&concrete, &positive(auto), &()).unwrap();
    assert!(result.report.to_string().contains("cannot be stretched"));
    assert_eq!(result.model.metadata.calibration, None);
    assert_eq!(result.model.metadata.format_version, 6);
    let error = fit::<f32>(&concrete, &positive(CalibrationMap::Spread), &());
    assert!(error.err().unwrap().to_string().contains("transform"));
    let counts = FitOptions {
        likelihood: Some(Observation::Poisson),
        calibration: Some(settings(CalibrationMap::Spread, None)),
        ..options(Method::Map)
    };
    assert!(fit::<f32>(&read("wine_red.csv"), &counts, &()).is_err());
}

/// The scores of a CV+ are those of the fits as the mixture has them. An atlas of a regression with
/// Gaussian noise predicts without draws alone, and by draws in a mixture.
#[test]
fn cross_conformal_scores_are_of_the_draws_that_predict() {
    let data = read("yacht.csv");
    let conformal = ConformalSettings {
        score: Some(ConformalScore::Interval(Interval::Absolute)),
        folds: Some(3),
        ..ConformalSettings::of(0.8)
    };
    let how = settings(CalibrationMap::None, Some(conformal));
    let model = calibrated(&data, how, options(Method::Atlas));
    let found = model
        .metadata
        .calibration
        .clone()
        .unwrap()
        .conformal
        .unwrap();
    assert_eq!((found.folds.len(), found.rows), (data.n(), data.n()));
    let Fitted::Mixture(members) = model.fitted else {
        panic!("one model")
    };
    for (fold, member) in members.into_iter().enumerate() {
        // a third of 256 draws, rounded up
        let mut alone = member.model;
        alone.freeze(86, 0).unwrap();
        let rows = alone.predict(data.features(), 86, Streams::new(0)).unwrap();
        let Predictions::Real(p) = rows else {
            panic!("classes")
        };
        let own = found.folds.iter().enumerate().filter(|s| s.1.fold == fold);
        for (row, said) in own {
            let (y, mean) = (data.targets()[row], p.moments[row].mean);
            let error = (y - mean).abs();
            assert!(
                (said.score - error).abs() < 1e-9 * (1.0 + y.abs()),
                "{said:?} {error}"
            );
        }
    }
}
