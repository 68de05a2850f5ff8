use super::*;
use approx::assert_relative_eq;
use proptest::prelude::*;

#[test]
fn a_worked_example_with_the_population_deviation() {
    // column 0: 1, 3 -> mean 2, deviation 1 (the sample deviation would be sqrt 2)
    let s = Standardizer::fit(&[1., 10., 3., 30.], 2).unwrap();
    assert_eq!(s.mean(), [2.0, 20.0]);
    assert_eq!(s.scale(), [1.0, 10.0]);
    assert_eq!(s.transform(&[4.0, 20.0]).unwrap(), [2.0, 0.0]);
    assert_eq!(s.inverse_transform(&[2.0, 0.0]).unwrap(), [4.0, 20.0]);
}

#[test]
fn a_column_that_never_varied_becomes_zero_whatever_comes_later() {
    for constant in [0.0, 7.0, 0.1, -1e300, 5e-324] {
        let s = Standardizer::fit(&[constant; 5], 1).unwrap();
        assert!(s.is_constant(0));
        let z = s.transform(&[constant, 9.0, -1e308, 1e308]).unwrap();
        assert_eq!(z, [0.0; 4]);
        assert_relative_eq!(s.inverse_transform(&[3.0]).unwrap()[0], constant);
    }
}

#[test]
fn rounding_noise_is_constant_but_small_real_variation_is_not() {
    let c = 0.3;
    let noisy: Vec<f64> = (0..9).map(|i| c * (1.0 + (i - 4) as f64 * 4e-16)).collect();
    assert!(Standardizer::fit(&noisy, 1).unwrap().is_constant(0));
    let clock = [1.6e9, 1.6e9 + 1e-3, 1.6e9 + 2e-3];
    assert!(!Standardizer::fit(&clock, 1).unwrap().is_constant(0));
    let tiny = [1e-200, 2e-200];
    assert_relative_eq!(Standardizer::fit(&tiny, 1).unwrap().scale()[0], 5e-201);
}

#[test]
fn one_scale_for_all_pixels_of_images() {
    // 0, 0, 0, 4, 0, 8: mean 2, squares 4 * 4 + 4 + 36 = 56; separate columns would be
    // constant, or -1 and 1
    let pixels = [0., 0., 0., 4., 0., 8.];
    let s = Standardizer::fit_shared(&pixels, 3).unwrap();
    assert_eq!(s.mean(), [2.0; 3]);
    for scale in s.scale() {
        assert_relative_eq!(*scale, (56.0 / 6.0f64).sqrt(), max_relative = 1e-15);
    }
    let z = s.transform(&pixels).unwrap();
    assert_eq!((z[0], z[1], z[2]), (z[0], z[0], z[0]), "relations stay");
    assert_relative_eq!(z[3], -z[0], max_relative = 1e-15);
    let blank = Standardizer::fit_shared(&[7.0; 6], 3).unwrap();
    assert_eq!(blank.transform(&[7., 8., 9.]).unwrap(), [0.0; 3]);
    assert!(Standardizer::fit_shared(&[1., 2.], 3).is_err());
    assert!(Standardizer::fit_shared(&[1., f64::NAN], 2).is_err());
}

#[test]
fn a_large_offset_costs_no_accuracy() {
    // 0..8 has variance (81 - 1) / 12; the naive E[x^2] - E[x]^2 is useless at 1e9
    let values: Vec<f64> = (0..9).map(|i| 1e9 + i as f64).collect();
    let s = Standardizer::fit(&values, 1).unwrap();
    assert_eq!(s.mean(), [1e9 + 4.0]);
    assert_relative_eq!(s.scale()[0], (80.0 / 12.0f64).sqrt(), max_relative = 1e-15);
}

#[test]
fn many_rows_at_a_large_offset_cost_no_accuracy_either() {
    // exact in doubles, but a running sum of the values themselves would round at every step
    let base = 2f64.powi(40);
    let values: Vec<f64> = (0..100_000).map(|i| base + (i % 2) as f64).collect();
    let s = Standardizer::fit(&values, 1).unwrap();
    assert_eq!((s.mean()[0], s.scale()[0]), (base + 0.5, 0.5));
}

#[test]
fn extreme_magnitudes_do_not_overflow() {
    let s = Standardizer::fit(&[1.7e308, -1.7e308, 1.7e308, -1.7e308], 1).unwrap();
    assert_eq!(s.mean(), [0.0]);
    assert_relative_eq!(s.scale()[0], 1.7e308);
    let s = Standardizer::fit(&[1.7e308, 1.7e308, 1.7e308, -1.7e308], 1).unwrap();
    let z = s.transform(&[1.7e308, -1.7e308]).unwrap();
    // mean 0.85e308, deviation sqrt(3)/2 * 1.7e308
    assert_relative_eq!(z[0], 1.0 / 3f64.sqrt(), max_relative = 1e-14);
    assert_relative_eq!(z[1], -3f64.sqrt(), max_relative = 1e-14);
}

#[test]
fn refuses_bad_shapes_and_values() {
    assert!(Standardizer::fit(&[], 1).is_err());
    assert!(Standardizer::fit(&[1.0], 0).is_err());
    assert!(Standardizer::fit(&[1., 2., 3.], 2).is_err());
    assert!(Standardizer::fit(&[1.0, f64::NAN], 1).is_err());
    let s = Standardizer::fit(&[0., 0., 1e-300, 1.], 2).unwrap();
    assert!(s.transform(&[1.0]).is_err());
    assert!(s.transform(&[1.0, f64::NAN]).is_err());
    assert!(s.transform(&[1e300, 1.0]).is_err(), "overflow is an error");
    let said = s
        .transform(&[1.0, 1.0, 1.0, f64::NAN])
        .unwrap_err()
        .to_string();
    assert!(
        said.contains("Standardizer::transform: row 1, column 1"),
        "{said}"
    );
    assert!(Standardizer::from_parts(vec![], vec![]).is_err());
    assert!(Standardizer::from_parts(vec![0.0], vec![]).is_err());
    assert!(Standardizer::from_parts(vec![0.0], vec![-1.0]).is_err());
    assert!(Standardizer::from_parts(vec![f64::NAN], vec![1.0]).is_err());
    assert!(Standardizer::from_parts(vec![0.0], vec![f64::INFINITY]).is_err());
    let copy = Standardizer::from_parts(s.mean().to_vec(), s.scale().to_vec()).unwrap();
    assert_eq!(copy, s);
}

#[test]
fn warped_columns_come_back_and_the_others_are_as_before() {
    let values: Vec<f64> = (0..60)
        .flat_map(|i| [(0.1 * f64::from(i)).exp(), f64::from(i % 7)])
        .collect();
    let bounds = (-2.0, 4.0);
    let choose = |column: &[f64]| Warp::yeo_johnson(column, bounds);
    let s = Standardizer::fit_warped(&values, 2, choose).unwrap();
    assert!(s.warps()[0].is_some() && s.warps()[1].is_none());
    let z = s.transform(&values).unwrap();
    let plain = Standardizer::fit(&values, 2)
        .unwrap()
        .transform(&values)
        .unwrap();
    for (i, (a, b)) in z.iter().zip(&plain).enumerate() {
        assert!(i % 2 == 0 || a == b);
    }
    // evenly spaced numbers have a kurtosis of 1.8, their exponentials a much larger one
    let kurtosis = |z: &[f64]| z.iter().step_by(2).map(|z| z.powi(4)).sum::<f64>() / 60.0;
    assert!(kurtosis(&z) < 3.0 && kurtosis(&plain) > 5.0);
    for (x, back) in values.iter().zip(s.inverse_transform(&z).unwrap()) {
        assert_relative_eq!(*x, back, max_relative = 1e-10, epsilon = 1e-12);
    }
    let parts = Standardizer::from_parts(s.mean().to_vec(), s.scale().to_vec()).unwrap();
    assert_eq!(parts.clone().with_warps(s.warps().to_vec()).unwrap(), s);
    assert!(parts.with_warps(vec![None]).is_err());
    let none = Standardizer::fit_warped(&values, 2, |_| None).unwrap();
    assert_eq!(none, Standardizer::fit(&values, 2).unwrap());
}

proptest! {
    #[test]
    fn standardized_columns_have_mean_zero_and_deviation_one(
        values in prop::collection::vec(-1.0f64..1.0, 6..60),
        offset in -1e3f64..1e3,
        exponent in -250i32..250,
    ) {
        let unit = 10f64.powi(exponent);
        let values: Vec<f64> = values.iter().map(|x| (x + offset) * unit).collect();
        let s = Standardizer::fit(&values, 1).unwrap();
        let z = s.transform(&values).unwrap();
        let n = z.len() as f64;
        let mean = z.iter().sum::<f64>() / n;
        let variance = z.iter().map(|z| z * z).sum::<f64>() / n;
        // a mean near 1e3 is stored with an absolute error of 1e-13 of the unit
        prop_assert!(mean.abs() < 1e-9, "{}", mean);
        prop_assert!((variance - 1.0).abs() < 1e-9, "{}", variance);
        for (x, back) in values.iter().zip(s.inverse_transform(&z).unwrap()) {
            prop_assert!((x - back).abs() <= 1e-12 * x.abs().max(unit));
        }
    }
}
