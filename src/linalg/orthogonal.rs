//! Orthonormal rows by Gram-Schmidt, done twice: two passes are enough (Giraud et al. 2005).

use rand::Rng;

use super::vector::{axpy, dot, norm, scale};
use crate::rng::fill_normal;
use crate::scalar::Scalar;

/// Removes from `v` its components along the orthonormal rows of `basis` (`[k, n]`, row-major).
/// Done twice, so that the result is orthogonal to machine precision.
pub fn project_out<T: Scalar>(basis: &[T], v: &mut [T]) {
    if v.is_empty() {
        return;
    }
    for _ in 0..2 {
        for row in basis.chunks_exact(v.len()) {
            axpy(-dot(row, v), row, v);
        }
    }
}

/// Orthonormalises rows of length `n` in place, in order. Rows that depend on earlier ones are
/// dropped. Returns the number of rows that are left.
pub fn orthonormal_rows<T: Scalar>(rows: &mut Vec<T>, n: usize) -> usize {
    if n == 0 {
        rows.clear();
        return 0;
    }
    let mut kept = 0;
    let count = rows.len() / n;
    for r in 0..count {
        rows.copy_within(r * n..(r + 1) * n, kept * n);
        let (done, rest) = rows.split_at_mut(kept * n);
        let row = &mut rest[..n];
        let before = norm(row);
        project_out(done, row);
        let after = norm(row);
        // below this, rounding alone is left of a dependent row
        if after > 100.0 * T::EPSILON.to_f64() * before && after.is_finite() {
            scale(1.0 / after, row);
            kept += 1;
        }
    }
    rows.truncate(kept * n);
    kept
}

/// A random orthogonal matrix `[n, n]`, row-major, uniform (Haar) over the orthogonal group up to
/// the signs of its rows.
pub fn random_orthogonal(n: usize, rng: &mut impl Rng) -> Vec<f64> {
    loop {
        let mut rows = vec![0.0; n * n];
        fill_normal(rng, &mut rows);
        // a Gaussian matrix is singular with probability zero; if rounding says otherwise, draw
        // again
        if orthonormal_rows(&mut rows, n) == n {
            return rows;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Phase, Streams};

    #[test]
    fn rows_are_orthonormal_and_dependent_ones_go() {
        let n = 30;
        let mut rng = Streams::new(3).rng(Phase::USER, 0);
        let q = random_orthogonal(n, &mut rng);
        for i in 0..n {
            for j in 0..n {
                let want = if i == j { 1.0 } else { 0.0 };
                let got = dot(&q[i * n..(i + 1) * n], &q[j * n..(j + 1) * n]);
                assert!((got - want).abs() < 1e-14);
            }
        }
        let mut rows = vec![1.0, 0.0, 0.0, 2.0, 0.0, 0.0, 1.0, 1.0, 0.0];
        assert_eq!(orthonormal_rows(&mut rows, 3), 2);
        assert_eq!(rows, vec![1.0, 0.0, 0.0, 0.0, 1.0, 0.0]);
    }
}
