//! One factor for the predictive standard deviation of a real target.
//!
//! ```text
//! Y' = m + s (Y - m),    s = argmin sum_i [log s - log p_i(m_i + (y_i - m_i) / s)] + ridge/2 (log s)^2
//! ```
//!
//! `p_i` is the predictive density of row `i` and `m_i` its mean. The means stay, deviations and
//! the distances of quantiles from the mean are multiplied by `s`: temperature scaling for reals
//! (the scale of Levi, Gispan, Giladi & Fetaya 2022, with the whole density in the place of a
//! Gaussian). It is not for counts, nor for targets with a logarithm: a stretched law would leave
//! their range.
//!
//! `log s` is bounded. Densities may be dear, so a fit looks at many factors in one pass over the
//! rows: three passes, each on a finer grid around the best factor. `s` is 1 if no other makes the
//! rows more probable.

/// Bounds of the factor.
const BOUNDS: (f64, f64) = (0.1, 10.0);

/// Factors that a pass looks at.
const GRID: usize = 33;

/// Passes: the last grid has steps of 0.0006 in `log s`.
const PASSES: usize = 3;

/// A factor of the standard deviation.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "safetensors", derive(serde::Serialize, serde::Deserialize))]
pub struct Spread {
    /// `s`, from 0.1 to 10.
    pub factor: f64,
}

/// A fitted factor, and what it gains.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SpreadFit {
    /// The factor.
    pub spread: Spread,
    /// Negative log likelihood of the rows with the factor 1, a sum in nats.
    pub before: f64,
    /// The same with the factor found.
    pub after: f64,
}

impl Spread {
    /// Changes nothing.
    pub const IDENTITY: Self = Self { factor: 1.0 };

    /// The factor that makes the targets most probable. `losses` gives the negative log likelihood
    /// of all rows, a sum in nats, for each of the factors it is asked about.
    ///
    /// # Errors
    /// Those of `losses`.
    pub fn fit<E>(
        ridge: f64,
        mut losses: impl FnMut(&[f64]) -> Result<Vec<f64>, E>,
    ) -> Result<SpreadFit, E> {
        let (mut low, mut high) = (BOUNDS.0.ln(), BOUNDS.1.ln());
        let mut before = f64::INFINITY;
        let mut best = (0.0, f64::INFINITY, f64::INFINITY);
        for pass in 0..PASSES {
            let step = (high - low) / (GRID - 1) as f64;
            let mut logs: Vec<f64> = (0..GRID).map(|i| low + step * i as f64).collect();
            if pass == 0 {
                logs.push(0.0);
            }
            let factors: Vec<f64> = logs.iter().map(|log| log.exp()).collect();
            let found = losses(&factors)?;
            if pass == 0 {
                before = found.last().copied().unwrap_or(f64::INFINITY);
            }
            for (&log, &loss) in logs.iter().zip(&found) {
                let value = loss + 0.5 * ridge * log * log;
                if value < best.1 {
                    best = (log, value, loss);
                }
            }
            let (floor, ceiling) = (BOUNDS.0.ln(), BOUNDS.1.ln());
            (low, high) = ((best.0 - step).max(floor), (best.0 + step).min(ceiling));
        }
        let (log, _, after) = best;
        let kept = after < before;
        Ok(SpreadFit {
            spread: match kept {
                true => Self {
                    factor: log.exp().clamp(BOUNDS.0, BOUNDS.1),
                },
                false => Self::IDENTITY,
            },
            before,
            after: if kept { after } else { before },
        })
    }

    pub(super) fn is_proper(&self) -> bool {
        (BOUNDS.0..=BOUNDS.1).contains(&self.factor)
    }
}
