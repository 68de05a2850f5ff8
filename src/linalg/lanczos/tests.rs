//! Lanczos on matrices whose spectrum is known.

use super::*;
use crate::linalg::{DenseOperator, orthonormal_rows, random_orthogonal};
use crate::rng::{Phase, Streams};
use proptest::prelude::*;

fn with_spectrum(values: &[f64], seed: u64) -> DenseOperator<f64> {
    let n = values.len();
    let q = random_orthogonal(n, &mut Streams::new(seed).rng(Phase::USER, 0));
    let mut a = vec![0.0; n * n];
    for (row, value) in q.chunks_exact(n).zip(values) {
        for i in 0..n {
            for j in 0..n {
                a[i * n + j] += value * row[i] * row[j];
            }
        }
    }
    DenseOperator::new(n, a).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn leading_pairs_of_well_separated_spectra(n in 5usize..80, count in 1usize..5, seed in 0u64..1000) {
        // each eigenvalue 0.7 of the one before
        let values: Vec<f64> = (0..n).map(|i| 100.0 * 0.7f64.powi(i as i32)).collect();
        let mut op = with_spectrum(&values, seed);
        let options = LanczosOptions { count, tolerance: 1e-12, max_products: 300, ..LanczosOptions::default() };
        let mut rng = Streams::new(seed).rng(Phase::LANCZOS, 0);
        let pairs = leading_eigenpairs(&mut op, &options, &mut rng).unwrap();
        for (i, (got, want)) in pairs.values.iter().zip(&values).enumerate() {
            prop_assert!((got - want).abs() < 1e-10 * want);
            for j in 0..count {
                let (a, b) = (&pairs.vectors[i * n..(i + 1) * n], &pairs.vectors[j * n..(j + 1) * n]);
                let want = if i == j { 1.0 } else { 0.0 };
                prop_assert!((dot(a, b) - want).abs() < 1e-10);
            }
        }
    }
}

#[test]
fn the_basis_stays_orthonormal_and_the_whole_spectrum_is_found() {
    // two triple eigenvalues: the invariant subspace is exhausted after a few steps, again and
    // again
    let values = [5.0, 5.0, 5.0, 2.0, 2.0, 2.0, 1.0, 0.5, 0.0, 0.0];
    let mut op = with_spectrum(&values, 1);
    let mut rng = Streams::new(2).rng(Phase::LANCZOS, 0);
    let mut lanczos = Lanczos::new(10, &mut rng).unwrap();
    for _ in 0..12 {
        lanczos.step(&mut op, &mut rng).unwrap();
    }
    assert_eq!(lanczos.len(), 10);
    let ritz = lanczos.ritz().unwrap();
    for (got, want) in ritz.values.iter().zip(values) {
        assert!((got - want).abs() < 1e-12, "{:?}", ritz.values);
    }
    for i in 0..10 {
        for j in 0..i {
            let v = lanczos.basis();
            assert!(dot(&v[i * 10..(i + 1) * 10], &v[j * 10..(j + 1) * 10]).abs() < 1e-14);
        }
    }
}

#[test]
fn too_few_products_are_an_error_with_the_residual() {
    let values: Vec<f64> = (0..50).map(f64::from).collect();
    let options = LanczosOptions {
        count: 5,
        tolerance: 1e-10,
        max_products: 8,
        ..LanczosOptions::default()
    };
    let mut rng = Streams::new(2).rng(Phase::LANCZOS, 0);
    let error = leading_eigenpairs(&mut with_spectrum(&values, 1), &options, &mut rng);
    assert!(matches!(
        error,
        Err(Error::NoConvergence { iterations: 8, .. })
    ));
}

/// Spectra that are hard for Lanczos: close ones, multiple ones, low rank, both signs, decades.
fn hard_spectra() -> Vec<(&'static str, Vec<f64>)> {
    let of = |f: &dyn Fn(usize) -> f64| {
        let mut values: Vec<f64> = (0..90).map(f).collect();
        values.sort_by(|a, b| b.total_cmp(a));
        values
    };
    vec![
        (
            "clusters",
            of(&|i| 10.0 - (i / 5) as f64 + 1e-2 * (i % 5) as f64),
        ),
        (
            "multiple",
            of(&|i| [9.0, 9.0, 9.0, 7.0, 7.0, 5.0, 1.0][i.min(6)]),
        ),
        (
            "few values",
            of(&|i| [4.0, 4.0, 4.0, 4.0, 4.0, 2.0, 2.0, 0.0][i.min(7)]),
        ),
        (
            "low rank",
            of(&|i| if i < 4 { 1.0 + i as f64 } else { 0.0 }),
        ),
        ("zero", of(&|_| 0.0)),
        ("indefinite", of(&|i| (i as f64 * 0.7).cos() * 50.0)),
        ("decades", of(&|i| 1e6 * 0.8f64.powi(i as i32))),
        ("flat", of(&|i| 1.0 + 1e-3 * i as f64)),
    ]
}

#[test]
fn a_bounded_basis_finds_what_the_dense_spectrum_has() {
    for (name, values) in hard_spectra() {
        for (count, bound) in [(6, 8), (6, 20), (8, 90)] {
            let options = LanczosOptions {
                count,
                tolerance: 1e-10,
                max_products: 20_000,
                max_basis: Some(bound),
                ..LanczosOptions::default()
            };
            let mut rng = Streams::new(5).rng(Phase::LANCZOS, 0);
            let mut op = with_spectrum(&values, 6);
            let pairs = leading_eigenpairs(&mut op, &options, &mut rng).unwrap();
            let size = values.iter().fold(1.0f64, |a, v| a.max(v.abs()));
            for (i, (got, want)) in pairs.values.iter().zip(&values).enumerate() {
                assert!(
                    (got - want).abs() < 1e-9 * size,
                    "{name} {count} {bound}: {:?}",
                    pairs.values
                );
                // the reported residual is the true one
                let v = &pairs.vectors[i * 90..(i + 1) * 90];
                let mut image = vec![0.0; 90];
                op.apply(v, &mut image).unwrap();
                axpy(-got, v, &mut image);
                assert!(norm(&image) <= 2e-10 * size, "{name}: {}", norm(&image));
                for j in 0..=i {
                    let inner = dot(v, &pairs.vectors[j * 90..(j + 1) * 90]);
                    assert!(
                        (inner - f64::from(u8::from(i == j))).abs() < 1e-12,
                        "{name}: {inner}"
                    );
                }
            }
        }
    }
}

/// A matrix with the given spectrum. `size` says how far its eigenvectors are rotated, at random.
fn perturbed(values: &[f64], size: f64) -> DenseOperator<f64> {
    let n = values.len();
    let mut rows = random_orthogonal(n, &mut Streams::new(6).rng(Phase::USER, 0));
    let mut noise = vec![0.0; n * n];
    fill_normal(&mut Streams::new(7).rng(Phase::USER, 0), &mut noise);
    axpy(size / (n as f64).sqrt(), &noise, &mut rows);
    orthonormal_rows(&mut rows, n);
    let mut a = vec![0.0; n * n];
    for (row, value) in rows.chunks_exact(n).zip(values) {
        for (i, x) in row.iter().enumerate() {
            axpy(value * x, row, &mut a[i * n..(i + 1) * n]);
        }
    }
    DenseOperator::new(n, a).unwrap()
}

#[test]
fn a_warm_start_takes_fewer_products() {
    // a slow spectrum: eigenvalues 1000 / (1 + i)
    let values: Vec<f64> = (0..200).map(|i| 1e3 / f64::from(1 + i)).collect();
    let options = LanczosOptions {
        count: 10,
        tolerance: 1e-6,
        max_products: 2_000,
        max_basis: Some(30),
        ..LanczosOptions::default()
    };
    let rng = || Streams::new(1).rng(Phase::LANCZOS, 0);
    let there = leading_eigenpairs(&mut perturbed(&values, 0.0), &options, &mut rng()).unwrap();
    let mut products = Vec::new();
    for size in [0.0, 1e-4, 1e-2] {
        let mut op = perturbed(&values, size);
        let cold = leading_eigenpairs(&mut op, &options, &mut rng()).unwrap();
        let warm = leading_eigenpairs_from(&mut op, &options, &there.vectors, &mut rng()).unwrap();
        for i in 0..10 {
            assert!((cold.values[i] - values[i]).abs() < 1e-8 * values[0]);
            assert!((warm.values[i] - values[i]).abs() < 1e-8 * values[0]);
        }
        products.push((size, cold.products, warm.products));
    }
    assert!(products.iter().all(|p| p.2 < p.1), "{products:?}");
    // as many start vectors as rows: if nothing moved, the Rayleigh-Ritz step is enough, and
    // dependent rows do no harm
    let mut twice = there.vectors.clone();
    twice.extend_from_within(..400);
    for rows in [&there.vectors, &twice] {
        let all = LanczosOptions {
            start_block: 12,
            ..options.clone()
        };
        let again =
            leading_eigenpairs_from(&mut perturbed(&values, 0.0), &all, rows, &mut rng()).unwrap();
        assert_eq!(again.products, 10 + probe::FEW);
    }
    // if something moved, the residuals of all rows go on as a band
    let all = LanczosOptions {
        start_block: 10,
        ..options.clone()
    };
    let mut op = perturbed(&values, 1e-2);
    let band = leading_eigenpairs_from(&mut op, &all, &there.vectors, &mut rng()).unwrap();
    for i in 0..10 {
        assert!((band.values[i] - values[i]).abs() < 1e-8 * values[0]);
        let v = &band.vectors[i * 200..(i + 1) * 200];
        let mut image = vec![0.0; 200];
        op.apply(v, &mut image).unwrap();
        axpy(-band.values[i], v, &mut image);
        assert!(norm(&image) < 1e-6 * values[0]);
    }
}

#[test]
fn what_converged_is_given_and_what_did_not_is_told() {
    let values: Vec<f64> = (0..60)
        .map(|i| {
            if i < 3 {
                100.0 * f64::from(3 - i)
            } else {
                1.0 / f64::from(i)
            }
        })
        .collect();
    let options = LanczosOptions {
        count: 12,
        tolerance: 1e-9,
        max_products: 12,
        ..LanczosOptions::default()
    };
    let mut rng = Streams::new(2).rng(Phase::LANCZOS, 0);
    let found = converged_eigenpairs(
        &mut with_spectrum(&values, 1),
        &options,
        &[],
        &mut rng,
        |_| false,
    )
    .unwrap();
    let count = found.pairs.values.len();
    assert!((3..12).contains(&count) && !found.finished, "{found:?}");
    assert!(found.pairs.residuals.iter().all(|&r| r <= 1e-9 * 300.0));
    assert!(found.open[0].1 > 1e-9 * 300.0 && found.open[0].0 < found.pairs.values[count - 1]);
    assert_eq!(found.pairs.vectors.len(), count * 60);
    // the search ends as soon as the caller has enough
    let few = converged_eigenpairs(
        &mut with_spectrum(&values, 1),
        &LanczosOptions {
            max_products: 60,
            ..options
        },
        &[],
        &mut rng,
        |v| v.len() >= 2,
    )
    .unwrap();
    assert!(few.finished && few.pairs.products <= 11 + probe::MANY);
}

#[test]
fn settings_are_checked() {
    let mut op = with_spectrum(&[1.0; 9], 1);
    let mut rng = Streams::new(2).rng(Phase::LANCZOS, 0);
    let fine = LanczosOptions {
        count: 2,
        ..LanczosOptions::default()
    };
    for wrong in [
        LanczosOptions {
            count: 0,
            ..fine.clone()
        },
        LanczosOptions {
            count: 10,
            ..fine.clone()
        },
        LanczosOptions {
            tolerance: f64::NAN,
            ..fine.clone()
        },
        LanczosOptions {
            max_products: 0,
            ..fine.clone()
        },
        LanczosOptions {
            max_basis: Some(3),
            ..fine.clone()
        },
    ] {
        assert!(
            matches!(
                leading_eigenpairs(&mut op, &wrong, &mut rng),
                Err(Error::Config { .. })
            ),
            "{wrong:?}"
        );
    }
    let ragged = leading_eigenpairs_from(&mut op, &fine, &[1.0; 10], &mut rng);
    assert!(matches!(ragged, Err(Error::Shape { .. })));
}

/// Spectra with copies: six sevens before a slow decay; every value threefold, with fast and with
/// slow decay; one copy among the last that are wanted; eight copies of everything.
fn spectra_with_copies() -> Vec<(&'static str, Vec<f64>)> {
    let of = |f: &dyn Fn(usize) -> f64| (0..120).map(f).collect::<Vec<f64>>();
    vec![
        (
            "sevens",
            of(&|i| if i < 6 { 7.0 } else { 1.0 - 0.005 * i as f64 }),
        ),
        ("threefold", of(&|i| 100.0 * 0.8f64.powi((i / 3) as i32))),
        ("threefold, slow", of(&|i| 1e3 / (3 + i / 3) as f64)),
        (
            "one pair",
            of(&|i| 100.0 * 0.9f64.powi(if i > 4 { i as i32 - 1 } else { i as i32 })),
        ),
        ("eightfold", of(&|i| 50.0 * 0.5f64.powi((i / 8) as i32))),
    ]
}

/// A Krylov space holds only one vector of an eigenspace. So copies can be missing although all
/// residuals are small.
#[test]
fn copies_of_an_eigenvalue_are_all_found() {
    for (name, values) in spectra_with_copies() {
        let mut products = 0;
        for (seed, bound) in (0..20).flat_map(|s| [(s, 22), (s, 120)]) {
            let options = LanczosOptions {
                count: 6,
                tolerance: 1e-9,
                max_products: 5_000,
                max_basis: Some(bound),
                ..LanczosOptions::default()
            };
            let mut op = with_spectrum(&values, seed);
            let mut rng = Streams::new(seed).rng(Phase::LANCZOS, 0);
            let pairs = leading_eigenpairs(&mut op, &options, &mut rng).unwrap();
            for (got, want) in pairs.values.iter().zip(&values) {
                assert!(
                    (got - want).abs() < 1e-8 * values[0],
                    "{name}, seed {seed}: {:?}",
                    pairs.values
                );
            }
            products = products.max(pairs.products);
        }
        assert!(products < 300, "{name}: {products}");
    }
}

/// Where there are no copies, the search for them costs 10 products.
#[test]
fn a_search_that_finds_nothing_is_short() {
    let values: Vec<f64> = (0..200).map(|i| 100.0 * 0.8f64.powi(i)).collect();
    let options = LanczosOptions {
        count: 10,
        tolerance: 1e-6,
        ..LanczosOptions::default()
    };
    for seed in 0..10 {
        let rng = || Streams::new(seed).rng(Phase::LANCZOS, 0);
        let mut op = with_spectrum(&values, seed);
        let found = leading_eigenpairs(&mut op, &options, &mut rng()).unwrap();
        // with one product less the pairs converge, but the search for copies cannot end
        let short = LanczosOptions {
            max_products: found.products - 1,
            ..options.clone()
        };
        let error = leading_eigenpairs(&mut op, &short, &mut rng()).unwrap_err();
        assert!(error.to_string().contains("copies"), "{error}");
        let enough = LanczosOptions {
            max_products: found.products - probe::FEW,
            ..options.clone()
        };
        let all = converged_eigenpairs(&mut op, &enough, &[], &mut rng(), |_| false).unwrap();
        assert!(all.pairs.values.len() == 10 && !all.finished);
    }
}
