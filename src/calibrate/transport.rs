//! Draws of class probabilities whose average is the calibrated prediction.
//!
//! A map `g` is one of the average `p = mean_s p_s` over draws, not of the single `p_s`: the mean of
//! `g(p_s)` is not `g(p)`. So draws are moved by a linear map, for which the two agree. It takes
//! from the classes that `q = g(p)` makes less probable, and gives to the others:
//!
//! ```text
//! keep_k = min(1, q_k / p_k),   gain_k = max(0, q_k - p_k) / sum_j max(0, q_j - p_j)
//! p_s'_k = keep_k p_s,k + gain_k sum_j (1 - keep_j) p_s,j,   mean_s p_s' = q
//! ```
//!
//! For labels this is the maximal coupling of `p` and `q` (Lindvall 2002, section I.5): a label
//! stays as it was drawn with the largest probability that any way of moving `p` to `q` allows, `1 -
//! sum_k max(0, q_k - p_k)`. So rows keep what they share under one draw of the parameters, as far
//! as a map row by row can.

/// The move of a row from `p` to `q`.
#[derive(Clone, Debug, PartialEq)]
pub struct Transport {
    keep: Vec<f64>,
    gain: Vec<f64>,
}

impl Transport {
    /// From the prediction `p` to the calibrated `q`, both `[classes]`. The shorter one says how
    /// many classes there are.
    pub fn new(p: &[f64], q: &[f64]) -> Self {
        let each = || p.iter().zip(q);
        let keep = each().map(|(p, q)| if q < p { q / p } else { 1.0 });
        let more: Vec<f64> = each().map(|(p, q)| (q - p).max(0.0)).collect();
        let total: f64 = more.iter().sum();
        let gain = more
            .iter()
            .map(|m| if total > 0.0 { m / total } else { 0.0 });
        let gain: Vec<f64> = gain.collect();
        // with nowhere to go, which is rounding, all stay
        let keep = keep.map(|k| if total > 0.0 { k } else { 1.0 });
        Self {
            keep: keep.collect(),
            gain,
        }
    }

    /// Moves the probabilities of one draw, `[classes]`, in place.
    pub fn apply(&self, p: &mut [f64]) {
        let mut freed = 0.0;
        for (p, keep) in p.iter_mut().zip(&self.keep) {
            freed += *p * (1.0 - keep);
            *p *= keep;
        }
        for (p, gain) in p.iter_mut().zip(&self.gain) {
            *p += freed * gain;
        }
    }
}
