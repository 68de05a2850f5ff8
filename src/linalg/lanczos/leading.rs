//! The leading eigenpairs of a symmetric operator, in a basis of bounded size.

use rand::Rng;

use super::Ritz;
use super::probe::{Verdict, probe};
use super::restarted::Restarted;
use crate::error::{Error, Result, counted};
use crate::linalg::operator::SymmetricOperator;
use crate::linalg::vector::axpy;
use crate::scalar::Scalar;

/// How many eigenpairs, how accurate, and at what cost at most.
#[derive(Clone, Debug)]
pub struct LanczosOptions {
    /// Number of leading (algebraically largest) eigenpairs.
    pub count: usize,
    /// Largest residual, relative to the largest Ritz value in modulus. A small residual says that
    /// an eigenvalue is near, not that it is the next one. With a loose tolerance, 1e-2, the
    /// iteration may end before it has seen an eigenvector that the start vector contains little
    /// of. The last pair can then be a wrong one.
    pub tolerance: f64,
    /// Largest number of products. The search for copies of eigenvalues at the end counts too: 10
    /// products, and up to 20 if the spectrum has no gap after the last pair.
    pub max_products: usize,
    /// Largest number of basis vectors in memory, at least `count + 2` (or the dimension); by
    /// default `2 count + 16`. The search for copies keeps one more vector for each of its
    /// products.
    pub max_basis: Option<usize>,
    /// Number of start vectors that the rows of a warm start are added up to. If it is not less
    /// than the number of rows, the start is a Rayleigh-Ritz step with all rows.
    pub start_block: usize,
}

impl Default for LanczosOptions {
    fn default() -> Self {
        Self {
            count: 16,
            tolerance: 1e-5,
            max_products: 300,
            max_basis: None,
            start_block: 2,
        }
    }
}

/// Leading eigenpairs, largest value first. [`symmetric_eigen`](crate::linalg::symmetric_eigen) has
/// the opposite order.
#[derive(Clone, Debug)]
pub struct Eigenpairs<T> {
    /// `[count]`, descending. A multiple eigenvalue appears as often as its multiplicity.
    pub values: Vec<f64>,
    /// `[count, dim]` row-major, orthonormal rows.
    pub vectors: Vec<T>,
    /// `|A v - lambda v|` of each pair.
    pub residuals: Vec<f64>,
    /// Products taken.
    pub products: usize,
}

/// Leading eigenpairs that converged, and what is known of the others.
#[derive(Clone, Debug)]
pub struct ConvergedPairs<T> {
    /// The converged pairs before the first that did not converge.
    pub pairs: Eigenpairs<T>,
    /// Value and residual of the Ritz pairs after them.
    pub open: Vec<(f64, f64)>,
    /// True if the search found what was asked for, and no further copy of an eigenvalue. False if
    /// products ran out first.
    pub finished: bool,
}

/// The Ritz pairs are computed each time the basis has grown by one part in `LOOK`.
const LOOK: usize = 10;

/// The leading eigenpairs of a symmetric operator, including copies of a multiple eigenvalue. The
/// search starts from the rows of `start` (`[k, dim]` row-major: the eigenvectors of a nearby
/// operator) or, if `start` is empty, from a random vector.
///
/// # Errors
/// [`Error::NoConvergence`] if `max_products` do not reach the tolerance. A configuration error if
/// `count` is 0 or more than the dimension, or if the basis is too small. Errors of the operator.
pub fn leading_eigenpairs_from<T: Scalar>(
    op: &mut dyn SymmetricOperator<T>,
    options: &LanczosOptions,
    start: &[T],
    rng: &mut impl Rng,
) -> Result<Eigenpairs<T>> {
    let found = converged_eigenpairs(op, options, start, rng, |_| false)?;
    if found.finished {
        return Ok(found.pairs);
    }
    if found.pairs.values.len() == options.count {
        return Err(Error::NoConvergence {
            what: "Lanczos: the search for copies of eigenvalues beside those found",
            iterations: found.pairs.products,
            residual: f64::INFINITY,
            tolerance: options.tolerance,
        });
    }
    let missing = options.count - found.pairs.values.len();
    let top = found.pairs.values.iter().copied();
    let top = top
        .chain(found.open.iter().map(|o| o.0))
        .fold(0.0f64, |a, v| a.max(v.abs()));
    let worst = found
        .open
        .iter()
        .take(missing)
        .fold(0.0f64, |a, o| a.max(o.1));
    Err(Error::NoConvergence {
        what: "Lanczos",
        iterations: found.pairs.products,
        residual: if found.open.len() < missing {
            f64::INFINITY
        } else {
            worst / top
        },
        tolerance: options.tolerance,
    })
}

/// The leading eigenpairs of a symmetric operator.
///
/// # Errors
/// As for [`leading_eigenpairs_from`].
pub fn leading_eigenpairs<T: Scalar>(
    op: &mut dyn SymmetricOperator<T>,
    options: &LanczosOptions,
    rng: &mut impl Rng,
) -> Result<Eigenpairs<T>> {
    leading_eigenpairs_from(op, options, &[], rng)
}

/// The leading eigenpairs that converge. The search ends with `options.count` of them, or when
/// `enough` returns true for the converged values (descending), or when the products are used up.
/// Running out of products is no error here.
///
/// # Errors
/// A configuration error if `count` is 0 or more than the dimension, or if the basis is too small.
/// A shape error if `start` does not consist of whole rows. Errors of the operator.
pub fn converged_eigenpairs<T: Scalar>(
    op: &mut dyn SymmetricOperator<T>,
    options: &LanczosOptions,
    start: &[T],
    rng: &mut impl Rng,
    mut enough: impl FnMut(&[f64]) -> bool,
) -> Result<ConvergedPairs<T>> {
    search(op, options, start, rng, &mut enough)
}

/// [`converged_eigenpairs`], compiled once for all that `enough` may be.
fn search<T: Scalar>(
    op: &mut dyn SymmetricOperator<T>,
    options: &LanczosOptions,
    start: &[T],
    rng: &mut impl Rng,
    enough: &mut dyn FnMut(&[f64]) -> bool,
) -> Result<ConvergedPairs<T>> {
    let n = op.dim();
    let bound = options.basis_bound(n, start.len())?;
    let mut basis = Restarted::new(n, bound);
    let block = options.start_block.min(bound - 1).min(options.max_products);
    let rows = blend(start, n, block);
    if rows.is_empty() {
        basis.step(op, rng)?;
    } else {
        basis.start_from(op, rows, options.tolerance)?;
    }
    let mut hidden: Option<Vec<T>> = None;
    loop {
        let ritz = basis.ritz()?;
        let top = ritz.values.iter().fold(0.0f64, |a, v| a.max(v.abs()));
        let small = |r: &&f64| **r <= options.tolerance * top || basis.is_complete();
        let converged = ritz.residuals.iter().take_while(small).count();
        let count = converged.min(options.count);
        let found = count == options.count || enough(&ritz.values[..count]) || basis.is_complete();
        let mut finished = found;
        if let (true, Some(last)) = (found && !basis.is_complete(), count.checked_sub(1)) {
            let noise = options.tolerance.max(100.0 * T::EPSILON.to_f64());
            let least = ritz.values[last] + noise * top;
            let budget = options.max_products.saturating_sub(basis.products);
            match probe(op, &mut basis, (&ritz, count), (least, budget), rng)? {
                Verdict::Clear => {}
                Verdict::Unknown => finished = false,
                Verdict::Hidden(direction) => {
                    finished = false;
                    hidden = Some(direction);
                }
            }
        }
        if finished || basis.products >= options.max_products {
            return Ok(report(basis, &ritz, count, finished));
        }
        if basis.is_full() {
            let keep = options.count + (bound - options.count) / 2;
            basis.restart(&ritz, keep.min(bound - 1));
        } else {
            basis.order(&ritz, count..options.count);
        }
        if let Some(direction) = hidden.take() {
            basis.put_first(direction);
        }
        for _ in 0..basis.len().div_ceil(LOOK) {
            if basis.is_full() || basis.products >= options.max_products {
                break;
            }
            basis.step(op, rng)?;
        }
    }
}

/// Adds the rows up to at most `block` sums: row `i` belongs to sum `i mod block`.
fn blend<T: Scalar>(rows: &[T], n: usize, block: usize) -> Vec<T> {
    let mut sums = rows[..rows.len().min(block * n)].to_vec();
    for (i, row) in rows.chunks_exact(n).enumerate().skip(block) {
        let sum = &mut sums[i % block * n..][..n];
        axpy(1.0, row, sum);
    }
    sums
}

impl LanczosOptions {
    /// Checks all settings, and returns the size of the basis for `n` dimensions.
    fn basis_bound(&self, n: usize, start: usize) -> Result<usize> {
        if self.count == 0 || self.count > n {
            let requirement = format!("must be in 1..={n}");
            return Err(Error::config("count", self.count, &requirement));
        }
        if self.tolerance.is_nan() || self.tolerance <= 0.0 {
            return Err(Error::config(
                "tolerance",
                self.tolerance,
                "must be positive",
            ));
        }
        if self.max_products == 0 {
            return Err(Error::config("max_products", 0, "must be positive"));
        }
        if self.start_block == 0 {
            return Err(Error::config("start_block", 0, "must be positive"));
        }
        if !start.is_multiple_of(n) {
            return Err(Error::shape(
                "Lanczos",
                format!("rows of {}", counted(n, "number")),
                start,
            ));
        }
        let least = (self.count + 2).min(n);
        let bound = self.max_basis.unwrap_or(2 * self.count + 16).min(n);
        if bound < least {
            let requirement = format!("must be at least {least}");
            return Err(Error::config("max_basis", bound, &requirement));
        }
        Ok(bound)
    }
}

fn report<T: Scalar>(
    basis: Restarted<T>,
    ritz: &Ritz,
    count: usize,
    finished: bool,
) -> ConvergedPairs<T> {
    let rest = ritz.values[count..].iter().zip(&ritz.residuals[count..]);
    ConvergedPairs {
        open: rest.map(|(&value, &residual)| (value, residual)).collect(),
        pairs: Eigenpairs {
            values: ritz.values[..count].to_vec(),
            residuals: ritz.residuals[..count].to_vec(),
            products: basis.products,
            vectors: basis.into_vectors(ritz, count),
        },
        finished,
    }
}
