//! The log evidence of a Laplace approximation, in nats, constants included.
//!
//! `log p(D) ~ log p(D | theta*) + log p(theta*) + q/2 log 2 pi - 1/2 log det Q`
//!
//! `q` is the number of active parameters. Those of other layers are taken as known, and their
//! prior is left out (as in laplace-torch's last-layer approximation). With a Gaussian prior, the
//! constants of prior and Gaussian cancel:
//!
//! `log p(D) ~ log p(D | theta*) - 1/2 sum_i p_i theta*_i^2 + 1/2 sum_i log p_i - 1/2 log det Q`.

use std::f64::consts::PI;

use super::Laplace;
use super::structure::Precision;
use crate::scalar::Scalar;

impl<T: Scalar> Laplace<T> {
    /// `log p(D)`, in nats.
    pub fn log_evidence(&self) -> f64 {
        let noise = self.noise.map(|(_, now)| now);
        self.evidence_of(self.precision.as_ref(), &self.prior_precision, noise)
    }

    /// `log p(D | theta*)`, in nats.
    pub fn log_likelihood(&self) -> f64 {
        self.log_likelihood_at(self.noise.map(|(_, now)| now))
    }

    /// `gamma = sum_i (1 - p_i (Q^{-1})_ii)`: the number of active parameters that the data
    /// determine (MacKay 1992).
    pub fn effective_parameters(&self) -> f64 {
        let prior = &self.prior_precision[self.active.clone()];
        let pairs = self.precision.variances().into_iter().zip(prior);
        pairs.map(|(v, p)| 1.0 - p * v).sum()
    }

    /// The evidence for another precision, prior and noise level.
    pub(super) fn evidence_of(
        &self,
        precision: &dyn Precision,
        prior: &[f64],
        noise: Option<f64>,
    ) -> f64 {
        let active = self.active.clone();
        let pairs = self.theta[active.clone()].iter().zip(&prior[active]);
        let log_ratio: f64 = pairs
            .map(|(t, p)| p.ln() - p * t.to_f64() * t.to_f64())
            .sum();
        self.log_likelihood_at(noise) + 0.5 * (log_ratio - precision.log_det())
    }

    fn log_likelihood_at(&self, noise: Option<f64>) -> f64 {
        match (self.noise, noise) {
            (Some((fitted, _)), Some(now)) if now != fitted => {
                let log_norm = self.residuals * (now.ln() + 0.5 * (2.0 * PI).ln());
                -log_norm - 0.5 * self.squares().unwrap_or(f64::NAN) / (now * now)
            }
            _ => -self.neg_log_likelihood,
        }
    }

    /// The sum of the squared residuals of a Gaussian likelihood, from its value less the constant.
    pub(super) fn squares(&self) -> Option<f64> {
        self.noise.map(|(fitted, _)| {
            let log_norm = self.residuals * (fitted.ln() + 0.5 * (2.0 * PI).ln());
            2.0 * fitted * fitted * (self.neg_log_likelihood - log_norm).max(0.0)
        })
    }

    /// Number of residuals.
    pub(super) fn residuals(&self) -> f64 {
        self.residuals
    }
}
