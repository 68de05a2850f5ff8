//! Trace and diagonal of a matrix that is known only by its products.
//!
//! For `z` of independent random signs, `E[z o A z] = diag A` (Bekas, Kokiopoulou & Saad 2007) and
//! `E[z^T A z] = tr A` (Hutchinson 1990). Only entries off the diagonal contribute to the variance.
//! Unit vectors give the diagonal exactly, at one product per entry.

use rand::Rng;

use super::operator::SymmetricOperator;
use super::quadrature::TraceEstimate;
use super::vector::dot;
use crate::error::{Error, Result};
use crate::rng::{Phase, Streams};
use crate::scalar::Scalar;

/// An estimate of a diagonal.
#[derive(Clone, Debug)]
pub struct DiagonalEstimate {
    /// Mean over probes, `[dim]`.
    pub values: Vec<f64>,
    /// Standard error of each value, from the spread of the probes.
    pub std_errors: Vec<f64>,
}

/// Fills `out` with independent random signs.
pub(super) fn fill_signs<T: Scalar>(rng: &mut impl Rng, out: &mut [T]) {
    for x in out {
        *x = if rng.next_u32() & 1 == 0 {
            T::ONE
        } else {
            -T::ONE
        };
    }
}

/// Standard error of the mean of `n` values, from the sum of their squared deviations. Infinite for
/// a single value.
pub(super) fn std_error(squares: f64, n: usize) -> f64 {
    if n > 1 {
        (squares / (n as f64 * (n as f64 - 1.0))).sqrt()
    } else {
        f64::INFINITY
    }
}

/// The exact diagonal, by `dim` products: for small matrices.
///
/// # Errors
/// If the operator fails.
pub fn exact_diagonal<T: Scalar>(op: &mut dyn SymmetricOperator<T>) -> Result<Vec<f64>> {
    let n = op.dim();
    let (mut unit, mut image) = (vec![T::ZERO; n], vec![T::ZERO; n]);
    let mut diagonal = Vec::with_capacity(n);
    for i in 0..n {
        unit[i] = T::ONE;
        op.apply(&unit, &mut image)?;
        unit[i] = T::ZERO;
        diagonal.push(image[i].to_f64());
    }
    Ok(diagonal)
}

/// Estimates the diagonal by `probes` products with random signs.
///
/// # Errors
/// If `probes` is 0 or the operator fails.
pub fn estimate_diagonal<T: Scalar>(
    op: &mut dyn SymmetricOperator<T>,
    probes: usize,
    streams: Streams,
) -> Result<DiagonalEstimate> {
    let n = op.dim();
    let (mut values, mut squares) = (vec![0.0; n], vec![0.0; n]);
    each_probe(op, probes, streams, |count, z, image| {
        // Welford's recurrence for mean and squared deviations
        for i in 0..n {
            let x = z[i].to_f64() * image[i].to_f64();
            let before = x - values[i];
            values[i] += before / count as f64;
            squares[i] += before * (x - values[i]);
        }
    })?;
    Ok(DiagonalEstimate {
        values,
        std_errors: squares.iter().map(|&s| std_error(s, probes)).collect(),
    })
}

/// Estimates the trace by `probes` products with random signs.
///
/// # Errors
/// If `probes` is 0 or the operator fails.
pub fn estimate_trace<T: Scalar>(
    op: &mut dyn SymmetricOperator<T>,
    probes: usize,
    streams: Streams,
) -> Result<TraceEstimate> {
    let mut traces = Vec::with_capacity(probes);
    each_probe(op, probes, streams, |_, z, image| {
        traces.push(dot(z, image))
    })?;
    Ok(TraceEstimate::of(&traces))
}

fn each_probe<T: Scalar>(
    op: &mut dyn SymmetricOperator<T>,
    probes: usize,
    streams: Streams,
    mut see: impl FnMut(usize, &[T], &[T]),
) -> Result<()> {
    if probes == 0 {
        return Err(Error::config("probes", 0, "must be positive"));
    }
    let n = op.dim();
    let (mut z, mut image) = (vec![T::ZERO; n], vec![T::ZERO; n]);
    for probe in 0..probes {
        fill_signs(&mut streams.rng(Phase::PROBE, probe as u64), &mut z);
        op.apply(&z, &mut image)?;
        see(probe + 1, &z, &image);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linalg::DenseOperator;

    #[test]
    fn diagonals_exact_and_estimated() {
        let n = 30;
        let entry = |i: usize, j: usize| {
            1.0 / (1.0 + (i as f64 - j as f64).abs()) + if i == j { i as f64 } else { 0.0 }
        };
        let a: Vec<f64> = (0..n * n).map(|at| entry(at / n, at % n)).collect();
        let mut op = DenseOperator::new(n, a).unwrap();
        let exact = exact_diagonal(&mut op).unwrap();
        let estimate = estimate_diagonal(&mut op, 400, Streams::new(1)).unwrap();
        let mut chi_square = 0.0;
        for (i, &on) in exact.iter().enumerate() {
            assert_eq!(on, entry(i, i));
            let others: f64 = (0..n)
                .filter(|&j| j != i)
                .map(|j| entry(i, j).powi(2))
                .sum();
            // the standard error in closed form; its estimate from 400 probes has an error too (4 %
            // for normal values)
            let want = (others / 400.0).sqrt();
            assert!((estimate.std_errors[i] - want).abs() < 0.15 * want);
            chi_square += ((estimate.values[i] - on) / want).powi(2);
        }
        // 30 degrees of freedom: 99.99 % are below 68
        assert!(chi_square < 68.0, "{chi_square}");
        let trace = estimate_trace(&mut op, 400, Streams::new(1)).unwrap();
        let want: f64 = exact.iter().sum();
        assert!(
            (trace.value - want).abs() < 4.0 * trace.std_error && trace.std_error < 0.01 * want
        );
        assert!(estimate_trace(&mut op, 0, Streams::new(1)).is_err());
    }
}
