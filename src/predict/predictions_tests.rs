use super::*;
use crate::error::Column;
use crate::predict::{GaussianMixture, RegressionPredictions};

fn outputs(rows: usize, samples: usize, width: usize, values: &[f64]) -> Outputs {
    Outputs {
        rows,
        samples,
        width,
        values: values.to_vec(),
    }
}

#[test]
fn two_samples_that_disagree_are_all_epistemic() {
    let sure = 800.0;
    let logits = outputs(2, 2, 2, &[sure, 0.0, 0.0, sure, 0.0, 0.0, 0.0, 0.0]);
    let mut predictions = ClassPredictions::empty(2);
    predictions.extend(&logits).unwrap();
    assert_eq!(predictions.probabilities, [0.5; 4]);
    let ln2 = 2f64.ln();
    assert!((predictions.entropy[0] - ln2).abs() < 1e-15);
    assert!((predictions.mutual_information[0] - ln2).abs() < 1e-15);
    // two samples agree that it is a coin flip: all uncertainty is aleatoric
    assert!((predictions.entropy[1] - ln2).abs() < 1e-15);
    assert!(predictions.mutual_information[1] < 1e-15);
}

#[test]
fn logits_that_are_no_numbers_are_refused_and_add_nothing() {
    let mut predictions = ClassPredictions::empty(2);
    let good = outputs(1, 1, 2, &[1.0, 0.0]);
    predictions.extend(&good).unwrap();
    let before = predictions.clone();
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        // in the last of two rows: the first could have been added before the check
        let logits = outputs(2, 1, 2, &[1.0, 0.0, 0.0, bad]);
        let error = predictions.extend(&logits).unwrap_err();
        let named = matches!(
            error,
            Error::NonFiniteData {
                row: 1,
                column: Column::Output {
                    sample: 0,
                    output: 1
                },
                ..
            }
        );
        assert!(named, "{bad}: {error}");
        assert_eq!(predictions, before);
    }
    // the mean of no samples is NaN
    assert!(predictions.extend(&outputs(1, 0, 2, &[])).is_err());
    assert!(
        predictions.extend(&outputs(2, 1, 2, &[1.0, 0.0])).is_err(),
        "a row is missing"
    );
    assert!(
        ClassPredictions::empty(0)
            .extend(&outputs(1, 1, 0, &[]))
            .is_err()
    );
    assert_eq!(predictions, before);
    // the largest finite logits are fine
    let far = outputs(1, 1, 2, &[f64::MAX, f64::MIN]);
    predictions.extend(&far).unwrap();
    assert_eq!(predictions.probabilities[2..], [1.0, 0.0]);
}

#[test]
fn certainty_is_zero_without_a_sign() {
    let mut predictions = ClassPredictions::empty(2);
    let sure = [800.0, 0.0, 800.0, 0.0];
    predictions.extend(&outputs(1, 2, 2, &sure)).unwrap();
    predictions.extend(&outputs(2, 1, 2, &sure)).unwrap();
    let numbers = predictions
        .entropy
        .iter()
        .chain(&predictions.mutual_information);
    for number in numbers {
        assert_eq!(number.to_string(), "0");
    }
}

#[test]
fn real_predictions_that_are_no_numbers_are_refused() {
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e308] {
        // the last one overflows in the target's units
        let new = RegressionPredictions::new(&outputs(1, 2, 1, &[0.0, bad]), 0.5, 0.0, 10.0);
        let named = matches!(
            new,
            Err(Error::NonFiniteData {
                row: 0,
                column: Column::Output { sample: 1, .. },
                ..
            })
        );
        assert!(named, "{bad}: {new:?}");
    }
    // squares would overflow, and an infinity minus an infinity once passed for 0
    let wide = RegressionPredictions {
        samples: 2,
        means: vec![0.0, 1.0],
        noise_std: 1e200,
        noise_stds: Vec::new(),
        component_stds: Vec::new(),
    };
    let moments = wide.summaries(&[0.05, 0.95]).unwrap().moments[0];
    assert_eq!(moments.std, 1e200);
    // beside such a noise, a half is as good as nothing
    assert!((0.0..=0.5).contains(&moments.epistemic_std), "{moments:?}");
    let apart = RegressionPredictions {
        means: vec![0.0, 0.0, 1e308, -1e308],
        noise_std: 1.0,
        ..wide
    };
    let error = apart.summaries(&[0.05, 0.95]).unwrap_err();
    assert!(
        matches!(error, Error::NonFiniteData { row: 1, .. }),
        "{error}"
    );
}

#[test]
fn regression_goes_back_to_the_targets_units() {
    let predictions =
        RegressionPredictions::new(&outputs(1, 2, 1, &[-1.0, 1.0]), 0.5, 10.0, 4.0).unwrap();
    assert_eq!(predictions.means, [6.0, 14.0]);
    let rows = predictions.summaries(&[0.05, 0.95]).unwrap();
    let summary = rows.moments[0];
    assert_eq!(summary.mean, 10.0);
    assert!((summary.epistemic_std - 4.0).abs() < 1e-12);
    assert!((summary.std - 20f64.sqrt()).abs() < 1e-12);
    // symmetric mixture: quantiles mirror one another, each within 1e-6 deviations
    let ends = rows.quantiles_of(0);
    assert!((ends[0] + ends[1] - 20.0).abs() < 2e-6 * summary.std);
}

/// Total variance minus noise would be rounded to the spacing of doubles near the noise.
#[test]
fn an_epistemic_deviation_far_below_the_noise_is_not_lost() {
    let small = 5e-10;
    let apart = RegressionPredictions {
        samples: 2,
        means: vec![3.0 - small, 3.0 + small],
        noise_std: 1.0,
        noise_stds: Vec::new(),
        component_stds: Vec::new(),
    };
    // means near 3 are 4.4e-16 apart
    let spread = apart.summaries(&[]).unwrap().moments[0].epistemic_std;
    assert!((spread / small - 1.0).abs() < 1e-6, "{spread:e}");
    let wide = RegressionPredictions {
        means: vec![3.0; 2],
        component_stds: vec![small; 2],
        ..apart
    };
    let spread = wide.summaries(&[]).unwrap().moments[0].epistemic_std;
    assert!((spread / small - 1.0).abs() < 1e-12, "{spread:e}");
}

#[test]
fn analytic_components_carry_their_own_variance() {
    let means = outputs(2, 2, 1, &[-1.0, 1.0, 0.0, 0.0]);
    let stds = [0.5, 1.0, 0.0, 2.0];
    let p = RegressionPredictions::analytic(&means, &stds, 0.5, 10.0, 4.0).unwrap();
    assert_eq!((p.means[0], p.noise_std), (6.0, 2.0));
    assert_eq!(p.component_stds, [2.0, 4.0, 0.0, 8.0]);
    let total = p.total_stds().unwrap().unwrap();
    for (std, square) in total.iter().zip([8.0f64, 20.0, 4.0, 68.0]) {
        assert!((std * std - square).abs() < 1e-12);
    }
    let all = p.summaries(&[0.05, 0.95]).unwrap();
    let rows = &all.moments;
    // row 0: means 6 and 14, their own variances 4 and 16, noise 4
    assert!((rows[0].epistemic_std.powi(2) - (16.0 + 10.0)).abs() < 1e-12);
    assert!((rows[0].std.powi(2) - 30.0).abs() < 1e-12);
    // row 1: no spread of means, variances 0 and 64; symmetric
    assert!((rows[1].epistemic_std.powi(2) - 32.0).abs() < 1e-12);
    for (row, moments) in rows.iter().enumerate() {
        let ends = all.quantiles_of(row);
        let tolerance = 1e-6 * moments.std;
        let at = 2 * row..2 * row + 2;
        let mixture = GaussianMixture::with_stds(&p.means[at.clone()], &total[at]).unwrap();
        let exact = [0.05, 0.95].map(|p| mixture.quantile(p).unwrap());
        for (got, want) in ends.iter().zip(exact) {
            assert!((mixture.cdf(want) - mixture.cdf(*got)).abs() < 1e-6);
            assert!((got - want).abs() <= tolerance, "{got} {want}");
        }
    }
}

#[test]
fn exact_components_are_those_of_plain_predictions() {
    let means = outputs(2, 3, 1, &[-1.0, 0.2, 1.0, 4.0, 3.0, 0.1]);
    let plain = RegressionPredictions::new(&means, 0.3, -2.0, 3.0).unwrap();
    let exact = RegressionPredictions::analytic(&means, &[0.0; 6], 0.3, -2.0, 3.0).unwrap();
    assert_eq!(plain.total_stds().unwrap(), None);
    assert_eq!(plain.means, exact.means);
    let both = plain.summaries(&[0.05, 0.95]).unwrap();
    let exact = exact.summaries(&[0.05, 0.95]).unwrap();
    for (a, b) in both.moments.iter().zip(&exact.moments) {
        assert!((a.mean - b.mean).abs() < 1e-12 && (a.std - b.std).abs() < 1e-12);
        assert!((a.epistemic_std - b.epistemic_std).abs() < 1e-12);
    }
    for (a, b) in both.quantiles.iter().zip(&exact.quantiles) {
        assert!((a - b).abs() < 1e-9);
    }
}

#[test]
fn deviations_that_are_none_are_refused() {
    let means = outputs(1, 2, 1, &[0.0, 1.0]);
    let analytic = |stds: &[f64], noise| {
        RegressionPredictions::analytic(&means, stds, noise, 0.0, 1.0).map(|_| ())
    };
    assert!(analytic(&[0.0, 1.0], 1.0).is_ok());
    for stds in [&[][..], &[1.0], &[1.0, -1.0], &[f64::NAN, 1.0]] {
        assert!(analytic(stds, 1.0).is_err(), "{stds:?}");
    }
    // the square of a negative noise looks like that of a positive one
    for noise in [-1.0, 0.0, f64::NAN, f64::INFINITY] {
        assert!(analytic(&[1.0, 1.0], noise).is_err(), "{noise}");
    }
    let wide = outputs(1, 1, 2, &[0.0, 1.0]);
    assert!(RegressionPredictions::analytic(&wide, &[1.0; 2], 1.0, 0.0, 1.0).is_err());
}

/// The law of total variance with one noise per sample, and the mixture it stands for.
#[test]
fn samples_may_have_a_noise_each() {
    let means = outputs(2, 2, 1, &[-1.0, 1.0, 0.5, 0.5]);
    let p = RegressionPredictions::with_noise_stds(&means, &[0.1, 0.7], 10.0, 4.0).unwrap();
    assert!((p.noise_std.powi(2) - 16.0 * 0.25).abs() < 1e-12);
    let total = p.total_stds().unwrap().unwrap();
    for (got, want) in total.iter().zip([0.4, 2.8, 0.4, 2.8]) {
        assert!((got - want).abs() < 1e-12);
    }
    let all = p.summaries(&[0.05]).unwrap();
    let rows = &all.moments;
    assert!((rows[0].epistemic_std - 4.0).abs() < 1e-9);
    assert!(rows[1].epistemic_std < 1e-6 && (rows[1].std - 2.0).abs() < 1e-12);
    let mixture = GaussianMixture::with_stds(&p.means[..2], &total[..2]).unwrap();
    let miss = all.quantiles[0] - mixture.quantile(0.05).unwrap();
    assert!(miss.abs() <= 1e-6 * rows[0].std);
    let bad = |stds: &[f64]| RegressionPredictions::with_noise_stds(&means, stds, 0.0, 1.0);
    for stds in [&[0.1][..], &[0.1, 0.0], &[0.1, f64::NAN], &[0.1, 0.2, 0.3]] {
        assert!(bad(stds).is_err(), "{stds:?}");
    }
}

#[test]
fn an_entropy_is_never_below_zero() {
    for p in [&[1.0][..], &[1.0 + f64::EPSILON, 0.0], &[]] {
        let found = entropy(p);
        assert!(found == 0.0 && found.is_sign_positive(), "{p:?}: {found}");
    }
}
