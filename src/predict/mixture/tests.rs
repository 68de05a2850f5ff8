use super::*;
use approx::assert_relative_eq;
use proptest::prelude::*;

fn mixture(means: &[f64], std: f64) -> GaussianMixture<'_> {
    GaussianMixture::new(means, std).unwrap()
}

/// Simpson's rule on [a, b].
fn integrate(f: impl Fn(f64) -> f64, a: f64, b: f64) -> f64 {
    let n = 4000;
    let h = (b - a) / n as f64;
    let weight = |i: usize| match i {
        0 => 1.0,
        i if i == n => 1.0,
        i => (2 + 2 * (i % 2)) as f64,
    };
    (0..=n)
        .map(|i| weight(i) * f(a + i as f64 * h))
        .sum::<f64>()
        * h
        / 3.0
}

#[test]
fn normal_cdf_is_accurate_in_the_tail() {
    assert_eq!(normal_cdf(0.0), 0.5);
    // tables of the normal distribution (Abramowitz & Stegun 26.2; Mathematica for the far tail)
    assert_relative_eq!(
        normal_cdf(1.0),
        0.841_344_746_068_542_9,
        max_relative = 1e-15
    );
    assert_relative_eq!(
        normal_cdf(-10.0),
        7.619_853_024_160_527e-24,
        max_relative = 1e-13
    );
    assert_relative_eq!(
        normal_cdf(-37.0),
        5.725_571_222_524_577e-300,
        max_relative = 1e-12
    );
}

#[test]
fn moments_by_hand_even_with_a_large_offset() {
    let means = [1e9 - 1.0, 1e9 + 1.0];
    let m = mixture(&means, 2.0);
    assert_eq!(m.mean(), 1e9);
    assert_eq!(m.variance(), 4.0 + 1.0);
}

#[test]
fn log_density_of_one_gaussian_and_far_out() {
    let m = mixture(&[1.0], 2.0);
    let expected = |z: f64| -0.5 * z * z - (2.0 * (2.0 * PI).sqrt()).ln();
    for z in [0.0, 1.0, -3.0, 100.0, 1e6] {
        assert_relative_eq!(
            m.log_density(1.0 + 2.0 * z),
            expected(z),
            max_relative = 1e-14
        );
    }
    // far from both, only the nearer component matters, with half the weight
    let two = mixture(&[0.0, 10.0], 1.0);
    let expected = -0.5 * 90.0 * 90.0 - (2.0 * (2.0 * PI).sqrt()).ln();
    assert_relative_eq!(two.log_density(100.0), expected, max_relative = 1e-14);
    assert_eq!(two.log_density(1e200), f64::NEG_INFINITY);
}

#[test]
fn quantiles_of_one_gaussian() {
    let m = mixture(&[3.0], 2.0);
    // the 97.5 % point, and the median
    let x = m.quantile(0.975).unwrap();
    assert!((x - (3.0 + 2.0 * 1.959_963_984_540_054)).abs() < 2e-10);
    assert!((m.quantile(0.5).unwrap() - 3.0).abs() < 2e-10);
    let tail = m.quantile(7.619_853_024_160_527e-24).unwrap();
    assert!((tail - (3.0 - 20.0)).abs() < 2e-10, "{tail}");
    let top = m.quantile(1.0 - f64::EPSILON / 2.0).unwrap();
    assert!(
        (top - (3.0 + 2.0 * 8.209_536_151_601_387)).abs() < 2e-10,
        "{top}"
    );
}

#[test]
fn quantiles_of_awkward_mixtures_come_to_an_end() {
    let apart = [-1e6, 1e6];
    for p in [1e-300, 5e-324, 0.1, 0.5, 0.500001, 0.9, 1.0 - 1e-16] {
        for (means, std) in [
            (apart, 1.0),
            (apart, 1e-8),
            ([1e16; 2], 1e-3),
            ([-1.7e308, 1.7e308], 1e300),
        ] {
            let m = mixture(&means, std);
            let x = m.quantile(p).unwrap();
            assert!(x.is_finite());
            let bound = 40.0 * std;
            assert!(x >= means[0] - bound && x <= means[1] + bound);
        }
    }
    let third = mixture(&[0.0, 0.0, 100.0], 1.0).quantile(0.9).unwrap();
    // 70 % of the way through the last component
    assert!((third - (100.0 + 0.524_400_512_708_041)).abs() < 1e-9);
    for p in [0.0, 1.0, -0.1, f64::NAN] {
        assert!(mixture(&[0.0], 1.0).quantile(p).is_err());
    }
}

#[test]
fn crps_of_one_gaussian_is_the_closed_form() {
    let (mean, std) = (1.5, 0.7);
    let means = [mean];
    let m = mixture(&means, std);
    for z in [-20.0, -3.0, -0.4, 0.0, 1.0, 8.9, 9.1] {
        // Gneiting & Raftery (2007), eq. 21
        let expected =
            std * (z * (2.0 * normal_cdf(z) - 1.0) + 2.0 * normal_density(z) - 1.0 / PI.sqrt());
        assert_relative_eq!(m.crps(mean + std * z), expected, max_relative = 1e-12);
    }
}

#[test]
fn crps_is_the_integral_of_the_squared_distance_of_distributions() {
    let means = [-1.0, 0.3, 0.4, 2.5];
    let m = mixture(&means, 0.6);
    for y in [-4.0, 0.35, 3.0] {
        let below = integrate(|x| m.cdf(x).powi(2), -9.0, y);
        let above = integrate(|x| m.survival(x).powi(2), y, 11.0);
        assert_relative_eq!(m.crps(y), below + above, max_relative = 1e-9);
    }
}

#[test]
fn components_of_their_own_deviation_by_hand() {
    let m = GaussianMixture::with_stds(&[-1.0, 1.0], &[1.0, 2.0]).unwrap();
    assert_eq!((m.mean(), m.variance()), (0.0, 2.5 + 1.0));
    let density = 0.5 * (normal_density(1.5) + normal_density(0.25) / 2.0);
    assert_relative_eq!(m.log_density(0.5), density.ln(), max_relative = 1e-14);
    let cdf = 0.5 * (normal_cdf(1.5) + normal_cdf(-0.25));
    assert_relative_eq!(m.cdf(0.5), cdf, max_relative = 1e-15);
    // E|X - y| of the two components, and E|X - X'| from the differences: N(0, 2), N(0, 8), and
    // N(2, 5) twice
    let y = 0.5;
    let to_y = 0.5 * (absolute_moment(1.5, 1.0) + absolute_moment(0.5, 2.0));
    let same = 2.0 / PI.sqrt() + 4.0 / PI.sqrt();
    let between = 0.25 * (same + 2.0 * absolute_moment(2.0, 5f64.sqrt()));
    assert_relative_eq!(m.crps(y), to_y - 0.5 * between, max_relative = 1e-14);
}

#[test]
fn log_density_of_scales_whose_ratio_is_no_double() {
    let log_normal = |z: f64, std: f64| -0.5 * z * z - std.ln() - 0.5 * (2.0 * PI).ln();
    let m = GaussianMixture::with_stds(&[0.0, 0.0], &[1e-300, 1e300]).unwrap();
    let half = 0.5f64.ln();
    for (y, std) in [
        (0.0, 1e-300),
        (1e-300, 1e-300),
        (1.0, 1e300),
        (3e300, 1e300),
    ] {
        let expected = log_normal(y / std, std) + half;
        assert_relative_eq!(m.log_density(y), expected, max_relative = 1e-14);
    }
    // where both are centred, the broad one has a billionth of the density; a little way off it is
    // all there is
    let m = GaussianMixture::with_stds(&[0.0, 0.0], &[1e3, 1e-3]).unwrap();
    let expected = log_normal(0.05 / 1e3, 1e3) + half;
    assert_relative_eq!(m.log_density(0.05), expected, max_relative = 1e-14);
}

/// The integral of `f` by Simpson's rule between `a` and `b`, piece by piece between the `breaks`.
fn integrate_pieces(f: impl Fn(f64) -> f64, a: f64, b: f64, breaks: &[f64]) -> f64 {
    let mut ends: Vec<f64> = breaks.iter().map(|x| x.clamp(a, b)).collect();
    ends.extend([a, b]);
    ends.sort_by(f64::total_cmp);
    let pieces = ends.windows(2).filter(|w| w[1] > w[0]);
    pieces.map(|w| integrate(&f, w[0], w[1])).sum()
}

#[test]
fn a_needle_in_a_broad_component_against_quadrature() {
    let (means, stds) = ([0.3, 20.0], [1e-3, 1e3]);
    let m = GaussianMixture::with_stds(&means, &stds).unwrap();
    let density = |x: f64| {
        let part = |i: usize| normal_density((x - means[i]) / stds[i]) / stds[i];
        0.5 * (part(0) + part(1))
    };
    let (low, high) = (20.0 - 12e3, 20.0 + 12e3);
    let needle = [0.3 - 0.012, 0.3 + 0.012];
    for p in [1e-9, 0.1, 0.24, 0.25, 0.4, 0.5, 0.74, 0.75, 0.9, 1.0 - 1e-9] {
        let x = m.quantile(p).unwrap();
        let area = integrate_pieces(density, low, x, &needle);
        // the quantile's tolerance changes the area by at most 4e-11, or 2e-11 where half the mass
        // is in the needle
        assert!((area - p).abs() < 3e-11, "{p}: {x} {area}");
        // below it lies half of the broad one, less 20 / 1000 of a deviation: 0.246 of the whole
        assert_eq!(
            (0.25..0.745).contains(&p),
            (x - 0.3).abs() < 0.01,
            "{p}: {x}"
        );
    }
    for y in [0.3005, 0.25, -2000.0, 500.0, 0.3] {
        let below = integrate_pieces(|x| m.cdf(x).powi(2), low, y, &needle);
        let above = integrate_pieces(|x| m.survival(x).powi(2), y, high, &needle);
        assert_relative_eq!(m.crps(y), below + above, max_relative = 1e-10);
    }
}

#[test]
fn newtons_step_knows_the_density_of_every_component() {
    // the bracket would hide a wrong slope, at the cost of many more steps
    let m = GaussianMixture::with_stds(&[0.0, 0.5, 2.0], &[0.1, 1.0, 5.0]).unwrap();
    for p in [0.05, 0.4, 0.95] {
        let x = m.quantile(p).unwrap();
        let (mut low, mut high) = (-1e3, 1e3);
        let next = m.toward_quantile(x + 1e-4, p, 0.0, &mut low, &mut high);
        // quadratic: 1e-8 times the curvature of the log tail, which is at most about 1 / 0.1
        assert!((next - x).abs() < 1e-7, "{p}: {x} {next}");
        assert_eq!((low, high), (-1e3, x + 1e-4));
    }
}

#[test]
fn bad_parts_are_refused() {
    let two = [0.0, 1.0];
    assert!(GaussianMixture::with_stds(&[], &[]).is_err());
    assert!(GaussianMixture::with_stds(&two, &[1.0]).is_err());
    assert!(GaussianMixture::with_stds(&two, &[1.0; 3]).is_err());
    for std in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let error = GaussianMixture::with_stds(&two, &[1.0, std]).unwrap_err();
        assert!(error.to_string().contains("component 1"), "{error}");
    }
    assert!(GaussianMixture::new(&[], 1.0).is_err());
    assert!(GaussianMixture::new(&[f64::NAN], 1.0).is_err());
    for std in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(GaussianMixture::new(&[0.0], std).is_err());
    }
}

proptest! {
    #[test]
    fn quantile_inverts_cdf(
        means in prop::collection::vec(-3.0f64..3.0, 1..8), std in 0.1f64..3.0, at in -6.0f64..6.0
    ) {
        let m = mixture(&means, std);
        let p = m.cdf(at);
        prop_assume!(p > 0.0 && p < 1.0);
        // p is rounded to about one EPSILON, which moves the quantile by EPSILON / density
        let slack = 4.0 * f64::EPSILON / m.log_density(at).exp();
        prop_assume!(slack < 0.1 * std);
        let x = m.quantile(p).unwrap();
        prop_assert!((x - at).abs() <= 2e-10 * std + slack, "{} {}", x, at);
    }

    #[test]
    fn cdf_is_the_integral_of_the_density(
        means in prop::collection::vec(-3.0f64..3.0, 1..5), std in 0.3f64..2.0, at in -4.0f64..4.0
    ) {
        let m = mixture(&means, std);
        let area = integrate(|x| m.log_density(x).exp(), -3.0 - 12.0 * std, at);
        prop_assert!((area - m.cdf(at)).abs() < 1e-8);
        prop_assert!((m.cdf(at) + m.survival(at) - 1.0).abs() < 1e-14);
    }

    #[test]
    fn crps_is_positive_and_moves_with_the_units(
        means in prop::collection::vec(-3.0f64..3.0, 1..8), std in 0.1f64..3.0, y in -9.0f64..9.0
    ) {
        let score = mixture(&means, std).crps(y);
        prop_assert!(score > 0.0);
        let moved: Vec<f64> = means.iter().map(|m| 8.0 * m + 1.0).collect();
        let other = mixture(&moved, 8.0 * std).crps(8.0 * y + 1.0);
        prop_assert!((other - 8.0 * score).abs() < 1e-11 * (1.0 + other));
    }

    #[test]
    fn equal_deviations_are_a_common_one(
        means in prop::collection::vec(-3.0f64..3.0, 1..8), std in 0.1f64..3.0, y in -9.0f64..9.0
    ) {
        let stds = vec![std; means.len()];
        let (one, each) = (mixture(&means, std), GaussianMixture::with_stds(&means, &stds).unwrap());
        let close = |a: f64, b: f64| (a - b).abs() <= 1e-13 * (1.0 + a.abs());
        prop_assert!(close(one.mean(), each.mean()) && close(one.variance(), each.variance()));
        prop_assert!(close(one.cdf(y), each.cdf(y)) && close(one.crps(y), each.crps(y)));
        prop_assert!(close(one.log_density(y), each.log_density(y)));
        for p in [1e-6, 0.05, 0.5, 0.95] {
            let (a, b) = (one.quantile(p).unwrap(), each.quantile(p).unwrap());
            prop_assert!((a - b).abs() <= 2e-10 * std, "{} {}", a, b);
        }
    }

    #[test]
    fn quantiles_lie_where_the_distribution_crosses(
        parts in prop::collection::vec((-3.0f64..3.0, -14.0f64..14.0), 1..8),
        p in prop_oneof![0.0f64..1.0, Just(1e-300), Just(1e-12), Just(1.0 - 1e-16)]
    ) {
        prop_assume!(p > 0.0);
        // deviations from a millionth to a million
        let (means, stds): (Vec<f64>, Vec<f64>) = parts.iter().map(|(m, l)| (*m, l.exp())).unzip();
        let m = GaussianMixture::with_stds(&means, &stds).unwrap();
        let x = m.quantile(p).unwrap();
        let smallest = stds.iter().copied().fold(f64::INFINITY, f64::min);
        let step = 1e-10 * smallest + 2.0 * f64::EPSILON * x.abs();
        // the tail's relative rounding is at most 40^2 EPSILON far out
        let above = |x: f64| if p <= 0.5 { m.cdf(x) / p - 1.0 } else { 1.0 - m.survival(x) / (1.0 - p) };
        prop_assert!(above(x - step) <= 1e-12, "{} {} {}", p, x, above(x - step));
        prop_assert!(above(x + step) >= -1e-12, "{} {} {}", p, x, above(x + step));
    }

    #[test]
    fn own_deviations_against_quadrature(
        parts in prop::collection::vec((-3.0f64..3.0, 0.3f64..2.0), 1..5), at in -4.0f64..4.0
    ) {
        let (means, stds): (Vec<f64>, Vec<f64>) = parts.into_iter().unzip();
        let m = GaussianMixture::with_stds(&means, &stds).unwrap();
        let (low, high) = (-27.0, 27.0);
        let area = integrate(|x| m.log_density(x).exp(), low, at);
        prop_assert!((area - m.cdf(at)).abs() < 1e-8);
        prop_assert!((m.cdf(at) + m.survival(at) - 1.0).abs() < 1e-14);
        let below = integrate(|x| m.cdf(x).powi(2), low, at);
        let score = below + integrate(|x| m.survival(x).powi(2), at, high);
        prop_assert!((m.crps(at) - score).abs() < 1e-8);
        let mean = integrate(|x| x * m.log_density(x).exp(), low, high);
        let square = integrate(|x| (x - mean).powi(2) * m.log_density(x).exp(), low, high);
        prop_assert!((m.mean() - mean).abs() < 1e-8 && (m.variance() - square).abs() < 1e-7);
    }
}

/// Against the variance, and without its range.
#[test]
fn deviations_do_not_depend_on_the_unit() {
    let (means, stds, own) = ([1.0, -2.0, 4.0], [0.5, 1.5, 1.0], [0.3, 0.4, 0.1]);
    for unit in [1e305, 1e160, 1.0, 1e-160, 1e-305] {
        let [means, stds, own] = [means, stds, own].map(|values| values.map(|x| x * unit));
        for mixture in [
            GaussianMixture::with_stds(&means, &stds).unwrap(),
            GaussianMixture::new(&means, unit).unwrap(),
        ] {
            let (std, epistemic) = mixture.deviations(&own);
            let noise: f64 = match mixture.stds() {
                MixtureStds::Common(_) => 1.0,
                MixtureStds::Each(_) => 3.5 / 3.0,
            };
            let (of_means, of_own) = (6.0, 0.26 / 3.0);
            assert_relative_eq!(std / unit, (noise + of_means).sqrt(), max_relative = 1e-13);
            let expected = f64::sqrt(of_means + of_own);
            assert_relative_eq!(epistemic / unit, expected, max_relative = 1e-13);
        }
    }
    // a small part beside a large one is not lost
    let mixture = GaussianMixture::new(&[5e-10, -5e-10], 1.0).unwrap();
    assert_relative_eq!(mixture.deviations(&[]).1, 5e-10, max_relative = 1e-13);
    assert_eq!(
        GaussianMixture::new(&[3.0], 2.0).unwrap().deviations(&[]),
        (2.0, 0.0)
    );
}
