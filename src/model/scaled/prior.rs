//! The prior density of `phi = (z, t)`: `z ~ N(0, I)`, and every log scale has its own prior.

use rand::Rng;
use rand_distr::{Distribution, StandardNormal};

use super::groups::ScaleParam;
use crate::autodiff::Var;
use crate::error::{Error, Result, counted};
use crate::model::{HALF_LOG_2PI, Prior};
use crate::nn::ParamLayout;

/// The prior of a [`ScaledNetwork`](super::ScaledNetwork), which creates it.
#[derive(Clone, Debug, PartialEq)]
pub struct ScalePrior {
    /// `P`, the number of network parameters.
    params: usize,
    scales: Vec<ScaleParam>,
}

impl ScalePrior {
    pub(super) fn new(params: usize, scales: Vec<ScaleParam>) -> Self {
        Self { params, scales }
    }

    fn dim(&self) -> usize {
        self.params + self.scales.iter().map(|s| s.len).sum::<usize>()
    }

    /// A draw of `phi`.
    ///
    /// # Errors
    /// If a prior is invalid.
    pub fn draw(&self, rng: &mut impl Rng) -> Result<Vec<f64>> {
        let mut phi: Vec<f64> = StandardNormal
            .sample_iter(&mut *rng)
            .take(self.params)
            .collect();
        for scale in &self.scales {
            for _ in 0..scale.len {
                phi.push(scale.prior.draw(rng)?);
            }
        }
        Ok(phi)
    }
}

impl Prior for ScalePrior {
    fn neg_log_density<'g>(&self, phi: Var<'g>, _: &ParamLayout) -> Var<'g> {
        let constant = self.params as f64 * HALF_LOG_2PI;
        let mut total = phi.slice(0, 0..self.params).square().sum() * 0.5 + constant;
        let mut start = self.params;
        for scale in &self.scales {
            let t = phi.slice(0, start..start + scale.len);
            start += scale.len;
            total = total + scale.prior.neg_log_density(t);
        }
        total
    }

    fn precision(&self, _: &ParamLayout) -> Vec<f64> {
        let mut all = vec![1.0; self.params];
        for scale in &self.scales {
            all.extend(std::iter::repeat_n(scale.prior.precision(), scale.len));
        }
        all
    }

    fn check(&self, layout: &ParamLayout) -> Result<()> {
        if layout.len() == self.dim() {
            return Ok(());
        }
        let expected = format!("a scaled network of {}", counted(self.dim(), "coordinate"));
        Err(Error::shape("ScalePrior", expected, layout.len()))
    }
}
