//! Bridge sampling: the integral of a density `p`, from draws of it and of a normalised `q`.
//!
//! `p` need not be normalised. Meng & Wong, "Simulating ratios of normalizing constants via a
//! simple identity", Statistica Sinica 6 (1996); Gronau et al., "A tutorial on bridge sampling",
//! Journal of Mathematical Psychology 81 (2017). With `n_1` draws of `p`, `n_2` of `q`,
//! `s_i = n_i / (n_1 + n_2)`, `w = p / q`:
//!
//! ```text
//! Z = mean_q[w h] / mean_p[h],   h = 1 / (s_1 w + s_2 Z)   the optimal bridge, which depends on Z
//! RE^2 = var_q(f_1) / (n_2 mean_q(f_1)^2) + tau var_p(f_2) / (n_1 mean_p(f_2)^2)
//! f_1 = p / (s_1 p + s_2 Z q),   f_2 = Z q / (s_1 p + s_2 Z q)
//! tau = n_1 over the effective number of draws of p
//! ```
//!
//! The second line is Fruehwirth-Schnatter, "Estimating marginal likelihoods for mixture and Markov
//! switching models using bridge sampling techniques", Econometrics Journal 7 (2004). For
//! correlated draws of `p` the effective number replaces `n_1` in `s_1` too, as in Gronau et al.
//!
//! **Deviation.** The papers iterate the first line. With `c = log(s_1 / s_2) - log Z` and the
//! logistic function `g`, it reads
//!
//! ```text
//! s_2 mean_q[g(log w + c)] = s_1 mean_p[g(-log w - c)]
//! ```
//!
//! The left side increases with `c` and the right side decreases, so the fixed point is unique.
//! Bisection finds it without overflow, and equally fast whether or not the densities overlap.
//!
//! Do not use draws of `p` to which `q` was fitted: `q` fits those too well, and the evidence comes
//! out too large.

use crate::error::{Error, Result};
use crate::linalg::{LogMean, log_mean_exp};

/// The log evidence by bridge sampling.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BridgeEstimate {
    /// `log Z`, in nats.
    pub log_evidence: f64,
    /// Relative error of `Z`. While it is small against 1, it is the standard error of `log Z`.
    pub relative_error: f64,
    /// Overlap of the densities, `integral of p q / (s_1 p + s_2 q)` with `p` normalised, from 0 to
    /// 1; 1 if they are equal. Below about `10 / n` it rests on a few draws. Then the draws have
    /// not seen where the densities meet, and the error above cannot be trusted.
    pub overlap: f64,
}

impl BridgeEstimate {
    /// Estimates from `log p - log q`, in nats, at draws of `p` and at independent draws of `q`.
    /// `effective` is the number of independent draws that those of `p` are worth (for example, an
    /// effective sample size of the weights); `None` if they are independent.
    ///
    /// A value may be `+inf` at a draw of `p` (where `q` is 0), and `-inf` at a draw of `q` (where
    /// `p` is 0).
    ///
    /// # Errors
    /// If there are fewer than two draws of either, a value is NaN or an infinity of the other
    /// sign, `effective` is not positive and finite, or no draw of one density lies where the other
    /// is positive.
    pub fn new(at_p: &[f64], at_q: &[f64], effective: Option<f64>) -> Result<Self> {
        let forbidden = [f64::NEG_INFINITY, f64::INFINITY];
        check("log weights at draws of p", at_p, forbidden[0])?;
        check("log weights at draws of q", at_q, forbidden[1])?;
        let n_p = effective.unwrap_or(at_p.len() as f64);
        if !(n_p > 0.0 && n_p.is_finite()) {
            return Err(Error::config(
                "effective",
                n_p,
                "must be positive and finite",
            ));
        }
        let n_q = at_q.len() as f64;
        let (s_p, s_q) = (n_p / (n_p + n_q), n_q / (n_p + n_q));
        let meets = Meets {
            at_p,
            at_q,
            s_p,
            s_q,
        };
        let c = meets.root();
        let (of_q, of_p) = meets.means(c);
        let squared = |mean: &LogMean| mean.std_error * mean.std_error;
        let correlation = at_p.len() as f64 / n_p;
        Ok(Self {
            log_evidence: (s_p / s_q).ln() - c,
            relative_error: (squared(&of_q) + correlation * squared(&of_p)).sqrt(),
            overlap: of_q.value.exp() / s_p,
        })
    }
}

fn check(what: &'static str, x: &[f64], forbidden: f64) -> Result<()> {
    if x.len() < 2 {
        let got = format!("{} {what}", x.len());
        return Err(Error::shape("BridgeEstimate", "at least 2 draws", got));
    }
    if let Some(index) = x.iter().position(|&x| x.is_nan() || x == forbidden) {
        return Err(Error::NonFinite { what, index });
    }
    if !x.iter().any(|x| x.is_finite()) {
        let what = format!("{what}: the other density is 0 at all of them");
        return Err(Error::data(what));
    }
    Ok(())
}

struct Meets<'a> {
    at_p: &'a [f64],
    at_q: &'a [f64],
    s_p: f64,
    s_q: f64,
}

impl Meets<'_> {
    /// Means of `g(log w + c)` over draws of `q` and of `g(-log w - c)` over draws of `p`: `f_1`
    /// and `f_2` up to constants.
    fn means(&self, c: f64) -> (LogMean, LogMean) {
        let of_q: Vec<f64> = self.at_q.iter().map(|w| log_logistic(w + c)).collect();
        let of_p: Vec<f64> = self.at_p.iter().map(|w| log_logistic(-w - c)).collect();
        (log_mean_exp(&of_q), log_mean_exp(&of_p))
    }

    /// Increases with `c`, from below 0 to above 0.
    fn difference(&self, c: f64) -> f64 {
        let (of_q, of_p) = self.means(c);
        of_q.value - of_p.value + (self.s_q / self.s_p).ln()
    }

    fn root(&self) -> f64 {
        let all = || self.at_p.iter().chain(self.at_q).filter(|w| w.is_finite());
        let mut low = -all().copied().fold(f64::NEG_INFINITY, f64::max);
        let mut high = -all().copied().fold(f64::INFINITY, f64::min);
        let mut width = 1.0;
        while self.difference(low) > 0.0 {
            low -= width;
            width *= 2.0;
        }
        width = 1.0;
        while self.difference(high) < 0.0 {
            high += width;
            width *= 2.0;
        }
        loop {
            let middle = low + 0.5 * (high - low);
            let rounding = 2.0 * f64::EPSILON * (1.0 + middle.abs());
            if high - low <= rounding {
                return middle;
            }
            if self.difference(middle) > 0.0 {
                high = middle;
            } else {
                low = middle;
            }
        }
    }
}

/// `-log(1 + e^-x)`.
fn log_logistic(x: f64) -> f64 {
    x.min(0.0) - (-x.abs()).exp().ln_1p()
}
