//! Stochastic Lanczos quadrature: traces of functions of a matrix from a few products.
//!
//! For a probe `z` of independent signs, `E[z^T f(A) z] = tr f(A)`, and `m` Lanczos steps from `z` give the Gauss
//! quadrature `z^T f(A) z ~ |z|^2 sum_k tau_k^2 f(theta_k)` with the Ritz values `theta_k` and the first components
//! `tau_k` of the small eigenvectors (Ubaru, Chen & Saad 2017). The error has two parts: the probes, whose spread gives
//! the standard error reported, and the quadrature, exact for polynomials of degree `2m - 1`.

use rand::Rng;

use super::lanczos::Lanczos;
use super::operator::SymmetricOperator;
use crate::error::{Error, Result};
use crate::rng::{Phase, Streams};
use crate::scalar::Scalar;

/// The spectral measure of a matrix as seen by a few probes.
#[derive(Clone, Debug)]
pub struct SpectralQuadrature {
    dim: usize,
    /// For every probe: pairs of node and weight; the weights of one probe sum to 1.
    rules: Vec<Vec<(f64, f64)>>,
}

/// An estimate of a trace.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TraceEstimate {
    /// Mean over probes.
    pub value: f64,
    /// Standard error of that mean, from the spread of the probes.
    pub std_error: f64,
}

impl SpectralQuadrature {
    /// `probes` sequences of `steps` Lanczos steps (fewer if the dimension is less).
    ///
    /// # Errors
    /// If `probes` or `steps` is 0, or the operator fails.
    pub fn new<T: Scalar>(
        op: &mut impl SymmetricOperator<T>,
        probes: usize,
        steps: usize,
        streams: Streams,
    ) -> Result<Self> {
        if probes == 0 || steps == 0 {
            return Err(Error::config(
                "probes, steps",
                format!("{probes}, {steps}"),
                "must be positive",
            ));
        }
        let dim = op.dim();
        let mut rules = Vec::with_capacity(probes);
        for probe in 0..probes {
            let mut rng = streams.rng(Phase::PROBE, probe as u64);
            let signs = (0..dim).map(|_| {
                if rng.next_u32() & 1 == 0 {
                    T::ONE
                } else {
                    -T::ONE
                }
            });
            let mut lanczos = Lanczos::from_start(signs.collect())?;
            for _ in 0..steps.min(dim) {
                lanczos.step(op, &mut rng)?;
            }
            let eigen = lanczos.tridiagonal_eigen()?;
            let m = lanczos.len();
            let rule = eigen.values.iter().zip(eigen.vectors.chunks_exact(m));
            rules.push(rule.map(|(&theta, s)| (theta, s[0] * s[0])).collect());
        }
        Ok(Self { dim, rules })
    }

    /// `tr f(A)`.
    pub fn trace(&self, f: impl Fn(f64) -> f64) -> TraceEstimate {
        let one = |rule: &Vec<(f64, f64)>| -> f64 {
            let mean: f64 = rule.iter().map(|&(theta, weight)| weight * f(theta)).sum();
            mean * self.dim as f64
        };
        let traces: Vec<f64> = self.rules.iter().map(one).collect();
        let n = traces.len() as f64;
        let value = traces.iter().sum::<f64>() / n;
        let spread: f64 = traces.iter().map(|t| (t - value).powi(2)).sum();
        let std_error = if traces.len() > 1 {
            (spread / (n * (n - 1.0))).sqrt()
        } else {
            f64::INFINITY
        };
        TraceEstimate { value, std_error }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linalg::DenseOperator;

    #[test]
    fn traces_of_a_known_spectrum() {
        // a diagonal matrix: every probe of signs gives the trace exactly, so only the quadrature is on trial
        let n = 40;
        let mut a = vec![0.0; n * n];
        for i in 0..n {
            a[i * n + i] = 1.5f64.powi(i as i32 % 12);
        }
        let mut op = DenseOperator::new(n, a.clone()).unwrap();
        let quadrature = SpectralQuadrature::new(&mut op, 3, 12, Streams::new(1)).unwrap();
        for f in [|x: f64| x, |x: f64| (1.0 + x).ln(), |x: f64| x / (x + 2.0)] {
            let want: f64 = (0..n).map(|i| f(a[i * n + i])).sum();
            let got = quadrature.trace(f);
            assert!(
                (got.value - want).abs() < 1e-9 * want,
                "{got:?} against {want}"
            );
        }
        // off the diagonal the probes differ, and the standard error says so
        for i in 0..n - 1 {
            a[i * n + i + 1] = 0.3;
            a[(i + 1) * n + i] = 0.3;
        }
        let mut op = DenseOperator::new(n, a.clone()).unwrap();
        let quadrature = SpectralQuadrature::new(&mut op, 64, 40, Streams::new(1)).unwrap();
        let eigen = crate::linalg::symmetric_eigen(&a, n).unwrap();
        let want: f64 = eigen.values.iter().map(|x| (5.0 + x).ln()).sum();
        let got = quadrature.trace(|x| (5.0 + x).ln());
        assert!((got.value - want).abs() < 4.0 * got.std_error && got.std_error < 0.05 * want);
    }
}
