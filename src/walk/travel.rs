//! Whether particles still travel: away from their starts, ever farther apart, or all to one side.
//!
//! Energies and predictions settle long before a coordinate that they hardly depend on, and of a
//! flat density there is nothing to settle at all. So after each block of the warm-up it is
//! recorded how far every particle is from its own start, in at most 64 numbers: the coordinates,
//! and if there are more, sums of every 64th of them. Of each number, `a`, `b` and `c` are a
//! particle's means over the second, third and last quarter of the blocks so far. The walk still
//! travels if in one of the numbers
//!
//! - the **distance grows**: the mean of `c^2` is above 1.3 times that of `a^2`, beyond 1.5
//!   standard errors, and what is there was kept: `cov(a, c) > 0.6 var(a)`. Of a diffusion that
//!   nothing holds the ratio is 2.3 and the slope 1, of a straight move 5.4 and 2.3; of what has
//!   mixed 1 and 0. Both are asked for, because the first alone is noise in some number of many,
//!   and the second alone is true of particles that stay in modes of their own;
//! - the **spread grows** by far: `var(c) > 4 var(a)`, beyond 3 standard errors, as where the step
//!   grows for ever;
//! - the **mean drifts**: `c - b` has a mean of more than half a standard deviation of `c`, and
//!   more than 5 standard errors.
//!
//! It also does if more than one step in twenty **diverged** over the later half of the blocks.
//!
//! *What it cannot see.* Fewer than 16 particles say nothing about distances. A diffusion that by
//! chance looks mixed in all its numbers passes: of 64 particles and one slow number that is less
//! than one look in a hundred. A slow coordinate in a sum with wider ones is not seen before it is
//! wider than they. A place that no particle has been to, and a barrier that all are on one side
//! of, leave no trace. Particles that stay where they are, each in a mode of its own, pass: their
//! predictions are compared elsewhere.

use super::kernel::{Fields, Tally};
use crate::error::Result;
use crate::scalar::Scalar;

/// Most numbers that are recorded of a particle.
const NUMBERS: usize = 64;

/// Particles below which nothing is said of distances.
const LEAST: usize = 16;

/// One step of so many may diverge.
const SOUND: usize = 20;

const GROWTH: f64 = 1.3;
const GROWTH_ERRORS: f64 = 1.5;
const KEPT: f64 = 0.6;
const SPREAD: f64 = 4.0;
const SPREAD_ERRORS: f64 = 3.0;
const SHIFT: f64 = 0.5;
const SHIFT_ERRORS: f64 = 5.0;

/// How far particles have gone, block by block.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Travel {
    /// `[blocks, particles, numbers]`.
    moved: Vec<f64>,
    /// Steps and divergences of each block.
    steps: Vec<usize>,
    divergences: Vec<usize>,
}

/// Numbers recorded of a particle of `dim` parameters.
fn numbers(dim: usize) -> usize {
    dim.min(NUMBERS)
}

impl Travel {
    /// Records a block after which particles are at `theta`, having begun at `start`.
    pub(super) fn record<'a, T: Scalar>(
        &mut self,
        ends: impl Iterator<Item = (&'a [T], &'a [T])>,
        block: &Tally,
    ) {
        self.steps.push(block.steps);
        self.divergences.push(block.divergences);
        for (theta, start) in ends {
            let from = self.moved.len();
            let width = numbers(theta.len());
            self.moved.resize(from + width, 0.0);
            for (theta, start) in theta.chunks(width).zip(start.chunks(width)) {
                for ((sum, t), s) in self.moved[from..].iter_mut().zip(theta).zip(start) {
                    *sum += t.to_f64() - s.to_f64();
                }
            }
        }
    }

    /// True if particles of `dim` parameters have ceased to travel, as far as can be seen.
    pub(super) fn settled(&self, dim: usize) -> bool {
        let blocks = self.steps.len();
        let late = |counts: &[usize]| {
            counts[blocks / 2..]
                .iter()
                .fold(0, |a: usize, &n| a.saturating_add(n))
        };
        if late(&self.divergences).saturating_mul(SOUND) > late(&self.steps) {
            return false;
        }
        let width = numbers(dim);
        let particles = self.moved.len() / (blocks * width).max(1);
        if particles < LEAST {
            return true;
        }
        // all particles of a number after a block, and their means over blocks
        let mean = |from: usize, to: usize, number: usize| -> Vec<f64> {
            let of = |particle: usize| {
                let at = |block: usize| self.moved[(block * particles + particle) * width + number];
                (from..to).map(at).sum::<f64>() / (to - from).max(1) as f64
            };
            (0..particles).map(of).collect()
        };
        (0..width).all(|number| {
            let (half, late) = (blocks / 2, 3 * blocks / 4);
            let [a, b, c] = [(blocks / 4, half), (half, late), (late, blocks)]
                .map(|(from, to)| mean(from, to, number));
            !(grows(&a, &c) || spreads(&a, &c) || drifts(&b, &c))
        })
    }

    /// True if it is of so many particles in whole blocks.
    pub(super) fn is_of(&self, particles: usize, dim: usize) -> bool {
        let blocks = self.steps.len();
        let all = blocks
            .checked_mul(particles)
            .and_then(|n| n.checked_mul(numbers(dim)));
        self.divergences.len() == blocks && all == Some(self.moved.len())
    }

    /// Goes through all of it.
    pub(super) fn fields<T>(&mut self, fields: &mut dyn Fields<T>) -> Result<()> {
        fields.numbers("travel", &mut self.moved)?;
        fields.counts("travel_steps", &mut self.steps)?;
        fields.counts("travel_divergences", &mut self.divergences)
    }
}

/// Mean and variance.
fn moments(x: impl ExactSizeIterator<Item = f64> + Clone) -> (f64, f64) {
    let n = x.len() as f64;
    let mean = x.clone().sum::<f64>() / n;
    (mean, x.map(|x| (x - mean).powi(2)).sum::<f64>() / (n - 1.0))
}

/// A NaN grows: such a walk has not settled.
fn grows(a: &[f64], b: &[f64]) -> bool {
    let both = || a.iter().zip(b);
    let before = a.iter().map(|a| a * a).sum::<f64>() / a.len() as f64;
    let (more, variance) = moments(both().map(|(a, b)| b * b - a * a));
    let error = (variance / a.len() as f64).sqrt();
    let (mean_a, variance_a) = moments(a.iter().copied());
    let (mean_b, _) = moments(b.iter().copied());
    let products = both().map(|(a, b)| (a - mean_a) * (b - mean_b));
    let covariance = products.sum::<f64>() / (a.len() as f64 - 1.0);
    let held = more <= (GROWTH - 1.0) * before || more <= GROWTH_ERRORS * error;
    !(held || covariance <= KEPT * variance_a)
}

fn spreads(a: &[f64], b: &[f64]) -> bool {
    let [(mean_a, variance_a), (mean_b, variance_b)] = [a, b].map(|x| moments(x.iter().copied()));
    let squares = a
        .iter()
        .zip(b)
        .map(|(a, b)| (b - mean_b).powi(2) - (a - mean_a).powi(2));
    let (more, variance) = moments(squares);
    let error = (variance / a.len() as f64).sqrt();
    !(variance_b <= SPREAD * variance_a || more <= SPREAD_ERRORS * error)
}

fn drifts(a: &[f64], b: &[f64]) -> bool {
    let (shift, variance) = moments(a.iter().zip(b).map(|(a, b)| b - a));
    let error = (variance / a.len() as f64).sqrt();
    let (_, spread) = moments(b.iter().copied());
    !(shift.abs() <= SHIFT * spread.sqrt() || shift.abs() <= SHIFT_ERRORS * error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linalg::vector::fill_normal;
    use crate::rng::{Phase, Streams};

    /// 64 particles in `dim` coordinates, 40 blocks: `x <- keep x + pull + noise`, coordinate 0
    /// alone by `slow` and `pull`, the others standard normal and new in every block. They begin
    /// `away` from what they are pulled to.
    fn walked(dim: usize, slow: f64, pull: f64, away: f64, seed: u64) -> Travel {
        let mut rng = Streams::new(seed).rng(Phase::USER, 0);
        let mut travel = Travel::default();
        let start = vec![away; dim];
        let mut at = vec![start.clone(); 64];
        let tally = Tally {
            steps: 320,
            ..Tally::default()
        };
        for _ in 0..40 {
            for x in &mut at {
                let mut noise = vec![0.0; dim];
                fill_normal(&mut rng, &mut noise);
                noise[0] += slow * x[0] + pull;
                *x = noise;
            }
            travel.record(at.iter().map(|x| (&x[..], &start[..])), &tally);
        }
        travel
    }

    #[test]
    fn what_travels_is_seen_and_what_has_mixed_is_not() {
        let settled = |dim, slow, pull, away| {
            let of = |seed: &u64| walked(dim, slow, pull, away, *seed).settled(dim);
            (0..20).filter(of).count()
        };
        // mixed within 1, 2 and 5 blocks of 40, from the middle and from 3 deviations away
        for (slow, away) in [(0.0, 0.0), (0.5, 0.0), (0.8, 0.0), (0.5, 3.0)] {
            for dim in [2, 32, 100] {
                let count = settled(dim, slow, 0.0, away);
                assert!(count >= 19, "{slow} {away} {dim}: {count}");
            }
        }
        // a spread that doubles with every block, each move new
        let doubling = |seed| {
            let mut travel = walked(2, 0.0, 0.0, 0.0, seed);
            for (i, x) in travel.moved.iter_mut().enumerate() {
                *x *= 2f64.powi((i / 128) as i32);
            }
            travel
        };
        assert!((0..20).all(|seed| !doubling(seed).settled(2)));
        // a diffusion that nothing holds, one that 200 blocks would hold, one more in a sum of two
        // numbers; a straight move; a start that is far, and 30 blocks to come from there
        for (dim, slow, pull, away) in [
            (2, 1.0, 0.0, 0.0),
            (32, 0.995, 0.0, 0.0),
            (100, 1.0, 0.0, 0.0),
            (2, 1.0, 0.2, 0.0),
            (2, 0.97, 0.0, 40.0),
        ] {
            let count = settled(dim, slow, pull, away);
            assert!(count <= 3, "{slow} {pull} {away} {dim}: {count}");
        }
    }

    #[test]
    fn divergences_keep_a_walk_from_being_settled() {
        let mut travel = walked(3, 0.0, 0.0, 0.0, 1);
        // early ones belong to the tuning
        travel.divergences[..20].fill(100);
        assert!(travel.settled(3));
        travel.divergences[20..].fill(16);
        assert!(travel.settled(3), "one in twenty");
        travel.divergences[20..].fill(17);
        assert!(!travel.settled(3));
    }

    #[test]
    fn modes_of_their_own_pass_and_a_nan_does_not() {
        // each particle stays where it went, near one of two places
        let mut travel = walked(2, 0.0, 0.0, 0.0, 2);
        for (i, x) in travel.moved.iter_mut().enumerate() {
            *x = 0.1 * *x + if i / 2 % 2 == 0 { 5.0 } else { -5.0 };
        }
        assert!(travel.settled(2));
        assert!(travel.is_of(64, 2) && !travel.is_of(63, 2));
        let last = travel.moved.len() - 1;
        travel.moved[last] = f64::NAN;
        assert!(!travel.settled(2));
        // few particles say nothing
        let few = Travel {
            moved: (0..40 * 15 * 2).map(f64::from).collect(),
            steps: vec![75; 40],
            divergences: vec![0; 40],
        };
        assert!(few.settled(2));
    }
}
