//! Tests of the module above.

use super::*;
use crate::nn::{Activation, Mlp};

#[test]
fn blocks_are_in_order_and_do_not_change_a_number() {
    let net = Mlp::new(&[2, 3, 2], Activation::Tanh).unwrap();
    let samples: Vec<f64> = (0..2 * net.dim()).map(|i| (i as f64).sin()).collect();
    let x: Vec<f64> = (0..2 * 2_500).map(|i| (i as f64 * 0.3).cos()).collect();
    let mut blocks = Vec::new();
    let mut all = Vec::new();
    network_outputs(&net, &samples, &x, |block| {
        blocks.push(block.rows);
        all.extend_from_slice(&block.values);
        Ok(())
    })
    .unwrap();
    assert_eq!(blocks, [1024, 1024, 452]);
    // one row at a time takes another path through the matrix products
    for row in [0, 1_023, 1_024, 2_499] {
        network_outputs(&net, &samples, &x[2 * row..2 * row + 2], |block| {
            for (got, want) in block.row(0).iter().zip(&all[4 * row..]) {
                assert!((got - want).abs() < 1e-14);
            }
            Ok(())
        })
        .unwrap();
    }
    // rows that need much room are computed a few at a time
    let wide = Mlp::new(&[40_000, 1], Activation::Tanh).unwrap();
    let theta: Vec<f64> = (0..wide.dim()).map(|i| (i as f64).cos()).collect();
    let rows: Vec<f64> = (0..60 * 40_000).map(|i| (i as f64 * 0.7).sin()).collect();
    let engine = SampleOutputs::new(&wide, &theta[..]).unwrap();
    assert_eq!(engine.run, 26);
    engine
        .blocks(&rows, |block| {
            assert_eq!(block.rows, 60);
            for (row, x) in rows.chunks_exact(40_000).enumerate() {
                let want: f64 = x.iter().zip(&theta).map(|(x, w)| x * w).sum();
                assert!((block.row(row)[0] - want - theta[40_000]).abs() < 1e-9);
            }
            Ok(())
        })
        .unwrap();
    let mut far = x.clone();
    far[2 * 2_000 + 1] = f64::INFINITY;
    let error = network_outputs(&net, &samples, &far, |_| Ok(()))
        .unwrap_err()
        .to_string();
    assert!(error.contains("row 2000, column 1"), "{error}");
}

#[test]
fn the_linearised_network_is_linear_and_touches_at_the_point() {
    let net = Mlp::new(&[2, 5, 3], Activation::Tanh).unwrap();
    let at: Vec<f64> = (0..net.dim()).map(|i| (i as f64).sin()).collect();
    let step: Vec<f64> = (0..net.dim()).map(|i| (i as f64 * 0.7).cos()).collect();
    let moved = |h: f64| -> Vec<f64> { at.iter().zip(&step).map(|(a, s)| a + h * s).collect() };
    let samples = [
        at.clone(),
        moved(1.0),
        moved(-2.0),
        moved(1e-5),
        moved(-1e-5),
    ]
    .concat();
    let x: Vec<f64> = (0..2 * 4).map(|i| (i as f64 * 0.3).cos()).collect();
    let all = |linear: bool| {
        let mut all = Vec::new();
        let keep = |block: &Outputs| {
            all.extend_from_slice(&block.values);
            Ok(())
        };
        match linear {
            true => linearised_outputs(&net, &at, &samples, &x, keep).unwrap(),
            false => network_outputs(&net, &samples, &x, keep).unwrap(),
        }
        all
    };
    let (linear, exact) = (all(true), all(false));
    for (l, f) in linear.chunks_exact(15).zip(exact.chunks_exact(15)) {
        for c in 0..3 {
            let slope = (f[9 + c] - f[12 + c]) / 2e-5;
            assert!((l[c] - f[c]).abs() < 1e-14);
            assert!((l[3 + c] - l[c] - slope).abs() < 1e-8);
            assert!((l[6 + c] - l[c] + 2.0 * slope).abs() < 1e-8);
        }
    }
    assert!(linearised_outputs(&net, &at[1..], &samples, &x, |_| Ok(())).is_err());
}
