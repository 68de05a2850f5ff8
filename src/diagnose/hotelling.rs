//! Hotelling's test: independent vectors against their expectation, whatever their covariance.
//!
//! ```text
//! T^2 = m (mean - mu)^T S^{-1} (mean - mu),   (m - p) / (p (m - 1)) T^2 ~ F(p, m - p)
//! ```
//!
//! Here are `m` independent normal vectors of length `p`, and `S` is their covariance with divisor
//! `m - 1`. For `p = 1` it is Student's t squared.
//!
//! It tests a sampler with autocorrelated draws. Each *chain* gives one vector: the mean over its
//! draws of quantities whose expectation is known. The chains are independent, so the correlation
//! within them need not be known, and such means are close to normal. Start the chains at exact
//! draws of the target, or burn in: a transient is a bias.

use super::outcome::TestOutcome;
use crate::error::{Error, Result, counted};
use crate::linalg::symmetric_eigen;
use crate::linalg::vector::{dot, first_non_finite};

/// Tests `m` independent vectors, `[m, p]` row-major, against their expectation `[p]`.
///
/// # Errors
/// If the length is not a multiple of `p`, there are not more vectors than components, or a value
/// is not finite. If the covariance is singular: a component is constant or determined by others
/// (an eigenvalue of the correlations is below 1e-12).
pub fn hotelling(vectors: &[f64], expected: &[f64]) -> Result<TestOutcome> {
    let p = expected.len();
    if p == 0 || !vectors.len().is_multiple_of(p) || vectors.len() / p <= p {
        let expected = format!(
            "more than {} of {}",
            counted(p, "vector"),
            counted(p, "component")
        );
        return Err(Error::shape("hotelling", expected, vectors.len()));
    }
    if let Some(index) = first_non_finite(vectors) {
        let what = "vectors of hotelling";
        return Err(Error::NonFinite { what, index });
    }
    let m = (vectors.len() / p) as f64;
    let mut shift = vec![0.0; p];
    for row in vectors.chunks_exact(p) {
        for ((s, x), mu) in shift.iter_mut().zip(row).zip(expected) {
            *s += (x - mu) / m;
        }
    }
    let mut covariance = vec![0.0; p * p];
    for row in vectors.chunks_exact(p) {
        let centred = row.iter().zip(expected).zip(&shift);
        let centred: Vec<f64> = centred.map(|((x, mu), s)| x - mu - s).collect();
        for (i, a) in centred.iter().enumerate() {
            for (entry, b) in covariance[i * p..].iter_mut().zip(&centred) {
                *entry += a * b / (m - 1.0);
            }
        }
    }
    let statistic = m * mahalanobis(&shift, &covariance)?;
    let p = p as f64;
    let f = (m - p) / (p * (m - 1.0)) * statistic;
    Ok(TestOutcome {
        statistic,
        p_value: super::fisher::fisher_survival(f, p, m - p),
    })
}

/// `x^T S^{-1} x`, from the eigenvalues of the correlations: a Cholesky factorisation may miss that
/// `S` is singular.
fn mahalanobis(x: &[f64], covariance: &[f64]) -> Result<f64> {
    let p = x.len();
    let deviation: Vec<f64> = (0..p).map(|i| covariance[i * p + i].sqrt()).collect();
    let singular = |pivot| Error::NotPositiveDefinite { dim: p, pivot };
    if let Some(pivot) = deviation.iter().position(|&d| d <= 0.0 || d.is_nan()) {
        return Err(singular(pivot));
    }
    let scaled = |ij: usize| covariance[ij] / (deviation[ij / p] * deviation[ij % p]);
    let correlation: Vec<f64> = (0..p * p).map(scaled).collect();
    let eigen = symmetric_eigen(&correlation, p)?;
    let x: Vec<f64> = x.iter().zip(&deviation).map(|(x, d)| x / d).collect();
    let mut square = 0.0;
    for (k, (value, vector)) in eigen
        .values
        .iter()
        .zip(eigen.vectors.chunks_exact(p))
        .enumerate()
    {
        // a zero eigenvalue comes out as rounding, relative to the mean eigenvalue of 1
        if *value <= 1e-12 {
            return Err(singular(k));
        }
        square += dot(vector, &x).powi(2) / value;
    }
    Ok(square)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_component_is_students_t() {
        // x = 1, 2, 4, 5 against 2: mean 3, s^2 = 10/3, t^2 = 4 / (10/3) = 1.2, three degrees of
        // freedom: p = 1 - 2/pi (atan(t/sqrt 3) + (t/sqrt 3) / (1 + t^2/3))
        let outcome = hotelling(&[1.0, 2.0, 4.0, 5.0], &[2.0]).unwrap();
        assert!((outcome.statistic - 1.2).abs() < 1e-14);
        let u = 0.4f64.sqrt();
        let p = 1.0 - std::f64::consts::FRAC_2_PI * (u.atan() + u / 1.4);
        assert!(
            (outcome.p_value - p).abs() < 1e-14,
            "{} {p}",
            outcome.p_value
        );
    }

    #[test]
    fn linear_maps_change_nothing() {
        let x = [
            0.3, 1.0, -0.2, 0.5, 1.7, -1.1, 0.9, 0.4, -0.6, 2.0, 0.1, 0.8,
        ];
        let map = |r: &[f64]| [3.0 * r[0] + r[1] + 1.0, -r[0] + 0.5 * r[1] - 2.0];
        let y: Vec<f64> = x.chunks_exact(2).flat_map(map).collect();
        let (a, b) = (hotelling(&x, &[0.0, 0.4]), hotelling(&y, &map(&[0.0, 0.4])));
        let (a, b) = (a.unwrap(), b.unwrap());
        assert!((a.statistic - b.statistic).abs() < 1e-12 && (a.p_value - b.p_value).abs() < 1e-12);
        assert!(a.statistic > 0.1);
    }

    #[test]
    fn what_cannot_be_tested_is_refused() {
        assert!(hotelling(&[1.0, 2.0, 3.0, 4.0], &[0.0, 0.0]).is_err());
        assert!(hotelling(&[1.0, 2.0, 3.0], &[]).is_err());
        assert!(hotelling(&[1.0, f64::NAN, 3.0], &[0.0]).is_err());
        assert!(matches!(
            hotelling(&[1.0, 2.0, 2.0, 4.0, 4.0, 8.0], &[0.0, 0.0]),
            Err(Error::NotPositiveDefinite { .. })
        ));
    }
}
