//! Against netcal, scikit-learn, SciPy and MAPIE.
//!
//! `docs/peers/calibration.py` made the numbers in `tests/data/calibration.json`.

use serde_json::Value;

use super::super::conformal::cross::{FoldScore, cv_plus_interval};
use super::super::conformal::{
    Ends, Interval, SetScore, interval, interval_score, set_score, threshold,
};
use super::super::{Isotonic, Labelled, Temperature, VectorScaling};

fn data() -> Value {
    serde_json::from_str(include_str!("../../../tests/data/calibration.json")).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    let all = value.as_array().unwrap();
    all.iter().map(|v| v.as_f64().unwrap()).collect()
}

fn indices(value: &Value) -> Vec<usize> {
    numbers(value).iter().map(|&l| l as usize).collect()
}

#[test]
fn temperature_and_vector_scaling() {
    let case = &data()["classes"];
    let (p, labels) = (numbers(&case["probabilities"]), indices(&case["labels"]));
    let rows = Labelled::new(&p, 4, &labels).unwrap();
    let found = Temperature::fit(&rows, 0.0);
    let scipy = case["temperature"].as_f64().unwrap();
    assert!(
        (found.temperature / scipy - 1.0).abs() < 1e-6,
        "{found:?} {scipy}"
    );
    // netcal stops its search at about 1e-5
    for (row, want) in p.chunks(4).zip(numbers(&case["netcal"]).chunks(4)) {
        let mut row = row.to_vec();
        found.apply(&mut row);
        for (a, b) in row.iter().zip(want) {
            assert!((a - b).abs() < 1e-5, "{a} {b}");
        }
    }
    let vector = VectorScaling::fit(&rows, 0.0).unwrap();
    let want = numbers(&case["vector"]);
    // a constant added to all offsets changes nothing
    let centred = |all: &[f64]| -> Vec<f64> {
        let (slopes, offsets) = all.split_at(4);
        let mean = offsets.iter().sum::<f64>() / 4.0;
        let offsets = offsets.iter().map(|b| b - mean);
        slopes.iter().copied().chain(offsets).collect()
    };
    let found = [&vector.slopes[..], &vector.offsets].concat();
    for (a, b) in centred(&found).iter().zip(centred(&want)) {
        assert!((a - b).abs() < 1e-5, "{vector:?}");
    }
    let nll = rows.nll(|p| vector.apply(p));
    assert!(
        (nll - case["vector_nll"].as_f64().unwrap()).abs() < 1e-5,
        "{nll}"
    );
}

/// Within the bounds on shares, which scikit-learn does not have.
#[test]
fn isotonic_regression() {
    let case = &data()["two"];
    let (p1, labels) = (numbers(&case["p1"]), indices(&case["labels"]));
    let p: Vec<f64> = p1.iter().flat_map(|p| [1.0 - p, *p]).collect();
    let map = Isotonic::pooled(&Labelled::new(&p, 2, &labels).unwrap()).unwrap();
    let least = 1.0 / 302.0;
    for (at, want) in numbers(&case["at"]).into_iter().zip(numbers(&case["map"])) {
        // a share of 0 or 1 also moves the line to the next pool
        let error = if (least..=1.0 - least).contains(&want) {
            1e-9
        } else {
            least
        };
        assert!(
            (map.map(at) - want).abs() <= error,
            "{at}: {} {want}",
            map.map(at)
        );
    }
}

#[test]
fn adaptive_scores() {
    let case = &data()["classes"];
    let (p, labels) = (numbers(&case["probabilities"]), indices(&case["labels"]));
    let rows = p.chunks(4).zip(&labels);
    for ((p, &label), want) in rows.zip(numbers(&case["aps"])) {
        let got = set_score(SetScore::Aps, p, label, 1.0);
        assert!((got - want).abs() < 1e-12, "{got} {want}");
    }
}

#[test]
fn intervals_of_split_cqr_and_cv_plus() {
    let case = &data()["reals"];
    let (mean, half, y) = (
        numbers(&case["mean"]),
        numbers(&case["half"]),
        numbers(&case["y"]),
    );
    let held_out = case["held_out"].as_u64().unwrap() as usize;
    let rows: Vec<Ends> = mean
        .iter()
        .zip(&half)
        .map(|(&mean, h)| Ends {
            mean,
            std: 1.0,
            quantiles: [mean - h, mean + h],
        })
        .collect();
    let (before, after) = rows.split_at(held_out);
    for level in [0.8, 0.9] {
        let expected = &case[level.to_string()];
        for (kind, name) in [(Interval::Absolute, "absolute"), (Interval::Cqr, "cqr")] {
            let scores = before
                .iter()
                .zip(&y)
                .map(|(row, &y)| interval_score(kind, row, y));
            let q = threshold(&scores.collect::<Vec<_>>(), level).unwrap();
            for (row, want) in after.iter().zip(expected[name].as_array().unwrap()) {
                for (a, b) in interval(kind, row, q).iter().zip(numbers(want)) {
                    assert!((a - b).abs() < 1e-12, "{name} {level}: {a} {b}");
                }
            }
        }
        let scores: Vec<FoldScore> = indices(&case["folds"])
            .into_iter()
            .zip(numbers(&case["residuals"]))
            .map(|(fold, score)| FoldScore { fold, score })
            .collect();
        let folds: Vec<Vec<f64>> = case["fold_means"]
            .as_array()
            .unwrap()
            .iter()
            .map(numbers)
            .collect();
        for (i, want) in expected["plus"].as_array().unwrap().iter().enumerate() {
            let of_row: Vec<Ends> = folds
                .iter()
                .map(|means| Ends {
                    mean: means[i],
                    std: 1.0,
                    quantiles: [0.0; 2],
                })
                .collect();
            let got = cv_plus_interval(Interval::Absolute, &of_row, &scores, level).unwrap();
            for (a, b) in got.iter().zip(numbers(want)) {
                assert!((a - b).abs() < 1e-9, "cv+ {level}: {a} {b}");
            }
        }
    }
}
