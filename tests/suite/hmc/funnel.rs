//! Neal's funnel, not centred and centred.
//!
//! Not centred, all of it must be reached. Centred, the tests show how far down the neck a step
//! reaches. A leapfrog step of `eps` along `x_i ~ N(0, e^v)` is unstable for `eps > 2 e^{v/2}`,
//! which is below `v = 2 log(eps / 2)`. Trajectories that get there are rejected or diverge. So
//! longer steps miss the neck, although they match the density above it. No step size makes the
//! limit distribution wrong.

use super::targets::{Funnel, Gauss, counted};
use super::{both, covered, covered_at, starts};
use fiberwalk::Streams;
use fiberwalk::baselines::{ChainOptions, Chains, HmcOptions, NutsOptions, Trajectory, hmc, nuts};
use fiberwalk::diagnose::{chi_square_survival, normal_quantile};

/// The level of each of about a hundred shares. With any machine's rounding all of them hold,
/// except with a chance of one in ten thousand.
const LEVEL: f64 = 1e-6;

/// Neal's value.
const SD: f64 = 3.0;

/// `P(|x_i| < q)` of a normal with variance `e^v`, integrated over `v` by the trapezoidal rule.
fn inside(q: f64) -> f64 {
    let step = 1e-3;
    let at = |k: i32| {
        let z = f64::from(k) * step;
        let scaled = q * (-0.5 * SD * z).exp();
        (-0.5 * z * z).exp() * libm::erf(scaled / 2.0f64.sqrt())
    };
    let sum: f64 = (-8_000..=8_000).map(at).sum();
    sum * step / (2.0 * std::f64::consts::PI).sqrt()
}

/// Checks `v`, the sum of the squares of `x_i e^{-v/2}`, and each `x_i`: the shares of draws below
/// quantiles, by their standard errors.
fn is_met(
    chains: &Chains<f64>,
    shares: &[f64],
    bounds: &[f64],
    of: impl Fn(&[f64]) -> (f64, Vec<f64>),
) {
    for &share in shares {
        let bound = SD * normal_quantile(share);
        covered_at(LEVEL, chains, 1, |t| {
            vec![f64::from(of(t).0 < bound) - share]
        });
        covered_at(LEVEL, chains, 1, |t| {
            let (v, x) = of(t);
            let squares: f64 = x.iter().map(|x| x * x * (-v).exp()).sum();
            vec![f64::from(chi_square_survival(squares, x.len() as f64) < share) - share]
        });
    }
    for &q in bounds {
        let share = inside(q);
        for i in 0..5 {
            covered_at(LEVEL, chains, 1, |t| {
                vec![f64::from(of(t).1[i].abs() < q) - share]
            });
        }
    }
}

#[test]
fn a_funnel_that_is_not_centred_is_met_from_neck_to_mouth() {
    // v and z with x = e^{v/2} z: round, except for the width of v
    let mut covariance = vec![0.0; 36];
    (0..6).for_each(|i| covariance[7 * i] = if i == 0 { SD * SD } else { 1.0 });
    let target = counted(Gauss::new(vec![0.0; 6], covariance));
    let options = ChainOptions {
        draws: 4_000,
        ..ChainOptions::default()
    };
    for chains in both::<f64, _>(&target, &options) {
        assert_eq!(chains.divergences(), 0);
        let shares = [0.01, 0.03, 0.1, 0.25, 0.5, 0.75, 0.9, 0.97, 0.99];
        is_met(&chains, &shares, &[1e-2, 0.1, 1.0, 10.0, 100.0], |t| {
            let width = (0.5 * t[0]).exp();
            (t[0], t[1..].iter().map(|z| width * z).collect())
        });
    }
}

/// Both samplers on the centred funnel with this step and no mass: NUTS, and HMC with about 200
/// steps.
fn centred(step_size: f64, draws: usize) -> [Chains<f64>; 2] {
    let target = counted(Funnel { sd: SD });
    let chains = ChainOptions {
        draws,
        step_size: Some(step_size),
        adapt_mass: false,
        ..ChainOptions::default()
    };
    let for_nuts = NutsOptions {
        chains: chains.clone(),
        ..NutsOptions::default()
    };
    let for_hmc = HmcOptions {
        chains,
        trajectory: Trajectory::LeapfrogSteps(200),
        jitter: 0.9,
    };
    let (starts, streams) = (starts(6, 4), Streams::new(1));
    [
        nuts(&target, &starts, &for_nuts, streams).unwrap(),
        hmc(&target, &starts, &for_hmc, streams).unwrap(),
    ]
}

/// A step of 0.02 reaches down to -9.2; a thousandth of the mass lies below. Chains of this length
/// visit two regions too rarely for a standard error: the lowest hundredth, and the mouth above 4,
/// through which trajectories of length 4 move slowly. So the shares are those in between, and
/// `x_i` ends at 1.
#[test]
fn a_short_step_meets_the_centred_funnel_and_does_not_diverge() {
    for chains in centred(0.02, 8_000) {
        assert!(chains.divergences() < 10, "{}", chains.divergences());
        let shares = [0.03, 0.1, 0.25, 0.5, 0.75, 0.9];
        is_met(&chains, &shares, &[0.1, 1.0], |t| (t[0], t[1..].to_vec()));
    }
}

/// A step of 0.5 reaches down to -2.8. 9 % of the mass lies more than 1.2 below that, but not one
/// draw of 40,000 does. Divergences show it: there a step multiplies a deviation by more than ten
/// (`eps^2 e^{-v} - 2 = 11`), and two steps are a divergence. Above the limit the shares are right.
#[test]
fn a_long_step_misses_the_neck_and_diverges() {
    let limit = 2.0 * 0.25f64.ln();
    let above = |v: f64| 0.5 * libm::erfc(v / SD / 2.0f64.sqrt());
    assert!(1.0 - above(limit - 1.2) > 0.09);
    for chains in centred(0.5, 10_000) {
        assert!(chains.divergences() > 100, "{}", chains.divergences());
        assert!(chains.points().all(|t| t[0] > limit - 1.2));
        for part in [0.25, 0.5, 0.75] {
            let bound = SD * normal_quantile(1.0 - part * above(limit));
            covered_at(LEVEL, &chains, 1, |t| match t[0] > limit {
                true => vec![f64::from(t[0] > bound) - part],
                false => vec![0.0],
            });
        }
    }
}

#[test]
fn the_neck_of_a_funnel_is_reached_by_small_steps() {
    // centred, v ~ N(0, 1): NUTS with a tuned step and an acceptance of 0.95
    let options = NutsOptions {
        chains: ChainOptions {
            draws: 4_000,
            target_acceptance: 0.95,
            ..ChainOptions::default()
        },
        ..NutsOptions::default()
    };
    let target = counted(Funnel { sd: 1.0 });
    let chains = nuts::<f64, _>(&target, &starts(6, 4), &options, Streams::new(1)).unwrap();
    for of in [|v: f64| v, |v: f64| v * v - 1.0, |v: f64| v * v * v] {
        covered(&chains, 1, |t| vec![of(t[0])]);
    }
}
