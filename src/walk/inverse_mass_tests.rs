use super::*;
use crate::linalg::random_orthogonal;
use crate::linalg::vector::dot;
use crate::rng::{Phase, Streams, fill_normal};

#[test]
fn it_is_the_dense_map() {
    let (n, k, c) = (23, 4, 0.3);
    let mut rng = Streams::new(1).rng(Phase::USER, 0);
    let q = random_orthogonal(n, &mut rng);
    let basis = &q[..k * n];
    let values = [50.0, 8.0, 3.0, 0.5];
    let precision: Vec<f64> = (0..n).map(|i| 0.5 + i as f64 / 10.0).collect();
    let s = InverseMassMatrix::new(&precision, &values, basis, c).unwrap();
    let (mut u, mut g) = (vec![0.0; n], vec![0.0; n]);
    fill_normal(&mut rng, &mut u);
    fill_normal(&mut rng, &mut g);
    let (mut su, mut scratch, mut more) = (vec![0.0; n], vec![0.0; k], vec![0.0; k]);
    s.apply(&u, &mut su, &mut scratch).unwrap();
    let (mut lifted, mut noise) = (vec![0.0; n + k], vec![0.0; n + k]);
    noise[..n].copy_from_slice(&u);
    let both = [&mut scratch[..], &mut more[..]];
    let distance = s.pull_back(&g, &mut lifted, Some(&mut noise), both);
    let distance = distance.unwrap();
    let stg = s.lower(&lifted).unwrap();
    // S by its definition
    let mut squares = 0.0;
    for i in 0..n {
        let mut want = u[i];
        for (j, v) in values.iter().enumerate() {
            let b = &basis[j * n..(j + 1) * n];
            want += (1.0 / (c * v + 1.0).sqrt() - 1.0) * dot(b, &u) * b[i];
        }
        want /= precision[i].sqrt();
        assert!((su[i] - want).abs() < 1e-12);
    }
    let whitened: Vec<f64> = g
        .iter()
        .zip(&precision)
        .map(|(g, p)| g / p.sqrt())
        .collect();
    for (j, v) in values.iter().enumerate() {
        squares += (dot(&basis[j * n..(j + 1) * n], &whitened) / (v + 1.0)).powi(2);
    }
    assert!((distance - squares.sqrt()).abs() < 1e-12);
    // the transpose by adjointness
    assert!((dot(&su, &g) - dot(&u, &stg)).abs() < 1e-12);
    // lifted vectors keep the inner products of the plain ones, and move the parameters by S
    for (x, y, plain) in [
        (&noise, &noise, dot(&u, &u)),
        (&noise, &lifted, dot(&u, &stg)),
        (&lifted, &lifted, dot(&stg, &stg)),
    ] {
        assert!((dot(x, y) - plain).abs() < 1e-12 * plain.abs().max(1.0));
    }
    for (a, b) in s.lower(&noise).unwrap().iter().zip(&u) {
        assert!((a - b).abs() < 1e-12);
    }
    let mut moved = vec![0.0; n];
    let length = s.drift(0.3, &noise, &g, &mut moved);
    for i in 0..n {
        assert!((moved[i] - (g[i] + 0.3 * su[i])).abs() < 1e-12);
    }
    assert!((length - 0.3 * dot(&su, &su).sqrt()).abs() < 1e-12);
    // one vector lifted alone equals the same one lifted together
    let (mut alone, mut again) = (vec![0.0; n + k], noise.clone());
    let both = [&mut scratch[..], &mut more[..]];
    assert_eq!(s.pull_back(&g, &mut alone, None, both), Some(distance));
    assert_eq!(alone, lifted);
    again[..n].copy_from_slice(&u);
    s.lift(&mut again, &mut scratch);
    assert_eq!(again, noise);
    assert!(InverseMassMatrix::<f64>::diagonal(&[1.0, 0.0]).is_err());
    assert!(InverseMassMatrix::new(&precision, &values, &basis[1..], c).is_err());
    // lengths that do not fit are errors, and say what would
    let said = s.lower(&u).unwrap_err().to_string();
    assert!(
        said.contains("a lifted vector of 27 numbers, got 23"),
        "{said}"
    );
    assert!(s.apply(&u[1..], &mut su, &mut scratch).is_err());
    assert!(s.apply(&u, &mut su, &mut [0.0; 3]).is_err());
    let said = s.spread(&[&u, &u[1..]]).unwrap_err().to_string();
    assert!(said.contains("points of 23 numbers, got 22"), "{said}");
}
