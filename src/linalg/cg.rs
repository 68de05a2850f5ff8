//! Preconditioned conjugate gradients, for positive definite matrices known only by their products.
//!
//! The iteration starts with `r = b - A x`, `z = M^{-1} r` and `d = z`. Each step is (Hestenes &
//! Stiefel 1952; Golub & Van Loan, section 11.5):
//!
//! `a = r.z / d.A d`, `x += a d`, `r -= a A d`, `z = M^{-1} r`, `d = z + (r.z / r.z before) d`.
//!
//! The tolerance applies to the residual of the recurrence. Before the end, the residual is
//! computed anew as `b - A x`. If rounding has driven the two apart, the iteration goes on from the
//! new one.
//!
//! If leading eigenpairs `(lambda_i, u_i)` of `G` are known, a preconditioner for `G + alpha I` is
//! `M = sum_i (lambda_i + alpha) u_i u_i^T + (rest + alpha) (I - sum_i u_i u_i^T)`. It leaves only
//! the spectrum below the last known eigenvalue.

use super::lanczos::Eigenpairs;
use super::operator::SymmetricOperator;
use super::vector::{axpy, dot, norm, scale};
use crate::error::{Error, Result, counted};
use crate::scalar::Scalar;

/// A positive definite matrix `M` close to `A` that is easy to invert.
pub trait Preconditioner<T: Scalar> {
    /// `z = M^{-1} r`.
    ///
    /// # Errors
    /// If a length is wrong.
    fn solve(&mut self, r: &[T], z: &mut [T]) -> Result<()>;
}

/// No preconditioner: `M = I`.
#[derive(Clone, Copy, Debug, Default)]
pub struct IdentityPreconditioner;

impl<T: Scalar> Preconditioner<T> for IdentityPreconditioner {
    fn solve(&mut self, r: &[T], z: &mut [T]) -> Result<()> {
        z.copy_from_slice(r);
        Ok(())
    }
}

/// Leading eigenpairs, with a multiple of the identity on their complement.
#[derive(Clone, Debug)]
pub struct LowRankPreconditioner<'a, T> {
    basis: &'a [T],
    /// `1 / (lambda_i + alpha) - 1 / level`.
    weights: Vec<f64>,
    level: f64,
}

impl<'a, T: Scalar> LowRankPreconditioner<'a, T> {
    /// The preconditioner for `A + shift I` from leading eigenpairs of a positive semidefinite `A`.
    /// All other eigenvalues are taken to be `rest`, a value between 0 and the last eigenvalue of
    /// `pairs`.
    ///
    /// # Errors
    /// If `shift` is not positive, `rest` is negative, or either is not finite.
    pub fn new(pairs: &'a Eigenpairs<T>, shift: f64, rest: f64) -> Result<Self> {
        Self::from_parts(&pairs.values, &pairs.vectors, shift, rest)
    }

    /// The same from eigenvalues and orthonormal rows `[k, dim]`, such as those of a tangent space.
    ///
    /// # Errors
    /// As for [`LowRankPreconditioner::new`].
    pub fn from_parts(values: &[f64], basis: &'a [T], shift: f64, rest: f64) -> Result<Self> {
        if !(shift > 0.0 && shift.is_finite()) {
            return Err(Error::config("shift", shift, "must be positive and finite"));
        }
        if !(rest >= 0.0 && rest.is_finite()) {
            let requirement = "must be finite and not negative";
            return Err(Error::config("rest", rest, requirement));
        }
        let level = rest + shift;
        let weight = |&l: &f64| 1.0 / (l.max(0.0) + shift) - 1.0 / level;
        Ok(Self {
            basis,
            weights: values.iter().map(weight).collect(),
            level,
        })
    }
}

impl<T: Scalar> Preconditioner<T> for LowRankPreconditioner<'_, T> {
    fn solve(&mut self, r: &[T], z: &mut [T]) -> Result<()> {
        if self.basis.len() != self.weights.len() * r.len() {
            let expected = counted(self.weights.len(), "row");
            return Err(Error::shape("LowRankPreconditioner", expected, r.len()));
        }
        z.copy_from_slice(r);
        scale(1.0 / self.level, z);
        for (row, &w) in self.basis.chunks_exact(r.len().max(1)).zip(&self.weights) {
            axpy(w * dot(row, r), row, z);
        }
        Ok(())
    }
}

/// When to stop.
#[derive(Clone, Debug)]
pub struct CgOptions {
    /// Largest norm of the residual, relative to the norm of the right-hand side.
    pub tolerance: f64,
    /// Largest number of products with the matrix.
    pub max_products: usize,
}

impl Default for CgOptions {
    fn default() -> Self {
        Self {
            tolerance: 1e-6,
            max_products: 500,
        }
    }
}

/// Cost and accuracy of a solve.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CgReport {
    /// Products with the matrix.
    pub products: usize,
    /// `|b - A x| / |b|` at the end.
    pub residual: f64,
}

/// Solves `A x = b`. `x` holds the starting point, and then the solution.
///
/// # Errors
/// [`Error::Indefinite`] if `A` or the preconditioner is not positive definite along a direction of
/// the iteration. [`Error::NoConvergence`] with the residual if products run out.
/// [`Error::NonFinite`] if the residual is not finite. Errors of the operator. After these errors
/// `x` holds the last iterate.
pub fn conjugate_gradients<T: Scalar>(
    op: &mut impl SymmetricOperator<T>,
    preconditioner: &mut impl Preconditioner<T>,
    b: &[T],
    x: &mut [T],
    options: &CgOptions,
) -> Result<CgReport> {
    let n = op.dim();
    if b.len() != n || x.len() != n {
        let got = format!("{} and {}", b.len(), x.len());
        return Err(Error::shape("conjugate_gradients", n, got));
    }
    if options.tolerance.is_nan() || options.tolerance <= 0.0 {
        return Err(Error::config(
            "tolerance",
            options.tolerance,
            "must be positive",
        ));
    }
    let size = norm(b);
    if size == 0.0 {
        x.fill(T::ZERO);
        return Ok(CgReport {
            products: 0,
            residual: 0.0,
        });
    }
    let [mut r, mut z, mut d, mut image] = std::array::from_fn(|_| vec![T::ZERO; n]);
    let (mut products, mut iteration) = (0, 0);
    // true when r comes from the definition, not from the recurrence
    let mut fresh = false;
    if x.iter().all(|&x| x == T::ZERO) {
        r.copy_from_slice(b);
        fresh = true;
    }
    let mut before = None;
    loop {
        if !fresh && before.is_none() {
            op.apply(x, &mut image)?;
            products += 1;
            for ((r, &b), &a) in r.iter_mut().zip(b).zip(&image) {
                *r = b - a;
            }
            fresh = true;
        }
        let residual = norm(&r) / size;
        if !residual.is_finite() {
            let index = r.iter().position(|x| !x.is_finite()).unwrap_or(0);
            let what = "residual of conjugate gradients";
            return Err(Error::NonFinite { what, index });
        }
        if residual <= options.tolerance {
            if fresh {
                return Ok(CgReport { products, residual });
            }
            before = None;
            continue;
        }
        if products >= options.max_products {
            return Err(Error::NoConvergence {
                what: "conjugate gradients",
                iterations: products,
                residual,
                tolerance: options.tolerance,
            });
        }
        preconditioner.solve(&r, &mut z)?;
        let rz = dot(&r, &z);
        positive(rz, &r, iteration, "preconditioner of conjugate gradients")?;
        let keep = before.map_or(0.0, |old: f64| rz / old);
        scale(keep, &mut d);
        axpy(1.0, &z, &mut d);
        op.apply(&d, &mut image)?;
        products += 1;
        let curvature = dot(&d, &image);
        positive(curvature, &d, iteration, "conjugate gradients")?;
        axpy(rz / curvature, &d, x);
        axpy(-rz / curvature, &image, &mut r);
        (before, fresh) = (Some(rz), false);
        iteration += 1;
    }
}

/// Fails with the curvature unless the quadratic form is positive and finite.
fn positive<T: Scalar>(form: f64, of: &[T], iteration: usize, what: &'static str) -> Result<()> {
    if form > 0.0 && form.is_finite() {
        return Ok(());
    }
    let curvature = form / dot(of, of);
    Err(Error::Indefinite {
        what,
        iteration,
        curvature,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linalg::{
        Cholesky, DenseOperator, LanczosOptions, ShiftedOperator, leading_eigenpairs,
        random_orthogonal, vector::fill_normal,
    };
    use crate::rng::{Phase, Streams};
    use proptest::prelude::*;

    fn with_spectrum(values: &[f64], seed: u64) -> Vec<f64> {
        let n = values.len();
        let q = random_orthogonal(n, &mut Streams::new(seed).rng(Phase::USER, 0));
        let mut a = vec![0.0; n * n];
        for (row, value) in q.chunks_exact(n).zip(values) {
            for (i, x) in row.iter().enumerate() {
                axpy(value * x, row, &mut a[i * n..(i + 1) * n]);
            }
        }
        a
    }

    fn right_hand_side(n: usize, seed: u64) -> Vec<f64> {
        let mut b = vec![0.0; n];
        fill_normal(&mut Streams::new(seed).rng(Phase::USER, 1), &mut b);
        b
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]

        #[test]
        fn solves_what_cholesky_solves(n in 1usize..40, rank in 0usize..6, seed in 0u64..1000, shift in 0.1f64..10.0) {
            let values: Vec<f64> = (0..n).map(|i| 1e4 * 0.3f64.powi(i as i32)).collect();
            let a = with_spectrum(&values, seed);
            let b = right_hand_side(n, seed);
            let mut shifted = a.clone();
            (0..n).for_each(|i| shifted[i * n + i] += shift);
            let mut want = b.clone();
            Cholesky::new(&shifted, n).unwrap().solve(&mut want);
            let mut op = DenseOperator::new(n, a).unwrap();
            let count = rank.clamp(1, n);
            let lanczos = LanczosOptions { count, tolerance: 1e-10, ..LanczosOptions::default() };
            let pairs = leading_eigenpairs(&mut op, &lanczos, &mut Streams::new(seed).rng(Phase::LANCZOS, 0)).unwrap();
            let level = [shift];
            let mut op = ShiftedOperator::new(op, &level).unwrap();
            let options = CgOptions { tolerance: 1e-11, ..CgOptions::default() };
            let mut m = LowRankPreconditioner::new(&pairs, shift, 0.0).unwrap();
            let mut x = right_hand_side(n, seed + 1);
            let report = conjugate_gradients(&mut op, &mut m, &b, &mut x, &options).unwrap();
            prop_assert!(report.residual <= 1e-11);
            for (got, want) in x.iter().zip(&want) {
                prop_assert!((got - want).abs() < 1e-9 * norm(&b) / shift);
            }
        }
    }

    #[test]
    fn leading_eigenpairs_take_away_most_iterations() {
        let values: Vec<f64> = (0..120)
            .map(|i| {
                if i < 20 {
                    1e6 / f64::from(1 + i * i)
                } else {
                    1.0 / f64::from(i)
                }
            })
            .collect();
        let a = with_spectrum(&values, 4);
        let mut op = DenseOperator::new(120, a).unwrap();
        let lanczos = LanczosOptions {
            count: 20,
            tolerance: 1e-11,
            ..LanczosOptions::default()
        };
        let pairs = leading_eigenpairs(
            &mut op,
            &lanczos,
            &mut Streams::new(0).rng(Phase::LANCZOS, 0),
        )
        .unwrap();
        let (b, shift) = (right_hand_side(120, 5), [1.0]);
        let mut op = ShiftedOperator::new(op, &shift).unwrap();
        let options = CgOptions {
            tolerance: 1e-8,
            ..CgOptions::default()
        };
        let (mut x, mut y) = (vec![0.0; 120], vec![0.0; 120]);
        let plain = conjugate_gradients(&mut op, &mut IdentityPreconditioner, &b, &mut x, &options)
            .unwrap();
        let mut m = LowRankPreconditioner::new(&pairs, 1.0, 0.0).unwrap();
        let with = conjugate_gradients(&mut op, &mut m, &b, &mut y, &options).unwrap();
        // the rest of the spectrum is in 1..1.05: a condition number of 1.05 means at most 5
        // iterations for 8 digits
        assert!(
            with.products <= 7 && plain.products >= 21,
            "{with:?} {plain:?}"
        );
        x.iter()
            .zip(&y)
            .for_each(|(x, y)| assert!((x - y).abs() < 1e-6));
    }

    #[test]
    fn failures_carry_their_evidence() {
        let mut op = DenseOperator::new(2, vec![1.0, 0.0, 0.0, -3.0]).unwrap();
        let (b, mut x) = ([0.0, 1.0], [0.0; 2]);
        let options = CgOptions::default();
        let error = conjugate_gradients(&mut op, &mut IdentityPreconditioner, &b, &mut x, &options);
        assert!(
            matches!(
                error,
                Err(Error::Indefinite {
                    iteration: 0,
                    curvature: -3.0,
                    ..
                })
            ),
            "{error:?}"
        );
        let values: Vec<f64> = (0..50).map(|i| 2f64.powi(i)).collect();
        let mut op = DenseOperator::new(50, with_spectrum(&values, 1)).unwrap();
        let options = CgOptions {
            tolerance: 1e-10,
            max_products: 5,
        };
        let mut x = vec![0.0; 50];
        let error = conjugate_gradients(
            &mut op,
            &mut IdentityPreconditioner,
            &right_hand_side(50, 2),
            &mut x,
            &options,
        );
        assert!(
            matches!(error, Err(Error::NoConvergence { iterations: 5, residual, .. }) if residual > 1e-10),
            "{error:?}"
        );
        let options = CgOptions::default();
        let mut zero = vec![1.0; 50];
        let report = conjugate_gradients(
            &mut op,
            &mut IdentityPreconditioner,
            &[0.0; 50],
            &mut zero,
            &options,
        )
        .unwrap();
        assert!(report.products == 0 && zero.iter().all(|&x| x == 0.0));
    }
}
