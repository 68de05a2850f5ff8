//! Importance and bridge estimates of known integrals.

use rand_distr::{Distribution, StandardNormal};

use crate::diagnose::{BridgeEstimate, ImportanceSummary, Refusal, chi_square_survival};
use crate::rng::{Phase, Streams};

/// `count` standard normal numbers of stream `index`.
fn normals(count: usize, index: u64) -> Vec<f64> {
    let rng = Streams::new(17).rng(Phase::USER, index);
    StandardNormal.sample_iter(rng).take(count).collect()
}

/// `log p - log q` with `p = e^c N(0, 1)` and `q = N(m, s^2)`, at `x`.
fn log_weight(x: f64, (c, m, s): (f64, f64, f64)) -> f64 {
    c - 0.5 * x * x + 0.5 * ((x - m) / s).powi(2) + s.ln()
}

/// The smaller of both p-values of a sum of squares of `n` standard normal numbers.
fn two_sided(squares: f64, n: usize) -> f64 {
    let above = chi_square_survival(squares, n as f64);
    above.min(1.0 - above)
}

/// Checks z-scores of repetitions: their mean, their squares, and how many lie outside of 1.96.
fn calibrated(z: &[f64]) {
    let n = z.len() as f64;
    let mean = z.iter().sum::<f64>() / n;
    let squares: f64 = z.iter().map(|z| z * z).sum();
    let outside = z.iter().filter(|z| z.abs() > 1.96).count();
    // 4 sigma; the squares test the stated error, to about 1/20 with 200 repetitions
    assert!(mean.abs() * n.sqrt() < 4.0, "mean {mean}");
    assert!(two_sided(squares, z.len()) > 1e-3, "squares {squares}");
    // 5 % of 200, with a deviation of 3.1: 3 sigma
    assert!((1..20).contains(&outside), "{outside} of {n} outside");
}

#[test]
fn the_error_of_the_log_evidence_covers_the_truth() {
    // 200 fits of 2,000 draws; k = 1 - 0.93^2 = 0.14, and q is shifted too
    let q = (-250.0, 0.3, 0.93);
    let (mut evidence, mut bound) = (Vec::new(), Vec::new());
    for r in 0..200 {
        let x = normals(2000, r);
        let log_weights: Vec<f64> = x.iter().map(|z| log_weight(0.3 + 0.93 * z, q)).collect();
        let summary = ImportanceSummary::new(&log_weights).unwrap();
        let got = summary.log_evidence.unwrap();
        evidence.push((got.value + 250.0) / got.std_error);
        // KL(q | p) = (s^2 + m^2 - 1)/2 - log s
        let kl = 0.5 * (0.93f64.powi(2) + 0.09 - 1.0) - 0.93f64.ln();
        bound.push((summary.elbo + 250.0 + kl) / summary.elbo_error);
    }
    calibrated(&evidence);
    calibrated(&bound);
}

#[test]
fn the_right_density_is_recognised() {
    let log_weights: Vec<f64> = normals(500, 0)
        .iter()
        .map(|&x| log_weight(x, (12.5, 0.0, 1.0)))
        .collect();
    let got = ImportanceSummary::new(&log_weights).unwrap();
    assert!((got.elbo - 12.5).abs() < 1e-12 && got.elbo_error < 1e-12);
    assert_eq!(got.k_hat, f64::NEG_INFINITY);
    assert!((got.ess - 500.0).abs() < 1e-6);
    let evidence = got.log_evidence.unwrap();
    assert!((evidence.value - 12.5).abs() < 1e-12 && evidence.std_error < 1e-12);
}

#[test]
fn a_density_that_is_too_narrow_gives_no_evidence() {
    // k = 1 - s^2 in the plane; the deviation of k^ is (1 + k) / sqrt M: 0.08 for 40,000 draws and
    // k = 0.99
    let plane = |s: f64, draws: usize| {
        let x = normals(2 * draws, 5);
        let weight = |x: &[f64]| {
            let y = |x: f64| log_weight(s * x, (0.0, 0.0, s));
            y(x[0]) + y(x[1])
        };
        let log_weights: Vec<f64> = x.chunks_exact(2).map(weight).collect();
        ImportanceSummary::new(&log_weights).unwrap()
    };
    let heavy = plane(0.1, 40_000);
    assert!(
        matches!(heavy.log_evidence, Err(Refusal::HeavyTail { k_hat, limit: 0.7 })
        if k_hat == heavy.k_hat && k_hat > 0.7)
    );
    // k = 0.51: enough for thousands of draws, not for a hundred
    assert!(plane(0.7, 10_000).log_evidence.is_ok());
    let few = plane(0.7, 60);
    let Err(Refusal::FewDraws {
        k_hat,
        limit,
        draws: 60,
        needed,
    }) = few.log_evidence
    else {
        panic!("{few:?}");
    };
    assert!((limit - (1.0 - 1.0 / 60f64.log10())).abs() < 1e-12);
    assert!(limit <= k_hat && k_hat < 0.7);
    // with `needed` draws the shape is under the limit, with one draw fewer it is not
    let at = |draws: usize| 1.0 - 1.0 / (draws as f64).log10();
    assert!(at(needed) > k_hat && at(needed - 1) <= k_hat);
}

#[test]
fn a_draw_where_p_is_zero_has_no_lower_bound_but_evidence() {
    // p = 2 N(0, 1) on the half line, whose integral is 1
    let log_weights: Vec<f64> = normals(2000, 3)
        .iter()
        .map(|&x| {
            if x > 0.0 {
                2f64.ln()
            } else {
                f64::NEG_INFINITY
            }
        })
        .collect();
    let got = ImportanceSummary::new(&log_weights).unwrap();
    assert_eq!(
        (got.elbo, got.elbo_error),
        (f64::NEG_INFINITY, f64::INFINITY)
    );
    let evidence = got.log_evidence.unwrap();
    // n/2 of n draws: relative error 1/sqrt n
    assert!((evidence.std_error * 2000f64.sqrt() - 1.0).abs() < 0.1);
    assert!(evidence.value.abs() < 4.0 * evidence.std_error);
}

/// The weights at draws of `p` and of `q`.
fn both(n_p: usize, n_q: usize, q: (f64, f64, f64), index: u64) -> (Vec<f64>, Vec<f64>) {
    let (x, y) = (normals(n_p, 2 * index), normals(n_q, 2 * index + 1));
    let at_q = y.iter().map(|z| log_weight(q.1 + q.2 * z, q));
    (
        x.iter().map(|&x| log_weight(x, q)).collect(),
        at_q.collect(),
    )
}

/// The bridge as Meng & Wong iterate it, with the errors from the head of `bridge`, without
/// logarithms.
fn iterated(at_p: &[f64], at_q: &[f64], n_p: f64) -> (f64, f64) {
    let n_q = at_q.len() as f64;
    let (s_p, s_q) = (n_p / (n_p + n_q), n_q / (n_p + n_q));
    let mean = |x: &[f64]| x.iter().sum::<f64>() / x.len() as f64;
    let of = |w: &[f64], f: &dyn Fn(f64) -> f64| w.iter().map(|w| f(w.exp())).collect::<Vec<f64>>();
    let mut z = 1.0;
    for _ in 0..2000 {
        let above = mean(&of(at_q, &|w| w / (s_p * w + s_q * z)));
        z = above / mean(&of(at_p, &|w| 1.0 / (s_p * w + s_q * z)));
    }
    let relative = |x: Vec<f64>, effective: f64| {
        let m = mean(&x);
        let squares: f64 = x.iter().map(|x| (x - m).powi(2)).sum();
        squares / (x.len() as f64 - 1.0) / (m * m * effective)
    };
    let f_1 = of(at_q, &|w| w / z / (s_p * w / z + s_q));
    let f_2 = of(at_p, &|w| 1.0 / (s_p * w / z + s_q));
    (z.ln(), (relative(f_1, n_q) + relative(f_2, n_p)).sqrt())
}

#[test]
fn the_bridge_is_the_fixed_point_of_the_iteration() {
    for (n_p, n_q, q, effective) in [
        (300, 300, (0.7, 0.5, 1.3), None),
        (80, 500, (-3.0, 2.0, 0.6), None),
        (500, 50, (4.0, 0.1, 2.0), Some(120.0)),
    ] {
        let (at_p, at_q) = both(n_p, n_q, q, 7);
        let got = BridgeEstimate::new(&at_p, &at_q, effective).unwrap();
        let (log_z, error) = iterated(&at_p, &at_q, effective.unwrap_or(n_p as f64));
        assert!((got.log_evidence - log_z).abs() < 1e-10, "{got:?} {log_z}");
        assert!((got.relative_error / error - 1.0).abs() < 1e-9, "{error}");
    }
}

#[test]
fn the_error_of_the_bridge_covers_the_truth() {
    // q is narrower than p: importance weights have no variance (k = 0.64), but the bridge still
    // works
    let q = (-250.0, 0.5, 0.6);
    let mut z = Vec::new();
    for r in 0..200 {
        let (at_p, at_q) = both(600, 1500, q, r);
        let got = BridgeEstimate::new(&at_p, &at_q, None).unwrap();
        z.push((got.log_evidence + 250.0) / got.relative_error);
        // for optimal bridges RE^2 = (1/overlap - 1) / (n s_1 s_2) (Meng & Wong)
        let harmonic = (got.overlap.recip() - 1.0) * 2100.0 / (600.0 * 1500.0);
        let ratio = got.relative_error.powi(2) / harmonic;
        assert!((ratio - 1.0).abs() < 0.2, "{ratio}");
    }
    calibrated(&z);
}

#[test]
fn draws_that_are_worth_less_count_less() {
    // every draw of p six times: the effective number is known, and the estimate is that of the
    // draws themselves
    let (at_p, at_q) = both(200, 700, (2.0, 0.4, 1.4), 3);
    let repeated: Vec<f64> = at_p.iter().flat_map(|&w| [w; 6]).collect();
    let once = BridgeEstimate::new(&at_p, &at_q, None).unwrap();
    let six = BridgeEstimate::new(&repeated, &at_q, Some(200.0)).unwrap();
    let blind = BridgeEstimate::new(&repeated, &at_q, None).unwrap();
    assert!((once.log_evidence - six.log_evidence).abs() < 1e-12);
    // divisors of variances: 1199/1200 against 199/200
    assert!((once.relative_error / six.relative_error - 1.0).abs() < 5e-3);
    assert!(blind.relative_error < 0.9 * once.relative_error);
}

#[test]
fn the_bridge_between_equal_and_between_foreign_densities() {
    let same = BridgeEstimate::new(&[4.0; 30], &[4.0; 70], None).unwrap();
    assert!((same.log_evidence - 4.0).abs() < 1e-12);
    assert_eq!(same.relative_error, 0.0);
    assert!((same.overlap - 1.0).abs() < 1e-12);
    // far beyond the exponents of double precision: no overflow, and no overlap
    let apart = BridgeEstimate::new(&[3000.0; 30], &[-3000.0; 30], None).unwrap();
    assert!(apart.log_evidence.is_finite());
    assert_eq!(apart.overlap, 0.0);
    // p on the half line, q on all: half of q's draws have no weight
    let mut at_q = vec![2f64.ln(); 500];
    at_q.extend([f64::NEG_INFINITY; 500]);
    let half = BridgeEstimate::new(&[2f64.ln(); 400], &at_q, None).unwrap();
    assert!(half.log_evidence.abs() < 1e-12, "{half:?}");
    // and the other way round
    let at_p: Vec<f64> = at_q.iter().map(|w| -w).collect();
    let half = BridgeEstimate::new(&at_p, &[-2f64.ln(); 400], None).unwrap();
    assert!(half.log_evidence.abs() < 1e-12, "{half:?}");
}

#[test]
fn what_cannot_be_bridged_is_refused() {
    let ok = [0.0, 1.0];
    let inf = f64::INFINITY;
    assert!(BridgeEstimate::new(&ok, &ok, None).is_ok());
    for (at_p, at_q, effective) in [
        (&ok[..1], &ok[..], None),
        (&ok, &ok[..1], None),
        (&[0.0, -inf], &ok, None),
        (&ok, &[0.0, inf], None),
        (&[f64::NAN, 0.0], &ok, None),
        (&[inf, inf], &ok, None),
        (&ok, &[-inf, -inf], None),
        (&ok, &ok, Some(0.0)),
        (&ok, &ok, Some(inf)),
    ] {
        let got = BridgeEstimate::new(at_p, at_q, effective);
        assert!(got.is_err(), "{at_p:?} {at_q:?} {effective:?}");
    }
}
