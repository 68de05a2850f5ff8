//! The doubling of a trajectory: how far it goes before it turns.
//!
//! For each stretch of a trajectory, a tree keeps the momenta at the two ends and the sum `rho` of
//! all momenta. The stretch goes on while both ends move along it (Betancourt 2017, appendix
//! A.4.2): `r_begin . rho > 0` and `r_end . rho > 0`. (The velocity is `M^{-1} p`, which in the
//! units of `r` is `r` itself.) Two successive stretches, `a` and then `b`, are joined if this
//! holds for
//!
//! 1. both together,
//! 2. `a` with the first momentum of `b`,
//! 3. the last momentum of `a` with `b`.
//!
//! The last two are the checks across subtrees, in Stan since 2.21. Without them, a trajectory of
//! independent directions can come back to its beginning without its ends showing it. The checks do
//! not depend on direction: a stretch read backwards, with all momenta reversed, gives the same
//! answer.

use crate::linalg::vector::dot;
use crate::scalar::Scalar;

/// A stretch of a trajectory.
#[derive(Clone, Debug)]
pub(super) struct Branch<T> {
    pub begin: Vec<T>,
    pub end: Vec<T>,
    pub rho: Vec<T>,
}

impl<T: Scalar> Branch<T> {
    pub fn new(dim: usize) -> Self {
        Self {
            begin: vec![T::ZERO; dim],
            end: vec![T::ZERO; dim],
            rho: vec![T::ZERO; dim],
        }
    }

    /// A stretch of one state.
    pub fn set(&mut self, momentum: &[T]) {
        self.begin.copy_from_slice(momentum);
        self.end.copy_from_slice(momentum);
        self.rho.copy_from_slice(momentum);
    }

    /// Reverses the stretch.
    pub fn turn(&mut self) {
        std::mem::swap(&mut self.begin, &mut self.end);
    }

    /// Sets `self` to `a` followed by `b`, which are left with other vectors. True if the
    /// trajectory goes on.
    pub fn join(&mut self, a: &mut Self, b: &mut Self) -> bool {
        for ((rho, a), b) in self.rho.iter_mut().zip(&a.rho).zip(&b.rho) {
            *rho = *a + *b;
        }
        let along = |r: &[T]| dot(r, &self.rho) > 0.0;
        let goes_on = along(&a.begin)
            && along(&b.end)
            && both_along(&a.begin, &b.begin, &a.rho, &b.begin)
            && both_along(&a.end, &b.end, &a.end, &b.rho);
        std::mem::swap(&mut self.begin, &mut a.begin);
        std::mem::swap(&mut self.end, &mut b.end);
        goes_on
    }
}

/// `x . (u + v) > 0` and `y . (u + v) > 0`.
fn both_along<T: Scalar>(x: &[T], y: &[T], u: &[T], v: &[T]) -> bool {
    let along = |r: &[T]| dot(r, u) + dot(r, v) > 0.0;
    along(x) && along(y)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Phase, Streams, fill_normal};

    fn normals(count: usize) -> Vec<f64> {
        let mut out = vec![0.0; count];
        fill_normal(&mut Streams::new(5).rng(Phase::USER, 0), &mut out);
        out
    }

    fn branch(begin: [f64; 2], end: [f64; 2], rho: [f64; 2]) -> Branch<f64> {
        Branch {
            begin: begin.to_vec(),
            end: end.to_vec(),
            rho: rho.to_vec(),
        }
    }

    fn joined(mut a: Branch<f64>, mut b: Branch<f64>) -> (bool, Branch<f64>) {
        let mut out = Branch::new(2);
        (out.join(&mut a, &mut b), out)
    }

    #[test]
    fn each_of_the_three_checks_ends_a_trajectory_alone() {
        let a = || branch([1.0, 0.0], [1.0, 1.0], [2.0, 1.0]);
        let b = || branch([1.0, 0.5], [1.0, -0.5], [2.0, 0.0]);
        let (goes_on, out) = joined(a(), b());
        assert!(goes_on);
        assert_eq!(out.begin, [1.0, 0.0]);
        assert_eq!(out.end, [1.0, -0.5]);
        assert_eq!(out.rho, [4.0, 1.0]);
        // the whole: rho = (4, 1), and the last momentum goes back along it, -4 + 3
        let (goes_on, _) = joined(a(), branch([1.0, 0.5], [-1.0, 3.0], [2.0, 0.0]));
        assert!(!goes_on);
        // a with the first momentum of b: (0.1, 1.9) is along (1, 0), (-0.1, 1.9) is not
        assert!(joined(a(), branch([-1.9, 0.9], [1.0, 0.0], [2.0, 0.0])).0);
        assert!(!joined(a(), branch([-2.1, 0.9], [1.0, 0.0], [2.0, 0.0])).0);
        // the last momentum of a with b
        let first = branch([1.0, 0.0], [-2.1, 0.9], [2.0, 0.0]);
        assert!(!joined(first, branch([1.0, 0.0], [1.0, 0.0], [2.0, 1.0])).0);
    }

    #[test]
    fn a_trajectory_read_backwards_goes_on_as_far() {
        // some random branches go on and some do not; reversed and in the other order, they agree
        let numbers = normals(12 * 400);
        let mut count = 0;
        for x in numbers.chunks_exact(12) {
            let pair = |i: usize| [x[i] + 0.7, x[i + 1]];
            let (a, b) = (
                branch(pair(0), pair(2), pair(4)),
                branch(pair(6), pair(8), pair(10)),
            );
            let back = |c: &Branch<f64>| {
                let turned = |v: &[f64]| [-v[0], -v[1]];
                branch(turned(&c.end), turned(&c.begin), turned(&c.rho))
            };
            let backwards = joined(back(&b), back(&a)).0;
            let forwards = joined(a, b).0;
            assert_eq!(forwards, backwards);
            count += usize::from(forwards);
        }
        assert!(count > 20 && count < 380, "{count}");
    }
}
