//! Temperature scaling (Guo, Pleiss, Sun & Weinberger 2017, ICML).
//!
//! ```text
//! q_k = p_k^(1/T) / sum_j p_j^(1/T),    T = argmin -sum_i log q_(y_i)(x_i) + ridge/2 (log T)^2
//! ```
//!
//! `T > 1` makes predictions less sure, `T < 1` surer. The order of the classes stays. Guo et al.
//! divide the logits of one network. Here `p` is the average over posterior draws, so its logarithm
//! takes the place of the logits; for one draw both are the same. `log T` is bounded, and `T` is 1
//! if no other makes the rows more probable.

use super::search::minimum;
use super::{Labelled, floored_log, softmax};

/// Bounds of the temperature.
const BOUNDS: (f64, f64) = (0.05, 20.0);

/// One exponent for all probabilities.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "safetensors", derive(serde::Serialize, serde::Deserialize))]
pub struct Temperature {
    /// `T`, from 0.05 to 20.
    pub temperature: f64,
}

impl Temperature {
    /// Changes nothing.
    pub const IDENTITY: Self = Self { temperature: 1.0 };

    /// The temperature that makes the labels most probable, with this prior ([`RIDGE`]; 0 for
    /// none).
    ///
    /// [`RIDGE`]: super::RIDGE
    pub fn fit(rows: &Labelled<'_>, ridge: f64) -> Self {
        let of = |log: f64| Self {
            temperature: log.exp(),
        };
        let nll = |log: f64| rows.nll(|p| of(log).apply(p));
        let bounds = (BOUNDS.0.ln(), BOUNDS.1.ln());
        let best = minimum(bounds, |log| nll(log) + 0.5 * ridge * log * log);
        let found = Self {
            temperature: best.exp().clamp(BOUNDS.0, BOUNDS.1),
        };
        match rows.nll(|p| found.apply(p)) < rows.nll(|_| ()) {
            true => found,
            false => Self::IDENTITY,
        }
    }

    /// Maps the probabilities of a row, `[classes]`, in place.
    pub fn apply(&self, p: &mut [f64]) {
        if self.temperature == 1.0 {
            return;
        }
        p.iter_mut()
            .for_each(|p| *p = floored_log(*p) / self.temperature);
        softmax(p);
    }

    pub(super) fn is_proper(&self) -> bool {
        (BOUNDS.0..=BOUNDS.1).contains(&self.temperature)
    }
}
