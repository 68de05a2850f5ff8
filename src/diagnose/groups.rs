//! Nested R-hat for many short chains that share one start: have they forgotten where they were?
//!
//! Margossian, Hoffman, Sountsov, Riou-Durand, Vehtari & Gelman, "Nested R-hat", Bayesian Analysis
//! (2024), compare *superchains*: groups of chains, each group with a start of its own. Walkers
//! from one estimate have no such groups. They do have places where they were when draws began to
//! be kept, as far apart as the draws of the target are. So here chains are grouped by their
//! **first draw**: sorted by it, and cut into `K` superchains of `M` chains that were alike then.
//! Nested R-hat of the **second half** of the draws asks whether they still are:
//!
//! ```text
//! nested R-hat = sqrt(1 + B / W)      B between the means of superchains, W within superchains
//! ```
//!
//! Chains that have forgotten their first draw are mixed at random over the superchains. Then
//! `M B / W` is a ratio of two estimates of one variance: at most `F(K - 1, K (M - 1))`, as if each
//! chain had one independent draw, and smaller if it has more. [`grouped_rhat_limit`] is the value
//! that one healthy run in a thousand exceeds, and 1.05 if that is more. Chains that never leave
//! the place where they began give `B / W` of about `0.86 / 0.14`, the variances between and within
//! quarters of a normal distribution: an R-hat of 2.7.
//!
//! The ordinary R-hat asks for more: that each chain has been everywhere. For short chains it is
//! far above 1 however well the ensemble does. Where it deviates from the paper: superchains are
//! formed by what was drawn and not by the start, so a bias that all chains share is not seen. A
//! test of the ensemble's trend sees that ([`walk`](crate::walk) ends its warm-up by one).

use super::chains::Chains;
use super::fisher::fisher_survival;
use super::rhat::nested_rhat;
use crate::error::{Error, Result, counted};

/// One healthy run in so many exceeds the limit.
const RARE: f64 = 1_000.0;

/// The least limit.
const LEAST: f64 = 1.05;

/// Nested R-hat of the second half of the draws, over `superchains` groups of chains that had
/// similar first draws. If the groups cannot be equal, the last chains of the order are left out.
///
/// NaN if a draw is not finite, or all draws are equal.
///
/// # Errors
/// If there are fewer than 2 superchains, fewer than 2 chains for each, or fewer than 8 draws.
pub fn grouped_rhat(chains: &Chains, superchains: usize) -> Result<f64> {
    let (count, draws) = (chains.chains(), chains.draws());
    if superchains < 2 || count / 2 < superchains {
        let of = counted(count, "chain");
        let requirement = format!("must be at least 2, and at most half of {of}");
        return Err(Error::config("superchains", superchains, &requirement));
    }
    if draws < 8 {
        return Err(Error::shape(
            "grouped_rhat",
            "at least 8 draws of a chain",
            draws,
        ));
    }
    let mut order: Vec<&[f64]> = chains.values().chunks_exact(draws).collect();
    order.sort_by(|a, b| a[0].total_cmp(&b[0]));
    order.truncate(count / superchains * superchains);
    let later = order.iter().flat_map(|chain| &chain[draws / 2..]);
    let later: Vec<f64> = later.copied().collect();
    nested_rhat(&Chains::new(&later, order.len())?, superchains)
}

/// The value that [`grouped_rhat`] of `chains` chains that have forgotten their first draws exceeds
/// once in a thousand runs; at least 1.05.
pub fn grouped_rhat_limit(chains: usize, superchains: usize) -> f64 {
    let m = (chains / superchains.max(1)) as f64;
    let (d1, d2) = (superchains as f64 - 1.0, superchains as f64 * (m - 1.0));
    if !(d1 > 0.0 && d2 > 0.0) {
        return f64::INFINITY;
    }
    let (mut low, mut high) = (0.0, 1e6);
    for _ in 0..80 {
        let middle = 0.5 * (low + high);
        match fisher_survival(middle, d1, d2) * RARE > 1.0 {
            true => low = middle,
            false => high = middle,
        }
    }
    (1.0 + high / m).sqrt().max(LEAST)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Phase, Streams, fill_normal};

    /// Stationary AR(1) chains, `[chains, draws]`.
    fn stationary(chains: usize, draws: usize, rho: f64, seed: u64) -> Vec<f64> {
        let mut all = vec![0.0f64; chains * draws];
        fill_normal(&mut Streams::new(seed).rng(Phase::USER, 0), &mut all);
        for chain in all.chunks_exact_mut(draws) {
            for i in 1..draws {
                chain[i] = rho * chain[i - 1] + (1.0 - rho * rho).sqrt() * chain[i];
            }
        }
        all
    }

    fn of(x: &[f64], chains: usize) -> f64 {
        grouped_rhat(&Chains::new(x, chains).unwrap(), 4).unwrap()
    }

    /// Independent draws, and short chains whose memory is much shorter than they are.
    #[test]
    fn chains_that_forget_are_below_the_limit() {
        let limit = grouped_rhat_limit(64, 4);
        // sqrt(1 + 6.17 / 16) from a table of F(3, 60)
        assert!((limit - 1.1769).abs() < 2e-3, "{limit}");
        for seed in 0..50 {
            let independent = of(&stationary(64, 40, 0.0, seed), 64);
            assert!(independent < 1.02, "{independent}");
            // the ordinary R-hat of these is far from 1
            let x = stationary(64, 40, 0.9, seed);
            assert!(super::super::rhat(&Chains::new(&x, 64).unwrap()) > 1.2);
            assert!(of(&x, 64) < limit);
        }
    }

    /// The share of healthy runs beyond the limit, where a chain has one independent draw: the
    /// second half does not move, and does not depend on the first draw.
    #[test]
    fn the_limit_is_exceeded_once_in_a_thousand_runs() {
        let limit = grouped_rhat_limit(16, 4);
        let trials = 4_000;
        let mut beyond = 0;
        for seed in 0..trials {
            let ends = stationary(16, 2, 0.0, seed);
            let chains = ends.chunks_exact(2).flat_map(|e| {
                let mut chain = [e[0]; 8];
                chain[4..].fill(e[1]);
                chain
            });
            let chains: Vec<f64> = chains.collect();
            beyond += usize::from(of(&chains, 16) > limit);
        }
        // Poisson with mean 4: beyond 13 once in 10,000 tests
        assert!(beyond <= 13, "{beyond} of {trials}");
    }

    /// Chains that stay where they began, chains in two modes, and chains slower than they are
    /// long are found.
    #[test]
    fn stuck_superchains_are_found() {
        let limit = grouped_rhat_limit(64, 4);
        for seed in 0..20 {
            let mut stuck = stationary(64, 40, 0.0, seed);
            for chain in stuck.chunks_exact_mut(40) {
                let place = chain[0];
                chain.iter_mut().for_each(|x| *x = place + 0.1 * *x);
            }
            assert!(of(&stuck, 64) > 1.8, "{}", of(&stuck, 64));
            let mut modes = stationary(64, 40, 0.5, seed);
            for (i, chain) in modes.chunks_exact_mut(40).enumerate() {
                chain.iter_mut().for_each(|x| *x += 3.0 * (i % 2) as f64);
            }
            assert!(of(&modes, 64) > limit);
            assert!(of(&stationary(64, 40, 0.995, seed), 64) > limit);
        }
    }

    #[test]
    fn special_values_and_shapes() {
        let same = [1.0; 64];
        assert!(of(&same, 8).is_nan());
        let mut x = stationary(8, 8, 0.0, 1);
        x[9] = f64::NAN;
        // a draw of the first half that is not the first is not looked at
        assert!(of(&x, 8).is_finite());
        x[15] = f64::NAN;
        assert!(of(&x, 8).is_nan());
        let x = stationary(9, 8, 0.0, 1);
        let nine = Chains::new(&x, 9).unwrap();
        assert!(grouped_rhat(&nine, 4).is_ok());
        assert!(grouped_rhat(&nine, 5).is_err() && grouped_rhat(&nine, 1).is_err());
        let short = Chains::new(&x[..36], 9).unwrap();
        assert!(grouped_rhat(&short, 4).is_err());
        assert_eq!(grouped_rhat_limit(4, 4), f64::INFINITY);
        assert_eq!(grouped_rhat_limit(100_000, 4), 1.05);
    }
}
