//! Laplace's estimate of the log evidence, from the spectrum of the Gauss-Newton matrix.
//!
//! `log p(D) ~ log p(D | theta*) + log p(theta*) + P/2 log 2 pi - 1/2 log det(G + alpha I)`,
//! with the matrix in memory, or by stochastic Lanczos quadrature with an error.

use super::evidence::EvidenceOptions;
use super::operators::GgnOperator;
use crate::error::{Error, Result};
use crate::linalg::{Cholesky, SpectralQuadrature};
use crate::model::{Curved, LogDensity, PosteriorDensity};
use crate::rng::Streams;
use crate::scalar::Scalar;

/// Laplace's estimate of `log p(D)`, in nats.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LogEvidence {
    /// The estimate.
    pub value: f64,
    /// Its standard error from the probes of the quadrature, with the error of its Lanczos steps
    /// ([`SpectralQuadrature::truncation`]) added in squares. `None` if the determinant is exact.
    pub std_error: Option<f64>,
}

/// What is known about `G` at a point.
pub(super) enum Spectrum {
    Exact { matrix: Vec<f64>, dim: usize },
    Estimated(SpectralQuadrature),
}

/// `gamma`, and `log det(G + alpha I)`, with its standard error if it is estimated.
pub(super) struct Volume {
    pub gamma: f64,
    log_det: f64,
    error: Option<f64>,
}

impl Spectrum {
    pub(super) fn at(&self, alpha: f64) -> Result<Volume> {
        match self {
            Spectrum::Exact { matrix, dim } => {
                let n = *dim;
                let shift = |i: usize, j: usize| if i == j { alpha } else { 0.0 };
                let entry = |i: usize, j: usize| matrix[i * n + j] + shift(i, j);
                let factor = Cholesky::of_entries(n, entry)?;
                // tr G (G + alpha)^-1 = P - alpha tr (G + alpha)^-1
                let inverse: f64 = factor.inverse_diagonal().iter().sum();
                Ok(Volume {
                    gamma: n as f64 - alpha * inverse,
                    log_det: factor.log_det(),
                    error: None,
                })
            }
            Spectrum::Estimated(rule) => {
                let log = |l: f64| (l.max(0.0) + alpha).ln();
                let (log_det, truncation) = (rule.trace(log), rule.truncation(log));
                Ok(Volume {
                    gamma: rule.trace(|l| l.max(0.0) / (l.max(0.0) + alpha)).value,
                    log_det: log_det.value,
                    error: Some(log_det.std_error.hypot(truncation)),
                })
            }
        }
    }
}

pub(super) fn evidence(log_joint: f64, dim: usize, volume: &Volume) -> LogEvidence {
    let constant = 0.5 * dim as f64 * (2.0 * std::f64::consts::PI).ln();
    LogEvidence {
        value: log_joint + constant - 0.5 * volume.log_det,
        std_error: volume.error.map(|e| 0.5 * e),
    }
}

/// Laplace's estimate of `log p(D)` at the MAP estimate `theta`, for an isotropic prior, in nats.
/// With `dense`, the matrix at `theta`, Laplace's approximation is the only error.
///
/// # Errors
/// If `theta` or the matrix has the wrong length, or the quadrature or the factorisation fails.
pub fn log_evidence<T: Scalar>(
    posterior: &PosteriorDensity<T>,
    theta: &[T],
    dense: Option<Vec<f64>>,
    options: &EvidenceOptions,
    streams: Streams,
) -> Result<LogEvidence> {
    let spectrum = spectrum(posterior, theta, dense, options, streams)?;
    let volume = spectrum.at(mean_precision(posterior))?;
    let log_joint = posterior.log_density(theta, &mut posterior.workspace())?;
    Ok(evidence(log_joint, posterior.dim(), &volume))
}

pub(super) fn spectrum<T: Scalar>(
    posterior: &PosteriorDensity<T>,
    theta: &[T],
    dense: Option<Vec<f64>>,
    options: &EvidenceOptions,
    streams: Streams,
) -> Result<Spectrum> {
    let dim = posterior.dim();
    match dense {
        Some(matrix) if matrix.len() == dim * dim => Ok(Spectrum::Exact { matrix, dim }),
        Some(matrix) => Err(Error::shape(
            "evidence",
            format!("[{dim}, {dim}]"),
            matrix.len(),
        )),
        None => {
            let mut op = GgnOperator::new(posterior, theta)?;
            let (probes, steps) = (options.probes, options.lanczos_steps);
            let rule = SpectralQuadrature::new(&mut op, probes, steps, streams)?;
            Ok(Spectrum::Estimated(rule))
        }
    }
}

pub(super) fn mean_precision<T: Scalar>(posterior: &PosteriorDensity<T>) -> f64 {
    let precision = posterior.prior_precision();
    precision.iter().sum::<f64>() / precision.len().max(1) as f64
}
