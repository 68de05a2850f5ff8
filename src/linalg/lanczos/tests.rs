//! Lanczos on matrices whose spectrum is known.

use super::*;
use crate::linalg::{DenseOperator, random_orthogonal};
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
    // two triple eigenvalues: the invariant subspace is exhausted after a few steps, again and again
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
