use super::*;
use crate::metrics::weighted_mean;
use approx::assert_relative_eq;

fn classes() -> ScoredRows {
    ScoredRows::Classes {
        predictions: ClassPredictions {
            classes: 3,
            probabilities: vec![0.7, 0.2, 0.1, 0.3, 0.3, 0.4, 0.0, 1.0, 0.0],
            entropy: vec![0.8, 1.1, 0.0],
            mutual_information: vec![0.1, 0.0, 0.0],
            aleatoric_entropy: vec![0.7, 1.1, 0.0],
        },
        labels: vec![0, 1, 1],
        weights: None,
    }
}

fn reals() -> ScoredRows {
    let (means, stds) = ([0.0, 1.0, 2.0], [1.0, 2.0, 0.5]);
    ScoredRows::Real(RealRows::of_mixtures(&means, 1, &stds[..], &[0.5, -1.0, 2.5]).unwrap())
}

/// The means of the losses are the scores of the same names, with weights too.
#[test]
fn losses_are_the_scores_row_by_row() {
    let weights = [1.0, 0.5, 3.0];
    for rows in [classes(), reals()] {
        for rows in [rows.clone(), rows.weighted(&weights).unwrap()] {
            let scores = rows.scores().unwrap();
            assert_eq!(scores.rows(), 3);
            let named = scores.named();
            assert_eq!(named[0], ("nll", scores.nll()));
            for (name, losses) in rows.losses().unwrap() {
                let mean = weighted_mean(&losses, rows.weights()).unwrap();
                let score = named.iter().find(|s| s.0 == name).unwrap().1;
                assert_relative_eq!(mean, score, max_relative = 1e-14);
            }
            let intervals = rows.intervals(&Bootstrap::default()).unwrap();
            assert!(intervals.iter().map(|i| i.0).eq(named.iter().map(|s| s.0)));
        }
    }
    assert!(classes().weighted(&[1.0]).is_err() && reals().weighted(&[0.0; 3]).is_err());
}

#[test]
fn uncertainties_are_higher_where_the_model_is_less_sure() {
    let all = classes().uncertainties();
    let names: Vec<&str> = all.iter().map(|u| u.0).collect();
    assert_eq!(names, ["entropy", "mutual_information", "top_probability"]);
    for (doubt, expected) in all[2].1.iter().zip([0.3, 0.6, 0.0]) {
        assert_relative_eq!(*doubt, expected, epsilon = 1e-15);
    }
    assert_eq!(all[0].1, [0.8, 1.1, 0.0]);
    assert_eq!(reals().uncertainties(), [("std", vec![1.0, 2.0, 0.5])]);
}
