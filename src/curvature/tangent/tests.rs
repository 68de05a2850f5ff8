//! The split of a space whose eigenvectors are known.

use super::*;
use crate::linalg::DenseOperator;
use crate::linalg::vector::{dot, fill_normal, norm};

#[test]
fn projectors_split_the_space() {
    let n = 12;
    let mut a = vec![0.0f64; n * n];
    for i in 0..n {
        a[i * n + i] = 4f64.powi(5 - i as i32);
    }
    let mut op = DenseOperator::new(n, a).unwrap();
    let streams = Streams::new(0);
    let options = TangentOptions::default();
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
