//! The microcanonical dynamics: a velocity of unit length that the gradient bends.
//!
//! In `d` dimensions the flow is `dy = u dt`, `du = -(I - u u^T) grad U / (d - 1) dt` with
//! `|u| = 1`. Its stationary density is `p(y) = e^{-U}`, whatever the speed (Robnik, De Luca,
//! Silverstein & Seljak 2023, arXiv 2212.08549). It is split into two maps, each solved exactly:
//!
//! - **kick** for a time `t`, with `e = -grad U / |grad U|` and `delta = t |grad U| / (d - 1)`:
//!   `u <- (u + e (sinh delta + (e.u)(cosh delta - 1))) / (cosh delta + (e.u) sinh delta)`;
//! - **drift**: `y <- y + t u`.
//!
//! The kick changes the kinetic energy by `(d - 1) log(cosh delta + (e.u) sinh delta)`, and the
//! drift changes `U`. The flow conserves their sum. The change of the sum over a step is the
//! **energy error**. For a half kick, a drift and a half kick it is of third order in the step. It
//! is also the log ratio that a Metropolis test needs: the map is reversible up to the sign of `u`,
//! and only the kick changes volume on the sphere of velocities (Robnik, Cohn-Gordon & Seljak 2025,
//! arXiv 2503.01707).
//!
//! Vectors may be lifted ([`crate::walk::InverseMassMatrix`]). They then have more numbers than
//! there are dimensions, so the dimension is passed explicitly. A velocity may have any length;
//! only its direction counts. So the next kick removes what rounding did to the length, without a
//! separate pass.

use crate::linalg::vector::{combine, dots, norm, scale};
use crate::scalar::Scalar;

/// Scales `u` to unit length; the zero vector stays.
pub(crate) fn normalise<T: Scalar>(u: &mut [T]) {
    let length = norm(u);
    if length > 0.0 {
        scale(1.0 / length, u);
    }
}

/// The kick by `force`, the gradient of the log density, for a time `time` in `dim` dimensions.
/// Returns the change of kinetic energy.
pub(crate) fn kick<T: Scalar>(time: f64, dim: usize, force: &[T], u: &mut [T]) -> f64 {
    let free = dim as f64 - 1.0;
    let [force_squared, product, speed_squared] = dots(force, u);
    let (strength, speed) = (force_squared.sqrt(), speed_squared.sqrt());
    if strength == 0.0 || speed == 0.0 || free <= 0.0 {
        return 0.0;
    }
    let delta = time * strength / free;
    // the component of u along the force; rounding must not take it out of its range
    let along = (product / (strength * speed)).clamp(-1.0, 1.0);
    // everything times 2 exp(-delta), which neither overflows nor cancels
    let z = (-delta).exp();
    let of_force = (1.0 - z) * (1.0 + z + along * (1.0 - z));
    let growth = 1.0 + along + (1.0 - along) * z * z;
    if growth > 0.0 {
        combine(
            2.0 * z / (growth * speed),
            u,
            of_force / (growth * strength),
            force,
        );
    }
    free * (delta - std::f64::consts::LN_2 + growth.ln())
}

/// Forgets a part of the direction: `u <- (u + nu z) / |u + nu z|` with `z ~ N(0, I)` in `dim`
/// dimensions and `nu = ((e^{2 time / length} - 1) / d)^{1/2}`. The direction is lost after a time
/// `length`.
pub(in crate::walk) fn refresh<T: Scalar>(
    time: f64,
    length: f64,
    dim: usize,
    z: &[T],
    u: &mut [T],
) {
    let nu = ((2.0 * time / length).exp_m1() / dim as f64).sqrt();
    let [noise, product, speed] = dots(z, u);
    let norm = (speed + nu * (2.0 * product + nu * noise)).sqrt();
    if norm > 0.0 && norm.is_finite() {
        combine(1.0 / norm, u, nu / norm, z);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linalg::vector::dot;
    use crate::rng::{Phase, Streams, fill_normal};

    fn random(n: usize, seed: u64) -> Vec<f64> {
        let mut v = vec![0.0; n];
        fill_normal(&mut Streams::new(seed).rng(Phase::USER, 0), &mut v);
        v
    }

    fn unit(n: usize, seed: u64) -> Vec<f64> {
        let mut u = vec![0.0; n];
        fill_normal(&mut Streams::new(seed).rng(Phase::USER, 1), &mut u);
        normalise(&mut u);
        u
    }

    /// Integrates `du/dt = -(I - u u^T) g / (d - 1)` by a thousand steps of Runge-Kutta.
    fn integrated(time: f64, g: &[f64], u: &[f64]) -> (Vec<f64>, f64) {
        let n = u.len();
        let free = n as f64 - 1.0;
        let slope = |u: &[f64]| -> Vec<f64> {
            let along = dot(u, g);
            (0..n).map(|i| -(g[i] - along * u[i]) / free).collect()
        };
        let moved = |u: &[f64], h: f64, k: &[f64]| -> Vec<f64> {
            u.iter().zip(k).map(|(u, k)| u + h * k).collect()
        };
        let (mut u, mut energy, steps) = (u.to_vec(), 0.0, 1000);
        let h = time / steps as f64;
        for _ in 0..steps {
            let k1 = slope(&u);
            let half = moved(&u, h / 2.0, &k1);
            let k2 = slope(&half);
            let middle = moved(&u, h / 2.0, &k2);
            let k3 = slope(&middle);
            let k4 = slope(&moved(&u, h, &k3));
            let end: Vec<f64> = (0..n)
                .map(|i| u[i] + h / 6.0 * (k1[i] + 2.0 * k2[i] + 2.0 * k3[i] + k4[i]))
                .collect();
            // d(kinetic)/dt = -u.g, by Simpson's rule with a midpoint of second order: an error of
            // order h^2 = 4e-5 of a small part
            energy -= h / 6.0 * (dot(&u, g) + 4.0 * dot(&middle, g) + dot(&end, g));
            u = end;
        }
        (u, energy)
    }

    #[test]
    fn a_kick_solves_its_equation() {
        for (n, time, seed) in [(2, 0.7, 1), (5, 1.3, 2), (40, 6.0, 3)] {
            let (g, u) = (random(n, seed), unit(n, seed));
            let mut got = u.clone();
            let force: Vec<f64> = g.iter().map(|g| -g).collect();
            let energy = kick(time, n, &force, &mut got);
            let (want, want_energy) = integrated(time, &g, &u);
            for (a, b) in got.iter().zip(&want) {
                assert!((a - b).abs() < 1e-9, "{a} against {b}");
            }
            assert!(
                (energy - want_energy).abs() < 1e-6 * want_energy.abs().max(1.0),
                "{energy} {want_energy}"
            );
        }
    }

    #[test]
    fn a_kick_is_undone_by_the_same_one_backwards_and_survives_extremes() {
        let (g, u) = (random(9, 4), unit(9, 4));
        let mut v = u.clone();
        let there = kick(0.8, 9, &g, &mut v);
        v.iter_mut().for_each(|x| *x = -*x);
        let back = kick(0.8, 9, &g, &mut v);
        for (a, b) in v.iter().zip(&u) {
            assert!((a + b).abs() < 1e-12);
        }
        assert!(
            (there + back).abs() < 1e-12,
            "conserved over there and back"
        );
        // no force, and one that turns the velocity at once
        let mut v = u.clone();
        assert_eq!(kick(1.0, 9, &[0.0; 9], &mut v), 0.0);
        assert_eq!(v, u);
        let huge: Vec<f64> = g.iter().map(|x| 1e6 * x).collect();
        let energy = kick(1.0, 9, &huge, &mut v);
        assert!(energy.is_finite() && (norm(&v) - 1.0).abs() < 1e-12);
        let downhill = dot(&v, &huge) / norm(&huge);
        assert!((downhill - 1.0).abs() < 1e-12);
        // the length of a velocity does not matter
        let (mut v, mut long) = (u.clone(), u.iter().map(|u| 3.0 * u).collect::<Vec<f64>>());
        let energies = [&mut v, &mut long].map(|u| kick(0.8, 9, &g, u));
        assert!((energies[0] - energies[1]).abs() < 1e-12);
        for (a, b) in v.iter().zip(&long) {
            assert!((a - b).abs() < 1e-12);
        }
    }

    /// The correlation of the direction after a time `t` is `e^{-t/L}`.
    #[test]
    fn refreshing_forgets_at_the_rate_it_says() {
        let (n, steps, time, length) = (400, 25, 0.2, 10.0);
        let mut sum = 0.0;
        let trials = 400;
        for trial in 0..trials {
            let mut rng = Streams::new(trial).rng(Phase::USER, 2);
            let (mut u, mut z) = (vec![0.0f64; n], vec![0.0; n]);
            fill_normal(&mut rng, &mut u);
            normalise(&mut u);
            let start = u.clone();
            for _ in 0..steps {
                fill_normal(&mut rng, &mut z);
                refresh(time, length, n, &z, &mut u);
            }
            sum += dot(&start, &u);
        }
        let want = (-time * f64::from(steps) / length).exp();
        // each dot product scatters by less than n^{-1/2}; 5 sigma, and 1/n for the normalisation
        let tolerance = 5.0 / (n as f64 * trials as f64).sqrt() + 1.0 / n as f64;
        assert!((sum / trials as f64 - want).abs() < tolerance);
    }
}
