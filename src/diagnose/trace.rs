//! A one-line summary of a quantity over chains: location, spread, and how well both are known.

use std::fmt;

use super::chains::{Chains, mean_and_variance};
use super::ess::{ess_bulk, ess_tail, mcse_mean};
use super::ranks::quantile;
use super::rhat::rhat;
use crate::error::{Error, Result};
use crate::parallel;

/// Summary of the draws of one quantity, in its unit. NaN if a draw is not finite. If all draws are
/// equal, special values are those of the single diagnostics.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TraceSummary {
    /// Mean of all draws.
    pub mean: f64,
    /// Standard deviation of all draws, divisor `n - 1`.
    pub sd: f64,
    /// 5 %, 50 % and 95 % quantiles.
    pub quantiles: [f64; 3],
    /// [`rhat`]: should be below 1.01.
    pub rhat: f64,
    /// [`ess_bulk`]: should be at least 100 per chain.
    pub ess_bulk: f64,
    /// [`ess_tail`].
    pub ess_tail: f64,
    /// Monte-Carlo standard error of the mean, [`mcse_mean`].
    pub mcse: f64,
}

impl TraceSummary {
    /// Column names for the output of [`fmt::Display`], in columns of the same width.
    pub const HEADER: &'static str = "      mean         sd         5%        50%        95%    R-hat  ESS bulk  ESS tail       MCSE";

    /// The summary of one quantity.
    ///
    /// ```
    /// use fiberwalk::diagnose::{Chains, TraceSummary};
    /// // two chains of five draws
    /// let draws = [1.0, 4.0, 2.0, 5.0, 3.0, 2.0, 3.0, 5.0, 1.0, 4.0];
    /// let summary = TraceSummary::new(&Chains::new(&draws, 2)?);
    /// assert_eq!((summary.mean, summary.quantiles[1]), (3.0, 3.0));
    /// println!("{}\n{summary}", TraceSummary::HEADER);
    /// # Ok::<(), fiberwalk::Error>(())
    /// ```
    pub fn new(chains: &Chains) -> Self {
        let finite = chains.are_finite();
        let (mean, variance) = mean_and_variance(chains.values());
        let at = |p| match finite {
            true => quantile(chains.values(), p),
            false => f64::NAN,
        };
        Self {
            mean,
            sd: variance.sqrt(),
            quantiles: [0.05, 0.5, 0.95].map(at),
            rhat: rhat(chains),
            ess_bulk: ess_bulk(chains),
            ess_tail: ess_tail(chains),
            mcse: mcse_mean(chains),
        }
    }

    /// The summaries of several quantities, one for each column of `values`
    /// `[chains, draws, quantities]`, row-major: parameters as a sampler returns them, or
    /// predictions. Computed in parallel.
    ///
    /// # Errors
    /// If `values` has no column or cannot be divided this way, and those of [`Chains::new`].
    pub fn of_columns(values: &[f64], chains: usize, quantities: usize) -> Result<Vec<Self>> {
        if quantities == 0 || !values.len().is_multiple_of(quantities) {
            let expected = format!("values [chains, draws, {quantities}] of at least 1 column");
            return Err(Error::shape("TraceSummary", expected, values.len()));
        }
        parallel::try_map(quantities, |q| {
            let column: Vec<f64> = values[q..].iter().step_by(quantities).copied().collect();
            Ok(Self::new(&Chains::new(&column, chains)?))
        })
    }
}

impl fmt::Display for TraceSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [low, median, high] = self.quantiles;
        for x in [self.mean, self.sd, low, median, high] {
            write!(f, "{x:>10.4} ")?;
        }
        let (rhat, bulk, tail) = (self.rhat, self.ess_bulk, self.ess_tail);
        write!(
            f,
            "{rhat:>8.3} {bulk:>9.0} {tail:>9.0} {:>10.2e}",
            self.mcse
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Phase, Streams, fill_normal};

    #[test]
    fn columns_are_summarised_as_the_single_diagnostics_do() {
        let mut values = vec![0.0; 3 * 50 * 2];
        fill_normal(&mut Streams::new(2).rng(Phase::USER, 0), &mut values);
        let all = TraceSummary::of_columns(&values, 3, 2).unwrap();
        for (q, got) in all.iter().enumerate() {
            let column: Vec<f64> = values.chunks_exact(2).map(|row| row[q]).collect();
            let chains = Chains::new(&column, 3).unwrap();
            assert_eq!(*got, TraceSummary::new(&chains));
            assert_eq!(got.rhat, rhat(&chains));
            assert_eq!(got.ess_bulk, ess_bulk(&chains));
            assert_eq!(got.ess_tail, ess_tail(&chains));
            assert_eq!(got.mcse, mcse_mean(&chains));
        }
        assert_ne!(all[0], all[1]);
        assert!(TraceSummary::of_columns(&values, 3, 0).is_err());
        assert!(TraceSummary::of_columns(&values, 3, 7).is_err());
        assert!(TraceSummary::of_columns(&values, 7, 2).is_err());
    }

    #[test]
    fn moments_and_quantiles_by_hand() {
        let x: Vec<f64> = (0..101).map(f64::from).collect();
        let got = TraceSummary::new(&Chains::new(&x, 1).unwrap());
        assert_eq!((got.mean, got.quantiles), (50.0, [5.0, 50.0, 95.0]));
        // (n^2 - 1)/12 n/(n - 1) = n (n + 1)/12
        assert!((got.sd - (101.0f64 * 102.0 / 12.0).sqrt()).abs() < 1e-12);
        let bad = TraceSummary::new(&Chains::new(&[1.0, 2.0, f64::NAN, 3.0], 1).unwrap());
        assert!(bad.mean.is_nan() && bad.quantiles[0].is_nan() && bad.rhat.is_nan());
        assert_eq!(TraceSummary::HEADER.len(), got.to_string().len());
    }
}
