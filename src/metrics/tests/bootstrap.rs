use super::*;
use crate::metrics::{Detector, PairedDifference, weighted_mean};
use crate::rng::fill_normal;
use approx::assert_relative_eq;

fn mean_of(values: &[f64]) -> impl Fn(&[f64]) -> f64 + Sync {
    |w: &[f64]| weighted_mean(values, Some(w)).unwrap_or(f64::NAN)
}

fn few(seed: u64) -> Bootstrap {
    let replicates = 400;
    Bootstrap {
        replicates,
        seed,
        ..Bootstrap::default()
    }
}

fn normals(n: usize, seed: u64) -> Vec<f64> {
    let mut values = vec![0.0; n];
    fill_normal(&mut Streams::new(seed).rng(Phase::USER, 0), &mut values);
    values
}

/// The exact distribution of the replicates of three rows: 27 draws, each as likely.
#[test]
fn the_standard_error_is_that_of_all_draws() {
    let values = [0.0, 1.0, 5.0];
    let bootstrap = Bootstrap {
        replicates: 20_000,
        ..Bootstrap::default()
    };
    let found = bootstrap
        .interval(3, IntervalKind::BiasCorrected, mean_of(&values))
        .unwrap()
        .unwrap();
    // the variance of the mean of 3 draws with variance 14/3 is 14/9
    // the relative error of a deviation from 20,000 draws is about 0.5 %; 5 of these
    assert_relative_eq!(found.error, (14.0f64 / 9.0).sqrt(), max_relative = 0.025);
    // the mean of all 27 ranges over 0 to 5
    assert!(found.lower >= 0.0 && found.upper <= 5.0);
}

#[test]
fn the_same_seed_gives_the_same_bits_for_any_number_of_threads() {
    let values = normals(30, 1);
    let of = |threads: usize, seed: u64| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| {
            few(seed)
                .interval(30, IntervalKind::BiasCorrected, mean_of(&values))
                .unwrap()
        })
    };
    assert_eq!(of(1, 3), of(2, 3));
    assert_eq!(of(1, 3), of(5, 3));
    assert_ne!(of(1, 3), of(1, 4));
}

/// How many of `trials` intervals hold `truth`.
fn held(trials: u64, truth: f64, interval: impl Fn(u64) -> Option<Interval>) -> f64 {
    let inside = (0..trials).filter(|&t| {
        let found = interval(t);
        found.is_some_and(|i| i.lower <= truth && truth <= i.upper)
    });
    inside.count() as f64 / trials as f64
}

/// The square of a normal is as skewed as log losses are. With 300 intervals of level 0.9, the
/// standard deviation of the share that holds the truth is 0.017.
#[test]
fn intervals_of_a_skewed_mean_hold_the_truth_as_often_as_they_say() {
    let share = held(300, 1.0, |t| {
        let values: Vec<f64> = normals(60, 100 + t).iter().map(|z| z * z).collect();
        few(t)
            .interval(60, IntervalKind::BiasCorrected, mean_of(&values))
            .unwrap()
    });
    // the intervals are a little short for 60 rows (second-order correct)
    assert!(
        (0.9 - 0.03 - 4.0 * 0.017..=0.9 + 4.0 * 0.017).contains(&share),
        "{share}"
    );
}

#[test]
fn intervals_of_areas_and_of_paired_differences_hold_the_truth() {
    // shifted by 1: the area is Phi(1 / sqrt 2)
    let truth = crate::special::normal_cdf(std::f64::consts::FRAC_1_SQRT_2);
    let positive: Vec<bool> = (0..60).map(|i| i < 25).collect();
    let share = held(200, truth, |t| {
        let mut values = normals(60, 500 + t);
        values[..25].iter_mut().for_each(|v| *v += 1.0);
        let detector = Detector::new(&values, &positive).unwrap();
        let area = |w: &[f64]| vec![detector.auroc(Some(w)).unwrap().unwrap_or(f64::NAN)];
        // two samples of known sizes
        let kinds = [IntervalKind::BiasCorrected];
        few(t).intervals(&[25, 35], None, &kinds, area).unwrap()[0]
    });
    // standard deviation 0.021
    assert!(
        (0.9 - 0.03 - 4.0 * 0.021..=0.9 + 4.0 * 0.021).contains(&share),
        "{share}"
    );
    // two models that fail on the same rows: their difference is known well
    let (common, own) = (normals(200, 7), normals(200, 8));
    let a: Vec<f64> = common.iter().map(|c| 5.0 * c).collect();
    let b: Vec<f64> = a
        .iter()
        .zip(&own)
        .map(|(a, o)| a - 0.1 - 0.01 * o)
        .collect();
    let difference = |w: &[f64]| mean_of(&a)(w) - mean_of(&b)(w);
    let found = few(0)
        .interval(200, IntervalKind::BiasCorrected, difference)
        .unwrap()
        .unwrap();
    let formula = PairedDifference::new(&a, &b, None).unwrap();
    // 400 replicates: the deviation is known to 3.5 %
    assert_relative_eq!(found.error, formula.error.unwrap(), max_relative = 0.15);
    assert!(found.lower > 0.09 && found.upper < 0.11);
}

/// The distance of a mean from 0, whose truth is 0: percentiles would never hold it. The standard
/// deviation of the share is 0.03.
#[test]
fn the_basic_interval_of_a_distance_reaches_the_perfect_model() {
    let interval = |kind| {
        move |t: u64| {
            let values = normals(40, 900 + t);
            let norm = move |w: &[f64]| mean_of(&values)(w).abs();
            few(t).interval(40, kind, norm).unwrap()
        }
    };
    assert!(held(100, 0.0, interval(IntervalKind::Basic)) > 0.9 - 4.0 * 0.03);
    assert_eq!(held(100, 0.0, interval(IntervalKind::BiasCorrected)), 0.0);
}

#[test]
fn rows_that_cannot_tell_have_no_interval() {
    let none = |rows: usize, score: &(dyn Fn(&[f64]) -> f64 + Sync)| {
        let found = few(0)
            .interval(rows, IntervalKind::BiasCorrected, score)
            .unwrap();
        assert_eq!(found, None);
    };
    none(1, &mean_of(&[3.0]));
    none(5, &mean_of(&[1.0; 5]));
    none(5, &|_| f64::NAN);
    none(2, &mean_of(&[1.0, f64::INFINITY]));
    // not defined where the first row was not drawn, in about a third of the replicates
    let values = [1.0, 2.0, 3.0, 4.0];
    none(4, &|w| {
        if w[0] > 0.0 {
            mean_of(&values)(w)
        } else {
            f64::NAN
        }
    });
}

#[test]
fn weights_of_rows_are_multiplied_by_the_counts() {
    let values = [1.0, 2.0, 9.0, 4.0];
    let weights = [1.0, 2.0, 0.0, 0.5];
    let kinds = [IntervalKind::BiasCorrected];
    let score = |w: &[f64]| {
        assert_eq!(w[2], 0.0);
        // counts times weights
        assert_eq!((w[1] / 2.0).fract(), 0.0);
        vec![mean_of(&values)(w)]
    };
    let found = few(0)
        .intervals(&[4], Some(&weights), &kinds, score)
        .unwrap()[0]
        .unwrap();
    assert!(found.lower >= 1.0 && found.upper <= 4.0);
}

#[test]
fn what_does_not_fit_is_refused() {
    let run = |bootstrap: Bootstrap, rows: usize| {
        let found = bootstrap.interval(rows, IntervalKind::Basic, |_| 0.0);
        found.unwrap_err().to_string()
    };
    assert!(
        run(
            Bootstrap {
                replicates: 19,
                ..Bootstrap::default()
            },
            3
        )
        .contains("from 20 to 100000")
    );
    for level in [0.0, 1.0, f64::NAN] {
        assert!(
            run(
                Bootstrap {
                    level,
                    ..Bootstrap::default()
                },
                3
            )
            .contains("between 0 and 1")
        );
    }
    assert!(run(Bootstrap::default(), 0).contains("at least 1 row"));
    let kinds = [IntervalKind::Basic; 2];
    assert!(few(0).intervals(&[3], None, &kinds, |_| vec![1.0]).is_err());
    assert!(
        few(0)
            .intervals(&[3], Some(&[1.0]), &kinds, |_| vec![1.0; 2])
            .is_err()
    );
}

#[test]
fn quantiles_and_corrections_by_hand() {
    let values = [1.0, 2.0, 3.0, 4.0];
    assert_eq!(
        [0.0, 0.2, 0.5, 0.7, 1.0].map(|p| quantile(&values, p)),
        [1.0, 1.0, 2.5, 3.5, 4.0]
    );
    assert_eq!(bias(&values, 2.5), 0.0);
    assert_eq!(bias(&values, 2.0), normal_quantile(0.375));
    assert!(bias(&values, 0.0).is_finite() && bias(&values, 9.0).is_finite());
    // influences 2, -1, -1: 6 / (6 * 6^1.5)
    assert_relative_eq!(
        acceleration(&[-2.0, 1.0, 1.0]),
        6f64.powf(-1.5),
        epsilon = 1e-15
    );
    assert_eq!(acceleration(&[]), 0.0);
    assert_eq!(acceleration(&[1.0, 1.0]), 0.0);
}

/// Scores whose squares leave the range of numbers have an interval without NaN, or none.
#[test]
fn huge_scores_have_finite_intervals_or_none() {
    let how = Bootstrap {
        replicates: 200,
        ..Bootstrap::default()
    };
    let mean_of = |unit: f64| {
        move |w: &[f64]| {
            let total: f64 = w.iter().sum();
            let parts = w
                .iter()
                .enumerate()
                .map(|(i, w)| w / total * (i * i) as f64);
            unit * parts.sum::<f64>()
        }
    };
    let interval = |unit| {
        let kind = IntervalKind::BiasCorrected;
        how.interval(12, kind, mean_of(unit)).unwrap()
    };
    // the ends scale with the score: the acceleration does not depend on the unit, which is a power
    // of two so that no rounding tells replicates apart
    let unit = 2.0f64.powi(430);
    let (one, large) = (interval(1.0).unwrap(), interval(unit).unwrap());
    for (a, b) in [(one.lower, large.lower), (one.upper, large.upper)] {
        assert!((a - b / unit).abs() < 1e-12 * a.abs(), "{a} and {b}");
    }
    // the squares of the replicates overflow, so the error is not known
    assert_eq!(interval(1e300), None);
}
