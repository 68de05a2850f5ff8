//! Calibrated models: draws that follow the map, rows that count by their weights, ties.

use fiberwalk::artifact::{Calibration, ConformalScore, Predictions};
use fiberwalk::calibrate::conformal::{Interval, threshold, weighted_threshold};
use fiberwalk::calibrate::{Recalibration, Temperature, VectorScaling};
use fiberwalk::data::{Dataset, Split, random_split, stratified_split};
use fiberwalk::pipeline::{
    CalibrationMap, ClassWeights, ConformalSettings, FitOptions, Method, fit,
};
use fiberwalk::predict::DrawOptions;
use fiberwalk::rng::Phase;
use fiberwalk::{Error, Streams};

use crate::conformal::{SPLITS, calibrated, check_coverage, fitted, options, read, settings};

/// Labels that are drawn occur with the calibrated probabilities (chi-square), probabilities that
/// are drawn average to them, and the draws of a row do not depend on the rows beside it.
#[test]
fn draws_of_classes_follow_the_map() {
    let (predictor, data) = fitted("vehicle.csv", Method::Walk);
    let x = &data.features()[..6 * data.d()];
    let vector = VectorScaling {
        slopes: vec![0.3, 1.5, 0.7, 1.0],
        offsets: vec![0.5, -1.0, 0.0, 1.0],
    };
    let maps = [
        Recalibration::Temperature(Temperature { temperature: 4.0 }),
        Recalibration::Vector(vector),
    ];
    let mut predictor = predictor;
    for map in maps {
        let calibration = Calibration {
            recalibration: Some(map),
            conformal: None,
        };
        predictor = predictor.with_calibration(Some(calibration)).unwrap();
        let Predictions::Classes(q) = predictor.rows(x).unwrap() else {
            panic!("numbers")
        };
        let how = DrawOptions {
            count: 20_000,
            ..DrawOptions::default()
        };
        let labels = predictor.draws(x, &how).unwrap();
        let means = DrawOptions {
            noise: false,
            ..how
        };
        let plain = predictor.draws(x, &means).unwrap();
        assert_eq!((labels.width, plain.width), (1, 4));
        for row in 0..6 {
            let q = &q.probabilities[row * 4..row * 4 + 4];
            let (mut chi_square, mut others) = (0.0, (0.0, 0.0));
            for (k, &q) in q.iter().enumerate() {
                let drawn = labels.row(row).iter().filter(|y| **y == k as f64).count() as f64;
                let each = plain.row(row).iter().skip(k).step_by(4);
                let mean = each.sum::<f64>() / 20_000.0;
                // a mean of numbers in [0, 1]: a deviation of at most sqrt(q (1 - q))
                let error = (q * (1.0 - q) / 20_000.0).sqrt();
                assert!((mean - q).abs() < 5.0 * error + 1e-12, "{mean} {q}");
                // classes that are hardly expected are one cell
                match 20_000.0 * q {
                    expected if expected >= 10.0 => {
                        chi_square += (drawn - expected).powi(2) / expected;
                    }
                    expected => others = (others.0 + drawn, others.1 + expected),
                }
            }
            // 3 degrees of freedom: exceeded with probability 1e-5
            assert!(chi_square < 25.9, "row {row}: {chi_square}");
            assert!(
                others.0 < others.1 + 6.0 * others.1.sqrt() + 8.0,
                "{others:?}"
            );
        }
        let part = DrawOptions {
            count: 50,
            first_row: 4,
            ..how
        };
        let alone = predictor.draws(&x[4 * data.d()..], &part).unwrap();
        assert_eq!(alone.row(0), &labels.row(4)[..50]);
    }
}

fn weighted(data: Dataset) -> Dataset {
    let weights = (0..data.n()).map(|i| [1.0, 3.0, 0.5][i % 3]).collect();
    data.with_weights("times", weights).unwrap()
}

/// The held-out rows count by their weights, in the map and in the threshold. Nothing else differs
/// from a fit by hand.
#[test]
fn held_out_rows_count_by_their_weights() {
    for (name, balanced) in [
        ("yacht.csv", false),
        ("glass.csv", false),
        ("glass.csv", true),
    ] {
        let data = match balanced {
            true => read(name),
            false => weighted(read(name)),
        };
        let class_weights = match balanced {
            true => ClassWeights::Balanced,
            false => ClassWeights::None,
        };
        let short = || FitOptions {
            class_weights,
            ..options(Method::Map)
        };
        let how = settings(CalibrationMap::None, Some(ConformalSettings::of(0.8)));
        let model = calibrated(&data, how, short());
        let found = model
            .metadata
            .calibration
            .clone()
            .unwrap()
            .conformal
            .unwrap();
        let mut rng = Streams::new(0).rng(Phase::CALIBRATE, 0);
        let Split { train, test } = stratified_split(&data, 0.3, &mut rng).unwrap();
        let plain = fit::<f32>(&data.select(&train).unwrap(), &short(), &())
            .unwrap()
            .model;
        let rows = data.select(&test).unwrap();
        let scores = plain.predictor(256, 0).unwrap();
        let scores = scores.conformal_scores(&rows, found.score, 0.8, 0).unwrap();
        let weights: Vec<f64> = match (data.weights(), data.labels()) {
            (Some(weights), _) => test.iter().map(|&i| weights[i]).collect(),
            (None, labels) => {
                let (labels, counts) = (labels.unwrap(), data.class_counts());
                let occur = counts.iter().filter(|c| **c > 0).count() as f64;
                let share = |label: usize| data.n() as f64 / (occur * counts[label] as f64);
                test.iter().map(|&i| share(labels[i])).collect()
            }
        };
        let want = weighted_threshold(&scores, Some(&weights), 0.8).unwrap();
        assert_eq!(found.thresholds, [want], "{name}");
        // a map: the fit says that weights count
        let options = FitOptions {
            calibration: Some(settings(CalibrationMap::Auto, None)),
            ..short()
        };
        let report = fit::<f32>(&data, &options, &()).unwrap().report.to_string();
        assert!(report.contains("each counts by its weight"), "{report}");
        // folds have no weights
        let folds = ConformalSettings {
            folds: Some(3),
            ..ConformalSettings::of(0.8)
        };
        let options = FitOptions {
            calibration: Some(settings(CalibrationMap::None, Some(folds))),
            ..short()
        };
        let error: Error = fit::<f32>(&data, &options, &()).err().unwrap();
        assert!(error.to_string().contains("count alike"), "{error}");
    }
}

/// The losses of a stretch are sums by weights: those of weight 2 are those of the row twice.
#[test]
fn losses_of_a_stretch_count_by_weights() {
    for method in [Method::Walk, Method::Atlas] {
        let (predictor, data) = fitted("yacht.csv", method);
        let weights: Vec<f64> = (0..data.n()).map(|i| (i % 3) as f64).collect();
        let order: Vec<usize> = (0..data.n()).flat_map(|i| vec![i; i % 3]).collect();
        let repeated = data.select(&order).unwrap();
        let weighted = data.clone().with_weights("times", weights).unwrap();
        let factors = [0.5, 1.0, 3.0];
        let got = predictor.stretched_losses(&weighted, &factors).unwrap();
        let want = predictor.stretched_losses(&repeated, &factors).unwrap();
        for (got, want) in got.iter().zip(want) {
            assert!((got / want - 1.0).abs() < 1e-9, "{method}: {got} {want}");
        }
    }
}

/// The promise, from predictions that were scored, is that of the regions themselves.
#[test]
fn a_promise_is_of_the_regions() {
    let data = read("yacht.csv");
    for (kind, level) in [
        (Interval::Absolute, 0.8),
        (Interval::Normalised, 0.8),
        (Interval::Cqr, 0.8),
        (Interval::Cqr, 0.9),
    ] {
        let conformal = ConformalSettings {
            score: Some(ConformalScore::Interval(kind)),
            ..ConformalSettings::of(level)
        };
        let how = settings(CalibrationMap::Auto, Some(conformal));
        let predictor = calibrated(&data, how, options(Method::Walk))
            .predictor(30, 0)
            .unwrap();
        let scored = predictor.score_rows(&data).unwrap();
        let promise = predictor.promise(&data, &scored).unwrap().unwrap();
        let regions = predictor.conformal(data.features()).unwrap().unwrap();
        let n = data.n() as f64;
        let held = data.targets().iter().enumerate();
        let held = held.filter(|(i, y)| regions.holds(*i, **y)).count() as f64;
        // rounding may move the end at the row that is the threshold
        assert!((promise.coverage - held / n).abs() < 1.5 / n, "{kind:?}");
        let size = (0..data.n()).map(|i| regions.size(i)).sum::<f64>() / n;
        assert!(
            (promise.size.unwrap() / size - 1.0).abs() < 1e-5,
            "{kind:?}"
        );
    }
}

/// Scores with many exact ties, and 18 to 20 rows at 95 %: 18 are too few, so everything is inside.
/// Else ties only add to the coverage: on each split, what is inside without them is inside.
#[test]
fn ties_and_few_rows_keep_the_promise() {
    let (predictor, data) = fitted("concrete.csv", Method::Walk);
    let n = data.n();
    let score = ConformalScore::Interval(Interval::Normalised);
    let scores = predictor.conformal_scores(&data, score, 0.95, 0).unwrap();
    // halves of a standard deviation: about eight values
    let tied: Vec<f64> = scores.iter().map(|s| (2.0 * s).round() / 2.0).collect();
    let mut values = tied.clone();
    values.sort_by(f64::total_cmp);
    values.dedup();
    assert!(values.len() < 20, "{values:?}");
    for before in [18, 19, 20, 100] {
        let (mut held, mut tested) = ([0, 0], 0);
        for split in 0..SPLITS {
            let mut rng = Streams::new(split).rng(Phase::USER, 4);
            let share = (n - before) as f64 / n as f64;
            let Split { train, test } = random_split(n, share, &mut rng).unwrap();
            assert_eq!(train.len(), before);
            let q = |scores: &[f64]| {
                let own: Vec<f64> = train.iter().map(|&i| scores[i]).collect();
                threshold(&own, 0.95).unwrap().unwrap_or(f64::INFINITY)
            };
            let (plain, even) = (q(&scores), q(&tied));
            for &i in &test {
                let inside = [scores[i] <= plain, tied[i] <= even];
                assert!(inside[1] || !inside[0]);
                held[0] += usize::from(inside[0]);
                held[1] += usize::from(inside[1]);
            }
            tested += test.len();
        }
        let [plain, even] = held.map(|held| held as f64 / tested as f64);
        match before {
            18 => assert_eq!((plain, even), (1.0, 1.0)),
            _ => check_coverage("without ties", plain, (before, n - before), 0.95),
        }
        // of 19 rows the mean over splits has an error of 0.0015
        assert!(even >= plain && even > 0.95 - 6e-3, "{before}: {even}");
    }
}
