//! R-hat: does it matter which chain a draw comes from?
//!
//! Vehtari, Gelman, Simpson, Carpenter & Bürkner, "Rank-normalization, folding, and localization:
//! an improved R-hat", Bayesian Analysis 16 (2021). Each chain is split in two, which gives `M`
//! sequences of `N` draws:
//!
//! ```text
//! B / N = var_m mean_n x_mn                     between sequences, divisor M - 1
//! W     = mean_m var_n x_mn                     within them, divisor N - 1
//! R-hat = sqrt(((N - 1)/N W + B/N) / W)
//! ```
//!
//! [`rhat_bulk`] is R-hat of the rank-normalised draws. [`rhat_folded`] is R-hat of the
//! rank-normalised distances from the median, and detects chains with the same centre and different
//! scales. [`rhat`] is the larger of the two. The paper asks for a value below 1.01 from four
//! chains or more.
//!
//! [`nested_rhat`] is for many short chains: Margossian, Hoffman, Sountsov, Riou-Durand, Vehtari &
//! Gelman, "Nested R-hat: assessing the convergence of Markov chain Monte Carlo when running many
//! short chains", Bayesian Analysis (2024). The mean of a short chain is far from the target's
//! because the chain is short. The ordinary R-hat is therefore above 1, however well the start has
//! been forgotten. The mean over a *superchain*, a group of chains from one start, does not have
//! this problem.

use super::chains::{Chains, Sequences, mean_and_variance};
use super::ranks::{median, rank_normalize};
use crate::error::{Error, Result, counted};

/// The larger of [`rhat_bulk`] and [`rhat_folded`].
///
/// NaN if a draw is not finite, or all draws are equal. Infinite if no half of a chain moves, and
/// they are not all at one place. If all distances from the median are equal, the folded one is
/// undefined and [`rhat_bulk`] is returned.
pub fn rhat(chains: &Chains) -> f64 {
    rhat_bulk(chains).max(rhat_folded(chains))
}

/// Split R-hat of the rank-normalised draws, for different locations. Special values as in
/// [`rhat`].
pub fn rhat_bulk(chains: &Chains) -> f64 {
    if !chains.are_finite() {
        return f64::NAN;
    }
    let halves = chains.split();
    ratio(&halves.with(rank_normalize(&halves.values)))
}

/// Split R-hat of the rank-normalised distances from the median, for different scales. Special
/// values as in [`rhat`].
pub fn rhat_folded(chains: &Chains) -> f64 {
    if !chains.are_finite() {
        return f64::NAN;
    }
    let halves = chains.split();
    let centre = median(&halves.values);
    let distances: Vec<f64> = halves.values.iter().map(|x| (x - centre).abs()).collect();
    ratio(&halves.with(rank_normalize(&distances)))
}

fn ratio(sequences: &Sequences) -> f64 {
    let (means, variances): (Vec<f64>, Vec<f64>) = sequences.rows().map(mean_and_variance).unzip();
    let n = sequences.length as f64;
    let within = variances.iter().sum::<f64>() / variances.len() as f64;
    let (_, between) = mean_and_variance(&means);
    ((n - 1.0) / n + between / within).sqrt()
}

/// Nested R-hat of the draws, without rank normalisation. There are `superchains` groups of equal
/// size: chains `0..M` share a start, so do `M..2M`, and so on.
///
/// ```text
/// B = var_k mean_mn x_kmn                               between superchains, divisor K - 1
/// W = mean_k (var_m mean_n x_kmn + mean_m var_n x_kmn)  within them
///                                                       divisors M - 1 (0 for M = 1) and N - 1
/// nested R-hat = sqrt(1 + B / W)
/// ```
///
/// Chains that have forgotten their starts give about `sqrt(1 + 1/(M n))`, with `n` the effective
/// size of one chain. So the distance from 1 also measures the precision of a superchain. For the
/// rank-normalised version, pass [`rank_normalize`]d draws. NaN if a draw is not finite, or all
/// draws are equal; infinite if only superchains differ.
///
/// # Errors
/// If there are fewer than 2 superchains, or they do not divide the number of chains.
pub fn nested_rhat(chains: &Chains, superchains: usize) -> Result<f64> {
    if superchains < 2 || !chains.chains().is_multiple_of(superchains) {
        let requirement = format!(
            "at least 2, and a divisor of {}",
            counted(chains.chains(), "chain")
        );
        return Err(Error::config("superchains", superchains, &requirement));
    }
    if !chains.are_finite() {
        return Ok(f64::NAN);
    }
    let (mut centres, mut within) = (Vec::with_capacity(superchains), 0.0);
    for group in chains
        .values()
        .chunks_exact(chains.values().len() / superchains)
    {
        let moments = group.chunks_exact(chains.draws()).map(mean_and_variance);
        let (means, variances): (Vec<f64>, Vec<f64>) = moments.unzip();
        let (centre, between_chains) = mean_and_variance(&means);
        centres.push(centre);
        within += between_chains + variances.iter().sum::<f64>() / variances.len() as f64;
    }
    let (_, between) = mean_and_variance(&centres);
    Ok((1.0 + between / (within / superchains as f64)).sqrt())
}
