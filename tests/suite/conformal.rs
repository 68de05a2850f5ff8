//! Conformal prediction with fitted models: coverage on a thousand splits of real rows, and fits
//! that hold rows back.

use fiberwalk::artifact::{
    AnyModel, Conformal, ConformalRegions, ConformalScore, FittedModel, Predictions, Predictor,
};
use fiberwalk::calibrate::conformal::{
    Interval, SetScore, prediction_set, rank_of, threshold, thresholds_by_class, uniform_of,
};
use fiberwalk::data::{CsvOptions, Dataset, Split, load_csv, random_split, stratified_split};
use fiberwalk::pipeline::{
    CalibrationMap, CalibrationSettings, ConformalSettings, FitOptions, Method, fit,
};
use fiberwalk::{Phase, Streams};
use rand::seq::SliceRandom;

use crate::common::data_file;
use crate::common::model_bytes::with_json;

pub fn options(method: Method) -> FitOptions {
    FitOptions {
        method: crate::common::short(method, 5, 20, 30),
        hidden: vec![6],
        prior_precision: Some(1.0),
        ..FitOptions::default()
    }
}

pub fn read(name: &str) -> Dataset {
    load_csv(&data_file(name), &CsvOptions::default()).unwrap()
}

/// A model of two fifths of a set, and the other rows.
pub fn fitted(name: &str, method: Method) -> (Predictor, Dataset) {
    let data = read(name);
    let mut rng = Streams::new(1).rng(Phase::USER, 0);
    let Split { train, test } = stratified_split(&data, 0.6, &mut rng).unwrap();
    let train = data.select(&train).unwrap();
    let model = fit::<f32>(&train, &options(method), &()).unwrap().model;
    let predictor = model.predictor(30, 0).unwrap();
    (predictor, data.select(&test).unwrap())
}

pub const SPLITS: u64 = 1_000;

/// The mean coverage over splits and its standard error, if `held` of `tested` rows per split are
/// covered with a probability that varies as the threshold of `n` rows does: a beta-binomial count.
pub fn check_coverage(name: &str, mean: f64, (n, tested): (usize, usize), level: f64) {
    // without ties a new row is covered with a probability of exactly k / (n + 1)
    let rank = rank_of(n, level).unwrap();
    let p = rank as f64 / (n as f64 + 1.0);
    let variance = p * (1.0 - p) * (1.0 / tested as f64 + 1.0 / (n as f64 + 2.0));
    let error = (variance / SPLITS as f64).sqrt();
    assert!(
        (mean - p).abs() < 4.0 * error,
        "{name}: {mean}, not {p} +- {error}"
    );
    assert!(mean > level - 4.0 * error, "{name}: {mean} of {level}");
}

#[test]
fn sets_of_classes_cover_as_often_as_they_promise() {
    let (predictor, data) = fitted("vehicle.csv", Method::Map);
    let Predictions::Classes(p) = predictor.rows(data.features()).unwrap() else {
        panic!("numbers")
    };
    let labels = data.labels().unwrap();
    let (n, classes) = (labels.len(), p.classes);
    for (name, kind) in [("aps", SetScore::Aps), ("raps", SetScore::RAPS)] {
        let score = ConformalScore::Set(kind);
        let scores = predictor.conformal_scores(&data, score, 0.9, 3).unwrap();
        let row = |i: usize| &p.probabilities[i * classes..(i + 1) * classes];
        let features = |i: usize| data.row(i);
        let u: Vec<f64> = (0..n).map(|i| uniform_of(features(i), 3)).collect();
        for (level, before) in [(0.9, 100), (0.8, n / 2), (0.95, 19)] {
            let (mut held, mut tested) = (0, 0);
            for split in 0..SPLITS {
                let mut rng = Streams::new(split).rng(Phase::USER, 1);
                let mut rows: Vec<usize> = (0..n).collect();
                rows.shuffle(&mut rng);
                let (own, others) = rows.split_at(before);
                let own: Vec<f64> = own.iter().map(|&i| scores[i]).collect();
                let q = threshold(&own, level).unwrap();
                for &i in others {
                    held += usize::from(prediction_set(kind, &[q], row(i), u[i])[labels[i]]);
                    tested += 1;
                }
            }
            let mean = held as f64 / tested as f64;
            check_coverage(name, mean, (before, n - before), level);
        }
        // each class by itself, with 40 rows of each class before
        let (mut held, mut tested) = (vec![0; classes], vec![0; classes]);
        for split in 0..SPLITS {
            let mut rng = Streams::new(split).rng(Phase::USER, 2);
            let mut rows: Vec<usize> = (0..n).collect();
            rows.shuffle(&mut rng);
            let mut seen = vec![0; classes];
            let (own, others): (Vec<usize>, Vec<usize>) = rows.into_iter().partition(|&i| {
                seen[labels[i]] += 1;
                seen[labels[i]] <= 40
            });
            let of = |rows: &[usize]| rows.iter().map(|&i| labels[i]).collect::<Vec<_>>();
            let scores: Vec<f64> = own.iter().map(|&i| scores[i]).collect();
            let q = thresholds_by_class(&scores, &of(&own), None, classes, 0.9).unwrap();
            for &i in &others {
                let set = prediction_set(kind, &q, row(i), u[i]);
                held[labels[i]] += usize::from(set[labels[i]]);
                tested[labels[i]] += 1;
            }
        }
        for k in 0..classes {
            let mean = held[k] as f64 / tested[k] as f64;
            let of_class = tested[k] / SPLITS as usize;
            check_coverage(&format!("{name}, class {k}"), mean, (40, of_class), 0.9);
        }
    }
}

#[test]
fn intervals_cover_as_often_as_they_promise() {
    let (predictor, data) = fitted("concrete.csv", Method::Walk);
    let n = data.n();
    for kind in [Interval::Absolute, Interval::Normalised, Interval::Cqr] {
        let score = ConformalScore::Interval(kind);
        for (level, before) in [(0.9, 100), (0.8, n / 2), (0.95, 19)] {
            // inside is the same as a score up to the threshold: see `regions_are_nested`
            let scores = predictor.conformal_scores(&data, score, level, 0).unwrap();
            let (mut held, mut tested) = (0, 0);
            for split in 0..SPLITS {
                let mut rng = Streams::new(split).rng(Phase::USER, 3);
                let share = (n - before) as f64 / n as f64;
                let Split { train, test } = random_split(n, share, &mut rng).unwrap();
                assert_eq!(train.len(), before);
                let own: Vec<f64> = train.iter().map(|&i| scores[i]).collect();
                let q = threshold(&own, level).unwrap().unwrap_or(f64::INFINITY);
                held += test.iter().filter(|&&i| scores[i] <= q).count();
                tested += test.len();
            }
            let mean = held as f64 / tested as f64;
            check_coverage(&format!("{kind:?}"), mean, (before, n - before), level);
        }
    }
}

pub fn settings(map: CalibrationMap, conformal: Option<ConformalSettings>) -> CalibrationSettings {
    CalibrationSettings {
        share: 0.3,
        map,
        conformal,
    }
}

pub fn calibrated(
    data: &Dataset,
    how: CalibrationSettings,
    options: FitOptions,
) -> FittedModel<f32> {
    let options = FitOptions {
        calibration: Some(how),
        ..options
    };
    fit::<f32>(data, &options, &()).unwrap().model
}

/// A fit that holds rows back is the fit of the others, and its threshold is that of scores of rows
/// that had no part in anything.
#[test]
fn a_fit_holds_rows_back_and_keeps_what_they_say_in_its_file() {
    let data = read("vehicle.csv");
    let how = settings(CalibrationMap::Auto, Some(ConformalSettings::of(0.9)));
    let model = calibrated(&data, how, options(Method::Map));
    let Split { train, test } =
        stratified_split(&data, 0.3, &mut Streams::new(0).rng(Phase::CALIBRATE, 0)).unwrap();
    let rest = data.select(&train).unwrap();
    let plain = fit::<f32>(&rest, &options(Method::Map), &()).unwrap().model;
    assert_eq!(plain.map, model.map);
    assert_eq!(
        (plain.metadata.format_version, model.metadata.format_version),
        (6, 7)
    );
    let held_out = data.select(&test).unwrap();
    let halves = stratified_split(
        &held_out,
        0.5,
        &mut Streams::new(0).rng(Phase::CALIBRATE, 1),
    )
    .unwrap();
    let calibration = model.metadata.calibration.clone().unwrap();
    let conformal = calibration.conformal.clone().unwrap();
    assert_eq!(conformal.rows, halves.test.len());
    let mut map_only = calibration.clone();
    map_only.conformal = None;
    let predictor = plain.predictor(256, 0).unwrap();
    let predictor = predictor.with_calibration(Some(map_only)).unwrap();
    let rows = held_out.select(&halves.test).unwrap();
    let scores = predictor
        .conformal_scores(&rows, conformal.score, 0.9, 0)
        .unwrap();
    assert_eq!(conformal.thresholds, [threshold(&scores, 0.9).unwrap()]);

    let bytes = model.to_bytes().unwrap();
    let loaded = FittedModel::<f32>::from_bytes(&bytes).unwrap();
    assert_eq!(loaded.metadata.calibration, Some(calibration));
    let x = rows.features();
    let regions = |m: &FittedModel<f32>| m.predictor(256, 0).unwrap().conformal(x).unwrap();
    assert_eq!(regions(&model), regions(&loaded));
    let Some(ConformalRegions::Sets { inside, .. }) = regions(&model) else {
        panic!("no sets")
    };
    // in another order the same sets: they depend on the row alone
    let (n, k) = (rows.n(), 4);
    let backwards: Vec<usize> = (0..n).rev().collect();
    let turned = rows.select(&backwards).unwrap();
    let turned = model
        .predictor(256, 0)
        .unwrap()
        .conformal(turned.features())
        .unwrap();
    let Some(ConformalRegions::Sets { inside: turned, .. }) = turned else {
        panic!("no sets")
    };
    for i in 0..n {
        assert_eq!(
            turned[i * k..(i + 1) * k],
            inside[(n - 1 - i) * k..(n - i) * k]
        );
    }
    // an older version would leave the calibration out, so it must not claim to be one
    for (from, to, word) in [
        ("\"format_version\":7", "\"format_version\":6", "version 7"),
        ("\"level\":0.9", "\"level\":1.5", "aps"),
        (
            "\"kind\":\"aps\"",
            "\"kind\":\"raps\",\"lambda\":-1.0,\"k_reg\":1",
            "raps",
        ),
        ("\"temperature\":", "\"temperature\":-", "out of range"),
    ] {
        let edited = with_json(&bytes, |json| {
            assert!(json.contains(from), "{from} is not in {json}");
            json.replacen(from, to, 1)
        });
        let message = AnyModel::from_bytes(&edited).unwrap_err().to_string();
        assert!(message.contains(word), "{message}");
    }
}

#[test]
fn every_map_and_score_goes_through_a_fit() {
    let short = || options(Method::Map);
    let classes = read("breast_cancer.csv");
    let real = read("yacht.csv");
    for map in [
        CalibrationMap::None,
        CalibrationMap::Temperature,
        CalibrationMap::Vector,
        CalibrationMap::Isotonic,
    ] {
        for score in [SetScore::Aps, SetScore::RAPS] {
            let conformal = ConformalSettings {
                score: Some(ConformalScore::Set(score)),
                class_conditional: true,
                ..ConformalSettings::of(0.9)
            };
            let model = calibrated(&classes, settings(map, Some(conformal)), short());
            let found = model.metadata.calibration.unwrap().conformal.unwrap();
            assert_eq!((found.thresholds.len(), found.infinite()), (2, 0));
        }
    }
    for map in [CalibrationMap::None, CalibrationMap::Spread] {
        for kind in [Interval::Absolute, Interval::Normalised, Interval::Cqr] {
            let conformal = ConformalSettings {
                score: Some(ConformalScore::Interval(kind)),
                ..ConformalSettings::of(0.8)
            };
            let model = calibrated(&real, settings(map, Some(conformal)), short());
            let predictor = model.predictor(10, 0).unwrap();
            let Some(ConformalRegions::Intervals(ends)) =
                predictor.conformal(real.features()).unwrap()
            else {
                panic!("no intervals")
            };
            assert!(ends.iter().all(|e| e[0].is_finite() && e[0] <= e[1]));
        }
    }
    // too few rows: said, and every interval is the real line
    let few = real.select(&(0..40).collect::<Vec<_>>()).unwrap();
    let how = settings(CalibrationMap::None, Some(ConformalSettings::of(0.95)));
    let options = FitOptions {
        calibration: Some(how),
        ..short()
    };
    let result = fit::<f32>(&few, &options, &()).unwrap();
    assert!(
        result
            .report
            .to_string()
            .contains("needs 19 rows, and had 12"),
        "{}",
        result.report
    );
    let regions = result
        .model
        .predictor(10, 0)
        .unwrap()
        .conformal(few.features());
    let Some(ConformalRegions::Intervals(ends)) = regions.unwrap() else {
        panic!("no intervals")
    };
    assert!(
        ends.iter()
            .all(|e| *e == [f64::NEG_INFINITY, f64::INFINITY])
    );
    let loaded = AnyModel::from_bytes(&result.model.to_bytes().unwrap()).unwrap();
    let kept = loaded
        .metadata()
        .calibration
        .as_ref()
        .unwrap()
        .conformal
        .clone();
    assert_eq!(kept.map(|c: Conformal| c.infinite()), Some(1));
}

/// CV+ on real rows: every row is scored by a fit without it, the file holds all fits, and the
/// coverage of rows that no fit has seen is what it promises, within 4 binomial errors.
#[test]
fn cross_conformal_fits_keep_all_rows() {
    for (name, scores) in [
        (
            "yacht.csv",
            [Interval::Absolute, Interval::Normalised, Interval::Cqr].map(ConformalScore::Interval),
        ),
        (
            "glass.csv",
            [SetScore::Aps, SetScore::RAPS, SetScore::Aps].map(ConformalScore::Set),
        ),
    ] {
        let data = read(name);
        let mut rng = Streams::new(2).rng(Phase::USER, 0);
        let Split { train, test } = stratified_split(&data, 0.5, &mut rng).unwrap();
        let (train, test) = (data.select(&train).unwrap(), data.select(&test).unwrap());
        for score in scores {
            let conformal = ConformalSettings {
                score: Some(score),
                folds: Some(4),
                ..ConformalSettings::of(0.8)
            };
            let how = settings(CalibrationMap::None, Some(conformal));
            let model = calibrated(&train, how, options(Method::Map));
            let found = model
                .metadata
                .calibration
                .clone()
                .unwrap()
                .conformal
                .unwrap();
            assert_eq!(
                (found.folds.len(), model.metadata.members.len()),
                (train.n(), 4)
            );
            let loaded = AnyModel::from_bytes(&model.to_bytes().unwrap()).unwrap();
            let predictor = loaded.predictor(256, 0).unwrap();
            let regions = predictor.conformal(test.features()).unwrap().unwrap();
            assert_eq!(regions.len(), test.n());
            let held = test.targets().iter().enumerate();
            let held = held.filter(|(i, y)| regions.holds(*i, **y)).count() as f64;
            let (n, m) = (train.n() as f64, test.n() as f64);
            let error = (0.8 * 0.2 * (1.0 / m + 1.0 / n)).sqrt();
            let coverage = held / m;
            assert!(coverage > 0.8 - 4.0 * error, "{name} {score:?}: {coverage}");
            // not by taking everything in
            let sizes: Vec<f64> = (0..test.n()).map(|i| regions.size(i)).collect();
            assert!(sizes.iter().all(|s| s.is_finite() && *s >= 0.0));
            assert!(coverage < 1.0, "{name} {score:?}: {coverage}");
        }
    }
}
