//! Maps of probabilities and of the standard deviation.

use proptest::prelude::*;

use super::super::*;
use super::overstated;
use crate::model::Law;

fn sums_to_one(p: &[f64]) -> bool {
    p.iter().all(|q| (0.0..=1.0).contains(q)) && (p.iter().sum::<f64>() - 1.0).abs() < 1e-12
}

/// Odds that were raised to a power get it back: the temperature is that power, within its
/// sampling error of 2 % on 20,000 rows.
#[test]
fn a_temperature_is_found_again() {
    for sharpness in [0.5, 1.0, 2.0, 4.0] {
        let (p, labels) = overstated(20_000, 3, 1, sharpness);
        let rows = Labelled::new(&p, 3, &labels).unwrap();
        let found = Temperature::fit(&rows, 0.0).temperature;
        assert!(
            (found / sharpness - 1.0).abs() < 0.06,
            "{found} {sharpness}"
        );
        let vector = VectorScaling::fit(&rows, 0.0).unwrap();
        for slope in &vector.slopes {
            assert!(
                (slope * sharpness - 1.0).abs() < 0.12,
                "{slope} {sharpness}"
            );
        }
    }
}

/// All rows right: the most probable temperature is the bound. The prior keeps it near 1.
#[test]
fn few_rows_that_are_all_right_do_not_make_it_certain() {
    let p: Vec<f64> = [0.1, 0.9].repeat(30);
    let labels = [1; 30];
    let rows = Labelled::new(&p, 2, &labels).unwrap();
    let bound = Temperature::fit(&rows, 0.0).temperature;
    assert!((bound - 0.05).abs() < 1e-12, "{bound}");
    let kept = Temperature::fit(&rows, RIDGE).temperature;
    assert!((0.4..0.9).contains(&kept), "{kept}");
    // wrong as often as it says: no temperature is better than 1
    let mut labels = vec![1; 100];
    labels[..10].fill(0);
    let p: Vec<f64> = [0.1, 0.9].repeat(100);
    let rows = Labelled::new(&p, 2, &labels).unwrap();
    let same = Temperature::fit(&rows, RIDGE).temperature;
    assert!((same - 1.0).abs() < 1e-6, "{same}");
}

#[test]
fn isotonic_by_hand() {
    // labels 0 1 0 1 1 at 0.1 0.2 0.3 0.3 0.9: pools {0}, {1 0 1} (0.2 to 0.3), {1}
    let p1 = [0.1, 0.2, 0.3, 0.3, 0.9];
    let p: Vec<f64> = p1.iter().flat_map(|p| [1.0 - p, *p]).collect();
    let labels = [0, 1, 0, 1, 1];
    let map = Isotonic::pooled(&Labelled::new(&p, 2, &labels).unwrap()).unwrap();
    assert_eq!(map.inputs, [0.1, 0.2, 0.3, 0.9]);
    let (low, high) = (1.0 / 7.0, 6.0 / 7.0);
    for (got, want) in map.outputs.iter().zip([low, 2.0 / 3.0, 2.0 / 3.0, high]) {
        assert!((got - want).abs() < 1e-12, "{got} {want}");
    }
    for (at, want) in [(0.0, low), (1.0, high), (0.25, 2.0 / 3.0)] {
        assert!((map.map(at) - want).abs() < 1e-12, "{at}: {}", map.map(at));
    }
    let middle = map.map(0.6);
    assert!(
        (middle - 0.5 * (2.0 / 3.0 + high)).abs() < 1e-12,
        "{middle}"
    );
    let three = [0.2, 0.3, 0.5];
    assert!(Isotonic::fit(&Labelled::new(&three, 3, &[0]).unwrap()).is_err());
}

/// Normal predictions whose deviation is wrong by a factor: the factor in closed form is the root
/// mean square of the standardised residuals.
#[test]
fn a_spread_is_the_root_mean_square_of_residuals() {
    let stds = [0.5, 1.0, 2.0];
    let residuals: Vec<f64> = (0..300)
        .map(|i| 2.5 * ((i * 7 % 300) as f64 / 150.0 - 1.0))
        .collect();
    let losses = |factors: &[f64]| {
        let of = |factor: &f64| {
            let rows = residuals.iter().enumerate();
            let loss = |(i, r): (usize, &f64)| {
                let std = stds[i % 3] * factor;
                -Law::Normal { mean: 1.0, std }.log_density(1.0 + r * stds[i % 3])
            };
            rows.map(loss).sum::<f64>()
        };
        Ok::<_, Error>(factors.iter().map(of).collect::<Vec<_>>())
    };
    let found = Spread::fit(0.0, losses).unwrap();
    let want = (residuals.iter().map(|r| r * r).sum::<f64>() / 300.0).sqrt();
    assert!(
        (found.spread.factor / want - 1.0).abs() < 1e-3,
        "{found:?} {want}"
    );
    assert!(found.after < found.before);
    let flat = Spread::fit(0.0, |f: &[f64]| Ok::<_, Error>(vec![3.0; f.len()])).unwrap();
    assert_eq!((flat.spread, flat.after), (Spread::IDENTITY, 3.0));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(30))]

    /// Whatever the rows, also with probabilities 0 and 1: maps give probabilities, do not lose on
    /// their rows, and do not depend on the order of rows. Temperatures keep the order of classes.
    #[test]
    fn maps_give_probabilities_and_never_lose(
        seed in 0u64..1000, n in 1usize..40, k in 2usize..5, sharpness in 0.2f64..6.0, certain in 0usize..4
    ) {
        let (mut p, mut labels) = overstated(n, k, seed, sharpness);
        for row in p.chunks_mut(k).take(certain) {
            row.fill(0.0);
            row[0] = 1.0;
        }
        let fits = |p: &[f64], labels: &[usize]| {
            let rows = Labelled::new(p, k, labels).unwrap();
            let mut maps = vec![
                Recalibration::Temperature(Temperature::fit(&rows, RIDGE)),
                Recalibration::Vector(VectorScaling::fit(&rows, RIDGE).unwrap()),
            ];
            if k == 2 {
                maps.push(Recalibration::Isotonic(Isotonic::fit(&rows).unwrap()));
            }
            maps
        };
        let maps = fits(&p, &labels);
        let rows = Labelled::new(&p, k, &labels).unwrap();
        for map in &maps {
            map.check(Some(k)).unwrap();
            prop_assert!(map.check(None).is_err());
            prop_assert!(rows.nll(|p| map.apply(p)) <= rows.nll(|_| ()) + 1e-9);
            for (row, _) in rows.rows() {
                let mut mapped = row.to_vec();
                map.apply(&mut mapped);
                prop_assert!(sums_to_one(&mapped), "{map:?} {mapped:?}");
                if let Recalibration::Temperature(_) = map {
                    for i in 0..k {
                        for j in 0..k {
                            prop_assert!(row[i] <= row[j] || mapped[i] >= mapped[j]);
                        }
                    }
                }
            }
        }
        // in another order
        let mut order: Vec<usize> = (0..n).collect();
        order.rotate_left(n / 3);
        order.reverse();
        p = order.iter().flat_map(|&i| p[i * k..(i + 1) * k].to_vec()).collect();
        labels = order.iter().map(|&i| labels[i]).collect();
        for (a, b) in maps.iter().zip(fits(&p, &labels)) {
            let (mut x, mut y) = (p[..k].to_vec(), p[..k].to_vec());
            a.apply(&mut x);
            b.apply(&mut y);
            for (x, y) in x.iter().zip(&y) {
                prop_assert!((x - y).abs() < 1e-5, "{a:?} {b:?}");
            }
        }
    }
}

#[test]
fn wrong_rows_and_maps_are_refused() {
    for (p, k, labels) in [
        (&[0.5, 0.5][..], 2, &[0, 1][..]),
        (&[0.5, 0.5], 2, &[2]),
        (&[f64::NAN, 0.5], 2, &[0]),
        (&[1.5, 0.5], 2, &[0]),
        (&[], 2, &[]),
        (&[], 0, &[0]),
    ] {
        assert!(Labelled::new(p, k, labels).is_err(), "{p:?}");
    }
    let temperature = |temperature| Recalibration::Temperature(Temperature { temperature });
    assert!(temperature(0.0).check(Some(3)).is_err());
    assert!(temperature(f64::NAN).check(Some(3)).is_err());
    assert!(
        Recalibration::Vector(VectorScaling::identity(3))
            .check(Some(2))
            .is_err()
    );
    let falling = Isotonic {
        inputs: vec![0.0, 1.0],
        outputs: vec![0.6, 0.5],
    };
    assert!(Recalibration::Isotonic(falling).check(Some(2)).is_err());
    assert!(
        Recalibration::Spread(Spread { factor: 99.0 })
            .check(None)
            .is_err()
    );
    assert!(
        Recalibration::Spread(Spread::IDENTITY)
            .check(Some(2))
            .is_err()
    );
}
