//! The Lanczos iteration with full reorthogonalisation.
//!
//! From a start vector, `A V_m = V_m T_m + beta_m v_{m+1} e_m^T` with `V_m^T V_m = I` and `T_m` tridiagonal. An
//! eigenpair `(theta, s)` of `T_m` gives the Ritz pair `(theta, V_m s)` of `A` with residual `|beta_m s_m|` (Golub & Van
//! Loan, Matrix Computations, section 10.1). Every new vector is orthogonalised twice against all before it: that costs
//! `O(m^2 P)`, little beside the products with a Gauss-Newton matrix, and there are no ghost eigenvalues.
//!
//! When the iteration exhausts an invariant subspace it goes on with a random vector orthogonal to it, so that the whole
//! spectrum can be reached. What it drops: restarting. The basis takes `m P` numbers of memory.

use rand::Rng;

use super::dense::{SymmetricEigen, symmetric_eigen};
use super::operator::SymmetricOperator;
use super::orthogonal::project_out;
use super::vector::{axpy, dot, fill_normal, norm, scale};
use crate::error::{Error, Result};
use crate::scalar::Scalar;

/// A growing Lanczos factorisation.
#[derive(Clone, Debug)]
pub struct Lanczos<T> {
    dim: usize,
    basis: Vec<T>,
    alpha: Vec<f64>,
    beta: Vec<f64>,
    /// The next basis vector before normalisation.
    residual: Vec<T>,
}

/// Ritz pairs of a factorisation, largest value first.
#[derive(Clone, Debug)]
pub struct Ritz {
    /// Ritz values, descending.
    pub values: Vec<f64>,
    /// `|A y - theta y|` of each.
    pub residuals: Vec<f64>,
    /// Row `i`: coordinates of Ritz vector `i` in the Lanczos basis.
    pub coefficients: Vec<f64>,
}

impl<T: Scalar> Lanczos<T> {
    /// A factorisation that starts from a Gaussian random vector.
    ///
    /// # Errors
    /// If `dim` is 0.
    pub fn new(dim: usize, rng: &mut impl Rng) -> Result<Self> {
        let mut start = vec![T::ZERO; dim];
        fill_normal(rng, &mut start);
        Self::from_start(start)
    }

    /// A factorisation that starts from the given vector.
    ///
    /// # Errors
    /// If the vector is empty, zero or not finite.
    pub fn from_start(start: Vec<T>) -> Result<Self> {
        let length = norm(&start);
        if !(length > 0.0 && length.is_finite()) {
            return Err(Error::config(
                "start vector",
                length,
                "its norm must be positive and finite",
            ));
        }
        Ok(Self {
            dim: start.len(),
            basis: Vec::new(),
            alpha: Vec::new(),
            beta: Vec::new(),
            residual: start,
        })
    }

    /// Number of basis vectors.
    pub fn len(&self) -> usize {
        self.alpha.len()
    }

    /// True before the first step.
    pub fn is_empty(&self) -> bool {
        self.alpha.is_empty()
    }

    /// The orthonormal basis, `[len, dim]` row-major.
    pub fn basis(&self) -> &[T] {
        &self.basis
    }

    /// Takes one product and extends the basis by one vector. Does nothing once the basis spans the space.
    ///
    /// # Errors
    /// If the operator fails or gives numbers that are not finite.
    pub fn step(&mut self, op: &mut impl SymmetricOperator<T>, rng: &mut impl Rng) -> Result<()> {
        if self.len() == self.dim {
            return Ok(());
        }
        let mut v = std::mem::take(&mut self.residual);
        let length = norm(&v);
        scale(1.0 / length, &mut v);
        self.basis.extend_from_slice(&v);
        let mut w = vec![T::ZERO; self.dim];
        op.apply(&v, &mut w)?;
        let image = norm(&w);
        if !image.is_finite() {
            let what = "product of a symmetric operator";
            let index = w.iter().position(|x| !x.is_finite()).unwrap_or(0);
            return Err(Error::NonFinite { what, index });
        }
        let alpha = dot(&v, &w);
        axpy(-alpha, &v, &mut w);
        project_out(&self.basis, &mut w);
        let mut beta = norm(&w);
        // what rounding leaves when the space spanned so far is invariant
        let scale_so_far = self.beta.iter().fold(image, |a, &b| a.max(b));
        if beta <= 10.0 * T::EPSILON.to_f64() * (self.dim as f64).sqrt() * scale_so_far
            || beta == 0.0
        {
            beta = 0.0;
            if self.len() + 1 < self.dim {
                fill_normal(rng, &mut w);
                project_out(&self.basis, &mut w);
            }
        }
        self.alpha.push(alpha);
        self.beta.push(beta);
        self.residual = w;
        Ok(())
    }

    /// Ritz pairs of the factorisation as it stands.
    ///
    /// # Errors
    /// If the small eigenproblem fails.
    pub fn ritz(&self) -> Result<Ritz> {
        let m = self.len();
        let SymmetricEigen { values, vectors } = self.tridiagonal_eigen()?;
        let last = if m == self.dim {
            0.0
        } else {
            self.beta.last().copied().unwrap_or(0.0)
        };
        let mut ritz = Ritz {
            values: Vec::with_capacity(m),
            residuals: Vec::with_capacity(m),
            coefficients: Vec::with_capacity(m * m),
        };
        for i in (0..m).rev() {
            let s = &vectors[i * m..(i + 1) * m];
            ritz.values.push(values[i]);
            ritz.residuals.push((last * s[m - 1]).abs());
            ritz.coefficients.extend_from_slice(s);
        }
        Ok(ritz)
    }

    /// Eigen-decomposition of the tridiagonal matrix.
    pub(super) fn tridiagonal_eigen(&self) -> Result<SymmetricEigen> {
        let m = self.len();
        let mut t = vec![0.0; m * m];
        for i in 0..m {
            t[i * m + i] = self.alpha[i];
            if i + 1 < m {
                t[i * m + i + 1] = self.beta[i];
                t[(i + 1) * m + i] = self.beta[i];
            }
        }
        symmetric_eigen(&t, m)
    }

    /// The first `count` Ritz vectors (all, if there are fewer), `[count, dim]` row-major.
    pub fn vectors(&self, ritz: &Ritz, count: usize) -> Vec<T> {
        let m = self.len().max(1);
        let count = count.min(self.len());
        let mut out = vec![T::ZERO; count * self.dim];
        for (row, s) in out
            .chunks_exact_mut(self.dim)
            .zip(ritz.coefficients.chunks_exact(m))
        {
            for (v, &c) in self.basis.chunks_exact(self.dim).zip(s) {
                axpy(c, v, row);
            }
            let length = norm(row);
            scale(1.0 / length, row);
        }
        out
    }
}

/// How many eigenpairs, how accurately, at what cost at most.
#[derive(Clone, Debug)]
pub struct LanczosOptions {
    /// Number of leading (algebraically largest) eigenpairs.
    pub count: usize,
    /// Largest residual, relative to the largest Ritz value in modulus.
    pub tolerance: f64,
    /// Largest number of products, and of vectors in memory.
    pub max_products: usize,
}

impl Default for LanczosOptions {
    fn default() -> Self {
        Self {
            count: 16,
            tolerance: 1e-5,
            max_products: 300,
        }
    }
}

/// Leading eigenpairs.
#[derive(Clone, Debug)]
pub struct Eigenpairs<T> {
    /// Descending.
    pub values: Vec<f64>,
    /// `[count, dim]` row-major, orthonormal rows.
    pub vectors: Vec<T>,
    /// `|A v - lambda v|` of each.
    pub residuals: Vec<f64>,
    /// Products that were taken.
    pub products: usize,
}

/// The leading eigenpairs of a symmetric operator.
///
/// # Errors
/// [`Error::NoConvergence`] if `max_products` do not reach the tolerance; a configuration error if `count` is 0 or more
/// than the dimension; what the operator reports.
pub fn leading_eigenpairs<T: Scalar>(
    op: &mut impl SymmetricOperator<T>,
    options: &LanczosOptions,
    rng: &mut impl Rng,
) -> Result<Eigenpairs<T>> {
    let n = op.dim();
    if options.count == 0 || options.count > n {
        return Err(Error::config(
            "count",
            options.count,
            &format!("must be in 1..={n}"),
        ));
    }
    let mut lanczos = Lanczos::new(n, rng)?;
    let limit = options.max_products.min(n);
    loop {
        lanczos.step(op, rng)?;
        let m = lanczos.len();
        let due = m >= options.count && (m.is_multiple_of(5) || m >= limit);
        if !due {
            if m >= limit {
                return Err(no_convergence(m, f64::INFINITY, options.tolerance));
            }
            continue;
        }
        let ritz = lanczos.ritz()?;
        let top = ritz.values.iter().fold(0.0f64, |a, v| a.max(v.abs()));
        let worst = ritz.residuals[..options.count]
            .iter()
            .fold(0.0f64, |a, &r| a.max(r));
        if worst <= options.tolerance * top {
            return Ok(Eigenpairs {
                values: ritz.values[..options.count].to_vec(),
                vectors: lanczos.vectors(&ritz, options.count),
                residuals: ritz.residuals[..options.count].to_vec(),
                products: m,
            });
        }
        if m >= limit {
            return Err(no_convergence(m, worst / top, options.tolerance));
        }
    }
}

fn no_convergence(iterations: usize, residual: f64, tolerance: f64) -> Error {
    Error::NoConvergence {
        what: "Lanczos",
        iterations,
        residual,
        tolerance,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linalg::{DenseOperator, random_orthogonal};
    use crate::rng::{Phase, Streams};
    use proptest::prelude::*;

    fn with_spectrum(values: &[f64], seed: u64) -> DenseOperator<f64> {
        let n = values.len();
        let q = random_orthogonal(n, &mut Streams::new(seed).rng(Phase::USER, 0));
        let mut a = vec![0.0; n * n];
        for (row, value) in q.chunks_exact(n).zip(values) {
            for i in 0..n {
                for j in 0..n {
                    a[i * n + j] += value * row[i] * row[j];
                }
            }
        }
        DenseOperator::new(n, a).unwrap()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn leading_pairs_of_well_separated_spectra(n in 5usize..80, count in 1usize..5, seed in 0u64..1000) {
            // each eigenvalue 0.7 of the one before
            let values: Vec<f64> = (0..n).map(|i| 100.0 * 0.7f64.powi(i as i32)).collect();
            let mut op = with_spectrum(&values, seed);
            let options = LanczosOptions { count, tolerance: 1e-12, max_products: 300 };
            let mut rng = Streams::new(seed).rng(Phase::LANCZOS, 0);
            let pairs = leading_eigenpairs(&mut op, &options, &mut rng).unwrap();
            for (i, (got, want)) in pairs.values.iter().zip(&values).enumerate() {
                prop_assert!((got - want).abs() < 1e-10 * want);
                for j in 0..count {
                    let (a, b) = (&pairs.vectors[i * n..(i + 1) * n], &pairs.vectors[j * n..(j + 1) * n]);
                    let want = if i == j { 1.0 } else { 0.0 };
                    prop_assert!((dot(a, b) - want).abs() < 1e-10);
                }
            }
        }
    }

    #[test]
    fn the_basis_stays_orthonormal_and_the_whole_spectrum_is_found() {
        // two triple eigenvalues: the invariant subspace is exhausted after a few steps, again and again
        let values = [5.0, 5.0, 5.0, 2.0, 2.0, 2.0, 1.0, 0.5, 0.0, 0.0];
        let mut op = with_spectrum(&values, 1);
        let mut rng = Streams::new(2).rng(Phase::LANCZOS, 0);
        let mut lanczos = Lanczos::new(10, &mut rng).unwrap();
        for _ in 0..12 {
            lanczos.step(&mut op, &mut rng).unwrap();
        }
        assert_eq!(lanczos.len(), 10);
        let ritz = lanczos.ritz().unwrap();
        for (got, want) in ritz.values.iter().zip(values) {
            assert!((got - want).abs() < 1e-12, "{:?}", ritz.values);
        }
        for i in 0..10 {
            for j in 0..i {
                let v = lanczos.basis();
                assert!(dot(&v[i * 10..(i + 1) * 10], &v[j * 10..(j + 1) * 10]).abs() < 1e-14);
            }
        }
    }

    #[test]
    fn too_few_products_are_an_error_with_the_residual() {
        let values: Vec<f64> = (0..50).map(f64::from).collect();
        let options = LanczosOptions {
            count: 5,
            tolerance: 1e-10,
            max_products: 8,
        };
        let mut rng = Streams::new(2).rng(Phase::LANCZOS, 0);
        let error = leading_eigenpairs(&mut with_spectrum(&values, 1), &options, &mut rng);
        assert!(matches!(
            error,
            Err(Error::NoConvergence { iterations: 8, .. })
        ));
    }
}
