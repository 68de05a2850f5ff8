use super::super::weighted_mean;
use super::*;
use approx::assert_relative_eq;
use proptest::prelude::*;
use std::f64::consts::PI;

fn mean(values: Result<Vec<f64>>) -> f64 {
    weighted_mean(&values.unwrap(), None).unwrap()
}

#[test]
fn rmse_by_hand() {
    assert_relative_eq!(
        rmse(&[1.0, 2.0], &[4.0, 6.0], None).unwrap(),
        12.5f64.sqrt()
    );
    let weighted = rmse(&[1.0, 2.0], &[4.0, 6.0], Some(&[3.0, 1.0])).unwrap();
    assert_relative_eq!(weighted, (43.0f64 / 4.0).sqrt());
    assert!(rmse(&[], &[], None).is_err());
    assert!(rmse(&[1.0], &[1.0, 2.0], None).is_err());
    assert!(rmse(&[f64::NAN], &[1.0], None).is_err());
    assert!(rmse(&[1.0], &[f64::NAN], None).is_err());
    assert!(rmse(&[1.0], &[1.0], Some(&[0.0])).is_err());
}

#[test]
fn coverage_includes_the_ends() {
    let (lower, upper) = ([0.0; 4], [1.0; 4]);
    let y = [0.0, 1.0, -0.1, 1.1];
    assert_eq!(coverage(&lower, &upper, &y, None).unwrap(), 0.5);
    let weights = [1.0, 0.0, 3.0, 0.0];
    assert_eq!(coverage(&lower, &upper, &y, Some(&weights)).unwrap(), 0.25);
    let wide = [f64::NEG_INFINITY; 4];
    assert_eq!(coverage(&wide, &upper, &y, None).unwrap(), 0.75);
    assert_eq!(mean_width(&lower, &upper, None).unwrap(), 1.0);
    assert_eq!(mean_width(&wide, &upper, None).unwrap(), f64::INFINITY);
    assert!(coverage(&upper, &lower, &y, None).is_err(), "ends swapped");
    assert!(coverage(&[f64::NAN], &[1.0], &[0.0], None).is_err());
    assert!(coverage(&lower, &upper[..3], &y, None).is_err());
    assert!(coverage(&[], &[], &[], None).is_err());
    assert!(mean_width(&[], &[], None).is_err());
}

#[test]
fn interval_scores_by_hand() {
    // level 0.8: the price is 10
    let y = [0.5, 0.0, -0.2, 1.3];
    let scores = interval_scores(&[0.0; 4], &[1.0; 4], 0.8, &y).unwrap();
    for (score, expected) in scores.iter().zip([1.0, 1.0, 3.0, 4.0]) {
        assert_relative_eq!(*score, expected, epsilon = 1e-14);
    }
    assert!(interval_scores(&[0.0], &[1.0], 1.0, &[0.0]).is_err());
    assert!(interval_scores(&[0.0], &[1.0], 0.0, &[0.0]).is_err());
    let wide = interval_scores(&[f64::NEG_INFINITY], &[1.0], 0.5, &[0.0]).unwrap();
    assert_eq!(wide, [f64::INFINITY]);
}

/// The true quantiles have the smallest expected score.
#[test]
fn interval_scores_prefer_the_true_quantiles() {
    // uniform targets: those between 0.1 and 0.9 are the central 80 %
    let y: Vec<f64> = (0..1_000).map(|i| (f64::from(i) + 0.5) / 1_000.0).collect();
    let score =
        |lower: f64, upper: f64| mean(interval_scores(&[lower; 1_000], &[upper; 1_000], 0.8, &y));
    let best = score(0.1, 0.9);
    for (lower, upper) in [
        (0.05, 0.9),
        (0.15, 0.9),
        (0.1, 0.95),
        (0.1, 0.85),
        (0.0, 1.0),
    ] {
        assert!(score(lower, upper) > best, "{lower} {upper}");
    }
}

#[test]
fn rows_are_scored_by_their_own_means() {
    // row 0 has means 0 and 0, row 1 has means 5 and 5; each target is its row's mean
    let means = [0.0, 0.0, 5.0, 5.0];
    let nll = mean(log_losses_of_mixtures(&means, 2, 2.0, &[0.0, 5.0]));
    assert_relative_eq!(nll, (2.0 * (2.0 * PI).sqrt()).ln(), epsilon = 1e-14);
    let crps = mean(crps_of_mixtures(&means, 2, 2.0, &[0.0, 5.0]));
    // a Gaussian at its own mean: std (sqrt 2 - 1) / sqrt pi
    assert_relative_eq!(crps, 2.0 * (2f64.sqrt() - 1.0) / PI.sqrt(), epsilon = 1e-14);
}

#[test]
fn what_does_not_fit_is_refused() {
    for score in [log_losses_of_mixtures, crps_of_mixtures] {
        assert!(score(&[], 1, 1.0, &[]).is_err());
        assert!(score(&[1.0], 0, 1.0, &[1.0]).is_err());
        assert!(score(&[1.0; 3], 2, 1.0, &[1.0]).is_err());
        assert!(score(&[1.0], 1, -1.0, &[1.0]).is_err());
        assert!(score(&[f64::NAN], 1, 1.0, &[1.0]).is_err());
        assert!(score(&[1.0], 1, 1.0, &[f64::INFINITY]).is_err());
    }
    assert!(crps_of_draws(&[], 1, &[]).is_err() && crps_of_draws(&[1.0], 0, &[1.0]).is_err());
    assert!(crps_of_draws(&[1.0; 3], 2, &[1.0]).is_err());
    assert!(crps_of_draws(&[f64::NAN], 1, &[1.0]).is_err());
    assert!(crps_of_draws(&[f64::MAX, f64::MIN], 2, &[f64::MIN]).is_err());
}

#[test]
fn points_have_a_score_and_no_density() {
    let crps = |means: &[f64], stds: MixtureStds, y| {
        crps_of_mixtures(means, means.len(), stds, &[y]).unwrap()[0]
    };
    let points = MixtureStds::Common(0.0);
    // one point: |y - mean|; points 0 and 2 for y = 3: E|X - y| - E|X - X'| / 2 = 2 - 1/2
    assert_eq!(crps(&[1.0], points, 1.0), 0.0);
    assert_eq!(crps(&[1.0], points, -2.5), 3.5);
    for stds in [points, MixtureStds::Each(&[0.0; 2])] {
        assert_eq!(crps(&[0.0, 2.0], stds, 3.0), 1.5);
        assert!(log_losses_of_mixtures(&[0.0, 2.0], 2, stds, &[3.0]).is_err());
    }
    assert_eq!(crps_of_draws(&[0.0, 2.0], 2, &[3.0]).unwrap(), [1.5]);
    // a point is the limit of narrow components, both next to others and alone
    let score = |std| crps(&[0.0, 2.0], MixtureStds::Each(&[std, 0.7]), 0.3);
    assert_relative_eq!(score(0.0), score(1e-9), epsilon = 1e-9);
}

#[test]
fn a_score_that_is_no_number_is_an_error_with_its_row() {
    let means = [0.0, 0.0, f64::MAX, f64::MIN];
    let error = crps_of_mixtures(&means, 2, 1.0, &[0.0, f64::MIN]).unwrap_err();
    assert!(
        matches!(error, Error::NonFiniteData { row: 1, .. }),
        "{error}"
    );
    // the score of a target far out is infinite, as documented
    assert_eq!(
        log_losses_of_mixtures(&[0.0], 1, 1.0, &[1e200]).unwrap(),
        [f64::INFINITY]
    );
}

#[test]
fn components_are_scored_with_their_own_deviations() {
    // row 0 has standard deviation 2 throughout, row 1 has 1 and 3
    let (means, stds, y) = ([0.0, 1.0, 5.0, 6.0], [2.0, 2.0, 1.0, 3.0], [0.5, 7.0]);
    let rows = [
        GaussianMixture::new(&means[..2], 2.0).unwrap(),
        GaussianMixture::with_stds(&means[2..], &stds[2..]).unwrap(),
    ];
    let losses = log_losses_of_mixtures(&means, 2, &stds[..], &y).unwrap();
    let crps = crps_of_mixtures(&means, 2, &stds[..], &y).unwrap();
    for i in 0..2 {
        assert_relative_eq!(losses[i], -rows[i].log_density(y[i]), epsilon = 1e-14);
        assert_relative_eq!(crps[i], rows[i].crps(y[i]), epsilon = 1e-14);
    }
    for bad in [&stds[..3], &[1.0; 5], &[], &[1.0, 1.0, -1.0, 1.0]] {
        assert!(log_losses_of_mixtures(&means, 2, bad, &y).is_err());
        assert!(crps_of_mixtures(&means, 2, bad, &y).is_err());
    }
}

/// Scores of rows by means, samples, deviation and targets.
type Score<'a> = &'a dyn Fn(&[f64], usize, f64, &[f64]) -> Result<Vec<f64>>;

/// `int (F(x) - [x >= y])^2 dx` by the trapezoid rule from 8 deviations below to 8 above.
fn crps_by_integration(cdf: impl Fn(f64) -> f64, low: f64, high: f64, y: f64) -> f64 {
    let n = 40_000;
    let step = (high - low) / f64::from(n);
    let square = |i: i32| {
        let x = low + step * (f64::from(i) + 0.5);
        let above = f64::from(u8::from(x >= y));
        (cdf(x) - above).powi(2)
    };
    step * (0..n).map(square).sum::<f64>()
}

#[test]
fn the_score_of_mixtures_is_the_integral() {
    let (means, stds) = ([-1.0, 0.5, 4.0], [0.3, 1.0, 0.7]);
    let mixture = GaussianMixture::with_stds(&means, &stds).unwrap();
    for y in [-3.0, -1.0, 0.2, 4.1, 8.0] {
        let crps = crps_of_mixtures(&means, 3, &stds[..], &[y]).unwrap()[0];
        let integral = crps_by_integration(|x| mixture.cdf(x), -12.0, 14.0, y);
        // one cell of width 26 / 40,000 holds the jump
        assert_relative_eq!(crps, integral, epsilon = 7e-4);
    }
}

proptest! {
    #[test]
    fn the_score_of_draws_is_that_of_points_and_the_integral(
        draws in prop::collection::vec(-3.0f64..3.0, 1..20), y in -4.0f64..4.0, shift in -1e6f64..1e6
    ) {
        let n = draws.len();
        let score = crps_of_draws(&draws, n, &[y]).unwrap()[0];
        // the closed form over all pairs
        let pairs = crps_of_mixtures(&draws, n, 0.0, &[y]).unwrap()[0];
        prop_assert!((score - pairs).abs() < 1e-12);
        let cdf = |x: f64| draws.iter().filter(|d| **d <= x).count() as f64 / n as f64;
        let integral = crps_by_integration(cdf, -4.5, 4.5, y);
        // up to 21 cells of width 9 / 40,000 hold jumps
        prop_assert!((score - integral).abs() < 21.0 * 9.0 / 40_000.0);
        prop_assert!(score >= -1e-15);
        let moved: Vec<f64> = draws.iter().map(|d| d + shift).collect();
        let moved = crps_of_draws(&moved, n, &[y + shift]).unwrap()[0];
        prop_assert!((score - moved).abs() < 1e-8);
    }

    #[test]
    fn scores_do_not_depend_on_the_order_of_rows_or_samples(
        rows in prop::collection::vec((prop::collection::vec(-3.0f64..3.0, 4), -3.0f64..3.0), 1..20)
    ) {
        let y: Vec<f64> = rows.iter().map(|r| r.1).collect();
        let means: Vec<f64> = rows.iter().flat_map(|r| r.0.clone()).collect();
        // reverses the rows, and the samples within them
        let back = |v: &[f64]| v.iter().rev().copied().collect::<Vec<f64>>();
        let draws = |means: &[f64], samples: usize, _: f64, y: &[f64]| crps_of_draws(means, samples, y);
        let check = |score: Score| {
            let plain = score(&means, 4, 0.5, &y).unwrap();
            let turned = back(&score(&back(&means), 4, 0.5, &back(&y)).unwrap());
            plain.iter().zip(&turned).all(|(a, b)| (a - b).abs() < 1e-11 * (1.0 + a.abs()))
        };
        prop_assert!(check(&|m, s, std, y| log_losses_of_mixtures(m, s, std, y)));
        prop_assert!(check(&|m, s, std, y| crps_of_mixtures(m, s, std, y)) && check(&draws));
    }
}
