//! A point of phase space and the leapfrog step, for all Hamiltonian samplers: HMC, NUTS and
//! annealed importance sampling. (Microcanonical walks have other dynamics.)
//!
//! R. M. Neal, "MCMC using Hamiltonian dynamics", Handbook of Markov Chain Monte Carlo (2011),
//! equations 2.28 to 2.30. The inverse mass matrix is `M^{-1} = diag(s^2)`. The momentum `p` is
//! kept in units in which it is standard normal, `r = M^{-1/2} p`:
//!
//! ```text
//! H(theta, r) = U(theta) + |r|^2 / 2
//! r     <- r + eps/2 s grad log p(theta)
//! theta <- theta + eps s r
//! r     <- r + eps/2 s grad log p(theta)
//! ```
//!
//! This is the leapfrog step of `(theta, p)` with mass `M`, term by term. Here, inner products of
//! momenta need no mass.

use crate::error::Result;
use crate::linalg::vector::dot;
use crate::scalar::Scalar;
use crate::simd;

/// A position and a momentum, with the density at the position.
#[derive(Clone, Debug)]
pub struct PhasePoint<T> {
    pub(crate) theta: Vec<T>,
    /// Gradient of the log density.
    pub(crate) gradient: Vec<T>,
    /// `r`.
    pub(crate) momentum: Vec<T>,
    pub(crate) log_density: f64,
}

impl<T: Scalar> PhasePoint<T> {
    /// A point whose density is not yet known.
    pub(crate) fn new(dim: usize) -> Self {
        Self {
            theta: vec![T::ZERO; dim],
            gradient: vec![T::ZERO; dim],
            momentum: vec![T::ZERO; dim],
            log_density: f64::NAN,
        }
    }

    /// Copies the position of another state, not its momentum.
    pub(crate) fn place(&mut self, other: &Self) {
        self.theta.copy_from_slice(&other.theta);
        self.gradient.copy_from_slice(&other.gradient);
        self.log_density = other.log_density;
    }

    /// Copies the position and momentum of another state.
    pub(crate) fn set(&mut self, other: &Self) {
        self.place(other);
        self.momentum.copy_from_slice(&other.momentum);
    }

    /// `H`, in nats. Infinite where it, or the density, is infinite or NaN.
    pub(crate) fn hamiltonian(&self) -> f64 {
        let h = 0.5 * dot(&self.momentum, &self.momentum) - self.log_density;
        match h.is_finite() {
            true => h,
            false => f64::INFINITY,
        }
    }
}

/// The integrator of a trajectory.
#[derive(Clone, Copy)]
pub struct Leapfrog<'a, T> {
    /// `s`, the root of the inverse mass matrix.
    pub(crate) scale: &'a [T],
    /// `eps`.
    pub(crate) step_size: f64,
}

impl<T: Scalar> Leapfrog<'_, T> {
    /// One step from `at`, forward in time or backward. `evaluate` returns the log density at a
    /// position, and writes its gradient.
    pub(crate) fn step(
        &self,
        at: &mut PhasePoint<T>,
        forward: bool,
        evaluate: impl FnOnce(&[T], &mut [T]) -> Result<f64>,
    ) -> Result<()> {
        let step = match forward {
            true => self.step_size,
            false => -self.step_size,
        };
        add_product(0.5 * step, self.scale, &at.gradient, &mut at.momentum);
        add_product(step, self.scale, &at.momentum, &mut at.theta);
        at.log_density = evaluate(&at.theta, &mut at.gradient)?;
        add_product(0.5 * step, self.scale, &at.gradient, &mut at.momentum);
        Ok(())
    }
}

/// `y_i += c a_i b_i`.
fn add_product<T: Scalar>(c: f64, a: &[T], b: &[T], y: &mut [T]) {
    let c = T::from_f64(c);
    simd::dispatch(AddProduct { c, a, b, y });
}

struct AddProduct<'a, T> {
    c: T,
    a: &'a [T],
    b: &'a [T],
    y: &'a mut [T],
}

impl<T: Scalar> simd::Vectorised for AddProduct<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        for ((y, &a), &b) in self.y.iter_mut().zip(self.a).zip(self.b) {
            *y += self.c * a * b;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::LogDensity;
    use crate::rng::{Phase, Streams, fill_normal};

    /// `-sum_i theta_i^4 / 4`, with neighbours coupled. A leapfrog step does not integrate it
    /// exactly.
    struct Quartic;

    impl LogDensity<f64> for Quartic {
        type Workspace = ();
        fn dim(&self) -> usize {
            5
        }
        fn workspace(&self) {}
        fn log_density(&self, theta: &[f64], (): &mut ()) -> Result<f64> {
            let own: f64 = theta.iter().map(|t| t.powi(4)).sum();
            let pairs: f64 = theta.windows(2).map(|w| (w[0] - w[1]).powi(2)).sum();
            Ok(-0.25 * own - 0.5 * pairs)
        }
        fn log_density_and_grad(&self, t: &[f64], g: &mut [f64], ws: &mut ()) -> Result<f64> {
            for (g, t) in g.iter_mut().zip(t) {
                *g = -t.powi(3);
            }
            for i in 1..t.len() {
                g[i] -= t[i] - t[i - 1];
                g[i - 1] += t[i] - t[i - 1];
            }
            self.log_density(t, ws)
        }
    }

    const SCALE: [f64; 5] = [1.0, 0.5, 2.0, 0.7, 1.3];

    fn start() -> PhasePoint<f64> {
        let mut state = PhasePoint::new(5);
        let mut rng = Streams::new(3).rng(Phase::USER, 0);
        fill_normal(&mut rng, &mut state.theta);
        fill_normal(&mut rng, &mut state.momentum);
        let (theta, gradient) = (&state.theta, &mut state.gradient);
        state.log_density = Quartic
            .log_density_and_grad(theta, gradient, &mut ())
            .unwrap();
        state
    }

    fn run(state: &mut PhasePoint<f64>, step_size: f64, steps: usize, forward: bool) {
        let leapfrog = Leapfrog {
            scale: &SCALE,
            step_size,
        };
        for _ in 0..steps {
            let evaluate = |t: &[f64], g: &mut [f64]| Quartic.log_density_and_grad(t, g, &mut ());
            leapfrog.step(state, forward, evaluate).unwrap();
        }
    }

    #[test]
    fn a_step_is_that_of_the_momentum_with_mass() {
        // the textbook's (theta, p), p = M^{1/2} r = r / s
        let mut state = start();
        let (mut theta, mut p) = (state.theta.clone(), state.momentum.clone());
        p.iter_mut().zip(SCALE).for_each(|(p, s)| *p /= s);
        let mut gradient = state.gradient.clone();
        for _ in 0..3 {
            p.iter_mut()
                .zip(&gradient)
                .for_each(|(p, g)| *p += 0.05 * g);
            for ((t, p), s) in theta.iter_mut().zip(&p).zip(SCALE) {
                *t += 0.1 * s * s * p;
            }
            Quartic
                .log_density_and_grad(&theta, &mut gradient, &mut ())
                .unwrap();
            p.iter_mut()
                .zip(&gradient)
                .for_each(|(p, g)| *p += 0.05 * g);
        }
        run(&mut state, 0.1, 3, true);
        for i in 0..5 {
            assert!((state.theta[i] - theta[i]).abs() < 1e-13);
            assert!((state.momentum[i] - SCALE[i] * p[i]).abs() < 1e-13);
        }
    }

    #[test]
    fn a_trajectory_is_reversible_both_ways() {
        let from = start();
        let mut turned = from.clone();
        run(&mut turned, 0.05, 40, true);
        let mut back = turned.clone();
        run(&mut back, 0.05, 40, false);
        turned.momentum.iter_mut().for_each(|r| *r = -*r);
        run(&mut turned, 0.05, 40, true);
        for i in 0..5 {
            assert!((back.theta[i] - from.theta[i]).abs() < 1e-11);
            assert!((back.momentum[i] - from.momentum[i]).abs() < 1e-11);
            assert!((turned.theta[i] - from.theta[i]).abs() < 1e-11);
            assert!((turned.momentum[i] + from.momentum[i]).abs() < 1e-11);
        }
    }

    #[test]
    fn the_energy_error_is_of_second_order() {
        let error = |steps: usize| {
            let mut state = start();
            let before = state.hamiltonian();
            run(&mut state, 0.4 / steps as f64, steps, true);
            (state.hamiltonian() - before).abs()
        };
        let mut previous = error(32);
        for steps in [64, 128, 256] {
            let now = error(steps);
            let order = (previous / now).log2();
            assert!((order - 2.0).abs() < 0.05, "{steps}: {order}");
            previous = now;
        }
    }

    #[test]
    fn what_is_not_a_number_is_of_infinite_energy() {
        let mut state = start();
        for log_density in [f64::NAN, f64::NEG_INFINITY, f64::INFINITY] {
            state.log_density = log_density;
            assert_eq!(state.hamiltonian(), f64::INFINITY);
        }
    }
}
