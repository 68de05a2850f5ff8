//! Draws scales from their conditionals given the parameters.
//!
//! This is the centred half of an interweaving.
//!
//! A walk in `phi = (z, t)` moves `theta = z sigma` along with `sigma`. This move holds `theta` and
//! draws `sigma` anew. The likelihood does not change, so no gradient is needed. If the data are
//! strong, the walk is slow along `sigma` and this draw is fast. If they are weak, it is the other
//! way round. Alternating both is at least as fast as either alone (Yu & Meng 2011, JCGS 20). Let
//! `n` be the number of parameters of a group, and `S` their sum of squares in units of all other
//! factors:
//!
//! - half-Cauchy (Wand et al. 2011): `a | sigma ~ IG(1, 1/A^2 + 1/sigma^2)`, then
//!   `sigma^2 | a, theta ~ IG((n+1)/2, S/2 + 1/a)`;
//! - inverse gamma: `sigma^2 | theta ~ IG(shape + n/2, rate + S/2)`;
//! - normal in `log sigma`: no closed form, so the scale stays as it is.

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Gamma};

use super::network::ScaledNetwork;
use crate::error::{Error, Result, counted};
use crate::model::CoordinatePrior;
use crate::nn::Network;
use crate::scalar::Scalar;

/// A move that leaves a density invariant and costs no gradient. It alternates with the steps of a
/// walk.
pub trait ExactMove<T: Scalar>: Sync {
    /// Moves `theta` in place.
    ///
    /// # Errors
    /// If `theta` has the wrong length.
    fn apply(&self, theta: &mut [T], rng: &mut ChaCha8Rng) -> Result<()>;
}

/// A draw from the inverse gamma distribution with the given shape and rate.
fn inverse_gamma(shape: f64, rate: f64, rng: &mut impl Rng) -> Result<f64> {
    let unit = Gamma::new(shape, 1.0)
        .map_err(|_| Error::config("shape", shape, "must be positive and finite"))?;
    Ok(rate / unit.sample(rng).max(f64::MIN_POSITIVE))
}

/// A draw of `sigma^2` given `n` parameters with sum of squares `s`. `None` if the conditional has
/// no closed form.
fn conditional(
    prior: CoordinatePrior,
    variance: f64,
    n: usize,
    s: f64,
    rng: &mut impl Rng,
) -> Result<Option<f64>> {
    let half = 0.5 * n as f64;
    match prior {
        CoordinatePrior::HalfCauchy { scale } => {
            let a = inverse_gamma(1.0, scale.powi(-2) + 1.0 / variance, rng)?;
            inverse_gamma(half + 0.5, 0.5 * s + 1.0 / a, rng).map(Some)
        }
        CoordinatePrior::InverseGamma { shape, rate } => {
            inverse_gamma(shape + half, rate + 0.5 * s, rng).map(Some)
        }
        CoordinatePrior::Normal { .. } => Ok(None),
    }
}

impl<T: Scalar> ExactMove<T> for ScaledNetwork<'_> {
    /// Draws every scale in turn, given the parameters and the other scales. `phi` may have further
    /// coordinates after the scales.
    fn apply(&self, phi: &mut [T], rng: &mut ChaCha8Rng) -> Result<()> {
        let p = self.inner().dim();
        if phi.len() < self.dim() {
            let expected = format!("at least {}", counted(self.dim(), "coordinate"));
            return Err(Error::shape("ScaledNetwork", expected, phi.len()));
        }
        let (z, t) = phi.split_at_mut(p);
        for (at, prior) in self.each_scale() {
            let variance = (2.0 * t[at].to_f64()).exp();
            let (mut n, mut squares) = (0, 0.0);
            for members in self.members(at) {
                n += members.count;
                let each = members.places().map(|i| z[i].to_f64().powi(2));
                squares += each.sum::<f64>();
            }
            let drawn = conditional(prior, variance, n, variance * squares, rng)?;
            // a scale of zero or infinity is a rounding error, not a draw
            let Some(drawn) = drawn.filter(|v| *v > 1e-30 && *v < 1e30 && variance > 1e-30) else {
                continue;
            };
            let shrink = T::from_f64((variance / drawn).sqrt());
            t[at] = T::from_f64(0.5 * drawn.ln());
            for members in self.members(at) {
                members.places().for_each(|i| z[i] *= shrink);
            }
        }
        Ok(())
    }
}
