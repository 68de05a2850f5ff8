//! Stochastic Lanczos quadrature: traces of functions of a matrix from a few products.
//!
//! For a probe `z` of independent random signs, `E[z^T f(A) z] = tr f(A)`. Lanczos with `m` steps
//! from `z` gives the Gauss quadrature `z^T f(A) z ~ |z|^2 sum_k tau_k^2 f(theta_k)`. Here
//! `theta_k` are the Ritz values and `tau_k` the first components of the small eigenvectors (Ubaru,
//! Chen & Saad 2017). The error has two parts. One comes from the probes: their spread gives the
//! reported standard error. The other comes from the quadrature, which is exact for polynomials of
//! degree `2m - 1`. [`SpectralQuadrature::truncation`] bounds it in practice: it is how far the
//! same probes are after `m / 2` steps. Where the error falls at least by half as steps double, no
//! more than that is left.

use super::diagonal::{fill_signs, std_error};
use super::lanczos::Lanczos;
use super::operator::SymmetricOperator;
use crate::error::{Error, Result};
use crate::rng::{Phase, Streams};
use crate::scalar::Scalar;

/// The spectral measure of a matrix, estimated from a few probes.
#[derive(Clone, Debug)]
pub struct SpectralQuadrature {
    dim: usize,
    /// For every probe, pairs of node and weight. The weights of one probe sum to 1.
    rules: Vec<Vec<(f64, f64)>>,
    /// The same after half of the steps, unless the rules are exact.
    halves: Option<Vec<Vec<(f64, f64)>>>,
}

/// An estimate of a trace.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TraceEstimate {
    /// Mean over probes.
    pub value: f64,
    /// Standard error of that mean, from the spread of the probes.
    pub std_error: f64,
}

/// A smoothed density of eigenvalues on a grid.
#[derive(Clone, Debug)]
pub struct SpectralDensity {
    /// Mean over probes at each point of the grid.
    pub values: Vec<f64>,
    /// Standard error of each value, from the spread of the probes.
    pub std_errors: Vec<f64>,
}

impl SpectralQuadrature {
    /// Runs `steps` Lanczos steps (fewer if the dimension is less) from each of `probes` random
    /// vectors.
    ///
    /// # Errors
    /// If `probes` or `steps` is 0, or the operator fails.
    pub fn new<T: Scalar>(
        op: &mut dyn SymmetricOperator<T>,
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
        let mut halves = Vec::with_capacity(probes);
        let rule = |lanczos: &Lanczos<T>| {
            let eigen = lanczos.tridiagonal_eigen()?;
            let vectors = eigen.vectors.chunks_exact(lanczos.len());
            let nodes = eigen.values.iter().zip(vectors);
            let nodes = nodes.map(|(&theta, s)| (theta, s[0] * s[0]));
            Ok::<Vec<(f64, f64)>, Error>(nodes.collect())
        };
        for probe in 0..probes {
            let mut rng = streams.rng(Phase::PROBE, probe as u64);
            let mut signs = vec![T::ZERO; dim];
            fill_signs(&mut rng, &mut signs);
            let mut lanczos = Lanczos::from_start(signs)?;
            for step in 0..steps.min(dim) {
                lanczos.step(op, &mut rng)?;
                if step + 1 == steps.div_ceil(2) {
                    halves.push(rule(&lanczos)?);
                }
            }
            rules.push(rule(&lanczos)?);
        }
        // with as many steps as dimensions the rules are exact
        let halves = (steps < dim).then_some(halves);
        Ok(Self { dim, rules, halves })
    }

    /// `tr f(A)`.
    pub fn trace(&self, f: impl Fn(f64) -> f64) -> TraceEstimate {
        self.over(&self.rules, f)
    }

    /// How far `tr f(A)` is from what half of the steps give, from the same probes: an error of the
    /// quadrature. It is 0 where there are as many steps as dimensions.
    pub fn truncation(&self, f: impl Fn(f64) -> f64) -> f64 {
        let halves = self.halves.as_ref();
        halves.map_or(0.0, |halves| {
            (self.trace(&f).value - self.over(halves, &f).value).abs()
        })
    }

    fn over(&self, rules: &[Vec<(f64, f64)>], f: impl Fn(f64) -> f64) -> TraceEstimate {
        let one = |rule: &Vec<(f64, f64)>| -> f64 {
            let mean: f64 = rule.iter().map(|&(theta, weight)| weight * f(theta)).sum();
            mean * self.dim as f64
        };
        TraceEstimate::of(&rules.iter().map(one).collect::<Vec<f64>>())
    }

    /// `log det(A + shift I)` of a positive semidefinite matrix. Values that rounding puts below
    /// zero count as zero.
    ///
    /// # Errors
    /// If the shift is not positive, or an eigenvalue is so far below zero that `A + shift I` is
    /// not positive definite.
    pub fn log_det(&self, shift: f64) -> Result<TraceEstimate> {
        let least = self.rules.iter().flatten().map(|node| node.0);
        let least = least.fold(f64::INFINITY, f64::min);
        if shift.is_nan() || shift <= 0.0 || least + shift <= 0.0 {
            let requirement = format!("must be positive and above {:e}", -least.min(0.0));
            return Err(Error::config("shift", shift, &requirement));
        }
        Ok(self.trace(|l| (l.max(0.0) + shift).ln()))
    }

    /// The density of `map(lambda)` over the eigenvalues (integral 1), on a grid. Every eigenvalue
    /// is a normal curve of standard deviation `width` (Lin, Saad & Yang 2016). For spectra that
    /// span decades, use a map such as `|l| (l + alpha).ln()`.
    ///
    /// # Errors
    /// If the width is not positive and finite.
    pub fn density(
        &self,
        grid: &[f64],
        width: f64,
        map: impl Fn(f64) -> f64,
    ) -> Result<SpectralDensity> {
        if !(width > 0.0 && width.is_finite()) {
            return Err(Error::config("width", width, "must be positive and finite"));
        }
        let scale = 1.0 / (width * (2.0 * std::f64::consts::PI).sqrt() * self.dim as f64);
        let at = |&x: &f64| {
            let bump = |l: f64| (-0.5 * ((map(l) - x) / width).powi(2)).exp();
            self.trace(|l| bump(l) * scale)
        };
        let (values, std_errors) = grid.iter().map(at).map(|e| (e.value, e.std_error)).unzip();
        Ok(SpectralDensity { values, std_errors })
    }
}

impl TraceEstimate {
    /// Mean and standard error of independent estimates.
    pub(super) fn of(traces: &[f64]) -> Self {
        let value = traces.iter().sum::<f64>() / traces.len() as f64;
        let squares = traces.iter().map(|t| (t - value).powi(2)).sum();
        let std_error = std_error(squares, traces.len());
        Self { value, std_error }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linalg::DenseOperator;

    #[test]
    fn traces_of_a_known_spectrum() {
        // a diagonal matrix: every probe of signs gives the trace exactly, so this tests only the
        // quadrature
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

    /// A spectrum of six decades, as that of a network with little noise. Few steps leave an error
    /// that the probes do not see, because they agree; the truncation covers it.
    #[test]
    fn a_wide_spectrum_is_told_by_its_truncation() {
        let n = 400;
        let value = |i: usize| 10f64.powf(6.0 * (i as f64 / n as f64).powi(2)) - 1.0;
        let mut a = vec![0.0; n * n];
        (0..n).for_each(|i| a[i * n + i] = value(i));
        let mut op = DenseOperator::new(n, a).unwrap();
        let want: f64 = (0..n).map(|i| (1.0 + value(i)).ln()).sum();
        let mut before = f64::INFINITY;
        for steps in [60, 80, 120] {
            let rule = SpectralQuadrature::new(&mut op, 4, steps, Streams::new(3)).unwrap();
            let got = rule.log_det(1.0).unwrap();
            let off = (got.value - want).abs();
            let truncation = rule.truncation(|l| (l.max(0.0) + 1.0).ln());
            // of a diagonal matrix every probe sees the whole: the error is the quadrature's
            assert!(off > 3.0 * got.std_error, "{steps}: {off} {got:?}");
            assert!(
                off < truncation && truncation < before,
                "{steps}: {off} {truncation}"
            );
            before = truncation;
        }
        let all = SpectralQuadrature::new(&mut op, 2, n, Streams::new(3)).unwrap();
        assert_eq!(all.truncation(|l| (l.max(0.0) + 1.0).ln()), 0.0);
    }

    #[test]
    fn density_and_log_determinant_of_a_known_spectrum() {
        // diagonal with four values: the rules are exact
        let n = 40;
        let spectrum = [0.0f64, 0.5, 2.0, 8.0];
        let mut a = vec![0.0; n * n];
        for i in 0..n {
            a[i * n + i] = spectrum[i % 4];
        }
        let mut op = DenseOperator::new(n, a).unwrap();
        let quadrature = SpectralQuadrature::new(&mut op, 3, 4, Streams::new(1)).unwrap();
        let want: f64 = spectrum.iter().map(|l| 10.0 * (l + 0.1).ln()).sum();
        let got = quadrature.log_det(0.1).unwrap();
        assert!((got.value - want).abs() < 1e-9 && got.std_error < 1e-9);
        assert!(quadrature.log_det(0.0).is_err());
        let width = 0.2;
        let grid: Vec<f64> = (0..=240).map(|i| -2.0 + 0.05 * f64::from(i)).collect();
        let density = quadrature.density(&grid, width, |l| l).unwrap();
        let mass: f64 = density.values.iter().map(|v| 0.05 * v).sum();
        assert!((mass - 1.0).abs() < 1e-6, "{mass}");
        let peak = 0.25 / (width * (2.0 * std::f64::consts::PI).sqrt());
        assert!(
            (density.values[200] - peak).abs() < 1e-9,
            "at 8, far from the others"
        );
        assert!(density.std_errors.iter().all(|&e| e < 1e-9));
        // on a logarithmic axis the bump of 8 stands at log 8
        let grid = [8f64.ln(), 8.0];
        let logs = quadrature
            .density(&grid, width, |l| l.max(1e-3).ln())
            .unwrap();
        assert!((logs.values[0] - peak).abs() < 1e-6 && logs.values[1] < 1e-9);
        assert!(quadrature.density(&grid, 0.0, |l| l).is_err());
    }
}
