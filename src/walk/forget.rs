//! Tests whether a walk has forgotten its start, from what all its particles show.
//!
//! The test splits the blocks so far into quarters and compares the third with the last. Over
//! particles and blocks of each quarter,
//!
//! - the **mean energy** may differ by `1/16` nat per dimension: equilibrium is about half a nat
//!   per dimension above `theta*`;
//! - the **mean predictions** may differ by 0.15 of their standard deviation (root mean square over
//!   everything observed), plus an allowance for the chance differences of `m` particles:
//!   `(2 / m)^{1/2}` standard deviations, added in squares;
//! - the **variance of predictions**, summed over all, may differ by a factor of 1.3.
//!
//! This detects drift, not slowness: a walk that hardly moves passes. So a kernel also states how
//! many steps it takes to lose its direction ([`super::Kernel::memory`]), and a warm-up is at least
//! five times as long. What it drops: places that no particle has reached.
//!
//! Where nothing is observed, the energy alone would be too little: it settles with the many stiff
//! directions, long before the few wide ones, and says nothing where a density is flat. Then
//!
//! - the **squared distance from the start** must have stopped growing: its mean over particles may
//!   grow from the third quarter to the last by 2 %, plus 1.5 standard errors of the growth. The
//!   widest directions dominate the distance, and they are the slowest;
//! - **energies** must differ: where all are the same, no density tells where to stay.

use super::observe::Trace;
use crate::error::Result;

const ENERGY: f64 = 1.0 / 16.0;
const SHIFT: f64 = 0.15;
const VARIANCE: f64 = 1.3;

/// With fewer blocks than this the walk never counts as forgotten.
const BLOCKS: usize = 8;

/// The least length of a warm-up, in units of the kernel's memory.
const MEMORIES: usize = 5;

/// Growth of the squared distance from the start, as a share of it, and in standard errors.
const GROWTH: (f64, f64) = (0.02, 1.5);

/// True if nothing that is recorded still moves; `dim` is the number of parameters. With `spread`,
/// what is recorded is the squared distance of each particle from its start.
///
/// # Errors
/// If the lengths of the trace do not fit.
pub(super) fn forgotten(
    trace: &Trace,
    dim: usize,
    (steps, memory): (usize, usize),
    spread: bool,
) -> Result<bool> {
    let blocks = trace.blocks();
    if blocks < BLOCKS || steps < MEMORIES.saturating_mul(memory) {
        return Ok(false);
    }
    let middle = 3 * blocks / 4;
    if spread && !spread_settled(trace, middle)? {
        return Ok(false);
    }
    let before = Moments::of(trace, blocks / 2, middle)?;
    let after = Moments::of(trace, middle, blocks)?;
    let moved = (after.energy - before.energy).abs();
    let chance = 2.0 / trace.particles().max(1) as f64;
    let shift: f64 = before
        .mean
        .iter()
        .zip(&after.mean)
        .map(|(a, b)| (a - b).powi(2))
        .sum();
    // comparisons with NaN are false: a walk with NaN in an energy or a prediction has not settled
    let ratio = after.variance / before.variance;
    let predictions = spread
        || trace.len == 0
        || (shift <= (SHIFT * SHIFT + chance) * after.variance
            && ratio < VARIANCE
            && ratio > 1.0 / VARIANCE);
    Ok(moved <= ENERGY * dim as f64 && predictions)
}

/// True if squared distances from the start do not grow any more, and energies differ.
fn spread_settled(trace: &Trace, middle: usize) -> Result<bool> {
    let (blocks, particles) = (trace.blocks(), trace.particles());
    let quarter = |from: usize, to: usize| -> Result<Vec<f64>> {
        let mut means = vec![0.0; particles];
        for block in from..to {
            let each = means.iter_mut().zip(trace.observed_after(block)?);
            each.for_each(|(mean, x)| *mean += x / (to - from) as f64);
        }
        Ok(means)
    };
    let (before, after) = (quarter(blocks / 2, middle)?, quarter(middle, blocks)?);
    let m = particles.max(1) as f64;
    let growth = || before.iter().zip(&after).map(|(b, a)| a - b);
    let mean = growth().sum::<f64>() / m;
    let squares: f64 = growth().map(|g| (g - mean).powi(2)).sum();
    let error = (squares / (m - 1.0).max(1.0) / m).sqrt();
    let size = after.iter().sum::<f64>() / m;
    let energies = trace.energies_after(blocks - 1)?;
    let differ = energies.windows(2).any(|pair| pair[0] != pair[1]);
    // false with a NaN, and for a particle that is alone and moves on
    Ok(differ && mean <= GROWTH.0 * size + GROWTH.1 * error)
}

/// Moments over particles and blocks.
struct Moments {
    energy: f64,
    /// Mean of each observed number.
    mean: Vec<f64>,
    /// Sum of their variances.
    variance: f64,
}

impl Moments {
    fn of(trace: &Trace, from: usize, to: usize) -> Result<Self> {
        let count = ((to - from) * trace.particles()) as f64;
        let (mut energy, mut mean) = (0.0, vec![0.0; trace.len]);
        let each = |f: &mut dyn FnMut(usize, f64)| -> Result<()> {
            for block in from..to {
                let observed = trace.observed_after(block)?;
                for row in observed.chunks_exact(trace.len.max(1)) {
                    row.iter().enumerate().for_each(|(i, &x)| f(i, x));
                }
            }
            Ok(())
        };
        each(&mut |i, x| mean[i] += x / count)?;
        let mut variance = 0.0;
        each(&mut |i, x| variance += (x - mean[i]).powi(2) / count)?;
        for block in from..to {
            energy += trace.energies_after(block)?.iter().sum::<f64>() / count;
        }
        Ok(Self {
            energy,
            mean,
            variance,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Phase, Streams, fill_normal};

    /// `blocks` blocks of 64 particles that observe two numbers: noise of standard deviation 1,
    /// which each block shifts by `drift` and scales by `growth`.
    fn trace(blocks: usize, energy_drift: f64, drift: f64, growth: f64) -> Trace {
        let mut rng = Streams::new(3).rng(Phase::USER, 0);
        let mut trace = Trace {
            len: 2,
            ..Trace::default()
        };
        for block in 0..blocks {
            let t = block as f64;
            trace.steps.push(5 * (block + 1));
            let mut noise = vec![0.0; 64 * 3];
            fill_normal(&mut rng, &mut noise);
            let (energies, observed) = noise.split_at(64);
            trace
                .energies
                .extend(energies.iter().map(|e| 3.0 * e + energy_drift * t));
            trace
                .observed
                .extend(observed.iter().map(|x| x * growth.powf(t) + drift * t));
        }
        trace
    }

    #[test]
    fn what_moves_is_not_forgotten_and_noise_is() {
        // windows are 10 blocks apart; the test allows 6.25 nats for 100 dimensions, and 0.23
        // standard deviations for predictions
        let cases = [
            (0.0, 0.0, 1.0, true),
            (0.5, 0.0, 1.0, true),
            (0.8, 0.0, 1.0, false),
            (-0.8, 0.0, 1.0, false),
            (0.0, 0.04, 1.0, false),
            (0.0, -0.04, 1.0, false),
            (0.0, 0.01, 1.0, true),
            (0.0, 0.0, 1.02, false),
            (0.0, 0.0, 0.98, false),
        ];
        for (energy, drift, growth, want) in cases {
            let got = forgotten(&trace(40, energy, drift, growth), 100, (200, 10), false).unwrap();
            assert_eq!(got, want, "{energy} {drift} {growth}");
        }
        let still = trace(40, 0.0, 0.0, 1.0);
        assert!(
            !forgotten(&still, 100, (200, 41), false).unwrap(),
            "five memories are more"
        );
        assert!(!forgotten(&trace(7, 0.0, 0.0, 1.0), 100, (200, 1), false).unwrap());
        let mut broken = still;
        broken.energies[64 * 39] = f64::NAN;
        assert!(!forgotten(&broken, 100, (200, 10), false).unwrap());
    }
}
