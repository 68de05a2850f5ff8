//! Moves of the probabilities of draws.

use proptest::prelude::*;

use super::super::Transport;
use super::overstated;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// Whatever the draws and the map, also where probabilities are 0: moved draws are
    /// probabilities, average to the calibrated ones, and as many labels stay as can.
    #[test]
    fn moved_draws_average_to_the_calibrated_prediction(
        seed in 0u64..1000, draws in 1usize..20, k in 2usize..6, zero in 0usize..8
    ) {
        let (mut each, _) = overstated(draws, k, seed, 2.0);
        let (mut q, _) = overstated(1, k, seed + 5, 1.0);
        // a class that no draw knows, or that the map rules out
        if zero < k {
            each.chunks_mut(k).for_each(|p| {
                let rest = 1.0 - p[zero];
                p[zero] = 0.0;
                p.iter_mut().for_each(|p| *p /= rest);
            });
        } else if zero == 7 {
            let rest = 1.0 - q[0];
            q[0] = 0.0;
            q.iter_mut().for_each(|q| *q /= rest);
        }
        let weight = 1.0 / draws as f64;
        let mean = |all: &[f64], c: usize| weight * all.iter().skip(c).step_by(k).sum::<f64>();
        let p: Vec<f64> = (0..k).map(|c| mean(&each, c)).collect();
        let transport = Transport::new(&p, &q);
        let mut moved = each.clone();
        moved.chunks_mut(k).for_each(|p| transport.apply(p));
        for (c, &q) in q.iter().enumerate() {
            prop_assert!((mean(&moved, c) - q).abs() < 1e-12, "{p:?} {q}");
        }
        for row in moved.chunks(k) {
            prop_assert!(row.iter().all(|p| (0.0..=1.0 + 1e-12).contains(p)));
            prop_assert!((row.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        }
        // the share of labels that change is the distance in total variation
        let stays: f64 = (0..k).map(|c| {
            let mut certain = vec![0.0; k];
            certain[c] = 1.0;
            transport.apply(&mut certain);
            p[c] * certain[c]
        }).sum();
        let distance: f64 = p.iter().zip(&q).map(|(p, q)| (q - p).max(0.0)).sum();
        prop_assert!((1.0 - stays - distance).abs() < 1e-12, "{stays} {distance}");
        // no map, no move
        let same = Transport::new(&p, &p);
        let mut still = each.clone();
        still.chunks_mut(k).for_each(|p| same.apply(p));
        prop_assert_eq!(still, each);
    }
}

#[test]
fn a_move_by_hand() {
    let transport = Transport::new(&[0.6, 0.4], &[0.9, 0.1]);
    let mut draw = [0.2, 0.8];
    transport.apply(&mut draw);
    // a quarter of class 1 stays
    assert!(
        (draw[0] - 0.8).abs() < 1e-12 && (draw[1] - 0.2).abs() < 1e-12,
        "{draw:?}"
    );
}
