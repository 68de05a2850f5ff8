//! The last layer's prior precision and noise: fixed, or read from the hidden numbers.

use super::LastLayer;
use super::workspace::LastLayerWorkspace;
use crate::error::{Error, Result, counted};
use crate::linalg::vector::dot;
use crate::model::HeadScales;
use crate::scalar::Scalar;

impl<T: Scalar> LastLayer<T> {
    /// The same, with a prior precision and a noise that the hidden numbers determine. If the noise
    /// is sampled, `theta_h` everywhere holds what the network takes, followed by the log of the
    /// noise.
    ///
    /// # Errors
    /// If the number of scales is not one for each feature plus one for the biases, a factor is not
    /// positive and finite, or a place is beyond the hidden numbers. Also if a noise is sampled but
    /// the likelihood has none.
    pub fn with_scales(mut self, scales: HeadScales) -> Result<Self> {
        if scales.weights.len() != self.features {
            let expected = format!("{} of the last layer", counted(self.features, "scale"));
            return Err(Error::shape("LastLayer", expected, scales.weights.len()));
        }
        if scales.noise.is_some() && !self.is_gaussian() {
            let requirement = "is for a Gaussian likelihood";
            return Err(Error::config("sampled noise", "true", requirement));
        }
        if scales.noise.is_some_and(|at| at != self.network_dim) {
            let expected = format!("the log of the noise at {}", self.network_dim);
            let got = format!("{:?}", scales.noise);
            return Err(Error::shape("LastLayer", expected, got));
        }
        for weight in &scales.weights {
            if !(weight.factor > 0.0 && weight.factor.is_finite()) {
                let requirement = "must be positive and finite";
                return Err(Error::config("factor", weight.factor, requirement));
            }
            if let Some(at) = weight.places.iter().find(|&&at| at >= self.network_dim) {
                let expected = format!("places below {}", self.network_dim);
                return Err(Error::shape("LastLayer", expected, at));
            }
        }
        self.scales = Some(scales);
        Ok(self)
    }

    /// Number of hidden numbers: what the network takes, and the log of the noise if that is
    /// sampled.
    pub fn hidden_dim(&self) -> usize {
        let noise = self.scales.as_ref().and_then(|s| s.noise);
        self.network_dim + usize::from(noise.is_some())
    }

    /// Number of hidden numbers that the network takes.
    pub fn network_dim(&self) -> usize {
        self.network_dim
    }

    /// The standard deviation of the noise for these hidden numbers; `None` without a Gaussian
    /// likelihood.
    pub fn noise_std(&self, hidden: &[T]) -> Option<f64> {
        let given = self.head.noise_std()?;
        let place = self.scales.as_ref().and_then(|s| s.noise);
        let sampled = place.and_then(|at| hidden.get(at));
        Some(sampled.map_or(given, |s| s.to_f64().exp()))
    }

    /// Sets precisions and noise of the workspace for these hidden numbers.
    pub(super) fn set_scales(&self, hidden: &[T], ws: &mut LastLayerWorkspace<T>) -> Result<()> {
        if let Some(scales) = &self.scales {
            for (p, std) in ws.precisions.iter_mut().zip(&scales.weights) {
                *p = (-2.0 * std.log(hidden)).exp();
            }
        }
        if let Some(noise_std) = self.noise_std(hidden) {
            ws.noise_std = noise_std;
        }
        let positive = |x: &f64| *x > 0.0 && x.is_finite();
        if let Some(index) = ws.precisions.iter().position(|p| !positive(p)) {
            let what = "precisions of the last layer";
            return Err(Error::NonFinite { what, index });
        }
        if !positive(&ws.noise_std) {
            let requirement = "must be positive and finite where the last layer is conditioned";
            return Err(Error::config("noise_std", ws.noise_std, requirement));
        }
        Ok(())
    }

    /// Terms of a Gaussian's negative log-likelihood besides the squares of its residuals.
    pub(super) fn likelihood_constant(&self, ws: &LastLayerWorkspace<T>) -> f64 {
        let given = self.head.noise_std().unwrap_or(ws.noise_std);
        self.constant + self.count * (ws.noise_std / given).ln()
    }

    /// `-log N(c; 0, 1 / precision)` without its constant.
    pub(super) fn prior_energy(&self, ws: &LastLayerWorkspace<T>, c: &[f64]) -> f64 {
        if self.scales.is_none() {
            return 0.5 * self.prior_precision * dot(c, c);
        }
        let rows = c.chunks_exact(self.outputs).zip(&ws.precisions);
        0.5 * rows.map(|(row, p)| p * dot(row, row)).sum::<f64>()
    }

    /// The average of `prior_energy` over the draws around the centre.
    pub(super) fn expected_prior_energy(&self, ws: &LastLayerWorkspace<T>) -> f64 {
        let (draws, n) = (
            ws.displacements.chunks_exact(self.dim()),
            self.node_count() as f64,
        );
        if self.scales.is_none() {
            // summed in this order, so that old files predict the same, bit for bit
            let spread: f64 = draws.map(|d| dot(d, d)).sum();
            let squares = dot(&ws.centre, &ws.centre) + spread / n;
            return 0.5 * self.prior_precision * squares;
        }
        let spread: f64 = draws.map(|d| self.prior_energy(ws, d)).sum();
        self.prior_energy(ws, &ws.centre) + spread / n
    }

    /// Half the log determinant of the prior precision.
    pub(super) fn half_log_det_prior(&self, ws: &LastLayerWorkspace<T>) -> f64 {
        if self.scales.is_none() {
            return 0.5 * self.dim() as f64 * self.prior_precision.ln();
        }
        let logs = ws.precisions.iter().map(|p| p.ln());
        0.5 * self.outputs as f64 * logs.sum::<f64>()
    }
}
