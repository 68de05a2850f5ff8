//! Where the training of a flow of units starts.

use rand::Rng;

use super::ExchangeableUnits;
use crate::deform::Bijection;
use crate::nn::Network;
use crate::scalar::Scalar;

impl ExchangeableUnits {
    /// Initial parameters: each layer's scaling gets the mean and standard deviation of its units
    /// in `points` (`[n, dim]`), and the couplings are the identity.
    pub fn init_from<T: Scalar>(&self, points: &[T], rng: &mut dyn Rng) -> Vec<f64> {
        let mut params = self.init(rng);
        let n = (points.len() / self.dim.max(1)).max(1);
        let (mut first, mut used) = (0, 0);
        for layer in &self.layers {
            let (h, d) = (layer.units, layer.params);
            used += layer.param_count();
            let end = used - layer.summary.as_ref().map_or(0, Network::dim);
            let (scales, shifts) = params[end - 2 * d..end].split_at_mut(d);
            for i in 0..d {
                let numbers = || {
                    let rows = points.chunks_exact(self.dim);
                    rows.flat_map(|row| &row[first + i * h..first + (i + 1) * h])
                        .map(|x| x.to_f64())
                };
                let mean = numbers().sum::<f64>() / (n * h) as f64;
                let variance = numbers().map(|x| (x - mean).powi(2)).sum::<f64>() / (n * h) as f64;
                shifts[i] = mean;
                // units that do not vary get a tiny scale, so the density stays finite
                scales[i] = variance.max(1e-12).ln() * 0.5;
            }
            first += h * d;
        }
        params
    }
}
