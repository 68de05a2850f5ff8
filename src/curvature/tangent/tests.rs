//! Tests the split of a space whose eigenvectors are known.

use super::*;
use crate::linalg::vector::{axpy, dot, norm};
use crate::linalg::{DenseOperator, random_orthogonal};
use crate::rng::fill_normal;
use proptest::prelude::*;

#[test]
fn projectors_split_the_space() {
    let n = 12;
    let mut a = vec![0.0f64; n * n];
    for i in 0..n {
        a[i * n + i] = 4f64.powi(5 - i as i32);
    }
    let mut op = DenseOperator::new(n, a).unwrap();
    let streams = Streams::new(0);
    let options = TangentOptions {
        tolerance: 1e-12,
        ..TangentOptions::default()
    };
    // eigenvalues 1024, 256, 64, 16, 4, 1, 1/4...: five are above 2
    let space = TangentSpace::new(&mut op, 2.0, &options, streams).unwrap();
    assert_eq!(space.normal_dim(), 5);
    assert!(space.is_complete());
    let want: f64 = [1024.0, 256.0, 64.0, 16.0, 4.0]
        .iter()
        .map(|l| l / (l + 2.0))
        .sum();
    assert!((space.effective_dimension() - want).abs() < 1e-10);
    let mut v = vec![0.0; n];
    fill_normal(&mut streams.rng(Phase::USER, 0), &mut v);
    let (mut t, mut m) = (v.clone(), v.clone());
    space.project_tangent(&mut t);
    space.project_normal(&mut m);
    assert!(norm(&t[..5]) < 1e-9 && norm(&m[5..]) < 1e-9);
    assert!(dot(&t, &m).abs() < 1e-12);
    let (mut tt, mut tm) = (t.clone(), m.clone());
    space.project_tangent(&mut tt);
    space.project_tangent(&mut tm);
    for i in 0..n {
        assert!((t[i] + m[i] - v[i]).abs() < 1e-12, "complementary");
        assert!((tt[i] - t[i]).abs() < 1e-12, "idempotent");
        assert!(tm[i].abs() < 1e-12, "they annihilate one another");
    }
    let few = TangentOptions {
        max_normal: 3,
        ..options
    };
    let space = TangentSpace::new(&mut op, 2.0, &few, streams).unwrap();
    assert_eq!((space.normal_dim(), space.is_complete()), (3, false));
}

/// A diagonal matrix with eigenvalues `4^(5 - i)`.
fn diagonal(n: usize) -> DenseOperator<f64> {
    let mut a = vec![0.0; n * n];
    (0..n).for_each(|i| a[i * n + i] = 4f64.powi(5 - i as i32));
    DenseOperator::new(n, a).unwrap()
}

#[test]
fn the_normal_dimension_by_count_and_by_share() {
    let streams = Streams::new(0);
    let of = |normal, max_normal| {
        let options = TangentOptions {
            normal,
            max_normal,
            ..TangentOptions::default()
        };
        TangentSpace::new(&mut diagonal(12), 2.0, &options, streams)
    };
    let space = of(NormalDimension::Count(7), 64).unwrap();
    assert_eq!(
        (space.normal_dim(), space.is_complete(), space.unresolved()),
        (7, true, 0)
    );
    let space = of(NormalDimension::Count(7), 3).unwrap();
    assert_eq!((space.normal_dim(), space.is_complete()), (3, false));
    // sign probes give the exact trace of a diagonal matrix, 1365.33; 1024 is 0.75 of it, 1280 is
    // 0.9375
    for (share, want) in [(0.5, 1), (0.74, 1), (0.76, 2), (0.93, 2), (0.95, 3)] {
        let space = of(NormalDimension::Share { share, probes: 2 }, 64).unwrap();
        assert_eq!(
            (space.normal_dim(), space.is_complete()),
            (want, true),
            "{share}"
        );
        assert!((space.trace().unwrap().value - 1_365.333_251_953_125).abs() < 1e-9);
    }
    let space = of(
        NormalDimension::Share {
            share: 0.95,
            probes: 2,
        },
        2,
    )
    .unwrap();
    assert_eq!((space.normal_dim(), space.is_complete()), (2, false));
    for wrong in [
        NormalDimension::Count(0),
        NormalDimension::Count(13),
        NormalDimension::Relative { kappa: 0.0 },
        NormalDimension::Share {
            share: 1.0,
            probes: 2,
        },
        NormalDimension::Share {
            share: 0.5,
            probes: 0,
        },
    ] {
        assert!(of(wrong, 64).is_err(), "{wrong:?}");
    }
    assert!(of(NormalDimension::Count(1), 0).is_err());
    assert!(TangentSpace::new(&mut diagonal(3), 0.0, &TangentOptions::default(), streams).is_err());
}

#[test]
fn the_effective_dimension_of_all_directions() {
    let options = TangentOptions {
        tolerance: 1e-12,
        ..TangentOptions::default()
    };
    let space = TangentSpace::new(&mut diagonal(12), 2.0, &options, Streams::new(0)).unwrap();
    let total = space
        .total_effective_dimension(&mut diagonal(12), 2, 12, Streams::new(0))
        .unwrap();
    let want: f64 = (0..12)
        .map(|i| 4f64.powi(5 - i))
        .map(|l| l / (l + 2.0))
        .sum();
    assert!(
        (total.value - want).abs() < 1e-9,
        "{total:?} against {want}"
    );
    assert!(space.effective_dimension() < want - 0.3);
}

/// The space with the given rows as normal directions.
fn space(dim: usize, rows: Vec<f64>) -> TangentSpace<f64> {
    TangentSpace {
        dim,
        values: vec![1.0; rows.len() / dim],
        basis: rows,
        prior_precision: 1.0,
        complete: true,
        unresolved: 0,
        products: 0,
        trace: None,
    }
}

#[test]
fn angles_are_those_of_the_rotation_small_or_large() {
    let n = 12;
    let q = random_orthogonal(n, &mut Streams::new(4).rng(Phase::USER, 0));
    let row = |i: usize| &q[i * n..(i + 1) * n];
    let want = [0.0, 1e-12, 3e-9, 1e-5, 0.7, std::f64::consts::FRAC_PI_2];
    // the second space: row i turned by its angle towards row 6 + i, then the rows mixed
    let turned: Vec<f64> = (0..6)
        .rev()
        .flat_map(|i| {
            let (sin, cos) = want[i].sin_cos();
            row(i)
                .iter()
                .zip(row(6 + i))
                .map(move |(a, b)| cos * a + sin * b)
        })
        .collect();
    let mix = random_orthogonal(6, &mut Streams::new(4).rng(Phase::USER, 1));
    let mut mixed = vec![0.0; 6 * n];
    for (out, weights) in mixed.chunks_exact_mut(n).zip(mix.chunks_exact(6)) {
        for (row, &w) in turned.chunks_exact(n).zip(weights) {
            axpy(w, row, out);
        }
    }
    let (a, b) = (space(n, q[..6 * n].to_vec()), space(n, mixed));
    for angles in [a.angles(&b).unwrap(), b.angles(&a).unwrap()] {
        assert_eq!(angles.len(), 6);
        for (got, want) in angles.iter().zip(want) {
            assert!((got - want).abs() < 2e-15, "{angles:?}");
        }
    }
    // a smaller space inside the other, then an empty space
    let c = space(n, q[n..3 * n].to_vec());
    assert!(a.angles(&c).unwrap().iter().all(|&t| t < 1e-14));
    assert!(a.angles(&space(n, Vec::new())).unwrap().is_empty());
    assert!(a.angles(&space(1, vec![1.0])).is_err());
}

#[test]
fn transport_projects_and_keeps_the_length() {
    let (here, there) = (space(3, vec![1.0, 0.0, 0.0]), space(3, vec![0.6, 0.8, 0.0]));
    let mut v = [0.0, 3.0, 4.0];
    assert!(here.transport(&there, &mut v).unwrap());
    // drops the component 0.8 * 3 along the other's normal: (-1.44, 1.08, 4), rescaled to length 5
    let length = (1.44f64 * 1.44 + 1.08 * 1.08 + 16.0).sqrt();
    for (got, want) in v.iter().zip([-1.44, 1.08, 4.0]) {
        assert!((got - want * 5.0 / length).abs() < 1e-14);
    }
    let mut lost = [0.6, 0.8, 0.0];
    assert!(!here.transport(&there, &mut lost).unwrap());
    assert!(!here.transport(&there, &mut [0.0; 3]).unwrap());
    assert!(!here.transport(&there, &mut [f64::NAN; 3]).unwrap());
    assert!(here.transport(&there, &mut [1.0; 2]).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn projectors_are_idempotent_symmetric_and_complementary(n in 1usize..40, k in 0usize..8, seed in 0u64..1000) {
        let mut rng = Streams::new(seed).rng(Phase::USER, 0);
        let q = random_orthogonal(n, &mut rng);
        let space = space(n, q[..k.min(n) * n].to_vec());
        let (mut v, mut w) = (vec![0.0; n], vec![0.0; n]);
        fill_normal(&mut rng, &mut v);
        fill_normal(&mut rng, &mut w);
        let tangent = |x: &[f64]| { let mut x = x.to_vec(); space.project_tangent(&mut x); x };
        let normal = |x: &[f64]| { let mut x = x.to_vec(); space.project_normal(&mut x); x };
        let (t, m) = (tangent(&v), normal(&v));
        let close = |a: &[f64], b: &[f64]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-12);
        prop_assert!(close(&tangent(&t), &t) && close(&normal(&m), &m));
        prop_assert!(close(&tangent(&m), &vec![0.0; n]) && close(&normal(&t), &vec![0.0; n]));
        let sum: Vec<f64> = t.iter().zip(&m).map(|(a, b)| a + b).collect();
        prop_assert!(close(&sum, &v));
        prop_assert!((dot(&t, &w) - dot(&v, &tangent(&w))).abs() < 1e-11);
        prop_assert!((dot(&m, &w) - dot(&v, &normal(&w))).abs() < 1e-11);
        // without allocation: coordinates and projection in one call
        let (mut x, mut c) = (v.clone(), vec![0.0; space.normal_dim()]);
        space.project_normal_with(&mut x, &mut c);
        prop_assert!(close(&x, &m) && (norm(&c) - norm(&m)).abs() < 1e-12);
    }
}
