//! Symmetric operators: linearity, symmetry, sign, and input that must be refused.
//!
//! For random `v`, `w` and numbers `a`, `b`:
//!
//! ```text
//! A(a v + b w) = a A v + b A w
//! <w, A v> = <A w, v>
//! <v, A v> >= 0                     if claimed
//! A_ij = A_ji, eigenvalues >= 0     of the dense matrix, if the dimension is at most 64
//! ```
//!
//! A product is a sum of many rounded terms, so everything holds up to `1e4 u` of the size of what
//! is compared: `u` is 2.2e-16 in f64 and 1.2e-7 in f32, and `1e4` roundings may all point the same
//! way. The memory that a product is written to is filled with NaN first.

use super::checker::{Checker, Tolerance};
use super::failure::{Failure, Place};
use super::options::{CheckOptions, normals};
use crate::error::Result as Outcome;
use crate::linalg::vector::{dot, norm};
use crate::linalg::{SymmetricOperator, symmetric_eigen};
use crate::scalar::Scalar;

/// Largest dimension of which the dense matrix is made.
const DENSE: usize = 64;

/// Roundings that a product may be off by.
const ROUNDINGS: f64 = 1e4;

/// Checks an operator. `positive` claims that it has no negative eigenvalue.
///
/// ```
/// use fiberwalk::linalg::DenseOperator;
/// use fiberwalk::testing::{CheckOptions, check_operator};
/// let mut op = DenseOperator::new(2, vec![2.0, -1.0, -1.0, 2.0])?;
/// check_operator::<f64>(&mut op, true, &CheckOptions::default())?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// The first property that fails.
pub fn check_operator<T: Scalar>(
    op: &mut dyn SymmetricOperator<T>,
    positive: bool,
    options: &CheckOptions,
) -> Result<(), Failure> {
    let dim = op.dim();
    for checker in options.cases("check_operator") {
        check_products(checker, options, dim, positive, &mut |v, out| {
            op.apply(v, out)
        })?;
    }
    Ok(())
}

type Product<'a, T> = &'a mut dyn FnMut(&[T], &mut [T]) -> Outcome<()>;

/// Checks a product with a symmetric matrix.
pub(super) fn check_products<T: Scalar>(
    checker: Checker,
    options: &CheckOptions,
    dim: usize,
    positive: bool,
    product: Product<'_, T>,
) -> Result<(), Failure> {
    let claim =
        |holds, got: String| checker.claim("the dimension", holds, || got, || "at least 1".into());
    claim(dim > 0, format!("{dim}"))?;
    for wrong in [dim - 1, dim + 1] {
        let v = vec![T::ONE; wrong];
        let input = format!("a vector of {wrong} for dimension {dim}");
        let result = product(&v, &mut vec![T::ZERO; dim]);
        checker.refuses("a wrong length", result, &input)?;
    }
    let mut apply = |v: &[T]| -> Result<Vec<T>, Failure> {
        let mut out = vec![T::from_f64(f64::NAN); dim];
        checker.works("a product", product(v, &mut out))?;
        let read: Vec<f64> = out.iter().map(|x| x.to_f64()).collect();
        checker.finite("a product", |i| Place::entry("A v", &[dim], i), &read)?;
        Ok(out)
    };
    let mut rng = checker.rng(5);
    let mut draw = || -> Vec<T> {
        let all = normals(&mut rng, dim, 1.0);
        all.iter().map(|&x| T::from_f64(x)).collect()
    };
    let (v, w) = (draw(), draw());
    let (av, aw) = (apply(&v)?, apply(&w)?);
    let rounding = options.slack * ROUNDINGS * T::EPSILON.to_f64();
    // exact in both types, so that only the products round
    let (a, b) = (T::from_f64(-1.5), T::from_f64(0.25));
    let sum: Vec<T> = v.iter().zip(&w).map(|(&v, &w)| a * v + b * w).collect();
    let together = apply(&sum)?;
    let largest = |x: &[T]| x.iter().fold(0.0f64, |all, x| all.max(x.to_f64().abs()));
    let tolerance = Tolerance {
        bound: rounding * (1.5 * largest(&av) + 0.25 * largest(&aw)),
        arithmetic: "1e4 u (|a| max |A v| + |b| max |A w|)",
    };
    for i in 0..dim {
        let apart = -1.5 * av[i].to_f64() + 0.25 * aw[i].to_f64();
        let place = || Place::entry("A(a v + b w)", &[dim], i);
        checker.value("linearity", place, together[i].to_f64(), apart, tolerance)?;
    }
    let tolerance = Tolerance {
        bound: rounding * (norm(&w) * norm(&av)).max(norm(&v) * norm(&aw)),
        arithmetic: "1e4 u max(|w| |A v|, |v| |A w|)",
    };
    let place = || Place::scalar("<w, A v>");
    checker.value("symmetry", place, dot(&w, &av), dot(&aw, &v), tolerance)?;
    if positive {
        let tolerance = Tolerance {
            bound: rounding * norm(&v) * norm(&av),
            arithmetic: "1e4 u |v| |A v|",
        };
        let place = || Place::scalar("<v, A v>");
        let below = dot(&v, &av).min(0.0);
        checker.value("no negative curvature", place, below, 0.0, tolerance)?;
    }
    if dim <= DENSE {
        let mut dense = Vec::with_capacity(dim * dim);
        for i in 0..dim {
            let mut unit = vec![T::ZERO; dim];
            unit[i] = T::ONE;
            dense.extend(apply(&unit)?.iter().map(|x| x.to_f64()));
        }
        check_dense(checker, rounding, dim, positive, &dense)?;
    }
    Ok(())
}

/// The dense matrix, entry by entry.
fn check_dense(
    checker: Checker,
    rounding: f64,
    dim: usize,
    positive: bool,
    dense: &[f64],
) -> Result<(), Failure> {
    let largest = dense.iter().fold(0.0f64, |all, x| all.max(x.abs()));
    let tolerance = Tolerance {
        bound: rounding * largest,
        arithmetic: "1e4 u of the largest entry",
    };
    for i in 0..dim {
        for j in 0..i {
            let place = || Place::entry("A", &[dim, dim], i * dim + j);
            let (got, expected) = (dense[i * dim + j], dense[j * dim + i]);
            checker.value("a symmetric matrix", place, got, expected, tolerance)?;
        }
    }
    if positive {
        let eigen = checker.works("eigenvalues", symmetric_eigen(dense, dim))?;
        let lowest = eigen.values.first().copied().unwrap_or(0.0).min(0.0);
        let tolerance = Tolerance {
            bound: tolerance.bound * dim as f64,
            arithmetic: "1e4 u of the largest entry, for each of dim entries of a row",
        };
        let place = || Place::scalar("the lowest eigenvalue");
        checker.value("no negative eigenvalue", place, lowest, 0.0, tolerance)?;
    }
    Ok(())
}
